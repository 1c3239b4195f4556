/**
 * Writes that count only when copies have them.
 *
 * `WAIT n` answers how many replicas have received everything that its own connection has written so far. So it must
 * stand behind the writes on the same connection: on any other it has nothing to wait for, and answered 1 at once,
 * measured, for a write that no replica had. It also blocks what is queued behind it. Hence: a lane of connections for
 * durable writes alone, and the writes with their WAIT in one call, which the engine writes one behind the other and
 * sends again as a whole or not at all. WAIT stands outside of transactions and scripts, where it would not wait.
 *
 * WAIT is promised for writes. So every command that comes here writes each time it is sent (`operations.ts`): a DEL that
 * was done over a connection which is lost, and is repeated over another, finds nothing and would write nothing, while
 * the first one may still be on its way to the replicas.
 *
 * One WAIT serves all writes of one turn of the event loop that go to the same group of keys.
 */
import type { Call, Command, Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { DurableSettings } from './settings.ts'

export interface DurableWrite {
  readonly command: Command
  /** A key of its slot. */
  readonly key: string
  readonly durable: DurableSettings
  readonly deadlineAt: number
  readonly patient: boolean
  readonly bytes: boolean
}

interface Waiter extends DurableWrite {
  resolve(reply: unknown): void
  reject(error: unknown): void
}

/** So that one call does not keep a node from everybody else for long. */
const mostInOneCall = 256

export class GroupCommit {
  readonly #engine: Engine
  #waiting: Waiter[] = []

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** The reply, or a ReplyError as a value, once the copies have it. Rejects with INDETERMINATE when too few do. */
  write(write: DurableWrite): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // After the turn of the event loop, so that all who were woken by one batch of replies share the next batch.
      if (this.#waiting.push({ ...write, resolve, reject }) === 1) setImmediate(() => this.#flush())
    })
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const alike of byTerms(waiting)) {
      for (const group of this.#engine.group(alike.map(({ key }) => key))) {
        for (let at = 0; at < group.length; at += mostInOneCall) {
          void this.#commit(group.slice(at, at + mostInOneCall).map((index) => alike[index] as Waiter))
        }
      }
    }
  }

  /** Never rejects: its writers are told. */
  async #commit(writers: readonly Waiter[]): Promise<void> {
    const [{ durable, key, patient, bytes }] = writers as readonly [Waiter]
    const call: Call = {
      commands: [...writers.map(({ command }) => command), ['WAIT', String(durable.copies), String(durable.withinMs)]],
      key,
      deadlineAt: Math.max(...writers.map(({ deadlineAt }) => deadlineAt)),
      kind: 'write',
      idempotent: true,
      patient,
      bytes,
    }
    try {
      const { replies } = await this.#engine.lane('durable').send(call)
      const got = replies[writers.length]
      const enough = typeof got === 'number' && got >= durable.copies
      for (const [index, writer] of writers.entries()) {
        const reply = replies[index]
        if (reply instanceof Error || enough) writer.resolve(reply)
        else writer.reject(tooFew(durable, got))
      }
    } catch (error) {
      for (const writer of writers) writer.reject(error)
    }
  }
}

/** Those that can share one call, in the order they came. */
function byTerms(waiting: readonly Waiter[]): readonly (readonly Waiter[])[] {
  const groups = new Map<string, Waiter[]>()
  for (const waiter of waiting) {
    const { durable, patient, bytes, deadlineAt } = waiter
    // Deadlines of one turn differ by little, unless the callers said so; within 100 ms the later one serves.
    const terms = [durable.copies, durable.withinMs, patient, bytes, Math.floor(deadlineAt / 100)].join()
    const group = groups.get(terms)
    if (group === undefined) groups.set(terms, [waiter])
    else group.push(waiter)
  }
  return [...groups.values()]
}

function tooFew({ copies, withinMs }: DurableSettings, got: unknown): CacheError {
  const some = typeof got === 'number' ? got : 0
  return new CacheError(
    'INDETERMINATE',
    `the write was done, but ${some} of ${copies} copies had it within ${withinMs} ms: a failover may lose it`,
    { wanted: copies, got: some },
  )
}
