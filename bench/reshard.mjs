// @ts-check
/**
 * A quarter of all slots to a pair that has just come, and the whole of it, from the wish for a pair to its last slot: by
 * Holdfast, and by the engine's own command line, on the same engine with the same data, alternately. An unmodified client
 * uses the cluster meanwhile from its own process.
 */
import { execFile, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isUnfinished, parseClusterNodes } from '@holdfast/core'
import { moveSlots } from '../packages/control/dist/host/move/move.js'
import { BareCluster } from './bare-cluster.mjs'
import { Deployment } from './deployment.mjs'
import { delay, eventually, now } from './time.mjs'

const keyCount = 200_000
const valueBytes = 200
const quarter = 4096
const settings = ['--cluster-node-timeout', '2000', '--repl-diskless-sync-delay', '0']
/** The engine's own first user, who takes any password. */
const admin = { username: 'default', password: 'any' }

/**
 * @typedef {import('./reshard-client.mjs').Used} Used
 * @typedef {import('./bare-cluster.mjs').Engine} Engine
 * @typedef {import('./cluster.mjs').Cluster} Cluster
 * @typedef {import('./figures.mjs').Row} Row
 * @typedef {{ ms: number, used: Used, missing: number }} Run
 * @typedef {{ atMost: number, p99AtMost?: number }} Limits
 * @typedef {{ run: () => Promise<Run>, limits?: Limits }} Way
 */

/** @type {Record<string, (engine: Engine) => Record<string, Way>>} */
const parts = { slots: waysToMove, pair: waysToGrow }

/** @param {import('./main.mjs').Bench} bench @returns {Promise<import('./main.mjs').Result>} */
export async function benchReshard({ engine, say, runs = 3, part }) {
  const chosen = part === undefined ? Object.values(parts) : [parts[part]].flatMap((one) => one ?? [])
  if (chosen.length === 0) throw new Error(`there is no part ${part}: ${Object.keys(parts).join(', ')}`)
  /** @type {Record<string, Run[]>} */
  const done = {}
  const ways = Object.assign({}, ...chosen.map((one) => one(engine)))
  for (let run = 1; run <= runs; run++) {
    for (const [name, way] of Object.entries(ways)) {
      const one = await way.run()
      done[name] = [...(done[name] ?? []), one]
      const { p50, p99, max, errors, calls, said } = one.used
      const client = `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(0)} ms, ${calls} calls`
      const wrong = `${errors} errors${said === null ? '' : ` (${said})`}, ${one.missing} keys missing`
      say(`${name}: ${one.ms.toFixed(0)} ms; client ${client}, ${wrong}`)
    }
  }
  return {
    rows: Object.entries(done).flatMap(([name, all]) => rowsOf(name, all, ways[name]?.limits)),
    compare: [],
    details: done,
  }
}

/** @param {string} name @param {readonly Run[]} all @param {Limits} [limits] @returns {Row[]} */
function rowsOf(name, all, limits) {
  /** @param {'median' | 'max'} of @param {number | undefined} atMost */
  const within = (of, atMost) => (atMost === undefined ? {} : { limits: [{ of, atMost }] })
  const none = limits === undefined ? undefined : 0
  return [
    { what: name, unit: 'ms', runs: all.map(({ ms }) => ms), ...within('median', limits?.atMost) },
    { what: '  client p99', unit: 'ms', runs: all.map(({ used }) => used.p99), ...within('median', limits?.p99AtMost) },
    { what: '  client errors', unit: '', runs: all.map(({ used }) => used.errors), ...within('max', none) },
    { what: '  keys missing', unit: '', runs: all.map(({ missing }) => missing), ...within('max', none) },
  ]
}

/** @param {Engine} engine */
const isAtomic = ({ flavor, version }) => flavor === 'valkey' && Number.parseFloat(version) >= 9

/** @param {Engine} engine @returns {Record<string, Way>} */
function waysToMove(engine) {
  const classicMs = engine.flavor === 'redis' ? 3000 : 10_000
  /** @param {(bare: BareCluster, target: import('./cluster.mjs').Node) => Promise<void>} move */
  const run = (move) => () => moveAQuarter(engine, move)
  const cli = `${engine.flavor}-cli`
  return {
    'ours, slot by slot': {
      run: run((bare, target) => moveOurselves(bare, target, 'classic')),
      limits: { atMost: classicMs, p99AtMost: 5 },
    },
    [cli]: { run: run((bare) => moveByCli(engine, bare, [])) },
    ...(isAtomic(engine)
      ? {
          'ours, at once': {
            run: run((bare, target) => moveOurselves(bare, target, 'best')),
            limits: { atMost: 600 },
          },
          [`${cli}, at once`]: {
            run: run((bare) => moveByCli(engine, bare, ['--cluster-use-atomic-slot-migration'])),
          },
        }
      : {}),
  }
}

/** @param {Engine} engine @returns {Record<string, Way>} */
function waysToGrow(engine) {
  const atOnce = isAtomic(engine) ? ['--cluster-use-atomic-slot-migration'] : []
  return {
    'a pair by holdfast scale': { run: growOurselves, limits: { atMost: 5000 } },
    [`a pair by ${engine.flavor}-cli`]: { run: () => growByCli(engine, atOnce) },
  }
}

/**
 * @param {Engine} engine
 * @param {(bare: BareCluster, target: import('./cluster.mjs').Node) => Promise<void>} move
 * @returns {Promise<Run>}
 */
async function moveAQuarter(engine, move) {
  const { bare } = await BareCluster.up(engine, settings)
  try {
    await fill(bare.cluster)
    const { primary } = await bare.addPair()
    return await measured(bare.cluster, async () => {
      await move(bare, primary)
      await hasAQuarter(bare.cluster, primary)
    })
  } finally {
    await bare.remove()
  }
}

