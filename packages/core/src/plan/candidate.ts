/**
 * Who may take over from a dead primary.
 *
 * A replica qualifies if it is not in a sync, has the primary's replication id, had its link up when the primary was
 * last seen alive, and lags at most `failover.maxLag` behind that last sight. Promoting a replica whose link had been
 * down for one second lost 500 of 600 keys while the primary's own file was intact, hence no exceptions here: where
 * nobody qualifies, the primary is restarted in place or the operator's patience (`lossAfter`) runs out first.
 */
import type { FailoverMode } from '../observed.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import type { Spec } from '../spec.ts'
import { formatBytes, formatDuration } from '../units.ts'

/**
 * An agent looks at all its engines at once: times this close belong to one look. Those of two agents never do, and are
 * compared as they are; what a link that broke just before the death may then cost, `failover.maxLag` limits.
 */
const sameLookMs = 200

export interface Judged {
  readonly node: NodePicture
  /** Why not; null if it qualifies. */
  readonly objection: string | null
}

/**
 * The best qualified replica: highest offset first, ties by id, so that two planners agree. A drained one only where
 * there is no other.
 */
export function failoverCandidate(shard: ShardPicture, primary: NodePicture, spec: Spec): NodePicture | undefined {
  const fit = judgeReplicas(shard, primary, spec).flatMap(({ node, objection }) => (objection === null ? [node] : []))
  const free = fit.filter((node) => node.place.drained !== true)
  return byOffset(free.length > 0 ? free : fit)[0]
}

/** Every other copy of the shard, with what speaks against it. */
export function judgeReplicas(shard: ShardPicture, primary: NodePicture, spec: Spec): Judged[] {
  return shard.nodes
    .filter((node) => node !== primary)
    .map((node) => ({ node, objection: objectionTo(node, primary, spec) }))
}

/** The copy to promote when waiting has ended: the fullest of those that answer, whatever it lacks. */
export function leastLoss(shard: ShardPicture, primary: NodePicture): NodePicture | undefined {
  const living = shard.nodes.filter((node) => isCopyOf(node, primary))
  const sameHistory = living.filter((node) => hasHistoryOf(node, primary))
  return byOffset(sameHistory.length > 0 ? sameHistory : living)[0]
}

/**
 * A living replica that has some of what the primary had: by history, by a link that was up since it started, or, where
 * it came back from its own files, by its keys. One that never finished its first sync has nothing.
 */
export function isCopyOf(node: NodePicture, primary: NodePicture): boolean {
  if (node.facts?.role !== 'replica' || !follows(node, primary)) return false
  const linkUpAt = node.agent?.record?.linkUpAt ?? null
  return hasHistoryOf(node, primary) || node.facts.keys > 0 || (linkUpAt !== null && !startedAfter(node, linkUpAt))
}

/** A replica keeps the history of its primary until the sync with another is done, whomever it follows by then. */
export const hasHistoryOf = (node: NodePicture, primary: NodePicture): boolean =>
  node.facts !== null && node.facts.replid === primary.agent?.record?.replid

/** Who takes over from an identity that is gone for good: the fullest of those that followed it. */
export function heirOf(shard: ShardPicture, ghost: string): NodePicture | undefined {
  return byOffset(shard.nodes.filter((node) => node.facts?.role === 'replica' && primaryIdOf(node) === ghost))[0]
}

/** A replica that was told to follow another shard's primary would take over that one's slots. */
const follows = (node: NodePicture, primary: NodePicture): boolean =>
  primary.engineId !== null && primaryIdOf(node) === primary.engineId

/** Bytes that the primary had acknowledged, as last seen, and this node does not have. Null: not known. */
export function bytesBehind(node: NodePicture, primary: NodePicture): number | null {
  const last = primary.facts ?? primary.agent?.record ?? null
  if (last === null || node.facts === null || last.replid !== node.facts.replid) return null
  return Math.max(0, last.offset - node.facts.offset)
}

/** Whether the engine of this node started after the primary was last seen: its offsets then prove nothing. */
export const restartedSince = (node: NodePicture, primary: NodePicture): boolean =>
  startedAfter(node, primary.agent?.record?.at ?? Number.NEGATIVE_INFINITY)

/** By the engine's own uptime, which is in whole seconds. */
export function startedAfter({ facts, seen }: NodePicture, time: number): boolean {
  if (facts === null || seen.engine.kind !== 'answered') return false
  return seen.engine.at - (facts.uptimeSeconds + 1) * 1000 > time
}

function objectionTo(node: NodePicture, primary: NodePicture, spec: Spec): string | null {
  const { facts, agent } = node
  if (node.gone) return `${node.id} is ${node.life === 'dead' ? 'dead' : 'not running'}`
  if (facts === null) return `${node.id} does not answer`
  if (facts.role !== 'replica') return `${node.id} is not a replica`
  if (!follows(node, primary)) return `${node.id} follows somebody else`
  if (facts.link?.state === 'syncing') return `${node.id} is in the middle of a sync`
  const last = primary.agent?.record ?? null
  if (last === null) return `the agent has no record of ${primary.id}`
  if (facts.replid !== last.replid) return `${node.id} has another history than ${primary.id}`
  const linkUpAt = agent?.record?.linkUpAt ?? null
  if (linkUpAt === null) return `${node.id} was never seen linked to ${primary.id}`
  const lookMs = node.place.host === primary.place.host ? sameLookMs : 0
  const linkDownSince = agent?.record?.linkDownSince ?? null
  if (linkDownSince !== null && linkDownSince <= last.at + lookMs) {
    return `${node.id} had lost its link while ${primary.id} still lived`
  }
  if (startedAfter(node, linkUpAt))
    return `${node.id} was restarted since it was last linked: its offset comes from its files`
  const unlinkedMs = last.at - linkUpAt
  if (unlinkedMs > spec.failover.maxLag.time) {
    return `${node.id} was last seen linked ${formatDuration(unlinkedMs)} before ${primary.id} was last seen`
  }
  const behind = bytesBehind(node, primary)
  if (behind === null || behind > spec.failover.maxLag.bytes) {
    return `${node.id} is ${behind === null ? 'an unknown amount' : formatBytes(behind)} behind`
  }
  return null
}

export const byOffset = (nodes: readonly NodePicture[]): NodePicture[] =>
  [...nodes].sort((a, b) => (b.facts?.offset ?? 0) - (a.facts?.offset ?? 0) || (a.id < b.id ? -1 : 1))

export interface Asked {
  readonly node: NodePicture
  readonly mode: FailoverMode
  readonly at: number
}

/** How long an ask counts where nobody knows when the primary was last seen: an election is over long before. */
const askedCountsMs = 5000

/**
 * The copy that was last asked to take over from an engine id, since that was last seen, and is still there to do it.
 * One that was since told to follow somebody else would take over that one's slots.
 */
export function lastAsked(shard: ShardPicture, from: string | null, lastSeen: number, now: number): Asked | undefined {
  // Otherwise it counts as long as the node lives: one that is asked and busy takes over when it wakes up.
  const since = lastSeen === Number.NEGATIVE_INFINITY ? now - askedCountsMs : lastSeen
  return shard.nodes
    .filter((node) => node !== shard.primary && !node.gone && (node.facts === null || primaryIdOf(node) === from))
    .flatMap((node): Asked[] => {
      const asked = node.agent?.failoverAsked ?? null
      return asked === null || asked.mode === 'switchover' || asked.at < since ? [] : [{ node, ...asked }]
    })
    .sort((one, other) => other.at - one.at)[0]
}
