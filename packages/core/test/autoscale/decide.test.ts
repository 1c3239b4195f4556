import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ScaleDecision } from '../../src/index.ts'
import { decideScale, frozenBecause, scaleWish } from '../../src/index.ts'
import { aPolicy, aSample, aState, aStorePolicy, samplesUntil } from '../support/loads.ts'
import { aReadyStatus } from '../support/ready-status.ts'

const minute = 60_000
const now = 10_000_000
const store = aStorePolicy()
const cache = aPolicy()

const said = ({ action, rule, because }: ScaleDecision) => ({ action, rule, because })

describe('grows', () => {
  test('when CPU was above its threshold all the time, and names the hottest', () => {
    const samples = samplesUntil(now, 5 * minute, (at) =>
      aSample(at, { memoryBytes: 10 }, [{ cpu: 0.7 }, { cpu: 0.93 }, { cpu: at === now ? 0.71 : 0.6 }]),
    )
    expect(said(decideScale(store, samples, aState()))).toEqual({
      action: 'out',
      rule: 'cpu',
      because:
        'CPU above 70% for 5 min (74.3% to 78%, the mean of 3 primaries; the hottest is shard-2 with 93%): one pair more, 3 to 4 shards',
    })
  })

  test('when memory was above its threshold all the time', () => {
    const decision = decideScale(store, samplesUntil(now, 5 * minute, { cpu: 0.1, memoryBytes: 81 }), aState())
    expect(said(decision)).toEqual({
      action: 'out',
      rule: 'memory',
      because: 'memory above 70% for 5 min (81%): one pair more, 3 to 4 shards',
    })
    expect(decision).toMatchObject({
      shards: { from: 3, to: 4 },
      numbers: {
        memory: { min: 0.81, max: 0.81 },
        hottest: { shard: 'shard-1', cpu: expect.closeTo(0.1) },
        samples: { out: { present: 30, expected: 30 } },
      },
    })
  })

  test('by the memory of all, and not because one is full', () => {
    const samples = samplesUntil(now, 5 * minute, (at) =>
      aSample(at, { cpu: 0.5 }, [{ memoryBytes: 99 }, { memoryBytes: 50 }, { memoryBytes: 50 }]),
    )
    expect(decideScale(store, samples, aState()).action).toBe('none')
  })

  test('not because of a moment below the threshold, and not at the threshold', () => {
    const dip = samplesUntil(now, 5 * minute, (at) => aSample(at, { cpu: at === now - 2 * minute ? 0.69 : 0.95 }))
    expect(said(decideScale(store, dip, aState()))).toEqual({
      action: 'none',
      rule: 'within',
      because: 'nothing to do: CPU 69% to 95%, memory 50%',
    })
    expect(decideScale(store, samplesUntil(now, 5 * minute, { cpu: 0.7 }), aState()).action).toBe('none')
  })

  test('not above the most that is wanted', () => {
    const samples = samplesUntil(now, 5 * minute, { cpu: 0.9 }, 6)
    expect(said(decideScale(store, samples, aState({ shards: 6 })))).toEqual({
      action: 'none',
      rule: 'at-max',
      because:
        'CPU above 70% for 5 min (90%, the mean of 6 primaries; the hottest is shard-1 with 90%); but 6 shards are the most that are wanted',
    })
  })

  test('up to the fewest that are wanted, whatever is measured, and down to the most', () => {
    const wider = aStorePolicy({ nodes: { min: 8, max: 10 } })
    expect(said(decideScale(wider, [], aState()))).toEqual({
      action: 'out',
      rule: 'below-min',
      because: '3 shards, and at least 4 are wanted: one pair more, 3 to 4 shards',
    })
    const state = aState({ shards: 6 })
    expect(decideScale(wider, samplesUntil(now, 5 * minute, { cpu: 0.3, memoryBytes: 30 }, 6), state)).toMatchObject({
      action: 'in',
      rule: 'above-max',
    })
    expect(decideScale(wider, samplesUntil(now, 5 * minute, { cpu: 0.6 }, 6), state)).toMatchObject({
      action: 'none',
      rule: 'projection',
    })
    expect(decideScale(wider, [], state)).toMatchObject({ action: 'undecided', rule: 'samples' })
  })
})

