import type { Certificates } from './certificates.ts'
import type { Operation } from './operation.ts'
import type { Hosting } from './placement/hosting.ts'
import { hostNodes, hostProxy, hostSentinels } from './placement/hosting.ts'
import type { Room } from './placement/spread.ts'
import type { Spec, SpecText } from './spec.ts'
import { copiesOfShard, engineCountOf, proxyPorts } from './spec.ts'

/** One engine process that the deployment should have. Its id never changes; the engine's own id may. */
export interface NodePlace {
  readonly id: string
  /** Empty: of none, as a spare. */
  readonly shard: string
  readonly host: string
  readonly address: string
  readonly port: number
  /** Shall hold no primary, as far as another copy can: before work on it, for instance. Absent: it may. */
  readonly drained?: boolean
  /** It is here for this operation alone, by its id, and leaves once that is over. Absent: it stays. */
  readonly lentTo?: string
  /** It stands by: it runs, empty and alone, until it takes the place of one that does not come back. Absent: it does not. */
  readonly spare?: boolean
  /** It follows a replica of its shard in place of the primary, and is never promoted. Absent: it does not. */
  readonly chained?: boolean
  /**
   * Its shard may be without slots, and is none the worse for it: it comes and has not got any yet, or goes and has given
   * all of them away. Absent: a shard that nobody owns a slot of has lost them.
   */
  readonly slotless?: boolean
  /** It goes for good. Absent: it stays. */
  readonly leaving?: Leaving
}

/** How a node goes: it is stopped, forgotten by all, watched for a while, and then its files are removed. */
export interface Leaving {
  readonly because: string
  /** Since when nobody knows it any more, ms since 1970; null: somebody still does. */
  readonly forgottenAt: number | null
  /** The same moment by a clock that nobody sets, and which one that is. Absent or of another boot: watched anew. */
  readonly watchedFrom?: { readonly at: number; readonly boot: string }
  /**
   * Class `durable`: what another copy must have of the stream before this one is of its shard no more, read once its
   * primary had lost it; null before. Absent: it owes nothing, and is of no shard.
   */
  readonly owes?: { readonly replid: string; readonly offset: number } | null
}

/** A place as it is from now on; null: there is no such place any more. */
export interface PlaceChange {
  readonly id: string
  readonly place: NodePlace | null
}

/** One Sentinel process that the deployment should have. */
export interface SentinelPlace {
  readonly id: string
  readonly host: string
  readonly address: string
  readonly port: number
}

/** The one proxy that a deployment may have: where clients find the primary, and the replicas. */
export interface ProxyPlace {
  readonly id: string
  readonly host: string
  readonly address: string
  readonly port: number
  /** Null where there are no replicas. */
  readonly replicaPort: number | null
}

export type Wanted = 'up' | 'down'

/** Nobody but people acts meanwhile: the controller looks and tells. */
export interface Pause {
  readonly by: string
  /** Wall clock, ms since 1970. */
  readonly at: number
  /** When it ends by itself; null: when somebody resumes. */
  readonly until: number | null
  readonly because: string
}

/** Somebody has accepted that a shard takes writes which no copy has. */
export interface Degradation {
  readonly by: string
  /** Wall clock, ms since 1970. */
  readonly at: number
  readonly because: string
}

/**
 * All that is kept of one deployment, saved as a whole by compare-and-set on `revision`. What is wanted, never what
 * was seen, with one exception: `settledRevision` remembers that it once was as wanted.
 */
export interface Document {
  readonly apiVersion: 1
  readonly name: string
  /** Rises with every save. */
  readonly revision: number
  /** Rises with every edit of the spec. */
  readonly specRevision: number
  /** The last spec revision that reached "as specified"; 0 before the first. */
  readonly settledRevision: number
  /** When it first was as specified, ms since 1970. Absent: not yet, or before this was written down. */
  readonly firstReadyAt?: number
  readonly spec: SpecText
  readonly wanted: Wanted
  readonly nodes: readonly NodePlace[]
  /** The highest number that a node was ever given: an id is never given again. Absent: that of `nodes`. */
  readonly lastNode?: number
  /** With topology `sentinel`. */
  readonly sentinels?: readonly SentinelPlace[]
  readonly operations: readonly Operation[]
  readonly scale: { readonly shards: number; readonly setBy: string }
  /** Sealed by the store's key: user name to password; and the private keys of `certificates`. */
  readonly secrets: Readonly<Record<string, string>>
  /** Where its engines speak TLS. */
  readonly certificates?: Certificates
  /** Set once by a person who accepts that a shard with no copy left starts empty. */
  readonly acceptDataLoss: boolean
  /** With `wanted: down`: once nothing runs any more, the data goes too, and then this document. */
  readonly purge: boolean
  /** Absent or null: the controller acts. */
  readonly paused?: Pause | null
  /** With durability `durable`: shards that take writes without a copy, by their ids. Absent: none. */
  readonly degraded?: Readonly<Record<string, Degradation>>
}

