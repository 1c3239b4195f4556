/** The engine alone as a Cluster: three shards of two copies on three hosts, with the engine's own failover. */
import { parseClusterNodes } from '@holdfast/core'
import { eventually } from '../eventually.ts'
import type { BareEngines, BareServer } from './bare-engines.ts'
import { bareAccess, barePassword } from './bare-engines.ts'
import type { Seen, Subject } from './subject.ts'

const hosts = ['a', 'b', 'c']
const firstPort = 7001
const slots = 16_384

const copies = 2

/** `nodeTimeoutMs`: how long a primary may be silent, as in the spec of what it is compared with. */
export async function bareCluster(engines: BareEngines, nodeTimeoutMs: number): Promise<Subject> {
  const cluster = new BareCluster(engines)
  await cluster.start(nodeTimeoutMs)
  return cluster
}

const shardOf = (index: number): string => `shard-${index + 1}`

class BareCluster implements Subject {
  readonly name = 'cluster'
  readonly clients = ['ioredis', 'ioredis-timeouts', 'cache'] as const
  readonly access = bareAccess
  readonly #engines: BareEngines

  constructor(engines: BareEngines) {
    this.#engines = engines
  }

  async start(nodeTimeoutMs: number): Promise<void> {
    const settings = ['cluster-enabled yes', `cluster-node-timeout ${nodeTimeoutMs}`, `masterauth ${barePassword}`]
    const lines = [...settings, 'appendonly yes', 'cluster-require-full-coverage no', 'repl-diskless-sync-delay 0']
    // A shard's first copy is on the host of its number, the others on the next hosts.
    for (let copy = 0; copy < copies; copy++) {
      for (let shard = 0; shard < hosts.length; shard++) {
        const host = this.#engines.fabric.host(hosts[(shard + copy) % hosts.length] ?? '')
        await this.#engines.start(`${shardOf(shard)}-${copy}`, host, firstPort + copy, lines)
      }
    }
    await this.#introduce()
    await eventually(() => this.seen(), { withinMs: 60_000, what: 'a cluster of one mind' })
  }

  async where() {
    const nodes = this.#engines.servers.map(({ host, port }) => ({ address: host.address, port }))
    return { topology: 'cluster' as const, nodes, sentinels: [], masterName: '', ...this.access }
  }

  async seen(): Promise<Seen> {
    const { servers } = this.#engines
    const texts = await Promise.all(servers.map(({ id }) => this.#engines.command(id, 'CLUSTER', 'NODES')))
    const views = texts.map((text) => parseClusterNodes(String(text)).entries)
    const idAt = (address: string, port: number): string => serverAt(servers, address, port)?.id ?? ''
    const owners = views.map((entries) => {
      if (entries.some(({ health, linked }) => health !== 'ok' || !linked)) throw new Error('somebody is missing')
      return entries.filter((entry) => entry.slots.length > 0)
    })
    const said = owners.map((entries) =>
      entries
        .map(({ engineId }) => engineId)
        .sort()
        .join(),
    )
    if (new Set(said).size > 1) throw new Error('they do not agree')
    const [[entries], [own]] = [views, owners]
    if (entries === undefined || own === undefined) throw new Error('there are no servers')
    if (own.length < hosts.length) throw new Error('slots without an owner')
    const shards = own.map((owner) => ({
      id: shardOf(Math.floor(((owner.slots[0]?.[0] ?? 0) * hosts.length) / slots)),
      slots: owner.slots,
      primary: idAt(owner.address, owner.port),
      replicas: entries
        .filter(({ follows }) => follows === owner.engineId)
        .map(({ address, port }) => idAt(address, port)),
    }))
    await Promise.all(shards.flatMap(({ replicas }) => replicas.map((id) => this.#isLinked(id))))
    const nodes = servers.map(({ id, host, port }) => ({ id, host: host.address, port }))
    return { topology: 'cluster', shards, nodes }
  }

  async hit() {
    const { shards } = await this.seen()
    const shard = shardOf(0)
    return this.#engines.hit(shards.find(({ id }) => id === shard)?.primary ?? '', shard)
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

  async #introduce(): Promise<void> {
    const { servers } = this.#engines
    const [first] = servers as [BareServer]
    for (let shard = 0; shard < hosts.length; shard++) {
      const [from, to] = [shard, shard + 1].map((one) => Math.ceil((one * slots) / hosts.length)) as [number, number]
      await this.#engines.command(`${shardOf(shard)}-0`, 'CLUSTER', 'ADDSLOTSRANGE', `${from}`, `${to - 1}`)
    }
    for (const { host, port } of servers)
      await this.#engines.command(first.id, 'CLUSTER', 'MEET', host.address, `${port}`)
    for (let shard = 0; shard < hosts.length; shard++) {
      const engineId = String(await this.#engines.command(`${shardOf(shard)}-0`, 'CLUSTER', 'MYID'))
      for (let copy = 1; copy < copies; copy++) {
        // It must have heard of its primary before it can be told to follow it.
        await eventually(() => this.#engines.command(`${shardOf(shard)}-${copy}`, 'CLUSTER', 'REPLICATE', engineId))
      }
    }
  }

  async #isLinked(id: string): Promise<void> {
    const info = String(await this.#engines.command(id, 'INFO', 'replication'))
    if (!info.includes('master_link_status:up')) throw new Error(`${id} has no link to its primary`)
  }
}

const serverAt = (servers: readonly BareServer[], address: string, port: number): BareServer | undefined =>
  servers.find((server) => server.host.address === address && server.port === port)
