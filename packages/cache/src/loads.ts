/**
 * How many loads run at once. With the cache there, a load is rare and nearly free to go; with the cache away, every
 * read is a load, and the source, which was never sized for that, is asked by a few at a time while the others wait.
 */
import type { Clock } from './clock.ts'
import { CacheError } from './errors.ts'

export interface LoadLimits {
  /** Loads at once while the engine answers. */
  readonly atOnce: number
  /** Loads at once while it does not. */
  readonly atOnceWhenAway: number
  /** How many may wait for their turn; above that a load is refused at once. */
  readonly waiting: number
}

interface Waiting {
  readonly go: () => void
  readonly away: boolean
}

export class Loads {
  readonly #limits: LoadLimits
  readonly #clock: Clock
  /** In the order they came. */
  readonly #waiting = new Set<Waiting>()
  #running = 0

  constructor(limits: LoadLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Runs the load when it is its turn, at most `withinMs` from now. Throws OVERLOADED without having begun it. */
  async run<T>(load: () => Promise<T>, { away, withinMs }: { away: boolean; withinMs: number }): Promise<T> {
    if (this.#running >= this.#limit(away) || this.#waiting.size > 0) await this.#turn(away, withinMs)
    else this.#running++
    try {
      return await load()
    } finally {
      this.#running--
      this.#next()
    }
  }

  #limit(away: boolean): number {
    return away ? this.#limits.atOnceWhenAway : this.#limits.atOnce
  }

  #turn(away: boolean, withinMs: number): Promise<void> {
    if (this.#waiting.size >= this.#limits.waiting)
      return Promise.reject(overloaded('the queue for loads is full', this))
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(withinMs, () => {
        this.#waiting.delete(place)
        reject(overloaded('its turn to load did not come in time', this))
      })
      const go = (): void => {
        cancel()
        this.#running++
        resolve()
      }
      const place = { go, away }
      this.#waiting.add(place)
    })
  }

  #next(): void {
    for (const place of this.#waiting) {
      if (this.#running >= this.#limit(place.away)) return
      this.#waiting.delete(place)
      place.go()
    }
  }
}

function overloaded(what: string, { running, waiting }: Loads): CacheError {
  return new CacheError('OVERLOADED', `${what}: ${running} run and ${waiting} wait. The source is protected.`, {
    running,
    waiting,
  })
}
