/** Which host each node, Sentinel and proxy of a spec goes to, and the address that it has there. */
import type { NodePlace, PlaceWish } from '../document.ts'
import { HoldfastError } from '../error.ts'
import type { Spec } from '../spec.ts'
import { judgePlacement } from './judge.ts'
import type { Room, Seat, Spread, Unseated } from './spread.ts'
import { seat } from './spread.ts'

/** The id of the one machine that a spec without hosts means. */
export const localHostId = 'local'

/** Where something is: a machine, and its address there. */
export interface Hosting {
  readonly host: string
  readonly address: string
}

/** The machines of a deployment, with an address and a zone each; this one alone where the spec names none. */
export function hostsOf({
  hosts,
  expose,
}: Spec): (Hosting & { readonly zone: string; readonly tiebreaker: boolean })[] {
  if (hosts.length === 0) return [{ host: localHostId, address: expose.bind, zone: '', tiebreaker: false }]
  return hosts.map(({ name, address, zone = '', tiebreaker }) => ({ host: name, address, zone, tiebreaker }))
}

/** Its host is none of the spec's any more: what is there moves to others. */
export const isTakenOff = ({ host }: Pick<NodePlace, 'host'>, { hosts }: Pick<Spec, 'hosts'>): boolean =>
  hosts.length > 0 && !hosts.some(({ name }) => name === host)

/** Where data may go. `free`: how many more engines fit on each; without it, nothing is known of their sizes. */
export const roomsOf = (spec: Spec, free: ReadonlyMap<string, number> = new Map()): Room[] =>
  hostsOf(spec)
    .filter(({ tiebreaker }) => !tiebreaker)
    .map(({ host, zone }) => ({ host, zone, free: free.get(host) ?? Number.POSITIVE_INFINITY }))

/** One machine has nothing to spread over. */
export const spreadOf = ({ hosts, placement }: Spec): Spread => (hosts.length < 2 ? 'none' : placement.spread)

/**
 * A host for each of these nodes, in their order. Throws REFUSED_PLACEMENT where one of them has none: all that have
 * room hold a copy of its shard already.
 */
export function hostNodes(
  coming: readonly ({ readonly id: string } & PlaceWish)[],
  placed: readonly NodePlace[],
  spec: Spec,
  rooms: readonly Room[] = roomsOf(spec),
): Hosting[] {
  const seated = withFirst(placed).map((one, index): Seat => ({ ...one, host: placed[index]?.host ?? '' }))
  const unseated = withFirst([...placed, ...coming]).slice(placed.length)
  const hosts = hostsOf(spec)
  const found = seat(unseated, seated, rooms, spreadOf(spec))
  return found.map((one, index) => {
    const hosting = hosts.find(({ host }) => host === one?.host)
    if (hosting !== undefined) return { host: hosting.host, address: hosting.address }
    throw noHostFor(coming[index] ?? { id: '', shard: '' }, [...seated, ...found], spec, rooms)
  })
}

function noHostFor(
  { id, shard }: { readonly id: string } & PlaceWish,
  seats: readonly (Seat | null)[],
  spec: Spec,
  rooms: readonly Room[],
): HoldfastError {
  const holds = (host: string): boolean =>
    shard !== '' && spreadOf(spec) !== 'none' && seats.some((one) => one?.shard === shard && one.host === host)
  const why = rooms.map(({ host, full }) => (holds(host) ? `${host} holds a copy of it` : (full ?? `${host} is full`)))
  const of = shard === '' ? '' : ` of ${shard}`
  return new HoldfastError(
    'REFUSED_PLACEMENT',
    `there is no host for ${id}${of}: ${why.join('; ')}. Add a host, or want fewer copies or smaller ones.`,
    { node: id, shard, hosts: rooms.map(({ host }) => host) },
  )
}

/** A host for each Sentinel: spread over all there are, also over those without data. */
export function hostSentinels(ids: readonly string[], spec: Spec): Hosting[] {
  const hosts = hostsOf(spec)
  const rooms = hosts.map(({ host, zone }) => ({ host, zone, free: Number.POSITIVE_INFINITY }))
  const unseated = ids.map((id): Unseated => ({ id, shard: 'sentinels', isPrimary: false }))
  return seat(unseated, [], rooms, spreadOf(spec)).map((found, index) => {
    const { host, address } = hosts.find((one) => one.host === found?.host) ??
      hosts[index % hosts.length] ?? { host: localHostId, address: '' }
    return { host, address }
  })
}

/** What the node of a host is called by others; null where there is one host, and nothing to be told apart. */
export interface Announced {
  readonly ip: string
  readonly hostname: string | null
  /** Null: its own. */
  readonly port: number | null
}

/** Always said where there are several hosts: by the connection alone, an engine would guess one of the addresses that its machine has. */
export function announcedBy(node: NodePlace, nodes: readonly NodePlace[], { hosts }: Spec): Announced | null {
  if (hosts.length === 0) return null
  const { announce } = hosts.find(({ name }) => name === node.host) ?? {}
  const { ip = node.address, hostname = null, ports = [] } = announce ?? {}
  const rank = nodes.filter((other) => other.host === node.host).findIndex(({ id }) => id === node.id)
  return { ip, hostname, port: ports[rank] ?? null }
}

/** The one proxy is where the first data is. */
export function hostProxy(spec: Spec): Hosting {
  const { host, address } = hostsOf(spec).find(({ tiebreaker }) => !tiebreaker) as Hosting
  return { host, address }
}

/** What the loss of one host or zone would cost more than it must, in words: for a layout, before anything starts. */
export const misplacedIn = (nodes: readonly NodePlace[], spec: Spec): string[] =>
  judgePlacement(
    withFirst(nodes).map((one, index): Seat => ({ ...one, host: nodes[index]?.host ?? '' })),
    roomsOf(spec),
    spreadOf(spec),
  ).map(({ because }) => because)

/** Whoever is first of its shard begins as its primary. What is chained is a copy, and no more. */
function withFirst(nodes: readonly ({ readonly id: string } & PlaceWish)[]): Unseated[] {
  const begun = new Set<string>()
  return nodes.map(({ id, shard, chained }) => {
    const isPrimary = shard !== '' && chained !== true && !begun.has(shard)
    if (isPrimary) begun.add(shard)
    return { id, shard, isPrimary }
  })
}
