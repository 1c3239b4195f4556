/**
 * Whom a chained replica follows: a replica of its shard that is in sync itself, and the primary only where no such one
 * is to be had for longer than a restart takes.
 *
 * Which it is, is decided anew from what is seen, and stays as it is wherever it may: each replica has its even share of
 * those that are chained, one that follows a replica with room stays there, and only the others go elsewhere. So a death
 * moves those behind the dead one alone, and its return moves as many back as make the shares even.
 */
import { keepsFailing } from './persist-on.ts'
import type { NodePicture, Picture, ShardPicture } from './picture.ts'

/** Until then a replica that was restarted is back, and nobody has to burden the primary, or to sync anew. */
const patienceMs = 3000

/** The upstream of each chained replica, by its id. One that is not in it waits, or follows whom it follows. */
export function upstreamsOf({
  shards,
  chained,
}: Pick<Picture, 'shards' | 'chained'>): ReadonlyMap<string, NodePicture> {
  const upstreams = new Map<string, NodePicture>()
  const [shard] = shards
  if (shard?.primary?.facts?.role !== 'primary' || chained.length === 0) return upstreams
  const fit = shard.nodes.filter((node) => maySupply(node, shard))
  if (fit.length === 0) return new Map(chained.flatMap((node) => lastResort(node, shard)))
  const share = Math.ceil(chained.length / fit.length)
  const behind = (node: NodePicture): number => [...upstreams.values()].filter((one) => one === node).length
  for (const node of chained) {
    const now = fit.find(({ engineId }) => engineId === node.follows)
    if (now !== undefined && behind(now) < share) upstreams.set(node.id, now)
  }
  for (const node of chained) {
    if (upstreams.has(node.id)) continue
    const [least] = [...fit].sort((a, b) => behind(a) - behind(b) || (a.id < b.id ? -1 : 1))
    if (least !== undefined) upstreams.set(node.id, least)
  }
  return upstreams
}

/** It has what the primary has, and stays: one that is lent to an operation goes again soon. */
function maySupply({ facts, follows, place }: NodePicture, { primary }: ShardPicture): boolean {
  if (facts?.link?.state !== 'up' || place.lentTo !== undefined) return false
  return follows === primary?.engineId && facts.replid === primary?.facts?.replid
}

/** The primary, where no replica comes back, or this one has waited for long enough. */
function lastResort(node: NodePicture, { primary, nodes }: ShardPicture): [string, NodePicture][] {
  if (primary === null) return []
  const link = node.facts?.link
  const isHopeless = nodes.every((other) => other === primary || (other.gone && keepsFailing(other)))
  const hasWaited = link?.state === 'down' && link.downSeconds * 1000 >= patienceMs
  return isHopeless || hasWaited || node.follows === primary.engineId ? [[node.id, primary]] : []
}
