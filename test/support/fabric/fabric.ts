/**
 * Several hosts on one machine: a network namespace each, all on one bridge in a namespace of its own, and one more for
 * the clients. Nothing is added to the machine's own network. Each host has a folder on a small file system of its own,
 * in memory, so that its disk can be filled. Processes, files and memory are otherwise shared.
 *
 * Two fabrics do not meet: their bridges are not connected, so both may use the same addresses.
 */
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command, Injured, Injury } from './keeper.ts'
import { Keeper } from './keeper.ts'

export interface Host {
  readonly name: string
  readonly zone: string
  readonly address: string
  readonly namespace: string
  /** On its own disk. */
  readonly folder: string
  /** The control group that its processes are in, for memory. */
  readonly group: string
}

const zones = { a: 'z1', b: 'z2', c: 'z3', d: 'z1' } as const

type HostName = keyof typeof zones

const hostNames = Object.keys(zones) as HostName[]

const network = '10.77.0'
const firstAddress = 11
const clientsAddress = `${network}.20`
/** A member of etcd takes 128 MB in advance. */
const diskSize = '512m'
const memoryGroups = '/sys/fs/cgroup/memory'

let fabrics = 0

export class Fabric {
  readonly hosts: readonly Host[]
  readonly folder: string
  /** The namespace of the bridge: each host's end of its cable is there, under the host's name. */
  readonly bridge: string
  readonly clients: string
  readonly #keeper: Keeper
  #isClosed = false

  private constructor() {
    const name = `holdfast-${process.pid}-${++fabrics}`
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-fabric-')))
    this.bridge = `${name}-bridge`
    this.clients = `${name}-clients`
    this.hosts = hostNames.map((host, index) => ({
      name: host,
      zone: zones[host],
      address: `${network}.${firstAddress + index}`,
      namespace: `${name}-${host}`,
      folder: join(this.folder, host),
      group: join(memoryGroups, `${name}-${host}`),
    }))
    this.#keeper = new Keeper({
      namespaces: [...this.hosts.map(({ namespace }) => namespace), this.clients, this.bridge],
      mounts: this.hosts.map(({ folder }) => folder),
      groups: this.hosts.map(({ group }) => group),
      folder: this.folder,
    })
  }

  static async up(): Promise<Fabric> {
    removeOrphans()
    const fabric = new Fabric()
    try {
      fabric.#lay()
      return fabric
    } catch (error) {
      await fabric.close()
      throw new Error('a network of its own needs root, and a machine that may have namespaces', { cause: error })
    }
  }

  /** Who heals and removes all this, also when this process is killed. */
  get keeperPid(): number {
    return this.#keeper.pid
  }

  host(name: string): Host {
    const host = this.hosts.find((one) => one.name === name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** A process on a host: its pid is the program's own. */
  spawn(on: Host | 'clients', command: Command, options: SpawnOptions = {}): ChildProcess {
    const namespace = on === 'clients' ? this.clients : on.namespace
    const cwd = on === 'clients' ? this.folder : on.folder
    const [program = '', ...args] = [...(on === 'clients' ? [] : intoGroup(on)), ...inNamespace(namespace, command)]
    return spawn(program, args, { cwd, ...options })
  }

  /** The words of a short command on a host. */
  run(on: Host | 'clients', command: Command, { withinMs = 10_000, env = process.env } = {}): string {
    const [program = '', ...args] = inNamespace(on === 'clients' ? this.clients : on.namespace, command)
    return execFileSync(program, args, { env, encoding: 'utf8', timeout: withinMs, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** All that runs on a host. */
  pidsOn({ namespace }: Host): number[] {
    return execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
      .map(Number)
  }

  /** Breaks something for so long. Whatever becomes of this process, it heals. */
  injure(injury: Injury, forMs: number): Promise<Injured> {
    return this.#keeper.injure(injury, forMs)
  }

  /** Everything is gone then: processes, files, namespaces. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#keeper.close()
  }

  #lay(): void {
    for (const namespace of [this.bridge, this.clients]) must('ip', 'netns', 'add', namespace)
    must('ip', '-n', this.bridge, 'link', 'add', 'name', 'br0', 'type', 'bridge')
    must('ip', '-n', this.bridge, 'link', 'set', 'dev', 'br0', 'up')
    for (const host of this.hosts) {
      must('ip', 'netns', 'add', host.namespace)
      this.#cable(host.name, host.namespace, host.address)
      mkdirSync(host.folder)
      must('mount', '-t', 'tmpfs', '-o', `size=${diskSize},mode=700`, 'holdfast', host.folder)
      if (existsSync(memoryGroups)) mkdirSync(host.group)
    }
    this.#cable('clients', this.clients, clientsAddress)
  }

  #cable(name: string, namespace: string, address: string): void {
    const inside = ['ip', '-n', namespace] as const
    const peer = ['peer', 'name', 'eth0', 'netns', namespace] as const
    must('ip', '-n', this.bridge, 'link', 'add', 'name', `to-${name}`, 'type', 'veth', ...peer)
    must('ip', '-n', this.bridge, 'link', 'set', 'dev', `to-${name}`, 'master', 'br0', 'up')
    must(...inside, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    for (const device of ['eth0', 'lo']) must(...inside, 'link', 'set', 'dev', device, 'up')
  }
}

const inNamespace = (namespace: string, command: Command): Command => ['ip', 'netns', 'exec', namespace, ...command]

/** Where the machine has groups for memory, a host's processes are in the host's, and all that they start. */
const intoGroup = ({ group }: Host): Command =>
  existsSync(group) ? ['sh', '-c', `echo $$ > ${group}/cgroup.procs && exec "$@"`, 'sh'] : []

function must(...[program = '', ...args]: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** What was left by a run whose keeper was killed, too. */
function removeOrphans(): void {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : []
  for (const namespace of namespaces) {
    const owner = /^holdfast-(\d+)-\d+-/.exec(namespace)?.[1]
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    const pids = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).split('\n').filter(Boolean)
    if (pids.length > 0) must('kill', '-KILL', ...pids)
    must('ip', 'netns', 'del', namespace)
  }
}
