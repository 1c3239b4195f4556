/**
 * How a durable copy parts from its shard. It may be the only one with a write that was acknowledged a moment ago, and
 * its primary may die in the next. So it is stopped, and stays one of the copies that a view change must read, which then
 * proves nothing and leaves it to the primary's own files, until another copy has all that this one can have had: the
 * primary's stream as it was once the primary had lost it.
 */
import type { NodePicture, ShardPicture } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, replan, wait } from './step.ts'
import { objectionToHeir } from './switchover.ts'

/** How soon to look whether another copy has it. */
const pollMs = 20

/** Of one that has stopped: the next thing on its way out of the shard. */
export function part(node: NodePicture, { picture }: PlanInput): Step {
  const { id, place } = node
  const { leaving } = place
  const shard = picture.shards.find(({ nodes }) => nodes.includes(node))
  if (leaving === undefined || shard === undefined) return idle
  const told = `${id} leaves ${shard.id}`
  const stream = streamWithout(node, shard)
  if (stream === null) return wait(`${told} once its primary answers, and has lost it`, pollMs)
  const owes = leaving.owes?.replid === stream.replid ? leaving.owes : stream
  const { owes: _, ...free } = leaving
  const heir = shard.nodes.find((other) => other !== node && hasAll(other, shard, owes.offset))
  if (heir !== undefined) {
    return replan(`${told}: ${heir.id} has every write that ${id} can have had`, [
      { id, place: { ...place, leaving: free } },
    ])
  }
  const because = `${told} once another copy has every write that it can have had`
  return owes === leaving.owes
    ? wait(because, pollMs)
    : replan(because, [{ id, place: { ...place, leaving: { ...leaving, owes } } }])
}

/** The stream of its primary, as that tells of it without this copy; null where it may have given it more since. */
function streamWithout(
  { place, agent }: NodePicture,
  { primary }: ShardPicture,
): { replid: string; offset: number } | null {
  if (primary?.facts?.role !== 'primary' || primary.seen.engine.kind !== 'answered') return null
  const { askedAt, at } = primary.seen.engine
  if (agent?.process.state === 'dead' && (askedAt ?? at) < agent.process.since) return null
  const { replicas, replid, offset } = primary.facts
  const isAttached = replicas.some(
    ({ address, port }) => port === place.port && (address ?? place.address) === place.address,
  )
  return isAttached ? null : { replid, offset }
}

const hasAll = (copy: NodePicture, shard: ShardPicture, offset: number): boolean =>
  copy.place.leaving === undefined && objectionToHeir(copy, shard) === null && (copy.facts?.offset ?? 0) >= offset
