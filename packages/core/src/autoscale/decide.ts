/**
 * Whether a deployment should have another size, from a policy and what was measured: one shard a step, and with every
 * answer the rule that gave it and its numbers.
 *
 * Out when CPU or memory was above its threshold in every sample of a time. In when both were below theirs in every
 * sample of a longer one, and what is left stays clear of the thresholds of out. Whatever is not known decides nothing:
 * a sample that is missing is not a quiet one.
 */
import { formatDuration } from '../units.ts'
import { percent } from './percent.ts'
import type { ScalePolicy } from './policy.ts'
import type { LoadSample, LoadWindow, WholeSample } from './window.ts'
import { sumOf, windowOf } from './window.ts'

/** How things are now. */
export interface ScaleState {
  /** By the clock of the samples. */
  readonly now: number
  readonly shards: number
  /** Why nothing may be changed now, in words (`frozenBecause`); null: it may. */
  readonly frozen: string | null
  /** When the last change of the size ended, whoever asked for it; null: never. */
  readonly lastActionEndedAt: number | null
  /** Why there is no room for one more shard, in words; null: there is. */
  readonly noRoom: string | null
}

/** What decided. */
export type ScaleRule =
  | 'frozen' // nothing may be changed now
  | 'cool-down' // the last change has just ended
  | 'below-min' // smaller than the policy allows
  | 'above-max' // larger than the policy allows
  | 'samples' // not enough is known
  | 'cpu' // the main threads are busy
  | 'memory' // the memory is full
  | 'eviction' // a cache evicts what is asked for again
  | 'at-max' // it would grow, and must not
  | 'no-room' // it would grow, and cannot
  | 'both-low' // neither CPU nor memory is used
  | 'at-min' // it would shrink, and must not
  | 'projection' // it would shrink, and the rest would have too much to do
  | 'within' // all is as it should be

export interface ScaleDecision {
  readonly action: 'out' | 'in' | 'none' | 'undecided'
  readonly rule: ScaleRule
  readonly because: string
  readonly shards: { readonly from: number; readonly to: number }
  readonly numbers: ScaleNumbers
}

/** What it was decided by. Null: not known. */
export interface ScaleNumbers {
  /** Over the time of `out`. */
  readonly cpu: Spread | null
  readonly memory: Spread | null
  /** The shard whose primary was busiest over that time. */
  readonly hottest: { readonly shard: string; readonly cpu: number } | null
  /** The share of its samples in which keys were evicted. */
  readonly evicting: number | null
  /** Null also where nobody asked for anything. */
  readonly hitRate: number | null
  /** The samples of both times, and how many there should be. */
  readonly samples: { readonly out: SampleCount; readonly in: SampleCount }
  /** How busy and how full the rest would be without one shard, at the worst of the time of `in`. */
  readonly projected: { readonly cpu: number; readonly memory: number } | null
}

interface Spread {
  readonly min: number
  readonly mean: number
  readonly max: number
}

interface SampleCount {
  readonly present: number
  readonly expected: number
}

/** Evictions go on where there are some in half of the samples. */
const evictingMin = 0.5

export function decideScale(policy: ScalePolicy, samples: readonly LoadSample[], state: ScaleState): ScaleDecision {
  const { now, shards, lastActionEndedAt } = state
  const over = (forMs: number): LoadWindow =>
    windowOf(samples, { now, forMs, everyMs: policy.sampleEveryMs, shards, after: lastActionEndedAt })
  const seen: Seen = { policy, state, out: over(policy.out.forMs), in: over(policy.in.forMs) }
  const verdict = heldBack(seen) ?? sizeVerdict(seen) ?? outVerdict(seen) ?? inVerdict(seen) ?? within(seen)
  const step = verdict.action === 'out' ? 1 : verdict.action === 'in' ? -1 : 0
  return { ...verdict, shards: { from: shards, to: shards + step }, numbers: numbersOf(seen) }
}

/** What whoever carries it out asks for; null: nothing. */
export function scaleWish({ action, because, shards }: ScaleDecision): ScaleWish | null {
  return action === 'out' || action === 'in' ? { shards: shards.to, requestedBy: 'autoscale', because } : null
}

export interface ScaleWish {
  readonly shards: number
  readonly requestedBy: 'autoscale'
  readonly because: string
}

interface Seen {
  readonly policy: ScalePolicy
  readonly state: ScaleState
  readonly out: LoadWindow
  readonly in: LoadWindow
}

type Verdict = Pick<ScaleDecision, 'action' | 'rule' | 'because'>

const none = (rule: ScaleRule, because: string): Verdict => ({ action: 'none', rule, because })

