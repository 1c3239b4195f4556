import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { slotOf } from '../../src/engine/slots.ts'
import { Partitions } from '../../src/write-behind/partitions.ts'
import { fairPart } from '../../src/write-behind/taking.ts'

const partitions = new Partitions('shop:w:', 64)

test('everything about a key shares one slot, whatever the key is', () => {
  fc.assert(
    fc.property(fc.string(), (key) => {
      const partition = partitions.of(key)
      const { queue, later, parked, state, operations } = partition
      expect(new Set([queue, later, parked, state, operations, partition.entry(key)].map(slotOf)).size).toBe(1)
    }),
  )
})

test('keys are spread evenly', () => {
  const counts = new Map<number, number>()
  for (let user = 0; user < 6400; user++) {
    const { number } = partitions.of(`user:${user}`)
    counts.set(number, (counts.get(number) ?? 0) + 1)
  }
  expect(counts.size).toBe(64)
  expect(Math.max(...counts.values())).toBeLessThan(200)
})

test('a batch has a fair part of every partition, and never more than it may', () => {
  const lengths = fc.array(fc.nat(30), { minLength: 1, maxLength: 64 })
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 200 }), (queued, most) => {
      const due = queued.map((length, number) => ({
        partition: partitions.all[number] ?? partitions.of(''),
        keys: Array.from({ length }, (_, index) => `${number}:${index}`),
      }))
      const part = fairPart(due, most)
      const taken = part.map(({ keys }) => keys.length)
      const total = taken.reduce((sum, count) => sum + count, 0)
      expect(total).toBe(
        Math.min(
          most,
          queued.reduce((sum, length) => sum + length, 0),
        ),
      )
      for (const { partition, keys } of part) expect(keys).toEqual(due[partition.number]?.keys.slice(0, keys.length))
      // Nobody gets two more than another who has as many to give.
      const short = part.filter(({ partition, keys }) => keys.length < (queued[partition.number] ?? 0))
      const least = Math.min(...short.map(({ keys }) => keys.length))
      expect(Math.max(0, ...taken)).toBeLessThanOrEqual(least + 1)
    }),
  )
})
