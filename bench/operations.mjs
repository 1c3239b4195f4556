// @ts-check
/**
 * What is done on purpose, under writes: a switchover, and a rolling restart of everything. Beside ours, on a bare cluster
 * of the same engine: `CLUSTER FAILOVER` typed by hand, and the restart that a script without hand-over does.
 *
 * The writers are those of the drills: a process of their own, unmodified ioredis and `@holdfast/cache`, each write with
 * one outcome, and every key read back from its primary and its replica afterwards.
 */
import { randomUUID } from 'node:crypto'
import { accessTo, checkOperations, hasSlot, isUnfinished, slotOf } from '@holdfast/core'
import { startFarWorkload } from '../packages/control/dist/drill/far-workload.js'
import { readBack } from '../packages/control/dist/drill/read-back.js'
import { BareCluster } from './bare-cluster.mjs'
import { Deployment } from './deployment.mjs'
import { delay, eventually } from './time.mjs'

/**
 * @typedef {import('@holdfast/core').DrillOperation} Write
 * @typedef {import('@holdfast/core').ClientKind} ClientKind
 * @typedef {import('../packages/control/dist/drill/workload.js').WriterPlan} WriterPlan
 * @typedef {{ gaps: number[], errors: number, acked: number, lost: number | null, perSecond: number }} Seen What one client saw.
 * @typedef {{ cache: Seen | null, ioredis: Seen, tookMs: number }} Outcome
 * @typedef {{ readonly id: string, readonly slots: readonly (readonly [number, number])[] }} Slots
 * @typedef {{ kind: 'switchover' | 'restart', subject: string }} Wish
 */

const lanesPerShard = 3
const restMs = 1
const quietMs = 1000

/** @type {Record<string, (bench: import('./main.mjs').Bench) => Promise<import('./main.mjs').Result>>} */
const parts = { switchover: benchSwitchover, restart: benchRestart, sentinel: benchSentinel }

/** @param {import('./main.mjs').Bench} bench */
export async function benchOperations(bench) {
  const chosen = bench.part === undefined ? Object.values(parts) : [parts[bench.part]].flatMap((one) => one ?? [])
  if (chosen.length === 0) throw new Error(`there is no part ${bench.part}: ${Object.keys(parts).join(', ')}`)
  /** @type {{ rows: import('./figures.mjs').Row[], compare: [number, number][], details: unknown[] }} */
  const all = { rows: [], compare: [], details: [] }
  for (const one of chosen) {
    const { rows, compare, details } = await one(bench)
    for (const [ours, peer] of compare) all.compare.push([ours + all.rows.length, peer + all.rows.length])
    all.rows.push(...rows)
    all.details.push(details)
  }
  return all
}

/** @param {import('./main.mjs').Bench} bench */
async function benchSwitchover({ engine, say, runs = 20 }) {
  const ours = await onOurs(runs, say, async ({ api }, run) => {
    const { shards } = await only(api)
    return { kind: /** @type {const} */ ('switchover'), subject: shards[run % shards.length]?.id ?? '' }
  })
  const bare = await onBare(engine, Math.ceil(runs / 4), say, async ({ cluster }, run) => {
    const shards = await cluster.shards()
    const shard = shards[run % shards.length]
    if (shard === undefined) throw new Error('a cluster without shards')
    await cluster.linkTo(shard.replica).command(['CLUSTER', 'FAILOVER'])
    await eventually(
      async () => (await cluster.shards()).some(({ primary }) => primary.port === shard.replica.port) || undefined,
      { withinMs: 10_000, what: 'the replica is primary' },
    )
  })
  return tell('switchover', ours, bare, `CLUSTER FAILOVER by hand, bare ${engine.flavor}`)
}

