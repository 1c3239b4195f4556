/** An incident while it goes on: what is known of it, and what that makes of it. */
import type { Incident, IncidentKind, IncidentStep, Promotion } from './incident.ts'
import type { Look } from './tally.ts'

/** A shorter time in which the probe could not write is counted, and is no incident of its own. */
export const outageMsMin = 250

/** What one incident tells at most: settling may take many turns, and the log has them all. */
const stepsMax = 200

export interface Episode {
  readonly id: string
  readonly beganAt: number
  /** Since when all is well again; null: it is not. */
  readonly calmSince: number | null
  readonly shards: readonly string[]
  readonly because: string
  readonly timeline: readonly IncidentStep[]
  readonly promotions: readonly Promotion[]
  readonly notWritableMs: Readonly<Record<string, number>>
  readonly drill: string | null
  /** Primaries whose process ended, and those that were stopped before. */
  readonly died: readonly string[]
  readonly froze: readonly string[]
  /** Shards that changed hands although their primary was not dead: the engines' own failover, of one that was away. */
  readonly lost: readonly string[]
  /** Nodes that the loop handed a shard over to: the engines then wait for the last byte. */
  readonly handedTo: readonly string[]
  /** Whether data was said to be lost, or perhaps lost. */
  readonly saidLost: boolean
}

/** What it is, by the worst that is known; undefined: nothing that kept anybody from writing. */
export function kindOf(episode: Episode): IncidentKind | undefined {
  if (episode.saidLost) return 'loss'
  if (episode.froze.length > 0) return 'freeze'
  if (episode.died.length > 0) return 'death'
  if (episode.lost.length > 0 || notWritableMsOf(episode) >= outageMsMin) return 'outage'
  return episode.promotions.length > 0 ? 'switchover' : undefined
}

const worst: readonly (IncidentKind | undefined)[] = [undefined, 'switchover', 'outage', 'death', 'freeze', 'loss']

/** Something was learnt. Where that makes it worse than it seemed, its sentence is the one that explains it. */
export function learn(episode: Episode, fact: Partial<Episode>, because: string): Episode {
  const next = { ...episode, ...fact }
  const isWorse = worst.indexOf(kindOf(next)) > worst.indexOf(kindOf(episode))
  return isWorse ? { ...next, because } : next
}

export function addStep(episode: Episode, step: IncidentStep): Episode {
  if (episode.timeline.length >= stepsMax) return episode
  return { ...episode, timeline: [...episode.timeline, step] }
}

/** Time in which the probe could not write. It may have begun before anybody knew why. */
export function addLook(episode: Episode, { shard, from, to }: Look, because: string): Episode {
  const ms = (episode.notWritableMs[shard] ?? 0) + to - from
  const fact = {
    beganAt: Math.min(episode.beganAt, from),
    shards: include(episode.shards, shard),
    notWritableMs: { ...episode.notWritableMs, [shard]: ms },
    calmSince: null,
  }
  return learn(episode, fact, because)
}

/** The public form. What its configuration had to do with it is for whoever has the spec. */
export function incidentOf(deployment: string, episode: Episode, endedAt: number | null): Incident {
  const timeline = endedAt === null ? episode.timeline : episode.timeline.filter(({ at }) => at <= endedAt)
  return {
    id: episode.id,
    deployment,
    kind: kindOf(episode) ?? 'outage',
    beganAt: episode.beganAt,
    endedAt,
    shards: [...episode.shards].sort(),
    because: episode.because,
    timeline: [...timeline].sort((one, other) => one.at - other.at),
    promotions: episode.promotions,
    possiblyLostBytes: possiblyLostBytes(episode),
    madeWorseBy: [],
    notWritableMs: episode.notWritableMs,
    drill: episode.drill,
  }
}

/** Nothing, where nobody took over from anybody; otherwise only as far as both offsets of each promotion are known. */
function possiblyLostBytes(episode: Episode): number | null {
  const { promotions, handedTo, saidLost, died } = episode
  const amounts = promotions.map(({ to, offsetBefore, offsetAfter }) => {
    if (offsetBefore !== null && offsetAfter !== null) return Math.max(0, offsetBefore - offsetAfter)
    return handedTo.includes(to) ? 0 : null
  })
  // Who died and was followed by nobody came back from its own files, and what those lacked is not known.
  const cameBack = died.some((node) => !promotions.some(({ from }) => from === node))
  if (cameBack || (saidLost && promotions.length === 0)) return null
  return amounts.reduce((sum: number | null, one) => (sum === null || one === null ? null : sum + one), 0)
}

const notWritableMsOf = ({ notWritableMs }: Episode): number => Object.values(notWritableMs).reduce((a, b) => a + b, 0)

export const include = (list: readonly string[], one: string): readonly string[] =>
  list.includes(one) ? list : [...list, one]
