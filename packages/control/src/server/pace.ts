import type { Status } from '@holdfast/core'
import type { Clock } from '../clock.ts'

const paceMs = 1000

/**
 * Passes on the newest status at most once a second, but at once when something changed that a person waits for.
 * The last one offered always gets through, a second later at the latest.
 */
export class Pace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #pass: (status: Status) => void
  #passedAt = Number.NEGATIVE_INFINITY
  #outline = ''
  /** The newest status that has not been passed on; a sleeper waits to do so. */
  #held: Status | undefined

  constructor(clock: Clock, signal: AbortSignal, pass: (status: Status) => void) {
    this.#clock = clock
    this.#signal = signal
    this.#pass = pass
  }

  offer(status: Status): void {
    const dueInMs = this.#passedAt + paceMs - this.#clock.now()
    if (dueInMs <= 0 || outlineOf(status) !== this.#outline) {
      this.#passOn(status)
    } else if (this.#held === undefined) {
      this.#held = status
      void this.#passLater(dueInMs)
    } else this.#held = status
  }

  /** Never rejects: sleeping and passing on do not throw. */
  async #passLater(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#signal)
    if (this.#held !== undefined && !this.#signal.aborted) this.#passOn(this.#held)
  }

  #passOn(status: Status): void {
    this.#held = undefined
    this.#passedAt = this.#clock.now()
    this.#outline = outlineOf(status)
    this.#pass(status)
  }
}

/** What a person waits for; the rest are figures that may come a second later. */
const outlineOf = ({ ready, because, wanted, specRevision, settledRevision, shards, nodes }: Status): string =>
  JSON.stringify([
    [ready, because, wanted, specRevision, settledRevision],
    shards.map(({ id, primary, replicas }) => [id, primary, replicas]),
    nodes.map(({ id, role, state, link }) => [id, role, state, link]),
  ])
