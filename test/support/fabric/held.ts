/**
 * Holdfast on a fabric, brought up as docs/three-hosts.md does it: an agent on each host, of which three carry etcd, and
 * two controllers that have what they know there.
 */
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientKind, NodeStatus, Status, UserAccess } from '@holdfast/core'
import { accessTo } from '@holdfast/core'
import { findEtcd } from '../../../packages/control/src/binary/etcd.ts'
import { engineWorld } from '../../../packages/control/src/binary/find.ts'
import { processesIn } from '../../../packages/control/src/proc.ts'
import { enginesHome, findTestEngine } from '../engines.ts'
import { eventually } from '../eventually.ts'
import type { Fabric, Host } from './fabric.ts'
import { Resident } from './resident.ts'
import type { Fall, HitEngine, KeepingProcess, Seen, Subject, SubjectName } from './subject.ts'

const deployment = 'shop'
/** One in each zone. */
const etcdHosts = ['b', 'c', 'd']
/** Both carry etcd, so that one of them is lost with all that it can have; faults of engines fall on the others. */
const controllerHosts = ['d', 'c']
const basePort = 7001
const upWithinMs = 120_000
const startsWithinMs = 60_000

/** In its order: with class `durable` one more copy, and the client that waits for it. */
const shapes = {
  'holdfast-durable': {
    clients: ['ioredis', 'ioredis-timeouts', 'cache', 'durable'],
    spec: { durability: 'durable', replicasPerShard: 2 },
  },
  'holdfast-cache': { clients: ['ioredis', 'ioredis-timeouts', 'cache'], spec: {} },
} as const satisfies Partial<Record<SubjectName, { clients: readonly ClientKind[]; spec: object }>>

export async function heldByHoldfast(name: keyof typeof shapes, fabric: Fabric): Promise<Subject> {
  // No host of a fabric reaches the distribution.
  await findEtcd(engineWorld(enginesHome, (line) => console.log(line)))
  const held = new Held(name, fabric)
  await held.start()
  return held
}

interface Acting {
  readonly at: Resident
  readonly status: Status
}

class Held implements Subject {
  readonly name: keyof typeof shapes
  readonly clients: readonly ClientKind[]
  access: UserAccess = { user: 'app', password: '' }
  readonly #fabric: Fabric
  readonly #agents: readonly Resident[]
  readonly #controllers: readonly Resident[]
  /** Who is the primary of each shard where nothing has happened yet. */
  #placed: ReadonlyMap<string, string> = new Map()
  /** The shards that faults fell on, the last one last. */
  readonly #hits: string[] = []

  constructor(name: keyof typeof shapes, fabric: Fabric) {
    this.name = name
    this.clients = shapes[name].clients
    this.#fabric = fabric
    this.#agents = fabric.hosts.map((host) => new Resident(fabric, host, 'agent'))
    this.#controllers = controllerHosts.map((host) => new Resident(fabric, fabric.host(host), 'controller'))
  }

