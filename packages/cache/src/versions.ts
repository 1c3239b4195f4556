import type { Clock } from './clock.ts'

/**
 * A number that was never used before and never will be, by chance alone: for versions of entries and tags and for
 * tokens of locks. They are compared for equality only, because the clocks of two machines never agree, and a counter
 * would begin again when the engine loses it.
 */
export function newVersion(clock: Clock): number {
  return Math.floor(clock.random() * Number.MAX_SAFE_INTEGER) + 1
}
