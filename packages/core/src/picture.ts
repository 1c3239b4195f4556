import type { HostPicture } from './away.ts'
import { readHosts } from './away.ts'
import type { ShelfSeen } from './backup/job.ts'
import type { NodePlace, ProxyPlace } from './document.ts'
import { placeProxy, shardsOf } from './document.ts'
import type { Life } from './life.ts'
import { isGone, judgeLife } from './life.ts'
import type {
  AgentNodeSeen,
  AgentProxySeen,
  ClusterView,
  EngineFacts,
  NodeSeen,
  Observed,
  ProxyFacts,
  ReplicaLink,
} from './observed.ts'
import type { Claim } from './ownership.ts'
import { slotOwners } from './ownership.ts'
import { memoryOnlyOf } from './persist-on.ts'
import { announcedBy } from './placement/hosting.ts'
import type { SentinelPicture } from './sentinel-picture.ts'
import { primaryAmong, readSentinel } from './sentinel-picture.ts'
import type { SlotRange } from './slots.ts'
import { countSlots, normalizeSlots, slotCountTotal, subtractSlots } from './slots.ts'
import type { Spec } from './spec.ts'

/** The observed facts, read once for all rules: who lives, who owns what, who is whose. */
export interface Picture {
  readonly topology: Spec['topology']
  readonly at: number
  readonly nodes: readonly NodePicture[]
  /** Those that go for good: of no shard any more, and of no interest to any rule but `planRetire`. */
  readonly leaving: readonly NodePicture[]
  /** Those that follow a replica: of no shard either, so that nobody promotes them or counts on them. */
  readonly chained: readonly NodePicture[]
  /** Those that stand by. */
  readonly spares: readonly NodePicture[]
  readonly shards: readonly ShardPicture[]
  /** The ids of those that shall write nothing to their disk now (`persistOn`). */
  readonly memoryOnly: ReadonlySet<string>
  /** With topology `sentinel`; else none. */
  readonly sentinels: readonly SentinelPicture[]
  /** Null where none is wanted, and none is left of earlier. */
  readonly proxy: ProxyPicture | null
  /** By their ids; none where the deployment is on one machine alone. */
  readonly hosts: ReadonlyMap<string, HostPicture>
  readonly shelf: ShelfSeen
  readonly views: readonly ClusterView[]
  readonly owners: readonly Claim[]
  /** Slots that nobody owns. Known only where somebody answers. */
  readonly unowned: readonly SlotRange[]
  /** Slots that an agent moves at this moment: their two engines do not speak of them at the same time. */
  readonly moving: readonly SlotRange[]
}

export interface ProxyPicture {
  /** Where it shall listen; null: it shall go. */
  readonly place: ProxyPlace | null
  readonly life: Life
  readonly gone: boolean
  /** Null unless it answers. */
  readonly facts: ProxyFacts | null
  readonly agent: AgentProxySeen | null
}

export interface NodePicture {
  readonly id: string
  readonly shard: string
  readonly place: NodePlace
  readonly life: Life
  readonly gone: boolean
  /** Null unless it answers. */
  readonly facts: EngineFacts | null
  readonly agent: AgentNodeSeen | null
  readonly seen: NodeSeen
  /** As others in a Cluster may call it: by its own address, and by the one that its host announces. */
  readonly calledAt: ReadonlySet<string>
  /**
   * In a Cluster the engine's own id: as it says, else as its files or its agent's record say. Elsewhere its address,
   * which is all that engines and Sentinels know one another by.
   */
  readonly engineId: string | null
  /** The same of the primary that it follows, by its own word; null for a primary and for one that does not answer. */
  readonly follows: string | null
}

