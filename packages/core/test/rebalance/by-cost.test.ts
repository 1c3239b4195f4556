import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SlotRange } from '../../src/index.ts'
import { assignSlots, evenSlots, movesBetween } from '../../src/index.ts'
import type { Owned } from './support.ts'
import { ownedFrom, ownersIn, piecesOf, smallWorld, weightsOf } from './support.ts'

const costIn = (costs: Float64Array, slots: readonly SlotRange[] = []): number =>
  slots.reduce((sum, [from, to]) => sum + costs.slice(from, to + 1).reduce((all, cost) => all + cost, 0), 0)

const movedCost = (costs: Float64Array, before: Owned, after: Owned, total?: number): number =>
  movesBetween(before, after, total).reduce((sum, { slots }) => sum + costIn(costs, slots), 0)

const even = (shards: number): Map<string, SlotRange[]> =>
  new Map(evenSlots(shards).map((range, index) => [`shard-${index + 1}`, [range]]))
const equal = (shards: number): Map<string, number> => weightsOf(Array.from({ length: shards }, () => 1))
const costsOf = (cost: (slot: number) => number): Float64Array =>
  Float64Array.from({ length: 16_384 }, (_, slot) => cost(slot))

describe('slots of different weight', () => {
  test('shares are of the cost, and not of the number of slots', () => {
    // The first quarter holds as much as all the rest.
    const costs = costsOf((slot) => (slot < 4096 ? 300 : 100))
    const wanted = assignSlots({ owned: even(4), weights: equal(4), costs })
    const all = costs.reduce((sum, cost) => sum + cost, 0)
    for (const slots of wanted.values())
      expect(Math.abs(costIn(costs, slots) / (all / 4) - 1)).toBeLessThanOrEqual(0.02)
    expect(piecesOf(wanted)).toBeLessThanOrEqual(8)
    // What one shard has above its share moves, and no more.
    expect(movedCost(costs, even(4), wanted)).toBeLessThanOrEqual(costIn(costs, [[0, 4095]]) - all / 4)
  })

  test('within the tolerance of two parts in a hundred nothing moves', () => {
    const costs = costsOf((slot) => (slot < 5461 ? 101 : 100))
    expect(assignSlots({ owned: even(3), weights: equal(3), costs })).toEqual(even(3))
  })

  test('where all slots are empty they are shared out by number', () => {
    const costs = new Float64Array(16_384)
    expect(assignSlots({ owned: even(3), weights: equal(4), costs })).toEqual(
      assignSlots({ owned: even(3), weights: equal(4) }),
    )
  })

  test('a slot that is the load by itself stays, and what can go goes away from it', () => {
    const costs = costsOf((slot) => (slot === 100 ? 1_000_000 : 10))
    const wanted = assignSlots({ owned: even(3), weights: equal(3), costs })
    const owner = [...wanted].find(([, slots]) => slots.some(([from, to]) => from <= 100 && 100 <= to))
    expect(owner?.[0]).toBe('shard-1')
    expect(costIn(costs, wanted.get('shard-1'))).toBeLessThan(1_000_100)
    expect(assignSlots({ owned: wanted, weights: equal(3), costs })).toEqual(wanted)
  })

  test('two hot slots of one shard are parted', () => {
    const costs = costsOf((slot) => (slot === 100 || slot === 3000 ? 1_000_000 : 1))
    const wanted = assignSlots({ owned: even(2), weights: equal(2), costs })
    const hottest = Math.max(...[...wanted.values()].map((slots) => costIn(costs, slots)))
    expect(hottest).toBeLessThan(1_020_000)
  })

  test('weight 0 is emptied of everything, of empty slots too', () => {
    const costs = costsOf((slot) => (slot % 7 === 0 ? slot : 0))
    const wanted = assignSlots({ owned: even(4), weights: weightsOf([1, 1, 1, 0]), costs })
    expect(wanted.get('shard-4')).toEqual([])
    expect(ownersIn(wanted, 16_384)).toHaveLength(16_384)
  })

  test('a new shard gets its share, though each of the many others has hardly anything above its own', () => {
    const wanted = assignSlots({ owned: even(999), weights: equal(1000), costs: costsOf(() => 1) })
    expect(
      costIn(
        costsOf(() => 1),
        wanted.get('shard-1000'),
      ),
    ).toBeGreaterThanOrEqual(15)
  })
})

describe('laws of an assignment by cost', () => {
  const world = smallWorld.chain((small) =>
    fc.record({
      small: fc.constant(small),
      costs: fc.array(fc.oneof(fc.nat(3), fc.nat(1000), fc.double({ min: 0, max: 1e9, noNaN: true })), {
        minLength: small.total,
        maxLength: small.total,
      }),
    }),
  )

  test('every slot has one owner, nobody is left with none, and planning again moves nothing', () => {
    fc.assert(
      fc.property(world, ({ small: { weights, owners, total }, costs }) => {
        const input = { weights: weightsOf(weights), costs: Float64Array.from(costs), total }
        const wanted = assignSlots({ ...input, owned: ownedFrom(owners) })
        expect(ownersIn(wanted, total)).toHaveLength(total)
        for (const [id, weight] of input.weights) expect((wanted.get(id) ?? []).length > 0).toBe(weight > 0)
        expect(assignSlots({ ...input, owned: wanted })).toEqual(wanted)
      }),
      { numRuns: 2000 },
    )
  })

  test('the result is nearer to what each shall have, or nothing has moved', () => {
    fc.assert(
      fc.property(world, ({ small: { weights, owners, total }, costs: list }) => {
        const stay = weights.map((weight) => Math.max(1, weight))
        const [costs, owned] = [Float64Array.from(list), ownedFrom(owners.map((owner) => Math.max(0, owner)))]
        // Nobody is without slots: such a one gets some for its vote, whatever they weigh.
        fc.pre(stay.every((_, index) => owned.has(`shard-${index + 1}`)))
        const wanted = assignSlots({ owned, weights: weightsOf(stay), costs, total })
        const all = costs.reduce((sum, cost) => sum + cost, 0)
        fc.pre(all > 0)
        const sum = stay.reduce((one, weight) => one + weight, 0)
        const far = (of: Owned): number =>
          stay.reduce((squares, weight, index) => {
            const above = costIn(costs, of.get(`shard-${index + 1}`)) / all - weight / sum
            return squares + above * above
          }, 0)
        const moved = movesBetween(owned, wanted, total).length
        if (moved > 0) expect(far(wanted)).toBeLessThan(far(owned) + 1e-9)
        else expect(wanted).toEqual(owned)
      }),
      { numRuns: 1000 },
    )
  })
})
