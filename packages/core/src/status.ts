import type { Reach } from './away.ts'
import type { Degradation, Pause } from './document.ts'
import type { HostTrouble } from './host-trouble.ts'
import type { Operation } from './operation.ts'
import type { SlotRange } from './slots.ts'

/** What `holdfast status --json` and `GET /api/v1/deployments/:name` answer. Fields are added, never changed. */
export interface Status {
  readonly apiVersion: 1
  readonly name: string
  readonly displayName: string
  readonly topology: 'standalone' | 'sentinel' | 'cluster'
  readonly wanted: 'up' | 'down'
  /** Wall clock, ms since 1970. */
  readonly observedAt: number
  readonly specRevision: number
  readonly settledRevision: number
  readonly ready: 'yes' | 'no' | 'unknown'
  readonly because: string
  /** The fewest copies in sync that any shard has now, its primary included. */
  readonly copiesInSync: number
  /** What a fault may cost, in words. */
  readonly lossWindow: string
  readonly controller: { readonly id: string; readonly epoch: number; readonly lease: 'held' | 'lost' | 'none' }
  readonly engine: { readonly flavor: string; readonly version: string; readonly path: string } | null
  readonly shards: readonly ShardStatus[]
  /** How many shards there shall be, and who has said so. Absent: nobody says it, as of what is only watched. */
  readonly scale?: { readonly shards: number; readonly setBy: string }
  /** With topology `sentinel`: who watches, as each of them sees it. */
  readonly sentinels: readonly SentinelStatus[]
  /** The address that follows the primary; null where the spec wants none. */
  readonly proxy: ProxyStatus | null
  readonly nodes: readonly NodeStatus[]
  /** Nodes of no shard. Absent: there are none. */
  readonly aside?: readonly AsideStatus[]
  /** Hosts with which something is wrong. Absent: there are none. */
  readonly hosts?: readonly HostStatus[]
  readonly operations: readonly Operation[]
  /** Where its engines speak TLS. Absent: they speak in clear. */
  readonly tls?: TlsStatus
  /** The users of its engines. */
  readonly users: readonly string[]
  /** Set while the controller only looks. */
  readonly paused: Pause | null
  /** Somebody else runs it: it is watched, and nothing is ever done to it. Absent: it is Holdfast's own. */
  readonly adopted?: AdoptedStatus
}

export interface TlsStatus {
  /** Which of them ends first, of those that are shown or wanted; null before the first was made. */
  readonly firstToEnd: string | null
  /** When, and when another one is due: wall clock, ms since 1970. */
  readonly endsAt: number | null
  readonly renewAt: number | null
  /** Whether the files are the owner's own. */
  readonly supplied: boolean
}

export interface AdoptedStatus {
  readonly by: string
  /** Wall clock, ms since 1970. */
  readonly at: number
  /** The addresses that were named, without user and password. */
  readonly from: readonly string[]
  /** What its engines are, as far as they answer; more than one during an upgrade. */
  readonly versions: readonly string[]
}

export interface ShardStatus {
  readonly id: string
  readonly slots: readonly SlotRange[]
  /** The id of the node that owns the slots, null where nobody living does. */
  readonly primary: string | null
  readonly replicas: readonly string[]
  /** Those that follow a replica: none of them is ever promoted, and none counts as a copy in sync. Absent: there are none. */
  readonly chained?: readonly string[]
  /** With durability `durable`. */
  readonly guard?: {
    /** With 1 its primary refuses writes while no copy acknowledges them. Null: not read yet. */
    readonly minReplicas: 0 | 1 | null
    /** Somebody has accepted that it takes writes which no copy has. */
    readonly degraded: Degradation | null
  }
}

export interface SentinelStatus {
  readonly id: string
  readonly hostId: string
  readonly host: string
  readonly port: number
  readonly state: NodeState
  /** Whom it names as the primary: a node of ours, or an address; null where it names nobody. */
  readonly names: string | null
  /** Sentinels that it knows beside itself. */
  readonly peers: number | null
  /** Whether it could have a failover agreed on now, by its own word. */
  readonly quorum: boolean | null
  /** The epoch of the last failover that it knows of: of two Sentinels the higher is right. */
  readonly epoch: number | null
  readonly pid: number | null
}

/** A host that is not heard as it should be, or whose machine gives trouble. */
export interface HostStatus {
  readonly id: string
  /** How it is reached, as several sides say. Absent: there is one machine, or nobody could tell. */
  readonly reach?: Reach
  /** What speaks for that, in words. Absent: it answers. */
  readonly because?: string
  /** What lasts there; the last that was seen, while it does not answer. */
  readonly troubles: readonly HostTrouble[]
}

/** A node without a part in any shard: one that stands by, or goes for good. */
export interface AsideStatus {
  readonly id: string
  readonly hostId: string
  readonly host: string
  readonly port: number
  readonly role: 'spare' | 'leaving'
  readonly state: NodeState
  readonly pid: number | null
  /** Where it stands, in words. */
  readonly because: string
}

export interface ProxyStatus {
  readonly id: string
  readonly hostId: string
  readonly host: string
  /** Leads to the primary. */
  readonly port: number
  /** Leads to the replicas in turn; null where there are none. */
  readonly replicaPort: number | null
  readonly state: NodeState
  /** The node that it sends writers to; null while it sends them nowhere, or nobody knows. */
  readonly primary: string | null
  /** The nodes that it sends readers to; null where nobody knows. */
  readonly replicas: readonly string[] | null
  readonly pid: number | null
}

export type NodeState =
  | 'ok' // answers, and its link is up
  | 'starting' // the process runs and does not answer yet, or loads
  | 'syncing' // a replica in its first sync, or with its link down
  | 'busy' // does not answer, burns CPU
  | 'frozen' // does not answer, does nothing
  | 'silent' // does not answer, not known why yet
  | 'dead' // its agent says that the process is gone
  | 'stopped' // as wanted
  | 'unknown' // not seen

export interface NodeStatus {
  readonly id: string
  readonly engineId: string | null
  readonly hostId: string
  readonly shard: string
  readonly host: string
  readonly port: number
  readonly role: 'primary' | 'replica' | 'unknown'
  readonly state: NodeState
  /** A chained replica: the node that it follows, null where that is none of ours or not known. Absent: it is not chained. */
  readonly upstream?: string | null
  readonly epoch: number | null
  readonly offset: number | null
  readonly replid: string | null
  readonly link: 'up' | 'down' | 'syncing' | null
  /** Bytes behind its primary; null for a primary or where it is not known. */
  readonly lag: number | null
  /** Whole seconds since its primary last had its acknowledgement; null for a primary or where it is not known. */
  readonly ackAgeSeconds: number | null
  /** Shall hold no primary. */
  readonly drained: boolean
  readonly fence: { readonly epoch: number; readonly reason: string } | null
  readonly pid: number | null
  /** Starts in a row that led to no answering engine, and what the last one said; null where none failed. */
  readonly startFailure: { readonly times: number; readonly said: string } | null
  /** Directives that take effect only with the next start of this node. */
  readonly pendingRestart: readonly string[]
  /** Wall clock of the last answer, ms since 1970; null if never. */
  readonly seenAt: number | null
  readonly memoryBytes: number | null
  readonly memoryMaxBytes: number | null
  readonly opsPerSecond: number | null
  readonly keys: number | null
  readonly clients: number | null
}
