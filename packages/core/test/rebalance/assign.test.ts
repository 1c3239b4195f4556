import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SlotRange } from '../../src/index.ts'
import { assignSlots, countSlots, evenSlots, movesBetween, slotTargets } from '../../src/index.ts'
import { ownedFrom, ownersIn, piecesOf, smallWorld, weightsOf } from './support.ts'

const even = (shards: number): Map<string, SlotRange[]> =>
  new Map(evenSlots(shards).map((range, index) => [`shard-${index + 1}`, [range]]))
const equal = (shards: number): Map<string, number> => weightsOf(Array.from({ length: shards }, () => 1))

describe('how many slots each shard shall have', () => {
  test('by weight, and what is left over where it need not move', () => {
    expect(slotTargets(new Map([['shard-2', 5462]]), equal(3)).get('shard-2')).toBe(5462)
    expect([...slotTargets(new Map(), weightsOf([1, 1, 2])).values()]).toEqual([4096, 4096, 8192])
    expect([...slotTargets(new Map(), weightsOf([1, 0, 1])).entries()]).toEqual([
      ['shard-2', 0],
      ['shard-1', 8192],
      ['shard-3', 8192],
    ])
  })

  test('a shard with a weight has one at least, also among 16384 of them', () => {
    expect(slotTargets(new Map(), weightsOf([1, 1_000_000])).get('shard-1')).toBe(1)
    expect(new Set(slotTargets(new Map(), equal(16_384)).values())).toEqual(new Set([1]))
  })

  test.each([
    ['more shards than slots', equal(16_385), '16385 shards cannot share 16384 slots'],
    ['nobody left', weightsOf([0, 0]), 'no shard has a weight above 0'],
    ['no shards at all', weightsOf([]), 'no shard has a weight above 0'],
    ['less than nothing', weightsOf([1, -1]), 'the weight of shard-2 is -1'],
    ['no number', weightsOf([Number.NaN]), 'the weight of shard-1 is NaN'],
  ])('refuses %s', (_, weights, because) => {
    expect(() => slotTargets(new Map(), weights)).toThrow(because)
    expect(() => assignSlots({ owned: new Map(), weights })).toThrow(because)
    expect(() => assignSlots({ owned: even(3), weights, costs: new Float64Array(16_384).fill(1) })).toThrow(because)
  })
})

describe('which slots each shard shall have', () => {
  test('a fourth shard takes what borders on others from two neighbours at once', () => {
    const wanted = assignSlots({ owned: even(3), weights: equal(4) })
    expect([...wanted]).toEqual([
      ['shard-1', [[0, 4095]]],
      ['shard-2', [[5461, 9556]]],
      ['shard-3', [[12_288, 16_383]]],
      [
        'shard-4',
        [
          [4096, 5460],
          [9557, 12_287],
        ],
      ],
    ])
  })

  test('a shard of weight 0 is emptied in one plan, and no slot moves between the others', () => {
    const wanted = assignSlots({ owned: even(4), weights: weightsOf([1, 1, 0, 1]) })
    expect(wanted.get('shard-3')).toEqual([])
    const moves = movesBetween(even(4), wanted)
    expect(moves.map(({ from, count }) => [from, count])).toEqual([
      ['shard-3', 1366],
      ['shard-3', 1365],
      ['shard-3', 1365],
    ])
    expect(piecesOf(wanted)).toBe(4)
  })

  test('what is even is left as it is', () => {
    expect(assignSlots({ owned: even(7), weights: equal(7) })).toEqual(even(7))
  })

  test('a whole range goes where it fits, and nothing is cut', () => {
    const owned = new Map<string, SlotRange[]>([
      [
        'shard-1',
        [
          [0, 9],
          [20, 24],
          [30, 39],
        ],
      ],
      [
        'shard-2',
        [
          [10, 19],
          [25, 29],
        ],
      ],
      ['shard-3', []],
    ])
    const wanted = assignSlots({
      owned,
      weights: new Map([
        ['shard-1', 15],
        ['shard-2', 15],
        ['shard-3', 10],
      ]),
      total: 40,
    })
    expect(wanted.get('shard-3')).toHaveLength(1)
    expect(piecesOf(wanted)).toBe(piecesOf(owned))
  })
})

