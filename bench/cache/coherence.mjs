// @ts-check
/**
 * One process reads through a link that is cut for 600 ms; another one changes 100 keys meanwhile. How many of them does
 * the reader get wrong afterwards, and how much of its local tier is left?
 */
import { delay, eventually } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'
import { CutProxy } from './cut-proxy.mjs'
import { EngineProcess } from './engine-process.mjs'

const count = 100
const cutMs = 600

/** @param {import('./cache.mjs').Part} part */
export async function benchCoherence({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = [
    contender('holdfast'),
    contender('bentocache'),
    contender('cacheable'),
    contender('node-redis, its client-side cache', { variant: 'tracking' }),
  ]
  const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'cut link' }, async (one) => {
    const engine = await EngineProcess.start(bench.engine)
    try {
      const proxy = await CutProxy.before(engine.port)
      return await opened(one, { port: proxy.port }, (reader) =>
        opened(one, { port: engine.port }, (writer) => cutLink({ engine, proxy, reader, writer })),
      )
    } finally {
      await engine.remove()
    }
  })
  /** @type {import('../figures.mjs').Limit[]} */
  const none = [{ of: 'max', atMost: 0 }]
  const rows = [
    ...contenders.map((one) => outcomes.row(one, 'stale of 20, link up', 'keys', ({ before }) => before, none)),
    ...contenders.map((one) =>
      outcomes.row(one, `stale of ${count}, 1 s after a cut of ${cutMs} ms`, 'keys', ({ stale }) => stale, none),
    ),
    ...contenders.map((one) =>
      outcomes.row(one, `lost of ${count} local entries that did not change`, 'keys', ({ lost }) => lost, [
        { of: 'max', atMost: 10 },
      ]),
    ),
  ]
  return { rows, compare: [], details: outcomes.details }
}

/** @param {{ engine: EngineProcess, proxy: CutProxy, reader: import('./subject.mjs').Subject, writer: import('./subject.mjs').Subject }} world */
async function cutLink({ engine, proxy, reader, writer }) {
  for (const prefix of ['early', 'changed', 'kept']) {
    await writer.ask('fill', { prefix, count })
    await reader.ask('countStale', { prefix, count, version: 0 })
  }
  await writer.ask('fill', { prefix: 'early', count: 20, version: 1 })
  await delay(300)
  const before = await reader.ask('countStale', { prefix: 'early', count: 20, version: 1 })

  const accepted = proxy.accepted
  proxy.cut()
  await delay(cutMs / 2)
  await writer.ask('fill', { prefix: 'changed', count, version: 1 })
  await delay(cutMs / 2)
  await proxy.heal()
  await eventually(async () => (proxy.accepted > accepted ? true : undefined), {
    withinMs: 10_000,
    what: 'the reader is back',
  })
  await delay(1000)
  const stale = await reader.ask('countStale', { prefix: 'changed', count, version: 1 })
  const local = await reader.ask('countLocal', { prefix: 'kept', count })
  const hits = await engine.info('stats', 'keyspace_hits')
  await reader.ask('countStale', { prefix: 'kept', count, version: 0 })
  const asked = (await engine.info('stats', 'keyspace_hits')) - hits
  return { before, stale, lost: local === null ? Math.min(count, asked) : count - local }
}
