// @ts-check
/**
 * A primary dies, freezes, or dies together with another one. Beside Holdfast, the same faults with its controller
 * killed, where the engine has to help itself; and a bare cluster with the engine's default timeout.
 */
import { BareCluster } from './bare-cluster.mjs'
import { Deployment } from './deployment.mjs'
import { breakAndWatch } from './fault.mjs'
import { delay } from './time.mjs'
import { Writer } from './writer.mjs'

/**
 * @typedef {import('./fault.mjs').Outcome & { refused?: boolean, askedMs?: number | null }} Outcome
 * @typedef {import('./figures.mjs').Row} Row
 * @typedef {{ bench: import('./main.mjs').Bench, writer: Writer, runs: number }} Context
 */

const oursWithinMs = 30_000
const engineWithinMs = 60_000
/** How long the engine alone gets to recover from the loss of two of three primaries, which it never does. */
const hopelessWithinMs = 20_000

/** @type {Record<string, (context: Context) => Promise<import('./main.mjs').Result>>} */
const parts = { kill: benchKill, frozen: benchFrozen, double: benchDouble }

/** @param {import('./main.mjs').Bench} bench */
export async function benchFailover(bench) {
  const { part, runs = 20 } = bench
  const chosen = part === undefined ? Object.values(parts) : [parts[part]].flatMap((one) => one ?? [])
  if (chosen.length === 0) throw new Error(`there is no part ${part}: ${Object.keys(parts).join(', ')}`)
  const writer = new Writer()
  /** @type {{ rows: Row[], compare: [number, number][], details: unknown[] }} */
  const all = { rows: [], compare: [], details: [] }
  try {
    for (const one of chosen) {
      const { rows, compare, details } = await one({ bench, writer, runs })
      for (const [ours, peer] of compare) all.compare.push([ours + all.rows.length, peer + all.rows.length])
      all.rows.push(...rows)
      all.details.push(details)
    }
  } finally {
    writer.close()
  }
  return all
}

/** `kill -9` of a random primary. @param {Context} context */
async function benchKill({ bench: { engine, say }, writer, runs }) {
  /** @type {{ ours: Outcome[], off: Outcome[], bare: Outcome[] }} */
  const outcomes = { ours: [], off: [], bare: [] }
  const deployment = await Deployment.up()
  try {
    // Runs whose vote was refused are told apart, and do not count as runs: the voters elect once in twice the node
    // timeout for the same dead primary, which a benchmark that kills every few seconds meets more often than life.
    for (let run = 1; run <= 2 * runs && outcomes.ours.filter(isGranted).length < runs; run++) {
      outcomes.ours.push(await killOne(deployment, writer))
      say(`kill ${run}: ${inWords(outcomes.ours)}`)
      if (run % 4 === 0 && outcomes.off.length < 5) {
        outcomes.off.push(await withoutController(deployment, () => killAny(deployment, writer)))
        say(`  controller off: ${inWords(outcomes.off)}`)
      }
      if (run % 6 === 0 && outcomes.bare.length < 3) {
        outcomes.bare.push(await killBare(engine, writer))
        say(`  engine defaults: ${inWords(outcomes.bare)}`)
      }
    }
  } finally {
    await deployment.remove()
  }
  const { granted, refused } = split(outcomes.ours)
  const rows = [
    writable('kill -9, until writable', granted, [
      { of: 'median', atMost: 60 },
      { of: 'max', atMost: 250 },
    ]),
    writable('kill -9, first vote refused', refused),
    writable('kill -9, controller off (node timeout 5 s)', outcomes.off),
    writable(`kill -9, bare ${engine.flavor} (node timeout 15 s)`, outcomes.bare),
    { what: '… until the replica was asked', unit: 'ms', runs: granted.flatMap(({ askedMs }) => askedMs ?? []) },
    gap('kill -9, as ioredis sees it', granted, [{ of: 'median', atMost: 150 }]),
    gap('kill -9, ioredis, first vote refused', refused),
    gap('kill -9, ioredis, controller off', outcomes.off),
    gap(`kill -9, ioredis, bare ${engine.flavor}`, outcomes.bare),
  ]
  /** @type {[number, number][]} */
  const compare = [
    [0, 2],
    [0, 3],
    [5, 7],
    [5, 8],
  ]
  return { rows, compare, details: outcomes }
}