export interface ShardPicture {
  readonly id: string
  /** Its place in the layout, from 0. */
  readonly index: number
  readonly nodes: readonly NodePicture[]
  /** The node that owns its slots, alive or not; null where no owner is known. Without slots: whom the others shall follow. */
  readonly primary: NodePicture | null
  /**
   * An engine id that owns slots, that none of our nodes has any more, and that a living node of this shard follows:
   * its directory was wiped and its place taken by another identity. It cannot come back.
   */
  readonly ghost: string | null
  readonly slots: readonly SlotRange[]
  /** Whether any of its copies ever owned slots: from then on an empty engine must not become its primary. */
  readonly born: boolean
  /**
   * It has no slot, and shall have none: it has just come, or is about to go, and all slots are with other shards. So it has
   * nothing that could be lost, no vote, and nobody takes over from its primary. Absent: it has slots, or has lost them.
   */
  readonly slotless?: true
}

/**
 * Reads the facts once. The layout decides which nodes there are; facts about others are ignored. `idOf` answers the
 * engine id of a node that neither answers nor has an agent, where somebody else knows it.
 */
export function readPicture(
  layout: readonly NodePlace[],
  observed: Observed,
  spec: Spec,
  idOf: (place: NodePlace) => string | null = () => null,
): Picture {
  const seenById = new Map(observed.nodes.map((node) => [node.id, node]))
  const known = layout.map((place) =>
    readNode(place, seenById.get(place.id) ?? unseen(place), { layout, spec, now: observed.at, idOf }),
  )
  const isSpread = spec.topology === 'cluster' && observed.hosts !== undefined
  const all = isSpread ? identifiedByOthers(known) : known
  if (spec.topology !== 'cluster') return readUnclustered(all, observed, spec)
  const { owners, unowned } = slotOwners(viewsOf(all))
  const { nodes, leaving, chained, spares } = parted(all, (node) =>
    owners.some((claim) => claim.engineId === node.engineId),
  )
  const views = viewsOf(nodes)
  const moving = movingSlots(all)
  const lost = subtractSlots(unowned, moving)
  const ours = new Set(nodes.map((node) => node.engineId))
  const identified = nodes.every(isIdentified)
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const shards = shardsOf(nodes.map(({ place }) => place)).map(({ id, nodes: places }, index): ShardPicture => {
    const members = places.map((place) => byId.get(place.id) as NodePicture)
    if (isSlotless(members, nodes, owners, lost)) return slotlessShard(id, index, members)
    const held = owners.filter((claim) => members.some((node) => node.engineId === claim.engineId))
    const main = [...held].sort((a, b) => countSlots(b.slots) - countSlots(a.slots) || b.epoch - a.epoch)[0]
    return {
      id,
      index,
      nodes: members,
      primary: main === undefined ? null : (members.find((node) => node.engineId === main.engineId) ?? null),
      ghost: main === undefined && identified ? ghostOf(members, owners, ours) : null,
      slots: normalizeSlots(held.flatMap((claim) => claim.slots)),
      born: held.length > 0 || members.some(hasOwnedSlots),
    }
  })
  return {
    topology: spec.topology,
    at: observed.at,
    nodes,
    leaving,
    chained,
    spares,
    shards,
    memoryOnly: memoryOnlyOf(shards, spec),
    sentinels: [],
    proxy: null,
    hosts: readHosts(observed, spec.timeouts.leaseAfter),
    shelf: observed.shelf ?? noShelf,
    views,
    owners,
    unowned: lost,
    moving,
  }
}

const movingSlots = (nodes: readonly NodePicture[]): SlotRange[] =>
  normalizeSlots(
    nodes.flatMap(({ agent }) =>
      (agent?.jobs ?? []).flatMap((job) => (job.state === 'running' ? (job.slots ?? []) : [])),
    ),
  )

/** By intent, and by what is seen: every slot is owned, by somebody known of another shard. */
const isSlotless = (
  members: readonly NodePicture[],
  nodes: readonly NodePicture[],
  owners: readonly Claim[],
  lost: readonly SlotRange[],
): boolean =>
  members.some(({ place }) => place.slotless === true) &&
  lost.length === 0 &&
  owners.every(({ engineId }) => nodes.some((node) => node.engineId === engineId && !members.includes(node)))

function slotlessShard(id: string, index: number, members: readonly NodePicture[]): ShardPicture {
  const primary = firstOf(members)
  return { id, index, nodes: members, primary, ghost: null, slots: [], born: false, slotless: true }
}

