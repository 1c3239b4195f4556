/** Where nodes go that come to a deployment which is there already. */
import type { Document, NodePlace, PlaceChange, PlaceWish } from './document.ts'
import { busPortOf, chainedIn, numberIn, placeNode, shardsOf, spareWish, withPlaces } from './document.ts'
import { HoldfastError } from './error.ts'
import { hostNodes, roomsOf } from './placement/hosting.ts'
import type { Room } from './placement/spread.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard } from './spec.ts'

/**
 * A place for each of these wishes, in their order. Node n listens on `basePort` + n - 1, so a number whose port is taken
 * is passed over on every host. No number is given twice, not even that of a node that is gone: events and incidents speak of it.
 * Throws HOST_PORT_IN_USE where there is no port left, and REFUSED_PLACEMENT where there is no host.
 */
export function placeMore(
  document: Document,
  spec: Spec,
  wishes: readonly PlaceWish[],
  isTaken: (port: number) => boolean,
  rooms: readonly Room[] = roomsOf(spec),
): NodePlace[] {
  const { basePort } = spec.expose
  const sentinels = new Set((document.sentinels ?? []).map(({ port }) => port))
  let number = lastNumber(document)
  const numbers = wishes.map(() => {
    for (;;) {
      number++
      const port = basePort + number - 1
      if (busPortOf(port) > 65_535) {
        throw new HoldfastError('HOST_PORT_IN_USE', `there is no free port above ${basePort} for one more node`, {
          port,
        })
      }
      if (sentinels.has(port) || isTaken(port)) continue
      return number
    }
  })
  const coming = wishes.map((wish, index) => ({ ...wish, id: `node-${numbers[index]}` }))
  const staying = document.nodes.filter(({ leaving }) => leaving === undefined)
  return hostNodes(coming, staying, spec, rooms).map((hosting, index) =>
    placeNode(numbers[index] as number, wishes[index] as PlaceWish, hosting, spec),
  )
}

/** What the spec wants and there is no place for yet: copies of shards, chained ones, and spares. */
export function missingCopies({ nodes }: Document, spec: Spec): PlaceWish[] {
  const staying = nodes.filter(({ leaving, lentTo }) => leaving === undefined && lentTo === undefined)
  const chained = spec.chained - staying.filter((node) => node.chained === true).length
  const spares = spec.spares - staying.filter(({ spare }) => spare === true).length
  const copies = shardsOf(staying).flatMap(({ id, nodes: own }) =>
    Array.from({ length: Math.max(0, copiesOfShard(spec, numberIn(id)) - own.length) }, () => ({ shard: id })),
  )
  return [...copies, ...times(chained, chainedIn('shard-1')), ...times(spares, spareWish)]
}

const times = (count: number, wish: PlaceWish): PlaceWish[] => Array.from({ length: Math.max(0, count) }, () => wish)

/** The document with these changes of its layout. */
export const replaced = (document: Document, changes: readonly PlaceChange[]): Document =>
  changes.length === 0
    ? document
    : { ...document, nodes: withPlaces(document.nodes, changes), lastNode: lastNumber(document) }

/** The highest number that was ever given, also to a node that has not come yet. */
export function lastNumber({ nodes, operations, lastNode = 0 }: Document): number {
  const promised = operations.flatMap((one) => ('places' in one ? (one.places ?? []) : []))
  return Math.max(lastNode, ...[...nodes, ...promised].map(({ id }) => numberIn(id)))
}
