/** What scaling a deployment would do, in words, and what speaks against it. */
import type { PlaceWish } from './document.ts'
import { numberIn } from './document.ts'
import type { OperationWish } from './operation.ts'
import { isUnfinished } from './operation.ts'
import type { OperationPreview } from './operation-preview.ts'
import { roomsOf, spreadOf } from './placement/hosting.ts'
import type { ShardLoad } from './rebalance/projection.ts'
import { projectWithout } from './rebalance/projection.ts'
import { chooseVictims } from './rebalance/victims.ts'
import { objectionToFewer, shardsMin } from './scale-in.ts'
import { countSlots, slotCountTotal } from './slots.ts'
import type { Spec } from './spec.ts'
import { copiesOfShard } from './spec.ts'
import type { Status } from './status.ts'
import { formatBytes } from './units.ts'

/** The shards that a scaling brings, and those that it takes away. */
export interface ScaleChange {
  readonly coming: readonly string[]
  readonly going: readonly string[]
  /** What is worse for the loss of a host or a zone afterwards, in words. */
  readonly troubles: readonly string[]
}

/** Ids that are free are given again, the lowest first: `taken` are those of nodes that are still leaving. */
export function scaleChange(
  shards: number,
  status: Pick<Status, 'shards' | 'nodes'>,
  spec: Spec,
  taken: Iterable<string> = [],
): ScaleChange {
  const fewer = status.shards.length - shards
  if (fewer > 0) return { coming: [], ...leastMissed(fewer, status, spec) }
  const known = new Set([...status.shards.map(({ id }) => id), ...taken])
  const coming: string[] = []
  for (let number = 1; coming.length < -fewer; number++) {
    if (!known.has(`shard-${number}`)) coming.push(`shard-${number}`)
  }
  return { coming, going: [], troubles: [] }
}

function leastMissed(count: number, status: Pick<Status, 'shards' | 'nodes'>, spec: Spec): Omit<ScaleChange, 'coming'> {
  const primaries = new Set(status.shards.map(({ primary }) => primary))
  const seats = status.nodes.map(({ id, shard, hostId }) => ({ id, shard, host: hostId, isPrimary: primaries.has(id) }))
  return chooseVictims(loadsOf(status, spec), count, { seats, rooms: roomsOf(spec), spread: spreadOf(spec) })
}

/** A place for each copy of these shards: the first copies of all of them first, as those of a new deployment. */
export function placesOfShards(coming: readonly string[], spec: Spec): PlaceWish[] {
  const copies = Math.max(0, ...coming.map((id) => copiesOfShard(spec, numberIn(id))))
  return Array.from({ length: copies }, (_, copy) =>
    coming.filter((id) => copy < copiesOfShard(spec, numberIn(id))).map((shard) => ({ shard })),
  ).flat()
}

export function previewScale(wish: OperationWish, status: Status, spec: Spec): OperationPreview {
  const { shards = 0, acceptEviction = false } = wish
  const objection = objectionTo(wish, status)
  if (objection !== null) return { lines: [], objection }
  const { coming, going, troubles } = scaleChange(shards, status, spec)
  const tooFull = going.length === 0 ? null : objectionToFewer(loadsOf(status, spec), going, spec, acceptEviction)
  if (tooFull !== null) return { lines: [], objection: `${going.join(', ')} cannot go: ${tooFull}` }
  return {
    lines: [
      ...(coming.length > 0 ? comingInWords(coming, shards, spec) : goingInWords(going, status, spec)),
      ...troubles,
      ...halves(shards, spec),
      ...status.operations
        .filter(isUnfinished)
        .map(({ kind, subject }) => `after the ${kind} of ${subject}, which was asked for before`),
    ],
    objection: null,
  }
}

function objectionTo({ shards = 0, subject }: OperationWish, status: Status): string | null {
  const { name, topology, operations } = status
  if (subject !== name) return `a deployment is scaled, and not ${subject}: its subject is ${name}`
  if (topology !== 'cluster') {
    return `${name} is of topology ${topology}, which has one primary: only a Cluster has shards. For more copies of the data, ask for replicas`
  }
  if (shards > slotCountTotal) return `${shards} shards would be more than there are slots (${slotCountTotal})`
  if (shards < shardsMin) {
    return `${shards} ${shards === 1 ? 'primary' : 'primaries'} could not outvote a dead one: a cluster needs ${shardsMin} shards`
  }
  if (shards === status.shards.length) return `${name} has ${shards} shards already`
  const open = operations.find((one) => one.kind === 'scale' && isUnfinished(one))
  return open === undefined
    ? null
    : `${name} is being scaled (${open.id}): ${open.because}. Wait until that is over, or cancel it`
}

function comingInWords(coming: readonly string[], shards: number, spec: Spec): string[] {
  const copies = coming.map((id) => copiesOfShard(spec, numberIn(id)))
  const engines = copies.reduce((sum, count) => sum + count, 0)
  const moving = Math.round((slotCountTotal * coming.length) / shards)
  return [
    `${coming.join(', ')} ${coming.length === 1 ? 'comes' : 'come'}: ${engines} engines, empty at first`,
    `about ${moving} of ${slotCountTotal} slots move to ${coming.length === 1 ? 'it' : 'them'} with their keys, once all is in sync; every key can be read and written meanwhile`,
  ]
}

function goingInWords(going: readonly string[], status: Status, spec: Spec): string[] {
  const loads = loadsOf(status, spec)
  const shards = status.shards.filter(({ id }) => going.includes(id))
  const slots = shards.reduce((sum, shard) => sum + countSlots(shard.slots), 0)
  const bytes = loads.reduce((sum, { id, usedBytes }) => sum + (going.includes(id) ? (usedBytes ?? 0) : 0), 0)
  const nodes = shards.flatMap(({ primary, replicas }) => [...replicas, ...(primary === null ? [] : [primary])])
  return [
    `${going.join(', ')} ${going.length === 1 ? 'goes, it has' : 'go, they have'} the least to move: ${slots} slots, at most ${formatBytes(bytes)}`,
    `then ${projectWithout(loads, going).said}`,
    `${nodes.join(', ')} stay until the last slot is elsewhere; then they are stopped and forgotten by all, and their files are removed once nobody brings them back for 75 s`,
  ]
}

/** Of two zones the one with half of the votes takes the majority with it, whichever it is. */
function halves(shards: number, spec: Spec): string[] {
  const zones = new Set(spec.hosts.flatMap(({ zone, tiebreaker }) => (zone === undefined || tiebreaker ? [] : [zone])))
  if (spreadOf(spec) !== 'zone' || zones.size !== 2 || shards % 2 === 1) return []
  return [
    `${shards} primaries are shared evenly by two zones: with either of them the majority is lost; with ${shards + 1} only one of them has it`,
  ]
}

const loadsOf = ({ shards, nodes }: Pick<Status, 'shards' | 'nodes'>, { memory }: Spec): ShardLoad[] =>
  shards.map(({ id, primary, slots }) => ({
    id,
    slots: countSlots(slots),
    usedBytes: nodes.find((node) => node.id === primary)?.memoryBytes ?? null,
    maxBytes: memory.maxPerNode,
    cpuRatio: null,
  }))
