/**
 * The copies of a host that is lost for good, or was taken off the spec, are made anew elsewhere: one at a time, each as a
 * replacement that Holdfast itself asks for. That it is lost the other hosts have to say as well, and a shard without a
 * living primary has nothing to copy from. Of a host that was taken off nothing stays, alive or not: what lives there hands
 * its shards over and goes once another has all the data. Of one that was lost, whoever is back before his successor has all the data stays; after that he leaves, and his host
 * is free for what comes next, so that a host which comes and goes is not filled and emptied again and again.
 */

import { numberIn } from '../document.ts'
import { HoldfastError } from '../error.ts'
import type { Operation, Replace } from '../operation.ts'
import { isUnfinished, operationFor } from '../operation.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { isTakenOff } from '../placement/hosting.ts'
import { placeMore } from '../placing.ts'
import { copiesOfShard } from '../spec.ts'
import { formatDuration } from '../units.ts'
import { isLostForGood, lostSince, shallMove } from './lost-copy.ts'
import { spareFor } from './spares.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, record, wait } from './step.ts'
import { objectionToHeir } from './switchover.ts'

/** How long to leave it after it failed, where the spec does not say how long a host may be lost. */
const restMsDefault = 600_000
/** Who asks for it: no person. */
const remaker = 'holdfast'

export function planRemake(input: PlanInput): Step {
  const { document, wallNow } = input
  const [next] = movingCopies(input)
  if (next === undefined) return idle
  if (document.operations.some((one) => isUnfinished(one) && (one.notBefore ?? 0) <= wallNow)) return idle
  return remake(next, input)
}

const isRemaking = (one: Operation): one is Replace => one.kind === 'replace' && one.requestedBy === remaker

interface MovingCopy {
  readonly node: NodePicture
  readonly shard: ShardPicture
}

/** One of each shard that lacks a copy for it, the shard with the fewest left first. */
function movingCopies(input: PlanInput): MovingCopy[] {
  const left = ({ nodes }: ShardPicture): number => nodes.filter(({ facts }) => facts !== null).length
  return input.picture.shards
    .filter(({ slotless }) => slotless !== true)
    .flatMap((shard): MovingCopy[] => {
      const own = shard.nodes.filter(({ place }) => place.lentTo === undefined && place.leaving === undefined)
      const moving = own.filter((node) => shallMove(node, input))
      const lacks = copiesOfShard(input.spec, numberIn(shard.id)) > own.length - moving.length
      const [node] = moving
      if (!lacks || node === undefined) return []
      return isLostForGood(node, input) && spareFor(shard, input) !== undefined ? [] : [{ node, shard }]
    })
    .sort((one, other) => left(one.shard) - left(other.shard))
}

function remake({ node, shard }: MovingCopy, { picture, document, spec, vacancy, wallNow }: PlanInput): Step {
  const lostFor = formatDuration(picture.at - (lostSince(node, picture) ?? picture.at))
  const why = isTakenOff(node.place, spec) ? `is no host of ${spec.name} any more` : `nobody has reached for ${lostFor}`
  const told = `${node.id} is on ${node.place.host}, which ${why}`
  if (shard.primary?.facts?.role !== 'primary')
    return wait(`${told}, and ${shard.id} has no living primary to copy from`)
  const restMs = restAfterFailure(node, document.operations, spec.placement.remakeAfter, wallNow)
  if (restMs > 0) return wait(`${told}: what should take its place did not, tried again in ${formatDuration(restMs)}`)
  if (vacancy === undefined) return wait(told)
  try {
    const wishes = [{ shard: shard.id }]
    const places = placeMore(document, spec, wishes, (port) => vacancy.taken.has(port), vacancy.rooms)
    const [by] = places
    const id = `remake-${node.id}-by-${by?.id}`
    const operation = operationFor({ kind: 'replace', id, subject: node.id, places }, remaker, wallNow)
    return record({ ...operation, because: `${told}: ${by?.id} on ${by?.host} takes its place in ${shard.id}` })
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    return wait(`${told}: ${error.message}`)
  }
}

/** One that failed is not asked for again before as much time has passed as the first one waited. */
function restAfterFailure(
  { id }: NodePicture,
  operations: readonly Operation[],
  remakeAfter: number | 'off',
  wallNow: number,
): number {
  const last = operations.filter((one) => isRemaking(one) && one.subject === id).at(-1)
  const restMs = remakeAfter === 'off' ? restMsDefault : remakeAfter
  return last?.endedAt == null ? 0 : last.endedAt + restMs - wallNow
}

/** Why what it began is needless by now, or in vain; null where it goes on. What a person has asked for always does. */
export function needlessNow(operation: Replace, input: PlanInput): string | null {
  const old = input.picture.nodes.find(({ id }) => id === operation.subject)
  if (!isRemaking(operation) || old === undefined || old.place.leaving !== undefined) return null
  const by = operation.places[0]?.id
  const shard = input.picture.shards.find(({ nodes }) => nodes.includes(old))
  const heir = shard?.nodes.find(({ id }) => id === by)
  if (heir !== undefined && isLostForGood(heir, input))
    return `${by} does not take the place of ${old.id}: its host ${heir.place.host} is lost as well`
  if (heir !== undefined && isTakenOff(heir.place, input.spec))
    return `${by} does not take the place of ${old.id}: its host ${heir.place.host} was taken off as well`
  if (isTakenOff(old.place, input.spec)) return null
  if (shard === undefined || !isWhole(old, shard) || (heir !== undefined && isWhole(heir, shard))) return null
  return `${old.id} is back with all the data of ${shard.id}: ${by} is not needed`
}

const isWhole = (node: NodePicture, shard: ShardPicture): boolean =>
  node.facts !== null && (node === shard.primary || objectionToHeir(node, shard) === null)
