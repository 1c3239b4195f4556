/** Servers on a fabric's hosts, started as a package's unit file starts them, with nobody who keeps them up. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineBinary } from '../../../packages/control/src/binary/find.ts'
import { processesIn } from '../../../packages/control/src/proc.ts'
import { eventually } from '../eventually.ts'
import type { Clients } from './clients.ts'
import type { Fabric, Host } from './fabric.ts'
import type { Command } from './keeper.ts'
import type { HitEngine } from './subject.ts'

export const barePassword = 'of-the-engine-alone'
export const bareAccess = { user: 'default', password: barePassword } as const

export interface BareServer {
  readonly id: string
  readonly host: Host
  readonly port: number
  readonly command: Command
  readonly dataDir: string
}

export class BareEngines {
  readonly fabric: Fabric
  readonly clients: Clients
  readonly #binary: EngineBinary
  readonly #servers = new Map<string, BareServer>()

  constructor(fabric: Fabric, clients: Clients, binary: EngineBinary) {
    this.fabric = fabric
    this.clients = clients
    this.#binary = binary
  }

  get servers(): readonly BareServer[] {
    return [...this.#servers.values()]
  }

  server(id: string): BareServer {
    const server = this.#servers.get(id)
    if (server === undefined) throw new Error(`there is no server ${id}`)
    return server
  }

  /** Starts one by a file, which it may rewrite, in a folder of its own. Answers once it does. */
  async start(id: string, host: Host, port: number, lines: readonly string[], mode: Command = []): Promise<void> {
    const { server, env } = this.#binary
    const dataDir = join(host.folder, id, 'data')
    const config = join(host.folder, id, 'engine.conf')
    mkdirSync(dataDir, { recursive: true })
    const own = [`port ${port}`, `bind ${host.address} 127.0.0.1`, `dir ${dataDir}`, `requirepass ${barePassword}`]
    writeFileSync(config, `${[...own, ...lines].join('\n')}\n`)
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    this.#servers.set(id, { id, host, port, command: ['env', ...variables, server, config, ...mode], dataDir })
    this.#spawn(this.server(id))
    await eventually(() => this.command(id, 'PING'), { withinMs: 20_000, what: `${id} answers` })
  }

  /** As the user who may do everything. */
  async command(id: string, ...args: string[]): Promise<unknown> {
    const { host, port } = this.server(id)
    const target = { address: host.address, port, username: '', password: barePassword, name: '' }
    return this.clients.command(target, args)
  }

  hit(id: string, shard: string): HitEngine {
    const { host, command, dataDir } = this.server(id)
    const [found] = processesIn(dataDir)
    if (found === undefined) throw new Error(`${id} does not run`)
    return { host, shard, pid: found.pid, dataDir, start: command }
  }

  /** Those that are not there any more, with the files that they left. */
  revive(): void {
    for (const server of this.servers) if (processesIn(server.dataDir).length === 0) this.#spawn(server)
  }

  close(): void {
    for (const { dataDir } of this.servers) for (const { pid } of processesIn(dataDir)) process.kill(pid, 'SIGKILL')
  }

  #spawn({ host, command }: BareServer): void {
    this.fabric
      .spawn(host, command, { stdio: 'ignore', detached: true })
      .on('error', () => {})
      .unref()
  }
}
