/**
 * How many slots each shard shall have, from weights. Whole slots by the largest remainder: everybody gets the whole part of
 * its share, and what is left over goes to the largest fractions. Where fractions are equal, to whoever already has more than
 * its whole part, which is a slot that need not move.
 */
import { HoldfastError } from '../error.ts'
import { slotCountTotal } from '../slots.ts'

/** Shards by their numbers, whatever they are called: `shard-2` before `shard-10`. */
export const byShardId = (one: string, other: string): number =>
  one.length - other.length || (one < other ? -1 : one > other ? 1 : 0)

/** Fractions that differ by less are equal: what differs is the rounding of the division. */
const fractionDigits = 1e9

/**
 * `have`: slots of each shard now. A shard without a weight, or of weight 0, shall have none; every other has one at least.
 * Throws REFUSED_UNSAFE where no shard is left to have them, or there are more shards than slots.
 */
export function slotTargets(
  have: ReadonlyMap<string, number>,
  weights: ReadonlyMap<string, number>,
  total: number = slotCountTotal,
): Map<string, number> {
  const ids = [...weights.keys()].filter((id) => weightOf(weights, id) > 0).sort(byShardId)
  refuseUnlessPlaceable(ids, total)
  const sum = ids.reduce((all, id) => all + weightOf(weights, id), 0)
  const shares = ids.map((id) => {
    const exact = (total * weightOf(weights, id)) / sum
    const whole = Math.floor(exact)
    const above = (have.get(id) ?? 0) - whole
    return { id, slots: whole, fraction: Math.round((exact - whole) * fractionDigits), above }
  })
  const left = total - shares.reduce((all, { slots }) => all + slots, 0)
  const inOrder = [...shares].sort((a, b) => b.fraction - a.fraction || b.above - a.above || byShardId(a.id, b.id))
  for (const share of inOrder.slice(0, left)) share.slots++
  giveEachOne(shares)
  const leaving = [...new Set([...have.keys(), ...weights.keys()])].filter((id) => !ids.includes(id))
  return new Map([...leaving.map((id) => [id, 0] as const), ...shares.map(({ id, slots }) => [id, slots] as const)])
}

export function weightOf(weights: ReadonlyMap<string, number>, id: string): number {
  const weight = weights.get(id) ?? 0
  if (Number.isFinite(weight) && weight >= 0) return weight
  throw new HoldfastError('USAGE', `the weight of ${id} is ${weight}: say 0 to empty it, or a number above 0`, { id })
}

export function refuseUnlessPlaceable(ids: readonly string[], total: number): void {
  if (ids.length === 0) {
    const because = 'no shard has a weight above 0: somebody has to own the slots. Give at least one shard a weight.'
    throw new HoldfastError('REFUSED_UNSAFE', because)
  }
  if (ids.length > total) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${ids.length} shards cannot share ${total} slots: each needs one at least. Want ${total} shards or fewer.`,
      { shards: ids.length, slots: total },
    )
  }
}

/** A primary without any slot is none that anybody votes with: the smallest share is one, from whoever has most. */
function giveEachOne(shares: { readonly id: string; slots: number; readonly above: number }[]): void {
  for (const poor of shares.filter(({ slots }) => slots === 0)) {
    const rich = shares.reduce((most, one) => (one.slots > most.slots ? one : most))
    rich.slots--
    poor.slots++
  }
}
