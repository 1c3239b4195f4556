/**
 * One piece of work for each key: whoever comes while it is under way gets the same promise, its value or its error.
 * The promise is there before anything is asked, so that a thousand callers in one tick are one.
 *
 * A flight answers before it lands: the value is known as soon as it is loaded, and the key is busy until the engine has
 * it, too.
 */
export class Flight<T> {
  readonly name: string
  readonly answer: Promise<T>
  /** Only the first word counts. */
  resolve!: (value: T) => void
  reject!: (error: unknown) => void

  constructor(name: string) {
    this.name = name
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

export class Flights<F extends { readonly name: string }> {
  readonly #flights = new Map<string, F>()

  get size(): number {
    return this.#flights.size
  }

  current(key: string): F | undefined {
    return this.#flights.get(key)
  }

  /** From now on until it lands, this is the flight of its key. */
  takeOff(flight: F): void {
    this.#flights.set(flight.name, flight)
  }

  /** The key is free again, unless a later flight has it. */
  land(flight: F): void {
    if (this.#flights.size > 0 && this.#flights.get(flight.name) === flight) this.#flights.delete(flight.name)
  }

  /** Whoever comes from now on begins anew: what is under way began before the key was changed. */
  forget(key: string): void {
    if (this.#flights.size > 0) this.#flights.delete(key)
  }

  forgetAll(): void {
    this.#flights.clear()
  }
}
