/**
 * What applications are told of a deployment: who has which slots, and what is about to change there.
 *
 * Each word is the whole of it, so one that is missed costs nothing and a reader needs only the last. It is a hint: who
 * takes writes is what the engine itself says, and a client asks it before it believes.
 */
import type { SlotRange } from './slots.ts'
import type { ShardStatus, Status } from './status.ts'

export interface Topology {
  readonly apiVersion: 1
  readonly name: string
  readonly topology: Status['topology']
  /** The highest configuration epoch of its engines, or of its Sentinels: of two answers the higher is newer. 0: there is no such number. */
  readonly epoch: number
  readonly shards: readonly ShardTopology[]
}

export interface ShardTopology {
  readonly id: string
  readonly slots: readonly SlotRange[]
  /** Null while nobody living has the slots. */
  readonly primary: Member | null
  readonly replicas: readonly Member[]
  /** Set from the moment at which somebody is asked to take over, or the primary was seen dead, until another is primary. */
  readonly change: TopologyChange | null
}

export interface Member {
  readonly node: string
  readonly host: string
  readonly port: number
}

export interface TopologyChange {
  readonly kind: 'failover' | 'switchover'
  /** Who shall be the primary; null while that is open. */
  readonly to: string | null
  /** Wall clock, ms since 1970. */
  readonly since: number
}

/** After this long it did not come to it, where the old primary is there as before. */
const lastsAtMostMs = 10_000

/** The topology of one look; `before` is that of the look before, for changes that go on. */
export function topologyOf(status: Status, before?: Topology): Topology {
  const { name, topology, nodes, sentinels, shards } = status
  const epochs = [...nodes, ...sentinels].map(({ epoch }) => epoch ?? 0)
  return {
    apiVersion: 1,
    name,
    topology,
    epoch: Math.max(0, ...epochs),
    shards: shards.map((shard) => ({
      id: shard.id,
      slots: shard.slots,
      primary: membersOf(status, shard.primary === null ? [] : [shard.primary])[0] ?? null,
      replicas: membersOf(status, shard.replicas),
      change: changeOf(status, shard, before?.shards.find(({ id }) => id === shard.id)?.change ?? null),
    })),
  }
}

/** The same, with a node that was just asked to become the primary of its shard. */
export function withChange(topology: Topology, change: TopologyChange): Topology {
  const isOf = ({ primary, replicas }: ShardTopology): boolean =>
    [...(primary === null ? [] : [primary]), ...replicas].some(({ node }) => node === change.to)
  const shards = topology.shards.map((shard) => {
    if (!isOf(shard)) return shard
    // A failover that is asked for again is the same failover.
    const since = shard.change?.kind === change.kind ? shard.change.since : change.since
    return { ...shard, change: { ...change, since } }
  })
  return { ...topology, shards }
}

function changeOf(status: Status, { primary }: ShardStatus, was: TopologyChange | null): TopologyChange | null {
  // What shall be down, or was never up, has no primary that is missed.
  if (status.wanted === 'down' || status.settledRevision === 0) return null
  if (primary === null) {
    return { kind: 'failover', to: was?.to ?? null, since: was?.since ?? status.observedAt }
  }
  if (was === null || was.to === null || was.to === primary) return null
  return status.observedAt - was.since < lastsAtMostMs ? was : null
}

const membersOf = ({ nodes }: Status, ids: readonly string[]): readonly Member[] =>
  ids.flatMap((id) => {
    const node = nodes.find((one) => one.id === id)
    return node === undefined ? [] : [{ node: id, host: node.host, port: node.port }]
  })
