import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HoldfastEvent, NodePlace, NodeStatus, Operation, SpecText, Status, UserAccess } from '@holdfast/core'
import { engineUsers } from '@holdfast/core'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { bootId, processesIn } from '../../packages/control/src/proc.ts'
import type { Home } from '../../packages/control/src/store/home.ts'
import { openHome } from '../../packages/control/src/store/home.ts'
import { SqliteStore } from '../../packages/control/src/store/sqlite-store.ts'
import type { RunningController } from '../../packages/control/src/wire.ts'
import { startController } from '../../packages/control/src/wire.ts'
import { freePorts, shareEngines } from './engines.ts'
import { eventually } from './eventually.ts'
import { refuseSecrets, secretsInHome } from './no-secrets.ts'

/** A home of its own, with the engine of all tests, removed with every engine that still runs in it. */
export class TestHome {
  readonly home: Home
  readonly path: string

  constructor(path = mkdtempSync(join(tmpdir(), 'holdfast-it-')), enginesFrom?: string) {
    this.path = path
    shareEngines(this.path, enginesFrom)
    this.home = openHome(this.path, { uid: process.getuid?.() ?? 0 })
  }

  dataDir(deployment: string, node: string): string {
    return join(this.home.node(deployment, node), 'data')
  }

  /** Engines of a deployment that run now, by node. */
  pidOf(deployment: string, node: string): number | undefined {
    return processesIn(this.dataDir(deployment, node))[0]?.pid
  }

  /** Of all its deployments at once: what still runs in a folder that is gone is not found any more. */
  remove(): void {
    const folders = join(this.path, 'deployments')
    for (const deployment of existsSync(folders) ? readdirSync(folders) : []) {
      for (const node of readdirSync(join(folders, deployment))) {
        for (const { pid } of processesIn(this.dataDir(deployment, node))) process.kill(pid, 'SIGKILL')
      }
    }
    const shown = existsSync(this.path) ? secretsInHome(this.path) : []
    rmSync(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    refuseSecrets(shown)
  }
}

/** A real deployment with its controller in this process: what the integration tests break and watch heal. */
export class TestDeployment {
  readonly name = 'it'
  readonly place: TestHome
  readonly spec: SpecText
  #running: RunningController | undefined
  readonly #links = new Map<string, EngineLink>()
  #authority: string | null = null
  readonly #nodes: NodePlace[] = []

  private constructor(place: TestHome, spec: SpecText) {
    this.place = place
    this.spec = spec
  }

  /** Brings it up and waits until it is ready. */
  static async up(fields: SpecText = {}, place = new TestHome()): Promise<TestDeployment> {
    const shards = Number(fields['shards'] ?? 3)
    const sentinels = fields['topology'] === 'sentinel' ? 9 : 0
    const engines =
      shards * (1 + Number(fields['replicasPerShard'] ?? 1)) +
      Number(fields['chained'] ?? 0) +
      Number(fields['spares'] ?? 0)
    const basePort = await freePorts(engines + sentinels)
    const spec = {
      name: 'it',
      memory: { maxPerNode: '64mb' },
      ...fields,
      expose: { ...(fields['expose'] as SpecText), basePort },
    }
    const deployment = new TestDeployment(place, spec)
    try {
      await deployment.startController()
      await deployment.controller.apply(spec, null, 'test')
      await deployment.ready()
      return deployment
    } catch (error) {
      await deployment.close()
      throw error
    }
  }

