import type { DemoState, LaneSample } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { MemoryDemo } from '../../control/test/server/memory-demo.ts'
import { axisEnd, measures, pointsOf, sampleAt, topOf, windowMs, withFrame } from '../src/lanes.ts'

const startedAt = 1_750_000_000_000

function played(seconds: number): DemoState {
  const demo = new MemoryDemo(startedAt)
  demo.play(seconds)
  return demo.state()
}

const [firstSecond] = played(1).samples as [LaneSample]
const aSample = (parts: Partial<LaneSample> = {}): LaneSample => ({ ...firstSecond, ...parts })

describe('what is known of the demonstration', () => {
  test('is nothing before its whole state came', () => {
    expect(withFrame(undefined, { kind: 'sample', sample: aSample() })).toBeUndefined()
  })

  test('grows by each second, and keeps three minutes', () => {
    let state = withFrame(undefined, { kind: 'state', state: played(180) })
    const newest = axisEnd(state!)
    for (let second = 1; second <= 5; second++) {
      state = withFrame(state, { kind: 'sample', sample: aSample({ at: newest + second * 1000 }) })
    }
    expect(axisEnd(state!)).toBe(newest + 5000)
    expect(state?.samples).toHaveLength(180)
    expect(state?.samples[0]?.at).toBeGreaterThan(newest + 5000 - windowMs)
  })

  test('a second that comes twice counts once, and the other lane has its own', () => {
    const sample = aSample({ requests: 7 })
    const before = played(1)
    const twice = withFrame(withFrame(before, { kind: 'sample', sample }), { kind: 'sample', sample })
    expect(twice?.samples).toEqual([sample])
    const both = withFrame(twice, { kind: 'sample', sample: { ...sample, lane: 'bare' } })
    expect(both?.samples.map(({ lane }) => lane)).toEqual(['holdfast', 'bare'])
  })
})

describe('the points of a chart', () => {
  test('have a gap where nobody told anything', () => {
    const samples = [1, 2, 7].map((second) => aSample({ at: startedAt + second * 1000, requests: second }))
    expect(pointsOf(samples, measures.requests)).toEqual([
      [startedAt + 1000, startedAt + 2000, startedAt + 2001, startedAt + 7000],
      [1, 2, null, 7],
    ])
  })

  test('a second without an answer has no p99, and what is faster than a millisecond is not below the scale', () => {
    const samples = [null, 0.2, 100].map((p99Ms, index) => aSample({ at: startedAt + index * 1000, p99Ms }))
    expect(pointsOf(samples, measures.p99)[1]).toEqual([null, 0, 2])
  })

  test('the scale is over both lanes, ends at a round number, and never magnifies a quiet lane', () => {
    expect(topOf([aSample({ errors: 0 })], measures.errors)).toBe(5)
    expect(topOf([aSample({ errors: 3 }), aSample({ lane: 'bare', errors: 61 })], measures.errors)).toBe(80)
    expect(topOf([aSample({ requests: 203 })], measures.requests)).toBe(250)
    expect(topOf([aSample({ requests: 1000 })], measures.requests)).toBe(1000)
  })
})

test('the pointer reads the nearest second, and none where there is none', () => {
  const samples = [1, 2, 9].map((second) => aSample({ at: second * 1000 }))
  expect(sampleAt(samples, 1800)?.at).toBe(2000)
  expect(sampleAt(samples, 5000)).toBeUndefined()
  expect(sampleAt(samples, null)?.at).toBe(9000)
  expect(sampleAt([], null)).toBeUndefined()
})
