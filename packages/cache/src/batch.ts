/**
 * Questions of one tick become one command for each group of keys that may stand in one: a hundred misses on one node
 * are one round trip and one command, a hundred misses on a Cluster are one write to each node.
 *
 * The batch leaves when all that was going to be asked in this tick has been asked: after the promises that an answer
 * has just resolved have had their say.
 */
import type { Clock } from './clock.ts'
import type { Answer, Command, Engine } from './engine/engine.ts'

export interface Asked<R, N> {
  readonly reply: R
  readonly answer: Answer
  /** What the command was made with. */
  readonly note: N
}

/** Called instead of a promise: on the way of a hit, each promise between costs as much as finding the value. */
export interface Asker<R, N> {
  answered(reply: R, answer: Answer, note: N): void
  failed(error: unknown): void
}

interface Question<R, N> {
  readonly key: string
  readonly asker: Asker<R, N>
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

/** Above this a command would keep the engine from others. */
const mostKeys = 256

export class Batch<R, N = undefined> {
  readonly #terms: BatchTerms<N>
  #questions: Question<R, N>[] = []

  constructor(terms: BatchTerms<N>) {
    this.#terms = terms
  }

  ask(key: string, asker: Asker<R, N>): void {
    if (this.#questions.length === 0) queueMicrotask(() => process.nextTick(() => this.#leave()))
    this.#questions.push({ key, asker })
  }

  asked(key: string): Promise<Asked<R, N>> {
    return new Promise((resolve, failed) => {
      this.ask(key, { answered: (reply, answer, note) => resolve({ reply, answer, note }), failed })
    })
  }

  #leave(): void {
    const questions = this.#questions
    this.#questions = []
    const { engine, clock, deadlineMs } = this.#terms
    const deadlineAt = clock.monotonic() + deadlineMs()
    const groups = engine.group(questions.map(({ key }) => key))
    for (const group of groups) {
      for (let from = 0; from < group.length; from += mostKeys) {
        const some = group.slice(from, from + mostKeys)
        this.#send(
          some.map((index) => questions[index] as Question<R, N>),
          deadlineAt,
        )
      }
    }
  }

  #send(asked: readonly Question<R, N>[], deadlineAt: number): void {
    const { engine, kind } = this.#terms
    const keys = asked.map(({ key }) => key)
    const { command, note } = this.#terms.command(keys)
    const call = { commands: [command], key: keys[0] as string, deadlineAt, kind, idempotent: true, bytes: true }
    engine.send(call).then(
      (answer) => {
        const [reply] = answer.replies
        const replies = Array.isArray(reply) ? (reply as R[]) : [reply as R]
        for (let i = 0; i < asked.length; i++) asked[i]?.asker.answered(replies[i] as R, answer, note)
      },
      (error: unknown) => {
        for (const { asker } of asked) asker.failed(error)
      },
    )
  }
}
