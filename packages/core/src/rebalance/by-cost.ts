/**
 * As much cost for each owner as its share, within a tolerance. Who is to be emptied gives everything first, to whoever lacks
 * most. Then, as long as somebody is outside of its tolerance, who has most above its share gives to who lacks most: a piece
 * from the end of a run, of no more than the one has above and the other lacks. Where no such piece is left, a single slot
 * that is heavier, if the two are nearer to their shares after it.
 *
 * So every piece lessens the sum of the squares of what is too much or too little. That is why it comes to an end, why no heavy
 * slot goes round in circles, and why planning again from the result moves nothing. An owner whose load is in one slot keeps
 * it: no assignment helps there.
 */
import type { SlotRange } from '../slots.ts'
import { lengthOf } from './by-count.ts'
import type { SlotMap } from './slot-map.ts'

/** How far from its share an owner may be, or by half of an average slot. `redis-cli` calls a cluster balanced at the same. */
const toleranceRatio = 0.02

/** What all slots cost together, in whole parts: so sums are exact, in whatever order they are made. */
const partsTotal = 2 ** 40

interface Piece {
  readonly slots: SlotRange
  readonly cost: number
}

interface Hopeless {
  end: number
  single: number
}

/** `shares`: by the owner's number, one to another; nobody's is 0. Slots beyond `costs` cost nothing. */
export function assignByCost(map: SlotMap, shares: readonly number[], costs: Float64Array): void {
  const costAt = inParts(costs, map.total)
  const held = shares.map((_, owner) => map.runsOf(owner).reduce((sum, run) => sum + costOf(run), 0))
  const shareSum = shares.reduce((sum, share) => sum + share, 0)
  const total = held.reduce((sum, cost) => sum + cost, 0)
  const target = shares.map((share) => (total * share) / shareSum)
  // Nearer than that nobody is brought but by luck, with many slots that go here and there for it.
  const slotHalf = total / costAt.filter((cost) => cost > 0).length / 2
  const stays = shares.flatMap((share, owner) => (share > 0 ? [owner] : []))

  for (const [owner, share] of shares.entries()) {
    if (share === 0) for (const run of map.runsOf(owner)) emptyOut(run)
  }
  giveEachOne()
  /** Who has most above its share first, who lacks most last. */
  const order = [...stays].sort(mostAbove)
  /** Up to which bound an owner was found to have nothing to give, since it last changed. Looking again would find nothing again. */
  const hopeless = new Map(stays.map((owner) => [owner, { end: 0, single: 0 }]))
  while (balance());

  function mostAbove(one: number, other: number): number {
    return above(other) - above(one) || one - other
  }

  function costOf([from, to]: SlotRange): number {
    let sum = 0
    for (let slot = from; slot <= to; slot++) sum += costAt[slot] as number
    return sum
  }

  /** What an owner has above its share; below 0, it lacks that much. */
  function above(owner: number): number {
    return (held[owner] as number) - (target[owner] as number)
  }

  function give({ slots, cost }: Piece, taker: number): void {
    const source = map.ownerAt(slots[0]) as number
    held[source] = (held[source] as number) - cost
    held[taker] = (held[taker] as number) + cost
    map.give(slots, taker)
  }

  /** In pieces of what the next in need lacks: one slot at least, whatever it costs. */
  function emptyOut([first, last]: SlotRange): void {
    for (let from = first; from <= last; ) {
      const taker = neediest()
      const limit = -above(taker)
      let cost = costAt[from] as number
      let to = from
      while (to < last && cost + (costAt[to + 1] as number) <= limit) cost += costAt[++to] as number
      give({ slots: [from, to], cost }, taker)
      from = to + 1
    }
  }

  function neediest(): number {
    return stays.reduce((most, one) => (above(one) < above(most) ? one : most))
  }

  /** A primary without slots has no vote, so nobody is left without: the lightest at an end, from who has most slots. */
  function giveEachOne(): void {
    for (const poor of stays.filter((owner) => map.count(owner) === 0)) {
      const rich = stays.reduce((most, one) => (map.count(one) > map.count(most) ? one : most))
      const slot = map
        .runsOf(rich)
        .flat()
        .reduce((best, one) => ((costAt[one] as number) < (costAt[best] as number) ? one : best))
      give({ slots: [slot, slot], cost: costAt[slot] as number }, poor)
    }
  }

  /** Gives one piece. False: all are within their tolerance, or nothing helps. */
  function balance(): boolean {
    const taker = order.at(-1) as number
    if (!stays.some(isOff)) return false
    for (const pieceOf of [endPiece, singleSlot]) {
      for (const source of order) {
        // Between two who are both within their tolerance nothing is to be mended; and the last slot of an owner stays.
        if (above(source) <= above(taker)) break
        if (map.count(source) < 2 || !(isOff(source) || isOff(taker))) continue
        const piece = pieceOf(source, taker)
        if (piece === undefined) continue
        give(piece, taker)
        putInOrder([source, taker])
        return true
      }
    }
    return false
  }

  function isOff(owner: number): boolean {
    return Math.abs(above(owner)) > Math.max(toleranceRatio * (target[owner] as number), slotHalf)
  }

  /** Whose shares have changed are put where they belong; all others are there. */
  function putInOrder(changed: readonly number[]): void {
    for (const owner of changed) order.splice(order.indexOf(owner), 1)
    for (const owner of changed) {
      let [low, high] = [0, order.length]
      while (low < high) {
        const middle = (low + high) >> 1
        if (mostAbove(order[middle] as number, owner) < 0) low = middle + 1
        else high = middle
      }
      order.splice(low, 0, owner)
      hopeless.set(owner, { end: 0, single: 0 })
    }
  }

  /** From the end of a run: one that borders the taker's slots before any other, then what gives most. */
  function endPiece(source: number, taker: number): Piece | undefined {
    const limit = Math.min(above(source), -above(taker))
    const known = hopeless.get(source) as Hopeless
    if (limit <= known.end) return undefined
    let best: (Piece & { borders: boolean }) | undefined
    for (const run of map.someRunsOf(source)) {
      for (const end of [0, 1] as const) {
        const piece = pieceFrom(run, end, limit)
        if (piece.cost === 0) continue
        const borders = map.ownerAt(end === 0 ? run[0] - 1 : run[1] + 1) === taker
        const isBetter =
          best === undefined ||
          (Number(borders) - Number(best.borders) || piece.cost - best.cost || best.slots[0] - piece.slots[0]) > 0
        if (isBetter) best = { ...piece, borders }
      }
    }
    if (best === undefined) known.end = limit
    return best
  }

  /** As many slots from this end as cost no more than that together, but not the last one of all. Those inmost that cost nothing stay. */
  function pieceFrom(run: SlotRange, end: 0 | 1, limit: number): Piece {
    const step = end === 0 ? 1 : -1
    let cost = 0
    let inner = run[end]
    const most = Math.min(lengthOf(run), map.count(map.ownerAt(run[0]) as number) - 1)
    for (let slot = run[end], count = 0; count < most; slot += step, count++) {
      const one = costAt[slot] as number
      if (cost + one > limit) break
      cost += one
      if (one > 0) inner = slot
    }
    return { slots: end === 0 ? [run[0], inner] : [inner, run[1]], cost }
  }

  /** The heaviest that is not too much for either; else the lightest after which the two are nearer to their shares. */
  function singleSlot(source: number, taker: number): Piece | undefined {
    const limit = Math.min(above(source), -above(taker))
    const apart = above(source) - above(taker)
    const known = hopeless.get(source) as Hopeless
    if (apart <= known.single) return undefined
    let best = -1
    let bestCost = 0
    for (const [first, last] of map.someRunsOf(source)) {
      for (let slot = first; slot <= last; slot++) {
        const cost = costAt[slot] as number
        if (cost === 0 || cost >= apart) continue
        const fits = cost <= limit
        const isBetter =
          best < 0 ||
          (fits ? bestCost > limit || cost > bestCost : bestCost > limit && cost < bestCost) ||
          (cost === bestCost && slot < best)
        if (isBetter) [best, bestCost] = [slot, cost]
      }
    }
    if (best < 0) known.single = apart
    return best < 0 ? undefined : { slots: [best, best], cost: bestCost }
  }
}

function inParts(costs: Float64Array, total: number): Float64Array {
  const slots = costs.subarray(0, total)
  const sum = slots.reduce((all, cost) => all + cost, 0)
  const parts = new Float64Array(total)
  for (const [slot, cost] of slots.entries()) parts[slot] = Math.round((cost / sum) * partsTotal)
  return parts
}
