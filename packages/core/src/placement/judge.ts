/** What is wrong with where copies are, in words: said before anything starts, and looked at after every failover. */
import type { Room, Seat, Spread } from './spread.ts'
import { zoneOf } from './spread.ts'

export interface Misplaced {
  /** `copies`: two of a shard fall together. `votes`: too many primaries do, and those left could not elect. */
  readonly kind: 'copies' | 'votes'
  readonly because: string
  /** The shards that are about it. */
  readonly shards: readonly string[]
}

/** Nothing is asked that cannot be: of one host neither is, and of two nobody can lose the half of the votes. */
export function judgePlacement(seats: readonly Seat[], rooms: readonly Room[], spread: Spread): Misplaced[] {
  if (spread === 'none') return []
  const zones = new Map(rooms.map((room) => [room.host, zoneOf(room)]))
  const byHost: Area = { what: 'host', of: ({ host }) => host, count: rooms.length }
  const byZone: Area = {
    what: 'zone',
    of: ({ host }) => zones.get(host) ?? host,
    count: new Set(zones.values()).size,
  }
  const areas = spread === 'zone' ? [byHost, byZone] : [byHost]
  const found = areas.flatMap((area) => [
    ...(area.count < 2 ? [] : together(seats, area)),
    ...(area.count < 3 ? [] : tooManyVotes(seats, area)),
  ])
  // What is wrong by host is wrong by its zone as well, and said once.
  return found.filter((one, index) => !found.slice(0, index).some((other) => sameTrouble(one, other)))
}

/** Of hosts or of zones: what fails together. */
interface Area {
  readonly what: 'host' | 'zone'
  readonly of: (one: Seat) => string
  readonly count: number
}

function together(seats: readonly Seat[], { what, of, count }: Area): Misplaced[] {
  const shards = groups(
    seats.filter(({ shard }) => shard !== ''),
    ({ shard }) => shard,
  )
  return [...shards].flatMap(([shard, copies]) => {
    const atMost = Math.ceil(copies.length / count)
    return [...groups(copies, of)]
      .filter(([, near]) => near.length > atMost)
      .map(([area, near]): Misplaced => {
        const ids = near.map(({ id }) => id).join(', ')
        const all = near.length === copies.length ? 'all copies' : `${near.length} of ${copies.length} copies`
        return { kind: 'copies', because: `${all} of ${shard} (${ids}) are in one ${what}, ${area}`, shards: [shard] }
      })
  })
}

/** A majority of the primaries elects: as many have to be left. */
export const primariesAtMost = (shards: number): number => Math.ceil(shards / 2) - 1

function tooManyVotes(seats: readonly Seat[], { what, of }: Area): Misplaced[] {
  const primaries = seats.filter(({ isPrimary }) => isPrimary)
  const atMost = primariesAtMost(primaries.length)
  return [...groups(primaries, of)]
    .filter(([, near]) => near.length > Math.max(1, atMost))
    .map(([area, near]) => ({
      kind: 'votes',
      because: `${near.length} of ${primaries.length} primaries are in one ${what}, ${area}: with it those left could not elect another`,
      shards: near.map(({ shard }) => shard),
    }))
}

function groups<T>(list: readonly T[], of: (one: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>()
  for (const one of list) found.set(of(one), [...(found.get(of(one)) ?? []), one])
  return found
}

const sameTrouble = (one: Misplaced, other: Misplaced): boolean =>
  one.kind === other.kind && one.shards.join() === other.shards.join()
