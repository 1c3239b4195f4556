import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LocalTier } from '../src/local-tier.ts'
import { HandClock } from '../src/testing/hand-clock.ts'

const seed = Number(process.env['SEED'] ?? 1)
const plenty = Number.MAX_SAFE_INTEGER

function aTier({ maxEntries = 100, maxBytes = plenty } = {}): LocalTier<string> {
  return new LocalTier({ maxEntries, maxBytes })
}

function fill(tier: LocalTier<string>, prefix: string, count: number, bytes = 1): void {
  for (let index = 0; index < count; index++) tier.set(`${prefix}${index}`, 'value', bytes)
}

/** Other keys in use, more than there is room for: whoever is not used leaves, unless pinned. */
function crowd(tier: LocalTier<string>, now: number): void {
  for (let round = 0; round < 10; round++) {
    for (let index = 0; index < 150; index++) {
      const key = `crowd${index}`
      if (tier.get(key) === undefined) tier.set(key, 'value', 1, now)
      tier.get(key)
      tier.get(key)
    }
  }
}

function held(tier: LocalTier<string>, prefix: string): number {
  return [...tier.entries()].filter(([key]) => key.startsWith(prefix)).length
}

describe('what is held', () => {
  test('the value itself, not a copy', () => {
    const tier = new LocalTier<object>({ maxEntries: 1, maxBytes: 1000 })
    const value = {}
    tier.set('a', value, 10)
    expect(tier.get('a')).toBe(value)
    expect(tier.peek('a')).toBe(value)
    expect(tier.get('b')).toBeUndefined()
  })

  test('a value above a tenth of the bytes is not taken, and the older one is dropped', () => {
    const tier = aTier({ maxBytes: 1000 })
    expect(tier.set('a', 'small', 100)).toBe(true)
    expect(tier.set('a', 'large', 101)).toBe(false)
    expect(tier.get('a')).toBeUndefined()
    expect([tier.size, tier.bytes, tier.evictions]).toEqual([0, 0, 0])
  })

  test('tells of what had to leave, and only of that', () => {
    const left: string[] = []
    const tier = new LocalTier<string>({
      maxEntries: 3,
      maxBytes: 1000,
      onEvict: (key, value) => left.push(key + value),
    })
    for (const key of ['a', 'b', 'c']) tier.set(key, '1', 1)
    tier.set('a', '2', 1)
    tier.delete('b')
    tier.set('d', '1', 1)
    expect(left).toEqual([])
    tier.set('e', '1', 1)
    expect(left).toEqual(['a2'])
    expect(tier.evictions).toBe(1)
    tier.clear()
    expect(left).toEqual(['a2'])
  })

  test('a replaced value that has grown makes others leave, not itself', () => {
    const tier = aTier({ maxBytes: 100 })
    fill(tier, 'k', 10, 10)
    fill(tier, 'k', 1, 5)
    tier.set('other', 'value', 5)
    tier.set('k0', 'grown', 10)
    expect(tier.peek('k0')).toBe('grown')
    expect([tier.size, tier.evictions]).toEqual([10, 1])
  })

  test('entries may be deleted while they are walked', () => {
    const tier = aTier()
    fill(tier, 'k', 10)
    for (const [key] of tier.entries()) tier.delete(key)
    expect([tier.size, tier.bytes]).toEqual([0, 0])
  })

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d as a bound', (bound) => {
    expect(() => aTier({ maxEntries: bound })).toThrow(/maxEntries of a local tier/)
    expect(() => aTier({ maxBytes: bound })).toThrow(/maxBytes of a local tier/)
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a value of %d bytes', (bytes) => {
    const tier = aTier()
    tier.set('a', 'kept', 1)
    expect(() => tier.set('a', 'refused', bytes)).toThrow(/bytes: give a whole number/)
    expect(tier.peek('a')).toBe('kept')
  })
})

const someKey = fc.integer({ min: 0, max: 30 }).map((number) => `k${number}`)
const someTime = fc.integer({ min: 0, max: 100 })
const someCall = fc.oneof(
  { weight: 5, arbitrary: fc.record({ call: fc.constant('set'), key: someKey, bytes: fc.nat(25), at: someTime }) },
  { weight: 4, arbitrary: fc.record({ call: fc.constant('get'), key: someKey, bytes: fc.nat(0), at: someTime }) },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('delete'), key: someKey, bytes: fc.nat(0), at: someTime }) },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('pin'), key: someKey, bytes: fc.nat(0), at: someTime }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('clear'), key: someKey, bytes: fc.nat(0), at: someTime }) },
)

