/**
 * Questions of one tick become one command for each group of keys that may stand in one: a hundred misses on one node
 * are one round trip and one command, a hundred misses on a Cluster are one write to each node.
 *
 * The batch leaves when all that was going to be asked in this tick has been asked: after the promises that an answer
 * has just resolved have had their say.
 */
import type { Clock } from './clock.ts'
import type { Answer, Command, Engine } from './engine/engine.ts'

/** What all replies of one command have in common. */
export interface Arrival<N> {
  readonly answer: Answer
  /** What the command was made with. */
  readonly note: N
  /** The wall time of all of them: reading the clock costs as much as reading an entry's head. */
  readonly now: number
}

export interface Asked<R> {
  readonly reply: R
  readonly answer: Answer
}

/** Called instead of a promise: on the way of a hit, each promise between costs as much as finding the value. */
export interface Asker<R, N> {
  answered(reply: R, arrival: Arrival<N>): void
  failed(error: unknown): void
}

export interface BatchTerms<N> {
  readonly engine: Engine
  readonly clock: Clock
  /** From when a batch leaves. */
  readonly deadlineMs: () => number
  /** One command for keys of one group; it answers an array with one reply for each key, or for a single key maybe that reply. */
  readonly command: (keys: readonly string[]) => { readonly command: Command; readonly note: N }
  readonly kind: 'read' | 'write'
}

/** An engine looks at deadlines a few times in this, and timers come late: aimed so much earlier, the end comes in time. */
const lateMs = 10
/** Above this a command would keep the engine from others. */
const mostKeys = 256

export class Batch<R, N = undefined> {
  readonly #terms: BatchTerms<N>
  #keys: string[] = []
  /** Who asked for each of the keys. */
  #askers: Asker<R, N>[] = []

  constructor(terms: BatchTerms<N>) {
    this.#terms = terms
  }

  ask(key: string, asker: Asker<R, N>): void {
    if (this.#keys.length === 0) queueMicrotask(() => process.nextTick(() => this.#leave()))
    this.#keys.push(key)
    this.#askers.push(asker)
  }

  asked(key: string): Promise<Asked<R>> {
    return new Promise((resolve, failed) => {
      this.ask(key, { answered: (reply, { answer }) => resolve({ reply, answer }), failed })
    })
  }

  #leave(): void {
    const keys = this.#keys
    const askers = this.#askers
    this.#keys = []
    this.#askers = []
    const { engine, clock, deadlineMs, kind } = this.#terms
    if (kind === 'write') this.#postponeTwins(keys, askers)
    const withinMs = deadlineMs()
    const deadlineAt = clock.monotonic() + withinMs - Math.min(lateMs, withinMs / 10)
    const groups = engine.group(keys)
    if (groups.length === 1 && keys.length <= mostKeys) return this.#send(keys, askers, deadlineAt)
    for (const group of groups) {
      for (let from = 0; from < group.length; from += mostKeys) {
        const some = group.slice(from, from + mostKeys)
        this.#send(
          some.map((index) => keys[index] as string),
          some.map((index) => askers[index] as Asker<R, N>),
          deadlineAt,
        )
      }
    }
  }

  /** Who asks for a key twice in one tick takes a lock from himself: the second question goes with the next batch. */
  #postponeTwins(keys: string[], askers: Asker<R, N>[]): void {
    const seen = new Set(keys)
    if (seen.size === keys.length) return
    for (let index = keys.length - 1; index >= 0; index--) {
      const key = keys[index] as string
      if (keys.indexOf(key) === index) continue
      keys.splice(index, 1)
      for (const asker of askers.splice(index, 1)) this.ask(key, asker)
    }
  }

  #send(keys: readonly string[], askers: readonly Asker<R, N>[], deadlineAt: number): void {
    const { engine, clock, kind } = this.#terms
    const { command, note } = this.#terms.command(keys)
    const call = { commands: [command], key: keys[0] as string, deadlineAt, kind, idempotent: true, bytes: true }
    engine.send(call).then(
      (answer) => {
        const arrival = { answer, note, now: clock.now() }
        const [reply] = answer.replies
        const replies = Array.isArray(reply) ? (reply as R[]) : [reply as R]
        for (let i = 0; i < askers.length; i++) askers[i]?.answered(replies[i] as R, arrival)
      },
      (error: unknown) => {
        for (const asker of askers) asker.failed(error)
      },
    )
  }
}
