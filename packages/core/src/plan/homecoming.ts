/**
 * A shard's slots on a node of another shard: a replica was told to follow the wrong primary, and the engines elected
 * it when that one died. Its data is right and its place is wrong, so one of the shard's own copies, once it is in
 * sync, is handed the slots. One shard a turn, since a hand-over is a risk that we chose.
 */
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

/** How long a hand-over may take before it is asked for again. */
const handOverMs = 1000

export function planHomecoming({ picture }: PlanInput): Step {
  // A promotion comes first, and alone: its voters must agree on nothing else meanwhile.
  const voters = picture.shards.filter(({ slotless }) => slotless !== true)
  if (voters.some((shard) => shard.primary?.gone === true || shard.ghost !== null)) return idle
  const steps = picture.shards.filter(isHomeless).map((shard) => comeHome(shard, picture))
  return steps.find((step) => step.actions.length > 0) ?? join(steps)
}

export const isHomeless = (shard: ShardPicture): boolean => shard.born && shard.primary === null && shard.ghost === null

/** Its own shard has another owner beside it, so what it owns must be somebody else's. */
function holdsTwoShards(holder: NodePicture, picture: Picture): boolean {
  const owners = picture.nodes.filter(
    (node) => node.shard === holder.shard && picture.owners.some((claim) => claim.engineId === node.engineId),
  )
  return owners.length > 1 && owners.includes(holder)
}

function comeHome(shard: ShardPicture, picture: Picture): Step {
  for (const heir of shard.nodes) {
    const holder = picture.nodes.find((node) => node.engineId !== null && node.engineId === primaryIdOf(heir))
    if (holder === undefined || !holdsTwoShards(holder, picture)) continue
    const told = `${holder.id} owns the slots of ${shard.id}, and is of ${holder.shard}`
    if (holder.facts === null || heir.facts?.link?.state !== 'up')
      return wait(`${told}: waiting for ${heir.id} to be in sync`, 100)
    const sinceMs = picture.at - (heir.agent?.failoverAsked?.at ?? Number.NEGATIVE_INFINITY)
    if (sinceMs < handOverMs) return wait(`${told}: ${heir.id} takes them over`, 20)
    return act(`${told}: handing them over to ${heir.id}`, [{ kind: 'failover', node: heir.id, mode: 'switchover' }])
  }
  return idle
}
