import type { Fence } from './agent-fence.ts'
import type { JobSeen, ShelfSeen } from './backup/job.ts'
import type { SlotRange } from './slots.ts'

/**
 * What was seen of a deployment in one look. Facts only, each with its time; what was not seen is `unknown` or null,
 * never false. Times are milliseconds of the observer's monotonic clock, so a jump of the wall clock changes nothing.
 */
export interface Observed {
  /** When this look was complete. */
  readonly at: number
  readonly nodes: readonly NodeSeen[]
  /** With topology `sentinel`. */
  readonly sentinels?: readonly SentinelSeen[]
  /** Where one is wanted, or was. */
  readonly proxy?: ProxySeen
  /** The hosts of the deployment, where agents of other machines keep them. Absent: it is on this machine alone. */
  readonly hosts?: readonly HostSeen[]
  /** Where backups are. Absent: whoever looks has none. */
  readonly shelf?: ShelfSeen
}

/** A host as its agent, and as the controller hears it. */
export interface HostSeen {
  readonly id: string
  /** Whether its agent has answered this look. */
  readonly answers: boolean
  /**
   * When it last answered this controller, or when this one began to act, if that is later: whoever acted before may have
   * heard it until then.
   */
  readonly heardAt: number
  /** Whom it hears; null where it never said so. */
  readonly hearing: HearingSeen | null
}

export interface HearingSeen {
  /** It knows of nobody before that. */
  readonly since: number
  /** When it last had contact with a host, by the host's name, and not earlier. */
  readonly contacts: Readonly<Record<string, number>>
  /** It thinks itself alone, though it has answered: it hears of that only later. */
  readonly isAlone: boolean
}

export interface NodeSeen {
  readonly id: string
  readonly shard: string
  readonly host: string
  readonly address: string
  readonly port: number
  readonly engine: EngineSeen
  /** What the agent of its host says of the process and its directory. Null: the agent did not answer. */
  readonly agent: AgentNodeSeen | null
}

export type EngineSeen = Seen<EngineFacts>

/** What came back from the process itself. LOADING and BUSY are answers: it lives. */
export type Seen<Facts> =
  | {
      readonly kind: 'answered'
      readonly at: number
      /** When it was asked: the facts are no older than this. Absent: as `at`. */
      readonly askedAt?: number
      readonly facts: Facts
    }
  | { readonly kind: 'loading'; readonly at: number }
  | { readonly kind: 'busy'; readonly at: number }
  /**
   * It took the connection or the question, and owes an answer since then. Where the observer itself was not awake
   * in between, `since` is when it woke up: silence counts only while somebody listens.
   */
  | { readonly kind: 'silent'; readonly since: number }
  /** Nobody listens, or it turned us away. */
  | { readonly kind: 'refused'; readonly at: number; readonly reason: string }
  /** Not asked yet. */
  | { readonly kind: 'unknown' }

export interface EngineFacts {
  /** Its own id in a Cluster. Empty elsewhere: engines are then told apart by their addresses. */
  readonly engineId: string
  readonly version: string
  readonly role: 'primary' | 'replica'
  readonly replid: string
  /** The replication id that this node continued from, if it was promoted, or started from a snapshot as a primary. */
  readonly replidBefore: string
  /** How much of that history it has; null: there is none. */
  readonly offsetBefore: number | null
  readonly offset: number
  /** A replica's link to its primary; null on a primary. */
  readonly link: ReplicaLink | null
  /** On a primary: what it knows of each attached replica. */
  readonly replicas: readonly AttachedReplica[]
  readonly clusterOk: boolean
  readonly disk: DiskFacts
  /** Empty outside a Cluster. */
  readonly view: ClusterView
  readonly memoryBytes: number
  readonly memoryMaxBytes: number
  readonly opsPerSecond: number
  readonly clients: number
  readonly keys: number
  readonly uptimeSeconds: number
  /** What it had to do since it started. Absent: nobody asked. */
  readonly load?: EngineLoad
}

/** Counters since the start of the process. */
export interface EngineLoad {
  /** Of this process: another one counts from zero again. */
  readonly runId: string
  /** CPU time of its main thread. Null: it does not say, as before Redis 6.2. */
  readonly mainThreadMs: number | null
  /** What it keeps of its own stream for replicas that come back: no data, and none that moves with a shard. */
  readonly backlogBytes: number
  readonly evictedKeys: number
  readonly hits: number
  readonly misses: number
}

/** What an engine writes to its disk, and whether it is at it. */
export interface DiskFacts {
  /** Every write goes to an append-only file, or will as soon as the first one is written. */
  readonly logs: boolean
  /** The last write to that file went well. A primary takes no writes where it did not. */
  readonly logOk: boolean
  /** A child writes the append-only file anew, or is about to. */
  readonly rewriting: boolean
  readonly rewriteOk: boolean
  /** A child writes a snapshot. */
  readonly saving: boolean
  readonly saveOk: boolean
  /** Since the last snapshot, by the engine's own clock. Null: none since it started. */
  readonly savedAgoSeconds: number | null
}