/**
 * Whom the others of a shard without slots shall follow: who says to be a primary, and of several whom others follow
 * already. Where none of them says so, who was one when it was last seen; else the first of the layout.
 */
function firstOf(members: readonly NodePicture[]): NodePicture | null {
  const rankOf = (node: NodePicture): number => {
    const { facts, agent } = node
    const followers = members.filter((other) => other.follows !== null && other.follows === node.engineId).length
    if (facts !== null) return facts.role === 'primary' ? 2 * members.length + followers : 0
    return followers + (agent?.record?.role === 'primary' ? members.length : 0)
  }
  return [...members].sort((a, b) => rankOf(b) - rankOf(a))[0] ?? null
}

const noShelf: ShelfSeen = { at: null, jobs: [] }

/** Without a Cluster there is one shard, and it has every slot; nobody speaks of slots at all. */
function readUnclustered(all: readonly NodePicture[], observed: Observed, spec: Spec): Picture {
  const sentinels = (observed.sentinels ?? []).map((seen) => readSentinel(seen, spec, observed.at))
  const primary =
    spec.topology === 'sentinel'
      ? primaryAmong(
          all.filter((node) => !isSpare(node) && node.place.chained !== true),
          sentinels,
        )
      : (all[0] ?? null)
  const { nodes, leaving, chained, spares } = parted(all, (node) => node === primary)
  const shards = shardsOf(nodes.map(({ place }) => place)).map(({ id }, index): ShardPicture => {
    const born = nodes.some(({ agent }) => agent?.record != null)
    return { id, index, nodes, primary, ghost: null, slots: allSlots, born }
  })
  const proxy = readProxy(observed, spec)
  return {
    topology: spec.topology,
    at: observed.at,
    nodes,
    leaving,
    chained,
    spares,
    shards,
    memoryOnly: memoryOnlyOf(shards, spec),
    sentinels,
    proxy,
    hosts: readHosts(observed, spec.timeouts.leaseAfter),
    shelf: observed.shelf ?? noShelf,
    views: [],
    owners: [],
    unowned: [],
    moving: [],
  }
}

function readProxy({ proxy, at }: Observed, spec: Spec): ProxyPicture | null {
  if (proxy === undefined) return null
  const { agent } = proxy
  const life = judgeLife({ engine: agent?.answer ?? { kind: 'unknown' }, agent }, spec.timeouts.frozenAfter, at)
  const facts = life === 'alive' && agent?.answer.kind === 'answered' ? agent.answer.facts : null
  return { place: placeProxy(spec), life, gone: isGone(life), facts, agent }
}

/**
 * Whoever was elected in the moment in which it was to go is the shard's primary, and stays until it has handed over; and
 * so does a durable copy that may be the only one with a write (`plan/part.ts`).
 */
function parted(
  all: readonly NodePicture[],
  isPrimary: (node: NodePicture) => boolean,
): Pick<Picture, 'nodes' | 'leaving' | 'chained' | 'spares'> {
  const leaving = all
    .filter(({ place }) => place.leaving !== undefined && place.leaving.owes === undefined)
    .filter((node) => !isPrimary(node))
  const chained = all.filter((node) => node.place.chained === true && !leaving.includes(node))
  const nodes = all.filter((node) => !leaving.includes(node) && !chained.includes(node) && !isSpare(node))
  return { nodes, leaving, chained, spares: all.filter(isSpare) }
}

/** All that have the data of a shard, or shall have it. */
export const everyCopy = ({ nodes, chained }: Pick<Picture, 'nodes' | 'chained'>): readonly NodePicture[] =>
  chained.length === 0 ? nodes : [...nodes, ...chained]

/**
 * The host of a node whose write lease is over: nothing that the node acknowledges counts any more, though nobody has
 * proof that it is dead. Null while it may still write, for all that is known.
 */
export function lostHostOf({ life, place }: NodePicture, { hosts }: Pick<Picture, 'hosts'>): LostHost | null {
  const host = hosts.get(place.host)
  if (life !== 'away' || host === undefined || host.leaseOverAt === null) return null
  return { ...host, leaseOverAt: host.leaseOverAt }
}

