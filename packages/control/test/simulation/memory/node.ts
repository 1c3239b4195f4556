import type {
  ClusterView,
  FailoverAsked,
  FailoverMode,
  Fence,
  NodeJob,
  NodePlace,
  NodeRecord,
  OpenSlot,
  ReplicaLink,
  SlotRange,
  ViewEntry,
} from '@holdfast/core'
import type { MemoryAccess } from './access.ts'
import { noAccess } from './access.ts'
import type { Copy } from './data.ts'
import { emptyCopy } from './data.ts'
import type { Random } from './random.ts'

/** What a node knows of another: the engine's `clusterNode`. */
export interface Peer {
  id: string
  address: string
  port: number
  role: 'primary' | 'replica'
  follows: string | null
  configEpoch: number
  slots: SlotRange[]
  health: 'ok' | 'fail?' | 'fail'
  failedAt: number
  handshakeSince: number | null
  linked: boolean
  /** The oldest ping without an answer; 0 when none is out. */
  pingSentAt: number
  pongAt: number
  /** As a voter: when a replica of this primary last got our vote. */
  votedAt: number
  /** Who else says that it fails, and when they said so. */
  readonly reports: Map<string, number>
  /** What was taken in of its claims and members, so that saying it again costs nothing. */
  heardClaim: number
  heardClaimAgainst: number
  heardMembers: number
  heardMembersAgainst: number
}

/** The engine's nodes.conf. It is saved with every change, so the file and the memory are one here. */
export interface Conf {
  readonly id: string
  role: 'primary' | 'replica'
  follows: string | null
  configEpoch: number
  currentEpoch: number
  lastVoteEpoch: number
  slots: SlotRange[]
  open: OpenSlot[]
  readonly peers: Map<string, Peer>
  /** Forgotten ids, until when gossip does not bring them back. */
  readonly banned: Map<string, number>
  /** Rises with every change of what this node says of itself. */
  claim: number
  /** Rises with every change of what it knows of anybody. */
  knowledge: number
  /** Rises when a peer comes or goes. */
  members: number
  seen: ClusterView | null
}

export interface Stream {
  replid: string
  replidBefore: string
  /** Up to here the former replication id is good for a partial resync. */
  offsetBefore: number
  offset: number
}

export interface Link {
  state: ReplicaLink['state']
  since: number
  /** The process at the other end. */
  peerPid: number
  nextTryAt: number
  loadAt: number
  syncedAt: number
  /** Without a cached primary only a full resync will do. */
  mustFullSync: boolean
}

interface Manual {
  readonly mode: FailoverMode
  readonly until: number
}

/** A living engine process and what is lost with it. */
export interface Process {
  readonly pid: number
  readonly startTime: number
  readonly version: string
  phase: 'starting' | 'loading' | 'serving'
  /** SIGSTOP. */
  stopped: boolean
  /** Waits for a disk that does not answer: not stopped, uses no CPU, and outlives a SIGKILL. */
  stalled: boolean
  busyUntil: number
  saysBusy: boolean
  cpuMs: number
  cpuAt: number
  cpuRoseAt: number
  /** Since when its acknowledgements stay away; 0 while it is awake. */
  quietSince: number
  /** Since when it is awake again; for those who judge whether it was right to kill it. */
  awakeSince: number
  stream: Stream
  link: Link | null
  clusterOk: boolean
  minorityAt: number
  servingSince: number
  manual: Manual | null
  /** A primary that hands over takes no writes meanwhile. */
  writesPausedUntil: number
  voteAskedAt: number
  voteSent: boolean
  /** Told to end while it could not hear it: it will, when it is awake again. */
  stopAsked: { readonly save: boolean } | null
}

/** Faults that stay until somebody takes them away. */
interface Weather {
  slowMs: number
  linkCut: boolean
  lagging: boolean
  isolated: boolean
  /** The hosts that its own has no connection with. */
  readonly parted: Set<string>
  startFailures: number
  startError: string
  /** Somebody else listens on the node's port. */
  portTaken: boolean
}