/** The cool-down begins where a change ends: one that takes longer than it would else be followed at once by another. */
function heldBack({ policy, state: { frozen, lastActionEndedAt, now } }: Seen): Verdict | null {
  if (frozen !== null) return none('frozen', `nothing is changed: ${frozen}`)
  if (lastActionEndedAt === null || now - lastActionEndedAt >= policy.coolDownMs) return null
  const left = formatDuration(policy.coolDownMs - (now - lastActionEndedAt))
  const ago = formatDuration(now - lastActionEndedAt)
  return none('cool-down', `the last change ended ${ago} ago: nothing for another ${left}`)
}

/** A size that the policy does not allow is left step by step, whatever is measured; but nobody is overloaded for it. */
function sizeVerdict(seen: Seen): Verdict | null {
  const { policy, state } = seen
  const { min, max } = policy.shards
  const { shards } = state
  if (shards < min) return grow(seen, 'below-min', `${shardsInWords(shards)}, and at least ${min} are wanted`)
  if (shards <= max) return null
  const because = `${shardsInWords(shards)}, and at most ${max} are wanted`
  if (!seen.out.enough) return lacking(seen.out, policy.out.forMs, `${because}; but `)
  return tooMuchForRest(seen, seen.out.samples, because) ?? shrink(seen, 'above-max', because)
}

function outVerdict(seen: Seen): Verdict | null {
  const { policy, out } = seen
  if (!out.enough) return lacking(out, policy.out.forMs)
  const reason = cpuReason(seen) ?? memoryReason(seen)
  return reason === null ? null : grow(seen, reason.rule, reason.because)
}

type Reason = Pick<Verdict, 'rule' | 'because'>

function cpuReason({ policy: { out: limit }, out: { samples } }: Seen): Reason | null {
  const cpu = spreadOf(samples, 'cpu')
  if (cpu.min <= limit.cpuAbove) return null
  const { shard, cpu: most } = hottestOf(samples)
  const measured = `${betweenOf(cpu)}, the mean of ${samples[0]?.cpuByShard.size} primaries; the hottest is ${shard} with ${percent(most)}`
  return {
    rule: 'cpu',
    because: `CPU above ${percent(limit.cpuAbove)} for ${formatDuration(limit.forMs)} (${measured})`,
  }
}

function memoryReason({ policy, out: { samples } }: Seen): Reason | null {
  const { out: limit, fullByDesign, hitRateTarget } = policy
  const memory = spreadOf(samples, 'memory')
  if (memory.min <= limit.memoryAbove) return null
  const full = `memory above ${percent(limit.memoryAbove)} for ${formatDuration(limit.forMs)} (${betweenOf(memory)})`
  if (!fullByDesign) return { rule: 'memory', because: full }
  const rate = hitRateOf(samples)
  if (evictingOf(samples) < evictingMin || rate === null || rate >= hitRateTarget) return null
  return {
    rule: 'eviction',
    because: `${full}, it evicts, and its hit rate of ${percent(rate)} is below ${percent(hitRateTarget)}`,
  }
}

function inVerdict(seen: Seen): Verdict | null {
  const { policy, state } = seen
  const { bothBelow, forMs } = policy.in
  if (!areBelow(seen.out.samples, bothBelow)) return null
  if (!seen.in.enough) return lacking(seen.in, forMs, 'CPU and memory are low; but ')
  const { samples } = seen.in
  if (!areBelow(samples, bothBelow)) return null
  const measured = `CPU ${betweenOf(spreadOf(samples, 'cpu'))}, memory ${betweenOf(spreadOf(samples, 'memory'))}`
  const because = `CPU and memory below ${percent(bothBelow)} for ${formatDuration(forMs)} (${measured})`
  if (state.shards <= policy.shards.min)
    return none('at-min', `${because}; but ${shardsInWords(state.shards)} are the fewest that are wanted`)
  return tooMuchForRest(seen, samples, because) ?? shrink(seen, 'both-low', because)
}

const areBelow = (samples: readonly WholeSample[], limit: number): boolean =>
  samples.every((sample) => sample.cpu < limit && sample.memory < limit)

function within({ policy, out: { samples } }: Seen): Verdict {
  const cpu = `CPU ${betweenOf(spreadOf(samples, 'cpu'))}`
  const memory = spreadOf(samples, 'memory')
  const isFull = policy.fullByDesign && memory.min > policy.out.memoryAbove
  const rate = hitRateOf(samples)
  const hit = rate === null ? 'nobody reads' : `its hit rate is ${percent(rate)}`
  const why = `: a cache that evicts is full by design, and ${evictingOf(samples) < evictingMin ? 'it does not evict now' : hit}`
  return none('within', `nothing to do: ${cpu}, memory ${betweenOf(memory)}${isFull ? why : ''}`)
}

