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

/** So many names more than there are flights may be kept. */
const mostLanded = 1024

/**
 * Names stay here when their flights have landed, with nothing behind them, and are cleared away many at once. A Map that
 * grows and shrinks with each batch leaves tables behind, which keep dead flights, and all that hangs on them, from the
 * young garbage collection: that took half of the time of a read.
 */
export class Flights<F extends { readonly name: string }> {
  #flights = new Map<string, F | undefined>()
  #size = 0

  get size(): number {
    return this.#size
  }

  current(name: string): F | undefined {
    return this.#size === 0 ? undefined : this.#flights.get(name)
  }

  /** From now on until it lands, this is the flight of its key. */
  takeOff(flight: F): void {
    if (this.current(flight.name) === undefined) this.#size++
    this.#flights.set(flight.name, flight)
  }

  /** The key is free again, unless a later flight has it. */
  land(flight: F): void {
    if (this.current(flight.name) === flight) this.forget(flight.name)
  }

  /** Whoever comes from now on begins anew: what is under way began before the key was changed. */
  forget(name: string): void {
    if (this.current(name) === undefined) return
    this.#flights.set(name, undefined)
    this.#size--
    if (this.#flights.size > 2 * this.#size + mostLanded) this.#clearAway()
  }

  forgetAll(): void {
    this.#flights.clear()
    this.#size = 0
  }

  #clearAway(): void {
    const flying = [...this.#flights].filter(([, flight]) => flight !== undefined)
    this.#flights = new Map(flying)
  }
}
