/**
 * Incidents out of what is told anyway: each turn's status, the events, and the looks of the probe, in the order in
 * which they come. A fold, and its state is plain data, so a controller that takes over goes on where the last one was.
 *
 * An incident begins when a primary dies, freezes or changes, when data is said to be lost, or when the probe could not
 * write for a while. It ends when the deployment is ready again and the probe can write to every shard, and stays so
 * for a moment: what flaps is one incident. Only statuses of a controller that holds the lease count. What somebody
 * wanted, as taking a deployment down, is none.
 */
import { describeAction } from '../action.ts'
import type { HoldfastEvent } from '../event.ts'
import type { ShardStatus, Status } from '../status.ts'
import type { Episode } from './episode.ts'
import { addLook, addStep, incidentOf, include, kindOf, learn, outageMsMin } from './episode.ts'
import type { Incident, IncidentStep } from './incident.ts'
import type { Sight } from './sight.ts'
import { promotionOf, sightOf } from './sight.ts'
import type { Look } from './tally.ts'

export type Clue =
  | { readonly kind: 'event'; readonly event: HoldfastEvent }
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'look'; readonly look: Look }

/** Quiet for so long, and it is over. */
const lingerMs = 2000
/** How long what was seen just before may turn out to belong to what begins now. */
const beforeMs = 2000
/** How long after a fault was healed what begins still counts as its work. */
const faultEchoMs = 5000
/** A fault whose end nobody told: one that kills has none. */
const faultMsMax = 60_000
/** A shard of which the probe has said nothing for so long is not known to be away any more. */
const silentProbeMs = 30_000
const recentMax = 60

interface Fault {
  readonly id: string
  readonly step: IncidentStep
  /** When it was told again, as healed. */
  readonly overAt: number | null
}

export interface Gathering {
  readonly deployment: string
  /** The last event that is in it. */
  readonly seq: number
  /** It was ready since it was last wanted up: from then on, what is not well is an incident. */
  readonly wasReady: boolean
  readonly isReady: boolean
  readonly sights: Readonly<Record<string, Sight>>
  readonly faults: readonly Fault[]
  /** When the turn under way said something: its status, which shows why, comes a moment later. */
  readonly turnAt: number | null
  /** The last events, and the last times in which the probe could not write: what begins may have begun with them. */
  readonly recent: readonly IncidentStep[]
  readonly unclaimed: readonly Look[]
  /** Shards that the probe cannot write to now. */
  readonly out: Readonly<Record<string, { readonly ms: number; readonly until: number }>>
  readonly open: Episode | null
}

export interface Gathered {
  readonly gathering: Gathering
  /** What this clue brought to its end. */
  readonly ended: readonly Incident[]
}

export const nothingGathered = (deployment: string): Gathering => ({
  deployment,
  seq: 0,
  wasReady: false,
  isReady: false,
  sights: {},
  faults: [],
  turnAt: null,
  recent: [],
  unclaimed: [],
  out: {},
  open: null,
})

export function gather(before: Gathering, clue: Clue): Gathered {
  switch (clue.kind) {
    case 'event':
      return { gathering: hear(before, clue.event), ended: [] }
    case 'look':
      return { gathering: settle(watch(before, clue.look), clue.look.to), ended: [] }
    case 'status':
      return see(before, clue.status)
    default:
      return clue satisfies never
  }
}

/** The incident that goes on, if one does. One that is only waiting to be over has its end already. */
export const openIncident = ({ deployment, open }: Gathering): Incident | null =>
  open === null || kindOf(open) === undefined ? null : incidentOf(deployment, open, open.calmSince)

/** An event is a sentence for the timeline; only a loss, a hand-over and a fault are facts by themselves. */
function hear(before: Gathering, event: HoldfastEvent): Gathering {
  if (event.seq <= before.seq || event.deployment !== before.deployment) return before
  const step: IncidentStep = { at: event.at, seq: event.seq, because: event.because }
  const turnAt = event.kind === 'turn' ? event.at : before.turnAt
  let now: Gathering = { ...before, seq: event.seq, turnAt, recent: [...before.recent, step].slice(-recentMax) }
  if (now.open !== null) now = { ...now, open: addStep(now.open, step) }
  if (event.kind === 'drill') return hearOfFault(now, event, step)
  if (event.kind === 'loss' && now.wasReady) {
    now = begin(now, event.at, event.because)
    return mark(now, event.because, (open) => ({ saidLost: true, shards: include(open.shards, event.subject) }))
  }
  const handOver = describeAction({ kind: 'failover', node: event.subject, mode: 'switchover' })
  if (event.kind === 'action' && event.because === handOver && now.wasReady) {
    now = begin(now, event.at, event.because)
    return mark(now, event.because, ({ handedTo }) => ({ handedTo: include(handedTo, event.subject) }))
  }
  return now
}

