import type { Clock } from '../clock.ts'

export interface HandClockOptions {
  /** Where wall time starts, in milliseconds since 1970. Default: the first of January 2030. */
  readonly now?: number
  /** Where `random` starts: the same seed gives the same numbers. Default 1. */
  readonly seed?: number
}

interface Timer {
  readonly at: number
  readonly call: () => void
}

// Taken when this file is loaded, so that a test runner's false timers do not stop the hand clock.
const turnOfLoop = setImmediate

/**
 * Time that stands still until a test moves it, and chance that repeats. Whatever takes a `Clock` takes this one, and a
 * test about five minutes lasts a millisecond.
 */
export class HandClock implements Clock {
  /** Starts away from zero, so that "never yet" is not taken for "just now". */
  #monotonic = 1_000_000
  #wallAhead: number
  #randomState: number
  /** Earliest first; of equal times, the one that was asked for first. */
  readonly #timers: Timer[] = []

  constructor({ now = Date.UTC(2030, 0, 1), seed = 1 }: HandClockOptions = {}) {
    this.#wallAhead = now - this.#monotonic
    this.#randomState = seed >>> 0
  }

  now(): number {
    return this.#monotonic + this.#wallAhead
  }

  monotonic(): number {
    return this.#monotonic
  }

  /** Mulberry32: small, and good enough to spread things in a test. To be handed on as it is. */
  readonly random = (): number => {
    this.#randomState = (this.#randomState + 0x6d2b79f5) >>> 0
    let mixed = this.#randomState
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#monotonic + Math.max(0, ms), call }
    const later = this.#timers.findIndex((other) => other.at > timer.at)
    this.#timers.splice(later === -1 ? this.#timers.length : later, 0, timer)
    return () => {
      const place = this.#timers.indexOf(timer)
      if (place !== -1) this.#timers.splice(place, 1)
    }
  }

  /** Timers that wait to be called: none after everything was closed. */
  get waiting(): number {
    return this.#timers.length
  }

  /**
   * Lets time pass, wall and monotonic alike. Timers are called in their order, each at its own time, and whatever
   * promises they settle is carried through before the next one. `advance(0)` only lets things settle.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#monotonic + ms
    await this.settle()
    for (;;) {
      const next = this.#timers[0]
      if (next === undefined || next.at > until) break
      this.#timers.shift()
      this.#monotonic = Math.max(this.#monotonic, next.at)
      next.call()
      await this.settle()
    }
    this.#monotonic = Math.max(this.#monotonic, until)
    await this.settle()
  }

  /** Moves wall time alone, as a corrected system clock does. May be negative. */
  jump(ms: number): void {
    this.#wallAhead += ms
  }

  /** Waits until all promises that can settle without time have settled. */
  settle(): Promise<void> {
    return new Promise((resolve) => turnOfLoop(resolve))
  }
}
