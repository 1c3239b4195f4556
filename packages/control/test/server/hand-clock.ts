import type { Clock } from '../../src/clock.ts'

interface Sleeper {
  readonly wakesAt: number
  wake(): void
}

/** A clock that only moves by hand. */
export class HandClock implements Clock {
  readonly boot = 'boot-1'
  #now = 1_000_000
  readonly #sleepers = new Set<Sleeper>()

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_750_000_000_000 + this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const sleeper: Sleeper = {
        wakesAt: this.#now + ms,
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', () => sleeper.wake(), { once: true })
    })
  }

  advance(ms: number): void {
    this.#now += ms
    for (const sleeper of this.#sleepers) if (sleeper.wakesAt <= this.#now) sleeper.wake()
  }
}
