import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HoldfastEvent, Outage } from '../../src/index.ts'
import { outagesOf, paceOf, sharesOf } from '../../src/index.ts'
import { aWrite, faultAt, writing } from '../support/drill.ts'

const until = faultAt + 2000

describe('an outage', () => {
  test('is the longest time between acknowledgements since the fault, beside the noise before it', () => {
    expect(outagesOf(writing({}, { from: 0, to: 310 }), { faultAt, until })).toEqual([
      {
        client: 'cache',
        shard: 'shard-1',
        acknowledged: 270,
        failed: 0,
        indeterminate: 0,
        longestGapMs: 310,
        longestGapAt: faultAt,
        gapsMs: 310,
        quietGapMs: 10,
      },
    ])
  })

  test('is told for each client and shard by itself', () => {
    const operations = [
      ...writing({ client: 'ioredis', shard: 'shard-1' }, { from: 0, to: 900 }),
      ...writing({ client: 'cache', shard: 'shard-1' }, { from: 0, to: 200 }),
      ...writing({ client: 'cache', shard: 'shard-2' }),
    ]
    const told = outagesOf(operations, { faultAt, until }).map((one) => [one.client, one.shard, one.longestGapMs])
    expect(told).toEqual([
      ['ioredis', 'shard-1', 900],
      ['cache', 'shard-1', 200],
      ['cache', 'shard-2', 10],
    ])
  })

  test('lasts until the end where nothing was acknowledged any more', () => {
    const [outage] = outagesOf(writing({}, { from: 0, to: 9999 }), { faultAt, until })
    expect(outage).toMatchObject({ longestGapMs: 2000, longestGapAt: faultAt })
  })

  test('begins with the fault for a client that had not written before', () => {
    const [outage] = outagesOf([aWrite({ endedAt: faultAt + 700 })], { faultAt, until: faultAt + 800 })
    expect(outage).toMatchObject({ longestGapMs: 700, longestGapAt: faultAt, quietGapMs: 0 })
  })

  test('counts what failed, which is no acknowledgement', () => {
    const refused = Array.from({ length: 5 }, (_, at) => {
      return aWrite({ key: `f${at}`, endedAt: faultAt + 10 * at, outcome: at < 3 ? 'failed' : 'indeterminate' })
    })
    const [outage] = outagesOf([...writing({}, { from: 0, to: 100 }), ...refused], { faultAt, until })
    expect(outage).toMatchObject({ failed: 3, indeterminate: 2, longestGapMs: 100, gapsMs: 0 })
  })

  test('by law: no gap is longer than the window, and the sum is no shorter than the longest that counts', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1000, max: 2000 }), { minLength: 1, maxLength: 40 }), (times) => {
        const operations = times.map((at, index) => aWrite({ key: `k${index}`, endedAt: faultAt + at }))
        const [{ longestGapMs, gapsMs }] = outagesOf(operations, { faultAt, until }) as [Outage]
        expect(longestGapMs).toBeGreaterThanOrEqual(0)
        expect(longestGapMs).toBeLessThanOrEqual(3000)
        if (longestGapMs > 100) expect(gapsMs).toBeGreaterThanOrEqual(longestGapMs)
      }),
    )
  })
})

describe('whose the time was', () => {
  const event = (at: number, kind: HoldfastEvent['kind'], subject: string, because: string): HoldfastEvent => ({
    seq: at,
    epoch: 1,
    at: faultAt + at,
    deployment: 'it',
    cause: null,
    actor: 'controller',
    kind,
    subject,
    because,
  })
  const promoted = [{ shard: 'shard-1', to: 'node-4' }]
  const decided = event(11, 'turn', 'it', 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it')
  const asked = { ...event(12, 'action', 'node-4', 'promote (force) node-4'), cause: '11' }
  const seen = event(57, 'shard', 'shard-1', 'node-4 is primary of shard-1, was nobody')

  test('until it was known, until another was primary, until each client wrote again', () => {
    const operations = [
      aWrite({ endedAt: faultAt + 2 }),
      aWrite({ key: 'b', endedAt: faultAt + 61 }),
      aWrite({ key: 'c', endedAt: faultAt + 90 }),
      aWrite({ key: 'd', client: 'ioredis', endedAt: faultAt + 157 }),
      aWrite({ key: 'e', client: 'durable', endedAt: faultAt + 50 }),
      aWrite({ key: 'f', client: 'ioredis-timeouts', shard: 'shard-2', endedAt: faultAt + 58 }),
    ]
    expect(sharesOf({ faultAt, promoted, events: [decided, asked, seen], operations })).toEqual([
      {
        shard: 'shard-1',
        to: 'node-4',
        because: decided.because,
        detectionMs: 12,
        promotionMs: 45,
        clientMs: { cache: 4, ioredis: 100, durable: 0 },
      },
    ])
  })

  test('nobody detected anything where the engines voted among themselves', () => {
    const [share] = sharesOf({ faultAt, promoted, events: [seen], operations: [] })
    expect(share).toMatchObject({ because: null, detectionMs: null, promotionMs: 57, clientMs: {} })
  })

  test('a Sentinel was asked where the event names the action, in whatever words', () => {
    const told = { ...event(12, 'action', 'sentinel-2', 'in other words'), cause: '11' }
    const detected = (one: typeof told & { action?: 'ask-sentinel' | 'watch' }) =>
      sharesOf({ faultAt, promoted, events: [decided, one, seen], operations: [] })[0]?.detectionMs
    expect(detected({ ...told, action: 'ask-sentinel' })).toBe(12)
    expect(detected({ ...told, action: 'watch' })).toBeNull()
  })

  test('a controller that was away looks late: the shard had its primary when it was written to again', () => {
    const late = { ...seen, at: faultAt + 33_000 }
    const acks = [2, 8200, 8210, 12_000].map((ms) => aWrite({ key: `k${ms}`, endedAt: faultAt + ms }))
    const [share] = sharesOf({ faultAt, promoted, events: [late], operations: acks })
    expect(share).toMatchObject({ detectionMs: null, promotionMs: 8200, clientMs: { cache: 0 } })
  })

  test('is not told where no controller saw it', () => {
    expect(sharesOf({ faultAt, promoted, events: [asked], operations: [] })).toEqual([])
  })
})

describe('the pace', () => {
  test('counts acknowledgements and troubles in intervals', () => {
    const operations = [
      aWrite({ key: 'a', endedAt: faultAt + 10 }),
      aWrite({ key: 'b', endedAt: faultAt + 99 }),
      aWrite({ key: 'c', endedAt: faultAt + 100, outcome: 'failed' }),
      aWrite({ key: 'd', endedAt: faultAt + 299 }),
    ]
    expect(paceOf(operations, faultAt, faultAt + 300)).toEqual({
      from: faultAt,
      everyMs: 100,
      lines: [{ client: 'cache', shard: 'shard-1', acks: [2, 0, 1], troubles: [0, 1, 0] }],
    })
  })

  test('is coarser where a drill is long, and loses no write', () => {
    const operations = Array.from({ length: 500 }, (_, at) => aWrite({ key: `k${at}`, endedAt: faultAt + at * 1300 }))
    const { everyMs, lines } = paceOf(operations, faultAt, faultAt + 650_000)
    expect(everyMs).toBe(600)
    expect(lines[0]?.acks.length).toBeLessThanOrEqual(1200)
    expect(lines[0]?.acks.reduce((sum, count) => sum + count, 0)).toBe(500)
  })
})
