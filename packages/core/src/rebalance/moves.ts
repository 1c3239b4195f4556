/** What has to move for one assignment to become another, and which of it may move at the same time. */
import type { SlotRange } from '../slots.ts'
import { slotCountTotal } from '../slots.ts'
import { ownersOf } from './slot-map.ts'
import { byShardId } from './targets.ts'

export interface SlotMove {
  readonly from: string
  readonly to: string
  readonly slots: readonly SlotRange[]
  readonly count: number
}

/** One move for each pair of shards, the biggest first. What nobody has, or nobody shall have, is no move. */
export function movesBetween(
  owned: ReadonlyMap<string, readonly SlotRange[]>,
  wanted: ReadonlyMap<string, readonly SlotRange[]>,
  total: number = slotCountTotal,
): SlotMove[] {
  const ids = [...new Set([...owned.keys(), ...wanted.keys()])].sort(byShardId)
  const before = ownersOf(owned, ids, total)
  const after = ownersOf(wanted, ids, total)
  const byPair = new Map<number, { from: number; to: number; slots: [number, number][]; count: number }>()
  for (let slot = 0; slot < total; slot++) {
    const [from, to] = [before[slot] as number, after[slot] as number]
    if (from === to || from === 0 || to === 0) continue
    const pair = from * (ids.length + 1) + to
    const move = byPair.get(pair) ?? { from, to, slots: [], count: 0 }
    if (move.count === 0) byPair.set(pair, move)
    const last = move.slots.at(-1)
    if (last?.[1] === slot - 1) last[1] = slot
    else move.slots.push([slot, slot])
    move.count++
  }
  return [...byPair.values()]
    .sort((a, b) => b.count - a.count || a.from - b.from || a.to - b.to)
    .map(({ from, to, ...move }) => ({ from: ids[from - 1] as string, to: ids[to - 1] as string, ...move }))
}

/** The two ends of a move. */
export type Lane = Pick<SlotMove, 'from' | 'to'>

/**
 * Which of these moves may begin beside those under way, in their order: a shard is in one move at a time, as source or as
 * target, so that nobody serves two at once.
 */
export function movesToBegin<Move extends Lane>(moves: readonly Move[], underWay: readonly Lane[] = []): Move[] {
  const busy = new Set(underWay.flatMap(({ from, to }) => [from, to]))
  return moves.filter(({ from, to }) => {
    if (busy.has(from) || busy.has(to)) return false
    busy.add(from).add(to)
    return true
  })
}