describe('a cache that is full by design', () => {
  const full = { cpu: 0.2, memoryBytes: 99 }
  const decide = (parts: object) => decideScale(cache, samplesUntil(now, 20 * minute, { ...full, ...parts }), aState())

  test('grows when it evicts what is asked for again', () => {
    expect(said(decide({ evicted: 7, hits: 60, misses: 40 }))).toEqual({
      action: 'out',
      rule: 'eviction',
      because:
        'memory above 70% for 5 min (99%), it evicts, and its hit rate of 60% is below 85%: one pair more, 3 to 4 shards',
    })
  })

  test('is left alone while its hit rate is on target, while it evicts nothing, and while nobody reads', () => {
    expect(decide({ evicted: 7 }).because).toBe(
      'nothing to do: CPU 20%, memory 99%: a cache that evicts is full by design, and its hit rate is 90%',
    )
    expect(decide({ hits: 1, misses: 99 }).because).toContain('and it does not evict now')
    expect(decide({ evicted: 7, hits: 0, misses: 0 }).because).toContain('and nobody reads')
  })

  test('is judged by its memory alone where that is forced', () => {
    const forced = aPolicy({ out: { memoryAbove: 'force' } })
    const decision = decideScale(forced, samplesUntil(now, 5 * minute, full), aState())
    expect(said(decision)).toMatchObject({ action: 'out', rule: 'memory' })
  })
})

describe('shrinks', () => {
  const low = { cpu: 0.2, memoryBytes: 20 }

  test('when CPU and memory were low for long', () => {
    expect(said(decideScale(store, samplesUntil(now, 15 * minute, low, 4), aState({ shards: 4 })))).toEqual({
      action: 'in',
      rule: 'both-low',
      because: 'CPU and memory below 40% for 15 min (CPU 20%, memory 20%): one pair less, 4 to 3 shards',
    })
  })

  test('not to fewer than are wanted', () => {
    expect(said(decideScale(store, samplesUntil(now, 15 * minute, low), aState()))).toEqual({
      action: 'none',
      rule: 'at-min',
      because: 'CPU and memory below 40% for 15 min (CPU 20%, memory 20%); but 3 shards are the fewest that are wanted',
    })
  })

  test('not before the longer time is over', () => {
    const samples = samplesUntil(now, 15 * minute, (at) =>
      aSample(at, low, at < now - 14 * minute ? [{ cpu: 1 }, { cpu: 1 }, {}, {}] : [{}, {}, {}, {}]),
    )
    expect(decideScale(store, samples, aState({ shards: 4 }))).toMatchObject({ action: 'none', rule: 'within' })
  })

  test('not where the rest would come too near to the threshold', () => {
    const near = aStorePolicy({ in: { bothBelow: '50%' }, margin: '20%' })
    const samples = samplesUntil(now, 15 * minute, { cpu: 0.2, memoryBytes: 45 }, 4)
    const decision = decideScale(near, samples, aState({ shards: 4 }))
    expect(said(decision)).toEqual({
      action: 'none',
      rule: 'projection',
      because:
        'CPU and memory below 50% for 15 min (CPU 20%, memory 45%); but on 3 shards memory would be at 60%, not below 50%',
    })
    expect(decision.numbers.projected).toEqual({ cpu: expect.closeTo(0.267, 3), memory: expect.closeTo(0.6) })
  })
})

