import type { Clock } from './clock.ts'
import { LocalTier } from './local-tier.ts'

/** Keys about which something was said lately. Bounded: the least used are forgotten first. */
export class Recently {
  readonly #clock: Clock
  readonly #until = new LocalTier<number>({ maxEntries: 10_000, maxBytes: Number.MAX_SAFE_INTEGER })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(key: string, forMs: number): void {
    this.#until.set(key, this.#clock.monotonic() + forMs, 1)
  }

  holds(key: string): boolean {
    if (this.#until.size === 0) return false
    const until = this.#until.peek(key)
    if (until === undefined) return false
    if (this.#clock.monotonic() < until) return true
    this.#until.delete(key)
    return false
  }
}
