import { setTimeout as delay } from 'node:timers/promises'
import type { Promotion, Status } from '@holdfast/core'
import type { FindDesk } from './desk.ts'
import { askIfThere } from './desk.ts'

const lookEveryMs = 150

/** Looks at a deployment all through a drill, and remembers what a single look would not tell. */
export class Watch {
  readonly promotions: Promotion[] = []
  /** Since when it is ready without a break, wall clock; null: it is not. */
  readySince: number | null = null
  #latest: Status
  readonly #primaries = new Map<string, string>()
  /** Of each node while it was the primary, and while it was a replica. */
  readonly #offsets = { primary: new Map<string, number>(), replica: new Map<string, number>() }
  readonly #name: string
  readonly #find: FindDesk
  readonly #ended = new AbortController()
  readonly #looking: Promise<void>

  constructor(first: Status, find: FindDesk) {
    this.#name = first.name
    this.#find = find
    this.#latest = first
    this.see(first)
    this.#looking = this.#look()
  }

  get latest(): Status {
    return this.#latest
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#looking
  }

  see(status: Status): void {
    this.#latest = status
    for (const { id: shard, primary } of status.shards) {
      const before = this.#primaries.get(shard)
      if (primary === null || primary === before) continue
      this.#primaries.set(shard, primary)
      if (before !== undefined) this.promotions.push(this.#promotion(shard, before, primary))
    }
    for (const { id, role, offset } of status.nodes) {
      if (offset !== null && role !== 'unknown') this.#offsets[role].set(id, offset)
    }
    if (status.ready !== 'yes') this.readySince = null
    else this.readySince ??= status.observedAt
  }

  #promotion(shard: string, from: string, to: string): Promotion {
    const offsetBefore = this.#offsets.primary.get(from) ?? null
    return { shard, from, to, offsetBefore, offsetAfter: this.#offsets.replica.get(to) ?? null }
  }

  async #look(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      // A deployment that is gone, or a controller that has not looked yet, tells nothing.
      const status = await askIfThere(this.#find, (desk) => desk.status(this.#name)).catch(() => undefined)
      if (status !== undefined) this.see(status)
      await delay(lookEveryMs, undefined, { signal }).catch(() => {})
    }
  }
}