  async start(): Promise<void> {
    const [first, ...others] = this.#controllers as [Resident, ...Resident[]]
    first.start(['serve', '--address', first.host.address])
    await this.#answers(first)
    for (const agent of this.#agents) this.#join(agent, first)
    await eventually(() => this.#areHere(first), {
      withinMs: startsWithinMs,
      everyMs: 200,
      what: 'all hosts have joined',
    })
    await this.#moveIntoEtcd(first)
    for (const other of others) {
      copyFileSync(first.home.key, other.home.key)
      other.start(['serve', '--address', other.host.address, ...this.#storeFlags(other.host)])
      await this.#answers(other)
    }
    await eventually(() => this.#areHere(first), { withinMs: startsWithinMs, everyMs: 200, what: 'all hosts are here' })
    this.#deploy(first)
    await eventually(() => this.seen(), { withinMs: upWithinMs, everyMs: 200, what: 'ready' })
    const { shards } = await this.#status()
    this.#placed = new Map(shards.map(({ id, primary }) => [id, primary ?? '']))
    this.access = await first.get<UserAccess>(`/deployments/${deployment}/credentials`)
  }

  async where() {
    return accessTo(await this.#status(), this.access)
  }

  async seen(): Promise<Seen> {
    const { ready, because, topology, shards, nodes } = await this.#status()
    if (ready !== 'yes') throw new Error(`${ready}: ${because}`)
    const away = nodes.find(({ state, role, link }) => state !== 'ok' || (role === 'replica' && link !== 'up'))
    if (away !== undefined) throw new Error(`${away.id} is ${away.state}, its link ${away.link}`)
    return { topology, shards, nodes }
  }

  async hit(fall: Fall): Promise<HitEngine> {
    const acting = await this.#acting()
    await this.#placeBack(acting)
    if (fall === 'with the controller') await this.#giveOne(acting)
    const { nodes, shards } = await this.#status()
    const primaries = new Set(shards.map(({ primary }) => primary))
    const isRight = (host: string | null): boolean =>
      fall === 'with the controller' ? host === acting.at.host.name : !controllerHosts.includes(host ?? '')
    const fit = nodes.filter(({ id, hostId }) => primaries.has(id) && isRight(hostId))
    // Voters refuse a second vote on the same primary for twice `timeouts.node`: two faults so close are no single fault.
    const [node] = fit.sort((a, b) => this.#lastHitOf(a) - this.#lastHitOf(b))
    if (node === undefined) throw new Error(`no primary is ${fall}`)
    this.#hits.push(node.shard)
    return this.#engineOf(node)
  }

  #lastHitOf({ shard }: NodeStatus): number {
    return this.#hits.lastIndexOf(shard)
  }

  readonly agents = (): KeepingProcess[] => this.#agents.map(({ host, pid }) => ({ host, pid, acts: false }))

  async controllers(): Promise<KeepingProcess[]> {
    const { at } = await this.#acting()
    return this.#running().map((one) => ({ host: one.host, pid: one.pid, acts: one === at }))
  }

  async acting(): Promise<string> {
    const { status } = await this.#acting()
    return status.controller.id
  }

  async revive(): Promise<void> {
    for (const agent of this.#agents) if (!agent.isRunning) agent.start(['agent'])
    for (const controller of this.#controllers) if (!controller.isRunning) controller.start(['serve'])
  }

  async close(): Promise<void> {
    for (const one of [...this.#agents, ...this.#controllers]) one.close()
    for (const host of this.#fabric.hosts) for (const pid of this.#fabric.pidsOn(host)) process.kill(pid, 'SIGKILL')
  }

  #join(agent: Resident, controller: Resident): void {
    const { name, zone, address } = agent.host
    const token = controller.holdfast(['token', '--host', name, '--zone', zone])
    const seats = etcdHosts.map((host) => `${host}=${this.#fabric.host(host).address}`).join()
    const etcd = etcdHosts.includes(name) ? ['--etcd', seats, '--etcd-new'] : []
    agent.start(['agent', '--token', '-', '--address', address, ...etcd], token)
  }

  /** It ends, and comes back with its store there. */
  async #moveIntoEtcd(controller: Resident): Promise<void> {
    process.kill(controller.pid, 'SIGTERM')
    await eventually(() => !controller.isRunning, { withinMs: startsWithinMs, what: 'the first controller ends' })
    const { host } = controller
    const args = ['serve', '--address', host.address, ...this.#storeFlags(host)]
    controller.start(args)
    // Its unit would start it again until etcd has its majority.
    await this.#answers(controller, () => controller.start(args))
  }

  #storeFlags({ name }: Host): string[] {
    const directory = join(this.#agents.find(({ host }) => host.name === name)?.home.agent ?? '', 'etcd')
    const flags = { ca: 'authority', cert: 'certificate', key: 'key' }
    return [
      '--store',
      `etcds://${etcdHosts.map((host) => this.#fabric.host(host).address).join()}`,
      ...Object.entries(flags).flatMap(([flag, file]) => [`--store-${flag}`, join(directory, `${file}.pem`)]),
    ]
  }

  #deploy(controller: Resident): void {
    const spec = { name: deployment, memory: { maxPerNode: '64mb' }, ...shapes[this.name].spec, expose: { basePort } }
    const file = join(this.#fabric.folder, `${deployment}.json`)
    writeFileSync(file, JSON.stringify(spec))
    const hosts = this.#fabric.hosts.map(({ name }) => name).join()
    controller.holdfast(['up', file, '--hosts', hosts, '--detach'], upWithinMs)
  }

  async #answers(controller: Resident, again = (): void => {}): Promise<void> {
    const answers = async (): Promise<unknown> => {
      if (!controller.isRunning) again()
      return controller.get('/hosts')
    }
    await eventually(answers, {
      withinMs: startsWithinMs,
      everyMs: 200,
      what: `the controller on ${controller.host.name} answers`,
    })
  }

  async #areHere(controller: Resident): Promise<boolean> {
    const { hosts } = await controller.get<{ hosts: { state: string }[] }>('/hosts')
    return hosts.filter(({ state }) => state === 'here').length === this.#agents.length
  }

  /** Failovers have left primaries elsewhere: an operator hands them back, and does not wait until it is calm. */
  async #placeBack({ at, status }: Acting): Promise<void> {
    for (const { id, primary } of status.shards) {
      const placed = this.#placed.get(id) ?? primary
      if (primary !== placed) await this.#handOver(at, id, placed ?? '')
    }
  }

  /** A primary on the host of the controller that acts. */
  async #giveOne({ at, status }: Acting): Promise<void> {
    const isThere = (id: string | null): boolean => status.nodes.find((node) => node.id === id)?.hostId === at.host.name
    if ([...this.#placed.values()].some(isThere)) return
    const shard = status.shards.find(({ replicas }) => replicas.some(isThere))
    const heir = shard?.replicas.find(isThere)
    if (shard === undefined || heir === undefined) throw new Error(`${at.host.name} has no engine`)
    await this.#handOver(at, shard.id, heir)
  }

  async #handOver(at: Resident, shard: string, to: string): Promise<void> {
    // Voters may have voted on this primary a moment ago, and do not again so soon.
    const ask = (): string => at.holdfast(['switchover', deployment, shard, '--to', to, '--yes'], 60_000)
    await eventually(ask, { withinMs: 60_000, everyMs: 1000, what: `${to} is handed ${shard}` })
    await eventually(() => this.seen(), { withinMs: 60_000, everyMs: 200, what: `${to} has taken over` })
  }

  async #engineOf(node: NodeStatus): Promise<HitEngine> {
    const agent = this.#agents.find(({ host }) => host.name === node.hostId)
    if (agent === undefined) throw new Error(`${node.id} is on no host`)
    const folder = agent.home.node(deployment, node.id)
    const dataDir = join(folder, 'data')
    const [found] = processesIn(dataDir)
    if (found === undefined) throw new Error(`${node.id} does not run`)
    const { server, env } = await findTestEngine()
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const start = ['env', ...variables, server, join(folder, 'engine.conf')]
    return { host: agent.host, shard: node.shard, pid: found.pid, dataDir, start }
  }

  #running = (): Resident[] => this.#controllers.filter(({ isRunning }) => isRunning)

  /** Of the one that acts; of another, where nobody does just now. */
  async #status(): Promise<Status> {
    const told = await this.#told()
    const [any] = told
    if (any === undefined) throw new Error('no controller answers')
    return (told.find(holds) ?? any).status
  }

  async #acting(): Promise<Acting> {
    const acting = (await this.#told()).find(holds)
    if (acting === undefined) throw new Error('no controller acts')
    return acting
  }

  /** What each controller says that runs. */
  async #told(): Promise<Acting[]> {
    const told = await Promise.all(
      this.#running().map(async (at) => {
        const status = await at.get<Status>(`/deployments/${deployment}`).catch(() => undefined)
        return status === undefined ? [] : [{ at, status }]
      }),
    )
    return told.flat()
  }
}

const holds = ({ status }: Acting): boolean => status.controller.lease === 'held'
