// @ts-check
/** The peer: six servers of the same engine, made a cluster by the engine's own command line, with nobody watching. */
import { execFile, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Cluster } from './cluster.mjs'
import { freePorts, newDirectory, removeDirectory } from './place.mjs'
import { delay, eventually, now } from './time.mjs'

const nodeCount = 6

/** @typedef {Awaited<ReturnType<typeof import('./place.mjs').benchEngine>>} Engine */

export class BareCluster {
  /** @type {Cluster} */
  cluster
  /** @type {string} */
  #directory
  /** @type {Map<number, number>} */
  #pids
  /** @type {Engine} */
  #engine
  /** @type {readonly string[]} */
  #settings

  /**
   * @param {Cluster} cluster
   * @param {{ directory: string, pids: Map<number, number>, engine: Engine, settings: readonly string[] }} started
   */
  constructor(cluster, { directory, pids, engine, settings }) {
    this.cluster = cluster
    this.#directory = directory
    this.#pids = pids
    this.#engine = engine
    this.#settings = settings
  }

  /**
   * Brings one up, and tells how long it took from the start of the servers, and from the start of the command line.
   *
   * @param {Engine} engine
   * @param {readonly string[]} settings More than an append-only file and no snapshots.
   */
  static async up(engine, settings) {
    const base = await freePorts(nodeCount)
    const directory = newDirectory('bare')
    const nodes = Array.from({ length: nodeCount }, (_, index) => ({ id: `bare-${index + 1}`, port: base + index }))
    const cluster = new Cluster(nodes, { username: 'default', password: '' })
    const startedAt = now()
    const pids = new Map(nodes.map(({ id, port }) => [port, startServer(engine, join(directory, id), port, settings)]))
    const bare = new BareCluster(cluster, { directory, pids, engine, settings })
    try {
      for (const node of nodes) {
        await eventually(() => cluster.linkTo(node).command(['PING']), { withinMs: 10_000, what: `${node.id} answers` })
      }
      const askedAt = now()
      const where = nodes.map(({ port }) => `127.0.0.1:${port}`)
      const options = ['--cluster', 'create', ...where, '--cluster-replicas', '1', '--cluster-yes']
      await promisify(execFile)(engine.cli, options, { env: { ...process.env, ...engine.env }, timeout: 60_000 })
      await bare.whole()
      return { bare, fromStartMs: now() - startedAt, fromCommandMs: now() - askedAt }
    } catch (error) {
      await bare.remove()
      throw error
    }
  }

  async whole() {
    await eventually(
      async () => {
        const missing = await this.cluster.missing()
        if (missing !== undefined) throw new Error(missing)
        return true
      },
      { withinMs: 60_000, what: 'a whole cluster' },
    )
  }

  /** The same as somebody does it by hand, with the engine's own command line. */
  async addPairByCli() {
    const { primary, replica } = await this.#startTwo()
    const known = `127.0.0.1:${this.cluster.nodes[0]?.port}`
    const run = (/** @type {readonly string[]} */ words) =>
      promisify(execFile)(this.#engine.cli, ['--cluster', ...words], {
        env: { ...process.env, ...this.#engine.env },
        timeout: 60_000,
      })
    await run(['add-node', `127.0.0.1:${primary.port}`, known])
    // Until all have heard of the primary, the command line refuses to add another one.
    await eventually(() => run(['add-node', `127.0.0.1:${replica.port}`, known]), {
      withinMs: 30_000,
      everyMs: 500,
      what: 'the replica is added',
    })
    return this.#asPair(primary, replica)
  }

  /** @param {import('./cluster.mjs').Node} primary @param {import('./cluster.mjs').Node} replica */
  async #asPair(primary, replica) {
    const id = String(await this.cluster.linkTo(primary).command(['CLUSTER', 'MYID']))
    await eventually(() => this.cluster.linkTo(replica).command(['CLUSTER', 'REPLICATE', id]), {
      withinMs: 10_000,
      what: 'the replica knows its primary',
    })
    this.cluster.nodes = [...this.cluster.nodes, primary, replica]
    await this.whole()
    return { primary, replica }
  }

  async #startTwo() {
    const base = await freePorts(2)
    const [primary, replica] = [0, 1].map((index) => ({ id: `bare-${base + index}`, port: base + index }))
    if (primary === undefined || replica === undefined) throw new Error('two servers')
    for (const node of [primary, replica]) {
      this.#pids.set(node.port, startServer(this.#engine, join(this.#directory, node.id), node.port, this.#settings))
      const link = this.cluster.linkTo(node)
      await eventually(() => link.command(['PING']), { withinMs: 10_000, what: `${node.id} answers` })
    }
    return { primary, replica }
  }

  /** Two more servers: one that knows all others and has no slots, and its replica, in sync. */
  async addPair() {
    const { primary, replica } = await this.#startTwo()
    const [first] = this.cluster.nodes
    for (const node of [primary, replica])
      await this.cluster.linkTo(node).command(['CLUSTER', 'MEET', '127.0.0.1', String(first?.port)])
    return this.#asPair(primary, replica)
  }

  /** As a script does it: told to end, waited for, started again. @param {import('./cluster.mjs').Node} node */
  async restart(node) {
    const pid = await this.pidOf(node)
    process.kill(pid, 'SIGTERM')
    await eventually(async () => !isAlive(pid) || undefined, { withinMs: 30_000, what: `${node.id} has ended` })
    const place = join(this.#directory, node.id)
    this.#pids.set(node.port, startServer(this.#engine, place, node.port, this.#settings))
    await eventually(() => this.cluster.linkTo(node).command(['PING']), {
      withinMs: 10_000,
      what: `${node.id} answers`,
    })
  }

  /** @returns {import('./fault.mjs').Target} */
  get target() {
    return { cluster: this.cluster, pidOf: (node) => this.pidOf(node) }
  }

  /** @param {{ readonly port: number }} node */
  async pidOf({ port }) {
    const pid = this.#pids.get(port)
    if (pid === undefined) throw new Error(`nobody was started on port ${port}`)
    return pid
  }

  async remove() {
    this.cluster.close()
    removeDirectory(this.#directory)
    // The exits of our own children are collected before anything else is measured.
    await delay(50)
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/**
 * @param {Engine} engine
 * @param {string} directory
 * @param {number} port
 * @param {readonly string[]} settings
 */
function startServer(engine, directory, port, settings) {
  mkdirSync(directory, { recursive: true })
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--cluster-enabled', 'yes']
  const { pid } = spawn(engine.server, [...place, '--appendonly', 'yes', '--save', '', ...settings], {
    cwd: directory,
    env: { ...process.env, ...engine.env },
    stdio: 'ignore',
  })
  if (pid === undefined) throw new Error(`${engine.server} did not start`)
  return pid
}