/** @param {import('./main.mjs').Bench} bench */
async function benchRestart({ engine, say, runs = 20 }) {
  const ours = await onOurs(Math.ceil(runs / 4), say, async ({ api }) => {
    const { name } = await only(api)
    return { kind: /** @type {const} */ ('restart'), subject: name }
  })
  const bare = await onBare(engine, Math.ceil(runs / 10), say, async (cluster) => {
    for (const node of cluster.cluster.nodes) {
      await cluster.restart(node)
      await cluster.whole()
    }
  })
  return tell('rolling restart', ours, bare, `SIGTERM and start, node by node, bare ${engine.flavor}`)
}

/** One primary, two replicas, three Sentinels: no peer, since a script has no safe way. @param {import('./main.mjs').Bench} bench */
async function benchSentinel({ say, runs = 20 }) {
  const deployment = await Deployment.up({ topology: 'sentinel', shards: 1, replicasPerShard: 2 })
  try {
    const kills = await onDeployment(deployment, runs, say, killPrimary)
    const switchovers = await onDeployment(deployment, Math.ceil(runs / 2), say, (one) =>
      operate(one, { kind: 'switchover', subject: 'shard-1' }),
    )
    const rows = [
      ...rowsOf('Sentinels, kill -9', kills, { cache: 500, ioredis: 1200 }),
      ...rowsOf('Sentinels, switchover', switchovers, { cache: 1000, ioredis: 1000 }),
    ]
    return { rows, compare: [], details: { kills, switchovers } }
  } finally {
    await deployment.remove()
  }
}

/** @param {Deployment} deployment */
async function killPrimary({ api }) {
  const { shards, nodes } = await only(api)
  const primary = nodes.find(({ id }) => id === shards[0]?.primary)
  if (primary?.pid == null) throw new Error('there is no primary')
  process.kill(primary.pid, 'SIGKILL')
  const isAnother = (/** @type {string | null | undefined} */ id) => id != null && id !== primary.id
  await eventually(async () => isAnother((await only(api)).shards[0]?.primary) || undefined, {
    withinMs: 60_000,
    what: 'another primary',
  })
}

/**
 * @param {number} runs
 * @param {(line: string) => void} say
 * @param {(deployment: Deployment, run: number) => Promise<Wish>} wishOf
 */
async function onOurs(runs, say, wishOf) {
  const deployment = await Deployment.up()
  try {
    return await onDeployment(deployment, runs, say, async (one, run) => operate(one, await wishOf(one, run)))
  } finally {
    await deployment.remove()
  }
}

/**
 * @param {Deployment} deployment
 * @param {number} runs
 * @param {(line: string) => void} say
 * @param {(deployment: Deployment, run: number) => Promise<void>} work
 */
async function onDeployment(deployment, runs, say, work) {
  /** @type {Outcome[]} */
  const outcomes = []
  for (let run = 0; run < runs; run++) {
    const status = await deployment.ready()
    const where = accessTo(status, await deployment.api.credentials(status.name))
    const terms = { where, shards: status.shards, clients: /** @type {ClientKind[]} */ (['cache', 'ioredis']) }
    outcomes.push(
      await underWrites(
        terms,
        () => work(deployment, run),
        () => deployment.ready(),
      ),
    )
    say(`ours ${run + 1}: ${inWords(outcomes.at(-1))}`)
  }
  return outcomes
}

/**
 * @param {Deployment} deployment
 * @param {Wish} wish
 */
async function operate({ api }, wish) {
  const { name } = await only(api)
  const { id } = await api.askOperation(name, { ...wish, id: randomUUID() })
  const done = await eventually(
    async () => (await api.status(name)).operations.find((one) => one.id === id && !isUnfinished(one)) ?? undefined,
    { withinMs: 120_000, what: 'the operation ends' },
  )
  if (done.state !== 'done') throw new Error(done.because)
}

/**
 * @param {import('./bare-cluster.mjs').Engine} engine
 * @param {number} runs
 * @param {(line: string) => void} say
 * @param {(bare: BareCluster, run: number) => Promise<void>} work
 */
