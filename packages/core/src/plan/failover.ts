/**
 * A dead primary's shard gets another one.
 *
 * FORCE skips the dead primary's consent but asks the voters; it is allowed on proof of death only. One shard at a
 * time: the next one's election needs voters who agree on this one's outcome. A refused vote is not asked again (asked
 * 21 times in a row it never won); after half a second the same replica is told to TAKEOVER, which asks nobody and is
 * therefore right only while the old primary is proven dead and we hold the current epoch. Where two of three
 * primaries died together nobody is left to vote, and TAKEOVER is the only way back. A primary that somebody started
 * again without its data is as dead as one that is gone (`emptied.ts`).
 *
 * With durability `durable` nobody is promoted but by a view change (`view-change.ts`), however long that takes.
 */
import type { PlanNote } from '../action.ts'
import type { FailoverMode } from '../observed.ts'
import { keepsFailing } from '../persist-on.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { lostHostOf, primaryIdOf } from '../picture.ts'
import type { Spec } from '../spec.ts'
import { formatBytes, formatDuration } from '../units.ts'
import type { Asked } from './candidate.ts'
import {
  bytesBehind,
  failoverCandidate,
  hasHistoryOf,
  heirOf,
  judgeReplicas,
  lastAsked,
  leastLoss,
  restartedSince,
} from './candidate.ts'
import { canRestartInPlace, hasCopy, isLeftover } from './copy.ts'
import { heirOfEmptied } from './emptied.ts'
import type { Loss } from './lost-host.ts'
import { cutOff, electionOf, heirOfLost, lossOf } from './lost-host.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { changeView, isStrict, isUsurped } from './view-change.ts'

/** How long a vote may take before it counts as refused: the engine looks ten times a second. */
const voteMs = 500
/** How soon to look again while an election runs. */
const pollMs = 10

export function planFailover({ picture, spec, document }: PlanInput): Step {
  const strict = isStrict(spec, document)
  const steps = picture.shards.flatMap((shard): Promotion[] => {
    // It is started again: there is nothing to take over, and the engines elect nobody for it.
    if (shard.slotless) return []
    if (strict) return promoteProven(shard, picture, spec)
    if (shard.ghost !== null) return [succeed(shard, shard.ghost, picture, spec)]
    if (shard.primary?.gone === true) return [promote(shard, shard.primary, picture, spec)]
    const cut = stopCutOff(shard, picture, spec)
    if (cut !== null) return [cut]
    const loss = shard.primary === null ? null : lossOf(shard.primary, picture, spec)
    if (shard.primary !== null && loss !== null) return [succeedLost(shard, shard.primary, loss, picture, spec)]
    const heir = heirOfEmptied(shard, picture)
    return shard.primary === null || heir === undefined ? [] : [reclaim(shard, shard.primary, heir, picture)]
  })
  const running = steps.find((step) => step.kind === 'running')
  if (running !== undefined) return running.step
  const first = steps.find((step) => step.step.actions.length > 0)
  return first?.step ?? join(steps.map(({ step }) => step))
}

interface Promotion {
  /** `running`: asked and not settled, so no other shard's turn yet. */
  readonly kind: 'running' | 'other'
  readonly step: Step
}

/** Of a shard of class `durable`: whoever has every acknowledged write, or nobody. */
function promoteProven(shard: ShardPicture, picture: Picture, spec: Spec): Promotion[] {
  const cut = stopCutOff(shard, picture, spec)
  if (cut !== null) return [cut]
  const lost = lostPrimary(shard, picture, spec)
  if (lost === null) return []
  const { former, engineId, lastSeen, ground } = lost
  const asked = lastAsked(shard, engineId, lastSeen, picture.at)
  if (lost.isUnproven === true) return [succeedProven(shard, lost, asked, picture, spec)]
  if (asked !== undefined) return [{ kind: 'running', step: continueElection(shard, ground, asked, picture) }]
  const view = changeView(shard, former, picture)
  if (view.kind === 'asked too early')
    return [{ kind: 'running', step: wait(`${ground}: reading every copy of ${shard.id}`, 0) }]
  if (view.kind === 'proven') {
    const has = `${view.node.id} has most of its ${view.copies} copies, all read since`
    return [{ kind: 'other', step: ask(view.node, `${ground} (primary of ${shard.id}), ${has}`, picture) }]
  }
  if (canRestartInPlace(former, spec) && !keepsFailing(former)) return []
  return [{ kind: 'other', step: wait(unproven(`${ground} (primary of ${shard.id})`, view.objections, spec.name)) }]
}

