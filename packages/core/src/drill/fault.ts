/**
 * Faults as data: what is done, on whom, for how long, and how it ends. Who injects one decides nothing; who heals one
 * needs nothing but its order.
 */
import type { NodeStatus } from '../status.ts'

export interface FaultKind {
  /** What happens, for a list: "SIGKILL to a primary". */
  readonly what: string
  /** On whom it falls, unless a node is named. */
  readonly aim: FaultAim
  /** How long it lasts unless told, ms. 0: it is over at once, and what it broke is Holdfast's to mend. */
  readonly forMs: number
  /** How it ends, by its own timer. */
  readonly heals: string
  /** What it may cost, honestly. */
  readonly costs: string
  /** What the machine must allow. */
  readonly needs: 'nothing' | 'root' | 'a file system of its own' | 'hosts' | 'hosts; root and nft there'
}

/** `controller` is the process that heals; it is no node. */
export type FaultAim =
  | 'a primary'
  | 'a replica'
  | 'two primaries'
  | 'all nodes'
  | 'a Sentinel'
  | 'a host'
  | 'the controller'
  | 'all clients'

/** Packets are lost between hosts. */
const cut = {
  aim: 'a host',
  forMs: 20_000,
  heals: 'the rules are taken away; they end by themselves five seconds later',
  needs: 'hosts; root and nft there',
} as const

/** Every fault that can be injected, by the name that people type. */
export const faultTable = {
  'kill-primary': {
    what: 'SIGKILL to a primary',
    aim: 'a primary',
    forMs: 0,
    heals: 'Holdfast promotes a replica and starts the dead one again',
    costs: 'writes that the replica does not have yet, usually none; the shard is not writable for tens of ms',
    needs: 'nothing',
  },
  'kill-replica': {
    what: 'SIGKILL to a replica',
    aim: 'a replica',
    forMs: 0,
    heals: 'Holdfast starts it again, and it syncs',
    costs: 'nothing, but the shard has one copy less until it is back',
    needs: 'nothing',
  },
  'kill-two': {
    what: 'SIGKILL to two primaries at the same moment',
    aim: 'two primaries',
    forMs: 0,
    heals: 'Holdfast promotes both replicas, one after the other',
    costs: 'as a death, in two shards; with three shards no majority is left to vote',
    needs: 'nothing',
  },
  'kill-all': {
    what: 'SIGKILL to every node at the same moment',
    aim: 'all nodes',
    forMs: 0,
    heals: 'Holdfast starts them again, the freshest copy of each shard first',
    costs: 'the cache is away until its files are loaded; without persistence, all data',
    needs: 'nothing',
  },
  'kill-sentinel': {
    what: 'SIGKILL to a Sentinel',
    aim: 'a Sentinel',
    forMs: 0,
    heals: 'Holdfast starts it again, and it finds the others',
    costs: 'nothing, while a majority of the Sentinels is left; clients ask another one',
    needs: 'nothing',
  },
  freeze: {
    what: 'SIGSTOP to a primary: it is there and answers nothing',
    aim: 'a primary',
    forMs: 20_000,
    heals: 'SIGCONT, if the process is still there',
    costs: 'the shard is not writable until the freeze is proven (timeouts.frozenAfter) and the replica promoted',
    needs: 'nothing',
  },
  busy: {
    what: 'a script that does not end: a primary burns CPU and answers nothing',
    aim: 'a primary',
    forMs: 10_000,
    heals: 'SCRIPT KILL',
    costs: "the shard is not writable until the script ends, or the engines' own failover promotes its replica",
    needs: 'nothing',
  },
  bounce: {
    what: 'SIGKILL to a primary, and somebody else starts it again without its data',
    aim: 'a primary',
    forMs: 0,
    heals:
      'Holdfast promotes its replica, also over the empty one, and lets that follow; its files are kept in bounced/',
    costs: 'everything of the shard, if the replica has copied the emptiness before it could be promoted',
    needs: 'nothing',
  },
  'memory-full': {
    what: 'a primary is filled up to its maxmemory',
    aim: 'a primary',
    forMs: 20_000,
    heals: 'the filler is deleted',
    costs: 'keys that the policy evicts; with noeviction, writes are refused',
    needs: 'nothing',
  },
  'disk-full': {
    what: 'the file system of the data is filled to the last block',
    aim: 'all nodes',
    forMs: 20_000,
    heals: 'the ballast is deleted',
    costs: 'writes are refused while the append-only file cannot be written',
    needs: 'a file system of its own',
  },
  'slow-disk': {
    what: "a primary's writes to disk are throttled",
    aim: 'a primary',
    forMs: 20_000,
    heals: 'the throttle is taken away',
    costs: 'writes wait where an fsync takes longer than two seconds',
    needs: 'root',
  },
  'kill-controller': {
    what: 'SIGKILL to the controller',
    aim: 'the controller',
    forMs: 10_000,
    heals: 'a controller is started in the background, if none is there by then',
    costs:
      "until then only the engines' own failover heals; a controller in a terminal is followed by one in the background",
    needs: 'nothing',
  },
  unattended: {
    what: 'SIGKILL to the controller and then to a primary',
    aim: 'a primary',
    forMs: 20_000,
    heals: 'a controller is started in the background, if none is there by then',
    costs:
      "the shard is not writable until the engines' own failover (timeouts.node, twice at most, and a second); a controller in a terminal is followed by one in the background",
    needs: 'nothing',
  },
  storm: {
    what: 'every client connection is cut, and 500 more clients connect in the same moment',
    aim: 'all clients',
    forMs: 10_000,
    heals: 'the 500 leave',
    costs: 'calls that were under way on a cut connection are tried again or fail, as the client decides',
    needs: 'nothing',
  },
  'kill-agent': {
    what: 'SIGKILL to the agent of a host',
    aim: 'a host',
    forMs: 10_000,
    heals: 'the agent is started again in the background, if none is there by then',
    costs: 'nothing: engines outlive it, but until it is back nobody starts what ends there',
    needs: 'hosts',
  },
  'freeze-agent': {
    what: 'SIGSTOP to the agent of a host',
    aim: 'a host',
    forMs: 10_000,
    heals: 'SIGCONT, if the process is still there',
    costs:
      'engines go on, and nobody starts what ends there; who wakes after its lease takes no writes until a controller is heard, for tenths of a second',
    needs: 'hosts',
  },
  'kill-host': {
    what: 'SIGKILL to all that the deployment has on a host, and to its agent',
    aim: 'a host',
    forMs: 10_000,
    heals: 'the agent is started again in the background, if none is there by then, and Holdfast starts the rest',
    costs: 'as a death, but nobody says that it is one: its shards wait until the engines agree (timeouts.node)',
    needs: 'hosts',
  },
  'cut-host': {
    ...cut,
    what: 'nobody reaches a host: what is sent to its agent and engines is lost, and what they send',
    costs: 'its shards are not writable until its lease is over (timeouts.leaseAfter, and a second)',
  },
  'cut-peers': {
    ...cut,
    what: 'other hosts do not reach a host, nor controllers its agent, and clients do',
    costs:
      'what its primaries took until the host fenced itself, and no replica has (timeouts.leaseAfter, and a second)',
  },
  'deafen-host': {
    ...cut,
    what: 'the same in one direction: what other hosts send to it is lost',
    costs: 'as with cut-peers: a connection of which one end hears nothing carries nothing',
  },
  'mute-host': {
    ...cut,
    what: 'the same in the other: what it sends to other hosts is lost',
    costs: 'as with cut-peers: a connection of which one end hears nothing carries nothing',
  },
  flap: {
    ...cut,
    what: 'nobody reaches a host for 0.7 s, then everybody does, again and again',
    costs: 'calls wait again and again; where others take over, what its replicas did not have yet',
  },
  'slow-link': {
    ...cut,
    what: 'the link of a host passes 64 kB a second in all, and what is more is lost',
    costs: 'calls take long, and replicas fall behind: what they lack is lost where others take over',
  },
} as const satisfies Readonly<Record<string, FaultKind>>

