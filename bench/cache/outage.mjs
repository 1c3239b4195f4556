// @ts-check
/** The engine is killed or frozen under a library with default options; then it comes back. */
import { delay, eventually, now } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'
import { EngineProcess } from './engine-process.mjs'

const loadMs = 5
const laterMisses = 5

/** @param {import('./cache.mjs').Part} part */
export async function benchOutage({ bench, quick, runs = quick ? 1 : 3 }) {
  const contenders = ['holdfast', 'bentocache', 'cacheable', 'cache-manager'].map((name) => contender(name))
  const capMs = quick ? 2000 : 13_000
  /** @type {import('../figures.mjs').Row[]} */
  const rows = []
  /** @type {Record<string, unknown>} */
  const details = {}
  for (const fault of /** @type {const} */ (['killed', 'frozen'])) {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: fault }, async (one) => {
      const engine = await EngineProcess.start(bench.engine)
      try {
        return await opened(one, { port: engine.port }, (subject) => outage(engine, subject, fault, capMs))
      } finally {
        await engine.remove()
      }
    })
    const hung = ` (hung: ${capMs} ms is where we stopped waiting)`
    /** @param {string} what @param {string} unit @param {(seen: Awaited<ReturnType<typeof outage>>) => number | undefined} pick @param {number} [atMost] */
    const add = (what, unit, pick, atMost) => {
      const limits = atMost === undefined ? [] : [{ of: /** @type {const} */ ('max'), atMost }]
      rows.push(...contenders.map((one) => outcomes.row(one, `engine ${fault}, ${what}`, unit, pick, limits)))
    }
    add(`first miss${quick ? '' : hung}`, 'ms', ({ firstMs }) => firstMs, loadMs + 250)
    add('later misses, slowest', 'ms', ({ laterMs }) => laterMs, loadMs + 2)
    add('hot local key', 'ms', ({ hotMs }) => hotMs)
    add('used again after its return', 'ms', ({ backMs }) => backMs, 1000)
    add('unhandled rejections', '', ({ unhandled }) => unhandled, 0)
    details[fault] = outcomes.details
  }
  return { rows, compare: [], details }
}

/**
 * @param {EngineProcess} engine
 * @param {import('./subject.mjs').Subject} subject
 * @param {'killed' | 'frozen'} fault
 * @param {number} capMs
 */
async function outage(engine, subject, fault, capMs) {
  const miss = (/** @type {string} */ key) => subject.ask('miss', { key, loadMs, capMs })
  for (let warm = 0; warm < 50; warm++) await miss(`warm${warm}`)
  await miss('hot')
  await delay(500)
  if (fault === 'killed') await engine.kill()
  else engine.freeze()
  // A moment later, as most calls come: the death of the engine was seen, or there was nothing to see.
  await delay(20)
  const first = await miss('first')
  const hot = await miss('hot')
  const later = []
  for (let index = 0; index < laterMisses && !first.hung; index++) later.push(await miss(`later${index}`))
  await delay(1000)
  if (fault === 'killed') await engine.start()
  else engine.thaw()
  const backAt = now()
  const asking = new AbortController()
  const asks = (async () => {
    // Not waited for one after the other: a call that hangs must not hide that the next one gets through.
    for (let index = 0; !asking.signal.aborted && index < 1000; index++) {
      void miss(`again${index}`).catch(() => {})
      await delay(20)
    }
  })()
  try {
    const backMs = await eventually(
      async () => {
        const keys = /** @type {unknown[]} */ (await engine.command('KEYS', '*again*'))
        return keys.length > 0 ? now() - backAt : undefined
      },
      { withinMs: 10_000, everyMs: 5, what: 'the engine is used again' },
    ).catch(() => undefined)
    return {
      firstMs: first.ms,
      hung: first.hung,
      laterMs: later.length === 0 ? undefined : Math.max(...later.map(({ ms }) => ms)),
      hotMs: hot.ms,
      backMs,
      unhandled: await subject.ask('unhandled'),
    }
  } finally {
    asking.abort()
    await asks
  }
}
