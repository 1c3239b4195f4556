// @ts-check
import { delay, now } from './time.mjs'

const everyMs = 1

/**
 * When this node first takes a write, by the monotonic clock: asked about each millisecond over a connection of its own,
 * one that was open before the fault. Undefined: not in time.
 *
 * @param {import('../packages/control/dist/engine/link.js').EngineLink} link
 * @param {string} key
 * @param {number} withinMs
 */
export async function firstWrite(link, key, withinMs) {
  const deadline = now() + withinMs
  while (now() < deadline) {
    // A replica says MOVED.
    const isTaken = await link.command(['SET', key, 'x']).then(
      () => true,
      () => false,
    )
    if (isTaken) return now()
    await delay(everyMs)
  }
  return undefined
}
