import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { readController } from '../store/controller-file.ts'
import type { Home } from '../store/home.ts'
import { homeAt, homePath, openHome } from '../store/home.ts'

/** Where a command runs: its home and its two streams. stdout is the answer, stderr the talk. */
export interface Context {
  readonly home: Home
  readonly out: (text: string) => void
  readonly say: (line: string) => void
  /** Somebody sits there who can be asked. */
  readonly isInteractive: boolean
  /** Whether anybody still reads the answer: `holdfast status --watch | head` ends by itself. */
  readonly isRead: () => boolean
}

export function openContext(): Context {
  const path = homePath(process.env, homedir())
  const uid = process.getuid?.() ?? 0
  return {
    home: homeInUse(path, uid) ?? openHome(path, { uid }),
    out: (text) => void process.stdout.write(`${text}\n`),
    say: (line) => void process.stderr.write(`${line}\n`),
    isInteractive: process.stdin.isTTY && process.stderr.isTTY,
    isRead: () => !process.stdout.destroyed,
  }
}

/**
 * A home that a controller keeps was checked by it, and what it cannot do it says itself: so questions are answered on
 * the night when the disk is full, too.
 */
function homeInUse(path: string, uid: number): Home | undefined {
  const home = homeAt(path)
  const isOurs = statSync(path, { throwIfNoEntry: false })?.uid === uid
  return isOurs && readController(home) !== undefined ? home : undefined
}