/** SIGSTOP of a primary. A shard has a frozen engine killed once in ten minutes, so each run has a shard of its own. @param {Context} context */
async function benchFrozen({ bench: { say }, writer, runs }) {
  /** @type {{ ours: Outcome[], off: Outcome[] }} */
  const outcomes = { ours: [], off: [] }
  const wanted = Math.min(6, Math.ceil(runs * 0.3))
  while (outcomes.ours.length < wanted) {
    const deployment = await Deployment.up()
    try {
      const ports = (await deployment.cluster.shards()).flatMap(({ primary, replica }) => [
        [primary.port, replica.port],
      ])
      for (const pair of ports.slice(0, wanted - outcomes.ours.length)) {
        const shard = (await deployment.cluster.shards()).find(({ primary }) => pair.includes(primary.port))
        if (shard === undefined) throw new Error('a shard is gone')
        outcomes.ours.push(await stopOne(deployment, writer, shard, oursWithinMs))
        say(`frozen ${outcomes.ours.length}: ${inWords(outcomes.ours)}`)
        await deployment.ready()
      }
      await deployment.killController()
      const [shard] = await deployment.cluster.shards()
      if (shard === undefined) throw new Error('a shard is gone')
      outcomes.off.push(await stopOne(deployment, writer, shard, hopelessWithinMs))
      say(`  controller off: ${inWords(outcomes.off)}`)
    } finally {
      await deployment.remove()
    }
  }
  const rows = [
    writable('frozen (SIGSTOP), until writable', outcomes.ours, [{ of: 'max', atMost: 2500 }]),
    writable('frozen, controller off (node timeout 5 s)', outcomes.off),
    gap('frozen, as ioredis sees it', outcomes.ours),
    gap('frozen, ioredis, controller off', outcomes.off),
  ]
  return { rows, compare: /** @type {[number, number][]} */ ([[0, 1]]), details: outcomes }
}

/** Two of three primaries at once: nobody is left to vote. @param {Context} context */
async function benchDouble({ bench: { say }, writer, runs }) {
  /** @type {{ ours: Outcome[], off: Outcome[] }} */
  const outcomes = { ours: [], off: [] }
  const wanted = Math.min(7, Math.ceil(runs * 0.35))
  const deployment = await Deployment.up()
  const killTwo = async (/** @type {number} */ withinMs) => {
    const shards = shuffle(await deployment.cluster.shards()).slice(0, 2)
    return breakAndWatch(deployment.target, writer, { signal: 'SIGKILL', shards, withinMs })
  }
  try {
    for (let run = 1; run <= 2 * wanted && outcomes.ours.filter(isGranted).length < wanted; run++) {
      outcomes.ours.push(await withEvents(deployment, () => killTwo(oursWithinMs)))
      say(`double ${run}: ${inWords(outcomes.ours)}`)
    }
    await deployment.killController()
    outcomes.off.push(await killTwo(hopelessWithinMs))
    say(`  controller off: ${inWords(outcomes.off)}`)
  } finally {
    await deployment.remove()
  }
  const { granted, refused } = split(outcomes.ours)
  const rows = [
    writable('two of three primaries killed, until both are writable', granted, [{ of: 'max', atMost: 250 }]),
    writable('two of three, a vote refused', refused),
    writable('two of three, controller off', outcomes.off),
    gap('two of three, as ioredis sees it', granted),
  ]
  return { rows, compare: [], details: outcomes }
}

/**
 * @param {Deployment} deployment
 * @param {Writer} writer
 * @returns {Promise<Outcome>}
 */
async function killOne(deployment, writer) {
  return withEvents(deployment, () => killAny(deployment, writer))
}

/**
 * A fault, with what Holdfast told of it once all is well again.
 *
 * @param {Deployment} deployment
 * @param {() => Promise<Outcome>} fault
 * @returns {Promise<Outcome>}
 */
async function withEvents(deployment, fault) {
  await deployment.ready()
  const before = await deployment.lastEvent()
  const outcome = await fault()
  await deployment.ready()
  const asked = (await deployment.eventsAfter(before)).filter(
    ({ kind, because }) => kind === 'action' && because.startsWith('promote'),
  )
  // A node that takes over after it had asked for votes did not get them.
  const elected = new Set(asked.filter(({ because }) => because.includes('force')).map(({ subject }) => subject))
  return {
    ...outcome,
    refused: asked.some(({ because, subject }) => because.includes('takeover') && elected.has(subject)),
    askedMs: asked[0] === undefined ? null : asked[0].at - outcome.at,
  }
}