export type FaultName = keyof typeof faultTable

/** Those that lose packets between hosts. */
export const cuts: readonly FaultName[] = ['cut-host', 'cut-peers', 'deafen-host', 'mute-host', 'flap', 'slow-link']

export const faultNames = Object.keys(faultTable) as FaultName[]

/** What a person asks for. */
export interface FaultWish {
  readonly fault: FaultName
  /** How long it shall last, ms; null: as long as the table says. */
  readonly forMs: number | null
  /** The node it shall fall on; null: chosen by the aim. */
  readonly node: string | null
  /** The name of the deployment, said once more: allows a deployment that is not labelled for drills. */
  readonly onProduction: string | null
  /** The drill that it belongs to, so that its own lock does not stop it; null outside of a drill. */
  readonly drill: string | null
}

/** The process that a fault falls on, as it was seen when it was aimed. */
export interface FaultTarget extends Pick<NodeStatus, 'id' | 'hostId' | 'host' | 'port'> {
  /** Null for a Sentinel: it belongs to no shard. */
  readonly shard: string | null
  readonly role: NodeStatus['role'] | 'sentinel'
  readonly pid: number
}

/** An aimed fault: all that is needed to inject it, and to heal it without whoever asked for it. */
export interface FaultOrder {
  readonly id: string
  readonly deployment: string
  readonly fault: FaultName
  readonly forMs: number
  readonly targets: readonly FaultTarget[]
  /** The sentence for the event log: what, on whom, for how long. */
  readonly because: string
}

/** How a fault reaches an agent: by the same rules as every action (SAFETY: epoch and deadline). */
export interface FaultEnvelope {
  readonly deployment: string
  readonly controllerEpoch: number
  /** By the agent's own clock, as it reported it: ms. */
  readonly notAfter: number
  readonly order: FaultOrder
}

/** A fault that was injected, as the API tells it. Times are the wall clock's, ms since 1970. */
export interface FaultSeen {
  readonly id: string
  readonly deployment: string
  readonly fault: FaultName
  readonly because: string
  /** Ids of the nodes. */
  readonly targets: readonly string[]
  readonly injectedAt: number
  /** When its own timer heals it. */
  readonly healsAt: number
  /** Null: it still lasts. */
  readonly healedAt: number | null
  /** Why healing did not work, as far as it did not; null: it did, or is not due. */
  readonly trouble: string | null
}

/** One thing that is looked at before a fault is injected. */
export interface Precondition {
  readonly met: boolean
  /** What was found, and where it is not met, what to do. */
  readonly because: string
}

/** What a fault would do to a deployment as it is now; nothing is done yet. */
export interface FaultPreview {
  readonly order: FaultOrder | null
  readonly preconditions: readonly Precondition[]
  readonly costs: string
  readonly heals: string
}
