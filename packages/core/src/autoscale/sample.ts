/**
 * A sample from two looks. Engines count since they started, so what a primary had to do is the difference of two answers
 * of the same process; where the process or the primary is another one, the difference is no number at all, and the
 * sample lacks it.
 */
import type { EngineFacts, EngineLoad } from '../observed.ts'
import type { Picture, ShardPicture } from '../picture.ts'
import type { LoadSample, PrimaryLoad } from './window.ts'

/** What the primaries said of themselves in one look. */
export interface LoadLook {
  readonly at: number
  readonly shards: readonly PrimaryLook[]
}

interface PrimaryLook {
  readonly shard: string
  readonly primary: string | null
  /** Null: it did not answer, or is not primary by its own word. */
  readonly said: Counters | null
}

interface Counters {
  /** When it answered. */
  readonly at: number
  readonly runId: string
  readonly mainThreadMs: number | null
  readonly memoryBytes: number
  readonly memoryMaxBytes: number
  readonly evictedKeys: number
  readonly hits: number
  readonly misses: number
}

export const lookAtLoad = ({ at, shards }: Pick<Picture, 'at' | 'shards'>): LoadLook => ({
  at,
  shards: shards.map(lookAtPrimary),
})

function lookAtPrimary({ id: shard, primary }: ShardPicture): PrimaryLook {
  const nobody = { shard, primary: primary?.id ?? null, said: null }
  if (primary === null || primary.facts === null || primary.seen.engine.kind !== 'answered') return nobody
  const { role, load } = primary.facts
  if (role !== 'primary' || load === undefined) return nobody
  return {
    shard,
    primary: primary.id,
    said: { at: primary.seen.engine.at, ...memoryForData(primary.facts, load), ...load },
  }
}

/** Of small nodes the backlog leaves little: what is counted as room for data is never less than this share of all. */
const roomMin = 0.25

/** A backlog stays as large as it ever was, with no data at all: what counts is what is left beside it. */
function memoryForData(
  { memoryBytes, memoryMaxBytes }: Pick<EngineFacts, 'memoryBytes' | 'memoryMaxBytes'>,
  { backlogBytes }: EngineLoad,
): Pick<Counters, 'memoryBytes' | 'memoryMaxBytes'> {
  return {
    memoryBytes: Math.max(0, memoryBytes - backlogBytes),
    memoryMaxBytes: Math.max(memoryMaxBytes - backlogBytes, Math.round(memoryMaxBytes * roomMin)),
  }
}

export function sampleOf(before: LoadLook, now: LoadLook): LoadSample {
  return {
    at: now.at,
    shards: now.shards.map((look) => {
      const earlier = before.shards.find(({ shard, primary }) => shard === look.shard && primary === look.primary)
      return loadOf(earlier?.said ?? null, look)
    }),
  }
}

function loadOf(before: Counters | null, { shard, primary, said }: PrimaryLook): PrimaryLoad {
  const memory = { memoryBytes: said?.memoryBytes ?? null, memoryMaxBytes: said?.memoryMaxBytes ?? null }
  const unknown = { shard, primary, cpu: null, ...memory, evicted: null, hits: null, misses: null }
  if (before === null || said === null || before.runId !== said.runId || said.at <= before.at) return unknown
  return {
    ...unknown,
    cpu: shareOf(before, said),
    evicted: risen(before.evictedKeys, said.evictedKeys),
    hits: risen(before.hits, said.hits),
    misses: risen(before.misses, said.misses),
  }
}

/** One thread has no more than one core; that it had a little more is how clocks are read. */
function shareOf(before: Counters, said: Counters): number | null {
  if (before.mainThreadMs === null || said.mainThreadMs === null) return null
  const usedMs = risen(before.mainThreadMs, said.mainThreadMs)
  return usedMs === null ? null : Math.min(1, usedMs / (said.at - before.at))
}

/** Null: somebody set the counter back, as CONFIG RESETSTAT does. */
const risen = (before: number, now: number): number | null => (now < before ? null : now - before)
