import { HoldfastError } from '@holdfast/core'

/**
 * What the operating system or SQLite said about a file, as an error that tells an operator what to do. Anything that
 * is not about the disk comes back as it was. Every door to the home goes through here.
 */
export function diskError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof HoldfastError) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : openFailure(error)
  const say = (kind: HoldfastError['code'], sentence: string) =>
    new HoldfastError(kind, `${path}: ${sentence}`, { path, code }, error)
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'SQLITE_FULL':
    case 'SQLITE_IOERR_SHMSIZE':
      return say('HOST_DISK_FULL', 'the disk is full. Free some space and try again: what was saved before is intact.')
    case 'EROFS':
      return say('HOST_READ_ONLY', 'the file system is read-only. Mount it writable, or name another HOLDFAST_HOME.')
    case 'EACCES':
    case 'EPERM':
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_PERM':
      return say(
        'HOST_READ_ONLY',
        'not allowed. Give this user the right to write there, or name another HOLDFAST_HOME.',
      )
    case 'ENOTDIR':
      return say('USAGE', 'a part of this path is a file. Name a directory, or a path where one can be made.')
    case 'SQLITE_BUSY':
    case 'SQLITE_LOCKED':
      return say('HOST_HOME_IN_USE', 'another process holds this file locked. See which with "fuser" on it.')
    case 'SQLITE_CORRUPT':
    case 'SQLITE_NOTADB':
      return say('REFUSED_UNSAFE', 'this file is damaged. Put back a copy; running engines are not touched meanwhile.')
    default:
      if (code.startsWith('SQLITE_READONLY')) return say('HOST_READ_ONLY', 'this file or its disk is read-only.')
      if (code.startsWith('SQLITE_IOERR') || code === 'EIO') {
        return say('HOST_READ_ONLY', 'the disk failed to read or write. Look at the kernel log for its errors.')
      }
      return error
  }
}

/** The driver says in words that it could not open a file. */
const openFailure = (error: Error): string =>
  error.message.includes('Unable to open connection') ? 'SQLITE_CANTOPEN' : ''

/** Runs something that touches the disk at `path`, and explains what goes wrong. */
export function onDisk<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw diskError(error, path)
  }
}
