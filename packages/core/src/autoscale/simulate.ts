/**
 * What a policy would have done: a trace is played against a model of the deployment, moment by moment, by the same
 * function that decides about a real one.
 *
 * The model: load is shared out evenly among the shards that there are, CPU and data alike. A change takes its time, and
 * the smaller of both sizes counts until it is over. A main thread has no more than one core and a node no more than its
 * `maxmemory`; what is above that is evicted. Hits and misses are those of the trace, whatever the size: how much better
 * a larger cache would have done, no trace knows.
 */
import { HoldfastError } from '../error.ts'
import { formatDuration } from '../units.ts'
import type { ScaleDecision } from './decide.ts'
import { decideScale } from './decide.ts'
import type { ScalePolicy } from './policy.ts'
import type { Load, Trace } from './trace.ts'
import type { LoadSample } from './window.ts'
import { withSample } from './window.ts'

export interface SimulationTerms {
  readonly policy: ScalePolicy
  readonly trace: Trace
  /** How long a change takes, from the decision to its end. */
  readonly actionMs: number
  /** How many there are at first. Default: as many as the trace was measured on. */
  readonly shards?: number
}

export interface Simulation {
  /** With the pace of the trace. */
  readonly policy: ScalePolicy
  readonly points: readonly SimulatedPoint[]
  /** Those that say something else than the one before, the latest thousand; `droppedDecisions` came before them. */
  readonly decisions: readonly SimulatedDecision[]
  readonly droppedDecisions: number
  readonly summary: SimulationSummary
}

export interface SimulatedPoint {
  readonly at: number
  /** What carries the load. */
  readonly shards: number
  readonly cpu: number | null
  readonly memory: number | null
  /** What was begun here. */
  readonly step: 'out' | 'in' | null
}

export interface SimulatedDecision extends ScaleDecision {
  readonly at: number
}

export interface SimulationSummary {
  readonly outs: number
  readonly ins: number
  readonly shardsMin: number
  readonly shardsMax: number
  /** How long CPU or memory was above the threshold of `out`; memory not where the cache is full by design. */
  readonly aboveMs: number
  /** How long too little was known. */
  readonly undecidedMs: number
  readonly totalMs: number
}

const decisionsMax = 1000

/** Throws USAGE where the trace is too coarse for the policy. */
export function simulateScale({ policy: wished, trace, actionMs, shards }: SimulationTerms): Simulation {
  const policy = { ...wished, sampleEveryMs: trace.everyMs }
  const shortest = Math.min(policy.out.forMs, policy.in.forMs)
  if (trace.everyMs * 3 > shortest) {
    const pace = `one moment each ${formatDuration(trace.everyMs)}`
    throw new HoldfastError('USAGE', `${pace} says nothing about ${formatDuration(shortest)}: three of them at least`)
  }
  const world = new World(policy, actionMs, shards ?? trace.loads[0]?.shards ?? policy.shards.min)
  const points = trace.loads.map((load) => world.live(load))
  const decisions = world.decisions.slice(-decisionsMax)
  const droppedDecisions = world.decisions.length - decisions.length
  return { policy, points, decisions, droppedDecisions, summary: summaryOf(points, world.undecided, policy) }
}

/** The deployment of the model, and what is known of it. */
class World {
  readonly decisions: SimulatedDecision[] = []
  /** How often too little was known. */
  undecided = 0
  readonly #policy: ScalePolicy
  readonly #actionMs: number
  #shards: number
  #change: { readonly to: number; readonly endsAt: number } | null = null
  #lastActionEndedAt: number | null = null
  #samples: readonly LoadSample[] = []

  constructor(policy: ScalePolicy, actionMs: number, shards: number) {
    this.#policy = policy
    this.#actionMs = actionMs
    this.#shards = shards
  }

  live(load: Load): SimulatedPoint {
    const { at } = load
    if (this.#change !== null && at >= this.#change.endsAt) {
      this.#shards = this.#change.to
      this.#lastActionEndedAt = this.#change.endsAt
      this.#change = null
    }
    const carrying = Math.min(this.#shards, this.#change?.to ?? this.#shards)
    const sample = sampleAt(load, carrying)
    const keepMs = Math.max(this.#policy.out.forMs, this.#policy.in.forMs) + this.#policy.sampleEveryMs
    this.#samples = withSample(this.#samples, sample, {
      keepMs,
      countMax: Math.ceil(keepMs / this.#policy.sampleEveryMs) + 1,
    })
    const decision = this.#decide(at)
    const step = decision.action === 'out' || decision.action === 'in' ? decision.action : null
    if (step !== null) this.#change = { to: decision.shards.to, endsAt: at + this.#actionMs }
    const [one] = sample.shards
    return { at, shards: carrying, cpu: one?.cpu ?? null, memory: one?.memoryBytes ?? null, step }
  }

  #decide(at: number): ScaleDecision {
    const frozen = this.#change === null ? null : `${this.#shards} shards become ${this.#change.to}`
    const decision = decideScale(this.#policy, this.#samples, {
      now: at,
      shards: this.#shards,
      frozen,
      lastActionEndedAt: this.#lastActionEndedAt,
      noRoom: null,
    })
    if (decision.action === 'undecided') this.undecided++
    const last = this.decisions.at(-1)
    const isNews = last === undefined || last.rule !== decision.rule || last.action !== decision.action
    if (isNews) this.decisions.push({ at, ...decision })
    return decision
  }
}

/** A node's memory is 1 here: only shares count. */
function sampleAt(
  { at, shards: measuredOn, cores, nodesFull, evicted, hits, misses }: Load,
  shards: number,
): LoadSample {
  const full = nodesFull === null ? null : nodesFull / shards
  const overflow = full !== null && full > 1
  const load = {
    cpu: cores === null ? null : Math.min(1, cores / shards),
    memoryBytes: full === null ? null : Math.min(1, full),
    memoryMaxBytes: 1,
    evicted: evicted === null ? null : overflow ? Math.max(1, evicted) : shards <= measuredOn ? evicted : 0,
    hits: hits === null ? null : hits / shards,
    misses: misses === null ? null : misses / shards,
  }
  const ids = Array.from({ length: shards }, (_, index) => `shard-${index + 1}`)
  return { at, shards: ids.map((shard) => ({ shard, primary: shard, ...load })) }
}

function summaryOf(points: readonly SimulatedPoint[], undecided: number, policy: ScalePolicy): SimulationSummary {
  const sizes = points.map(({ shards }) => shards)
  const every = policy.sampleEveryMs
  const [first, last] = [points[0], points.at(-1)]
  return {
    outs: points.filter(({ step }) => step === 'out').length,
    ins: points.filter(({ step }) => step === 'in').length,
    shardsMin: sizes.reduce((least, size) => Math.min(least, size), Number.POSITIVE_INFINITY),
    shardsMax: sizes.reduce((most, size) => Math.max(most, size), 0),
    aboveMs: points.filter((point) => isAbove(point, policy)).length * every,
    undecidedMs: undecided * every,
    totalMs: (last?.at ?? 0) - (first?.at ?? 0) + every,
  }
}

/** Whether a point has too much to do. */
export const isAbove = ({ cpu, memory }: SimulatedPoint, { out, fullByDesign }: ScalePolicy): boolean =>
  (cpu !== null && cpu > out.cpuAbove) || (!fullByDesign && memory !== null && memory > out.memoryAbove)
