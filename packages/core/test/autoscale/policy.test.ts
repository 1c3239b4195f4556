import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkAutoscale } from '../../src/autoscale/policy.ts'
import { decideScale, HoldfastError, parseSpec, parseWish, policyOf } from '../../src/index.ts'
import { aPolicy, aState, samplesUntil } from '../support/loads.ts'

const minute = 60_000

function refusalOf(autoscale: object, spec: object = {}): string {
  try {
    parseWish({ name: 'shop', autoscale, ...spec })
  } catch (error) {
    if (error instanceof HoldfastError) return error.message
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a policy', () => {
  test('that says nothing has the defaults', () => {
    expect(aPolicy()).toEqual({
      shards: { min: 3, max: 6 },
      copies: 2,
      out: { cpuAbove: 0.7, memoryAbove: 0.7, forMs: 5 * minute },
      in: { bothBelow: 0.4, forMs: 15 * minute },
      margin: 0.1,
      coolDownMs: 10 * minute,
      hitRateTarget: 0.85,
      sampleEveryMs: 10_000,
      fullByDesign: true,
    })
  })

  test('of a spec that wants none is that of the defaults', () => {
    expect(policyOf(parseSpec({ name: 'shop' }))).toEqual(aPolicy())
  })

  test('counts in nodes, and means shards with all their copies', () => {
    expect(aPolicy({ nodes: { min: 6, max: 12 } }).shards).toEqual({ min: 3, max: 6 })
    expect(aPolicy({ nodes: { min: 9, max: 18 } }, { replicasPerShard: 2 })).toMatchObject({
      shards: { min: 3, max: 6 },
      copies: 3,
    })
    expect(aPolicy({}, { replicasPerShard: 2 }).shards).toEqual({ min: 3, max: 6 })
    expect(aPolicy({ nodes: { min: 7, max: 13 } }, { shardOverrides: { 1: { replicas: 2 } } }).shards).toEqual({
      min: 3,
      max: 6,
    })
  })

  test('takes memory as it is where nothing is evicted by design, and where it is forced', () => {
    const isFull = (autoscale: object, spec: object = {}) => aPolicy(autoscale, spec).fullByDesign
    expect(isFull({})).toBe(true)
    expect(isFull({ out: { memoryAbove: 'force' } })).toBe(false)
    expect(isFull({}, { memory: { policy: 'noeviction' } })).toBe(false)
    expect(isFull({}, { use: 'session', memory: { policy: 'volatile-ttl' } })).toBe(false)
    const forced = aPolicy({ out: { memoryAbove: '80% force' } })
    expect(forced).toMatchObject({ fullByDesign: false, out: { memoryAbove: 0.8, cpuAbove: 0.7 } })
  })
})

