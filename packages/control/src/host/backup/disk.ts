import { closeSync, fsyncSync, mkdirSync, openSync, statfsSync, statSync } from 'node:fs'
import { formatBytes, HoldfastError } from '@holdfast/core'

/** Directories of backups are for their owner alone: what is in them is the data itself. */
export function makeDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

/** What was created or renamed in a directory is there after a power failure, too. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

export const onSameDisk = (one: string, other: string): boolean => statSync(one).dev === statSync(other).dev

/** Refuses before anything is written what would not fit. */
export function refuseFullDisk(directory: string, neededBytes: number, what: string): void {
  const { bavail, bsize } = statfsSync(directory)
  const freeBytes = bavail * bsize
  if (freeBytes >= neededBytes) return
  throw fullDisk(directory, `${what} needs about ${formatBytes(neededBytes)}, and ${formatBytes(freeBytes)} are free`, {
    neededBytes,
    freeBytes,
  })
}

const fullDisk = (directory: string, why: string, facts: Readonly<Record<string, unknown>>, cause?: unknown) =>
  new HoldfastError(
    'HOST_DISK_FULL',
    `${directory}: ${why}. Free some space, or name a directory on another disk. Backups that were finished before are intact.`,
    { path: directory, ...facts },
    cause,
  )

/** What the operating system said, as an error that tells what to do; anything else as it was. */
export function explainDisk(error: unknown, directory: string, what: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return fullDisk(directory, `the disk is full: ${what} was not finished`, { code }, error)
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new HoldfastError(
        'HOST_READ_ONLY',
        `${directory}: nothing can be written there (${code}), so ${what} was not taken. Give this user the right to, or name another directory.`,
        { path: directory, code },
        error,
      )
    case 'ENOTDIR':
    case 'EEXIST':
      return new HoldfastError(
        'USAGE',
        `${directory} is not a directory: name one, or a path where one can be made`,
        {
          path: directory,
        },
        error,
      )
    default:
      return error
  }
}
