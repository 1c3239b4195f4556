/**
 * An entry's life, as functions of time.
 *
 *   created ────── fresh ──────▶ freshUntil ── stale, kept for a refresh or for bad days ──▶ staleUntil ── gone
 *
 * Fresh is served as it is. Just before its end a few callers refresh it early, each by its own dice (XFetch: Vattani,
 * Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015): the longer a load takes, the
 * earlier they begin, so that the load is done when the end comes and nobody waits for it.
 */
import type { EntrySettings } from './options.ts'

/** When an entry was made, and until when it is what. Wall time in ms since 1970; Infinity is for ever. */
export interface Lifetime {
  readonly createdAt: number
  readonly freshUntil: number
  readonly staleUntil: number
  /** How long the load took: what an early refresh must be ahead of. */
  readonly loadMs: number
}

export type Freshness = 'fresh' | 'stale' | 'expired'

export function freshness(entry: Lifetime, now: number): Freshness {
  if (now < entry.freshUntil) return 'fresh'
  return now < entry.staleUntil ? 'stale' : 'expired'
}

/** An entry's age. Another process's clock may be ahead of ours: nothing is younger than new. */
export function ageMs(entry: Lifetime, now: number): number {
  return Math.max(0, now - entry.createdAt)
}

/** How far before its end an entry is looked at more closely: beyond ten times the load the dice are never so kind. */
const lookAhead = 10

/** Whether this caller is the one that refreshes a fresh entry early. `beta` 1 is the paper's; 0 never. */
export function isEarly(entry: Lifetime, now: number, beta: number, dice: () => number): boolean {
  const left = entry.freshUntil - now
  const step = entry.loadMs * beta
  if (!(left < step * lookAhead)) return false
  return -step * Math.log(1 - dice()) >= left
}

/** The life of what was made just now. Jitter shortens, so that nothing outlives its `ttl`. */
export function lifetime(
  settings: Pick<EntrySettings, 'ttlMs' | 'jitter' | 'staleWhileRevalidateMs' | 'staleIfErrorMs'>,
  { now, loadMs, dice }: { readonly now: number; readonly loadMs: number; readonly dice: () => number },
): Lifetime {
  const ttlMs = settings.ttlMs * (1 - settings.jitter * dice())
  const freshUntil = now + (Number.isFinite(ttlMs) ? Math.round(ttlMs) : settings.ttlMs)
  const kept = Math.max(settings.staleWhileRevalidateMs, settings.staleIfErrorMs)
  return { createdAt: now, freshUntil, staleUntil: freshUntil + kept, loadMs }
}

/** For how long the engine keeps it; null: for ever. */
export function keptMs(life: Lifetime, now: number): number | null {
  return Number.isFinite(life.staleUntil) ? Math.max(1, Math.ceil(life.staleUntil - now)) : null
}
