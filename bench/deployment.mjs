// @ts-check
/** A deployment that Holdfast keeps: the real controller in a process and a home of its own, driven by its API. */
import { spawn } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Api } from '../packages/control/dist/cli/api.js'
import { bootId, processesIn } from '../packages/control/dist/proc.js'
import { readController } from '../packages/control/dist/store/controller-file.js'
import { homeAt } from '../packages/control/dist/store/home.js'
import { SqliteStore } from '../packages/control/dist/store/sqlite-store.js'
import { Cluster } from './cluster.mjs'
import { enginesHome, freePorts, newDirectory, removeDirectory } from './place.mjs'
import { delay, eventually, now } from './time.mjs'

const program = fileURLToPath(new URL('../packages/control/dist/main.js', import.meta.url))
const name = 'bench'

export class Deployment {
  /** @type {string} */
  #directory
  /** @type {Api | undefined} */
  #api
  #panel = { url: '', headers: { authorization: '' } }
  /** @type {Cluster | undefined} */
  #cluster
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #controller

  constructor() {
    this.#directory = newDirectory('home')
    // A fresh home that knows the engine already: fetching one is not what is measured.
    mkdirSync(join(enginesHome, 'engines'), { recursive: true })
    symlinkSync(join(enginesHome, 'engines'), join(this.#directory, 'engines'))
  }

  /** One that is ready. @param {Readonly<Record<string, unknown>>} [fields] Of its spec. */
  static async up(fields = {}) {
    const deployment = new Deployment()
    await deployment.startController()
    await deployment.create(fields)
    return deployment
  }

  get api() {
    if (this.#api === undefined) throw new Error('the controller does not run')
    return this.#api
  }

  get cluster() {
    if (this.#cluster === undefined) throw new Error('not created yet')
    return this.#cluster
  }

  /** @returns {import('./fault.mjs').Target} */
  get target() {
    return { cluster: this.cluster, pidOf: (node) => this.pidOf(node) }
  }

  get home() {
    return this.#directory
  }

  get program() {
    return program
  }

  get controllerPid() {
    const pid = this.#controller?.pid
    if (pid === undefined) throw new Error('the controller does not run')
    return pid
  }

  /** Where the panel's streams are, and what lets one read them. */
  asPanel() {
    return this.#panel
  }

  /** Where applications hear of its topology. */
  feed() {
    const { url, headers } = this.#panel
    const token = headers.authorization.replace('Bearer ', '')
    return { url: `${url}/api/v1/deployments/${name}/topology/stream`, token }
  }

  async startController() {
    const port = await freePorts(1)
    const controller = spawn(process.execPath, [program, 'serve', '--port', String(port)], {
      cwd: this.#directory,
      env: { ...process.env, HOLDFAST_HOME: this.#directory },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    controller.stderr.on('data', (chunk) => {
      said += String(chunk)
    })
    this.#controller = controller
    this.#api = await eventually(
      async () => {
        const found = readController(homeAt(this.#directory))
        if (found === undefined && controller.exitCode !== null) throw new Error(said)
        if (found === undefined || found.pid !== controller.pid) return undefined
        this.#panel = { url: found.url, headers: { authorization: `Bearer ${found.token}` } }
        return new Api(found.url, found.token)
      },
      { withinMs: 20_000, what: 'the controller answers' },
    )
  }

  /** As the machine's out-of-memory killer would: it can give nothing back. */
  async killController() {
    const controller = this.#controller
    const ended = new Promise((resolve) => controller?.once('exit', resolve))
    controller?.kill('SIGKILL')
    await ended
    this.#controller = undefined
    this.#api = undefined
  }

  /** From the request until it is ready, in ms: by the controller's word, and by the engines' own. @param {Record<string, unknown>} fields */
  async create(fields = {}) {
    const perShard = 1 + Number(fields['replicasPerShard'] ?? 1)
    const basePort = await freePorts(3 * perShard)
    const startedAt = now()
    await this.api.apply(name, { name, ...fields, expose: { basePort } }, null)
    await this.ready()
    const readyMs = now() - startedAt
    const { nodes } = await this.api.status(name)
    const { user, password } = await this.api.credentials(name)
    const places = nodes.map(({ id, port }) => ({ id, port }))
    // What is counted by hand has one replica a shard.
    if ('topology' in fields || perShard !== 2) return readyMs
    this.#cluster = new Cluster(places, { username: user, password })
    const missing = await this.#cluster.missing()
    if (missing !== undefined) throw new Error(`it is called ready, but ${missing}`)
    return readyMs
  }

  async ready(withinMs = 60_000) {
    return eventually(
      async () => {
        const status = await this.api.status(name)
        if (status.ready !== 'yes') throw new Error(status.because)
        return status
      },
      { withinMs, what: 'ready' },
    )
  }

  /** Asked of the kernel, so that it can be known while no controller runs. @param {{ readonly id: string }} node */
  async pidOf({ id }) {
    const [found] = processesIn(join(homeAt(this.#directory).node(name, id), 'data'))
    if (found === undefined) throw new Error(`${id} does not run`)
    return found.pid
  }

  /** The engine's user who may do everything, as the home keeps it: no API tells it. */
  adminOf() {
    const store = new SqliteStore({ home: homeAt(this.#directory), bootId: bootId() })
    try {
      return { user: 'admin', password: store.load(name)?.secrets['admin'] ?? '' }
    } finally {
      store.close()
    }
  }

  pids() {
    return Promise.all(this.cluster.nodes.map((node) => this.pidOf(node)))
  }

  /** What was told after an event. @param {number} seq */
  async eventsAfter(seq) {
    return (await this.api.events(name, 200)).filter((event) => event.seq > seq)
  }

  async lastEvent() {
    return (await this.api.events(name, 1)).at(-1)?.seq ?? 0
  }

  async remove() {
    this.#cluster?.close()
    removeDirectory(this.#directory)
    await delay(50)
  }
}
