/** Processes that must not outlive the demonstration, however it ends: the kernel is asked to end them. */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { directoriesOf } from '../binary/lookup.ts'

/**
 * The start of a command line whose process gets this signal when ours ends. Where the machine has no `setpriv` that
 * can, the command as it is: what is then left after a SIGKILL is ended by the next demonstration of the same home.
 */
export function diesWithUs(signal: 'KILL' | 'QUIT', ...command: [string, ...string[]]): [string, ...string[]] {
  const setpriv = ['/usr/bin', ...directoriesOf(process.env['PATH'] ?? '')]
    .map((directory) => join(directory, 'setpriv'))
    .find(mayRun)
  return setpriv === undefined ? command : [setpriv, '--pdeathsig', signal, ...command]
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
