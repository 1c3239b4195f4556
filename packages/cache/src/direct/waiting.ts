import { CacheError } from '../errors.ts'

/** How many calls are under way, with a bound: what is above it is told at once instead of filling the memory. */
export class Waiting {
  readonly #most: number
  #count = 0

  constructor(most: number) {
    this.#most = most
  }

  get count(): number {
    return this.#count
  }

  async during<T>(call: () => Promise<T>): Promise<T> {
    if (this.#count >= this.#most) {
      throw new CacheError('OVERLOADED', `${this.#most} calls are waiting for the engine already: try later`, {
        waiting: this.#count,
      })
    }
    this.#count += 1
    try {
      return await call()
    } finally {
      this.#count -= 1
    }
  }
}
