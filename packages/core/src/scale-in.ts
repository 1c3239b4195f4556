/** Whether there may be fewer shards: enough of them to outvote a dead one, and with room for what the others had. */
import type { ShardLoad } from './rebalance/projection.ts'
import { projectWithout } from './rebalance/projection.ts'
import type { Spec } from './spec.ts'

/** With fewer, the loss of one leaves no majority that could elect another. */
export const shardsMin = 3

/** Why these shards cannot go, with the arithmetic; null where they can. */
export function objectionToFewer(
  shards: readonly ShardLoad[],
  going: readonly string[],
  { memory }: Pick<Spec, 'memory'>,
  acceptEviction: boolean,
): string | null {
  const left = shards.length - going.length
  if (left < shardsMin) return `${left} primaries would be left, and a cluster needs ${shardsMin} to outvote a dead one`
  const { objection } = projectWithout(shards, going)
  if (objection === null || shards.some(({ usedBytes }) => usedBytes === null)) return objection
  if (!memory.policy.startsWith('allkeys-')) return `${objection}. Delete keys, or raise memory.maxPerNode first`
  return acceptEviction ? null : `${objection}. Keys may be evicted for it; to have that, ask with --accept-eviction`
}
