// @ts-check
/** A load that fails after 50 ms, and 100 callers who wait for it. */
import { now } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'
import { withEngine } from './engine-process.mjs'

/** @param {import('./cache.mjs').Part} part */
export async function benchErrors({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager', 'async-cache-dedupe'].map((name) =>
    contender(name),
  )
  return withEngine(bench, async ({ port }) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'failing load' }, (one) =>
      opened(one, { port }, async (subject) => {
        await subject.ask('stampede', { key: 'warm-up', callers: 100, loadMs: 50, at: now() + 100 })
        return subject.ask('stampede', {
          key: `fails-${now()}`,
          callers: 100,
          loadMs: 50,
          at: now() + 100,
          fails: true,
        })
      }),
    )
    const rows = [
      ...contenders.map((one) =>
        outcomes.row(one, 'failing load × 100 callers, loads', 'loads', ({ loads }) => loads, [
          { of: 'max', atMost: 1 },
        ]),
      ),
      ...contenders.map((one) =>
        outcomes.row(one, '… who got neither a value nor an error', 'callers', ({ silent }) => silent, [
          { of: 'max', atMost: 0 },
        ]),
      ),
      ...contenders.map((one) =>
        outcomes.row(one, '… slowest', 'ms', ({ longestMs }) => longestMs, [{ of: 'median', atMost: 60 }]),
      ),
    ]
    return { rows, compare: [], details: outcomes.details }
  })
}
