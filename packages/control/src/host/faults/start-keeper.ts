import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FaultCase } from './fault-file.ts'

export interface KeeperTask extends FaultCase {
  /** Where the fault is written down. */
  readonly path: string
  /** The order is void after this, by the clock of this boot, ms. */
  readonly notAfter: number
}

/** What a keeper says, once: that the fault is there, or why it is not. */
export type KeeperWord = { readonly injectedAt: number } | { readonly trouble: string }

/** The program of a keeper, as it was built: also for whoever runs from the sources. */
const keeperProgram = fileURLToPath(new URL('../../../dist/host/faults/keeper.js', import.meta.url))

/** What takes longest to begin is filling a disk. */
const beginWithinMs = 120_000

/**
 * Starts the process that a fault lives in, in a session of its own, and waits until it has said its word. What it needs
 * goes to its stdin: passwords are in no argument and in no environment.
 */
export async function startKeeper(task: KeeperTask): Promise<KeeperWord> {
  const child = spawn(process.execPath, [keeperProgram], {
    cwd: '/',
    env: { ...process.env, HOLDFAST_HOME: task.scene.home },
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const word = new Promise<KeeperWord>((resolve) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      said += part
      if (said.includes('\n')) resolve(JSON.parse(said) as KeeperWord)
    })
    child.once('error', ({ message }) => resolve({ trouble: `its process did not start: ${message}` }))
    child.once('exit', (code, signal) => resolve({ trouble: `its process ended early (${signal ?? code})` }))
  })
  // One that cannot begin is told to heal what it has done so far.
  const late = setTimeout(() => child.kill('SIGTERM'), beginWithinMs)
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(task))
  try {
    return await word
  } finally {
    clearTimeout(late)
    child.stdout.destroy()
    child.unref()
  }
}
