import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { costOf, firstPace, nextPace, restMs } from '../../../src/host/move/pace.ts'
import { aloneAboveBytes, nextGroup, parcelsOf } from '../../../src/host/move/parcel.ts'

const key = (bytes: number) => ({ key: Buffer.from('k'), bytes })
const keys = fc.array(fc.integer({ min: 0, max: 3 * aloneAboveBytes }).map(key), { maxLength: 300 })

describe('parcels of a slot', () => {
  test('have every key once, none too heavy but for a single key', () => {
    fc.assert(
      fc.property(keys, (all) => {
        const parcels = parcelsOf(7, all)
        expect(parcels.flatMap((one) => one.keys)).toHaveLength(all.length)
        for (const parcel of parcels) {
          expect(parcel.keys.length === 1 || parcel.bytes <= aloneAboveBytes).toBe(true)
          expect(parcel.bytes).toBe(parcel.keys.reduce((sum, { bytes }) => sum + bytes, 0))
        }
      }),
    )
  })

  test('go in groups that cost no more than the pace, one parcel at least, and a big key alone', () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 1000 }), (all, pace) => {
        const parcels = parcelsOf(7, all)
        const group = nextGroup(parcels, pace)
        expect(group.length).toBeGreaterThan(parcels.length === 0 ? -1 : 0)
        if (group.length < 2) return
        expect(group.reduce((sum, one) => sum + costOf(one.keys.length), 0)).toBeLessThanOrEqual(pace)
        expect(group.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(aloneAboveBytes)
      }),
    )
  })
})

describe('the pace', () => {
  test('falls at once with a group that took too long, and rises step by step', () => {
    expect(nextPace(100, 6, 3)).toBe(50)
    expect(nextPace(100, 1, 3)).toBe(125)
  })

  test('finds the budget of whatever engine, and stays near it', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.5, noNaN: true }), (msPerUnit) => {
        let pace = firstPace
        for (let group = 0; group < 60; group++) pace = nextPace(pace, pace * msPerUnit, 3)
        expect(pace * msPerUnit).toBeLessThanOrEqual(Math.max(3 * 1.3, 8 * msPerUnit))
      }),
    )
  })

  test('rests as long as a rate of bytes wants it', () => {
    expect(restMs(1000, 10, null)).toBe(0)
    expect(restMs(1000, 10, 10_000)).toBe(90)
    expect(restMs(1000, 200, 10_000)).toBe(0)
  })
})
