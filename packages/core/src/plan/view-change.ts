/**
 * Who takes over a shard of class `durable`, so that no write is lost that was acknowledged.
 *
 * Such a write is in the memory of the primary and of at least one of its replicas; of which, nobody knows. So all
 * replicas are read, and the one with the most of the stream has every acknowledged write. With one of them unread
 * nothing is proven, and nobody is promoted: the primary is started again with its own files, or somebody decides.
 *
 * Three things make the reading true:
 * - Nothing is acknowledged any more when they are asked. The primary is proven dead; or nobody reaches its host, its lease
 *   is over and its copies were cut off from it; or what answers in its place has
 *   given nothing to any of them. An answer to a question from before the death may lack the last write, and is not taken;
 *   nor is one from before the copy has read its connection to the end.
 * - They are of one history, so that their offsets can be compared.
 * - None was started again since it was last linked: what it had in memory, and acknowledged, would not be in its offset.
 *
 * It is decided by whoever holds the lease; the agent writes the epoch of its order down before it obeys, and obeys no
 * lower one after that.
 */
import type { Document } from '../document.ts'
import { isDurable, saysHeld } from '../durability.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { lostHostOf, primaryIdOf } from '../picture.ts'
import type { Spec } from '../spec.ts'
import { startedAfter } from './candidate.ts'

export type ViewChange =
  /** It has every write that was acknowledged. */
  | { readonly kind: 'proven'; readonly node: NodePicture; readonly copies: number }
  /** Somebody was asked too early, or is about to answer: the next look proves it, or does not. */
  | { readonly kind: 'asked too early' }
  | { readonly kind: 'unproven'; readonly objections: readonly string[] }

/**
 * How long a copy may owe its answer before the primary is started with its own files instead: that takes two seconds,
 * in which a primary that has just come up takes no write.
 */
const patienceMs = 1000

/** After this long without an answer an engine that was told to end has acknowledged nothing. */
const endedMs = 1000

/** Whether only a view change promotes. A person who accepts a loss is asked for nothing more. */
export const isStrict = (spec: Spec, document: Document): boolean => isDurable(spec) && !document.acceptDataLoss

/** Who takes over from a primary that is dead, or was started again by a stranger. */
export function changeView(shard: ShardPicture, former: NodePicture, picture: Picture): ViewChange {
  const replicas = shard.nodes.filter((node) => node !== former)
  const formerId = shard.ghost ?? former.engineId
  const endedAt = endOf(former, picture)
  const isRecent = picture.at - endedAt < patienceMs
  const late = replicas.filter((node) => isRecent && node.life === 'silent')
  const heard = replicas.filter((node) => !late.includes(node))
  const objections = heard.flatMap((node) => objectionTo(node, former.id, formerId) ?? [])
  const histories = new Set(heard.map(({ facts }) => facts?.replid))
  if (objections.length === 0 && histories.size > 1) objections.push('its copies are of different histories')
  if (objections.length === 0 && isForeign(heard, picture)) objections.push('its copies have the data of another shard')
  if (replicas.length === 0 || objections.length > 0) return { kind: 'unproven', objections }
  if (late.length > 0 || heard.some((node) => isEarly(node, endedAt))) return { kind: 'asked too early' }
  return { kind: 'proven', node: fullest(heard), copies: heard.length }
}

/**
 * Whether what answers as the primary is none: a stranger started it. It has another history than every copy, and no copy
 * has taken anything from it. Where it has keys it may have been started by Holdfast, with its own files; then only one
 * that is held is surely not.
 */
export function isUsurped(shard: ShardPicture, picture: Picture): boolean {
  const { primary } = shard
  if (primary?.facts?.role !== 'primary') return false
  const view = changeView(shard, primary, picture)
  if (view.kind !== 'proven') return false
  const { facts } = view.node
  const isApart = shard.nodes.every((node) => node === primary || isApartFrom(node, primary))
  return isApart && (saysHeld(primary.agent?.config) || (primary.facts.keys === 0 && (facts?.keys ?? 0) > 0))
}

/**
 * It has nothing of what this one has had since it was started, and is not about to. One that was started from a snapshot
 * goes on from where that was taken, and a copy that has more of the same history is ahead of it.
 */
export function isApartFrom({ facts }: NodePicture, { facts: its }: NodePicture): boolean {
  if (facts?.link == null || facts.link.state === 'up' || facts.replid === its?.replid) return false
  return facts.replid !== its?.replidBefore || facts.offset > (its.offsetBefore ?? Number.POSITIVE_INFINITY)
}

function objectionTo(node: NodePicture, former: string, formerId: string | null): string | null {
  const { id, facts, agent } = node
  if (node.gone) return `${id} is ${node.life === 'dead' ? 'dead' : 'not running'}`
  if (facts === null) return `${id} does not answer`
  if (facts.role !== 'replica') return `${id} is not a replica`
  if (formerId === null || primaryIdOf(node) !== formerId) return `${id} follows somebody else`
  if (facts.link?.state === 'syncing') return `${id} is in the middle of a sync`
  const linkUpAt = agent?.record?.linkUpAt ?? null
  if (linkUpAt === null) return `${id} was never seen linked to ${former}`
  return startedAfter(node, linkUpAt) ? `${id} was restarted since it was last linked` : null
}

/** Replicas that were led astray have another shard's data, and its history with it. */
const isForeign = (replicas: readonly NodePicture[], picture: Picture): boolean =>
  picture.nodes.some(
    (other) => other.shard !== replicas[0]?.shard && other.facts?.replid === replicas[0]?.facts?.replid,
  )

/** Before this much of a connection to a dead engine is over, its copy has not read all that came over it. */
const drainedMs = 100

/**
 * Asked before the end, or so soon after it that what was sent last is not read yet. A connection may stay open for
 * longer: a child that writes a file has it too, and so has a killed process that hangs in its disk.
 */
function isEarly({ facts, seen: { engine } }: NodePicture, endedAt: number): boolean {
  if (engine.kind !== 'answered') return true
  const afterMs = (engine.askedAt ?? engine.at) - endedAt
  return afterMs < 0 || (facts?.link?.state === 'up' && afterMs < drainedMs)
}

/** From when on nothing more can have been acknowledged by it. */
function endOf(node: NodePicture, picture: Picture): number {
  const { gone, agent } = node
  const lost = lostHostOf(node, picture)
  if (lost !== null) return lost.leaseOverAt
  if (!gone && agent?.fence?.at != null) return agent.fence.at
  // It answers: the one before it died long before.
  if (!gone) return Number.NEGATIVE_INFINITY
  if (agent?.process.state === 'dead') return agent.process.since
  return (agent?.record?.at ?? Number.NEGATIVE_INFINITY) + endedMs
}

/** Highest offset; of equals one that is not drained, then the lowest id, so that two planners agree. */
function fullest(nodes: readonly NodePicture[]): NodePicture {
  const [first] = [...nodes].sort(
    (a, b) =>
      (b.facts?.offset ?? 0) - (a.facts?.offset ?? 0) ||
      Number(a.place.drained === true) - Number(b.place.drained === true) ||
      (a.id < b.id ? -1 : 1),
  )
  return first as NodePicture
}
