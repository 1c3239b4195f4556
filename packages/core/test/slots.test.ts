import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { slotOf as slotOfCache } from '../../cache/src/engine/slots.ts'
import type { SlotRange } from '../src/index.ts'
import {
  countSlots,
  evenSlots,
  formatSlots,
  hasSlot,
  missingSlots,
  normalizeSlots,
  slotCountTotal,
  slotOf,
  subtractSlots,
} from '../src/index.ts'

// A small space, so that ranges meet, touch and overlap often.
const range = fc.tuple(fc.nat(40), fc.nat(12)).map(([from, more]): SlotRange => [from, from + more])
const ranges = fc.array(range, { maxLength: 8 })

/** The dumb version: a set of single slots. */
const setOf = (of: readonly SlotRange[]): number[] =>
  [...new Set(of.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index)))].sort(
    (a, b) => a - b,
  )

describe('slots as ranges', () => {
  test('normalized, they are the same slots, sorted, with a gap between any two ranges', () => {
    fc.assert(
      fc.property(ranges, (some) => {
        const normal = normalizeSlots(some)
        expect(setOf(normal)).toEqual(setOf(some))
        expect(countSlots(normal)).toBe(setOf(some).length)
        for (let index = 1; index < normal.length; index++) {
          expect(normal[index]?.[0]).toBeGreaterThan((normal[index - 1]?.[1] ?? 0) + 1)
        }
        expect(normalizeSlots(normal)).toEqual(normal)
      }),
    )
  })

  test('what is taken away is gone, and nothing else', () => {
    fc.assert(
      fc.property(ranges, ranges, (some, taken) => {
        const without = new Set(setOf(taken))
        expect(setOf(subtractSlots(some, taken))).toEqual(setOf(some).filter((slot) => !without.has(slot)))
      }),
    )
  })

  test('what is missing and what is owned are everything, and never the same', () => {
    fc.assert(
      fc.property(ranges, (owned) => {
        const missing = missingSlots(owned)
        expect(countSlots(missing) + countSlots(normalizeSlots(owned))).toBe(slotCountTotal)
        expect(setOf(owned).some((slot) => hasSlot(missing, slot))).toBe(false)
      }),
    )
  })

  test('shared out evenly, every slot has one owner and no shard has two more than another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), (shards) => {
        const even = evenSlots(shards)
        const sizes = even.map((one) => countSlots([one]))
        expect(even).toHaveLength(shards)
        expect(normalizeSlots(even)).toEqual([[0, slotCountTotal - 1]])
        expect(sizes.reduce((sum, size) => sum + size)).toBe(slotCountTotal)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('are printed as the engine prints them', () => {
    expect(
      formatSlots([
        [0, 5460],
        [5462, 5462],
      ]),
    ).toBe('0-5460,5462')
    expect(formatSlots([])).toBe('')
  })
})

describe('the slot of a key', () => {
  // As `CLUSTER KEYSLOT` of Redis 7.0 answers.
  test.each([
    ['', 0],
    ['foo', 12182],
    ['123456789', 12739],
    ['{user1000}.following', 3443],
    ['foo{}{bar}', 8363],
    ['foo{{bar}}zap', 4015],
    ['foo{bar}{zap}', 5061],
  ])('%s is in %i', (key, slot) => {
    expect(slotOf(key)).toBe(slot)
  })

  const keys = [fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom('{', '}', 'a', '€') })]
  test.each(keys)('is what the cache client computes, in whatever letters', (key) => {
    fc.assert(fc.property(key, (one) => slotOf(one) === slotOfCache(one)))
  })
})
