// @ts-check
/**
 * A primary of a Cluster of three is killed under load. Whose callers see errors? With the engine's own failover, and
 * with Holdfast's.
 */
import { BareCluster } from '../bare-cluster.mjs'
import { Deployment } from '../deployment.mjs'
import { delay, now } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'

const nodeTimeoutMs = 2000

/** @typedef {{ ports: number[], credentials?: { username: string, password: string }, kill: () => Promise<void>, remove: () => Promise<void> }} Stage */

/** @param {import('./cache.mjs').Part} part */
export async function benchClusterFailover({ bench, quick, runs = quick ? 1 : 3 }) {
  /** @type {import('../figures.mjs').Row[]} */
  const rows = []
  /** @type {Record<string, unknown>} */
  const details = {}
  const stages = { 'the engine alone': () => bareStage(bench.engine), Holdfast: holdfastStage }
  for (const [by, open] of Object.entries(stages)) {
    const contenders = [
      contender('holdfast', { variant: 'fill' }),
      ...(by === 'Holdfast' ? [contender('holdfast, calls without a source', { variant: 'increment' })] : []),
      ...(by === 'Holdfast' ? [] : [contender('bentocache', { variant: 'fill' })]),
      contender('node-redis, raw', { variant: 'plain' }),
      contender('ioredis, raw', { variant: 'plain' }),
    ]
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: `failover by ${by}` }, async (one) => {
      const stage = await open()
      const { variant, ...options } = one.options
      try {
        // What the local tier has needs no engine, so there is none.
        const where = { ports: stage.ports, ...(stage.credentials && { credentials: stage.credentials }), local: false }
        return await opened({ ...one, options }, where, async (subject) => {
          const traffic = { perSecond: quick ? 300 : 1000, keys: 5000, loadMs: 2, what: variant }
          await subject.ask('startTraffic', traffic)
          await delay(quick ? 1000 : 3000)
          const killedAt = now()
          await stage.kill()
          await delay(quick ? 6000 : 10_000)
          const seen = await subject.ask('stopTraffic')
          return {
            ...seen,
            troubleMs: Math.max(0, seen.lastTroubleAt - killedAt),
            unhandled: await subject.ask('unhandled'),
          }
        })
      } finally {
        await stage.remove()
      }
    })
    /** @param {string} what @param {string} unit @param {(seen: any) => number} pick @param {number} [atMost] */
    const add = (what, unit, pick, atMost) => {
      const limits = atMost === undefined ? [] : [{ of: /** @type {const} */ ('max'), atMost }]
      rows.push(...contenders.map((one) => outcomes.row(one, `failover by ${by}, ${what}`, unit, pick, limits)))
    }
    add('errors', 'calls', ({ errors, unfinished }) => errors + unfinished, 0)
    add('slowest call', 'ms', ({ slowestMs }) => slowestMs)
    add('last error or slow call after the kill', 'ms', ({ troubleMs }) => troubleMs)
    details[by] = outcomes.details
  }
  return { rows, compare: [], details }
}

/**
 * @param {import('../bare-cluster.mjs').Engine} engine
 * @returns {Promise<Stage>}
 */
async function bareStage(engine) {
  const { bare } = await BareCluster.up(engine, ['--cluster-node-timeout', `${nodeTimeoutMs}`])
  const [shard] = await bare.cluster.shards()
  if (shard === undefined) throw new Error('a cluster without shards')
  return {
    ports: bare.cluster.nodes.map(({ port }) => port),
    kill: async () => void process.kill(await bare.pidOf(shard.primary), 'SIGKILL'),
    remove: () => bare.remove(),
  }
}

/** @returns {Promise<Stage>} */
async function holdfastStage() {
  const deployment = await Deployment.up()
  await deployment.ready()
  const [shard] = await deployment.cluster.shards()
  if (shard === undefined) throw new Error('a deployment without shards')
  return {
    ports: deployment.cluster.nodes.map(({ port }) => port),
    credentials: deployment.cluster.credentials,
    kill: async () => void process.kill(await deployment.target.pidOf(shard.primary), 'SIGKILL'),
    remove: () => deployment.remove(),
  }
}
