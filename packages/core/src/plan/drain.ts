/** A drained node holds no primary, as far as another copy of its shard is fit to take over. One shard a turn. */
import type { ShardPicture } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { attemptMs, heirFor, sinceAsked } from './switchover.ts'

export function planDrain({ picture }: PlanInput): Step {
  const drained = picture.shards.filter(({ primary }) => primary?.place.drained === true)
  // While some shard has no living primary nothing is risked by choice, and the voters are needed there.
  if (picture.shards.some(({ primary }) => primary?.facts == null)) return idle
  const steps = drained.map((shard) => drainShard(shard, sinceLastHandOver(shard)))
  return steps.find((step) => step.actions.length > 0) ?? join(steps)

  function sinceLastHandOver({ nodes }: ShardPicture): number {
    return Math.min(...nodes.map((node) => sinceAsked(node, picture)))
  }
}

function drainShard(shard: ShardPicture, sinceMs: number): Step {
  const told = `${shard.primary?.id} is drained and primary of ${shard.id}`
  const heir = heirFor(shard)
  if (heir === undefined) return wait(`${told}: no other copy can take over yet`, 250)
  if (sinceMs < attemptMs) return wait(`${told}: ${heir.id} takes over`, 20)
  return act(`${told}: handing it over to ${heir.id}`, [{ kind: 'failover', node: heir.id, mode: 'switchover' }])
}