describe('decides nothing', () => {
  const hot = (forMs: number) => samplesUntil(now, forMs, { cpu: 0.95 })

  test('where more than a tenth of the samples is missing', () => {
    const thinned = (missing: number) => hot(5 * minute).filter((_, index) => index >= missing)
    expect(decideScale(store, thinned(3), aState()).action).toBe('out')
    expect(said(decideScale(store, thinned(4), aState()))).toEqual({
      action: 'undecided',
      rule: 'samples',
      because: 'of the last 5 min there are 26 of 30 samples: too few to say',
    })
    expect(decideScale(store, [], aState()).action).toBe('undecided')
  })

  test('by samples that lack a shard or a number, or are of another size', () => {
    const undecided = (samples: ReturnType<typeof hot>) => decideScale(store, samples, aState()).action
    const some = (parts: object) =>
      samplesUntil(now, 5 * minute, (at) => aSample(at, { cpu: 0.95 }, [{}, {}, at % 20_000 === 0 ? parts : {}]))
    expect(undecided(some({ cpu: null }))).toBe('undecided')
    expect(undecided(some({ misses: null }))).toBe('undecided')
    expect(undecided(samplesUntil(now, 5 * minute, { cpu: 0.95 }, 2))).toBe('undecided')
    expect(undecided(samplesUntil(now, 5 * minute, { cpu: 0.95 }, 4))).toBe('undecided')
  })

  test('by what was measured before the last change ended, and by what is older than its time', () => {
    const quick = aStorePolicy({ coolDown: '0s' })
    const decide = (endedAgo: number) =>
      decideScale(quick, hot(20 * minute), aState({ lastActionEndedAt: now - endedAgo }))
    expect(decide(3 * minute)).toMatchObject({ action: 'undecided', rule: 'samples' })
    expect(decide(5 * minute)).toMatchObject({ action: 'out' })
    expect(decideScale(store, hot(5 * minute), aState({ now: now + 5 * minute })).action).toBe('undecided')
  })

  test('of shrinking while only a short time is known; what is not low needs no longer one', () => {
    const low = samplesUntil(now, 6 * minute, { cpu: 0.2, memoryBytes: 20 })
    expect(said(decideScale(store, low, aState()))).toEqual({
      action: 'undecided',
      rule: 'samples',
      because: 'CPU and memory are low; but of the last 15 min there are 36 of 90 samples: too few to say',
    })
    const usual = samplesUntil(now, 6 * minute, { cpu: 0.5 })
    expect(decideScale(store, usual, aState())).toMatchObject({ action: 'none', rule: 'within' })
  })
})

describe('waits', () => {
  const hot = samplesUntil(now, 20 * minute, { cpu: 0.95 })

  test('from the end of a change, not from its beginning', () => {
    const decide = (endedAgo: number) => said(decideScale(store, hot, aState({ lastActionEndedAt: now - endedAgo })))
    expect(decide(4 * minute)).toEqual({
      action: 'none',
      rule: 'cool-down',
      because: 'the last change ended 4 min ago: nothing for another 6 min',
    })
    expect(decide(10 * minute).action).toBe('out')
  })

  test('while it is frozen, and says why', () => {
    expect(said(decideScale(store, hot, aState({ frozen: 'shop is not ready: 5 of 6 nodes in sync' })))).toEqual({
      action: 'none',
      rule: 'frozen',
      because: 'nothing is changed: shop is not ready: 5 of 6 nodes in sync',
    })
  })

  test('where there is no room; and shrinks all the same', () => {
    const noRoom = 'no host of another zone has a free place'
    expect(said(decideScale(store, hot, aState({ noRoom })))).toEqual({
      action: 'none',
      rule: 'no-room',
      because: expect.stringMatching(/^CPU above 70%.*; but there is no room for one pair more: no host of another/),
    })
    const low = samplesUntil(now, 15 * minute, { cpu: 0.1, memoryBytes: 10 }, 4)
    expect(decideScale(store, low, aState({ shards: 4, noRoom })).action).toBe('in')
  })
})

describe('frozen', () => {
  const operation = {
    id: 'op-1',
    kind: 'restart',
    subject: 'shop',
    state: 'running',
    because: 'node-2 restarts',
  } as never

  test.each<[string, object, string | null]>([
    ['not while all is well', {}, null],
    ['while it is not ready', { ready: 'no', because: 'slot 7 is moving' }, 'shop is not ready: slot 7 is moving'],
    ['while nobody knows', { ready: 'unknown', because: 'node-1 is silent' }, 'shop is not ready: node-1 is silent'],
    ['while it is to be down', { wanted: 'down' }, 'shop is to be down'],
    [
      'while it is paused',
      { paused: { by: 'eva', at: 0, until: null, because: 'a look at node-2' } },
      'shop is paused by eva: a look at node-2',
    ],
    ['while an operation is open', { operations: [operation] }, 'restart of shop (op-1) is not over: node-2 restarts'],
  ])('%s', (_, parts, because) => {
    expect(frozenBecause(aReadyStatus(parts))).toBe(because)
  })
})