export interface SentinelSeen {
  readonly id: string
  readonly host: string
  readonly address: string
  readonly port: number
  readonly engine: Seen<SentinelFacts>
  readonly agent: AgentSentinelSeen | null
}

/** What a Sentinel says of itself, and of the deployment's primary, if it watches it. */
export interface SentinelFacts {
  readonly sentinelId: string
  /** It distrusts its own clock, and does nothing for a while. */
  readonly tilt: boolean
  readonly watch: SentinelWatch | null
}

/** How one Sentinel sees the primary that it watches under the deployment's name, and all around it. */
export interface SentinelWatch {
  readonly primary: { readonly address: string; readonly port: number }
  /** Its words: `s_down`, `o_down`, `failover_in_progress`, `disconnected` and so on. */
  readonly flags: readonly string[]
  readonly configEpoch: number
  /** Settings as `SENTINEL SET` names them. */
  readonly settings: Readonly<Record<string, string>>
  readonly roleReported: 'primary' | 'replica'
  readonly roleReportedMs: number
  /** Since its last valid answer. */
  readonly lastOkPingMs: number
  /** Whether enough others are there to agree on a failover, and to authorise it. */
  readonly quorumOk: boolean
  readonly replicas: readonly WatchedReplica[]
  readonly peers: readonly WatchingPeer[]
}

export interface WatchedReplica {
  readonly address: string
  readonly port: number
  readonly runId: string
  readonly flags: readonly string[]
  readonly priority: number
  readonly offset: number
  readonly linkDownMs: number
  /** How old what it knows of this replica is. */
  readonly infoAgeMs: number
  readonly lastOkPingMs: number
}

export interface WatchingPeer {
  readonly address: string
  readonly port: number
  readonly sentinelId: string
  readonly flags: readonly string[]
}

/** What the agent answers about one Sentinel. */
export interface AgentSentinelSeen {
  readonly access?: AccessSeen
  /** The certificate that its file names, which it read when it was started. Absent or null: none. */
  readonly certificate?: string | null
  readonly process: ProcessSeen
  readonly starts: StartHistory
  readonly fencedAt: number | null
  /** The last failover that it was asked for. */
  readonly failoverAsked: FailoverAsked | null
  /** When it was last told to forget whom it knows. */
  readonly resetAt: number | null
}

/** All that is seen of a proxy comes from the agent of its host: nobody else may ask it. */
export interface ProxySeen {
  readonly host: string
  readonly agent: AgentProxySeen | null
}

export interface AgentProxySeen {
  readonly process: ProcessSeen
  readonly answer: Seen<ProxyFacts>
  readonly starts: StartHistory
  readonly fencedAt: number | null
  /** The file that the running process has read; null: none. */
  readonly loaded: string | null
}

/** To whom a proxy sends clients now, by the ids of the nodes. */
export interface ProxyFacts {
  readonly primary: string | null
  readonly replicas: readonly string[]
  /** Its controller's word on who the primary is, while that counts: the node's number in the proxy's file. */
  readonly told: number | null
}

export interface ReplicaLink {
  readonly state: 'up' | 'down' | 'syncing'
  readonly downSeconds: number
  readonly primaryAddress: string
  readonly primaryPort: number
  /** By which Sentinels choose: the lower first, 0 never. */
  readonly priority: number
}

export interface AttachedReplica {
  /** As its primary knows it. Absent: not told. */
  readonly address?: string
  readonly port: number
  readonly online: boolean
  readonly offset: number
  /** Whole seconds since its last acknowledgement. */
  readonly ackAgeSeconds: number
}

/** One node's `CLUSTER NODES`, parsed. */
export interface ClusterView {
  readonly me: string
  readonly entries: readonly ViewEntry[]
  /** Slots on their way, as this node says of itself. */
  readonly open: readonly OpenSlot[]
}

export interface ViewEntry {
  readonly engineId: string
  readonly address: string
  readonly port: number
  readonly role: 'primary' | 'replica' | 'unknown'
  /** The engine id of the primary that it follows, null for a primary. */
  readonly follows: string | null
  /** `fail?` is one node's suspicion, `fail` the majority's verdict. */
  readonly health: 'ok' | 'fail?' | 'fail'
  /** In the middle of being introduced: its id is not its own yet. */
  readonly handshake: boolean
  readonly linked: boolean
  readonly configEpoch: number
  readonly slots: readonly SlotRange[]
}

export interface OpenSlot {
  readonly slot: number
  readonly direction: 'importing' | 'migrating'
  readonly peer: string
  /** Keys of this slot on this node; null: not counted. */
  readonly keys: number | null
}

