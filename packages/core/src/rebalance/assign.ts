/**
 * Which slots each shard shall have: the wanted assignment, which a rebalance then brings about. It is one answer for all
 * shards at once, so that a slot moves once or not at all, also where several shards are emptied.
 */
import type { SlotRange } from '../slots.ts'
import { slotCountTotal } from '../slots.ts'
import { assignByCost } from './by-cost.ts'
import { assignByCount } from './by-count.ts'
import { ownersOf, SlotMap } from './slot-map.ts'
import { byShardId, refuseUnlessPlaceable, slotTargets, weightOf } from './targets.ts'

export interface Assigning {
  /** What each shard has now. Slots that nobody has are given out as well. */
  readonly owned: ReadonlyMap<string, readonly SlotRange[]>
  /** Shares, one to another. A shard of weight 0, or without one, shall have none. */
  readonly weights: ReadonlyMap<string, number>
  /** What each slot weighs, by its number: bytes, or load. Absent, or nothing but zeros: all weigh the same. */
  readonly costs?: Float64Array
  /** The size of the space. Default: 16384. */
  readonly total?: number
}

/**
 * Every slot, by shard. Without costs as few slots move as can, with costs little cost; and whole ranges stay together. What
 * is as wanted already is given back as it is. The same for the same input, in whatever order the shards come.
 */
export function assignSlots({ owned, weights, costs, total = slotCountTotal }: Assigning): Map<string, SlotRange[]> {
  const ids = [...new Set([...weights.keys(), ...owned.keys()])].sort(byShardId)
  const map = new SlotMap(ownersOf(owned, ids, total), ids.length)
  if (costs?.some((cost) => cost > 0) === true) {
    const shares = ids.map((id) => weightOf(weights, id))
    refuseUnlessPlaceable(shares.filter((weight) => weight > 0).map(String), total)
    assignByCost(map, [0, ...shares], costs)
  } else {
    const have = new Map(ids.map((id, index) => [id, map.count(index + 1)]))
    const targets = slotTargets(have, weights, total)
    assignByCount(map, [0, ...ids.map((id) => targets.get(id) ?? 0)])
  }
  return new Map(ids.map((id, index) => [id, map.runsOf(index + 1)]))
}
