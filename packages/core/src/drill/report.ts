/** What a drill found, as one value: printed, given to programs and drawn as a page, all from the same figures. */
import type { HoldfastEvent } from '../event.ts'
import type { IncidentStep, Promotion } from '../ledger/incident.ts'
import type { PromisingSpec } from './bounds.ts'
import type { CheckResult, EvictedWrites } from './check.ts'
import type { FaultName } from './fault.ts'
import type { ClientKind, DrillOperation } from './operation.ts'
import { clientKinds } from './operation.ts'
import type { Outage } from './outage.ts'
import { outagesOf } from './outage.ts'
import type { Pace } from './pace.ts'
import { paceOf } from './pace.ts'
import type { Promised, Verdict } from './promise.ts'
import { judge } from './promise.ts'
import type { Share } from './shares.ts'
import { sharesOf } from './shares.ts'

export interface DrillReport {
  readonly apiVersion: 1
  readonly id: string
  readonly deployment: string
  readonly fault: FaultName
  /** What was done, on whom, for how long. */
  readonly what: string
  /** On whom it fell; empty where it was on no node. */
  readonly targets: readonly HitNode[]
  /** "redis 7.0.15; 3 shards of 2 copies; persistence hybrid; class cache". */
  readonly shape: string
  /** Wall clock, ms since 1970: first write, fault, heal, ready again, last write. */
  readonly beganAt: number
  readonly faultAt: number
  readonly healedAt: number | null
  readonly readyAt: number | null
  readonly endedAt: number
  /** Why it ended before its time; null: it did not. */
  readonly cutShort: string | null
  readonly verdict: Verdict
  readonly promises: readonly Promised[]
  readonly outages: readonly Outage[]
  readonly shares: readonly Share[]
  readonly promotions: readonly Promotion[]
  readonly writes: WritesFound
  readonly timeline: readonly IncidentStep[]
  readonly pace: Pace
  /** What a reader must know beside the figures. */
  readonly notes: readonly string[]
}

export interface HitNode {
  readonly node: string
  readonly shard: string
}

export interface WritesFound {
  readonly acknowledged: number
  readonly failed: number
  readonly indeterminate: number
  /** Of the indeterminate ones: done after all. */
  readonly indeterminateDone: number
  readonly lost: number
  readonly lostBy: Readonly<Partial<Record<ClientKind, number>>>
  /** When the first and the last lost write was acknowledged, ms after the fault; null: none is lost. */
  readonly lostFromMs: number | null
  readonly lostToMs: number | null
  /** The first twenty. */
  readonly lostFirst: readonly {
    readonly client: ClientKind
    readonly shard: string
    readonly key: string
    readonly ackedMs: number
    readonly found: string
  }[]
  readonly unread: number
  readonly differing: number
  readonly copiesRead: number
  /** Called failed, and done all the same. */
  readonly misjudged: number
  readonly evicted: readonly EvictedWrites[]
}

/** All that was seen of one drill. */
export interface DrillFacts {
  readonly id: string
  readonly deployment: string
  readonly fault: FaultName
  readonly what: string
  readonly targets: readonly HitNode[]
  readonly shape: string
  readonly spec: PromisingSpec
  readonly beganAt: number
  readonly faultAt: number
  readonly healedAt: number | null
  readonly readyAt: number | null
  readonly endedAt: number
  readonly waitedMs: number
  /** A frozen engine of a shard that was hit had been killed less than ten minutes before. */
  readonly fenceSpent: boolean
  readonly cutShort: string | null
  readonly operations: readonly DrillOperation[]
  readonly check: CheckResult
  readonly promotions: readonly Promotion[]
  readonly events: readonly HoldfastEvent[]
  readonly gap: string | null
  readonly notes: readonly string[]
}

