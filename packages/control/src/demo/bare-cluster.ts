/**
 * The second lane: six servers of the same engine at the engine's defaults, made a cluster once, and then nobody keeps it
 * up. What is killed is started again after half a minute, as a person would who was woken by it.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SlotRange } from '@holdfast/core'
import { HoldfastError, parseClusterNodes } from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import { EngineLink } from '../engine/link.ts'
import { newPassword } from '../new-password.ts'
import { freeEnginePorts } from './free-ports.ts'
import type { EngineAccess } from './messages.ts'
import { diesWithUs } from './mortal.ts'

const shards: readonly SlotRange[] = [
  [0, 5460],
  [5461, 10922],
  [10923, 16383],
]
const wholeWithinMs = 30_000
/** How long a person takes who sees that a process is gone. */
const personTakesMs = 30_000
const frozenForMs = 20_000

interface Server {
  readonly port: number
  readonly directory: string
  pid: number | undefined
}

export class BareCluster {
  readonly access: EngineAccess
  readonly #binary: EngineBinary
  readonly #servers: readonly Server[]
  readonly #links = new Map<number, EngineLink>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #say: (line: string) => void
  #closed = false

  private constructor(binary: EngineBinary, folder: string, base: number, say: (line: string) => void) {
    this.#binary = binary
    this.#say = say
    const ports = Array.from({ length: 2 * shards.length }, (_, index) => base + index)
    this.#servers = ports.map((port) => ({ port, directory: join(folder, `bare-${port}`), pid: undefined }))
    const nodes = ports.map((port) => ({ host: '127.0.0.1', port }))
    this.access = { nodes, user: null, password: newPassword() }
  }

