import { describe, expect, test } from 'vitest'
import type { Load, Simulation, Trace } from '../../src/index.ts'
import { drawSimulation, simulateScale } from '../../src/index.ts'
import { aPolicy, aStorePolicy } from '../support/loads.ts'
import { dayCurve, everyMs, flashCrowd, idealFor, sawtooth, spikes } from './traces.ts'

const minute = 60_000
const actionMs = minute
const policy = aStorePolicy()
const play = (trace: Trace, parts: object = {}) => simulateScale({ policy, trace, actionMs, ...parts })

/** A turn of the policy, from the moment that asks for it to the moment in which the next may begin. */
const oneStepMs = policy.out.forMs + actionMs + policy.coolDownMs

const days: [name: string, day: (seed: number) => Trace][] = [
  ['a day curve', dayCurve],
  ['spikes', spikes],
  ['a sawtooth around the threshold, ten minutes long', (seed) => sawtooth(seed, 10 * minute)],
  ['a sawtooth around the threshold, forty minutes long', (seed) => sawtooth(seed, 40 * minute)],
  ['a sawtooth around the threshold, two hours long', (seed) => sawtooth(seed, 120 * minute)],
  ['a flash crowd', flashCrowd],
]

describe.each(days)('twenty-four hours of %s', (_, day) => {
  test.each([1])('are no longer above the threshold than ideally, and one step; seed %i', (seed) => {
    const trace = day(seed)
    const played = play(trace)
    const { summary } = played
    const ideal = idealFor(trace, policy, { actionMs })
    expect(summary.aboveMs).toBeLessThanOrEqual(ideal.aboveMs + oneStepMs)
    // Closer still: of each step it loses no more than the time for which it has to watch, and two samples.
    expect(summary.aboveMs).toBeLessThanOrEqual(ideal.aboveMs + ideal.outs * (policy.out.forMs + 2 * everyMs))
    // It does not flap: no step that somebody who knows the day would not have made.
    expect({ outs: summary.outs, ins: summary.ins }).toEqual({ outs: ideal.outs, ins: ideal.ins })
    expect(turnsWithin(played, 60 * minute)).toBe(0)
  })
})

/** Steps that take back the one before, sooner than that after it. */
function turnsWithin({ points }: Simulation, ms: number): number {
  const steps = points.filter(({ step }) => step !== null)
  return steps.filter(({ at, step }, index) => {
    const before = steps[index - 1]
    return before !== undefined && before.step !== step && at - before.at < ms
  }).length
}

describe('the model', () => {
  const flat = (parts: Partial<Load>, count = 200): Trace => ({
    everyMs,
    loads: Array.from({ length: count }, (_, index) => ({
      at: (index + 1) * everyMs,
      shards: 3,
      cores: 1.5,
      nodesFull: 1.5,
      evicted: 0,
      hits: 90,
      misses: 10,
      ...parts,
    })),
  })

  test('shares load out, and the smaller size counts while a change lasts', () => {
    const { points } = play(flat({ cores: 2.7 }, 60))
    const began = points.findIndex(({ step }) => step === 'out')
    expect(points[began]).toMatchObject({ shards: 3, cpu: expect.closeTo(0.9) })
    expect(points[began + actionMs / everyMs - 1]).toMatchObject({ shards: 3 })
    expect(points[began + actionMs / everyMs]).toMatchObject({ shards: 4, cpu: expect.closeTo(0.675) })
  })

  test('begins with the size that it is told', () => {
    expect(play(flat({}), { shards: 6 }).points[0]).toMatchObject({ shards: 6, cpu: 0.25, memory: 0.25 })
  })

  test('knows no more than a full thread and a full node', () => {
    expect(play(flat({ cores: 9, nodesFull: 9 }, 10)).points[0]).toMatchObject({ cpu: 1, memory: 1 })
  })

  test('is undecided where the trace has gaps, and where it was not measured', () => {
    const { loads } = flat({ cores: 2.7 }, 120)
    const thin = { everyMs, loads: loads.filter((_, index) => index % 5 !== 0) }
    expect(play(thin).summary).toMatchObject({ outs: 0, undecidedMs: expect.any(Number) })
    expect(play(flat({ cores: null })).summary).toMatchObject({ outs: 0, undecidedMs: 200 * everyMs, aboveMs: 0 })
  })

  test('grows a full cache only while it evicts what is asked for again', () => {
    const full = { nodesFull: 2.97, cores: 0.6, evicted: 5 }
    const simulate = (parts: object) =>
      simulateScale({ policy: aPolicy(), trace: flat({ ...full, ...parts }), actionMs })
    expect(simulate({ hits: 90 }).summary).toMatchObject({ outs: 0, aboveMs: 0 })
    expect(simulate({ hits: 50, misses: 50 }).summary).toMatchObject({ outs: 1 })
  })

  test('keeps the pace of the trace, and refuses one that is too coarse', () => {
    const coarse = (ms: number): Trace => ({
      everyMs: ms,
      loads: flat({ cores: 2.7 }, 30).loads.map((load, index) => ({ ...load, at: index * ms })),
    })
    expect(play(coarse(minute)).summary.outs).toBeGreaterThan(0)
    expect(() => play(coarse(5 * minute))).toThrow(
      'one moment each 5 min says nothing about 5 min: three of them at least',
    )
  })

  test('tells the latest thousand decisions of very many', () => {
    const restless = flat({}, 5000)
    const loads = restless.loads.map((load, index) => ({
      ...load,
      cores: Math.floor(index / 40) % 2 === 0 ? 0.3 : null,
    }))
    const { decisions, droppedDecisions } = play({ ...restless, loads })
    expect(decisions.length + droppedDecisions).toBeGreaterThan(100)
    expect(decisions.length).toBeLessThanOrEqual(1000)
  })
})

test('is drawn with its thresholds, its sizes and the reason of each step', () => {
  const shapes = [0.4, 0.8, 0.8, 0.2].flatMap((cpu) => Array.from({ length: 150 }, () => cpu))
  const loads = shapes.map((cpu, index) => ({
    at: (index + 1) * everyMs,
    shards: 3,
    cores: 3 * cpu,
    nodesFull: 0.6,
    evicted: 0,
    hits: 0,
    misses: 0,
  }))
  expect(drawSimulation(play({ loads, everyMs }), 60)).toMatchInlineSnapshot(`
    "CPU    │
           │
    70%    │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄████┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
           │               ████
           │               ██████████████████████████████
    40%    │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄██████████████████████████████┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
           │█████████████████████████████████████████████
           │█████████████████████████████████████████████
           │█████████████████████████████████████████████▄▄▄▄▄▄▄▄▄██████
           │████████████████████████████████████████████████████████████

    memory │
           │
    70%    │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
           │
           │
    40%    │┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄
           │
           │
           │███████████████████▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄██████
           │████████████████████████████████████████████████████████████

    shards │3·················4···································3·····
    steps  │                 +                                   -
           └ 1970-01-01 00:00:10Z                   1970-01-01 01:40:00Z
             + a shard more, - a shard less; ┄ 70% and 40%; ? not measured

    1970-01-01 00:30:00Z  out  cpu: CPU above 70% for 5 min (80%, the mean of 3 primaries; the hottest is shard-1 with 80%): one pair more, 3 to 4 shards
    1970-01-01 01:30:00Z  in   both-low: CPU and memory below 40% for 15 min (CPU 15%, memory 15%): one pair less, 4 to 3 shards

    1 out, 1 in, 3 to 4 shards; above 70% CPU or 70% memory for 6 min of 100 min, undecided for 4 min"
  `)
})
