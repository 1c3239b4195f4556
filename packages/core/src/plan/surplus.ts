/**
 * Nodes that are more than the spec wants, or that were lent to an operation which is over. One goes at a time, never a
 * primary (such a one hands its shard over first, `drain.ts`), and none that may have data before all that stay have it.
 */
import type { NodePlace, PlaceChange } from '../document.ts'
import { numberIn } from '../document.ts'
import { isDurable } from '../durability.ts'
import { keepsFailing } from '../persist-on.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { isTakenOff } from '../placement/hosting.ts'
import type { Spec } from '../spec.ts'
import { copiesOfShard } from '../spec.ts'
import { hasCopy } from './copy.ts'
import { isLentInVain } from './drain.ts'
import { shallMove } from './lost-copy.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, replan, wait } from './step.ts'
import { objectionToHeir } from './switchover.ts'

export function planSurplus(input: PlanInput): Step {
  const { picture, document } = input
  if (document.operations.some(({ state }) => state === 'running')) return idle
  const [next] = picture.shards.flatMap((shard) => leaverOf(shard, input) ?? [])
  const idler = picture.spares.length > input.spec.spares ? picture.spares.at(-1) : undefined
  if (idler !== undefined) {
    const because = `the spec wants ${input.spec.spares} to stand by`
    return replan(`${idler.id} goes: ${because}`, [leave(idler.place, because, input.spec)])
  }
  const chained = lastChained(input)
  if (chained !== undefined)
    return replan(`${chained.id} goes: the spec wants ${input.spec.chained} chained`, [
      leave(chained.place, `the spec wants ${input.spec.chained} chained`, input.spec),
    ])
  if (next === undefined) return idle
  const { node, shard, because } = next
  const going = [...picture.nodes, ...picture.leaving].find(({ place }) => place.leaving?.forgottenAt === null)
  if (going !== undefined) return wait(`${node.id} leaves after ${going.id}`)
  const troubled = picture.shards.find(({ primary }) => primary?.facts == null)
  if (troubled !== undefined) return wait(`${node.id} leaves once ${troubled.id} has a living primary`)
  const lacking = shard.nodes.find((other) => other !== node && !isCopy(other, shard))
  if (lacking !== undefined && mayHaveData(node, shard, input)) {
    return wait(`${node.id} leaves (${because}) once ${lacking.id} has all the data of ${shard.id}`)
  }
  return replan(`${node.id} leaves ${shard.id}: ${because}`, [leave(node.place, because, input.spec)])
}

/** Of more than the spec wants, who is dead, else who came last: nobody depends on one. */
function lastChained({ picture: { chained }, spec }: PlanInput): NodePicture | undefined {
  if (chained.length <= spec.chained) return undefined
  return [...chained].sort((a, b) => Number(b.gone) - Number(a.gone) || numberIn(b.id) - numberIn(a.id))[0]
}

/** From now on it goes. A durable copy may have a write that no other has, and counts until another has all of it. */
export const leave = (place: NodePlace, because: string, spec: Spec): PlaceChange => {
  const owes = isDurable(spec) && place.spare !== true && place.chained !== true ? { owes: null } : {}
  return { id: place.id, place: { ...place, leaving: { because, forgottenAt: null, ...owes } } }
}

interface Leaver {
  readonly node: NodePicture
  readonly shard: ShardPicture
  readonly because: string
}

/** Who of a shard is to go next: what was lent in vain, then what is dead, has no data, is drained, or came last. */
function leaverOf(shard: ShardPicture, input: PlanInput): Leaver | undefined {
  const { spec, document } = input
  // It goes as a whole, or is about to have slots.
  if (shard.slotless) return undefined
  const others = shard.nodes.filter((node) => node !== shard.primary)
  const lent = others.find((node) => isLentInVain(node.place, document))
  if (lent !== undefined) return { node: lent, shard, because: 'what it was needed for is over' }
  const wanted = copiesOfShard(spec, numberIn(shard.id))
  const own = shard.nodes.filter(({ place }) => place.lentTo === undefined && place.leaving === undefined)
  if (own.length <= wanted) return undefined
  // Whoever shall go hands the shard over first; until then nobody else goes in his place.
  if (shard.primary !== null && isTakenOff(shard.primary.place, spec)) return undefined
  const [first] = own
    .filter((node) => others.includes(node))
    .sort(
      (a, b) =>
        Number(isOut(b, input)) - Number(isOut(a, input)) ||
        Number(isCopy(a, shard)) - Number(isCopy(b, shard)) ||
        Number(b.place.drained === true) - Number(a.place.drained === true) ||
        numberIn(b.id) - numberIn(a.id),
    )
  const because = `the spec wants ${wanted} ${wanted === 1 ? 'copy' : 'copies'} of ${shard.id}`
  return first && { node: first, shard, because }
}

/** In sync, or with files that may be all there is if the rest should die now. What was never linked has nothing. */
function mayHaveData(node: NodePicture, shard: ShardPicture, { spec }: PlanInput): boolean {
  // What is on a host that does not answer may have anything.
  if (node.agent === null) return true
  const hadData = node.agent.record !== null && (node.agent.record.linkUpAt !== null || node.agent.record.ownedSlots)
  return isCopy(node, shard) || (hadData && hasCopy(node, spec))
}

/** It does not run, or is being started once more after it has failed again and again, or its host is lost or was taken off. */
const isOut = (node: NodePicture, input: PlanInput): boolean =>
  node.gone || keepsFailing(node) || shallMove(node, input)

const isCopy = (node: NodePicture, shard: ShardPicture): boolean =>
  node === shard.primary || objectionToHeir(node, shard) === null