/** It takes no writes: its lease is over, or it was told so. That others hold it for failed is not enough. */
const isStopped = (primary: NodePicture, picture: Picture): boolean =>
  lostHostOf(primary, picture) !== null || primary.agent?.fence?.at != null

interface LostPrimary {
  readonly former: NodePicture
  /** By which its copies know it. */
  readonly engineId: string | null
  readonly lastSeen: number
  /** Why it is none any more, in words. */
  readonly ground: string
  /** Its host is lost: it may live, and its lease is over. */
  readonly isUnproven?: true
}

/**
 * The same of one whose host is lost: it takes no writes since its lease is over, and its copies are cut off from it before
 * they are read, so that it could have none acknowledged either.
 */
function succeedProven(
  shard: ShardPicture,
  { former, ground }: LostPrimary,
  asked: Asked | undefined,
  picture: Picture,
  spec: Spec,
): Promotion {
  const told = asked === undefined ? null : electionOf(shard, asked, picture, spec)
  if (told !== null) return { kind: 'running', step: wait(told, pollMs) }
  const linked = shard.nodes.filter((node) => node !== former && node.facts?.link?.state === 'up')
  if (linked.length > 0) {
    const ids = linked.map(({ id }) => id).join(' and ')
    const actions = linked.map(({ id }) => ({ kind: 'renew-link', node: id }) as const)
    return { kind: 'running', step: act(`${ground}: cutting ${ids} off from it before they are read`, actions) }
  }
  const view = changeView(shard, former, picture)
  if (view.kind === 'asked too early')
    return { kind: 'running', step: wait(`${ground}: reading every copy of ${shard.id}`, 0) }
  if (view.kind === 'unproven') return { kind: 'other', step: wait(unproven(ground, view.objections, spec.name)) }
  const has = `${view.node.id} has most of its ${view.copies} copies, all read since`
  return { kind: 'other', step: askVoters(view.node, `${ground}; ${has}`, picture) }
}

function lostPrimary(shard: ShardPicture, picture: Picture, spec: Spec): LostPrimary | null {
  const { primary, ghost } = shard
  if (ghost !== null) {
    const [former] = shard.nodes.filter((node) => primaryIdOf(node) !== ghost)
    const ground = `the former primary ${ghost.slice(0, 8)} of ${shard.id} was replaced`
    return former === undefined ? null : { former, engineId: ghost, lastSeen: Number.NEGATIVE_INFINITY, ground }
  }
  if (primary === null) return null
  const { id, engineId } = primary
  if (primary.gone) {
    return {
      former: primary,
      engineId,
      lastSeen: primary.agent?.record?.at ?? Number.NEGATIVE_INFINITY,
      ground: `${id} is dead`,
    }
  }
  const loss = lossOf(primary, picture, spec)
  if (loss !== null && isStopped(primary, picture)) {
    return { former: primary, engineId, lastSeen: loss.since, ground: loss.ground, isUnproven: true }
  }
  if (!isUsurped(shard, picture)) return null
  const ground = `${id} was started again by somebody else, and without what its copies have`
  return { former: primary, engineId, lastSeen: Number.NEGATIVE_INFINITY, ground }
}

/** Nothing happens until somebody decides: which is said, with the way to do it. */
export const unproven = (ground: string, objections: readonly string[], name: string): string =>
  `${ground}, and a write that was acknowledged may be on a copy that cannot be read (${objections.join(', ')}): waiting for it. To go on without: "holdfast up ${name} --accept-data-loss"`

function promote(shard: ShardPicture, dead: NodePicture, picture: Picture, spec: Spec): Promotion {
  const asked = lastAsked(shard, dead.engineId, dead.agent?.record?.at ?? Number.NEGATIVE_INFINITY, picture.at)
  if (asked !== undefined)
    return { kind: 'running', step: continueElection(shard, `${dead.id} is dead`, asked, picture) }
  const candidate = failoverCandidate(shard, dead, spec)
  if (candidate !== undefined) {
    const behind = bytesBehind(candidate, dead) ?? 0
    const reason = `${dead.id} (primary of ${shard.id}) is dead, ${candidate.id} is ${behind === 0 ? 'in sync' : `${formatBytes(behind)} behind`}`
    return { kind: 'other', step: ask(candidate, reason, picture) }
  }
  const step = withoutCandidate(shard, dead, picture, spec, (node, reason, notes) => ask(node, reason, picture, notes))
  return { kind: 'other', step }
}

