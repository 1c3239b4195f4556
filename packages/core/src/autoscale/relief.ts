/**
 * What helps a shard whose load stands out. One more shard is no answer to it: of an even share of the slots it would take
 * an even share, and the hot ones stay where they are.
 *
 * Its hottest slots go to whoever has least to do, the hottest first, so that as few move as can; each only where both are
 * less busy afterwards than the hot one is now. So the busiest of all is never busier than before. A slot that would stand
 * out on any shard helps nobody by moving, and is named instead: a slot is the smallest thing that moves, and most often
 * one key.
 */
import type { SlotMove } from '../rebalance/moves.ts'
import { movesBetween } from '../rebalance/moves.ts'
import type { SlotRange } from '../slots.ts'
import { normalizeSlots, subtractSlots } from '../slots.ts'
import { percent } from './percent.ts'
import { sumOf } from './window.ts'

export interface ReliefInput {
  readonly shards: readonly HotShard[]
  /** What each slot costs, by its number, one to another: of the engine's own statistics, or of samples. */
  readonly costs: Float64Array
  /** The hottest keys that are known, by their slots. Default: none is known. */
  readonly hotKeys?: ReadonlyMap<number, string>
}

export interface HotShard {
  readonly id: string
  /** The main thread of its primary, as a share of one core. */
  readonly cpu: number
  readonly slots: readonly SlotRange[]
}

export type Relief =
  /** No shard stands out, or none is busy. */
  | { readonly kind: 'even'; readonly because: string }
  /** One does, and nobody knows by which slots. */
  | { readonly kind: 'unknown'; readonly shard: string; readonly because: string }
  /** One slot is its load: no move of slots helps. `key` null: not known which. */
  | {
      readonly kind: 'one-key'
      readonly shard: string
      readonly slot: number
      readonly key: string | null
      /** Of the load of its shard. */
      readonly share: number
      readonly because: string
    }
  /** These slots go elsewhere. `cpu`: how busy each shard would be. */
  | {
      readonly kind: 'spread'
      readonly shard: string
      readonly moves: readonly SlotMove[]
      readonly cpu: ReadonlyMap<string, number>
      readonly because: string
    }

/** Whose load is that much of the mean stands out. */
const standsOutAt = 1.5
/** Below this share of a core nobody has to wait, whoever stands out. */
const busyAbove = 0.5
/** As near to the mean a shard is brought; nearer would move many slots for little. */
const settledAt = 1.1

export function planRelief({ shards, costs, hotKeys = new Map() }: ReliefInput): Relief {
  const [hot, ...others] = [...shards].sort((a, b) => b.cpu - a.cpu || (a.id < b.id ? -1 : 1))
  if (hot === undefined || others.length === 0) return { kind: 'even', because: 'there is one shard, and no other' }
  const mean = sumOf(shards, ({ cpu }) => cpu) / shards.length
  const where = `${hot.id} is at ${percent(hot.cpu)}, and the mean of ${shards.length} shards ${percent(mean)}`
  if (hot.cpu < busyAbove || hot.cpu <= mean * standsOutAt)
    return { kind: 'even', because: `${where}: none stands out` }
  const loads = loadsOf(hot, costs)
  const heaviest = loads[0]
  if (heaviest === undefined) {
    return { kind: 'unknown', shard: hot.id, because: `${where}; by which of its slots is not known` }
  }
  const { moved, cpu } = heaviest.load > mean * standsOutAt ? nothingMoved : spread(hot, others, loads, mean)
  if (moved.size === 0) return oneKey(hot, heaviest, hotKeys, where)
  const moves = movesBetween(ownedBy(shards), ownedAfter(shards, moved))
  const most = Math.max(...cpu.values())
  const because = `${where}: ${moved.size} of its slots go elsewhere, and the busiest is at ${percent(most)} then`
  return { kind: 'spread', shard: hot.id, moves, cpu, because }
}

interface SlotLoad {
  readonly slot: number
  /** As a share of one core. */
  readonly load: number
}

interface Spread {
  /** To which shard each slot goes. */
  readonly moved: ReadonlyMap<number, string>
  readonly cpu: ReadonlyMap<string, number>
}

const nothingMoved: Spread = { moved: new Map(), cpu: new Map() }

/** What each slot of a shard has of its load, the heaviest first; those that cost nothing are left out. */
function loadsOf({ cpu, slots }: HotShard, costs: Float64Array): SlotLoad[] {
  const own: SlotLoad[] = []
  for (const [from, to] of slots) {
    for (let slot = from; slot <= to; slot++) {
      const load = costs[slot] ?? 0
      if (load > 0) own.push({ slot, load })
    }
  }
  const total = sumOf(own, ({ load }) => load)
  return own
    .map(({ slot, load }) => ({ slot, load: (cpu * load) / total }))
    .sort((a, b) => b.load - a.load || a.slot - b.slot)
}

function spread(hot: HotShard, others: readonly HotShard[], loads: readonly SlotLoad[], mean: number): Spread {
  const cpu = new Map([hot, ...others].map((shard) => [shard.id, shard.cpu]))
  const moved = new Map<number, string>()
  const busy = (id: string): number => cpu.get(id) ?? 0
  for (const { slot, load } of loads) {
    if (busy(hot.id) <= mean * settledAt) break
    const coolest = others.reduce((least, one) => (busy(one.id) < busy(least.id) ? one : least)).id
    if (busy(coolest) + load >= busy(hot.id)) continue
    cpu.set(coolest, busy(coolest) + load)
    cpu.set(hot.id, busy(hot.id) - load)
    moved.set(slot, coolest)
  }
  return { moved, cpu }
}

function oneKey(hot: HotShard, { slot, load }: SlotLoad, hotKeys: ReadonlyMap<number, string>, where: string): Relief {
  const key = hotKeys.get(slot) ?? null
  const share = load / hot.cpu
  const name = key === null ? `slot ${slot}` : `the key ${JSON.stringify(key)} in slot ${slot}`
  const because = `${where}: ${name} is ${percent(share)} of that, and wherever it lies its shard stands out. No other number of shards and no move of slots helps: split the key, or keep it in the applications`
  return { kind: 'one-key', shard: hot.id, slot, key, share, because }
}

const ownedBy = (shards: readonly HotShard[]): Map<string, readonly SlotRange[]> =>
  new Map(shards.map(({ id, slots }) => [id, slots]))

function ownedAfter(
  shards: readonly HotShard[],
  moved: ReadonlyMap<number, string>,
): Map<string, readonly SlotRange[]> {
  const gone = [...moved.keys()].map((slot): SlotRange => [slot, slot])
  return new Map(
    shards.map(({ id, slots }) => {
      const coming = gone.filter(([slot]) => moved.get(slot) === id)
      return [id, normalizeSlots([...subtractSlots(slots, normalizeSlots(gone)), ...coming])]
    }),
  )
}