/* Faults of a widely used auto-scaling package, each of which this must not have. */
describe('does not have the fault of', () => {
  test('four independent triggers: CPU that is idle takes nothing away while the memory is full', () => {
    const samples = samplesUntil(now, 20 * minute, { cpu: 0.05, memoryBytes: 90 }, 4)
    expect(decideScale(store, samples, aState({ shards: 4 }))).toMatchObject({ action: 'out', rule: 'memory' })
    const half = samplesUntil(now, 20 * minute, { cpu: 0.05, memoryBytes: 60 }, 4)
    expect(decideScale(store, half, aState({ shards: 4 }))).toMatchObject({ action: 'none', rule: 'within' })
  })

  test('removing several at once, and onto whoever comes first: one shard a step, and all others can bear it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 12 }),
        fc.double({ min: 0, max: 0.4, noNaN: true }),
        fc.double({ min: 0, max: 0.4, noNaN: true }),
        (shards, cpu, memory) => {
          const policy = aStorePolicy({ nodes: { min: 6, max: 24 } })
          const samples = samplesUntil(now, 15 * minute, { cpu, memoryBytes: memory * 100 }, shards)
          const { action, shards: size } = decideScale(policy, samples, aState({ shards }))
          if (action !== 'in') return
          expect(size.to).toBe(shards - 1)
          expect((cpu * shards) / size.to).toBeLessThan(0.6)
          expect((memory * shards) / size.to).toBeLessThan(0.6)
        },
      ),
    )
  })

  test('counting nodes: what is dead or follows is no primary, and half of a pair is no size', () => {
    const samples = samplesUntil(now, 5 * minute, (at) =>
      aSample(at, { cpu: 0.95 }, [{}, {}, { primary: null, cpu: null }]),
    )
    expect(decideScale(store, samples, aState())).toMatchObject({ action: 'undecided' })
    expect(scaleWish(decideScale(store, samplesUntil(now, 5 * minute, { cpu: 0.95 }), aState()))?.shards).toBe(4)
  })

  test('mending and scaling at once: nothing is begun on a deployment that is not ready', () => {
    const frozen = frozenBecause(aReadyStatus({ ready: 'no', because: 'slots 0-5460 have no owner' }))
    const decision = decideScale(store, samplesUntil(now, 5 * minute, { cpu: 0.95 }), aState({ frozen }))
    expect(decision).toMatchObject({ action: 'none', rule: 'frozen' })
    expect(scaleWish(decision)).toBeNull()
  })

  test('beginning the next before the last is over: an operation that is open freezes it', () => {
    const scaling = { id: 'op-7', kind: 'restart', subject: 'shop', state: 'asked', because: 'waits' } as never
    const frozen = frozenBecause(aReadyStatus({ operations: [scaling] }))
    expect(decideScale(store, samplesUntil(now, 5 * minute, { cpu: 0.95 }), aState({ frozen })).rule).toBe('frozen')
  })

  test('adding where nobody has looked whether there is a host', () => {
    const hot = samplesUntil(now, 5 * minute, { cpu: 0.95 })
    const decision = decideScale(store, hot, aState({ noRoom: 'host a is full' }))
    expect(scaleWish(decision)).toBeNull()
    expect(decision.because).toContain('host a is full')
  })
})

test('what is to be done is one wish, with its reason', () => {
  const decision = decideScale(
    store,
    samplesUntil(now, 15 * minute, { cpu: 0.1, memoryBytes: 10 }, 5),
    aState({ shards: 5 }),
  )
  expect(scaleWish(decision)).toEqual({ shards: 4, requestedBy: 'autoscale', because: decision.because })
})

test('the same samples in the same state are decided in the same way, and nothing is changed by it', () => {
  const samples = Object.freeze(samplesUntil(now, 20 * minute, { cpu: 0.95 }).map((sample) => Object.freeze(sample)))
  expect(decideScale(store, samples, aState())).toEqual(decideScale(store, samples, aState()))
})