export function reportOf(facts: DrillFacts): DrillReport {
  const { id, deployment, fault, what, targets, shape, beganAt, faultAt, healedAt, readyAt, endedAt, cutShort } = facts
  const { operations, check, promotions, events, spec, waitedMs, fenceSpent, gap, notes } = facts
  const outages = outagesOf(operations, { faultAt, until: endedAt })
  const lastedMs = (healedAt ?? endedAt) - faultAt
  const readyAfterMs = readyAt === null ? null : Math.max(0, readyAt - (healedAt ?? faultAt))
  const judged = judge({ fault, spec, faultAt, lastedMs, fenceSpent, check, outages, readyAfterMs, waitedMs, gap })
  const promoted = promotions.filter(({ shard }, at) => promotions.findIndex((one) => one.shard === shard) === at)
  return {
    apiVersion: 1,
    id,
    deployment,
    fault,
    what,
    targets,
    shape,
    beganAt,
    faultAt,
    healedAt,
    readyAt,
    endedAt,
    cutShort,
    ...judged,
    outages: ordered(outages, targets),
    shares: sharesOf({ faultAt, promoted, events, operations }),
    promotions,
    writes: writesFound(check, faultAt),
    timeline: timelineOf(events, beganAt),
    pace: paceOf(operations, beganAt, endedAt),
    notes: [...notes, ...notesOn(facts)],
  }
}

/** The shards that were hit first, then by name; in each the clients as they are listed everywhere. */
function ordered(outages: readonly Outage[], targets: readonly HitNode[]): Outage[] {
  const isHit = (shard: string): number => (targets.some((target) => target.shard === shard) ? 0 : 1)
  const numberOf = (shard: string): number => Number(shard.replace(/^shard-/, ''))
  const placeOf = ({ shard, client }: Outage) => [isHit(shard), numberOf(shard), clientKinds.indexOf(client)] as const
  return [...outages].sort((a, b) => {
    const [x, y] = [placeOf(a), placeOf(b)]
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2]
  })
}

const listedMax = 20

function writesFound(check: CheckResult, faultAt: number): WritesFound {
  const lost = [...check.lost].sort((a, b) => a.operation.endedAt - b.operation.endedAt)
  const sinceFault = (at: number | undefined): number | null => (at === undefined ? null : Math.round(at - faultAt))
  const lostBy: Partial<Record<ClientKind, number>> = {}
  for (const { operation } of lost) lostBy[operation.client] = (lostBy[operation.client] ?? 0) + 1
  return {
    acknowledged: check.acknowledged,
    failed: check.failed,
    indeterminate: check.indeterminate,
    indeterminateDone: check.indeterminateDone,
    lost: lost.length,
    lostBy,
    lostFromMs: sinceFault(lost[0]?.operation.endedAt),
    lostToMs: sinceFault(lost.at(-1)?.operation.endedAt),
    lostFirst: lost.slice(0, listedMax).map(({ operation: { client, shard, key, endedAt }, found }) => {
      return { client, shard, key, ackedMs: Math.round(endedAt - faultAt), found }
    }),
    unread: check.unread.length,
    differing: check.differing.length,
    copiesRead: check.copiesRead,
    misjudged: check.misjudged.length,
    evicted: check.evicted,
  }
}

const stepsMax = 200

function timelineOf(events: readonly HoldfastEvent[], beganAt: number): IncidentStep[] {
  const since = events.filter(({ at }) => at >= beganAt).sort((a, b) => a.at - b.at || a.seq - b.seq)
  // The beginning explains an outage; what is left out is said by the gap in the numbers.
  return since.slice(0, stepsMax).map(({ at, seq, because }) => ({ at, seq, because }))
}

function notesOn({ check, operations }: DrillFacts): string[] {
  const foreign = check.misjudged.filter(({ client }) => client !== 'cache' && client !== 'durable').length
  const refusals = firstWords(operations)
  return [
    ...(foreign === 0
      ? []
      : [`${foreign} writes of ioredis were answered with an error, and are there all the same: it tried them twice`]),
    ...(refusals.length === 0 ? [] : [`what clients were told: ${refusals.join('; ')}`]),
  ]
}

const saidMax = 5

/** The different things that clients were told, the most frequent first. */
function firstWords(operations: readonly DrillOperation[]): string[] {
  const times = new Map<string, number>()
  for (const { client, outcome, said } of operations) {
    if (outcome === 'ok') continue
    const sentence = `${client}: ${said ?? 'nothing'}`
    times.set(sentence, (times.get(sentence) ?? 0) + 1)
  }
  const byTimes = [...times].sort((a, b) => b[1] - a[1])
  return byTimes.slice(0, saidMax).map(([sentence, count]) => `${sentence} (${count} times)`)
}
