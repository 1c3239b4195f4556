/** Real engines for the tests of the cache, started from plain arguments: nothing of Holdfast is around them. */
import { createHash } from 'node:crypto'
import type { EngineNode } from './engine-node.ts'
import type { EngineOptions, Place, StartedEngine } from './engine-place.ts'
import { starting } from './engine-place.ts'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'

export type { EngineNode } from './engine-node.ts'
export type { EngineOptions, StartedEngine } from './engine-place.ts'

export interface StartedCluster extends StartedEngine {
  /** In the order of their slots: `nodes` up to the number of shards. A failover later does not change them. */
  readonly primaries: readonly EngineNode[]
  /** In the order of their shards. */
  readonly replicas: readonly EngineNode[]
}

export interface StartedSentinel extends StartedReplicated {
  readonly masterName: string
  readonly sentinels: readonly EngineNode[]
}

export interface StartedStandalone extends StartedEngine {
  readonly node: EngineNode
}

export async function startStandalone(options: EngineOptions = {}): Promise<StartedStandalone> {
  return starting(options, async (place) => {
    const node = await place.startNode(await freePorts(1))
    return { addresses: [node.address], nodes: [node], node }
  })
}

export interface StartedReplicated extends StartedEngine {
  /** As started: `nodes[0]`. */
  readonly primary: EngineNode
  readonly replicas: readonly EngineNode[]
}

/** A primary and its replicas, their links up, with nobody who would promote one of them. */
export async function startReplicated({
  replicas = 1,
  ...options
}: EngineOptions & { readonly replicas?: number } = {}): Promise<StartedReplicated> {
  return starting(options, async (place) => {
    const [primary, others] = await startReplicas(place, replicas)
    const nodes = [primary, ...others]
    return { addresses: nodes.map(({ address }) => address), nodes, primary, replicas: others }
  })
}

export interface ClusterOptions extends EngineOptions {
  /** Default 3. */
  readonly shards?: number
  /** Default 1. */
  readonly replicasPerShard?: number
  /** Default 1000. */
  readonly nodeTimeoutMs?: number
}

/**
 * The nodes start with a `nodes.conf` in which everybody knows everybody, so that nothing has to be gossiped. What is
 * left of the time is the engine's own: a primary that starts does not take calls for 2 s.
 */
export async function startCluster({
  shards = 3,
  replicasPerShard = 1,
  nodeTimeoutMs = 1000,
  ...options
}: ClusterOptions = {}): Promise<StartedCluster> {
  return starting(options, async (place) => {
    const count = shards * (1 + replicasPerShard)
    const base = await freePorts(count)
    const planned = Array.from({ length: count }, (_, index) => ({ port: base + index, shard: index % shards }))
    const idOf = (port: number): string => createHash('sha1').update(`${place.folder}:${port}`).digest('hex')
    const lineOf = ({ port, shard }: { port: number; shard: number }, self: number): string => {
      const primary = port < base + shards
      const flags = [...(port === self ? ['myself'] : []), primary ? 'master' : 'slave'].join(',')
      const from = Math.ceil((shard * 16_384) / shards)
      const to = Math.ceil(((shard + 1) * 16_384) / shards) - 1
      const range = primary ? ` ${from === to ? from : `${from}-${to}`}` : ''
      const follows = primary ? '-' : idOf(base + shard)
      const where = `127.0.0.1:${port}@${port + 10_000}`
      return `${idOf(port)} ${where} ${flags} ${follows} 0 0 ${shard + 1} connected${range}`
    }
    const nodes = await allStarted(
      planned.map(({ port }) => {
        const lines = planned.map((node) => lineOf(node, port))
        place.write(port, 'nodes.conf', [...lines, `vars currentEpoch ${shards} lastVoteEpoch 0`])
        const cluster = { 'cluster-enabled': 'yes', 'cluster-node-timeout': `${nodeTimeoutMs}` }
        return place.startNode(port, { ...cluster, 'cluster-replica-validity-factor': '0' })
      }),
    )
    await Promise.all(
      nodes.map((node) => saysOf(node, ['CLUSTER', 'INFO'], 'cluster_state:ok', `cluster_known_nodes:${count}`)),
    )
    const replicas = nodes.slice(shards)
    await Promise.all(replicas.map((node) => saysOf(node, ['INFO', 'replication'], 'master_link_status:up')))
    return { addresses: nodes.map(({ address }) => address), nodes, primaries: nodes.slice(0, shards), replicas }
  })
}