async function onBare(engine, runs, say, work) {
  const { bare } = await BareCluster.up(engine, [])
  /** @type {Outcome[]} */
  const outcomes = []
  try {
    for (let run = 0; run < runs; run++) {
      await bare.whole()
      const nodes = bare.cluster.nodes.map(({ port }) => ({ address: '127.0.0.1', port }))
      const topology = /** @type {const} */ ('cluster')
      const where = { topology, nodes, sentinels: [], masterName: '', user: '', password: '' }
      const terms = { where, shards: await slotsOf(bare), clients: /** @type {ClientKind[]} */ (['ioredis']) }
      outcomes.push(await underWrites(terms, () => work(bare, run), undefined))
      say(`bare ${run + 1}: ${inWords(outcomes.at(-1))}`)
    }
  } finally {
    await bare.remove()
  }
  return outcomes
}

/** @param {BareCluster} bare */
async function slotsOf({ cluster }) {
  return (await cluster.slots()).map((slots, index) => ({ id: `shard-${index + 1}`, slots }))
}

/**
 * @param {{ where: import('@holdfast/core').DeploymentFacts, shards: readonly Slots[], clients: readonly ClientKind[] }} terms
 * @param {() => Promise<void>} work
 * @param {(() => Promise<import('@holdfast/core').Status>) | undefined} settle Undefined: what was written is not read back.
 * @returns {Promise<Outcome>}
 */
async function underWrites({ where, shards, clients }, work, settle) {
  const drill = randomUUID().slice(0, 8)
  const writers = clients.flatMap((client) => lanesOf(shards, client))
  /** @type {Write[]} */
  const writes = []
  const workload = startFarWorkload({ drill, where, writers, restMs }, (one) => writes.push(one))
  await eventually(async () => writes.length > writers.length * 20 || undefined, { withinMs: 20_000, what: 'writes' })
  await delay(quietMs)
  const from = Date.now()
  await work()
  const until = Date.now()
  // A gap that is not over is none yet: every client writes again first.
  const writesAgain = (/** @type {ClientKind} */ client) =>
    writes.some((one) => one.client === client && one.outcome === 'ok' && one.endedAt >= until)
  await eventually(async () => clients.every(writesAgain) || undefined, { withinMs: 30_000, what: 'all write again' })
  await delay(quietMs)
  const trouble = await workload.stop()
  if (trouble !== null) throw new Error(trouble)
  const lost =
    settle === undefined
      ? null
      : await lostOf(writes, await settle(), { user: where.user, password: where.password, drill })
  const seen = (/** @type {ClientKind} */ client) => seenBy(client, writes, from, lost)
  return { cache: clients.includes('cache') ? seen('cache') : null, ioredis: seen('ioredis'), tookMs: until - from }
}

/**
 * @param {readonly Write[]} writes
 * @param {import('@holdfast/core').Status} status
 * @param {{ user: string, password: string, drill: string }} terms
 */
async function lostOf(writes, status, terms) {
  const tags = new Map(status.shards.map(({ id, slots }) => [id, tagIn(slots, 0)]))
  const reads = await readBack(writes, status, { ...terms, tags })
  const { lost, unread } = checkOperations({ operations: writes, reads, evicted: {} })
  if (unread.length > 0) throw new Error(`${unread.length} keys could not be read`)
  return lost.length
}

/**
 * The longest time without an acknowledgement, of each shard.
 *
 * @param {ClientKind} client
 * @param {readonly Write[]} writes
 * @param {number} from
 * @param {number | null} lost
 * @returns {Seen}
 */
function seenBy(client, writes, from, lost) {
  const mine = writes.filter((one) => one.client === client)
  const acked = mine.filter(({ outcome }) => outcome === 'ok')
  const gaps = [...new Set(mine.map(({ shard }) => shard))].map((shard) => {
    const times = acked.filter((one) => one.shard === shard).map(({ endedAt }) => endedAt)
    const during = times.filter((at) => at >= from - 100).sort((a, b) => a - b)
    return during.reduce((longest, at, index) => Math.max(longest, at - (during[index - 1] ?? at)), 0)
  })
  // There are more of them than a call takes arguments.
  const times = mine.map(({ endedAt }) => endedAt).sort((a, b) => a - b)
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
  return {
    gaps,
    errors: mine.length - acked.length,
    acked: acked.length,
    lost,
    perSecond: Math.round(acked.length / seconds),
  }
}

