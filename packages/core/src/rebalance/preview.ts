/** What a rebalance would do, and why, in words and figures. */
import { HoldfastError } from '../error.ts'
import type { Assignment } from '../operation.ts'
import type { SlotRange } from '../slots.ts'
import { countSlots, slotsIn } from '../slots.ts'
import { formatBytes, formatDuration } from '../units.ts'
import { assignSlots } from './assign.ts'
import type { Mover, SlotContents } from './estimate.ts'
import { expectedMs, expectedMsOfAll, moverRates, sumIn } from './estimate.ts'
import type { SlotMove } from './moves.ts'
import { movesBetween } from './moves.ts'

/** What shall be shared out: the slots, what is in them, or the work with them. */
export const balanceKinds = ['slots', 'bytes', 'load'] as const
export type BalanceKind = (typeof balanceKinds)[number]

export interface RebalanceWish {
  readonly by: BalanceKind
  /** Shares, one to another, by the shard's id. Who is not named has 1; with 0 it is emptied. */
  readonly weights: ReadonlyMap<string, number>
}

/** A shard, and what it has before and after. */
export interface ShardBalance {
  readonly id: string
  readonly weight: number
  readonly before: Held
  readonly after: Held
}

interface Held {
  readonly slots: number
  /** Null: not known. */
  readonly keys: number | null
  readonly bytes: number | null
  /** Of the load of all, 0 to 1; null: not known. */
  readonly load: number | null
}

export interface PlannedMove extends SlotMove {
  /** Null: not known. */
  readonly keys: number | null
  readonly bytes: number | null
  readonly expectedMs: number
  readonly because: string
}

export interface RebalancePreview {
  readonly by: BalanceKind
  readonly mover: Mover
  /** All of it in a sentence. */
  readonly because: string
  /** What else is to be known of it. */
  readonly notes: readonly string[]
  readonly shards: readonly ShardBalance[]
  /** The biggest first; one a pair of shards. */
  readonly moves: readonly PlannedMove[]
  /** From the first move to the last. */
  readonly expectedMs: number
  /** What each shard would have in the end. */
  readonly wanted: Assignment
}

export interface Rebalancing extends RebalanceWish {
  readonly owned: ReadonlyMap<string, readonly SlotRange[]>
  /** Null: not known. */
  readonly contents: SlotContents | null
  readonly mover: Mover
}

/** Throws USAGE for a weight of a shard that there is not, REFUSED_UNSAFE where nobody is left to have the slots. */
export function previewRebalance(input: Rebalancing): RebalancePreview {
  const { owned, by, contents, mover } = input
  const weights = weightsFor(input)
  const costs = costsFor(by, contents)
  const wanted = assignSlots({ owned, weights, ...(costs === null ? {} : { costs }) })
  const held = (slots: readonly SlotRange[] = []): Held => heldIn(slots, contents)
  const shards = [...weights].map(([id, weight]) => ({
    id,
    weight,
    before: held(owned.get(id)),
    after: held(wanted.get(id)),
  }))
  const moves = movesBetween(owned, wanted).map((move) => ({
    ...move,
    keys: contents === null ? null : sumIn(contents.keys, move.slots),
    bytes: contents === null ? null : Math.round(sumIn(contents.bytes, move.slots)),
    expectedMs: expectedMs(move, contents, moverRates[mover]),
    because: whyOf(move, shards, by),
  }))
  const expected = expectedMsOfAll(moves)
  return {
    by,
    mover,
    because: sentenceOf(moves, by, expected),
    notes: [...votersLeft(weights), ...(costs === null ? [] : heaviest(wanted, costs, weights, by))],
    shards,
    moves,
    expectedMs: expected,
    wanted: Object.fromEntries(wanted),
  }
}

function weightsFor({ owned, weights }: Rebalancing): Map<string, number> {
  const ids = [...owned.keys()]
  const unknown = [...weights.keys()].find((id) => !owned.has(id))
  if (unknown !== undefined) {
    throw new HoldfastError('USAGE', `a weight for ${unknown}: there is no such shard, only ${ids.join(', ')}`)
  }
  return new Map(ids.map((id) => [id, weights.get(id) ?? 1]))
}

