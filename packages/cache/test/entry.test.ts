import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ageMs, freshness, isEarly, keptMs, lifetime } from '../src/entry.ts'

const life = { createdAt: 1000, freshUntil: 2000, staleUntil: 3000, loadMs: 50 }
const settings = { ttlMs: 1000, jitter: 0.1, staleWhileRevalidateMs: 500, staleIfErrorMs: 2000 }

describe('an entry', () => {
  test.each([
    [1000, 'fresh'],
    [1999, 'fresh'],
    [2000, 'stale'],
    [2999, 'stale'],
    [3000, 'expired'],
  ])('at %i is %s', (now, is) => {
    expect(freshness(life, now)).toBe(is)
  })

  test('is not younger than new when the clock of its maker is ahead', () => {
    expect(ageMs(life, 900)).toBe(0)
    expect(ageMs(life, 1500)).toBe(500)
  })

  test('never outlives its ttl, whatever the dice say, and jitter takes no more than its part', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e12 }),
        fc.double({ min: 0, max: 0.9, noNaN: true }),
        dice,
        (ttlMs, jitter, die) => {
          const { freshUntil } = lifetime({ ...settings, ttlMs, jitter }, { now: 0, loadMs: 0, dice: () => die })
          expect(freshUntil).toBeLessThanOrEqual(ttlMs)
          expect(freshUntil).toBeGreaterThanOrEqual(Math.floor(ttlMs * (1 - jitter)))
        },
      ),
    )
  })

  test('is kept for the longer of both kinds of staleness', () => {
    const made = lifetime({ ...settings, jitter: 0 }, { now: 100, loadMs: 5, dice: () => 0.5 })
    expect(made).toEqual({ createdAt: 100, freshUntil: 1100, staleUntil: 3100, loadMs: 5 })
    expect(keptMs(made, 100)).toBe(3000)
  })

  test('for ever is for ever', () => {
    const made = lifetime({ ...settings, ttlMs: Number.POSITIVE_INFINITY }, { now: 100, loadMs: 5, dice: () => 0.5 })
    expect([made.freshUntil, keptMs(made, 100)]).toEqual([Number.POSITIVE_INFINITY, null])
    expect(freshness(made, Number.MAX_SAFE_INTEGER)).toBe('fresh')
  })
})

describe('an early refresh', () => {
  test('is never thrown for far from the end, and always begun at the end', () => {
    expect(isEarly(life, 1400, 1, () => 0.999_999)).toBe(false)
    expect(isEarly(life, 2000, 1, () => 0)).toBe(true)
  })

  test('is more likely the nearer the end is', () => {
    fc.assert(
      fc.property(dice, fc.integer({ min: 1500, max: 2000 }), fc.integer({ min: 0, max: 500 }), (die, now, later) => {
        const earlier = isEarly(life, now, 1, () => die)
        if (earlier) expect(isEarly(life, now + later, 1, () => die)).toBe(true)
      }),
    )
  })

  test('never happens where it is turned off, or where the load took no time', () => {
    expect(isEarly(life, 1999, 0, () => 0.999_999)).toBe(false)
    expect(isEarly({ ...life, loadMs: 0 }, 1999, 1, () => 0.999_999)).toBe(false)
  })
})

const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
