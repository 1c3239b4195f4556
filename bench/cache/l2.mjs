// @ts-check
/** A hit of the engine, 64 in flight, no tier in the process; beside the raw clients with the same codec. */
import { alternately, contender, opened, oursAgainst } from './contenders.mjs'
import { withEngine } from './engine-process.mjs'
import { medianOf } from './l1.mjs'

/** @param {import('./cache.mjs').Part} part */
export async function benchEngineHits({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = ['holdfast', 'node-redis', 'ioredis', 'bentocache', 'cacheable', 'cache-manager'].map((name) =>
    contender(name, { local: false }),
  )
  const input = { count: 1000, lanes: 64, ms: quick ? 400 : 2000 }
  return withEngine(bench, async (engine) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'engine hit' }, async (one) => {
      await engine.command('FLUSHALL')
      return opened(one, { port: engine.port }, async (subject) => {
        await subject.ask('fill', { count: input.count })
        const get = await subject.ask('hitsInFlight', { ...input, what: 'get' })
        const getOrSet = await subject.ask('hitsInFlight', { ...input, what: 'getOrSet' })
        return { get: get.cpuUs, perSecond: get.perSecond, getOrSet: getOrSet.cpuUs }
      })
    })
    const [ours, raw] = contenders
    const rawUs = raw && medianOf(outcomes.of(raw).map(({ get }) => get))
    const rawPerSecond = raw && medianOf(outcomes.of(raw).map(({ perSecond }) => perSecond))
    const rows = [
      ...contenders.map((one) =>
        outcomes.row(one, 'engine hit, get', 'µs CPU', ({ get }) => get, [{ of: 'median', atMost: 2.2 }]),
      ),
      ...contenders.map((one) => outcomes.row(one, 'engine hit, getOrSet', 'µs CPU', ({ getOrSet }) => getOrSet)),
      ...contenders.map((one) => outcomes.row(one, 'engine hit, calls', '1/s', ({ perSecond }) => perSecond)),
    ]
    if (ours && rawUs !== undefined && rawPerSecond !== undefined) {
      rows.push(
        outcomes.row(ours, 'engine hit, CPU against the raw client', '×', ({ get }) => get / rawUs),
        // At least 0.75 times as many calls: the raw client does at most 1.34 times as many.
        outcomes.row(
          ours,
          'the raw client does so many times the calls',
          '×',
          ({ perSecond }) => rawPerSecond / perSecond,
          [{ of: 'median', atMost: 1.34 }],
        ),
      )
    }
    return {
      rows,
      compare: [...oursAgainst(contenders), ...oursAgainst(contenders, contenders.length)],
      details: outcomes.details,
    }
  })
}