export interface SentinelOptions extends EngineOptions {
  /** Default 2. */
  readonly replicas?: number
  /** Default 3; the quorum is their majority. */
  readonly sentinels?: number
  /** Default 500. */
  readonly downAfterMs?: number
  /** Default `main`. */
  readonly masterName?: string
  /** A password that the Sentinels themselves ask for. */
  readonly sentinelPassword?: string
}

export async function startSentinel({
  replicas = 2,
  sentinels = 3,
  downAfterMs = 500,
  masterName = 'main',
  sentinelPassword,
  ...options
}: SentinelOptions = {}): Promise<StartedSentinel> {
  return starting(options, async (place) => {
    const [primary, others] = await startReplicas(place, replicas)
    const nodes = [primary, ...others]
    const base = await freePorts(sentinels)
    const ports = Array.from({ length: sentinels }, (_, index) => base + index)
    const idOf = (port: number): string => createHash('sha1').update(`${place.folder}:${port}`).digest('hex')
    const quorum = Math.floor(sentinels / 2) + 1
    const watchers = await allStarted(
      ports.map((port) => {
        const { username, password } = place.credentials
        // The others are written down as well: to be told of them by gossip takes seconds.
        place.write(port, 'sentinel.conf', [
          `sentinel myid ${idOf(port)}`,
          `sentinel monitor ${masterName} 127.0.0.1 ${primary.address.port} ${quorum}`,
          `sentinel down-after-milliseconds ${masterName} ${downAfterMs}`,
          `sentinel failover-timeout ${masterName} 3000`,
          `sentinel parallel-syncs ${masterName} ${Math.max(1, replicas)}`,
          ...(username === undefined ? [] : [`sentinel auth-user ${masterName} ${username}`]),
          ...(password === undefined ? [] : [`sentinel auth-pass ${masterName} ${password}`]),
          ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`]),
          ...others.map(({ address }) => `sentinel known-replica ${masterName} 127.0.0.1 ${address.port}`),
          ...ports
            .filter((other) => other !== port)
            .map((other) => `sentinel known-sentinel ${masterName} 127.0.0.1 ${other} ${idOf(other)}`),
        ])
        const credentials = sentinelPassword === undefined ? {} : { password: sentinelPassword }
        return place.startSentinel(port, credentials)
      }),
    )
    await Promise.all(
      watchers.map((watcher) =>
        eventually(
          async () => {
            const seen = pairsOf(await watcher.command('SENTINEL', 'MASTER', masterName))
            const known = seen['num-other-sentinels'] === `${sentinels - 1}` && seen['num-slaves'] === `${replicas}`
            // Before the first INFO it knows of no offsets, and would find nobody fit to be promoted.
            const told = (await watcher.command('SENTINEL', 'REPLICAS', masterName)) as string[][]
            const linked = told.every((replica) => pairsOf(replica)['master-link-status'] === 'ok')
            return (
              known &&
              seen['flags'] === 'master' &&
              linked &&
              quorumSeen(await watcher.command('SENTINEL', 'CKQUORUM', masterName))
            )
          },
          { what: `Sentinel ${watcher.address.port} knows everybody` },
        ),
      ),
    )
    return {
      addresses: watchers.map(({ address }) => address),
      nodes,
      masterName,
      primary,
      replicas: others,
      sentinels: watchers,
    }
  })
}

const quorumSeen = (reply: unknown): boolean => typeof reply === 'string' && reply.startsWith('OK')

async function startReplicas(place: Place, replicas: number): Promise<[EngineNode, EngineNode[]]> {
  const base = await freePorts(1 + replicas)
  const primary = await place.startNode(base)
  const others = Array.from({ length: replicas }, (_, index) => base + 1 + index)
  const followers = await allStarted(others.map((port) => place.startNode(port, { replicaof: `127.0.0.1 ${base}` })))
  await Promise.all(followers.map((node) => saysOf(node, ['INFO', 'replication'], 'master_link_status:up')))
  return [primary, followers]
}

/** Waits for all of them, also after one failed, so that none is started behind the back of who cleans up. */
async function allStarted(starts: readonly Promise<EngineNode>[]): Promise<EngineNode[]> {
  await Promise.allSettled(starts)
  return Promise.all(starts)
}

const saysOf = (node: EngineNode, command: string[], ...words: string[]): Promise<boolean> =>
  eventually(
    async () => {
      const reply = String(await node.command(...command))
      return words.every((word) => reply.includes(word))
    },
    { what: `${node.address.port} says ${words.join(' and ')}` },
  )

function pairsOf(reply: unknown): Record<string, string> {
  if (!Array.isArray(reply)) return {}
  return Object.fromEntries(reply.flatMap((name, at) => (at % 2 === 0 ? [[String(name), String(reply[at + 1])]] : [])))
}
