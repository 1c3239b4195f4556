import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HotShard, Relief, SlotMove } from '../../src/index.ts'
import { countSlots, evenSlots, planRelief } from '../../src/index.ts'

/** Three shards or more with even slots, as busy as that. */
const shardsAt = (...cpu: number[]): HotShard[] =>
  evenSlots(cpu.length).map((slots, index) => ({ id: `shard-${index + 1}`, cpu: cpu[index] ?? 0, slots: [slots] }))

/** Every slot costs one, but for these. */
function costsWith(costs: Readonly<Record<number, number>>): Float64Array {
  const all = new Float64Array(16_384).fill(1)
  for (const [slot, cost] of Object.entries(costs)) all[Number(slot)] = cost
  return all
}

const slotsIn = (moves: readonly SlotMove[]): number => moves.reduce((sum, { slots }) => sum + countSlots(slots), 0)

describe('a shard that stands out', () => {
  test('gives its hottest slots away, as few as can', () => {
    const costs = costsWith({ 10: 2000, 20: 2000, 30: 2000 })
    const relief = planRelief({ shards: shardsAt(0.9, 0.3, 0.2), costs })
    expect(relief).toMatchObject({
      kind: 'spread',
      shard: 'shard-1',
      moves: [
        {
          from: 'shard-1',
          to: 'shard-3',
          slots: [
            [10, 10],
            [30, 30],
          ],
          count: 2,
        },
        { from: 'shard-1', to: 'shard-2', slots: [[20, 20]], count: 1 },
      ],
    })
    expect(relief.because).toBe(
      'shard-1 is at 90%, and the mean of 3 shards 46.7%: 3 of its slots go elsewhere, and the busiest is at 51.4% then',
    )
  })

  test('by one slot has that slot named, with its key where it is known', () => {
    const costs = costsWith({ 7000: 40_000 })
    const shards = shardsAt(0.2, 0.95, 0.25)
    const relief = planRelief({ shards, costs, hotKeys: new Map([[7000, 'front:page']]) })
    expect(relief).toMatchObject({ kind: 'one-key', shard: 'shard-2', slot: 7000, key: 'front:page' })
    expect(relief.because).toBe(
      'shard-2 is at 95%, and the mean of 3 shards 46.7%: the key "front:page" in slot 7000 is 88% of that, and wherever it lies its shard stands out. No other number of shards and no move of slots helps: split the key, or keep it in the applications',
    )
    expect(planRelief({ shards, costs })).toMatchObject({ kind: 'one-key', key: null })
  })

  test('by slots that nobody knows is said to be so', () => {
    const relief = planRelief({ shards: shardsAt(0.9, 0.2, 0.2), costs: new Float64Array(16_384) })
    expect(relief).toEqual({
      kind: 'unknown',
      shard: 'shard-1',
      because: 'shard-1 is at 90%, and the mean of 3 shards 43.3%; by which of its slots is not known',
    })
  })
})

describe('nothing is moved', () => {
  test.each<[string, HotShard[]]>([
    ['where all have the same to do', shardsAt(0.9, 0.88, 0.91)],
    ['where one has more to do, and nobody has much', shardsAt(0.4, 0.1, 0.1)],
    ['where there is one shard', shardsAt(0.95)],
    ['where there is none', []],
  ])('%s', (_, shards) => {
    expect(planRelief({ shards, costs: costsWith({}) }).kind).toBe('even')
  })
})

const worlds = fc.record({
  cpu: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 8 }),
  hot: fc.dictionary(fc.integer({ min: 0, max: 16_383 }).map(String), fc.double({ min: 0, max: 5000, noNaN: true }), {
    maxKeys: 30,
  }),
})

test('whatever moves, all of the load stays, only the hot shard gives, and nobody it touches is as busy as it was', () => {
  fc.assert(
    fc.property(worlds, ({ cpu, hot }) => {
      const shards = shardsAt(...cpu)
      const relief = planRelief({ shards, costs: costsWith(hot) })
      if (relief.kind !== 'spread') return
      const touched = [relief.shard, ...relief.moves.map(({ to }) => to)]
      for (const id of touched) expect(relief.cpu.get(id)).toBeLessThan(Math.max(...cpu))
      const sum = (values: Iterable<number>): number => [...values].reduce((all, one) => all + one, 0)
      expect(sum(relief.cpu.values())).toBeCloseTo(sum(cpu), 6)
      expect(slotsIn(relief.moves)).toBeGreaterThan(0)
      for (const move of relief.moves) expect(move.from).toBe(relief.shard)
    }),
  )
})

test('once it is done, doing it again comes to an end, and the busiest stands out no more or cannot be helped', () => {
  fc.assert(
    fc.property(worlds, ({ cpu, hot }) => {
      const costs = costsWith(hot)
      let shards = shardsAt(...cpu)
      for (let round = 0; round < cpu.length + 1; round++) {
        const relief = planRelief({ shards, costs })
        if (relief.kind !== 'spread') return
        shards = applied(shards, relief)
      }
      expect(planRelief({ shards, costs }).kind).not.toBe('spread')
    }),
    { numRuns: 40 },
  )
})

function applied(shards: readonly HotShard[], { moves, cpu }: Extract<Relief, { kind: 'spread' }>): HotShard[] {
  return shards.map(({ id, slots }) => {
    const gone = new Set(moves.flatMap(({ from, slots: ranges }) => (from === id ? singles(ranges) : [])))
    const coming = moves.flatMap(({ to, slots: ranges }) => (to === id ? singles(ranges) : []))
    const kept = singles(slots).filter((slot) => !gone.has(slot))
    return { id, cpu: cpu.get(id) ?? 0, slots: [...kept, ...coming].map((slot) => [slot, slot] as const) }
  })
}

const singles = (ranges: HotShard['slots']): number[] =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index))