/** Obviously right: tries every way to share out the slots that are left over, and takes the one after which fewest move. */
function fewestMoves(have: ReadonlyMap<string, number>, weights: ReadonlyMap<string, number>, total: number): number {
  const ids = [...weights].filter(([, weight]) => weight > 0).map(([id]) => id)
  const sum = ids.reduce((all, id) => all + (weights.get(id) ?? 0), 0)
  const whole = new Map(ids.map((id) => [id, Math.floor((total * (weights.get(id) ?? 0)) / sum)]))
  const rest = (id: string): number => (total * (weights.get(id) ?? 0)) % sum
  const left = total - [...whole.values()].reduce((all, count) => all + count, 0)
  const order = [...ids].sort((a, b) => rest(b) - rest(a))
  const least = rest(order[left - 1] ?? '')
  const sure = ids.filter((id) => left > 0 && rest(id) > least)
  const tied = ids.filter((id) => left > 0 && rest(id) === least)
  const moved = (chosen: readonly string[]): number =>
    [...have].reduce((all, [id, count]) => {
      const target = (whole.get(id) ?? 0) + (sure.includes(id) || chosen.includes(id) ? 1 : 0)
      return all + Math.max(0, count - target)
    }, 0)
  return Math.min(...subsets(tied, left - sure.length).map(moved))
}

function subsets(of: readonly string[], size: number): string[][] {
  if (size <= 0) return [[]]
  return of.flatMap((one, index) => subsets(of.slice(index + 1), size - 1).map((more) => [one, ...more]))
}

describe('laws of an assignment', () => {
  const bigEnough = smallWorld.filter(({ weights, total }) => total >= weights.reduce((sum, one) => sum + one, 0))

  test('every slot has one owner, no slot moves without need, and planning again moves nothing', () => {
    fc.assert(
      fc.property(bigEnough, ({ weights, owners, total }) => {
        const owned = ownedFrom(owners)
        const wanted = assignSlots({ owned, weights: weightsOf(weights), total })
        expect(ownersIn(wanted, total)).toHaveLength(total)
        const have = new Map([...owned].map(([id, slots]) => [id, countSlots(slots)]))
        const moved = movesBetween(owned, wanted, total).reduce((sum, { count }) => sum + count, 0)
        expect(moved).toBe(fewestMoves(have, weightsOf(weights), total))
        expect(assignSlots({ owned: wanted, weights: weightsOf(weights), total })).toEqual(wanted)
      }),
      { numRuns: 1000 },
    )
  })

  test('each cut fills one shard or relieves another: there are never more new pieces than shards', () => {
    fc.assert(
      fc.property(smallWorld, ({ weights, owners, total }) => {
        const owned = ownedFrom(owners)
        const wanted = assignSlots({ owned, weights: weightsOf(weights), total })
        const before = piecesOf(owned) + piecesOf(new Map([['nobody', missing(owners)]]))
        expect(piecesOf(wanted)).toBeLessThan(before + weights.length + 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('it does not matter in which order the shards are named', () => {
    fc.assert(
      fc.property(smallWorld, ({ weights, owners, total }) => {
        const owned = ownedFrom(owners)
        const backwards = new Map([...owned].reverse())
        const turned = new Map([...weightsOf(weights)].reverse())
        expect(assignSlots({ owned: backwards, weights: turned, total })).toEqual(
          assignSlots({ owned, weights: weightsOf(weights), total }),
        )
      }),
    )
  })

  test('grown and shrunk again many times, a cluster does not fall into pieces', () => {
    let owned = even(3)
    for (let round = 0; round < 20; round++) {
      owned = assignSlots({ owned, weights: equal(6) })
      owned = assignSlots({ owned, weights: weightsOf([1, 1, 1, 0, 0, 0]) })
    }
    expect(piecesOf(owned)).toBeLessThanOrEqual(6)
  })
})

const missing = (owners: readonly number[]): SlotRange[] =>
  owners.flatMap((owner, slot): SlotRange[] => (owner < 0 ? [[slot, slot]] : []))