  get controller(): RunningController['controller'] {
    if (this.#running === undefined) throw new Error('the controller is not running')
    return this.#running.controller
  }

  async startController(): Promise<void> {
    const port = await freePorts(1)
    this.#running = await startController({ home: this.place.home, progress: () => {}, acts: true, port })
  }

  /** Where applications hear of its topology. */
  get feed(): { readonly url: string; readonly token: string } {
    if (this.#running === undefined) throw new Error('the controller is not running')
    const { url, token } = this.#running
    return { url: `${url}/api/v1/deployments/${this.name}/topology/stream`, token }
  }

  /** Stops the controller; the engines run on. */
  async stopController(): Promise<void> {
    await this.#running?.close()
    this.#running = undefined
  }

  status(): Status {
    const status = this.controller.status(this.name)
    if (status === undefined) throw new Error('nobody has looked yet')
    this.#remember(status)
    return status
  }

  node(id: string): NodeStatus {
    const node = this.status().nodes.find((one) => one.id === id)
    if (node === undefined) throw new Error(`there is no ${id}`)
    return node
  }

  /** The node that is primary of a shard now. */
  primaryOf(shard: string): NodeStatus {
    const primary = this.status().shards.find(({ id }) => id === shard)?.primary
    if (primary == null) throw new Error(`${shard} has no primary`)
    return this.node(primary)
  }

  replicaOf(shard: string): NodeStatus {
    const replica = this.status().shards.find(({ id }) => id === shard)?.replicas[0]
    if (replica === undefined) throw new Error(`${shard} has no replica`)
    return this.node(replica)
  }

  async ready(withinMs = 30_000): Promise<Status> {
    return eventually(
      () => {
        const status = this.status()
        if (status.ready !== 'yes') throw new Error(`${status.ready}: ${status.because}`)
        return status
      },
      { withinMs, what: 'ready' },
    )
  }

  pidOf(id: string): number {
    const pid = this.place.pidOf(this.name, id)
    if (pid === undefined) throw new Error(`${id} does not run`)
    return pid
  }

  kill(...ids: string[]): void {
    for (const pid of ids.map((id) => this.pidOf(id))) process.kill(pid, 'SIGKILL')
  }

  /** A command to one engine, as the user who may do everything: the hand of somebody who should not. */
  async command(id: string, ...args: string[]): Promise<unknown> {
    return this.#linkTo(id).command(args, 5000)
  }

  /** Commands as the application. */
  get password(): string {
    return this.controller.credentials(this.name)?.password ?? ''
  }

  /** As the application, and whom it believes. */
  get access(): UserAccess {
    return this.controller.credentials(this.name) ?? { user: '', password: '' }
  }

  events(): HoldfastEvent[] {
    return this.controller.events.latest({ deployment: this.name, limit: 1000 })
  }

  /** An operation once it is over. */
  async over(asked: Pick<Operation, 'id'> | Promise<Pick<Operation, 'id'>>): Promise<Operation> {
    const { id } = await asked
    return eventually(
      () => {
        const operation = this.status().operations.find((one) => one.id === id)
        if (operation?.endedAt == null) throw new Error(`${operation?.state}: ${this.status().because}`)
        return operation
      },
      { withinMs: 50_000, what: 'the operation to end' },
    )
  }

  /** Sentences of events of a kind since a mark. */
  told(kind: HoldfastEvent['kind'], sinceSeq = 0): string[] {
    return this.events()
      .filter((event) => event.kind === kind && event.seq > sinceSeq)
      .map(({ because }) => because)
  }

  get mark(): number {
    return this.events().at(-1)?.seq ?? 0
  }

  async close(): Promise<void> {
    for (const link of this.#links.values()) link.close()
    await this.stopController().catch(() => {})
    this.place.remove()
  }

  #remember(status: Status): void {
    const known = new Set(this.#nodes.map(({ id }) => id))
    const aside = (status.aside ?? []).map((node) => ({ ...node, shard: '' }))
    for (const { id, shard, hostId, host, port } of [...status.nodes, ...aside]) {
      if (!known.has(id)) this.#nodes.push({ id, shard, host: hostId, address: host, port })
    }
  }

  /** Also while no controller runs: the engines are whose they were. */
  #authorityNow(): string | null {
    if (this.#running !== undefined) this.#authority = this.controller.credentials(this.name)?.authority ?? null
    return this.#authority
  }

  #linkTo(id: string): EngineLink {
    const known = this.#links.get(id)
    if (known !== undefined) return known
    if (this.#running !== undefined) this.status()
    const place = this.#nodes.find((node) => node.id === id)
    if (place === undefined) throw new Error(`there is no ${id}`)
    const link = new EngineLink({
      address: place.address,
      port: place.port,
      username: engineUsers.admin,
      password: secretsOf(this.place.home, this.name)[engineUsers.admin] ?? '',
      authority: () => this.#authorityNow(),
      name: 'somebody',
    })
    this.#links.set(id, link)
    return link
  }
}

export function secretsOf(home: Home, name: string): Readonly<Record<string, string>> {
  const store = new SqliteStore({ home, bootId: bootId() })
  try {
    return store.load(name)?.secrets ?? {}
  } finally {
    store.close()
  }
}