describe('a policy is refused, with the path and what to do', () => {
  test.each<[title: string, autoscale: object, spec: object, says: string]>([
    [
      'thresholds that overlap',
      { in: { bothBelow: '60%' } },
      {},
      'autoscale.in.bothBelow: 60% overlaps with out.cpuAbove 70%: what grows from 3 to 4 shards there is at 70% × 3/4 = 52.5% then, and would shrink again. Less than 52.5%, or a higher cpuAbove',
    ],
    [
      'a memory threshold that overlaps',
      { out: { memoryAbove: '50%' } },
      {},
      'autoscale.in.bothBelow: 40% overlaps with out.memoryAbove 50%: what grows from 3 to 4 shards there is at 50% × 3/4 = 37.5%',
    ],
    ['the very threshold', { in: { bothBelow: '52.5%' } }, {}, '52.5% overlaps with out.cpuAbove 70%'],
    ['in above out', { in: { bothBelow: '90%' } }, {}, '90% overlaps'],
    [
      'a margin that leaves nothing',
      { margin: '70%' },
      {},
      'autoscale.margin: 70% below out.cpuAbove 70% leaves nothing',
    ],
    [
      'fewer nodes than a quorum needs',
      { nodes: { min: 4 } },
      {},
      'autoscale.nodes.min: a cluster needs 3 shards to outvote a dead one, and here that is 6 nodes: at least 6, not 4',
    ],
    [
      'fewer nodes than a quorum of three copies needs',
      { nodes: { min: 6 } },
      { replicasPerShard: 2 },
      'at least 9, not 6',
    ],
    ['more at least than at most', { nodes: { min: 12, max: 8 } }, {}, 'autoscale.nodes: min is 12 nodes, and max 8'],
    ['more at least than the default at most', { nodes: { min: 14 } }, {}, 'min is 14 nodes, and max 12'],
    [
      'a size that cannot be reached',
      { nodes: { max: 13 } },
      {},
      'autoscale.nodes.max: 13 nodes cannot be reached: 6 shards are 12 nodes, and 7 are 14. Write one of these',
    ],
    [
      'a size that three copies cannot reach',
      { nodes: { max: 10 } },
      { replicasPerShard: 2 },
      '3 shards are 9 nodes, and 4 are 12',
    ],
    ['Sentinels', {}, { topology: 'sentinel' }, 'autoscale: needs topology cluster, not sentinel'],
    ['one engine', {}, { topology: 'standalone' }, 'autoscale: needs topology cluster, not standalone'],
    [
      'a window of one sample',
      { out: { for: '10s' } },
      {},
      'autoscale.out.for: 10 s holds 1 samples, one each 10 s: 3 to 2000',
    ],
    ['a window of very many', { in: { for: '7d' } }, {}, 'autoscale.in.for: 7 days holds 60480 samples'],
    ['samples without end', { sampleEvery: '10ms' }, {}, 'autoscale.sampleEvery: at least 1s'],
    ['a threshold in words', { out: { memoryAbove: 'always' } }, {}, 'write 70%, force, or 80% force'],
    ['two thresholds', { out: { memoryAbove: '70% 80%' } }, {}, 'write 70%, force, or 80% force'],
    ['a share without a unit', { out: { cpuAbove: 0.7 } }, {}, 'autoscale.out.cpuAbove: '],
    ['a misspelt key', { cooldown: '5m' }, {}, 'autoscale.cooldown: unknown key'],
  ])('%s', (_, autoscale, spec, says) => {
    expect(refusalOf(autoscale, spec)).toContain(says)
  })

  test('and so is a word that is none', () => {
    expect(() => parseWish({ name: 'shop', autoscale: 'yes' })).toThrow('autoscale: off, or when to grow and shrink')
  })
})

/* The arithmetic of the refusal is the behaviour: no load can make it grow and, staying as it is, shrink again. */
test('what is not refused does not flap under a load that stays', () => {
  fc.assert(
    fc.property(
      fc.record({ cpu: fc.integer({ min: 5, max: 100 }), below: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ min: fc.integer({ min: 3, max: 8 }), more: fc.integer({ min: 1, max: 5 }) }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 4 }),
      ({ cpu, below }, { min, more }, above, steps) => {
        const nodes = { min: 2 * min, max: 2 * (min + more) }
        const input = { nodes, out: { cpuAbove: `${cpu}%` }, in: { bothBelow: `${below}%` }, margin: '0%' }
        const parsed = parseTolerant(input)
        if (parsed === null || steps >= more) return
        const policy = policyOf(parsed)
        const shards = min + steps
        const cores = shards * (cpu / 100 + (1 - cpu / 100) * above)
        const at = (count: number) =>
          decideScale(
            policy,
            samplesUntil(10_000_000, 20 * minute, { cpu: cores / count, memoryBytes: 1 }, count),
            aState({ shards: count }),
          )
        if (at(shards).action === 'out') expect(at(shards + 1).action).not.toBe('in')
      },
    ),
  )
})

function parseTolerant(autoscale: object) {
  try {
    const spec = parseWish({ name: 'shop', autoscale, expose: { basePort: 2000 } })
    expect(checkAutoscale(spec)).toEqual([])
    return spec
  } catch {
    return null
  }
}