/** What answers as the primary has nothing, and a replica of the one before it has everything. */
function reclaim(shard: ShardPicture, empty: NodePicture, heir: NodePicture, picture: Picture): Promotion {
  const asked = lastAsked(shard, empty.engineId, Number.NEGATIVE_INFINITY, picture.at)
  if (asked !== undefined) return { kind: 'running', step: continueElection(shard, emptied(empty), asked, picture) }
  const keys = `${heir.id} still has ${heir.facts?.keys} keys`
  return { kind: 'other', step: ask(heir, `${emptied(empty)} (primary of ${shard.id}), ${keys}`, picture) }
}

const emptied = ({ id, facts }: NodePicture): string =>
  facts?.keys === 0
    ? `${id} was started again without its data`
    : `${id} was started again by somebody else, with older data`

/** Force while a majority can vote, takeover where none is left. */
function ask(node: NodePicture, reason: string, picture: Picture, notes: readonly PlanNote[] = []): Step {
  const voters = votersOf(picture)
  const mode: FailoverMode = hasMajority(picture) ? 'force' : 'takeover'
  const how =
    mode === 'force' ? 'promoting it' : `${voters.alive} of ${voters.all} voters live, so it takes over without a vote`
  return act(`${reason}: ${how}`, [{ kind: 'failover', node: node.id, mode }], notes)
}

function continueElection(shard: ShardPicture, ground: string, asked: Asked, picture: Picture): Step {
  const { node, mode, at } = asked
  const sinceMs = picture.at - at
  // Another primary may have died since: then no vote can come, and waiting for it would only cost.
  const isHopeless = mode === 'force' && !hasMajority(picture)
  if (sinceMs < voteMs && !isHopeless) {
    return wait(`${node.id} was asked to take over ${shard.id} ${formatDuration(sinceMs)} ago`, pollMs)
  }
  if (node.facts === null) {
    return wait(`${node.id} was asked to take over ${shard.id} and does not answer`, 100)
  }
  const reason = isHopeless
    ? `no majority is left to elect ${node.id}`
    : mode === 'force'
      ? `the voters did not elect ${node.id} within ${voteMs} ms`
      : `${node.id} has not taken over yet`
  return act(`${reason} and ${ground}: ${node.id} takes over without them`, [
    { kind: 'failover', node: node.id, mode: 'takeover' },
  ])
}

/**
 * A primary that only its peers have lost still takes writes of whoever reaches it, and loses them once the engines elect
 * another. It is reached, so it is told to stop first; then its lease is over, and the next turn goes on from there.
 */
function stopCutOff(shard: ShardPicture, picture: Picture, spec: Spec): Promotion | null {
  const { primary } = shard
  const ground = primary === null ? null : cutOff(primary, picture)
  if (primary === null || ground === null || primary.agent === null || primary.agent.fence != null) return null
  const { fit, objections } = heirOfLost(shard, primary, { lostAt: picture.at - spec.timeouts.leaseAfter - 3000 }, spec)
  const [heir] = fit
  if (heir === undefined)
    return { kind: 'other', step: wait(`${ground}; nobody may take over (${objections.join(', ')})`) }
  const actions = [{ kind: 'fence-writes', node: primary.id, reason: 'its peers have lost it' } as const]
  return { kind: 'other', step: act(`${ground}: it shall take no more writes, and ${heir.id} take over`, actions) }
}

/** It is not proven dead: the voters are asked, and nobody takes over without them. */
function succeedLost(shard: ShardPicture, primary: NodePicture, loss: Loss, picture: Picture, spec: Spec): Promotion {
  const { ground } = loss
  const asked = lastAsked(shard, primary.engineId, loss.since, picture.at)
  const told = asked === undefined ? null : electionOf(shard, asked, picture, spec)
  if (told !== null) return { kind: 'running', step: wait(told, pollMs) }
  const { fit, objections } = heirOfLost(shard, primary, loss, spec)
  const [heir] = fit
  if (heir === undefined)
    return { kind: 'other', step: wait(`${ground}; nobody may take over (${objections.join(', ')})`) }
  return { kind: 'other', step: askVoters(heir, `${ground}; ${heir.id} was linked to it until then`, picture) }
}

/** Those that are left do not hear from it. */
const isOutOfReach = (node: NodePicture, picture: Picture): boolean =>
  node.gone || lostHostOf(node, picture) !== null || cutOff(node, picture) !== null

/** By a vote or not at all. One whose host is lost as well has no vote that could be counted on. */
function askVoters(node: NodePicture, reason: string, picture: Picture): Step {
  const lost = picture.owners.filter(({ engineId }) =>
    picture.nodes.some((one) => one.engineId === engineId && isOutOfReach(one, picture)),
  )
  const all = picture.owners.length
  const alive = all - lost.length
  if (alive * 2 <= all)
    return wait(
      `${reason}. ${alive} of ${all} voters are left, which elect nobody: bring a lost host back, or prove its engines dead`,
    )
  return act(`${reason}: promoting it`, [{ kind: 'failover', node: node.id, mode: 'force' }])
}

