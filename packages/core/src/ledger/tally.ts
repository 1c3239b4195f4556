/**
 * Availability, added up from looks: by shard, by hour, and for the deployment as a whole. The deployment is writable
 * while all of its shards are, so its time is the union of theirs and not their sum: two shards that are away in the
 * same second cost it one second.
 */
import type { Availability } from './incident.ts'

/** What a probe saw of one shard over a stretch of time, by the wall clock. Looks of one shard do not overlap. */
export interface Look {
  readonly shard: string
  readonly from: number
  readonly to: number
  readonly writable: boolean
}

/** The sum of an hour that began at `hour`, ms since 1970. Shard null: of the deployment as a whole. */
export interface HourSum {
  readonly shard: string | null
  readonly hour: number
  readonly observedMs: number
  readonly notWritableMs: number
}

type Span = readonly [from: number, to: number]

export const hourMs = 3_600_000
export const hourOf = (at: number): number => Math.floor(at / hourMs) * hourMs

/** How long it is remembered which time was counted for the whole: looks of two shards end seconds apart at most. */
const rememberedMs = 60_000

export class Tally {
  readonly #sums = new Map<string, HourSum>()
  #observed: readonly Span[] = []
  #notWritable: readonly Span[] = []

  add({ shard, from, to, writable }: Look): void {
    if (to <= from) return
    const span: Span = [from, to]
    this.#count(shard, [span], writable ? [] : [span])
    const notWritable = writable ? [] : uncovered(span, this.#notWritable)
    this.#count(null, uncovered(span, this.#observed), notWritable)
    this.#observed = merge([...this.#observed, span])
    if (!writable) this.#notWritable = merge([...this.#notWritable, span])
  }

  /** What was added since it was emptied. */
  get sums(): readonly HourSum[] {
    return [...this.#sums.values()]
  }

  /** Once the sums are kept elsewhere; which time was counted stays known. */
  empty(): void {
    this.#sums.clear()
  }

  #count(shard: string | null, observed: readonly Span[], notWritable: readonly Span[]): void {
    for (const [hour, ms] of byHour(observed)) this.#change(shard, hour, ms, 0)
    for (const [hour, ms] of byHour(notWritable)) this.#change(shard, hour, 0, ms)
  }

  #change(shard: string | null, hour: number, observedMs: number, notWritableMs: number): void {
    const key = `${hour} ${shard ?? ''}`
    const sum = this.#sums.get(key) ?? { shard, hour, observedMs: 0, notWritableMs: 0 }
    this.#sums.set(key, {
      shard,
      hour,
      observedMs: sum.observedMs + observedMs,
      notWritableMs: sum.notWritableMs + notWritableMs,
    })
  }
}

/** Several hours as one. A ratio is only known where somebody looked. */
export function availabilityOf(sums: readonly HourSum[]): Availability {
  const observedMs = Math.round(sums.reduce((total, sum) => total + sum.observedMs, 0))
  const notWritableMs = Math.round(sums.reduce((total, sum) => total + sum.notWritableMs, 0))
  return { observedMs, notWritableMs, ratio: observedMs === 0 ? null : 1 - notWritableMs / observedMs }
}

/** The parts of a span that are not covered; `covered` is sorted and disjoint. */
function uncovered([from, to]: Span, covered: readonly Span[]): Span[] {
  const parts: Span[] = []
  let at = from
  for (const [start, end] of covered) {
    if (end <= at || start >= to) continue
    if (start > at) parts.push([at, start])
    at = end
  }
  return at < to ? [...parts, [at, to]] : parts
}

function merge(spans: readonly Span[]): Span[] {
  const merged: [number, number][] = []
  for (const [from, to] of [...spans].sort((one, other) => one[0] - other[0])) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  const newest = merged.at(-1)?.[1] ?? 0
  return merged.filter(([, to]) => to > newest - rememberedMs)
}

/** A span that crosses the hour belongs to both. */
function byHour(spans: readonly Span[]): [hour: number, ms: number][] {
  return spans.flatMap(([from, to]) => {
    const parts: [number, number][] = []
    for (let at = from; at < to; at = hourOf(at) + hourMs) {
      parts.push([hourOf(at), Math.min(to, hourOf(at) + hourMs) - at])
    }
    return parts
  })
}