/**
 * @param {Deployment} deployment
 * @param {Writer} writer
 */
async function killAny(deployment, writer) {
  const shards = shuffle(await deployment.cluster.shards()).slice(0, 1)
  return breakAndWatch(deployment.target, writer, { signal: 'SIGKILL', shards, withinMs: engineWithinMs })
}

/**
 * @param {Deployment} deployment
 * @param {Writer} writer
 * @param {import('./cluster.mjs').Shard} shard
 * @param {number} withinMs
 */
const stopOne = (deployment, writer, shard, withinMs) =>
  breakAndWatch(deployment.target, writer, { signal: 'SIGSTOP', shards: [shard], withinMs })

/**
 * @param {Deployment} deployment
 * @param {() => Promise<Outcome>} fault
 */
async function withoutController(deployment, fault) {
  await deployment.ready()
  await deployment.killController()
  try {
    return await fault()
  } finally {
    await deployment.startController()
    await deployment.ready()
  }
}

/**
 * @param {import('./bare-cluster.mjs').Engine} engine
 * @param {Writer} writer
 */
async function killBare(engine, writer) {
  const { bare } = await BareCluster.up(engine, [])
  try {
    const shards = shuffle(await bare.cluster.shards()).slice(0, 1)
    await delay(1000)
    return await breakAndWatch(bare.target, writer, { signal: 'SIGKILL', shards, withinMs: engineWithinMs })
  } finally {
    await bare.remove()
  }
}

/**
 * @param {string} what
 * @param {readonly Outcome[]} outcomes
 * @param {import('./figures.mjs').Limit[]} [limits]
 * @returns {Row}
 */
function writable(what, outcomes, limits = []) {
  return { ...row(what, outcomes, ({ writableMs }) => writableMs), limits }
}

/**
 * @param {string} what
 * @param {readonly Outcome[]} outcomes
 * @param {import('./figures.mjs').Limit[]} [limits]
 * @returns {Row}
 */
function gap(what, outcomes, limits = []) {
  const [acked, failed, lost] = /** @type {const} */ (['acked', 'failed', 'lost']).map((field) =>
    outcomes.reduce((total, outcome) => total + (outcome[field] ?? 0), 0),
  )
  const unread = outcomes.filter((outcome) => outcome.lost === null).length
  const readBack = unread === 0 ? `${lost} of them lost` : `not read back in ${unread} of ${outcomes.length} runs`
  const { note, ...rest } = row(what, outcomes, ({ gapMs }) => gapMs)
  const told = [`${acked} writes acknowledged, ${readBack}, ${failed} failed`, note].filter(Boolean).join('; ')
  return { ...rest, limits, ...(outcomes.length === 0 ? {} : { note: told }) }
}

/**
 * @param {string} what
 * @param {readonly Outcome[]} outcomes
 * @param {(outcome: Outcome) => number | null} of
 * @returns {Row}
 */
function row(what, outcomes, of) {
  const never = outcomes.filter((outcome) => of(outcome) === null).length
  const note = never === 0 ? {} : { note: `${never} of ${outcomes.length} not within the time watched` }
  return { what, unit: 'ms', runs: outcomes.flatMap((outcome) => of(outcome) ?? []), ...note }
}

/** @param {Outcome} outcome */
const isGranted = ({ refused }) => refused !== true

/** @param {readonly Outcome[]} outcomes */
const split = (outcomes) => ({
  granted: outcomes.filter(isGranted),
  refused: outcomes.filter((outcome) => !isGranted(outcome)),
})

/** @param {number | null | undefined} time */
const ms = (time) => (time == null ? 'not in time' : `${time.toFixed(0)} ms`)

/** @param {readonly Outcome[]} outcomes */
function inWords(outcomes) {
  const outcome = outcomes.at(-1)
  if (outcome === undefined) return 'nothing'
  const { victims, writableMs, gapMs, askedMs, refused, lost } = outcome
  return [
    `${victims.join(' and ')}, writable ${ms(writableMs)}, ioredis ${ms(gapMs)}, lost ${lost ?? 'not known'}`,
    askedMs === undefined ? '' : `, asked ${ms(askedMs)}`,
    refused === true ? ', first vote refused' : '',
  ].join('')
}

/**
 * @template T
 * @param {readonly T[]} values
 */
const shuffle = (values) =>
  values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