/** The pause in force at a time; null where none is. */
export function pauseAt({ paused }: Document, wallNow: number): Pause | null {
  return paused == null || (paused.until !== null && paused.until <= wallNow) ? null : paused
}

/** Where each node goes: the first copies of all shards first, so that ports read as people expect, then what is chained, and spares last. Throws REFUSED_PLACEMENT. */
export function layOut(spec: Spec, rooms?: readonly Room[]): NodePlace[] {
  const wishes: PlaceWish[] = []
  const copiesMax = Math.max(...Array.from({ length: spec.shards }, (_, i) => copiesOfShard(spec, i + 1)))
  for (let copy = 0; copy < copiesMax; copy++) {
    for (let shard = 1; shard <= spec.shards; shard++) {
      if (copy < copiesOfShard(spec, shard)) wishes.push({ shard: `shard-${shard}` })
    }
  }
  for (let index = 0; index < spec.chained; index++) wishes.push(chainedIn('shard-1'))
  for (let index = 0; index < spec.spares; index++) wishes.push(spareWish)
  const coming = wishes.map((wish, index) => ({ id: `node-${index + 1}`, ...wish }))
  const hosting = hostNodes(coming, [], spec, rooms)
  return wishes.map((wish, index) => placeNode(index + 1, wish, hosting[index] as Hosting, spec))
}

/** What a place is for. */
export type PlaceWish = Pick<NodePlace, 'shard' | 'spare' | 'chained'>

export const spareWish: PlaceWish = { shard: '', spare: true }
export const chainedIn = (shard: string): PlaceWish => ({ shard, chained: true })

/** Node n listens on `basePort` + n - 1, on whatever host it is: one rule of a firewall holds for all of them. */
export const placeNode = (
  number: number,
  wish: PlaceWish,
  { host, address }: Hosting,
  { expose: { basePort } }: Spec,
): NodePlace => ({ id: `node-${number}`, host, address, port: basePort + number - 1, ...wish })

/** Sentinels listen above the nodes' ports. */
export function placeSentinels(spec: Spec): SentinelPlace[] {
  const first = spec.expose.basePort + engineCountOf(spec)
  const count = spec.topology === 'sentinel' ? spec.sentinel.count : 0
  const ids = Array.from({ length: count }, (_, index) => `sentinel-${index + 1}`)
  return hostSentinels(ids, spec).map((hosting, index) => ({
    id: ids[index] as string,
    ...hosting,
    port: first + index,
  }))
}

export const proxyId = 'proxy'

/** Null where the spec wants none. */
export function placeProxy(spec: Spec): ProxyPlace | null {
  if (spec.expose.proxy === false) return null
  const { port, replicaPort } = proxyPorts(spec)
  const hasReplicas = spec.topology === 'sentinel'
  return { id: proxyId, ...hostProxy(spec), port, replicaPort: hasReplicas ? replicaPort : null }
}

/** The shards of a layout by their numbers, each with its nodes; spares are of none, and what is chained votes and counts nowhere. */
export function shardsOf(nodes: readonly NodePlace[]): { id: string; nodes: NodePlace[] }[] {
  const shards = new Map<string, NodePlace[]>()
  for (const node of nodes) {
    if (node.shard !== '' && node.chained !== true) shards.set(node.shard, [...(shards.get(node.shard) ?? []), node])
  }
  return [...shards]
    .map(([id, members]) => ({ id, nodes: members }))
    .sort((one, other) => numberIn(one.id) - numberIn(other.id))
}

/** `node-7` is 7. */
export const numberIn = (id: string): number => Number(id.slice(id.lastIndexOf('-') + 1))

/** A layout with these changes: what is new comes last. */
export function withPlaces(nodes: readonly NodePlace[], changes: readonly PlaceChange[]): readonly NodePlace[] {
  const byId = new Map<string, NodePlace | null>(nodes.map((node) => [node.id, node]))
  for (const { id, place } of changes) byId.set(id, place)
  return [...byId.values()].filter((place) => place !== null)
}

export const busPortOf = (port: number): number => port + 10_000
