/**
 * Time and chance as arguments: a test hands in its own. `now` is wall time and is compared between processes;
 * `monotonic` never jumps and measures what this process waits for.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds since some moment, never backwards. */
  monotonic(): number
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number
  /** Calls once after `ms`, without keeping the process alive, unless the answer is called before. */
  after(ms: number, call: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  after(ms, call) {
    const timer = setTimeout(call, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