  /** Six servers, joined; `say` hears what happens to them from then on. */
  static async open(binary: EngineBinary, folder: string, say: (line: string) => void): Promise<BareCluster> {
    const bare = new BareCluster(binary, folder, await freeEnginePorts(2 * shards.length), say)
    try {
      for (const server of bare.#servers) bare.#start(server)
      await bare.#join()
      return bare
    } catch (error) {
      await bare.close()
      throw error
    }
  }

  /** SIGKILL to the primaries of these slots, or to every server. */
  async kill(which: readonly SlotRange[] | 'all'): Promise<void> {
    const victims = which === 'all' ? this.#servers : await this.#primariesOf(which)
    for (const server of victims) this.#signal(server, 'SIGKILL')
    const ports = victims.map(({ port }) => port).join(', ')
    this.#say(`the engine alone: ${ports} killed; nobody heals it, a person starts it again in 30 s`)
    this.#later(personTakesMs, () => {
      for (const server of victims) if (server.pid === undefined) this.#start(server)
      this.#say(`the engine alone: ${ports} started again, by hand`)
    })
  }

  /** SIGSTOP to the primaries of these slots, and SIGCONT after the time of the fault. */
  async freeze(which: readonly SlotRange[]): Promise<void> {
    for (const server of await this.#primariesOf(which)) {
      this.#signal(server, 'SIGSTOP')
      this.#later(frozenForMs, () => this.#signal(server, 'SIGCONT'))
    }
  }

  thaw(): void {
    for (const server of this.#servers) this.#signal(server, 'SIGCONT')
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const link of this.#links.values()) link.close()
    for (const server of this.#servers) this.#signal(server, 'SIGKILL')
    const deadline = performance.now() + 5000
    while (this.#servers.some(({ pid }) => pid !== undefined) && performance.now() < deadline) await delay(10)
  }

  /** All defaults, but for where it is and who may enter: a password on the command line would be everybody's. */
  #start(server: Server): void {
    if (this.#closed) return
    const { port, directory } = server
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const config = join(directory, 'engine.conf')
    const { password } = this.access
    const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${JSON.stringify(directory)}`, 'cluster-enabled yes']
    const entry = [`requirepass ${password}`, `masterauth ${password}`, 'logfile engine.log']
    writeFileSync(config, `${[...lines, ...entry].join('\n')}\n`, { mode: 0o600 })
    const [program, ...args] = diesWithUs('KILL', this.#binary.server, config)
    const child = spawn(program, args, {
      cwd: directory,
      env: { ...process.env, ...this.#binary.env },
      detached: true,
      stdio: 'ignore',
    })
    child.on('error', () => undefined)
    server.pid = child.pid
    child.once('exit', () => {
      if (server.pid === child.pid) server.pid = undefined
    })
  }

  async #join(): Promise<void> {
    const [first] = this.#servers
    if (first === undefined) return
    await Promise.all(this.#servers.map((server) => this.#until(server, ['PING'], (reply) => reply === 'PONG')))
    const primaries = this.#servers.slice(0, shards.length)
    for (const [index, server] of primaries.entries()) {
      const [from = 0, to = 0] = shards[index] ?? []
      await this.#ask(server, ['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)])
      await this.#ask(server, ['CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1)])
    }
    for (const { port } of this.#servers) await this.#ask(first, ['CLUSTER', 'MEET', '127.0.0.1', String(port)])
    const knowsAll = (reply: unknown): boolean =>
      parseClusterNodes(reply as string).entries.filter(({ handshake }) => !handshake).length === this.#servers.length
    await Promise.all(this.#servers.map((server) => this.#until(server, ['CLUSTER', 'NODES'], knowsAll)))
    for (const [index, server] of this.#servers.slice(shards.length).entries()) {
      const id = (await this.#ask(primaries[index] as Server, ['CLUSTER', 'MYID'])) as string
      await this.#ask(server, ['CLUSTER', 'REPLICATE', id])
    }
    const isSynced = (reply: unknown): boolean => (reply as string).includes('master_link_status:up')
    const isOk = (reply: unknown): boolean => (reply as string).includes('cluster_state:ok')
    await Promise.all([
      ...this.#servers.slice(shards.length).map((server) => this.#until(server, ['INFO', 'replication'], isSynced)),
      ...this.#servers.map((server) => this.#until(server, ['CLUSTER', 'INFO'], isOk)),
    ])
  }

  /** Who owns these slots now, by the first server that answers. */
  async #primariesOf(which: readonly SlotRange[]): Promise<readonly Server[]> {
    for (const server of this.#servers.filter(({ pid }) => pid !== undefined)) {
      const reply = await this.#ask(server, ['CLUSTER', 'NODES']).catch(() => undefined)
      if (reply === undefined) continue
      const { entries } = parseClusterNodes(reply as string)
      const owns = (port: number, slot: number): boolean =>
        entries.some((entry) => entry.port === port && entry.slots.some(([from, to]) => from <= slot && slot <= to))
      return this.#servers.filter(({ port }) => which.some(([slot]) => owns(port, slot)))
    }
    return []
  }

  #ask(server: Server, command: readonly string[]): Promise<unknown> {
    const known = this.#links.get(server.port)
    const { password } = this.access
    const target = { address: '127.0.0.1', port: server.port, username: 'default', password, name: 'demonstration' }
    const link = known ?? new EngineLink(target)
    this.#links.set(server.port, link)
    return link.command(command)
  }

  async #until(server: Server, command: readonly string[], isThere: (reply: unknown) => boolean): Promise<void> {
    const deadline = performance.now() + wholeWithinMs
    for (;;) {
      const reply = await this.#ask(server, command).catch(() => undefined)
      if (reply !== undefined && isThere(reply)) return
      if (performance.now() > deadline) {
        throw new HoldfastError(
          'TIMEOUT_NOT_READY',
          `the engine alone is not a cluster within ${wholeWithinMs / 1000} s`,
        )
      }
      await delay(50)
    }
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work()
    }, ms)
    this.#timers.add(timer)
  }

  #signal({ pid }: Server, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    if (pid === undefined) return
    try {
      process.kill(pid, signal)
    } catch {
      // Gone meanwhile; its exit is on its way to us.
    }
  }
}