/** The first event of a fault says that it is there, the next one that it is healed. */
function hearOfFault(now: Gathering, { at, seq, cause }: HoldfastEvent, step: IncidentStep): Gathering {
  const id = cause ?? String(seq)
  const known = now.faults.find((fault) => fault.id === id)
  const fault = known === undefined ? { id, step, overAt: null } : { ...known, overAt: at }
  const faults = [...now.faults.filter((one) => one.id !== id), fault].slice(-10)
  const { open } = now
  // Whoever injects it may say so a moment later than the world shows it, and where he died of it, much later.
  const sinceMs = open === null ? Number.POSITIVE_INFINITY : at - open.beganAt
  if (open === null || known !== undefined || sinceMs > beforeMs || sinceMs < -faultMsMax) return { ...now, faults }
  // The one before it was not it, then.
  const former = now.faults.find((one) => one.id === open.drill)
  const timeline = open.timeline.filter((one) => former === undefined || one.seq !== former.step.seq)
  return { ...now, faults, open: { ...open, drill: id, timeline } }
}

function watch(before: Gathering, look: Look): Gathering {
  const { shard, from, to, writable } = look
  const { [shard]: streak, ...others } = before.out
  if (writable) return { ...before, out: others }
  const ms = (streak?.ms ?? 0) + to - from
  const now = { ...before, out: { ...before.out, [shard]: { ms, until: to } } }
  const because = `the probe could not write to ${shard}`
  if (now.open !== null) return { ...now, open: addLook(now.open, look, because) }
  const unclaimed = [...now.unclaimed, look].filter((one) => one.to > to - silentProbeMs).slice(-recentMax)
  const waiting = { ...now, unclaimed }
  // What the loop or the probe just said explains it better than we could.
  const said = before.recent.findLast((step) => step.at >= from)?.because
  return ms >= outageMsMin && before.wasReady ? begin(waiting, from, said ?? because, from) : waiting
}

function see(before: Gathering, status: Status): Gathered {
  if (status.controller.lease !== 'held' || status.name !== before.deployment) return { gathering: before, ended: [] }
  // What the turn said of itself was written a moment after it looked, and belongs to it.
  const saidAt = before.recent.at(-1)?.at ?? 0
  const at = saidAt - status.observedAt < lingerMs / 2 ? Math.max(saidAt, status.observedAt) : status.observedAt
  if (status.wanted === 'down') return close({ ...before, wasReady: false, isReady: false, sights: {}, out: {} }, at)
  const shards = new Set(status.shards.map(({ id }) => id))
  const out = Object.fromEntries(
    Object.entries(before.out).filter(([shard, { until }]) => shards.has(shard) && until > at - silentProbeMs),
  )
  let now: Gathering = { ...before, out, isReady: status.ready === 'yes' }
  for (const shard of status.shards) now = seeShard(now, shard, status)
  now = settle({ ...now, turnAt: null, wasReady: now.wasReady || now.isReady }, at)
  const calmSince = now.open?.calmSince ?? null
  return calmSince !== null && at - calmSince >= lingerMs ? close(now, calmSince) : { gathering: now, ended: [] }
}

/** One shard against how it was last seen. */
function seeShard(before: Gathering, shard: ShardStatus, status: Status): Gathering {
  const was = before.sights[shard.id]
  const nodes = status.nodes.filter((node) => node.shard === shard.id)
  const now = was === undefined || !before.wasReady ? before : compare(before, shard, was, status)
  const sight = sightOf(shard, was, nodes)
  return sight === undefined ? now : { ...now, sights: { ...now.sights, [shard.id]: sight } }
}

