/** What was measured, and how much of a time it covers. */

/** One look at all primaries. Times are ms of one clock, whichever it is. */
export interface LoadSample {
  readonly at: number
  readonly shards: readonly PrimaryLoad[]
}

/** What one primary had to do since the sample before. */
export interface PrimaryLoad {
  readonly shard: string
  /** Null: nobody is known to be primary. */
  readonly primary: string | null
  /** Its main thread, as a share of one core. Null: not known, as after a restart. */
  readonly cpu: number | null
  readonly memoryBytes: number | null
  readonly memoryMaxBytes: number | null
  /** Keys that it evicted, found and did not find since the sample before. Null: not known. */
  readonly evicted: number | null
  readonly hits: number | null
  readonly misses: number | null
}

/** A sample in which every number is there, as one deployment. */
export interface WholeSample {
  readonly at: number
  /** The mean over the primaries: what one more of them would take its share of. */
  readonly cpu: number
  /** What all of them use of what all of them may. */
  readonly memory: number
  readonly evicted: number
  readonly hits: number
  readonly misses: number
  /** The main thread of each primary, by its shard. */
  readonly cpuByShard: ReadonlyMap<string, number>
}

export interface LoadWindow {
  readonly samples: readonly WholeSample[]
  /** How many there would be if none were missing. */
  readonly expected: number
  /** Whether so few are missing that it says something. */
  readonly enough: boolean
}

/** Of ten samples nine have to be there. */
const presentMin = 0.9

/**
 * The whole samples of the last `forMs`. One that lacks a shard or a number is missing: a mean over those that happened
 * to answer is the mean of another deployment. So is one of another size, which speaks of what was.
 */
export function windowOf(
  samples: readonly LoadSample[],
  { now, forMs, everyMs, shards, after }: WindowTerms,
): LoadWindow {
  const from = Math.max(now - forMs, after ?? Number.NEGATIVE_INFINITY)
  const whole: WholeSample[] = []
  for (const sample of samples) {
    if (sample.at <= from || sample.at > now || sample.shards.length !== shards) continue
    const one = wholeOf(sample)
    if (one !== null) whole.push(one)
  }
  const expected = Math.max(1, Math.floor(forMs / everyMs))
  return { samples: whole, expected, enough: whole.length >= expected * presentMin }
}

export interface WindowTerms {
  readonly now: number
  readonly forMs: number
  readonly everyMs: number
  readonly shards: number
  /** Only what was measured after that counts: before, it was another deployment. Null: all. */
  readonly after: number | null
}

/** A sample is decided by many times, and does not change: it is added up once. */
const added = new WeakMap<LoadSample, WholeSample | null>()

function wholeOf(sample: LoadSample): WholeSample | null {
  const known = added.get(sample)
  if (known !== undefined) return known
  const whole = addUp(sample)
  added.set(sample, whole)
  return whole
}

function addUp({ at, shards }: LoadSample): WholeSample | null {
  const isWhole = shards.every((load) => Object.values(load).every((value) => value !== null))
  if (!isWhole || shards.length === 0) return null
  const total = (field: NumberOfLoad): number => sumOf(shards, (load) => load[field] ?? 0)
  const most = total('memoryMaxBytes')
  return {
    at,
    cpu: total('cpu') / shards.length,
    memory: most === 0 ? 0 : total('memoryBytes') / most,
    evicted: total('evicted'),
    hits: total('hits'),
    misses: total('misses'),
    cpuByShard: new Map(shards.map(({ shard, cpu }) => [shard, cpu ?? 0])),
  }
}

type NumberOfLoad = Exclude<keyof PrimaryLoad, 'shard' | 'primary'>

/** With one more, and without those that are older than `keepMs` or more than `countMax`. One from the past is not kept. */
export function withSample(
  samples: readonly LoadSample[],
  sample: LoadSample,
  { keepMs, countMax }: { readonly keepMs: number; readonly countMax: number },
): readonly LoadSample[] {
  const last = samples.at(-1)
  if (last !== undefined && sample.at <= last.at) return samples
  return [...samples.filter(({ at }) => at > sample.at - keepMs), sample].slice(-countMax)
}

export const sumOf = <Item>(items: readonly Item[], numberOf: (item: Item) => number): number =>
  items.reduce((sum, item) => sum + numberOf(item), 0)
