/** Days of load, each a pure function of its seed, and what an ideal policy would make of them. */
import type { Load, ScalePolicy, Trace } from '../../src/index.ts'

export const everyMs = 10_000
const dayMs = 86_400_000
const minute = 60_000
const hour = 60 * minute

/** A small generator of numbers from 0 to 1 (mulberry32): the same seed, the same day. */
function numbersFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

type Shape = (at: number, next: () => number) => { readonly cores: number; readonly nodesFull: number }

/** A day of a shape, measured on three primaries; each number is a little off, as measured ones are. */
function dayOf(shape: Shape, seed: number): Trace {
  const next = numbersFrom(seed)
  const loads = Array.from({ length: dayMs / everyMs }, (_, index): Load => {
    const at = (index + 1) * everyMs
    const { cores, nodesFull } = shape(at, next)
    const noise = 1 + (next() - 0.5) * 0.02
    return { at, shards: 3, cores: cores * noise, nodesFull, evicted: 0, hits: 90, misses: 10 }
  })
  return { loads, everyMs }
}

const wave = (at: number): number => (1 - Math.cos((2 * Math.PI * at) / dayMs)) / 2

/** Quiet at night, at noon more than four shards can bear. */
export const dayCurve = (seed: number): Trace =>
  dayOf((at) => ({ cores: 0.8 + 2.6 * wave(at), nodesFull: 0.6 + 0.3 * wave(at) }), seed)

/** Spikes of two to four minutes to nearly all that three can do, and quiet in between. */
export function spikes(seed: number): Trace {
  const times = numbersFrom(seed)
  const starts = Array.from({ length: 30 }, (_, index) => index * 48 * minute + times() * 30 * minute)
  const lengths = starts.map(() => (2 + 2 * times()) * minute)
  const isIn = (at: number): boolean => starts.some((start, index) => at >= start && at < start + (lengths[index] ?? 0))
  return dayOf((at) => ({ cores: isIn(at) ? 2.8 : 1.3, nodesFull: 1.2 }), seed)
}

/** Up and down around the threshold of three shards, again and again. */
export function sawtooth(seed: number, periodMs: number): Trace {
  return dayOf((at) => ({ cores: 3 * (0.6 + 0.2 * ((at % periodMs) / periodMs)), nodesFull: 1.2 }), seed)
}

/** From one minute to the next everybody comes, stays for two hours, and goes slowly. */
export function flashCrowd(seed: number): Trace {
  const began = 9 * hour + numbersFrom(seed)() * 3 * hour
  return dayOf((at) => {
    const rise = Math.min(1, Math.max(0, (at - began) / minute))
    const fall = Math.exp(-Math.max(0, at - began - 2 * hour) / hour)
    return { cores: 1.1 + 2.7 * rise * fall, nodesFull: 1.2 }
  }, seed)
}

export interface IdealTerms {
  readonly actionMs: number
  readonly coolDownMs?: number
}

export interface Ideal {
  readonly aboveMs: number
  readonly outs: number
  readonly ins: number
}

/**
 * The ideal policy is clairvoyant: it knows in the very moment in which a load crosses a threshold whether it will stay
 * there, where a policy has to watch it for its time first. So it begins at once, and never begins what it would regret.
 * It has the same step of one shard, a change takes it as long, and the same cool-down lies between two of them; with
 * `coolDownMs` 0 it needs none of that either. It does not buy capacity before anybody asks for it: who did would never
 * be above a threshold, by having all shards all day.
 */
export function idealFor(
  { loads }: Trace,
  policy: ScalePolicy,
  { actionMs, coolDownMs = policy.coolDownMs }: IdealTerms,
): Ideal {
  let [shards, aboveMs, outs, ins, freeFrom] = [3, 0, 0, 0, 0]
  let change: { to: number; endsAt: number } | null = null
  const ahead = (index: number, forMs: number): readonly Load[] => loads.slice(index, index + forMs / everyMs)
  for (const [index, { at, cores }] of loads.entries()) {
    if (change !== null && at >= change.endsAt) {
      shards = change.to
      freeFrom = change.endsAt + coolDownMs
      change = null
    }
    const carrying = Math.min(shards, change?.to ?? shards)
    if ((cores ?? 0) / carrying > policy.out.cpuAbove) aboveMs += everyMs
    if (change !== null || at < freeFrom) continue
    const [soon, later] = [ahead(index, policy.out.forMs), ahead(index, policy.in.forMs)]
    const isMore = soon.every((load) => (load.cores ?? 0) / shards > policy.out.cpuAbove)
    const isLess = later.every(
      (load) =>
        (load.cores ?? 0) / shards < policy.in.bothBelow &&
        (load.cores ?? 0) / (shards - 1) < policy.out.cpuAbove - policy.margin &&
        (load.nodesFull ?? 0) / shards < policy.in.bothBelow,
    )
    if (isMore && shards < policy.shards.max) change = { to: shards + 1, endsAt: at + actionMs }
    else if (isLess && shards > policy.shards.min) change = { to: shards - 1, endsAt: at + actionMs }
    if (change !== null && change.to > shards) outs++
    if (change !== null && change.to < shards) ins++
  }
  return { aboveMs, outs, ins }
}
