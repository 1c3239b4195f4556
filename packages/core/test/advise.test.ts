import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Needs } from '../src/advise.ts'
import { advise, usualNeeds } from '../src/advise.ts'
import { parseSpec } from '../src/parse-spec.ts'
import { copiesOfShard } from '../src/spec.ts'

const gb = 1024 ** 3
const needs = (some: Partial<Needs> = {}): Needs => ({
  ...usualNeeds,
  name: 'shop',
  dataBytes: 200 * 1024 ** 2,
  opsPerSecond: 2000,
  ...some,
})
const specOf = (some: Partial<Needs>) => parseSpec(advise(needs(some)).spec)
const reasonsOf = (some: Partial<Needs>): string => advise(needs(some)).reasons.join('\n')

describe('what fits', () => {
  test('little data that may be away for a restart: one engine, with what that does not protect from', () => {
    expect(specOf({ outage: 'restart' })).toMatchObject({
      topology: 'standalone',
      memory: { maxPerNode: 368 * 1024 ** 2 },
    })
    expect(reasonsOf({ outage: 'restart' })).toContain('The loss of its disk is the loss of the data')
  })

  test('little data that may not be away: Sentinel, or what comes nearest to it today', () => {
    const { spec, later, reasons } = advise(needs())
    const today = later.length === 0 ? 'sentinel' : 'cluster'
    expect(parseSpec(spec).topology).toBe(today)
    expect(reasons.join('\n')).toContain('about 1.2 s')
  })

  test('little data with commands over any keys is never a Cluster', () => {
    expect(specOf({ multiKey: 'any' }).topology).not.toBe('cluster')
  })

  test('data beyond one node: a Cluster with an odd number of primaries, and why odd', () => {
    expect(specOf({ dataBytes: 40 * gb })).toMatchObject({ topology: 'cluster', shards: 9 })
    expect(reasonsOf({ dataBytes: 40 * gb })).toContain('with an even one, each of two zones can have half')
  })

  test('more commands than one core answers: a Cluster too', () => {
    expect(specOf({ opsPerSecond: 200_000 })).toMatchObject({ topology: 'cluster', shards: 5 })
  })

  test('commands over any keys beyond one node: hash tags, said with the word of the engine', () => {
    expect(reasonsOf({ dataBytes: 40 * gb, multiKey: 'any' })).toContain('CROSSSLOT')
    expect(reasonsOf({ dataBytes: 40 * gb, multiKey: 'together' })).toContain('{user:7}:cart')
  })

  test('what must not be lost: class durable, with two replicas and noeviction, and that one machine is not enough', () => {
    const advice = advise(needs({ use: 'primary-store', loss: 'zero', dataBytes: 40 * gb }))
    expect(parseSpec(advice.spec)).toMatchObject({
      topology: 'cluster',
      durability: 'durable',
      replicasPerShard: 2,
      memory: { policy: 'noeviction' },
    })
    expect(advice.later.join()).toContain('hosts: [ … ]')
  })

  test('a cache that is written faster than a disk likes: snapshots alone', () => {
    expect(specOf({ opsPerSecond: 300_000, writeShare: 0.5 }).persistence).toBe('rdb')
    expect(specOf({ use: 'session', opsPerSecond: 300_000, writeShare: 0.5 }).persistence).toBe('hybrid')
  })

  test('several zones are a reason and a line for later, since a spec with hosts is refused today', () => {
    expect(advise(needs({ zones: 2 })).later.join()).toContain('hosts')
    expect(reasonsOf({ zones: 2 })).toContain('a third place with a vote')
  })
})

describe('laws', () => {
  const anyNeeds: fc.Arbitrary<Needs> = fc.record({
    name: fc.constant('shop'),
    use: fc.constantFrom('cache', 'session', 'queue', 'primary-store'),
    dataBytes: fc.integer({ min: 0, max: 800 * gb }),
    growthPerMonth: fc.double({ min: 0, max: 0.3, noNaN: true }),
    months: fc.integer({ min: 0, max: 12 }),
    opsPerSecond: fc.integer({ min: 0, max: 5_000_000 }),
    writeShare: fc.double({ min: 0, max: 1, noNaN: true }),
    loss: fc.constantFrom('a-moment', 'zero'),
    outage: fc.constantFrom('none', 'restart'),
    multiKey: fc.constantFrom('none', 'together', 'any'),
    zones: fc.integer({ min: 1, max: 4 }),
    nodeMemoryBytes: fc.integer({ min: gb, max: 256 * gb }),
  })
  const totalOf = (some: Needs): number => {
    const spec = parseSpec(advise(some).spec)
    return spec.shards * spec.memory.maxPerNode
  }
  const dataThen = ({ dataBytes, growthPerMonth, months }: Needs): number => dataBytes * (1 + growthPerMonth) ** months

  test('every advice is a spec that is taken', () => {
    fc.assert(fc.property(anyNeeds, (some) => void parseSpec(advise(some).spec)))
  })

  test('the data fits with a quarter to spare, and in a Cluster also with one primary gone', () => {
    fc.assert(
      fc.property(anyNeeds, (some) => {
        const { shards, topology, memory } = parseSpec(advise(some).spec)
        expect(shards * memory.maxPerNode * 0.75).toBeGreaterThanOrEqual(dataThen(some) * 0.999999)
        if (topology === 'cluster')
          expect((shards - 1) * memory.maxPerNode).toBeGreaterThanOrEqual(dataThen(some) * 0.999999)
      }),
    )
  })

  test('more data never gets less memory', () => {
    const more = fc.oneof(fc.integer({ min: 1, max: 300 * 1024 ** 2 }), fc.integer({ min: 1, max: 100 * gb }))
    fc.assert(
      fc.property(anyNeeds, more, (some, bytes) => {
        expect(totalOf({ ...some, dataBytes: some.dataBytes + bytes })).toBeGreaterThanOrEqual(totalOf(some))
      }),
    )
  })

  test('nor where it has just outgrown one engine, three primaries or five', () => {
    const grown = { growthPerMonth: 0, months: 0, opsPerSecond: 0 }
    const outgrowing = fc.constantFrom(0.6 * 0.75, 0.6 * 2, 0.6 * 5 * 0.75)
    fc.assert(
      fc.property(anyNeeds, outgrowing, fc.integer({ min: 1, max: gb }), (some, share, bytes) => {
        const before = { ...some, ...grown, dataBytes: Math.floor(some.nodeMemoryBytes * share) }
        expect(totalOf({ ...before, dataBytes: before.dataBytes + bytes })).toBeGreaterThanOrEqual(totalOf(before))
      }),
    )
  })

  test('the number of primaries is one or odd, and no node takes more than it may while a spec has room', () => {
    fc.assert(
      fc.property(anyNeeds, (some) => {
        const { shards, memory } = parseSpec(advise(some).spec)
        expect(shards % 2).toBe(1)
        if (shards < 499) expect(memory.maxPerNode).toBeLessThanOrEqual(Math.max(some.nodeMemoryBytes, 64 * 1024 ** 2))
      }),
    )
  })

  test('whoever may lose nothing gets two replicas and files, and nothing is evicted but from a cache', () => {
    fc.assert(
      fc.property(anyNeeds, (some) => {
        const spec = parseSpec(advise(some).spec)
        if (some.loss === 'zero') expect([spec.durability, copiesOfShard(spec, 1)]).toEqual(['durable', 3])
        expect(spec.persistence).not.toBe('none')
        expect(spec.memory.policy === 'noeviction').toBe(some.use !== 'cache' || some.loss === 'zero')
      }),
    )
  })
})
