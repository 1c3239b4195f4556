// @ts-check
/** The heap after a million distinct keys, after ten thousand reconnects, and in an outage of ten minutes. */
import { delay, eventually } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'
import { CutProxy } from './cut-proxy.mjs'
import { EngineProcess, withEngine } from './engine-process.mjs'

/** @typedef {import('./contenders.mjs').Contender} Contender */

/** @param {import('./cache.mjs').Part} part */
export async function benchDistinctKeys({ bench, quick, runs = 1 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager'].map((name) =>
    contender(name, { maxEntries: 10_000 }),
  )
  const total = quick ? 60_000 : 1_000_000
  const warm = quick ? 20_000 : 100_000
  return withEngine(bench, async (engine) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'distinct keys' }, async (one) => {
      await engine.command('FLUSHALL')
      return opened(one, { port: engine.port }, async (subject) => {
        await subject.ask('distinct', { count: warm, from: 0 })
        const before = await subject.ask('heapMb')
        await subject.ask('distinct', { count: total - warm, from: warm })
        const after = await subject.ask('heapMb')
        return { before, after, grownMb: after - before }
      })
    })
    const rows = contenders.map((one) =>
      outcomes.row(
        one,
        `heap grown from ${warm} to ${total} distinct keys (default bounds)`,
        'MB',
        ({ grownMb }) => grownMb,
        [{ of: 'max', atMost: 10 }],
      ),
    )
    return { rows, compare: [], details: outcomes.details }
  })
}

/** @param {import('./cache.mjs').Part} part */
export async function benchReconnects({ bench, quick, runs = 1 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager'].map((name) => contender(name))
  // The peers wait longer before each: a tenth of them shows what grows.
  const totalOf = (/** @type {Contender} */ { name }) => (quick ? 30 : name === 'holdfast' ? 10_000 : 1000)
  return withEngine(bench, async (engine) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'reconnects' }, async (one) => {
      const proxy = await CutProxy.before(engine.port)
      return opened(one, { port: proxy.port }, async (subject) => {
        await subject.ask('miss', { key: 'first', loadMs: 0, capMs: 2000 })
        const churn = async (/** @type {number} */ until) => {
          // A library that backs off longer and longer gets as far as it gets in this time.
          const deadline = Date.now() + (quick ? 10_000 : 900_000)
          for (let number = proxy.accepted; number < until && Date.now() < deadline; number = proxy.accepted) {
            proxy.reset()
            await subject.ask('miss', { key: `again${number}`, loadMs: 0, capMs: 100 })
            await eventually(async () => (proxy.accepted > number && proxy.open > 0 ? true : undefined), {
              withinMs: 5000,
              everyMs: 1,
              what: 'it is back',
            })
          }
        }
        await churn(Math.ceil(totalOf(one) / 20))
        await delay(1000)
        const before = await subject.ask('heapMb')
        await churn(totalOf(one))
        await delay(1000)
        const after = await subject.ask('heapMb')
        return { accepted: proxy.accepted, most: proxy.mostOpen, grownMb: after - before }
      })
    })
    const rows = [
      ...contenders.map((one) =>
        outcomes.row(one, `heap grown in ${totalOf(one)} reconnects`, 'MB', ({ grownMb }) => grownMb, [
          { of: 'max', atMost: 5 },
        ]),
      ),
      ...contenders.map((one) => outcomes.row(one, '… reconnects done', '', ({ accepted }) => accepted)),
      ...contenders.map((one) =>
        outcomes.row(one, '… connections open at once, at most', '', ({ most }) => most, [{ of: 'max', atMost: 2 }]),
      ),
    ]
    return { rows, compare: [], details: outcomes.details }
  })
}

/** @param {import('./cache.mjs').Part} part */
export async function benchLongOutage({ bench, quick, runs = 1 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager'].map((name) => contender(name))
  // Callers of the peers wait for ever, 6 KB each: after a minute there are 300 000 of them, which is enough to see.
  const secondsOf = (/** @type {Contender} */ { name }) => (quick ? 4 : name === 'holdfast' ? 600 : 60)
  const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'long outage' }, async (one) => {
    const engine = await EngineProcess.start(bench.engine)
    try {
      return await opened(one, { port: engine.port }, async (subject) => {
        await subject.ask('distinct', { count: 10_000, from: 0 })
        const before = await subject.ask('heapMb')
        engine.freeze()
        await subject.ask('startTraffic', { perSecond: quick ? 1000 : 5000, keys: 0, loadMs: 2 })
        await delay(secondsOf(one) * 1000)
        // While it goes on: what waits for the engine is what is counted.
        const during = await subject.ask('heapMb')
        const seen = await subject.ask('stopTraffic')
        return {
          grownMb: during - before,
          unfinished: seen.unfinished,
          errors: seen.errors,
          unhandled: await subject.ask('unhandled'),
        }
      })
    } finally {
      await engine.remove()
    }
  })
  const what = (/** @type {Contender} */ one) => `${secondsOf(one)} s of outage`
  const rows = [
    ...contenders.map((one) =>
      outcomes.row(one, `${what(one)}, heap grown`, 'MB', ({ grownMb }) => grownMb, [{ of: 'max', atMost: 64 }]),
    ),
    ...contenders.map((one) =>
      outcomes.row(one, `${what(one)}, calls that never came back`, 'calls', ({ unfinished }) => unfinished, [
        { of: 'max', atMost: 0 },
      ]),
    ),
    ...contenders.map((one) =>
      outcomes.row(
        one,
        `${what(one)}, errors and unhandled rejections`,
        '',
        ({ errors, unhandled }) => errors + unhandled,
        [{ of: 'max', atMost: 0 }],
      ),
    ),
  ]
  return { rows, compare: [], details: outcomes.details }
}
