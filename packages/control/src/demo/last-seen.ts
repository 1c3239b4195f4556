/** What was shown last of something, for the moment when nobody can say how it is now. Bounded: the oldest goes first. */
export class LastSeen<T> {
  readonly #max: number
  readonly #seen = new Map<string, T>()

  constructor(max: number) {
    this.#max = max
  }

  /** The answer of `look`, marked as fresh; where it fails, what was seen last. Throws where nothing was. */
  async elseLast(name: string, look: () => Promise<T>): Promise<{ readonly value: T; readonly isLast: boolean }> {
    try {
      const value = await look()
      this.#seen.delete(name)
      this.#seen.set(name, value)
      const [oldest] = this.#seen.keys()
      if (this.#seen.size > this.#max && oldest !== undefined) this.#seen.delete(oldest)
      return { value, isLast: false }
    } catch (error) {
      const last = this.#seen.get(name)
      if (last === undefined) throw error
      return { value: last, isLast: true }
    }
  }
}