function grow({ policy, state }: Seen, rule: ScaleRule, because: string): Verdict {
  const { shards, noRoom } = state
  if (shards >= policy.shards.max)
    return none('at-max', `${because}; but ${shardsInWords(shards)} are the most that are wanted`)
  if (noRoom !== null) return none('no-room', `${because}; but there is no room for ${oneOf(policy)} more: ${noRoom}`)
  return { action: 'out', rule, because: `${because}: ${oneOf(policy)} more, ${shards} to ${shards + 1} shards` }
}

function shrink({ policy, state: { shards } }: Seen, rule: ScaleRule, because: string): Verdict {
  return { action: 'in', rule, because: `${because}: ${oneOf(policy)} less, ${shards} to ${shards - 1} shards` }
}

/** What one shard less would mean for the others; null where they can bear it. */
function tooMuchForRest(
  { policy, state: { shards } }: Seen,
  samples: readonly WholeSample[],
  because: string,
): Verdict | null {
  const { cpu, memory } = projectedOn(samples, shards)
  const limit = { cpu: policy.out.cpuAbove - policy.margin, memory: policy.out.memoryAbove - policy.margin }
  const isFine = { cpu: cpu < limit.cpu, memory: memory < limit.memory }
  if (isFine.cpu && isFine.memory) return null
  const [what, much, most] = isFine.cpu ? ['memory', memory, limit.memory] : ['CPU', cpu, limit.cpu]
  const then = `on ${shards - 1} shards ${what} would be at ${percent(much)}`
  return none('projection', `${because}; but ${then}, not below ${percent(most)}`)
}

/** All that there is on one shard less, at the worst of the time. */
function projectedOn(samples: readonly WholeSample[], shards: number): { cpu: number; memory: number } {
  const factor = shards / Math.max(1, shards - 1)
  return { cpu: spreadOf(samples, 'cpu').max * factor, memory: spreadOf(samples, 'memory').max * factor }
}

function lacking({ samples, expected }: LoadWindow, forMs: number, before = ''): Verdict {
  const because = `${before}of the last ${formatDuration(forMs)} there are ${samples.length} of ${expected} samples: too few to say`
  return { action: 'undecided', rule: 'samples', because }
}

function numbersOf({ out, in: into, state }: Seen): ScaleNumbers {
  const { samples } = out
  const isKnown = samples.length > 0
  return {
    cpu: isKnown ? spreadOf(samples, 'cpu') : null,
    memory: isKnown ? spreadOf(samples, 'memory') : null,
    hottest: isKnown ? hottestOf(samples) : null,
    evicting: isKnown ? evictingOf(samples) : null,
    hitRate: hitRateOf(samples),
    samples: { out: countOf(out), in: countOf(into) },
    projected: into.enough && state.shards > 1 ? projectedOn(into.samples, state.shards) : null,
  }
}

const countOf = ({ samples, expected }: LoadWindow): SampleCount => ({ present: samples.length, expected })

function spreadOf(samples: readonly WholeSample[], field: 'cpu' | 'memory'): Spread {
  let [min, sum, max] = [Number.POSITIVE_INFINITY, 0, 0]
  for (const { [field]: value } of samples) {
    min = Math.min(min, value)
    max = Math.max(max, value)
    sum += value
  }
  return { min, mean: sum / samples.length, max }
}

/** `72%` where it does not move, else `71% to 84%`. */
const betweenOf = ({ min, max }: Spread): string =>
  percent(min) === percent(max) ? percent(min) : `${percent(min)} to ${percent(max)}`

/** By its mean over the time: one that was busy for a moment is not the hottest. Of equals the first. */
function hottestOf(samples: readonly WholeSample[]): { shard: string; cpu: number } {
  const sums = new Map<string, number>()
  for (const { cpuByShard } of samples)
    for (const [shard, cpu] of cpuByShard) sums.set(shard, (sums.get(shard) ?? 0) + cpu)
  const [shard, sum] = [...sums].reduce((most, one) => (one[1] > most[1] ? one : most))
  return { shard, cpu: sum / samples.length }
}

const evictingOf = (samples: readonly WholeSample[]): number =>
  samples.filter(({ evicted }) => evicted > 0).length / samples.length

function hitRateOf(samples: readonly WholeSample[]): number | null {
  const [hits, misses] = [sumOf(samples, (sample) => sample.hits), sumOf(samples, (sample) => sample.misses)]
  return hits + misses === 0 ? null : hits / (hits + misses)
}

const shardsInWords = (count: number): string => `${count} shards`

/** What a step adds or takes away. */
function oneOf({ copies }: ScalePolicy): string {
  return copies === 2 ? 'one pair' : copies === 1 ? 'one primary' : `one shard of ${copies} nodes`
}
