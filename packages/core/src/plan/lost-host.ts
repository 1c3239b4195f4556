/**
 * Who takes over from a primary whose host nobody reaches any more.
 *
 * It is not proven dead, so nothing is asked of it: that its lease is over is the ground (`away.ts`). What it last had, its
 * agent can tell nobody; a replica is fit if it was linked until the host was lost. The voters are asked, always: what
 * nobody has proof of is never taken over without them. Refused, they are left alone for as long as they need to elect
 * somebody by themselves.
 */
import { leaseMarginMs } from '../away.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { lostHostOf, primaryIdOf } from '../picture.ts'
import type { Spec } from '../spec.ts'
import { formatDuration } from '../units.ts'
import type { Asked, Judged } from './candidate.ts'
import { byOffset, startedAfter } from './candidate.ts'

/** In whole seconds, and replicas acknowledge once a second: this long without means that nothing comes through. */
const unheardSeconds = 2

/**
 * A primary that answers the controller, and that its peers have lost, is cut off from them: other agents do not reach its
 * host, and none of its replicas has acknowledged anything lately. Neither alone says so, since a firewall may stand
 * between agents only. Why, in words; null where it is not.
 */
export function cutOff({ id, shard, place, facts }: NodePicture, { hosts }: Picture): string | null {
  const host = hosts.get(place.host)
  if (facts?.role !== 'primary' || host?.reach !== 'cut from its peers') return null
  if (facts.replicas.some(({ online, ackAgeSeconds }) => online && ackAgeSeconds < unheardSeconds)) return null
  return `${id} (primary of ${shard}) is cut off from the others: ${host.because}, and no replica acknowledges`
}

export interface Loss {
  /** Why nobody waits for the primary any more, in words. */
  readonly ground: string
  /** When it was last heard, by anybody. */
  readonly lostAt: number
  /** From when on somebody may have been asked to take over. */
  readonly since: number
}

/**
 * What speaks for going on without a primary that is not proven dead: the lease of its host is over, or a majority of the
 * voters hold it for failed, after which the engines elect somebody themselves and are only spared a delay.
 */
export function lossOf(primary: NodePicture, picture: Picture, spec: Spec): Loss | null {
  const who = `${primary.id} (primary of ${primary.shard})`
  const host = lostHostOf(primary, picture)
  if (host !== null) {
    const lostAt = host.leaseOverAt - spec.timeouts.leaseAfter - leaseMarginMs
    return { ground: `${who} is on a lost host: ${host.because}`, lostAt, since: host.leaseOverAt }
  }
  const cut = cutOff(primary, picture)
  const at = primary.agent?.fence?.at ?? null
  if (cut !== null && at !== null) {
    return { ground: `${cut}; it takes no writes any more`, lostAt: at - 2 * unheardSeconds * 1000, since: at }
  }
  if (primary.life !== 'away') return null
  const holding = picture.owners.filter(({ engineId }) => holdsForFailed(engineId, primary, picture)).length
  if (holding * 2 <= picture.owners.length) return null
  const lostAt = picture.hosts.get(primary.place.host)?.heardAt ?? picture.at - spec.timeouts.node
  const ground = `${who} does not answer, and ${holding} of ${picture.owners.length} voters hold it for failed`
  return { ground, lostAt, since: Number.NEGATIVE_INFINITY }
}

function holdsForFailed(voter: string, primary: NodePicture, { nodes }: Picture): boolean {
  const view = nodes.find(({ engineId }) => engineId === voter)?.facts?.view
  return view?.entries.some(({ engineId, health }) => engineId === primary.engineId && health === 'fail') === true
}

/** Links are seen to break some time after or before the last answer of a host: an agent looks four times a second. */
const sameLossMs = 500

/** The best replica that was linked until its primary's host was lost. */
export function heirOfLost(shard: ShardPicture, primary: NodePicture, { lostAt }: Pick<Loss, 'lostAt'>, spec: Spec) {
  const judged = shard.nodes
    .filter((node) => node !== primary)
    .map((node): Judged => ({ node, objection: objectionTo(node, primary, lostAt, spec) }))
  const fit = judged.flatMap(({ node, objection }) => (objection === null ? [node] : []))
  const free = fit.filter((node) => node.place.drained !== true)
  const objections = judged.flatMap(({ objection }) => objection ?? [])
  return { fit: byOffset(free.length > 0 ? free : fit), objections }
}

function objectionTo(node: NodePicture, primary: NodePicture, lostAt: number, spec: Spec): string | null {
  const { id, facts, agent } = node
  if (node.gone) return `${id} is ${node.life === 'dead' ? 'dead' : 'not running'}`
  if (facts === null) return `${id} does not answer`
  if (facts.role !== 'replica') return `${id} is not a replica`
  if (primary.engineId === null || primaryIdOf(node) !== primary.engineId) return `${id} follows somebody else`
  if (facts.link?.state === 'syncing') return `${id} is in the middle of a sync`
  const linkUpAt = agent?.record?.linkUpAt ?? null
  if (linkUpAt === null) return `${id} was never seen linked to ${primary.id}`
  if (startedAfter(node, linkUpAt))
    return `${id} was restarted since it was last linked: its offset comes from its files`
  const unlinkedMs = lostAt - linkUpAt
  if (unlinkedMs <= spec.failover.maxLag.time + sameLossMs) return null
  return `${id} was last seen linked ${formatDuration(unlinkedMs)} before ${primary.id} was lost`
}

/** How long a vote may take before it counts as refused, and in how many node timeouts it is asked for again. */
const voteMs = 500
const againAfterTimeouts = 4

/** What there is to say of an election that was asked for; null where it may be asked for again. */
export function electionOf(shard: ShardPicture, { node, at }: Asked, picture: Picture, spec: Spec): string | null {
  const sinceMs = picture.at - at
  const asked = `${node.id} was asked to take over ${shard.id} ${formatDuration(sinceMs)} ago`
  if (sinceMs < voteMs) return asked
  if (sinceMs < againAfterTimeouts * spec.timeouts.node)
    return `${asked}, and the voters have not elected it: left to them`
  return null
}
