/**
 * How much is sent at once while slots move. An engine does nothing else while it sends keys, so the time that one group
 * takes is what its clients wait, and each group is measured to make the next one right.
 */

/** What one group may cost, in the measure of `costOf`. */
export type Pace = number

export const firstPace: Pace = 60
const paceMin: Pace = 8
const paceMax: Pace = 4000

/** A command costs a journey to the target and back, whatever is in it; each key a fraction of that. */
const costOfCommand = 4

export const costOf = (keys: number): number => costOfCommand + keys

/** The pace for the next group: slower at once where this one took too long, and faster only step by step. */
export function nextPace(pace: Pace, tookMs: number, budgetMs: number): Pace {
  const wanted = tookMs > budgetMs ? (pace * budgetMs) / tookMs : pace * 1.25
  return Math.round(Math.min(paceMax, Math.max(paceMin, wanted)))
}

/** How long to rest so that so many bytes in so many milliseconds are no more than the rate, in bytes a second. */
export function restMs(bytes: number, tookMs: number, bytesPerSecond: number | null): number {
  return bytesPerSecond === null ? 0 : Math.max(0, (bytes / bytesPerSecond) * 1000 - tookMs)
}
