/**
 * What a test process started and must not leave behind. A test closes what it opened; this is for the test that failed
 * before it could, for the process that is told to exit, and, where setpriv is there, for the one that is killed itself.
 */
import type { ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const children = new Set<ChildProcess>()
const folders = new Set<string>()

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

export function killLater(child: ChildProcess): void {
  children.add(child)
  child.once('exit', () => children.delete(child))
}

/** A fresh folder, and how to be rid of it. */
export function freshFolder(name: string): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`))
  folders.add(folder)
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    folders.delete(folder)
  }
  return { folder, remove }
}

const setpriv = '/usr/bin/setpriv'

/** The start of a command line whose process is killed by the kernel when ours ends, however it ends. */
export function diesWithUs(...command: [string, ...string[]]): [string, ...string[]] {
  try {
    accessSync(setpriv, constants.X_OK)
    return [setpriv, '--pdeathsig', 'KILL', ...command]
  } catch {
    return command
  }
}