test('holds to both bounds and counts exactly, and what it holds is what was last set', () => {
  const bounds = fc.record({ maxEntries: fc.integer({ min: 1, max: 20 }), maxBytes: fc.integer({ min: 1, max: 200 }) })
  fc.assert(
    fc.property(bounds, fc.array(someCall, { maxLength: 200 }), (bound, calls) => {
      // The model has no bounds: it holds what was set until it was deleted or is said to have left.
      const model = new Map<string, { value: number; bytes: number }>()
      let left = 0
      const tier = new LocalTier<number>({
        ...bound,
        onEvict: (key, value) => {
          left++
          expect(model.get(key)?.value).toBe(value)
          model.delete(key)
        },
      })
      for (const [value, { call, key, bytes, at }] of calls.entries()) {
        if (call === 'set') {
          const taken = tier.set(key, value, bytes, at)
          expect(taken).toBe(bytes <= bound.maxBytes / 10)
          if (taken) model.set(key, { value, bytes })
          else model.delete(key)
        } else if (call === 'delete') expect(tier.delete(key)).toBe(model.delete(key))
        else if (call === 'pin') tier.pin(key, at + 50, at)
        else if (call === 'get') expect(tier.get(key)).toBe(model.get(key)?.value)
        else {
          tier.clear()
          model.clear()
        }
        expect(tier.size).toBeLessThanOrEqual(bound.maxEntries)
        expect(tier.bytes).toBeLessThanOrEqual(bound.maxBytes)
        expect(tier.bytes).toBe([...model.values()].reduce((sum, entry) => sum + entry.bytes, 0))
        expect(new Map(tier.entries())).toEqual(new Map([...model].map(([name, entry]) => [name, entry.value])))
        expect(tier.evictions).toBe(left)
      }
    }),
    { seed, numRuns: 300 },
  )
})

describe('who leaves', () => {
  test.each([
    { by: 'entries', maxEntries: 1000, maxBytes: plenty },
    { by: 'bytes', maxEntries: 1_000_000, maxBytes: 1000 },
  ])('a scan of ten times the room does not push out what is in use, bounded by $by', (bounds) => {
    const tier = aTier(bounds)
    const use = () => {
      for (let index = 0; index < 500; index++) tier.get(`used${index}`)
    }
    fill(tier, 'used', 500)
    use()
    use()
    fill(tier, 'scanned', 10_000)
    expect(held(tier, 'used')).toBeGreaterThanOrEqual(450)
    use()
    fill(tier, 'scanned again', 10_000)
    expect(held(tier, 'used')).toBeGreaterThanOrEqual(450)
  })

  test('what comes back soon after it left goes where a scan does not reach', () => {
    const tier = aTier()
    tier.set('back', 'value', 1)
    fill(tier, 'first', 100)
    expect(tier.peek('back')).toBeUndefined()
    tier.set('back', 'value', 1)
    fill(tier, 'second', 1000)
    expect(tier.peek('back')).toBe('value')
  })

  test('peeking is no use', () => {
    const tier = aTier()
    for (const key of ['peeked', 'used']) tier.set(key, 'value', 1)
    for (let time = 0; time < 10; time++) {
      tier.peek('peeked')
      tier.get('used')
    }
    fill(tier, 'k', 200)
    expect([tier.peek('peeked'), tier.peek('used')]).toEqual([undefined, 'value'])
  })

  test('what is no longer used leaves the main queue', () => {
    const tier = aTier()
    for (const prefix of ['old', 'next']) {
      fill(tier, prefix, 100)
      for (let time = 0; time < 3; time++) for (let index = 0; index < 100; index++) tier.get(`${prefix}${index}`)
      fill(tier, prefix, 100)
    }
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < 100; index++) {
        if (tier.get(`next${index}`) === undefined) tier.set(`next${index}`, 'value', 1)
      }
    }
    expect(held(tier, 'old')).toBeLessThan(10)
  })

  test('a scan whose keys are used right after they came does not push out what is in use', () => {
    const tier = aTier({ maxEntries: 1000 })
    fill(tier, 'used', 500)
    for (let time = 0; time < 2; time++) for (let index = 0; index < 500; index++) tier.get(`used${index}`)
    for (let index = 0; index < 10_000; index++) {
      tier.set(`scanned${index}`, 'value', 1)
      tier.get(`scanned${index}`)
    }
    expect(held(tier, 'used')).toBeGreaterThanOrEqual(450)
  })

  test('what a scan left in an empty tier makes way for what is in use', () => {
    const tier = aTier({ maxEntries: 1000 })
    fill(tier, 'scanned', 1000)
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < 500; index++) {
        if (tier.get(`used${index}`) === undefined) tier.set(`used${index}`, 'value', 1)
      }
    }
    expect(held(tier, 'used')).toBeGreaterThanOrEqual(450)
  })

  test.each([100, 500, 2000, 8000])(`no fewer hits than LRU with room for %d of 20000 (SEED=${seed})`, (maxEntries) => {
    const { hits, lruHits } = hitsOn({ maxEntries, keys: 20_000 })
    expect(hits, `SEED=${seed}`).toBeGreaterThanOrEqual(lruHits)
  })

  // There LRU is ahead by a hair on some seeds: nearly every miss is a key that was never seen.
  test.each([10_000, 12_000])(
    `as many as LRU, to within a thousandth, with room for %d of 20000 (SEED=${seed})`,
    (maxEntries) => {
      const { hits, lruHits } = hitsOn({ maxEntries, keys: 20_000 })
      expect(hits, `SEED=${seed}`).toBeGreaterThanOrEqual(lruHits * 0.999)
    },
  )
})

