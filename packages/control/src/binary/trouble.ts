import { formatBytes, HoldfastError } from '@holdfast/core'

export type DiskProblem = 'full' | 'read-only'

/**
 * What a failed write, or a program that failed while writing, says about this machine's disk. Null: nothing, the
 * fault lies elsewhere. Programs are run in the C locale, so the kernel's sentences are these.
 */
export function diskProblem(said: string): DiskProblem | null {
  if (/No space left on device|Disk quota exceeded|ENOSPC|EDQUOT|don't have enough free space/.test(said)) return 'full'
  if (/Read-only file system|EROFS|EACCES|EPERM|ENOTDIR|ENOENT/.test(said)) return 'read-only'
  return null
}

/** What is written, where, and how somebody moves it to another disk. */
export interface Writing {
  readonly what: string
  readonly place: string
  readonly setting: 'HOLDFAST_HOME' | 'XDG_CACHE_HOME'
  readonly roomNeededBytes: number
}

/** Measured: 44 MB with the machine's lists, 63 MB with fresh ones, nearly all of it gone again after the fetch. */
export const fetching = (place: string): Writing => {
  return { what: 'fetching an engine to', place, setting: 'HOLDFAST_HOME', roomNeededBytes: 100 * 1024 ** 2 }
}

/** Measured: 131 MB of objects and 60 MB of lists, of which 16 MB stay. */
export const building = (place: string): Writing => {
  return { what: 'building an engine in', place, setting: 'XDG_CACHE_HOME', roomNeededBytes: 300 * 1024 ** 2 }
}

export function diskRefusal(
  problem: DiskProblem,
  { what, place, setting, roomNeededBytes }: Writing,
  cause?: unknown,
): HoldfastError {
  return problem === 'full'
    ? new HoldfastError(
        'HOST_DISK_FULL',
        `the disk is full: ${what} ${place} takes ${formatBytes(roomNeededBytes)} for a moment. Free some space, or set ${setting} to another disk.`,
        { place, neededBytes: roomNeededBytes },
        cause,
      )
    : new HoldfastError(
        'HOST_READ_ONLY',
        `cannot write an engine to ${place}. Set ${setting} to a directory that you may write to.`,
        { place },
        cause,
      )
}

/** A failed write of our own or of a program becomes a refusal; everything else stays what it is. */
export async function refusingDisk<T>(writing: Writing, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof HoldfastError || !(cause instanceof Error)) throw cause
    const problem = diskProblem(cause.message)
    throw problem === null ? cause : diskRefusal(problem, writing, cause)
  }
}

/** A disk as statfs tells it. Some network disks say 0 of 0 blocks: that is no answer. */
export function hasRoom(
  disk: { readonly blocks: number; readonly bavail: number; readonly bsize: number },
  { roomNeededBytes }: Writing,
): boolean {
  return disk.blocks === 0 || disk.bavail * disk.bsize >= roomNeededBytes
}

/** The line in which apt says what went wrong. Its very last one is often only that something did. */
export function aptComplaint(stderr: string): string | null {
  const lines = stderr.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
  const last = (pattern: RegExp): string | undefined => lines.findLast((line) => pattern.test(line))
  const line = last(/^[EW]: Failed to fetch/) ?? last(/^E: /) ?? last(/^W: /) ?? last(/./)
  return line?.replace(/^[EW]: /, '') ?? null
}