/**
 * @param {readonly Slots[]} shards
 * @param {ClientKind} client
 * @returns {WriterPlan[]}
 */
const lanesOf = (shards, client) =>
  shards.flatMap(({ id, slots }) =>
    Array.from({ length: lanesPerShard }, (_, lane) => ({ client, shard: id, tag: tagIn(slots, lane) })),
  )

/**
 * The n-th tag whose keys lie in these slots.
 *
 * @param {readonly (readonly [number, number])[]} slots
 * @param {number} nth
 */
function tagIn(slots, nth) {
  for (let number = 0, found = 0; number < 100_000; number++) {
    const tag = `{${number.toString(36)}}`
    if (hasSlot(slots, slotOf(tag)) && found++ === nth) return tag
  }
  throw new Error('no tag lies in these slots')
}

/** @param {import('../packages/control/dist/cli/api.js').Api} api */
async function only(api) {
  const [name] = await api.names()
  if (name === undefined) throw new Error('there is no deployment')
  return api.status(name)
}

/**
 * @param {string} what
 * @param {readonly Outcome[]} ours
 * @param {readonly Outcome[]} bare
 * @param {string} peer
 * @returns {import('./main.mjs').Result}
 */
function tell(what, ours, bare, peer) {
  const [cache, ioredis, took] = rowsOf(what, ours, { cache: 100, ioredis: 100 })
  const [, theirs, theirTime] = rowsOf(peer, bare, { cache: 0, ioredis: 0 })
  const rows = [cache, ioredis, { ...theirs, limits: [] }, took, theirTime].flatMap((row) => (row?.what ? [row] : []))
  return { rows, compare: [[1, 2]], details: { ours, bare } }
}

/**
 * @param {string} what
 * @param {readonly Outcome[]} outcomes
 * @param {{ cache: number, ioredis: number }} limits The longest gap, median over the runs, ms.
 * @returns {import('./figures.mjs').Row[]}
 */
function rowsOf(what, outcomes, limits) {
  const gaps = (/** @type {'cache' | 'ioredis'} */ client, /** @type {string} */ name) => {
    const seen = outcomes.flatMap((one) => one[client] ?? [])
    return {
      what: `${what}, longest gap of a shard, ${name}`,
      unit: 'ms',
      runs: seen.map((one) => Math.max(...one.gaps)),
      limits: [{ of: /** @type {const} */ ('median'), atMost: limits[client] }],
      note: noteOf(seen),
    }
  }
  const took = { what: `${what}, in all`, unit: 'ms', runs: outcomes.map(({ tookMs }) => tookMs) }
  return [gaps('cache', '@holdfast/cache'), gaps('ioredis', 'ioredis'), took]
}

/** @param {readonly Seen[]} seen */
function noteOf(seen) {
  const sum = (/** @type {(one: Seen) => number} */ of) => seen.reduce((total, one) => total + of(one), 0)
  const lost = seen.some((one) => one.lost === null) ? 'not read back' : `${sum((one) => one.lost ?? 0)} lost`
  const perSecond = Math.round(sum((one) => one.perSecond) / seen.length)
  return `${sum((one) => one.acked)} acknowledged (${perSecond} a second), ${lost}, ${sum((one) => one.errors)} errors`
}

/** @param {Outcome | undefined} outcome */
function inWords(outcome) {
  if (outcome === undefined) return ''
  const of = (/** @type {Seen | null} */ seen) =>
    seen === null
      ? ''
      : `gaps ${seen.gaps.map((gap) => gap.toFixed(0)).join(', ')} ms, ${seen.errors} errors, lost ${seen.lost}, ${seen.perSecond}/s`
  return `${(outcome.tookMs / 1000).toFixed(1)} s; cache: ${of(outcome.cache)}; ioredis: ${of(outcome.ioredis)}`
}
