import type { ClientKind, SlotRange, Status } from '@holdfast/core'
import { hasSlot, slotOf } from '@holdfast/core'
import type { WriterPlan } from './workload.ts'

/** A tag in a slot of each shard that has any. */
export function tagsOf({ shards }: Pick<Status, 'shards'>): ReadonlyMap<string, string> {
  return new Map(shards.flatMap(({ id, slots }) => (slots.length === 0 ? [] : [[id, tagIn(slots)]])))
}

/** Far more than it takes for a shard of a few slots. */
const tagsTried = 500_000

function tagIn(slots: readonly SlotRange[]): string {
  for (let number = 0; number < tagsTried; number++) {
    const tag = `{${number.toString(36)}}`
    if (hasSlot(slots, slotOf(tag))) return tag
  }
  throw new Error('no tag lies in the slots of a shard')
}

export function writersFor(clients: readonly ClientKind[], tags: ReadonlyMap<string, string>): WriterPlan[] {
  return clients.flatMap((client) => [...tags].map(([shard, tag]) => ({ client, shard, tag })))
}

const restMsMin = 4
/** So many records fit into memory, and a page can be drawn of them. */
const writesMax = 300_000

/** Between two writes of one writer: a few ms, more where a long drill with many writers would write too much. */
export const restMsFor = (writers: number, lastingMs: number): number =>
  Math.max(restMsMin, Math.ceil((lastingMs * writers) / writesMax))
