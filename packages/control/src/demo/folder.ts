/** Where a demonstration writes: made anew each time, without what one that was killed has left. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { processesIn } from '../proc.ts'
import type { Home } from '../store/home.ts'
import { removeLeftDatabase } from './postgres.ts'

/** The empty folder. Processes that still work in an old one are ended first: they belong to nobody any more. */
export function freshFolder(home: Home): string {
  const folder = join(home.path, 'demo')
  removeFolder(folder)
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

export function removeFolder(folder: string): void {
  for (const directory of foldersIn(folder)) {
    for (const { pid } of processesIn(directory)) process.kill(pid, 'SIGKILL')
  }
  removeLeftDatabase(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return [folder, ...entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))]
  } catch {
    return []
  }
}