/** Null: by the number of slots. */
function costsFor(by: BalanceKind, contents: SlotContents | null): Float64Array | null {
  if (by === 'slots' || contents === null) return null
  return by === 'bytes' ? contents.bytes : (contents.load ?? contents.keys)
}

function heldIn(slots: readonly SlotRange[], contents: SlotContents | null): Held {
  const load = contents?.load ?? null
  const all = load === null ? 0 : load.reduce((sum, one) => sum + one, 0)
  return {
    slots: countSlots(slots),
    keys: contents === null ? null : sumIn(contents.keys, slots),
    bytes: contents === null ? null : Math.round(sumIn(contents.bytes, slots)),
    load: load === null || all === 0 ? null : sumIn(load, slots) / all,
  }
}

/** `shard-1 has 5461 slots and shall have 4096; shard-4 has 0 and shall have 4096` */
function whyOf({ from, to }: SlotMove, shards: readonly ShardBalance[], by: BalanceKind): string {
  const [source, target] = [from, to].map((id) => shards.find((one) => one.id === id)) as [ShardBalance, ShardBalance]
  const left = source.weight === 0 ? 'none' : amountOf(source.after, by)
  return `${from} has ${amountOf(source.before, by)} and shall have ${left}; ${to} has ${amountOf(target.before, by)} and shall have ${amountOf(target.after, by)}`
}

function amountOf({ slots, keys, bytes, load }: Held, by: BalanceKind): string {
  if (by === 'bytes' && bytes !== null) return formatBytes(bytes)
  if (by === 'load' && load !== null) return `${Math.round(load * 100)} % of the load`
  // Where nobody counts the load, keys stand for it.
  if (by === 'load' && keys !== null) return `${keys} keys`
  return `${slots} slots`
}

function sentenceOf(moves: readonly PlannedMove[], by: BalanceKind, expected: number): string {
  if (moves.length === 0 && by === 'slots') return 'nothing to move: every shard has its share of the slots'
  if (moves.length === 0) {
    return `nothing to move: every shard has its share of the ${by} within 2 %, or as near to it as whole slots allow`
  }
  const slots = moves.reduce((sum, { count }) => sum + count, 0)
  const bytes = moves.reduce<number | null>(
    (sum, one) => (sum === null || one.bytes === null ? null : sum + one.bytes),
    0,
  )
  const size = bytes === null ? '' : ` with ${formatBytes(bytes)}`
  const one = moves.length === 1 ? 'move' : 'moves'
  return `${moves.length} ${one} of ${slots} slots${size}, about ${formatDuration(expected)}`
}

/** With slots on two shards alone the loss of one leaves no majority. */
function votersLeft(weights: ReadonlyMap<string, number>): string[] {
  const left = [...weights].filter(([, weight]) => weight > 0)
  if (left.length >= 3 || left.length === weights.size) return []
  return [
    `only ${left.map(([id]) => id).join(' and ')} would have slots, and only who has slots votes: after the loss of one of them nobody could elect another`,
  ]
}

/** A slot that is more than half of what a shard shall have decides alone: moving it moves the trouble. */
function heaviest(
  wanted: ReadonlyMap<string, readonly SlotRange[]>,
  costs: Float64Array,
  weights: ReadonlyMap<string, number>,
  by: BalanceKind,
): string[] {
  const all = costs.reduce((sum, cost) => sum + cost, 0)
  const sum = [...weights.values()].reduce((one, weight) => one + weight, 0)
  return [...wanted].flatMap(([id, slots]) => {
    const share = (all * (weights.get(id) ?? 0)) / sum
    if (all === 0 || sumIn(costs, slots) <= share * 1.02) return []
    const slot = slotsIn(slots).reduce((most, one) => ((costs[one] ?? 0) > (costs[most] ?? 0) ? one : most))
    const part = Math.round(((costs[slot] ?? 0) / all) * 100)
    if ((costs[slot] ?? 0) < share / 2) return []
    return [
      `slot ${slot} of ${id} is ${part} % of the ${by} by itself: no move makes that less, only keys in more than one slot do`,
    ]
  })
}