/** The owner's identity is gone for good, and so is what nobody followed: the fullest follower takes over. */
function succeed(shard: ShardPicture, ghost: string, picture: Picture, spec: Spec): Promotion {
  const dead = `the former primary ${ghost.slice(0, 8)} of ${shard.id}`
  const asked = lastAsked(shard, ghost, Number.NEGATIVE_INFINITY, picture.at)
  if (asked !== undefined) return { kind: 'running', step: continueElection(shard, `${dead} is dead`, asked, picture) }
  const unheard = shard.nodes.filter((node) => (node.gone ? hasCopy(node, spec) : node.facts === null))
  if (unheard.length > 0) {
    const who = unheard.map(({ id }) => id).join(', ')
    return { kind: 'other', step: wait(`${dead} was replaced; ${who} may know more than those who answer`, 100) }
  }
  const heir = heirOf(shard, ghost)
  if (heir === undefined) return { kind: 'other', step: idle }
  const because = `${shard.id}: possible loss, what ${heir.id} lacks of its former primary is not known`
  const note: PlanNote = { kind: 'loss', subject: shard.id, because }
  return { kind: 'other', step: ask(heir, `${dead} was replaced, ${heir.id} followed it`, picture, [note]) }
}

/** Nobody qualifies: its own file, or patience, or the loss is said. `promoteWith` is how a replica is promoted here. */
export function withoutCandidate(
  shard: ShardPicture,
  dead: NodePicture,
  picture: Picture,
  spec: Spec,
  promoteWith: (node: NodePicture, reason: string, notes: readonly PlanNote[]) => Step,
): Step {
  const living = shard.nodes.filter((node) => !node.gone)
  if (living.length === 0) return idle
  const objections = judgeReplicas(shard, dead, spec).flatMap(({ objection }) => objection ?? [])
  const why = `${dead.id} (primary of ${shard.id}) is dead and nobody may take over (${objections.join(', ')})`
  const best = leastLoss(shard, dead)
  // Without a record of its own, the link of who followed it tells since when it is gone.
  const lastSeen = dead.agent?.record?.at ?? picture.at - (best?.facts?.link?.downSeconds ?? 0) * 1000
  const isOverdue = picture.at - lastSeen >= spec.failover.lossAfter
  // Its own file has everything, so it is given up only when it fails to start again and again, for long.
  if (canRestartInPlace(dead, spec) && !(isOverdue && keepsFailing(dead))) return idle
  if (best === undefined) return wait(why)
  const patienceMs = isOnlyHope(best, dead, shard, spec) ? 0 : lastSeen + spec.failover.lossAfter - picture.at
  if (patienceMs > 0) {
    return wait(`${why}: waiting ${formatDuration(patienceMs)} more before accepting loss`, Math.min(patienceMs, 1000))
  }
  const behind = bytesBehind(best, dead)
  const lost = behind === null ? 'an unknown amount' : formatBytes(behind)
  const loss = `${shard.id}: possible loss of ${lost}, promoting ${best.id} since ${dead.id} does not come back`
  return promoteWith(best, loss, [{ kind: 'loss', subject: shard.id, because: loss }])
}

/**
 * It was started from its files because all were down, which its age tells, or that it has lost the history it followed;
 * and nothing comes of waiting: no other copy has files, or those that have stay down until it serves, since the dead
 * primary left none.
 */
function isOnlyHope(best: NodePicture, dead: NodePicture, shard: ShardPicture, spec: Spec): boolean {
  const hasLostHistory = dead.agent?.record != null && !hasHistoryOf(best, dead)
  if (!hasLostHistory && !restartedSince(best, dead)) return false
  const copies = shard.nodes.filter((node) => node !== best && hasCopy(node, spec) && !isLeftover(node))
  return copies.length === 0 || (!copies.includes(dead) && shard.nodes.every((node) => node === best || node.gone))
}

function hasMajority(picture: Picture): boolean {
  const { alive, all } = votersOf(picture)
  return alive * 2 > all
}

/** Who owns slots may vote. One that is merely silent may still do so: only proof of death takes a vote away. */
function votersOf({ owners, nodes }: Picture): { alive: number; all: number } {
  const alive = owners.filter((claim) => nodes.some((node) => !node.gone && node.engineId === claim.engineId))
  return { alive: alive.length, all: owners.length }
}
