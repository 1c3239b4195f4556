import type { Document, NodePlace, PlaceWish, Spec, Vacancy } from '@holdfast/core'
import { busPortOf, HoldfastError, localHostId, placeMore } from '@holdfast/core'
import { claimPort } from './host/engine-process.ts'

/**
 * Where one more node for each of these wishes can listen: where no other deployment does, nor anybody else now. Throws
 * HOST_PORT_IN_USE where there is no port left, and REFUSED_PLACEMENT where no host has room.
 */
export async function findPlaces(
  document: Document,
  spec: Spec,
  wishes: readonly PlaceWish[],
  { rooms, taken: others }: Vacancy,
): Promise<NodePlace[]> {
  const taken = new Set(others)
  for (;;) {
    const places = placeMore(document, spec, wishes, (port) => taken.has(port), rooms)
    const occupied = await firstOccupied(places, spec)
    if (occupied === undefined) return places
    taken.add(occupied.port)
  }
}

async function firstOccupied(places: readonly NodePlace[], { topology }: Spec): Promise<NodePlace | undefined> {
  for (const place of places.filter(({ host }) => host === localHostId)) {
    try {
      const ports = topology === 'cluster' ? [place.port, busPortOf(place.port)] : [place.port]
      for (const port of ports) await claimPort(place.address, port, place.id)
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'HOST_PORT_IN_USE') return place
      throw error
    }
  }
  return undefined
}