/** 100,000 reads by Zipf's law with exponent 1. */
function hitsOn({ maxEntries, keys }: { maxEntries: number; keys: number }): { hits: number; lruHits: number } {
  const tier = aTier({ maxEntries })
  const lru = new Map<string, string>()
  const draw = zipf(keys, new HandClock({ seed }))
  let hits = 0
  let lruHits = 0
  for (let read = 0; read < 100_000; read++) {
    const key = `k${draw()}`
    if (tier.get(key) === undefined) tier.set(key, 'value', 1)
    else hits++
    if (lru.delete(key)) lruHits++
    else if (lru.size === maxEntries) lru.delete(lru.keys().next().value as string)
    lru.set(key, 'value')
  }
  return { hits, lruHits }
}

function zipf(keys: number, clock: HandClock): () => number {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let key = 0; key < keys; key++) {
    sum += 1 / (key + 1)
    sums[key] = sum
  }
  return () => {
    const wanted = clock.random() * sum
    let from = 0
    let to = keys - 1
    while (from < to) {
      const middle = (from + to) >> 1
      if ((sums[middle] ?? 0) < wanted) from = middle + 1
      else to = middle
    }
    return from
  }
}

describe('pins', () => {
  test('a pinned entry stays until its time is over, whatever comes', () => {
    const tier = aTier()
    tier.set('pinned', 'value', 1)
    expect(tier.pin('pinned', 2000, 1000)).toBe(true)
    crowd(tier, 1999)
    expect(tier.peek('pinned')).toBe('value')
    crowd(tier, 2000)
    expect(tier.peek('pinned')).toBeUndefined()
  })

  test('a pin can be made longer, not shorter', () => {
    const tier = aTier()
    tier.set('pinned', 'value', 1)
    for (const until of [2000, 5000, 3000]) tier.pin('pinned', until, 1000)
    crowd(tier, 4999)
    expect(tier.peek('pinned')).toBe('value')
    crowd(tier, 5000)
    expect(tier.peek('pinned')).toBeUndefined()
  })

  test('no pin for what is not there, or for a time that is over', () => {
    const tier = aTier()
    tier.set('a', 'value', 1)
    expect(tier.pin('b', 2000, 1000)).toBe(false)
    expect(tier.pin('a', 1000, 1000)).toBe(false)
    expect(tier.pin('a', Number.NaN, 1000)).toBe(false)
  })

  test.each([
    { maxEntries: 1, most: 0 },
    { maxEntries: 5, most: 2 },
    { maxEntries: 100, most: 16 },
    { maxEntries: 5000, most: 50 },
  ])('at most $most of $maxEntries are pinned at once', ({ maxEntries, most }) => {
    const tier = aTier({ maxEntries })
    fill(tier, 'k', maxEntries)
    const pinned = () => Array.from({ length: maxEntries }, (_, index) => tier.pin(`k${index}`, 2000, 1000))
    expect(pinned().filter(Boolean)).toHaveLength(most)
    // The same ones again: that takes no more room.
    expect(pinned().filter(Boolean)).toHaveLength(most)
    // When the first are over there is room for others.
    expect(tier.pin(`k${maxEntries - 1}`, 4000, 3000)).toBe(most > 0)
  })

  test('never more than half of the bytes: a larger value loses its pin', () => {
    const tier = aTier({ maxBytes: 1000 })
    fill(tier, 'k', 10, 50)
    for (let index = 0; index < 10; index++) expect(tier.pin(`k${index}`, 2000, 1000)).toBe(true)
    tier.set('more', 'value', 1)
    expect(tier.pin('more', 2000, 1000)).toBe(false)
    tier.set('k0', 'larger', 100)
    expect(tier.pin('more', 2000, 1000)).toBe(true)
    expect(tier.pin('k0', 2000, 1000)).toBe(false)
  })

  test('a deleted entry leaves its pin to others', () => {
    const tier = aTier({ maxEntries: 2 })
    fill(tier, 'k', 2)
    tier.pin('k0', 2000, 1000)
    expect(tier.pin('k1', 2000, 1000)).toBe(false)
    tier.delete('k0')
    expect(tier.pin('k1', 2000, 1000)).toBe(true)
  })
})
