// @ts-check
/**
 * A quarter of all slots to a pair that has just come: by our movers, and by the engine's own command line, on the same
 * engine with the same data, alternately. An unmodified client uses the cluster meanwhile from its own process.
 */
import { execFile, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { HoldfastError, parseClusterNodes } from '@holdfast/core'
import { moveSlots } from '../packages/control/dist/host/move/move.js'
import { BareCluster } from './bare-cluster.mjs'
import { delay, eventually, now } from './time.mjs'

const keyCount = 200_000
const valueBytes = 200
const settings = ['--cluster-node-timeout', '2000', '--repl-diskless-sync-delay', '0']
/** The engine's own first user, who takes any password. */
const admin = { username: 'default', password: 'any' }

/**
 * @typedef {import('./reshard-client.mjs').Used} Used
 * @typedef {{ ms: number, used: Used, missing: number }} Run
 */

/** @param {import('./main.mjs').Bench} bench @returns {Promise<import('./main.mjs').Result>} */
export async function benchReshard({ engine, say, runs = 3, part }) {
  const atomic = engine.flavor === 'valkey' && Number.parseFloat(engine.version) >= 9
  /** @type {Record<string, (bare: BareCluster, target: import('./cluster.mjs').Node) => Promise<void>>} */
  const ways = {
    'ours, slot by slot': (bare, target) => moveOurselves(bare, target, 'classic'),
    ...(atomic ? { 'ours, at once': (bare, target) => moveOurselves(bare, target, 'best') } : {}),
    [`${engine.flavor}-cli`]: (bare) => moveByCli(engine, bare, []),
    ...(atomic
      ? {
          [`${engine.flavor}-cli, at once`]: (bare) => moveByCli(engine, bare, ['--cluster-use-atomic-slot-migration']),
        }
      : {}),
  }
  /** @type {Record<string, Run[]>} */
  const done = {}
  for (let run = 1; run <= runs; run++) {
    for (const [name, way] of Object.entries(ways)) {
      if (part !== undefined && !name.startsWith(part)) continue
      const one = await moveAQuarter(engine, way)
      done[name] = [...(done[name] ?? []), one]
      const { p50, p99, max, errors, calls, said } = one.used
      say(
        `${name}: ${one.ms.toFixed(0)} ms; client p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(0)} ms, ${calls} calls, ${errors} errors${said === null ? '' : ` (${said})`}; ${one.missing} keys missing`,
      )
    }
  }
  const limitMs = engine.flavor === 'redis' ? 3000 : 10_000
  const rows = Object.entries(done).flatMap(([name, all]) => {
    const isOurs = name.startsWith('ours')
    const atMost = name === 'ours, at once' ? 600 : limitMs
    return [
      {
        what: `4096 slots, ${name}`,
        unit: 'ms',
        runs: all.map(({ ms }) => ms),
        ...(isOurs ? { limits: [{ of: /** @type {const} */ ('median'), atMost }] } : {}),
      },
      {
        what: `  client p99, ${name}`,
        unit: 'ms',
        runs: all.map(({ used }) => used.p99),
        ...(isOurs && name !== 'ours, at once' ? { limits: [{ of: /** @type {const} */ ('median'), atMost: 5 }] } : {}),
      },
      {
        what: `  client errors, ${name}`,
        unit: '',
        runs: all.map(({ used }) => used.errors),
        ...(isOurs ? { limits: [{ of: /** @type {const} */ ('max'), atMost: 0 }] } : {}),
      },
      {
        what: `  keys missing, ${name}`,
        unit: '',
        runs: all.map(({ missing }) => missing),
        ...(isOurs ? { limits: [{ of: /** @type {const} */ ('max'), atMost: 0 }] } : {}),
      },
    ]
  })
  return { rows, compare: [], details: done }
}

/**
 * @param {import('./bare-cluster.mjs').Engine} engine
 * @param {(bare: BareCluster, target: import('./cluster.mjs').Node) => Promise<void>} way
 * @returns {Promise<Run>}
 */
async function moveAQuarter(engine, way) {
  const { bare } = await BareCluster.up(engine, settings)
  const client = fork(fileURLToPath(new URL('reshard-client.mjs', import.meta.url)))
  try {
    await fill(bare)
    const { primary } = await bare.addPair()
    const ports = bare.cluster.nodes.map(({ port }) => port)
    await tell(client, { start: { ports, ...bare.cluster.credentials, username: 'default', keys: keyCount } })
    await delay(1500)
    await tell(client, 'reset')
    const began = now()
    await way(bare, primary)
    const ms = now() - began
    const used = /** @type {Used} */ (await tell(client, 'stop'))
    await eventually(async () => ((await ownedBy(bare, primary)) === 4096 ? true : undefined), {
      withinMs: 10_000,
      what: 'a quarter of all slots has moved',
    })
    await bare.whole()
    return { ms, used, missing: keyCount - (await countKeys(bare)) }
  } finally {
    client.kill('SIGKILL')
    await bare.remove()
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
async function moveOurselves(bare, target, mover) {
  const { entries } = parseClusterNodes(String(await bare.cluster.linkTo(target).command(['CLUSTER', 'NODES'])))
  const targetId = String(await bare.cluster.linkTo(target).command(['CLUSTER', 'MYID']))
  const sources = entries.filter(({ slots }) => slots.length > 0)
  const give = [1366, 1365, 1365]
  const clock = { now, wall: () => Date.now(), sleep: delay }
  await Promise.all(
    sources.map(({ port, slots }, index) => {
      const last = slots.at(-1)?.[1] ?? 0
      const count = give[index] ?? 0
      const range = /** @type {const} */ ([last - count + 1, last])
      const job = {
        kind: /** @type {const} */ ('move'),
        id: 'bench',
        slots: [range],
        target: { address: '127.0.0.1', port: target.port },
        targetId,
        mover,
        bytesPerSecond: null,
        keyBytesMax: 64e6,
      }
      const from = { endpoint: { address: '127.0.0.1', port }, admin, clock }
      return moveSlots(job, /** @type {any} */ (from), { guard: () => {}, progress: () => {} })
    }),
  )
}

/** @param {import('./bare-cluster.mjs').Engine} engine @param {BareCluster} bare @param {readonly string[]} more */
async function moveByCli(engine, bare, more) {
  const where = `127.0.0.1:${bare.cluster.nodes[0]?.port}`
  const words = ['--cluster', 'rebalance', where, '--cluster-use-empty-masters', ...more]
  await promisify(execFile)(engine.cli, words, {
    env: { ...process.env, ...engine.env },
    timeout: 300_000,
    maxBuffer: 64e6,
  })
}

/** @param {BareCluster} bare */
async function fill(bare) {
  const child = fork(fileURLToPath(new URL('reshard-fill.mjs', import.meta.url)))
  const ports = bare.cluster.nodes.map(({ port }) => port)
  try {
    await tell(child, { ports, keys: keyCount, valueBytes })
  } finally {
    child.kill('SIGKILL')
  }
}

/** @param {BareCluster} bare @param {import('./cluster.mjs').Node} node */
async function ownedBy(bare, node) {
  const { entries, me } = parseClusterNodes(String(await bare.cluster.linkTo(node).command(['CLUSTER', 'NODES'])))
  const slots = entries.find(({ engineId }) => engineId === me)?.slots ?? []
  return slots.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}

/** Of all primaries. @param {BareCluster} bare */
async function countKeys(bare) {
  const [first] = bare.cluster.nodes
  if (first === undefined) throw new HoldfastError('USAGE', 'no nodes')
  const { entries } = parseClusterNodes(String(await bare.cluster.linkTo(first).command(['CLUSTER', 'NODES'])))
  const primaries = entries.filter(({ role }) => role === 'primary')
  const sizes = await Promise.all(
    primaries.map(({ port }) => bare.cluster.linkTo({ id: `bare-${port}-count`, port }).command(['DBSIZE'])),
  )
  return sizes.reduce((sum, size) => Number(sum) + Number(size), 0)
}
