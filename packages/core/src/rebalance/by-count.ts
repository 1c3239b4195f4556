/**
 * As many slots for each owner as it shall have. Only what an owner has too much of is given away, and only to who has too
 * few: that is the least that can move. What of it moves is chosen so that few pieces come of it, in this order:
 *
 * 1. a whole run that borders slots of who takes it: one piece fewer than before;
 * 2. slots at the end of a run, next to slots of who takes them: as many pieces as before;
 * 3. a whole run, to where it fits: as many as before;
 * 4. slots cut from the end of a run, one piece more. Each such cut gives one owner all that it shall give, or another all
 *    that it shall get, so there are fewer of them than owners; and the next piece goes beside it if it can.
 */
import type { SlotRange } from '../slots.ts'
import type { SlotMap } from './slot-map.ts'

export const lengthOf = ([from, to]: SlotRange): number => to - from + 1

/** `targets`: by the owner's number; nobody's is 0. All of them are all slots. */
export function assignByCount(map: SlotMap, targets: readonly number[]): void {
  const owners = targets.map((_, owner) => owner)
  const surplus = (owner: number | undefined): number =>
    owner === undefined ? 0 : map.count(owner) - (targets[owner] as number)
  const sources = owners.filter((owner) => surplus(owner) > 0)
  const takers = owners.filter((owner) => surplus(owner) < 0).sort((a, b) => surplus(a) - surplus(b) || a - b)
  const runs = sources.flatMap((source) => map.runsOf(source))

  giveToNeighbours(runs)
  giveWhole(takers, runs)
  for (const taker of takers) while (surplus(taker) < 0) cutFor(taker)

  /** The first and second of the ways above. A run that went may make the next one a neighbour. */
  function giveToNeighbours(of: readonly SlotRange[]): void {
    const left = [...of].reverse()
    const stay: SlotRange[] = []
    for (let run = left.pop(); run !== undefined; run = left.pop()) {
      const taker = neighbourFor(run)
      if (taker === undefined) stay.push(run)
      else left.push(...map.besides(map.give(run, taker)))
    }
    for (const run of stay) shiftEnds(run)
  }

  /** Who borders this run and needs all of it, if its owner has so much to give. */
  function neighbourFor(run: SlotRange): number | undefined {
    if (surplus(map.ownerAt(run[0])) < lengthOf(run)) return undefined
    const beside = [map.ownerAt(run[0] - 1), map.ownerAt(run[1] + 1)]
    return beside.find((owner) => -surplus(owner) >= lengthOf(run))
  }

  function shiftEnds([first, last]: SlotRange): void {
    const source = map.ownerAt(first) as number
    if (surplus(source) <= 0 || !map.isRun([first, last], source)) return
    const before = map.ownerAt(first - 1)
    const lost = Math.min(surplus(source), -surplus(before), lengthOf([first, last]))
    if (before !== undefined && lost > 0) map.give([first, first + lost - 1], before)
    const kept = first + Math.max(0, lost)
    const after = map.ownerAt(last + 1)
    const more = Math.min(surplus(source), -surplus(after), lengthOf([kept, last]))
    if (after !== undefined && more > 0) map.give([last - more + 1, last], after)
  }

  /** The third: the largest that fit, to who needs most. */
  function giveWhole(to: readonly number[], from: readonly SlotRange[]): void {
    const bySize = new Map<number, { run: SlotRange; source: number }[]>()
    for (const run of [...from].reverse()) {
      const same = bySize.get(lengthOf(run))
      const one = { run, source: map.ownerAt(run[0]) as number }
      if (same === undefined) bySize.set(lengthOf(run), [one])
      else same.push(one)
    }
    for (const taker of to) {
      for (let size = -surplus(taker); size > 0; size--) {
        const same = bySize.get(size) ?? []
        while (same.length > 0 && -surplus(taker) >= size) {
          const { run, source } = same.pop() as { run: SlotRange; source: number }
          if (surplus(source) >= size && map.isRun(run, source)) giveToNeighbours(map.besides(map.give(run, taker)))
        }
      }
    }
  }

  /** The fourth, from who has most to give. */
  function cutFor(taker: number): void {
    const source = sources.reduce((most, one) => (surplus(one) > surplus(most) ? one : most))
    const count = Math.min(surplus(source), -surplus(taker))
    const candidates = map.someRunsOf(source).map((run) => ({ run, ...cutFrom(run, count) }))
    const { piece } = candidates.reduce((best, one) => (isBetter(one, best) ? one : best))
    giveToNeighbours(map.besides(map.give(piece, taker)))
  }

  /** All of a run if it is no more than that, else an end of it: beside a run that has something to give, if one is there. */
  function cutFrom(run: SlotRange, count: number): { piece: SlotRange; rank: number } {
    const [first, last] = run
    if (lengthOf(run) <= count) return { piece: run, rank: 2 }
    const atEnd: SlotRange = [last - count + 1, last]
    if (surplus(map.ownerAt(last + 1)) > 0) return { piece: atEnd, rank: 1 }
    if (surplus(map.ownerAt(first - 1)) > 0) return { piece: [first, first + count - 1], rank: 1 }
    return { piece: atEnd, rank: 0 }
  }
}

interface Candidate {
  readonly run: SlotRange
  readonly rank: number
}

const isBetter = (one: Candidate, best: Candidate): boolean =>
  (one.rank - best.rank || lengthOf(one.run) - lengthOf(best.run) || best.run[0] - one.run[0]) > 0
