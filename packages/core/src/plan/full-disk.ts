/**
 * A primary whose disk is full answers reads and refuses every write, for as long as somebody needs to make room. Where a
 * copy on another host can still write, it hands its shard over: the primary lives, so the engine stops the writers, waits
 * until the copy has all of it, and nothing is lost. Only the copy's own word that it can write tells its disk from the full one.
 *
 * An engine that cannot write down who it is ends by itself (Redis 7.0 and later write that file anew), so the old primary
 * may die of its full disk once it has handed over. It comes back as a copy when there is room.
 */
import type { ShardPicture } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { attemptMs, canLog, heirsOf, sinceAsked } from './switchover.ts'

export function planFullDisk({ picture }: PlanInput): Step {
  const stuck = picture.shards.filter(
    ({ primary, slotless }) => slotless !== true && primary?.facts?.role === 'primary' && !canLog(primary),
  )
  // While some shard has no living primary nothing is risked by choice, and the voters are needed there.
  if (stuck.length === 0 || picture.shards.some(({ primary }) => primary?.facts == null)) return idle
  const sinceMs = Math.min(...picture.nodes.map((node) => sinceAsked(node, picture)))
  const steps = stuck.map((shard) => handOver(shard, sinceMs))
  return steps.find((step) => step.actions.length > 0) ?? join(steps)
}

function handOver(shard: ShardPicture, sinceMs: number): Step {
  const { primary } = shard
  const told = `${primary?.id} (primary of ${shard.id}) takes no writes, it cannot write to its disk`
  const heir = heirsOf(shard).find((node) => node.place.host !== primary?.place.host)
  if (heir === undefined) return wait(`${told}, and no copy on another host can take over: make room there`, 250)
  if (sinceMs < attemptMs) return wait(`${told}: ${heir.id} is about to take over`, 20)
  return act(`${told}: handing it over to ${heir.id} on ${heir.place.host}`, [
    { kind: 'failover', node: heir.id, mode: 'switchover' },
  ])
}