/** @returns {Promise<Run>} */
async function growOurselves() {
  const deployment = await Deployment.up({ memory: { maxPerNode: '256mb' } })
  try {
    await fill(deployment.cluster)
    return await measured(deployment.cluster, async () => {
      const { api } = deployment
      const [name = ''] = await api.names()
      const asked = await api.askOperation(name, { kind: 'scale', id: randomUUID(), subject: name, shards: 4 })
      await eventually(
        async () => {
          const { operations } = await api.status(name)
          const found = operations.find(({ id }) => id === asked.id)
          if (found === undefined || isUnfinished(found)) return undefined
          if (found.state !== 'done') throw new Error(found.because)
          return true
        },
        { withinMs: 120_000, what: 'the pair has its slots' },
      )
    })
  } finally {
    await deployment.remove()
  }
}

/** Two servers are started by hand first. @param {Engine} engine @param {readonly string[]} more @returns {Promise<Run>} */
async function growByCli(engine, more) {
  const { bare } = await BareCluster.up(engine, settings)
  try {
    await fill(bare.cluster)
    return await measured(bare.cluster, async () => {
      const { primary } = await bare.addPairByCli()
      await moveByCli(engine, bare, more)
      await hasAQuarter(bare.cluster, primary)
    })
  } finally {
    await bare.remove()
  }
}

/** @param {Cluster} cluster @param {() => Promise<void>} work @returns {Promise<Run>} */
async function measured(cluster, work) {
  const client = fork(fileURLToPath(new URL('reshard-client.mjs', import.meta.url)))
  try {
    const ports = cluster.nodes.map(({ port }) => port)
    await tell(client, { start: { ports, ...cluster.credentials, keys: keyCount } })
    await delay(1500)
    await tell(client, 'reset')
    const began = now()
    await work()
    const ms = now() - began
    const used = /** @type {Used} */ (await tell(client, 'stop'))
    return { ms, used, missing: keyCount - (await countKeys(cluster)) }
  } finally {
    client.kill('SIGKILL')
  }
}

/** @param {import('node:child_process').ChildProcess} child @param {unknown} message @returns {Promise<unknown>} */
function tell(child, message) {
  return new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', () => reject(new Error('the client has ended')))
    child.send(/** @type {object} */ (message))
  })
}

/** @param {BareCluster} bare @param {import('./cluster.mjs').Node} target @param {'best' | 'classic'} mover */
async function moveOurselves({ cluster }, target, mover) {
  const { entries } = parseClusterNodes(String(await cluster.linkTo(target).command(['CLUSTER', 'NODES'])))
  const targetId = String(await cluster.linkTo(target).command(['CLUSTER', 'MYID']))
  const give = [1366, 1365, 1365]
  const clock = { now, wall: () => Date.now(), sleep: delay, boot: '' }
  const order = { target: { address: '127.0.0.1', port: target.port }, targetId, mover, bytesPerSecond: null }
  const moves = entries
    .filter(({ slots }) => slots.length > 0)
    .map(({ port, slots }, index) => {
      const last = slots.at(-1)?.[1] ?? 0
      const range = /** @type {const} */ ([last - (give[index] ?? 0) + 1, last])
      const from = { endpoint: { address: '127.0.0.1', port }, admin, clock }
      return () =>
        moveSlots({ ...order, slots: [range], keyBytesMax: 64e6 }, from, { guard: () => {}, progress: () => {} })
    })
  // As the planner does it: the engines' own way from several at once, the other one from one at a time.
  if (mover === 'best') await Promise.all(moves.map((move) => move()))
  else for (const move of moves) await move()
}

/** @param {Engine} engine @param {BareCluster} bare @param {readonly string[]} more */
async function moveByCli(engine, bare, more) {
  const where = `127.0.0.1:${bare.cluster.nodes[0]?.port}`
  const words = ['--cluster', 'rebalance', where, '--cluster-use-empty-masters', ...more]
  const env = { ...process.env, ...engine.env }
  await promisify(execFile)(engine.cli, words, { env, timeout: 300_000, maxBuffer: 64e6 })
}

/** @param {Cluster} cluster */
async function fill({ nodes, credentials }) {
  const child = fork(fileURLToPath(new URL('reshard-fill.mjs', import.meta.url)))
  try {
    await tell(child, { ports: nodes.map(({ port }) => port), ...credentials, keys: keyCount, valueBytes })
  } finally {
    child.kill('SIGKILL')
  }
}

/** @param {Cluster} cluster @param {import('./cluster.mjs').Node} node */
async function hasAQuarter(cluster, node) {
  await eventually(
    async () => {
      const { entries, me } = parseClusterNodes(String(await cluster.linkTo(node).command(['CLUSTER', 'NODES'])))
      const slots = entries.find(({ engineId }) => engineId === me)?.slots ?? []
      return slots.reduce((sum, [from, to]) => sum + to - from + 1, 0) === quarter ? true : undefined
    },
    { withinMs: 10_000, everyMs: 5, what: 'a quarter of all slots has moved' },
  )
}

/** Of all primaries. @param {Cluster} cluster */
async function countKeys(cluster) {
  const [first] = cluster.nodes
  if (first === undefined) throw new Error('a cluster without nodes')
  const { entries } = parseClusterNodes(String(await cluster.linkTo(first).command(['CLUSTER', 'NODES'])))
  const primaries = entries.filter(({ role }) => role === 'primary')
  const sizes = await Promise.all(
    primaries.map(({ port }) => cluster.linkTo({ id: `count-${port}`, port }).command(['DBSIZE'])),
  )
  return sizes.reduce((sum, size) => Number(sum) + Number(size), 0)
}
