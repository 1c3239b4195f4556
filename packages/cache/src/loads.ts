/**
 * How many loads run at once. With the cache there, a load is rare and nearly free to go; with the cache away, every
 * read is a load, and the source, which was never sized for that, is asked by a few at a time while the others wait.
 *
 * The two stand in lines of their own: when one of many nodes is away, the many who wait for its keys do not hold up
 * the few misses of all other keys.
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

/** Those who load or wait for it, while the engine is there or while it is away. */
class Line {
  readonly atOnce: number
  /** How they are let go, in the order they came. */
  readonly waiting = new Set<() => void>()
  running = 0

  constructor(atOnce: number) {
    this.atOnce = atOnce
  }
}

export class Loads {
  readonly #limits: LoadLimits
  readonly #clock: Clock
  readonly #there: Line
  readonly #away: Line

  constructor(limits: LoadLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#there = new Line(limits.atOnce)
    this.#away = new Line(limits.atOnceWhenAway)
  }

  get running(): number {
    return this.#there.running + this.#away.running
  }

  get waiting(): number {
    return this.#there.waiting.size + this.#away.waiting.size
  }

  /** Runs the load when it is its turn, at most `withinMs` from now. Throws OVERLOADED without having begun it. */
  async run<T>(load: () => Promise<T>, { away, withinMs }: { away: boolean; withinMs: number }): Promise<T> {
    const line = away ? this.#away : this.#there
    if (line.running >= line.atOnce || line.waiting.size > 0) await this.#turn(line, withinMs)
    else line.running++
    try {
      return await load()
    } finally {
      line.running--
      this.#next(line)
    }
  }

  #turn(line: Line, withinMs: number): Promise<void> {
    if (this.waiting >= this.#limits.waiting) return Promise.reject(overloaded('the queue for loads is full', this))
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(withinMs, () => {
        line.waiting.delete(go)
        reject(overloaded('its turn to load did not come in time', this))
      })
      const go = (): void => {
        cancel()
        line.running++
        resolve()
      }
      line.waiting.add(go)
    })
  }

  #next(line: Line): void {
    for (const go of line.waiting) {
      if (line.running >= line.atOnce) return
      line.waiting.delete(go)
      go()
    }
  }
}

function overloaded(what: string, { running, waiting }: Loads): CacheError {
  return new CacheError('OVERLOADED', `${what}: ${running} run and ${waiting} wait. The source is protected.`, {
    running,
    waiting,
  })
}
