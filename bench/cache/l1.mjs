// @ts-check
/** An awaited hit of the tier in the process: 1000 hot keys with about 100 bytes each. */
import { alternately, contender, opened, oursAgainst } from './contenders.mjs'
import { withEngine } from './engine-process.mjs'

/** @param {import('./cache.mjs').Part} part */
export async function benchLocalHits({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = [
    contender('holdfast'),
    contender('lru-cache, awaited', { engine: false }),
    contender('node-redis, its client-side cache', { variant: 'tracking', local: true }),
    contender('bentocache', { engine: false }),
    contender('bentocache, values kept as they are', { engine: false, variant: 'live' }),
    contender('cacheable', { engine: false }),
    contender('cache-manager', { engine: false }),
  ]
  const ms = quick ? 200 : 1000
  return withEngine(bench, async ({ port }) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'local hit' }, (one) =>
      opened(one, { port }, async (subject) => {
        const get = (await subject.ask('hits', { count: 1000, ms, what: 'get' })).cpuUs
        const getOrSet = one.label.includes('client-side')
          ? undefined
          : (await subject.ask('hits', { count: 1000, ms, what: 'getOrSet' })).cpuUs
        const peek = ['holdfast', 'lru-cache'].includes(one.name)
          ? (await subject.ask('hits', { count: 1000, ms, what: 'peek' })).cpuUs
          : undefined
        return { get, getOrSet, peek }
      }),
    )
    const [ours, awaited] = contenders
    /** @type {import('../figures.mjs').Row[]} */
    const rows = [
      ...contenders.map((one) =>
        outcomes.row(one, 'local hit, get', 'µs CPU', ({ get }) => get, [{ of: 'median', atMost: 0.3 }]),
      ),
      ...contenders.map((one) =>
        outcomes.row(one, 'local hit, getOrSet', 'µs CPU', ({ getOrSet }) => getOrSet, [
          { of: 'median', atMost: 0.35 },
        ]),
      ),
    ]
    if (ours && awaited) {
      const base = outcomes.of(awaited).map(({ get }) => get)
      rows.push(
        outcomes.row(ours, 'peek', 'µs CPU', ({ peek }) => peek),
        outcomes.row(awaited, 'peek', 'µs CPU', ({ peek }) => peek),
        outcomes.row(ours, 'local hit, get, against an awaited lru-cache', '×', ({ get }) => get / medianOf(base), [
          { of: 'median', atMost: 5 },
        ]),
      )
    }
    return {
      rows,
      compare: [...oursAgainst(contenders), ...oursAgainst(contenders, contenders.length)],
      details: outcomes.details,
    }
  })
}

/** @param {number[]} values */
export const medianOf = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
