// @ts-check
import { setTimeout as delay } from 'node:timers/promises'

export { delay }

/** Milliseconds of the kernel's monotonic clock: the same in all processes, so that their times can be compared. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

/**
 * Asks until the check answers something, and says what it last saw when it never does. A check that throws or answers
 * undefined has not passed yet.
 *
 * @template T
 * @param {() => Promise<T | undefined>} check
 * @param {{ withinMs: number, everyMs?: number, what: string }} options
 * @returns {Promise<T>}
 */
export async function eventually(check, { withinMs, everyMs = 20, what }) {
  const deadline = now() + withinMs
  /** @type {unknown} */
  let last = 'nothing'
  for (;;) {
    try {
      const value = await check()
      if (value !== undefined) return value
    } catch (error) {
      last = error
    }
    if (now() > deadline) {
      const seen = last instanceof Error ? last.message : String(last)
      throw new Error(`not within ${withinMs} ms: ${what}; last seen: ${seen}`, { cause: last })
    }
    await delay(everyMs)
  }
}
