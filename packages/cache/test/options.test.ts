import { expect, test } from 'vitest'
import { bytesOf, durationMs } from '../src/duration.ts'
import { cacheSettings, entryDefaults, entrySettings, writable } from '../src/options.ts'

test.each([
  [250, 250],
  ['250ms', 250],
  ['1.5s', 1500],
  ['5m', 300_000],
  ['12h', 43_200_000],
  ['7d', 604_800_000],
  [0, 0],
])('a duration of %s is %i ms', (text, ms) => {
  expect(durationMs(text, 'ttl')).toBe(ms)
})

test.each([
  ['5 m'],
  ['m'],
  ['-1s'],
  [-1],
  [Number.NaN],
  [Number.POSITIVE_INFINITY],
  ['99999999d'],
  [null],
  [{}],
  ['1w'],
])('%s is no duration, and the error names the option', (value) => {
  expect(() => durationMs(value, 'ttl')).toThrow(/^ttl is /)
})

test.each([
  [1024, 1024],
  ['64kb', 65_536],
  ['1.5mb', 1_572_864],
])('%s is %i bytes', (text, bytes) => {
  expect(bytesOf(text, 'maxBytes')).toBe(bytes)
})

test.each([['64 kb'], ['kb'], [-1], [Number.NaN], ['1tb']])('%s is no size', (value) => {
  expect(() => bytesOf(value, 'maxBytes')).toThrow(/^maxBytes is no size/)
})

test('the nearest word counts', () => {
  const cache = entrySettings(entryDefaults, { ttl: '5m', jitter: 0.2 })
  const call = entrySettings(cache, { ttl: '1m' })
  expect([call.ttlMs, call.jitter]).toEqual([60_000, 0.2])
})

test('a stale value is kept as long again as a fresh one, and no longer than an hour, if nobody says', () => {
  expect(writable(entrySettings(entryDefaults, { ttl: '5m' })).staleIfErrorMs).toBe(300_000)
  expect(writable(entrySettings(entryDefaults, { ttl: '7d' })).staleIfErrorMs).toBe(3_600_000)
  expect(writable(entrySettings(entryDefaults, { ttl: '7d', staleIfError: 0 })).staleIfErrorMs).toBe(0)
})

test('an entry without a ttl is refused, unless it is meant', () => {
  expect(() => writable(entryDefaults)).toThrow(/ttl is missing/)
  expect(writable(entrySettings(entryDefaults, { ttl: 'forever' })).ttlMs).toBe(Number.POSITIVE_INFINITY)
})

test.each([
  [{ ttll: '5m' }, /no option "ttll"/],
  [{ ttl: 0 }, /ttl is at least a millisecond/],
  [{ jitter: 1 }, /jitter is a number from 0 to 0.9/],
  [{ readFrom: 'master' }, /readFrom is one of primary, replica, nearest, zone/],
  [{ tags: [''] }, /tags are up to 32 strings/],
  [{ copies: 0 }, /copies is a whole number: 1 to 16/],
  [{ local: { maxEntries: 0.5 } }, /local.maxEntries is a whole number: 1 or more/],
  [{ engineDeadline: 0 }, /engineDeadline is at least a millisecond/],
  [{ hot: { pin: '1m' } }, /hot.pin in ms is a number from 1000 to 5000/],
])('%j is refused with a sentence', (options, sentence) => {
  expect(() => cacheSettings(options as never)).toThrow(sentence)
})
