/**
 * Which shards go when there shall be fewer. A shard goes as a whole, its primary and its copies, whoever of them is the
 * primary today; and what it has goes to all that stay, none of whom goes next.
 */
import { HoldfastError } from '../error.ts'
import { judgePlacement } from '../placement/judge.ts'
import type { Room, Seat, Spread } from '../placement/spread.ts'
import type { ShardLoad } from './projection.ts'
import { byShardId } from './targets.ts'

/** With fewer, those left after the loss of one have no majority, and elect nobody. */
const primariesMin = 3

/** Where all copies are. */
export interface Placed {
  readonly seats: readonly Seat[]
  readonly rooms: readonly Room[]
  readonly spread: Spread
}

export interface Victims {
  readonly going: readonly string[]
  /** What is worse for the loss of a host or a zone once they are gone, in words. */
  readonly troubles: readonly string[]
}

/**
 * Those whose going harms the placement least, then those with the fewest bytes, then the last ones. Throws REFUSED_UNSAFE
 * where fewer than three primaries would be left.
 */
export function chooseVictims(
  shards: readonly Pick<ShardLoad, 'id' | 'usedBytes'>[],
  count: number,
  placed: Placed,
): Victims {
  const left = shards.length - count
  if (left < primariesMin) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${left} of ${shards.length} shards would be left: a cluster needs ${primariesMin} primaries, or the loss of one leaves nobody who could elect another. Want ${primariesMin} shards or more.`,
      { shards: shards.length, going: count },
    )
  }
  const before = troublesWithout([], placed)
  let going: string[] = []
  for (let index = 0; index < count; index++) {
    const candidates = shards
      .filter(({ id }) => !going.includes(id))
      .map(({ id, usedBytes }) => {
        const troubles = troublesWithout([...going, id], placed).filter((one) => !before.includes(one))
        return { id, harm: troubles.length, bytes: usedBytes ?? Number.POSITIVE_INFINITY }
      })
    const best = candidates.reduce((least, one) => (goesBefore(one, least) ? one : least))
    going = [...going, best.id]
  }
  return { going, troubles: troublesWithout(going, placed).filter((one) => !before.includes(one)) }
}

interface Candidate {
  readonly id: string
  readonly harm: number
  readonly bytes: number
}

function goesBefore(one: Candidate, other: Candidate): boolean {
  if (one.harm !== other.harm) return one.harm < other.harm
  if (one.bytes !== other.bytes) return one.bytes < other.bytes
  return byShardId(one.id, other.id) > 0
}

function troublesWithout(going: readonly string[], { seats, rooms, spread }: Placed): string[] {
  const staying = seats.filter(({ shard }) => !going.includes(shard))
  return judgePlacement(staying, rooms, spread).map(({ because }) => because)
}
