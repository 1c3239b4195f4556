/** The engine alone with Sentinels: one server and one Sentinel on each of three hosts. */
import { eventually } from '../eventually.ts'
import type { BareEngines } from './bare-engines.ts'
import { bareAccess, barePassword } from './bare-engines.ts'
import type { Seen, Subject } from './subject.ts'

const hosts = ['a', 'b', 'c']
const enginePort = 7001
const sentinelPort = 26_379
const masterName = 'bare'
const shard = 'shard-1'

export async function bareSentinel(engines: BareEngines, downAfterMs: number): Promise<Subject> {
  const guarded = new BareSentinel(engines)
  await guarded.start(downAfterMs)
  return guarded
}

class BareSentinel implements Subject {
  readonly name = 'sentinel'
  readonly clients = ['ioredis', 'ioredis-timeouts', 'cache', 'durable'] as const
  readonly access = bareAccess
  readonly #engines: BareEngines

  constructor(engines: BareEngines) {
    this.#engines = engines
  }

  async start(downAfterMs: number): Promise<void> {
    const { fabric } = this.#engines
    const [first] = hosts.map((name) => fabric.host(name).address)
    for (const name of hosts) {
      const lines = [`masterauth ${barePassword}`, 'appendonly yes', 'repl-diskless-sync-delay 0']
      const follows = name === hosts[0] ? [] : [`replicaof ${first} ${enginePort}`]
      await this.#engines.start(`engine-${name}`, fabric.host(name), enginePort, [...lines, ...follows])
    }
    const watched = [
      `sentinel monitor ${masterName} ${first} ${enginePort} 2`,
      `sentinel auth-pass ${masterName} ${barePassword}`,
      `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
      `sentinel failover-timeout ${masterName} 10000`,
      `sentinel sentinel-pass ${barePassword}`,
    ]
    for (const name of hosts) {
      await this.#engines.start(`sentinel-${name}`, fabric.host(name), sentinelPort, watched, ['--sentinel'])
    }
    await eventually(() => this.seen(), { withinMs: 60_000, what: 'Sentinels of one mind' })
  }

  async where() {
    const at = (port: number) => hosts.map((name) => ({ address: this.#engines.fabric.host(name).address, port }))
    const [nodes, sentinels] = [at(enginePort), at(sentinelPort)]
    return { topology: 'sentinel' as const, nodes, sentinels, masterName, ...this.access }
  }

  async seen(): Promise<Seen> {
    const answers = await Promise.all(hosts.map((name) => this.#sentinelSays(name)))
    const [address] = answers
    if (new Set(answers).size > 1) throw new Error(`the Sentinels do not agree: ${answers.join(', ')}`)
    const engines = this.#engines.servers.filter(({ port }) => port === enginePort)
    const primary = engines.find(({ host }) => host.address === address)
    if (primary === undefined) throw new Error('nobody is the primary')
    const replicas = engines.filter((engine) => engine !== primary).map(({ id }) => id)
    const infos = await Promise.all(replicas.map((id) => this.#engines.command(id, 'INFO', 'replication')))
    const follows = `master_host:${address}\r\nmaster_port:${enginePort}\r\nmaster_link_status:up`
    if (!infos.every((info) => String(info).includes(follows))) throw new Error('a replica does not follow yet')
    return {
      topology: 'sentinel',
      shards: [{ id: shard, slots: [[0, 16_383]], primary: primary.id, replicas }],
      nodes: engines.map(({ id, host, port }) => ({ id, host: host.address, port })),
    }
  }

  async hit() {
    const { shards } = await this.seen()
    return this.#engines.hit(shards[0]?.primary ?? '', shard)
  }

  readonly agents = (): [] => []

  async controllers(): Promise<[]> {
    return []
  }

  async acting(): Promise<string> {
    throw new Error('the engine is alone')
  }

  async revive(): Promise<void> {
    this.#engines.revive()
  }

  async close(): Promise<void> {
    this.#engines.close()
  }

  async #sentinelSays(name: string): Promise<string> {
    const answer = await this.#engines.command(`sentinel-${name}`, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName)
    const others = await this.#engines.command(`sentinel-${name}`, 'SENTINEL', 'CKQUORUM', masterName)
    if (!String(others).includes(`${hosts.length} usable`)) throw new Error(`sentinel-${name}: ${String(others)}`)
    return (answer as string[])[0] ?? ''
  }
}
