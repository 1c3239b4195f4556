import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HourSum, Look } from '../../src/index.ts'
import { availabilityOf, hourMs, hourOf, Tally } from '../../src/index.ts'

const noon = hourOf(1_780_000_000_000)
const look = (shard: string, from: number, to: number, writable = true): Look => ({
  shard,
  from: noon + from,
  to: noon + to,
  writable,
})

function tallied(looks: readonly Look[]): readonly HourSum[] {
  const tally = new Tally()
  for (const one of looks) tally.add(one)
  return tally.sums
}

const of = (sums: readonly HourSum[], shard: string | null) => availabilityOf(sums.filter((sum) => sum.shard === shard))

describe('the tally', () => {
  test('adds up what was seen of each shard', () => {
    const sums = tallied([look('a', 0, 400), look('a', 400, 500, false), look('a', 500, 1000)])
    expect(of(sums, 'a')).toEqual({ observedMs: 1000, notWritableMs: 100, ratio: 0.9 })
  })

  test('of the whole is the union: two shards away in the same second cost it one', () => {
    const sums = tallied([look('a', 0, 1000, false), look('b', 500, 1500, false), look('a', 1000, 2000)])
    expect(of(sums, null)).toEqual({ observedMs: 2000, notWritableMs: 1500, ratio: 0.25 })
  })

  test('does not know what nobody looked at', () => {
    expect(availabilityOf([])).toEqual({ observedMs: 0, notWritableMs: 0, ratio: null })
    expect(of(tallied([look('a', 0, 10), look('a', 5000, 5010)]), null).observedMs).toBe(20)
  })

  test('parts a look that crosses the hour', () => {
    const sums = tallied([look('a', hourMs - 300, hourMs + 700, false)])
    expect(sums.filter(({ shard }) => shard === 'a')).toEqual([
      { shard: 'a', hour: noon, observedMs: 300, notWritableMs: 300 },
      { shard: 'a', hour: noon + hourMs, observedMs: 700, notWritableMs: 700 },
    ])
  })

  test('forgets its sums once they are kept, and not which time was counted', () => {
    const tally = new Tally()
    tally.add(look('a', 0, 1000))
    tally.empty()
    tally.add(look('b', 500, 1500))
    expect(of(tally.sums, null).observedMs).toBe(500)
  })

  test('a look backwards in time is none', () => {
    expect(tallied([look('a', 10, 10), look('a', 10, 5, false)])).toEqual([])
  })
})

describe('laws', () => {
  /** Each shard's looks follow each other without overlapping; between them nobody may have looked. */
  const looks = fc
    .array(
      fc.record({
        shard: fc.constantFrom('a', 'b', 'c'),
        gap: fc.integer({ min: 0, max: 300 }),
        ms: fc.integer({ min: 1, max: 900 }),
        writable: fc.boolean(),
      }),
      { maxLength: 30 },
    )
    .map((some) => {
      const at = new Map<string, number>()
      return some.map(({ shard, gap, ms, writable }) => {
        const from = (at.get(shard) ?? hourMs - 4000) + gap
        at.set(shard, from + ms)
        return look(shard, from, from + ms, writable)
      })
    })

  test('time that was observed is writable or not, and nothing else', () => {
    fc.assert(
      fc.property(looks, (some) => {
        const sums = tallied(some)
        for (const shard of ['a', 'b', 'c']) {
          const ofShard = some.filter((one) => one.shard === shard)
          const msOf = (writable: boolean) =>
            ofShard.filter((one) => one.writable === writable).reduce((sum, { from, to }) => sum + to - from, 0)
          expect(of(sums, shard)).toMatchObject({ observedMs: msOf(true) + msOf(false), notWritableMs: msOf(false) })
        }
      }),
    )
  })

  test('of the whole it is the same as counted millisecond by millisecond', () => {
    fc.assert(
      fc.property(looks, (some) => {
        const observed = new Set<number>()
        const away = new Set<number>()
        for (const { from, to, writable } of some) {
          for (let ms = from; ms < to; ms++) {
            observed.add(ms)
            if (!writable) away.add(ms)
          }
        }
        expect(of(tallied(some), null)).toMatchObject({ observedMs: observed.size, notWritableMs: away.size })
      }),
      { numRuns: 50 },
    )
  })

  test('neither the order of looks nor where they are cut makes a difference', () => {
    const sorted = (sums: readonly HourSum[]) =>
      [...sums].sort((one, other) => one.hour - other.hour || ((one.shard ?? '') < (other.shard ?? '') ? -1 : 1))
    fc.assert(
      fc.property(looks, fc.infiniteStream(fc.nat()), (some, dice) => {
        const halves = some.flatMap((one) => {
          const middle = one.from + ((dice.next().value ?? 0) % (one.to - one.from))
          return [
            { ...one, to: middle },
            { ...one, from: middle },
          ]
        })
        const shuffled = halves.map((one) => [dice.next().value ?? 0, one] as const).sort((a, b) => a[0] - b[0])
        expect(sorted(tallied(shuffled.map(([, one]) => one)))).toEqual(sorted(tallied(some)))
      }),
    )
  })
})
