// @ts-check
/**
 * A primary is killed, or freezes, under calls for its own shard, and Holdfast promotes its replica. What do callers see
 * of it with the controller's topology feed, and without?
 */
import { Deployment } from '../deployment.mjs'
import { delay } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'

const kinds = { 'reads and fills': 'fill', 'calls without a source': 'increment' }
/** So few that a frozen primary's two seconds do not fill the queue of calls that wait. */
const perSecond = 300
const faults = /** @type {const} */ ({ killed: 'SIGKILL', frozen: 'SIGSTOP' })
const figures = /** @type {const} */ ([
  ['errors', 'calls', 0],
  ['slow', 'calls', undefined],
  ['longestGapMs', 'ms', undefined],
])
const words = { errors: 'errors', slow: 'calls over 50 ms', longestGapMs: 'longest time without an answer' }

/** @param {import('./cache.mjs').Part} part */
export async function benchFeed({ bench, quick, runs = quick ? 1 : 10 }) {
  /** @type {import('../figures.mjs').Row[]} */
  const rows = []
  /** @type {[number, number][]} */
  const compare = []
  /** @type {Record<string, unknown>} */
  const details = {}
  for (const [fault, signal] of Object.entries(faults)) {
    const contenders = Object.entries(kinds).flatMap(([kind, variant]) => [
      contender(`holdfast, ${kind}, with the feed`, { variant: `${variant}, feed` }),
      contender(`holdfast, ${kind}, without`, { variant }),
    ])
    const what = `a primary is ${fault}`
    const outcomes = await alternately({ contenders, runs, say: bench.say, what }, (one) =>
      measure(signal, String(one.options.variant), quick),
    )
    for (const [figure, unit, atMost] of figures) {
      const limits = atMost === undefined ? [] : [{ of: /** @type {const} */ ('max'), atMost }]
      const pick = (/** @type {any} */ seen) => seen[figure]
      const from = rows.length
      rows.push(...contenders.map((one) => outcomes.row(one, `${what}, ${words[figure]}`, unit, pick, limits)))
      for (let at = 0; at < contenders.length; at += 2) compare.push([from + at, from + at + 1])
    }
    details[fault] = outcomes.details
  }
  return { rows, compare, details }
}

/**
 * @param {'SIGKILL' | 'SIGSTOP'} signal
 * @param {string} variant
 * @param {boolean} quick
 */
async function measure(signal, variant, quick) {
  const [what = '', feed] = variant.split(', ')
  const deployment = await Deployment.up()
  try {
    await deployment.ready()
    const [shard] = await deployment.cluster.shards()
    if (shard === undefined) throw new Error('a deployment without shards')
    const { nodes, credentials } = deployment.cluster
    const where = { ports: nodes.map(({ port }) => port), credentials, ...(feed && { feed: deployment.feed() }) }
    const subject = { label: '', name: 'holdfast', options: {} }
    return await opened(subject, { ...where, local: false }, async (started) => {
      await started.ask('startTraffic', { perSecond, keys: 5000, loadMs: 2, what, tag: shard.tag })
      // The engines look at things ten times a second: the fault must not always come at the same moment of that.
      await delay((quick ? 1000 : 2000) + 200 * Math.random())
      process.kill(await deployment.pidOf(shard.primary), signal)
      await delay(6000)
      return started.ask('stopTraffic')
    })
  } finally {
    await deployment.remove()
  }
}