export type LostHost = HostPicture & { readonly leaseOverAt: number }

const isSpare = ({ place }: NodePicture): boolean => place.spare === true && place.leaving === undefined

const viewsOf = (nodes: readonly NodePicture[]): ClusterView[] =>
  nodes.flatMap((node) => (node.facts === null ? [] : [node.facts.view]))

const allSlots: readonly SlotRange[] = [[0, slotCountTotal - 1]]

/**
 * One that neither answers nor has an agent is whom all others that answer know at its address; nobody, where they do not
 * agree, or where one of ours is that already.
 */
function identifiedByOthers(nodes: readonly NodePicture[]): NodePicture[] {
  const entries = viewsOf(nodes).flatMap((view) => view.entries)
  const taken = new Set(nodes.map(({ engineId }) => engineId))
  return nodes.map((node) => {
    if (node.engineId !== null || node.life !== 'away') return node
    const ids = new Set(
      entries
        .filter((entry) => !entry.handshake && node.calledAt.has(addressOf(entry)))
        .map(({ engineId }) => engineId),
    )
    const [engineId, ...more] = ids
    return engineId === undefined || more.length > 0 || taken.has(engineId) ? node : { ...node, engineId }
  })
}

interface Reading {
  readonly layout: readonly NodePlace[]
  readonly spec: Spec
  readonly now: number
  readonly idOf: (place: NodePlace) => string | null
}

function callsOf(place: NodePlace, layout: readonly NodePlace[], spec: Spec): ReadonlySet<string> {
  const told = announcedBy(place, layout, spec)
  const own = addressOf(place)
  return new Set(told === null ? [own] : [own, addressOf({ address: told.ip, port: told.port ?? place.port })])
}

function readNode(place: NodePlace, seen: NodeSeen, { layout, spec, now, idOf }: Reading): NodePicture {
  const life = judgeLife(seen, spec.timeouts.frozenAfter, now)
  const facts = life === 'alive' && seen.engine.kind === 'answered' ? seen.engine.facts : null
  const { agent } = seen
  const isCluster = spec.topology === 'cluster'
  const known = facts?.engineId ?? agent?.files.claim?.engineId ?? agent?.record?.engineId ?? idOf(place)
  const engineId = isCluster ? known : addressOf(place)
  return {
    id: place.id,
    shard: place.shard,
    place,
    life,
    gone: isGone(life),
    facts,
    agent,
    seen,
    calledAt: callsOf(place, layout, spec),
    engineId,
    follows: isCluster
      ? (facts?.view.entries.find((entry) => entry.engineId === engineId)?.follows ?? null)
      : followedBy(facts),
  }
}

function followedBy(facts: EngineFacts | null): string | null {
  if (facts?.link == null) return null
  return addressOf({ address: facts.link.primaryAddress, port: facts.link.primaryPort })
}

/** Only one that was started with its file alone, and not by its agent, does so. */
export const followsItself = (
  { address, port }: Pick<NodePlace, 'address' | 'port'>,
  link: ReplicaLink | null | undefined,
): boolean => link?.primaryAddress === address && link.primaryPort === port

export const addressOf = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  `${address}:${port}`

function ghostOf(
  members: readonly NodePicture[],
  owners: readonly Claim[],
  ours: ReadonlySet<string | null>,
): string | null {
  const followed = members.flatMap((node) => primaryIdOf(node) ?? [])
  return followed.find((id) => !ours.has(id) && owners.some((claim) => claim.engineId === id)) ?? null
}

/** The engine id of the primary that a node follows, by its own word. */
export const primaryIdOf = (node: NodePicture): string | null => node.follows

/** Whether its engine id is known, or known not to exist. One that nobody heard may be anybody. */
export const isIdentified = (node: NodePicture): boolean =>
  node.facts !== null || (node.agent !== null && (node.gone || node.engineId !== null))

const hasOwnedSlots = (node: NodePicture): boolean => node.agent?.record?.ownedSlots === true

const unseen = (place: NodePlace): NodeSeen => ({ ...place, engine: { kind: 'unknown' }, agent: null })