function compare(before: Gathering, shard: ShardStatus, was: Sight, status: Status): Gathering {
  const former = status.nodes.find(({ id }) => id === was.primary)
  const successor = shard.primary === was.primary ? null : shard.primary
  const hasDied = former?.state === 'dead' || (was.pid !== null && former?.pid != null && former.pid !== was.pid)
  const isFrozen = former?.state === 'frozen'
  if (!hasDied && !isFrozen && successor === null) return before
  // A loop that is content explains nothing: then it happened while nobody looked.
  const change =
    successor === null ? `${was.primary} was restarted` : `${successor} is primary of ${shard.id}, was ${was.primary}`
  const because = status.ready === 'yes' ? change : status.because
  const known = before.open
  const isNews =
    successor !== null ||
    (hasDied && known?.died.includes(was.primary) !== true) ||
    (isFrozen && known?.froze.includes(was.primary) !== true)
  if (!isNews) return before
  const since = isFrozen ? (former.seenAt ?? undefined) : undefined
  return mark(begin(before, status.observedAt, because, since), because, (open) => ({
    shards: include(open.shards, shard.id),
    died: hasDied ? include(open.died, was.primary) : open.died,
    froze: isFrozen ? include(open.froze, was.primary) : open.froze,
    lost: successor !== null && !hasDied && !was.well ? include(open.lost, shard.id) : open.lost,
    promotions: successor === null ? open.promotions : [...open.promotions, promotionOf(shard.id, was, successor)],
  }))
}

/**
 * Opens an incident, unless one is. It began with the first sign of it: what the probe could not do and what was said
 * in the moments before belongs to it.
 */
function begin(before: Gathering, at: number, because: string, since = at): Gathering {
  if (before.open !== null) return { ...before, open: reachBack(before.open, before.recent, since) }
  const first = Math.min(since, before.turnAt ?? since)
  const claimed = before.unclaimed.filter(({ to }) => to >= first - beforeMs)
  const beganAt = Math.min(first, ...claimed.map(({ from }) => from))
  const fault = before.faults.findLast((one) => isAtWork(one, beganAt, at))
  const said = before.recent.filter(({ at: saidAt, seq }) => saidAt >= beganAt && seq !== fault?.step.seq)
  // One fault may lead to several incidents, so its own event names none of them.
  const [step = { at, seq: null, because }] = said
  const empty: Episode = {
    id: `${before.deployment}-${step.seq ?? beganAt}`,
    beganAt,
    calmSince: null,
    shards: [],
    because,
    timeline: [...(fault === undefined ? [] : [fault.step]), step, ...said.slice(1)],
    promotions: [],
    notWritableMs: {},
    drill: fault?.id ?? null,
    died: [],
    froze: [],
    lost: [],
    handedTo: [],
    saidLost: false,
  }
  const open = claimed.reduce((episode, look) => addLook(episode, look, because), empty)
  return { ...before, open, unclaimed: [] }
}

/** An incident that turns out to have begun sooner. Its name stays. */
function reachBack(open: Episode, recent: readonly IncidentStep[], since: number): Episode {
  if (since >= open.beganAt) return open
  const earlier = recent.filter(({ at, seq }) => at >= since && !open.timeline.some((step) => step.seq === seq))
  return { ...open, beganAt: since, timeline: [...earlier, ...open.timeline] }
}

const isAtWork = ({ step, overAt }: Fault, beganAt: number, now: number): boolean =>
  step.at <= now && (overAt === null ? beganAt - step.at < faultMsMax : beganAt - overAt < faultEchoMs)

function mark(before: Gathering, because: string, fact: (open: Episode) => Partial<Episode>): Gathering {
  const { open } = before
  return open === null ? before : { ...before, open: learn(open, { ...fact(open), calmSince: null }, because) }
}

/** Whether all is well, and since when. */
function settle(before: Gathering, at: number): Gathering {
  const { open, isReady, out } = before
  if (open === null) return before
  const calm = isReady && Object.keys(out).length === 0
  const calmSince = calm ? (open.calmSince ?? Math.max(at, open.beganAt)) : null
  return calmSince === open.calmSince ? before : { ...before, open: { ...open, calmSince } }
}

/** What turned out to have kept nobody from anything is forgotten. */
function close(before: Gathering, endedAt: number): Gathered {
  const { open, deployment } = before
  // What was told of this one is not told of the next.
  const gathering = { ...before, open: null, recent: open === null ? before.recent : [] }
  if (open === null || kindOf(open) === undefined) return { gathering, ended: [] }
  return { gathering, ended: [incidentOf(deployment, open, Math.max(endedAt, open.beganAt))] }
}