/** What the agent answers about one node: the process, its directory, and what happened to it before. */
export interface AgentNodeSeen {
  readonly process: ProcessSeen
  readonly files: DataFiles
  readonly record: NodeRecord | null
  readonly starts: StartHistory
  /** When an engine of this node was last killed for being frozen, by the observer's clock. */
  readonly fencedAt: number | null
  /** The last failover that was asked of this node. */
  readonly failoverAsked: FailoverAsked | null
  /** The values of the directives that Holdfast owns, as the engine has them now. Null: not read yet. */
  readonly config: Readonly<Record<string, string>> | null
  /** Whether the engine's users are those of the file. */
  readonly usersMatch: boolean | null
  /** The directives of the node's config file, without secrets, as they stand there. Null: not known. */
  readonly written: Readonly<Record<string, string>> | null
  /** The directives that the process was started with, or given since, in the words of the file. Null: not known. */
  readonly given: Readonly<Record<string, string>> | null
  /** When this agent last asked the engine to write a snapshot, or to begin its log. */
  readonly saveAskedAt: number | null
  /** What the host has left, or the tightest control group that the engine is in. Null: not known. */
  readonly freeMemoryBytes: number | null
  /** Its agent lets it take no writes, and why. Absent or null: it may. */
  readonly fence?: Fence | null
  /** Its long works: those that run, and the last that are over. Absent: its agent does not know such works. */
  readonly jobs?: readonly JobSeen[]
  /** What a restore has done to it, if there was one. */
  readonly restore?: RestoreSeen
  /** Who may sign in to it, and how it signs in to others. Absent: its agent does not say. */
  readonly access?: AccessSeen
}

/** Passwords are told by their SHA-256 alone. */
export interface AccessSeen {
  /** The version of the engine that runs. Absent or null: not read yet. */
  readonly version?: string | null
  /** Its users file, as it stands there. Null: it cannot be read. */
  readonly usersFile: string | null
  /** The passwords that the running engine accepts, by user. Null: not read yet. */
  readonly passwords: Readonly<Record<string, readonly string[]>> | null
  /** The password by which its files let it sign in to its primary, and to other Sentinels. Null: not known. */
  readonly signInFile: string | null
  /** The same of the running engine; a Sentinel's file is its own, and says the same. */
  readonly signsInWith: string | null
  /** When this process was last given another one; null: never. */
  readonly signInGivenAt: number | null
  /** When it was last told to link to its primary anew; null: never since it started. */
  readonly linkRenewedAt: number | null
  /** What the last closing of old sessions found, and when. */
  readonly closing: ClosingSeen | null
}

export interface ClosingSeen {
  readonly rotation: string
  readonly at: number
  readonly closed: number
  readonly left: number
}

export interface RestoreSeen {
  /** The restore that its data began with. */
  readonly placed: string | null
  /** Files of a backup or a restore lie beside its data. */
  readonly hasFiles: boolean
}

/**
 * The operating system's word on a process. Its identity is boot id + pid + start time: a pid alone may have been
 * given to somebody else.
 */
export type ProcessSeen =
  | { readonly state: 'absent' }
  /** It was there and is gone: pid gone, a zombie, or a SIGKILL on its way. */
  | { readonly state: 'dead'; readonly since: number; readonly pid: number; readonly lingering: boolean }
  | {
      readonly state: 'running'
      readonly pid: number
      readonly startTime: number
      /** Stopped by a signal (state T). */
      readonly stopped: boolean
      /** CPU time used since it started. */
      readonly cpuMs: number
      /** When its CPU time last rose, by the observer's clock. */
      readonly cpuRoseAt: number
    }

/** Heads of the files in a data directory: whether a copy of the data is there, not what is in it. */
export interface DataFiles {
  readonly aof: boolean
  readonly rdb: boolean
  /** Both are there, and the snapshot was begun after the last write to the append-only file. */
  readonly rdbNewer: boolean
  /** The node's own line in nodes.conf, if there is one. */
  readonly claim: {
    readonly engineId: string
    readonly role: 'primary' | 'replica'
    readonly configEpoch: number
  } | null
}

/** What the agent last saw of the engine of a data directory. Kept outside that directory, so it outlives a wipe. */
export interface NodeRecord {
  readonly engineId: string
  readonly role: 'primary' | 'replica'
  readonly ownedSlots: boolean
  readonly configEpoch: number
  readonly replid: string
  readonly offset: number
  readonly link: ReplicaLink['state'] | null
  /** Whether it logged its writes; null: not known. */
  readonly logs: boolean | null
  /** When its link to its primary was last seen up; null if never, or since it became primary. */
  readonly linkUpAt: number | null
  /** Since when its link is not up; null while it is, and on a primary. */
  readonly linkDownSince: number | null
  /** When it last answered. Observer's clock; -Infinity if that was in an earlier boot. */
  readonly at: number
}

/** Starts that did not lead to an answering engine. */
export interface StartHistory {
  readonly failures: number
  readonly lastAt: number | null
  /** What the engine said before it went, for people. */
  readonly lastError: string | null
}

export interface FailoverAsked {
  readonly at: number
  readonly mode: FailoverMode
}

/** `switchover` waits for the offsets; `force` skips the primary's consent; `takeover` also the voters'. */
export type FailoverMode = 'switchover' | 'force' | 'takeover'
