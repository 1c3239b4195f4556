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

export function diskRefusal(problem: DiskProblem, place: string, cause?: unknown): HoldfastError {
  return problem === 'full'
    ? new HoldfastError(
        'HOST_DISK_FULL',
        `the disk is full: fetching an engine to ${place} takes ${formatBytes(roomNeededBytes)} for a moment. Free some space, or set HOLDFAST_HOME to another disk.`,
        { place, neededBytes: roomNeededBytes },
        cause,
      )
    : new HoldfastError(
        'HOST_READ_ONLY',
        `cannot write an engine to ${place}. Set HOLDFAST_HOME to a directory that you may write to.`,
        { place },
        cause,
      )
}

/** Measured: 44 MB with the machine's lists, 63 MB with fresh ones, nearly all of it gone again after the fetch. */
const roomNeededBytes = 100 * 1024 ** 2

/** A disk as statfs tells it. Some network disks say 0 of 0 blocks: that is no answer. */
export function hasRoom(disk: { readonly blocks: number; readonly bavail: number; readonly bsize: number }): boolean {
  return disk.blocks === 0 || disk.bavail * disk.bsize >= roomNeededBytes
}

/** The line in which apt says what went wrong. Its very last one is often only that something did. */
export function aptComplaint(stderr: string): string | null {
  const lines = stderr.split('\n').map((line) => line.trim().replaceAll(/\s+/g, ' '))
  const last = (pattern: RegExp): string | undefined => lines.findLast((line) => pattern.test(line))
  const line = last(/^[EW]: Failed to fetch/) ?? last(/^E: /) ?? last(/^W: /) ?? last(/./)
  return line?.replace(/^[EW]: /, '') ?? null
}
