/**
 * A chained replica is never promoted, as long as there is another copy. Where the primary and all its replicas are gone
 * and none of them has everything in its files, what is chained behind them is the last copy there is: it is used, rather
 * than an older file or an empty engine (SAFETY 2.2, 3).
 *
 * No Sentinel knows it, so it is promoted by its agent. Then it changes places with the dead primary in the layout, and
 * the ordinary rules go on: the Sentinels are told of it, and the dead one comes back as a chained replica. Which of the
 * two steps is next is read from what it says to be.
 */
import type { PlaceChange } from '../document.ts'
import type { NodePicture } from '../picture.ts'
import { formatBytes } from '../units.ts'
import { bytesBehind, hasHistoryOf, isCopyOf } from './candidate.ts'
import { canRestartInPlace, hasCopy } from './copy.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, replan } from './step.ts'

export function planLastCopy(input: PlanInput): Step {
  const { picture, spec } = input
  const [shard] = picture.shards
  const dead = shard?.primary
  if (shard === undefined || dead?.gone !== true || picture.chained.length === 0) return idle
  if (canRestartInPlace(dead, spec) || shard.nodes.some((node) => mayTakeOver(node, dead))) return idle
  const filed = shard.nodes.filter((node) => hasCopy(node, spec))
  const last = freshest(picture.chained, dead, input)
  if (last === undefined || (filed.length > 0 && !isFresherThanFiles(last, dead, input))) return idle
  const told = `${dead.id} (primary of ${shard.id}) and its replicas are gone, ${last.id}, chained behind them, is the last copy`
  if (last.facts?.role !== 'replica') {
    return replan(`${told}: it takes the place of ${dead.id}`, changePlaces(last, dead))
  }
  const lost = bytesBehind(last, dead)
  const loss = `${shard.id}: possible loss of ${lost === null ? 'an unknown amount' : formatBytes(lost)}, ${told}`
  const notes = [{ kind: 'loss', subject: shard.id, because: loss }] as const
  return act(`${told}: promoting it`, [{ kind: 'promote', node: last.id }], notes)
}

/** A living replica that has something, or that nobody has heard yet. */
const mayTakeOver = (node: NodePicture, dead: NodePicture): boolean =>
  node !== dead && !node.gone && (node.facts === null || node.facts.role === 'primary' || isCopyOf(node, dead))

/** One that lives before one that has only its files, then the one with most of the stream. */
function freshest(chained: readonly NodePicture[], dead: NodePicture, { spec }: PlanInput): NodePicture | undefined {
  const hasData = (node: NodePicture): boolean => (node.gone ? hasCopy(node, spec) : (node.facts?.keys ?? 0) > 0)
  const offset = ({ facts, agent }: NodePicture): number => facts?.offset ?? agent?.record?.offset ?? 0
  return chained
    .filter(hasData)
    .sort(
      (a, b) =>
        Number(isPromoted(b)) - Number(isPromoted(a)) ||
        Number(a.gone) - Number(b.gone) ||
        Number(hasHistoryOf(b, dead)) - Number(hasHistoryOf(a, dead)) ||
        offset(b) - offset(a) ||
        (a.id < b.id ? -1 : 1),
    )[0]
}

const isPromoted = ({ facts }: NodePicture): boolean => facts?.role === 'primary'

/** Those files are snapshots, as old as their last save; a copy that lives and is close behind knows more. */
function isFresherThanFiles(node: NodePicture, dead: NodePicture, { spec }: PlanInput): boolean {
  if (isPromoted(node)) return node.facts?.replidBefore === dead.agent?.record?.replid
  const behind = bytesBehind(node, dead)
  return behind !== null && behind <= spec.failover.maxLag.bytes
}

const changePlaces = (last: NodePicture, { id, place }: NodePicture): PlaceChange[] => {
  const { chained: _, ...first } = last.place
  return [
    { id: last.id, place: first },
    { id, place: { ...place, chained: true } },
  ]
}

/** Whose data may still be there, though no other copy is: before an empty start they are waited for. */
export const mayHoldData = ({ picture, spec }: PlanInput): readonly NodePicture[] =>
  picture.chained.filter((node) => (node.gone ? hasCopy(node, spec) : node.facts === null || node.facts.keys > 0))