export interface MemoryNode {
  /** Where it is: given anew as long as nothing of it is there. */
  place: NodePlace
  process: Process | null
  lastExit: { pid: number; since: number; lingering: boolean } | null
  /** Null: no nodes.conf. */
  conf: Conf | null
  /** False while a living engine has not written it again after somebody deleted it. */
  confOnDisk: boolean
  data: Copy
  aofOnDisk: boolean
  rdb: Copy | null
  /** When this process last took a snapshot. */
  savedAt: number | null
  config: Record<string, string>
  configFile: string
  users: string
  usersFile: string
  access: MemoryAccess
  /** Of the engine that its place was last given: who starts next is this one. */
  version: string
  record: NodeRecord | null
  starts: { failures: number; lastAt: number | null; lastError: string | null }
  fencedAt: number | null
  /** Its host was alone: it takes no writes. */
  fence: Fence | null
  failoverAsked: FailoverAsked | null
  /** What the process was started with, and given since. */
  given: Record<string, string> | null
  /** What the agent last read back of the directives that Holdfast owns, and of the users. */
  readBack: ReadBack
  /** The agent's works that move slots from here, by their ids. */
  readonly moves: Map<string, Move>
  readonly weather: Weather
}

interface Move {
  readonly job: Extract<NodeJob, { kind: 'move' }>
  /** Those that are still to go. */
  readonly slots: number[]
  state: 'running' | 'done' | 'failed'
  because: string | null
}

export interface ReadBack {
  config: Record<string, string> | null
  at: number
  usersNow: string | null
  usersLoaded: string | null
}

export const nothingRead = (): ReadBack => ({
  config: null,
  at: Number.NEGATIVE_INFINITY,
  usersNow: null,
  usersLoaded: null,
})

/** A moment when a node became the one that takes a shard's writes. */
export interface Promotion {
  readonly at: number
  readonly node: string
  readonly shard: string
  readonly how: 'force' | 'takeover' | 'switchover' | 'own election' | 'start' | 'started by a stranger'
  readonly epoch: number
  /** Another node owns the shard's slots in a higher epoch: this one only has not heard of it yet. */
  readonly outdated: boolean
  /** Acknowledged writes of the shard that another copy had at that moment and this one had not. */
  readonly missing: readonly CopyAhead[]
}

export interface CopyAhead {
  readonly node: string
  readonly writes: readonly number[]
  /** Bytes of those that the agent's record of that copy includes: what a controller can know of at best. */
  readonly recordedBytes: number
  readonly state: 'serving' | 'silent' | 'down'
  /** Its host was alone: it takes no writes. */
  readonly isFenced: boolean
  readonly downMs: number
  readonly startsFailed: number
}

/** What the parts of the world need of each other. */
export interface World {
  readonly nodes: readonly MemoryNode[]
  readonly random: Random
  readonly nodeTimeoutMs: number
  readonly writeBytes: number
  readonly nativeFailover: boolean
  /** Share of cluster bus messages that get lost. */
  busLoss: number
  now(): number
  later(ms: number, run: () => void): void
  at(port: number): MemoryNode | undefined
  promoted(node: MemoryNode, how: Promotion['how']): void
  /** The keys of a slot are with another node from now on, and with its copies. */
  moveKeys(slot: number, from: MemoryNode, to: MemoryNode): void
  /** A process ended: agents hear of it, and connections to it close. */
  exited(node: MemoryNode, pid: number): void
  /** A copy is about to be lost with all that only it has. */
  destroying(node: MemoryNode): void
  nextPid(): number
}

export function newNode(place: NodePlace): MemoryNode {
  return {
    place,
    process: null,
    lastExit: null,
    conf: null,
    confOnDisk: false,
    data: emptyCopy(),
    aofOnDisk: false,
    rdb: null,
    savedAt: null,
    config: {},
    configFile: '',
    users: '',
    usersFile: '',
    access: noAccess(),
    version: '7.0.15',
    record: null,
    starts: { failures: 0, lastAt: null, lastError: null },
    fencedAt: null,
    fence: null,
    failoverAsked: null,
    given: null,
    readBack: nothingRead(),
    moves: new Map(),
    weather: {
      slowMs: 0,
      linkCut: false,
      lagging: false,
      isolated: false,
      parted: new Set(),
      startFailures: 0,
      startError: '',
      portTaken: false,
    },
  }
}

