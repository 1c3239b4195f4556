/** Where nodes go that come to a deployment which is there already. */
import type { Document, NodePlace, PlaceChange } from './document.ts'
import { busPortOf, localHostId, numberIn, placeSpare, shardsOf, withPlaces } from './document.ts'
import { HoldfastError } from './error.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard } from './spec.ts'

/**
 * A place for each of these shards, in their order; '' is a spare. Node n listens on `basePort` + n - 1, so a number whose port is taken
 * is passed over. No number is given twice, not even that of a node that is gone: events and incidents speak of it.
 * Throws HOST_PORT_IN_USE where there is no port left.
 */
export function placeMore(
  document: Document,
  spec: Spec,
  shards: readonly string[],
  isTaken: (port: number) => boolean,
): NodePlace[] {
  const { bind: address, basePort } = spec.expose
  const sentinels = new Set((document.sentinels ?? []).map(({ port }) => port))
  let number = lastNumber(document)
  return shards.map((shard) => {
    for (;;) {
      number++
      const port = basePort + number - 1
      if (busPortOf(port) > 65_535) {
        throw new HoldfastError('HOST_PORT_IN_USE', `there is no free port above ${basePort} for one more node`, {
          port,
        })
      }
      if (sentinels.has(port) || isTaken(port)) continue
      return shard === '' ? placeSpare(number, spec) : { id: `node-${number}`, shard, host: localHostId, address, port }
    }
  })
}

/** The shards that have fewer nodes than the spec wants, each as often as it lacks one, and '' for each missing spare. */
export function missingCopies({ nodes }: Document, spec: Spec): string[] {
  const staying = nodes.filter(({ leaving, lentTo }) => leaving === undefined && lentTo === undefined)
  const spares = spec.spares - staying.filter(({ spare }) => spare === true).length
  const copies = shardsOf(staying).flatMap(({ id, nodes: own }) =>
    Array.from({ length: Math.max(0, copiesOfShard(spec, numberIn(id)) - own.length) }, () => id),
  )
  return [...copies, ...Array.from({ length: Math.max(0, spares) }, () => '')]
}

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
