import { copyFileSync, statSync, truncateSync } from 'node:fs'

/** Weeks of what an engine says in a bad time. There is as much again of what was before. */
const bytesMax = 4 * 1024 ** 2

/**
 * Keeps the log of a program that runs on below a bound: what it said so far goes to `PATH.1` in place of what was there.
 * The program has the file open and appends to it, so it is emptied and not renamed; a line that it writes in that very
 * moment is lost. Where there is no room for a copy the room is what is wanted most.
 */
export function boundLog(path: string, max = bytesMax): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size <= max) return
  try {
    copyFileSync(path, `${path}.1`)
  } finally {
    truncateSync(path)
  }
}
