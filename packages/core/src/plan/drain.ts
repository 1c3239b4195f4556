/** A drained node holds no primary, as far as another copy of its shard is fit to take over. One shard a turn. */
import type { Document, NodePlace } from '../document.ts'
import { isUnfinished } from '../operation.ts'
import type { ShardPicture } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { attemptMs, heirFor, sinceAsked } from './switchover.ts'

export function planDrain({ picture, document }: PlanInput): Step {
  const drained = picture.shards.filter(
    ({ primary, slotless }) => slotless !== true && primary !== null && shallHoldNone(primary.place, document),
  )
  // While some shard has no living primary nothing is risked by choice, and the voters are needed there.
  if (picture.shards.some(({ primary }) => primary?.facts == null)) return idle
  const steps = drained.map((shard) => drainShard(shard, sinceLastHandOver(shard)))
  return steps.find((step) => step.actions.length > 0) ?? join(steps)

  function sinceLastHandOver({ nodes }: ShardPicture): number {
    return Math.min(...nodes.map((node) => sinceAsked(node, picture)))
  }
}

/** Whether a node shall hold no primary: by somebody's wish, or because it is about to go. */
export const shallHoldNone = (place: NodePlace, document: Document): boolean =>
  place.drained === true ||
  place.leaving !== undefined ||
  isLentInVain(place, document) ||
  document.operations.some((one) => one.kind === 'replace' && one.state === 'running' && one.subject === place.id)

/** It came for an operation that is over. */
export const isLentInVain = ({ lentTo }: NodePlace, { operations }: Document): boolean =>
  lentTo !== undefined && !operations.some((one) => one.id === lentTo && isUnfinished(one))

function drainShard(shard: ShardPicture, sinceMs: number): Step {
  const told = `${shard.primary?.id} is primary of ${shard.id} and ${shard.primary?.place.drained === true ? 'drained' : 'about to go'}`
  const heir = heirFor(shard)
  if (heir === undefined) return wait(`${told}: no other copy can take over yet`, 250)
  if (sinceMs < attemptMs) return wait(`${told}: ${heir.id} takes over`, 20)
  return act(`${told}: handing it over to ${heir.id}`, [{ kind: 'failover', node: heir.id, mode: 'switchover' }])
}
