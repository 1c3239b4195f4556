/** What is shown now; servers that hold on to it are told of the next. */
export class RenewedCredentials<Shown> {
  #now: Shown
  #listener: (fresh: Shown) => void = () => {}
  #close: () => void = () => {}

  constructor(first: Shown) {
    this.#now = first
  }

  get now(): Shown {
    return this.#now
  }

  replace(fresh: Shown): void {
    this.#now = fresh
    this.#listener(fresh)
  }

  onReplaced(listener: (fresh: Shown) => void): void {
    this.#listener = listener
  }

  onClose(close: () => void): void {
    this.#close = close
  }

  close(): void {
    this.#close()
  }
}
