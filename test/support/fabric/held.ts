/** Holdfast on a fabric: an agent on each host, and a controller on the last of them, as people start them. */
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClientKind, Status, UserAccess } from '@holdfast/core'
import { accessTo } from '@holdfast/core'
import { processesIn } from '../../../packages/control/src/proc.ts'
import { homeAt } from '../../../packages/control/src/store/home.ts'
import { enginesHome, findTestEngine, shareEngines } from '../engines.ts'
import { eventually } from '../eventually.ts'
import { mainPath } from '../program.ts'
import { Console } from './console.ts'
import type { Fabric, Host } from './fabric.ts'
import type { HitEngine, KeepingProcess, Seen, Subject, SubjectName } from './subject.ts'

const deployment = 'shop'
const controllerHost = 'd'
const basePort = 7001
const upWithinMs = 120_000

/** In its order: with class `durable` one more copy, and the client that waits for it. */
const shapes = {
  'holdfast-durable': {
    clients: ['ioredis', 'ioredis-timeouts', 'cache', 'durable'],
    spec: { durability: 'durable', replicasPerShard: 2 },
  },
  'holdfast-cache': { clients: ['ioredis', 'ioredis-timeouts', 'cache'], spec: {} },
} as const satisfies Partial<Record<SubjectName, { clients: readonly ClientKind[]; spec: object }>>

export async function heldByHoldfast(name: keyof typeof shapes, fabric: Fabric): Promise<Subject> {
  const held = new Held(name, fabric)
  await held.start()
  return held
}

class Held implements Subject {
  readonly name: keyof typeof shapes
  readonly clients: readonly ClientKind[]
  access: UserAccess = { user: 'app', password: '' }
  readonly #fabric: Fabric
  readonly #pids = new Map<string, number>()
  #console: Console | undefined

  constructor(name: keyof typeof shapes, fabric: Fabric) {
    this.name = name
    this.clients = shapes[name].clients
    this.#fabric = fabric
  }

  async start(): Promise<void> {
    this.#serve()
    const { hosts } = this.#fabric
    await eventually(() => this.#ask('/hosts'), { withinMs: 30_000, everyMs: 100, what: 'the controller answers' })
    for (const host of hosts) {
      const token = this.#holdfast(['token', '--host', host.name, '--zone', host.zone])
      this.#agent(host, ['--token', '-', '--address', host.address], token)
    }
    const here = async (): Promise<boolean> => {
      const answer = await this.#ask<{ hosts: { state: string }[] }>('/hosts')
      return answer.hosts.filter(({ state }) => state === 'here').length === hosts.length
    }
    await eventually(here, { withinMs: 60_000, everyMs: 200, what: 'all hosts have joined' })
    const spec = { name: deployment, memory: { maxPerNode: '64mb' }, ...shapes[this.name].spec, expose: { basePort } }
    const file = join(this.#fabric.folder, 'shop.json')
    writeFileSync(file, JSON.stringify(spec))
    this.#holdfast(['up', file, '--hosts', hosts.map(({ name }) => name).join(), '--detach'], upWithinMs)
    await eventually(() => this.seen(), { withinMs: upWithinMs, everyMs: 200, what: 'ready' })
    this.access = await this.#ask<UserAccess>(`/deployments/${deployment}/credentials`)
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

  async hit(): Promise<HitEngine> {
    const { nodes, shards } = await this.#status()
    const primaries = new Set(shards.map(({ primary }) => primary))
    const node = nodes.find(({ id, hostId }) => primaries.has(id) && hostId !== controllerHost)
    if (node === undefined) throw new Error(`all primaries are on ${controllerHost}`)
    const host = this.#fabric.host(node.hostId)
    const folder = homeAt(this.#homeOf(host, 'agent')).node(deployment, node.id)
    const dataDir = join(folder, 'data')
    const [found] = processesIn(dataDir)
    if (found === undefined) throw new Error(`${node.id} does not run`)
    const { server, env } = await findTestEngine()
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    const start = ['env', ...variables, server, join(folder, 'engine.conf')]
    return { host, shard: node.shard, pid: found.pid, dataDir, start }
  }

  readonly agents = (): KeepingProcess[] =>
    this.#fabric.hosts.map((host) => ({ host, pid: this.#pidOf(host, 'agent'), acts: false }))

  readonly controllers = (): KeepingProcess[] => {
    const host = this.#fabric.host(controllerHost)
    return [{ host, pid: this.#pidOf(host, 'controller'), acts: true }]
  }

  async revive(): Promise<void> {
    for (const { host, pid } of this.agents()) if (!this.#fabric.pidsOn(host).includes(pid)) this.#agent(host, [])
    for (const { host, pid } of this.controllers()) if (!this.#fabric.pidsOn(host).includes(pid)) this.#serve()
  }

  async close(): Promise<void> {
    this.#console?.close()
    for (const host of this.#fabric.hosts) for (const pid of this.#fabric.pidsOn(host)) process.kill(pid, 'SIGKILL')
  }

  #serve(): void {
    const host = this.#fabric.host(controllerHost)
    this.#start(host, 'controller', ['serve', '--address', host.address])
  }

  #agent(host: Host, args: readonly string[], input?: string): void {
    this.#start(host, 'agent', ['agent', ...args], input)
  }

  /** In the background, with what it says in a file beside its home. */
  #start(host: Host, part: Part, args: readonly string[], input = ''): void {
    const said = openSync(join(this.#fabric.folder, `${host.name}-${part}.said`), 'a')
    const child = this.#fabric.spawn(host, [process.execPath, mainPath, ...args], {
      env: this.#environmentOf(host, part),
      stdio: ['pipe', said, said],
      detached: true,
    })
    child.on('error', () => {})
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
    child.unref()
    this.#pids.set(`${host.name} ${part}`, child.pid ?? 0)
  }

  /** A command where the controller is; answers what it prints. */
  #holdfast(args: readonly string[], withinMs = 30_000): string {
    const host = this.#fabric.host(controllerHost)
    const env = this.#environmentOf(host, 'controller')
    return this.#fabric.run(host, [process.execPath, mainPath, ...args], { withinMs, env })
  }

  #environmentOf(host: Host, part: Part): NodeJS.ProcessEnv {
    const home = this.#homeOf(host, part)
    if (mkdirSync(home, { recursive: true, mode: 0o700 }) !== undefined) shareEngines(home, enginesHome)
    return { ...process.env, npm_execpath: undefined, HOLDFAST_HOME: home }
  }

  #homeOf = ({ folder }: Host, part: Part): string => join(folder, part)

  #pidOf({ name }: Host, part: Part): number {
    return this.#pids.get(`${name} ${part}`) ?? 0
  }

  #status(): Promise<Status> {
    return this.#ask(`/deployments/${deployment}`)
  }

  #ask<T>(path: string): Promise<T> {
    const host = this.#fabric.host(controllerHost)
    if (this.#console?.isThere !== true) this.#console = new Console(host)
    return this.#console.get(this.#homeOf(host, 'controller'), path)
  }
}

type Part = 'agent' | 'controller'
