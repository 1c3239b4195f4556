import { describe, expect, test } from 'vitest'
import type { LoadFigures, ShopFigures } from '../../src/demo/messages.ts'
import { keepSample, sampleOf } from '../../src/demo/sample.ts'
import { Tally } from '../../src/demo/tally.ts'
import { aSample } from './a-demo.ts'

const shop = (parts: Partial<ShopFigures> = {}): ShopFigures => ({
  requests: 100,
  errors: 0,
  stale: 0,
  queries: 6,
  loadsSaved: 80,
  watched: {},
  ...parts,
})
const load = (parts: Partial<LoadFigures> = {}): LoadFigures => ({
  p99Ms: 46,
  gaveUp: 0,
  unacknowledged: 0,
  acked: 20,
  readBack: 10,
  missing: 0,
  lost: [],
  lastKey: null,
  buyer: null,
  ...parts,
})
const second = { lane: 'holdfast', at: 5000, before: undefined } as const

describe('a second of a lane', () => {
  test('adds up what both shops counted', () => {
    const shops = [shop({ stale: 2 }), shop({ requests: 97, queries: 1 })]
    const sample = sampleOf({ ...second, shops, load: load() })
    expect(sample).toMatchObject({ requests: 197, errors: 0, stale: 2, queries: 7, loadsSaved: 160, p99Ms: 46 })
  })

  test('counts as an error what a shop answered in vain, what never came, and what was not acknowledged', () => {
    const shops = [shop({ errors: 3 }), shop()]
    const sample = sampleOf({ ...second, shops, load: load({ gaveUp: 4, unacknowledged: 5 }) })
    expect(sample.errors).toBe(12)
  })

  test('goes on from the second before', () => {
    const before = aSample({ errorsTotal: 7, requestsTotal: 1000 })
    const shops = [shop({ errors: 1 }), shop()]
    expect(sampleOf({ ...second, before, shops, load: load() })).toMatchObject({ errorsTotal: 8, requestsTotal: 1200 })
  })

  test('keeps what is known of the writes when those who count them are late, and says no p99', () => {
    const before = aSample({ acked: 50, readBack: 40, missing: 2 })
    const sample = sampleOf({ ...second, before, shops: [shop()], load: undefined })
    expect(sample).toMatchObject({ requests: 100, p99Ms: null, acked: 50, readBack: 40, missing: 2 })
  })

  test('is kept for three minutes', () => {
    const old = aSample({ at: 1000 })
    const young = aSample({ at: 2000 })
    expect(keepSample([old, young], aSample({ at: 181_500 })).map(({ at }) => at)).toEqual([2000, 181_500])
  })
})

describe('what a shop counts', () => {
  test('is told once', () => {
    const tally = new Tally()
    tally.count('requests')
    tally.count('errors')
    expect(tally.take(() => false)).toMatchObject({ requests: 1, errors: 1 })
    expect(tally.take(() => false)).toMatchObject({ requests: 0, errors: 0 })
  })

  test('is counted apart for a product that is watched, since it is', () => {
    const tally = new Tally()
    tally.countOf('p7', 'reads')
    tally.watch('p7')
    for (const figure of ['reads', 'reads', 'local', 'queries'] as const) tally.countOf('p7', figure)
    tally.countOf('p8', 'reads')
    tally.take(() => false)
    const { watched } = tally.take((product) => product === 'p7')
    expect(watched).toEqual({ p7: { reads: 2, local: 1, queries: 1, isHot: true } })
    tally.unwatch('p7')
    expect(tally.take(() => true).watched).toEqual({})
  })
})
