import * as fc from 'fast-check'
import type { SlotRange } from '../../src/index.ts'
import { normalizeSlots } from '../../src/index.ts'

export type Owned = ReadonlyMap<string, readonly SlotRange[]>

/** `[0, 0, 1]`: slots 0 and 1 are shard-1's, 2 is shard-2's; -1 is nobody's. */
export function ownedFrom(owners: readonly number[]): Map<string, SlotRange[]> {
  const byShard = new Map<string, SlotRange[]>()
  for (const [slot, owner] of owners.entries()) {
    if (owner >= 0) byShard.set(`shard-${owner + 1}`, [...(byShard.get(`shard-${owner + 1}`) ?? []), [slot, slot]])
  }
  return new Map([...byShard].map(([id, slots]) => [id, normalizeSlots(slots)]))
}

/** The owner of each slot. Throws where two have one, or none has. */
export function ownersIn(assigned: Owned, total: number): string[] {
  const owners = Array.from({ length: total }, () => '')
  for (const [id, slots] of assigned) {
    for (const [from, to] of slots) {
      for (let slot = from; slot <= to; slot++) {
        if (owners[slot] !== '') throw new Error(`slot ${slot} is of ${owners[slot]} and of ${id}`)
        owners[slot] = id
      }
    }
  }
  if (owners.includes('')) throw new Error(`slot ${owners.indexOf('')} is nobody's`)
  return owners
}

export const piecesOf = (assigned: Owned): number =>
  [...assigned.values()].reduce((sum, slots) => sum + normalizeSlots(slots).length, 0)

export const weightsOf = (weights: readonly number[]): Map<string, number> =>
  new Map(weights.map((weight, index) => [`shard-${index + 1}`, weight]))

/** A small space, shards with weights of which one at least stays, and who has what. */
export const smallWorld = fc
  .record({
    weights: fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }),
    total: fc.integer({ min: 5, max: 40 }),
  })
  .filter(({ weights }) => weights.some((weight) => weight > 0))
  .chain(({ weights, total }) =>
    fc.record({
      weights: fc.constant(weights),
      total: fc.constant(total),
      owners: fc.oneof(
        // Single slots here and there, and long runs.
        fc.array(fc.integer({ min: -1, max: weights.length - 1 }), { minLength: total, maxLength: total }),
        fc
          .array(fc.integer({ min: -1, max: weights.length - 1 }), { minLength: 4, maxLength: 4 })
          .map((quarters) => Array.from({ length: total }, (_, slot) => quarters[Math.floor((slot * 4) / total)] ?? 0)),
      ),
    }),
  )
