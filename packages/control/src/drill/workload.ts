/**
 * The writers of a drill: one a client kind and shard, each with one write under way and a key of its own for every
 * write. A client is shared by the shards' writers, as it is in a program. What is still under way when the drill ends
 * is indeterminate: it may yet be done.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ClientKind, DrillOperation, Outcome } from '@holdfast/core'
import type { DrillClient, Where } from './clients/client.ts'
import { openClient } from './clients/open-client.ts'

export interface WorkloadPlan {
  /** Part of every key. */
  readonly drill: string
  readonly where: Where
  readonly writers: readonly WriterPlan[]
  /** Between two writes of one writer, ms. */
  readonly restMs: number
}

export interface WriterPlan {
  readonly client: ClientKind
  readonly shard: string
  /** In braces, and in a slot of the shard. */
  readonly tag: string
}

/** Wall clock by a clock that does not jump, with parts of milliseconds. */
export const wallNow = (): number => performance.timeOrigin + performance.now()

interface UnderWay {
  readonly give: (outcome: Outcome, said: string | null) => void
}

/** What was sent just before the end may still be answered for this long. */
const graceMs = 1000

export class Workload {
  readonly #plan: WorkloadPlan
  readonly #record: (operation: DrillOperation) => void
  readonly #clients = new Map<ClientKind, DrillClient>()
  readonly #running: Promise<unknown>
  readonly #open = new Set<UnderWay>()
  #stopped = false

  constructor(plan: WorkloadPlan, record: (operation: DrillOperation) => void, open = openClient) {
    this.#plan = plan
    this.#record = record
    for (const { client } of plan.writers) {
      if (!this.#clients.has(client)) this.#clients.set(client, open(client, plan.where))
    }
    this.#running = Promise.all(plan.writers.map((writer) => this.#write(writer)))
  }

  /** Begins no more writes, and waits a second for those under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    const ended = new AbortController()
    await Promise.race([this.#running, delay(graceMs, undefined, { signal: ended.signal }).catch(() => {})])
    ended.abort()
    for (const open of this.#open) open.give('indeterminate', 'no answer until the drill ended')
    for (const client of this.#clients.values()) client.close()
  }

  async #write({ client: kind, shard, tag }: WriterPlan): Promise<void> {
    const client = this.#clients.get(kind) as DrillClient
    for (let count = 0; !this.#stopped; count++) {
      const name = `holdfast:drill:${this.#plan.drill}:${kind}:${count}`
      const operation = { client: kind, shard, key: client.key(tag, name), value: `${kind} ${shard} ${count}` }
      const underWay = this.#begin(operation)
      const { outcome, said } = await client.write(tag, name, operation.value)
      underWay.give(outcome, said)
      await delay(this.#plan.restMs)
    }
  }

  /** Whoever gives the outcome first has given it: there is no second one. */
  #begin(operation: Pick<DrillOperation, 'client' | 'shard' | 'key' | 'value'>): UnderWay {
    const begunAt = wallNow()
    const open: UnderWay = {
      give: (outcome, said) => {
        if (!this.#open.delete(open)) return
        this.#record({ ...operation, begunAt, endedAt: wallNow(), outcome, said })
      },
    }
    this.#open.add(open)
    return open
  }
}
