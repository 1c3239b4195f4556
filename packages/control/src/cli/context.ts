import { homedir } from 'node:os'
import type { Home } from '../store/home.ts'
import { homePath, openHome } from '../store/home.ts'

/** Where a command runs: its home and its two streams. stdout is the answer, stderr the talk. */
export interface Context {
  readonly home: Home
  readonly out: (text: string) => void
  readonly say: (line: string) => void
  /** Somebody sits there who can be asked. */
  readonly isInteractive: boolean
}

export function openContext(): Context {
  const home = openHome(homePath(process.env, homedir()), { uid: process.getuid?.() ?? 0 })
  return {
    home,
    out: (text) => void process.stdout.write(`${text}\n`),
    say: (line) => void process.stderr.write(`${line}\n`),
    isInteractive: process.stdin.isTTY === true && process.stderr.isTTY === true,
  }
}