export function newConf(id: string): Conf {
  return {
    id,
    role: 'primary',
    follows: null,
    configEpoch: 0,
    currentEpoch: 0,
    lastVoteEpoch: 0,
    slots: [],
    open: [],
    peers: new Map(),
    banned: new Map(),
    claim: 1,
    knowledge: 1,
    members: 1,
    seen: null,
  }
}

export function newPeer(id: string, address: string, port: number, now: number): Peer {
  return {
    id,
    address,
    port,
    role: 'primary',
    follows: null,
    configEpoch: 0,
    slots: [],
    health: 'ok',
    failedAt: 0,
    handshakeSince: null,
    linked: false,
    pingSentAt: 0,
    pongAt: now,
    votedAt: Number.NEGATIVE_INFINITY,
    reports: new Map(),
    heardClaim: 0,
    heardClaimAgainst: 0,
    heardMembers: 0,
    heardMembersAgainst: 0,
  }
}

/** What this node knows changed: it looks at repeated claims again, and its view is told anew. */
export function noteKnowledge(node: MemoryNode): void {
  const conf = confOf(node)
  conf.knowledge++
  conf.seen = null
  // The engine writes nodes.conf anew with each change, also where somebody had deleted it.
  node.confOnDisk = true
}

/** What this node says of itself changed. */
export function noteClaim(node: MemoryNode): void {
  confOf(node).claim++
  noteKnowledge(node)
}

export function noteMembers(node: MemoryNode): void {
  confOf(node).members++
  noteKnowledge(node)
}

/** The nodes.conf of a node that runs. */
export function confOf(node: MemoryNode): Conf {
  if (node.conf === null) throw new Error(`${node.place.id} has no nodes.conf`)
  return node.conf
}

/** Whether the engine gets CPU time and spends it on its event loop. */
export function isAwake(process: Process, now: number): boolean {
  return process.phase === 'serving' && !process.stopped && !process.stalled && process.busyUntil <= now
}

export const isServing = (node: MemoryNode, now: number): boolean => node.process !== null && isAwake(node.process, now)

/** Whether their machines have a connection. */
export const isConnected = (one: MemoryNode, other: MemoryNode): boolean =>
  !one.weather.isolated && !other.weather.isolated && !one.weather.parted.has(other.place.host)

/** Whether a packet on the cluster bus gets from one to the other and is read there. */
export function busReaches(from: MemoryNode, to: MemoryNode, now: number): boolean {
  return isServing(to, now) && isConnected(from, to)
}

export const ownsSlots = (node: MemoryNode): boolean =>
  node.conf !== null && node.conf.role === 'primary' && node.conf.slots.length > 0

/** `CLUSTER NODES` of this node. Kept until it changes: a look is far more frequent than a change. */
export function viewOf(node: MemoryNode): ClusterView {
  const conf = confOf(node)
  if (conf.seen !== null) return conf.seen
  const primary = conf.follows === null ? undefined : conf.peers.get(conf.follows)
  const entries: ViewEntry[] = [
    {
      engineId: conf.id,
      address: node.place.address,
      port: node.place.port,
      role: conf.role,
      follows: conf.follows,
      health: 'ok',
      handshake: false,
      linked: true,
      // A replica shows its primary's epoch, as the engine prints it.
      configEpoch: conf.role === 'replica' ? (primary?.configEpoch ?? conf.configEpoch) : conf.configEpoch,
      slots: conf.slots,
    },
  ]
  for (const peer of conf.peers.values()) {
    const followed = peer.follows === conf.id ? conf : peer.follows === null ? undefined : conf.peers.get(peer.follows)
    entries.push({
      engineId: peer.id,
      address: peer.address,
      port: peer.port,
      role: peer.handshakeSince === null ? peer.role : 'unknown',
      follows: peer.follows,
      health: peer.health,
      handshake: peer.handshakeSince !== null,
      linked: peer.linked,
      configEpoch: peer.role === 'replica' ? (followed?.configEpoch ?? peer.configEpoch) : peer.configEpoch,
      slots: peer.slots,
    })
  }
  conf.seen = { me: conf.id, entries, open: conf.open }
  return conf.seen
}
