/**
 * Which host each copy of each shard goes to, so that the loss of any one host, or of any one zone, costs as little as it
 * can: no two copies of a shard on one host, nor in one zone where there are two, and no host and no zone with so many
 * primaries that those left could not vote, where there are three.
 */

/** A machine that engines can be put on. */
export interface Room {
  readonly host: string
  /** Empty: it has none of its own, and counts as a zone by itself. */
  readonly zone: string
  /** How many more engines it has memory for; Infinity where that is not known. */
  readonly free: number
  /** Why it takes no more than that, in words. Absent: nothing is known of it. */
  readonly full?: string
}

/** A copy that is on a host, or shall be. */
export interface Seat {
  readonly id: string
  /** Empty: of none, as a spare. */
  readonly shard: string
  readonly host: string
  readonly isPrimary: boolean
}

export type Spread = 'zone' | 'host' | 'none'

/** A copy that has no host yet. */
export type Unseated = Omit<Seat, 'host'>

/**
 * A host for each of these, in their order; those that sit stay. Null for one that no host is left for: full, or all
 * that have room hold a copy of its shard.
 */
export function seat(
  coming: readonly Unseated[],
  seated: readonly Seat[],
  rooms: readonly Room[],
  spread: Spread,
): (Seat | null)[] {
  const table = [...seated]
  const free = new Map(rooms.map((room) => [room.host, room.free]))
  const order = alternate(rooms)
  return coming.map((one) => {
    const open = order.filter(
      ({ host }) =>
        (free.get(host) ?? 0) > 0 && (spread === 'none' || one.shard === '' || !sits(table, one.shard, host)),
    )
    const best = least(open, (room) => costOf(one, room, { table, rooms: order, spread }))
    if (best === undefined) return null
    const placed = { ...one, host: best.host }
    table.push(placed)
    free.set(best.host, (free.get(best.host) ?? 0) - 1)
    return placed
  })
}

/** One zone after the other, so that neighbours in this order are far from each other. */
export function alternate(rooms: readonly Room[]): Room[] {
  const zones = new Map<string, Room[]>()
  for (const room of rooms) zones.set(zoneOf(room), [...(zones.get(zoneOf(room)) ?? []), room])
  const longest = Math.max(0, ...[...zones.values()].map(({ length }) => length))
  return Array.from({ length: longest }, (_, rank) => [...zones.values()].flatMap((zone) => zone[rank] ?? [])).flat()
}

export const zoneOf = ({ host, zone }: Room): string => (zone === '' ? `host ${host}` : zone)

const sits = (table: readonly Seat[], shard: string, host: string): boolean =>
  table.some((other) => other.shard === shard && other.host === host)

interface Around {
  readonly table: readonly Seat[]
  readonly rooms: readonly Room[]
  readonly spread: Spread
}

/** What speaks against a host, the weightiest first: compared one by one, the smallest wins. */
function costOf(one: Unseated, room: Room, { table, rooms, spread }: Around): number[] {
  const zones = new Map(rooms.map((other) => [other.host, zoneOf(other)]))
  const isNear = ({ host }: Seat): boolean => zones.get(host) === zoneOf(room)
  const siblings = table.filter((other) => one.shard !== '' && other.shard === one.shard)
  const primaries = table.filter(({ isPrimary }) => isPrimary)
  const here = table.filter(({ host }) => host === room.host)
  const main = siblings.find(({ isPrimary }) => isPrimary)
  // Whose primary dies with a host should not all be taken over on one other.
  const pairs = main === undefined ? [] : here.filter(({ shard }) => heldBy(table, shard) === main.host)
  const around = (names: readonly string[], of: (host: string) => string | undefined): number =>
    main === undefined ? 0 : stepsTo(of(room.host) ?? '', of(main.host) ?? '', names)
  return [
    spread === 'zone' ? siblings.filter(isNear).length : 0,
    one.isPrimary ? primaries.filter(isNear).length : 0,
    one.isPrimary ? primaries.filter(({ host }) => host === room.host).length : 0,
    // A host with twice the room takes twice as many.
    (here.length + 1) / (here.length + (Number.isFinite(room.free) ? Math.max(1, room.free) : 1e9)),
    here.length,
    pairs.length,
    // The next zone around, and the next host: so the last copy does not find room beside its own primary alone.
    around([...new Set(zones.values())], (name) => zones.get(name)),
    around([...zones.keys()], (name) => name),
  ]
}

const stepsTo = (to: string, from: string, ring: readonly string[]): number =>
  (ring.indexOf(to) - ring.indexOf(from) + ring.length) % ring.length

const heldBy = (table: readonly Seat[], shard: string): string | undefined =>
  table.find((other) => other.shard === shard && other.isPrimary)?.host

function least<T>(list: readonly T[], cost: (one: T) => number[]): T | undefined {
  return list
    .map((one) => ({ one, cost: cost(one) }))
    .reduce<{ one: T; cost: number[] } | undefined>(
      (best, next) => (best === undefined || isLess(next.cost, best.cost) ? next : best),
      undefined,
    )?.one
}

function isLess(one: readonly number[], other: readonly number[]): boolean {
  const index = one.findIndex((value, at) => value !== other[at])
  return index !== -1 && (one[index] ?? 0) < (other[index] ?? 0)
}
