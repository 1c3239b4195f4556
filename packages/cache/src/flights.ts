/**
 * One piece of work for each key: whoever comes while it is under way gets the same promise, its value or its error.
 * The promise is there before anything is asked, so that a thousand callers in one tick are one.
 *
 * A flight answers before it has landed: the value is known as soon as it is loaded, and the key is busy until the
 * engine has it, too.
 */
export interface Flight<T> {
  readonly answer: Promise<T>
  /** When the key is free again. Never rejects. */
  readonly landed: Promise<unknown>
}

export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()

  get size(): number {
    return this.#flights.size
  }

  current(key: string): Promise<T> | undefined {
    return this.#flights.get(key)?.answer
  }

  join(key: string, begin: () => Flight<T>): Promise<T> {
    const current = this.#flights.get(key)
    if (current !== undefined) return current.answer
    const flight = begin()
    this.#flights.set(key, flight)
    void flight.landed.then(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    })
    return flight.answer
  }

  /** Whoever comes from now on begins anew: what is under way began before the key was changed. */
  forget(key: string): void {
    this.#flights.delete(key)
  }

  forgetAll(): void {
    this.#flights.clear()
  }
}
