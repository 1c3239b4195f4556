/** One deployment, looked at through the client that applications use: a lookout for each shard. */
import type { Look, ShardStatus, SlotRange, Status } from '@holdfast/core'
import { formatSlots, hasSlot, slotOf } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { ProbeClient } from './client.ts'
import { Lookout } from './lookout.ts'

/** A shard that owns this few slots is on its way in or out: finding a tag for it would take long. */
const triesMax = 100_000

interface Post {
  readonly slots: string
  /** Null: no tag belongs to its slots. */
  readonly lookout: Lookout | null
}

export class Probe {
  readonly #client: ProbeClient
  readonly #clock: Clock
  readonly #onLook: (look: Look, reason: string) => void
  readonly #posts = new Map<string, Post>()
  /** Shards whose primary was not well in the last look. */
  readonly #unwell = new Set<string>()

  constructor(client: ProbeClient, clock: Clock, onLook: (look: Look, reason: string) => void) {
    this.#client = client
    this.#clock = clock
    this.#onLook = onLook
  }

  /** Takes up what shards there are, and looks closely at those that are not well. */
  see({ shards, nodes }: Status): void {
    for (const shard of shards) {
      this.#post(shard)
      const isWell = nodes.find(({ id }) => id === shard.primary)?.state === 'ok'
      // Once: a lookout that finds something goes on by itself, and one that does not need not be hurried.
      if (!isWell && !this.#unwell.has(shard.id)) this.alert(shard.id)
      if (isWell) this.#unwell.delete(shard.id)
      else this.#unwell.add(shard.id)
    }
    for (const [id, { lookout }] of this.#posts) {
      if (shards.some((shard) => shard.id === id)) continue
      lookout?.stop()
      this.#posts.delete(id)
    }
  }

  alert(shard: string): void {
    this.#posts.get(shard)?.lookout?.alert()
  }

  async stop(): Promise<void> {
    for (const { lookout } of this.#posts.values()) lookout?.stop()
    this.#posts.clear()
    await this.#client.close()
  }

  /** A shard without slots is not looked at, unless it just lost them with its primary: then its former ones count. */
  #post({ id, slots }: ShardStatus): void {
    const known = this.#posts.get(id)
    const shape = formatSlots(slots)
    if (shape === '' || known?.slots === shape) return
    known?.lookout?.stop()
    const tag = tagOf(slots)
    const lookout = tag === undefined ? null : this.#lookout(id, tag)
    this.#posts.set(id, { slots: shape, lookout })
    void lookout?.run()
  }

  #lookout(shard: string, tag: string): Lookout {
    return new Lookout({ shard, clock: this.#clock, write: () => this.#client.write(tag), onLook: this.#onLook })
  }
}

/** The first number whose slot is among these. */
export function tagOf(slots: readonly SlotRange[]): string | undefined {
  for (let number = 0; number < triesMax; number++) {
    if (hasSlot(slots, slotOf(`{${number}}`))) return `{${number}}`
  }
  return undefined
}
