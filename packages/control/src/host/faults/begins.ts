import { setTimeout as delay } from 'node:timers/promises'
import type { ServeProcess } from '../../serve-process.ts'

const startWithinMs = 20_000

/** Waits until what was started is there, and lets it go then; answers why it is not, null where it is. */
export async function begins(started: ServeProcess, isThere: () => boolean | Promise<boolean>): Promise<string | null> {
  const deadline = performance.now() + startWithinMs
  while (!(await isThere())) {
    if (started.hasEnded()) return started.said().trim()
    if (performance.now() > deadline) {
      await started.end()
      return `it did not begin within ${startWithinMs / 1000} s`
    }
    await delay(50)
  }
  started.letGo()
  return null
}
