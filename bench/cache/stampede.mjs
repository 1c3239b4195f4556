// @ts-check
/** Many callers of one missing key whose load takes 50 ms: in one process, and in four. */
import { now } from '../time.mjs'
import { alternately, contender, openedTimes } from './contenders.mjs'
import { withEngine } from './engine-process.mjs'

const loadMs = 50

/** @param {import('./cache.mjs').Part} part */
export async function benchStampede({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager', 'async-cache-dedupe'].map((name) =>
    contender(name),
  )
  return withEngine(bench, async ({ port }) => {
    /** @type {import('../figures.mjs').Row[]} */
    const rows = []
    /** @type {Record<string, unknown>} */
    const details = {}
    for (const { processes, callers, spareMs } of [
      { processes: 1, callers: 1000, spareMs: 30 },
      { processes: 4, callers: 250, spareMs: 40 },
    ]) {
      const what = `${processes} × ${callers} callers`
      const outcomes = await alternately({ contenders, runs, say: bench.say, what }, (one) =>
        openedTimes(one, processes, { port }, async (subjects) => {
          // A stampede of a warm program: the first one compiles, and is not counted.
          let seen = []
          for (const key of ['warm-up', 'counted']) {
            const input = { key: `${key}-${now()}`, callers, loadMs, at: now() + 150 }
            seen = await Promise.all(subjects.map((subject) => subject.ask('stampede', input)))
          }
          return { loads: sum(seen.map(({ loads }) => loads)), ms: Math.max(...seen.map(({ longestMs }) => longestMs)) }
        }),
      )
      rows.push(
        ...contenders.map((one) =>
          outcomes.row(one, `${what}, loads`, 'loads', ({ loads }) => loads, [{ of: 'max', atMost: 1 }]),
        ),
        ...contenders.map((one) =>
          outcomes.row(one, `${what}, slowest`, 'ms', ({ ms }) => ms, [{ of: 'median', atMost: loadMs + spareMs }]),
        ),
      )
      details[what] = outcomes.details
    }
    return { rows, compare: [], details }
  })
}

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0)
