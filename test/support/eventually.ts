import { setTimeout as delay } from 'node:timers/promises'

/**
 * Asks until the check passes, and says what it last saw when it never does. A check passes when it neither throws nor
 * answers false.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { withinMs = 10_000, everyMs = 20, what = '' } = {},
): Promise<T> {
  const deadline = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const value = await check()
      if (value !== false) return value
      last = value
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last)
      throw new Error(`not within ${withinMs} ms${what === '' ? '' : `: ${what}`}; last seen: ${seen}`, { cause: last })
    }
    await delay(everyMs)
  }
}
