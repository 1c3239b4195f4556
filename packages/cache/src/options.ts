/** What can be said of a cache, of an entry and of a call, and what holds where nothing is said. */
import type { ConnectionOptions } from 'node:tls'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Clock } from './clock.ts'
import type { Codec } from './codec.ts'
import type { DirectOptions } from './direct/settings.ts'
import { type Bytes, bytesOf, countOf, type Duration, durationMs, ratioOf } from './duration.ts'
import type { Engine, ReadFrom } from './engine/engine.ts'
import { CacheError } from './errors.ts'
import type { FeedOptions } from './feed.ts'
import type { Hints } from './hints.ts'
import type { LoadLimits } from './loads.ts'

/** How an entry lives. Said for a cache, for a namespace or for one call; the nearest word counts. */
export interface EntryOptions {
  /**
   * How long an entry is fresh. Needed somewhere: without it an entry is refused, because what never ends fills the
   * engine. Say `'forever'` where that is meant.
   */
  readonly ttl?: Duration | 'forever'
  /**
   * Up to which part of `ttl` is taken off by chance, so that what was written together does not end together.
   * 0 to 0.9; default 0.1. Set 0 where an exact end matters.
   */
  readonly jitter?: number
  /**
   * For how long after its end an entry is still served at once, while one caller refreshes it. Default 0: everybody
   * waits for the refresh. Set it where a slightly old page is better than a slow one.
   */
  readonly staleWhileRevalidate?: Duration
  /**
   * For how long after its end an entry is kept for the day when the source is down. Default: as long as `ttl`, at
   * most an hour. Costs memory in the engine; 0 turns it off.
   */
  readonly staleIfError?: Duration
  /** For how long a stale entry is served without asking a source that has just failed. Default 1 s. */
  readonly errorBackoff?: Duration
  /**
   * How long "there is no such thing" (a loader's `undefined`) is remembered. Default 0: not at all. Set it where people
   * ask for what does not exist, and delete the key when it comes to exist.
   */
  readonly negativeTtl?: Duration
  /**
   * How eagerly a fresh entry is refreshed before its end, by one caller at a time: 1 is right for most, 2 begins
   * earlier, 0 turns it off. Default 1. It weighs how long the load takes, so cheap loads are hardly ever early.
   */
  readonly earlyRefresh?: number
  /**
   * How long the local tier serves an entry before it asks the engine again, even if nobody told of a change. Said for
   * the cache or a namespace. Default: `ttl`.
   */
  readonly localTtl?: Duration
  /** With a stale value at hand: how long a caller waits for the load before it gets that value. Default: until the load is done. */
  readonly softDeadline?: Duration
  /** After which a load is given up: its signal is aborted, its callers get a stale value, the fallback or LOADER_TIMEOUT. Default 30 s. */
  readonly hardDeadline?: Duration
  /** Words by which many entries are invalidated at once. At most 32. */
  readonly tags?: readonly string[]
  /** Which copy is read. Default `primary`; anything else may be a moment behind, except for keys this process has just written. */
  readonly readFrom?: ReadFrom
  /**
   * In how many copies a key is kept, each on a slot of its own, for keys so hot that one node is not enough.
   * 1 to 16; default 1. Said for the cache or a namespace. A change reaches all copies at once or, if one is away,
   * within two seconds.
   */
  readonly copies?: number
}

/** What can be said for one read beside how its entry lives. */
export interface ReadOptions<T = unknown> extends EntryOptions {
  /** What is answered when all else fails: the cache has nothing, and the source is down or too busy. A value or a function. */
  readonly fallback?: T | ((error: unknown) => T)
  /** Ends the wait of this caller only; a load that others wait for goes on. */
  readonly signal?: AbortSignal
  /** With `true` the answer says where the value came from and how old it is: `{ value, source, ageMs, stale }`. */
  readonly meta?: boolean
  /** For `get`: a stale value is better than none. Default false. */
  readonly allowStale?: boolean
}

export interface WriteOptions extends EntryOptions {
  /**
   * With `true` the call throws UNAVAILABLE or INDETERMINATE when the engine did not take it. Default: it answers
   * `'pending'`, and what the engine holds is invalidated as soon as it is back.
   */
  readonly confirm?: boolean
}

export interface LocalOptions {
  /** Default 10 000. */
  readonly maxEntries?: number
  /** By the size of their encoded form, or an estimate. Default 64 MiB. */
  readonly maxBytes?: Bytes
}

export interface CacheOptions extends EntryOptions {
  /**
   * Where the engine is: `holdfast+cluster://`, `holdfast+sentinel://`, `holdfast+standalone://`, `redis://`,
   * `rediss://`, `valkey://` or `valkeys://`. One of `url` and `engine` is needed.
   */
  readonly url?: string
  /** An engine that is already there: over your own connection, or in memory for tests. Closed with the cache. */
  readonly engine?: Engine
  /** First part of all keys. Letters, digits, `_` and `-`. Default `cache`. */
  readonly namespace?: string
  /** The tier in this process; `false` for none. */
  readonly local?: LocalOptions | false
  /**
   * How long a read waits for the engine in all, queued and in flight and tried again. Default 250 ms. After that it
   * goes on without. Less where the source is fast, never less than a few round trips.
   */
  readonly engineDeadline?: Duration
  /** Bounds for loads; see `LoadOptions`. */
  readonly loads?: LoadOptions
  /** How values become bytes. Default `jsonCodec`. What other codecs wrote is still read if they are in `codecs`. */
  readonly codec?: Codec
  /** Codecs for reading, beside `codec`. Default JSON. v8 only where nobody else can write to the engine: see its warning. */
  readonly codecs?: readonly Codec[]
  /** Size above which a value is compressed. Default 8 KiB; `false` for never. */
  readonly compressAbove?: Bytes | false
  /** Above which a value is refused with TOO_LARGE, by its encoded size, read or written. Default 8 MiB. */
  readonly maxValueBytes?: Bytes
  /** A Standard Schema (zod, valibot, arktype...) that values are checked by when they come from the engine: a mismatch is a miss. */
  readonly schema?: StandardSchemaV1
  /** Where this process runs, for `readFrom: 'zone'`. Default: `zone=` of the URL. */
  readonly zone?: string
  /** TLS settings, for `…s://` URLs that need more than the system's certificates. */
  readonly tls?: ConnectionOptions
  /**
   * How this process hears of what others change. `tracking`: the engine tells it (RESP 3). `messages`: the processes
   * tell each other over Pub/Sub, for engines and proxies that cannot track. `none`: nobody does, and the local tier
   * believes an entry for a second. Default `tracking`; over an application's own connection `messages`.
   */
  readonly coherence?: 'tracking' | 'messages' | 'none'
  /**
   * Somebody who knows sooner than any timeout that keys have moved, such as a controller. Is handed what to call then,
   * and answers how to stop. Never needed. Only with `url`.
   */
  readonly hints?: Hints
  /**
   * The topology feed of a controller, which knows of failovers before any timeout. Never needed: without it a failover
   * is noticed a moment later. Default: `feed=` of the URL, if it has one. Only with `url`.
   */
  readonly feed?: string | FeedOptions
  /** Who we are to the Sentinels, where they want a password of their own. */
  readonly sentinel?: { readonly user?: string; readonly password?: string }
  /** How many keys count as the hottest, and what makes one hot; see `HotOptions`. */
  readonly hot?: HotOptions
  /** For calls without a source: `cache.on()` and `cache.channel()`. */
  readonly direct?: DirectOptions
  /** Time and chance; for tests. */
  readonly clock?: Clock
}

/** Bounds that keep the source alive. */
export interface LoadOptions {
  /** Loads at once while the engine answers. Default 1000. */
  readonly atOnce?: number
  /** Loads at once while it does not: what the source stands without its cache. Default 32. */
  readonly atOnceWhenAway?: number
  /** How many may wait for their turn; more are OVERLOADED. Default 10 000. */
  readonly waiting?: number
}

export interface HotOptions {
  /** A key is hot above this share of all reads. Default 0.01. */
  readonly share?: number
  /** ... and above so many reads a second in this process. Default 100. */
  readonly perSecond?: number
  /** For how long a hot key is kept in the local tier whatever else comes. 1 s to 5 s; default 2 s. */
  readonly pin?: Duration
  /** In how many copies a hot key is kept, each on a slot of its own. Default 1: not spread. */
  readonly copies?: number
}

/** `EntryOptions` with everything said, in milliseconds. */
export interface EntrySettings {
  /** Infinity: for ever; NaN: nobody has said. */
  readonly ttlMs: number
  readonly jitter: number
  readonly staleWhileRevalidateMs: number
  readonly staleIfErrorMs: number
  readonly errorBackoffMs: number
  readonly negativeTtlMs: number
  readonly earlyRefresh: number
  readonly localTtlMs: number
  readonly softDeadlineMs: number
  readonly hardDeadlineMs: number
  readonly tags: readonly string[]
  readonly readFrom: ReadFrom
  readonly copies: number
}

export const entryDefaults: EntrySettings = {
  ttlMs: Number.NaN,
  jitter: 0.1,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: Number.NaN,
  errorBackoffMs: 1000,
  negativeTtlMs: 0,
  earlyRefresh: 1,
  localTtlMs: Number.POSITIVE_INFINITY,
  softDeadlineMs: Number.POSITIVE_INFINITY,
  hardDeadlineMs: 30_000,
  tags: [],
  readFrom: 'primary',
  copies: 1,
}

const longestStaleIfErrorMs = 3_600_000
const mostTags = 32
const readFromWords: readonly ReadFrom[] = ['primary', 'replica', 'nearest', 'zone']

/** What is said here over what was said before. Unknown words are not looked at: a call's options hold others, too. */
export function entrySettings(base: EntrySettings, options: EntryOptions | undefined): EntrySettings {
  if (options === undefined) return base
  const time = (value: Duration | undefined, what: string, otherwise: number): number =>
    value === undefined ? otherwise : durationMs(value, what)
  const { ttl, jitter, earlyRefresh, tags, readFrom, copies } = options
  if (readFrom !== undefined && !readFromWords.includes(readFrom)) {
    throw new CacheError('INVALID', `readFrom is one of ${readFromWords.join(', ')}`, { what: 'readFrom' })
  }
  return {
    ttlMs:
      ttl === undefined
        ? base.ttlMs
        : ttl === 'forever'
          ? Number.POSITIVE_INFINITY
          : positive(durationMs(ttl, 'ttl'), 'ttl'),
    jitter: jitter === undefined ? base.jitter : ratioOf(jitter, 'jitter', 0, 0.9),
    staleWhileRevalidateMs: time(options.staleWhileRevalidate, 'staleWhileRevalidate', base.staleWhileRevalidateMs),
    staleIfErrorMs: time(options.staleIfError, 'staleIfError', base.staleIfErrorMs),
    errorBackoffMs: time(options.errorBackoff, 'errorBackoff', base.errorBackoffMs),
    negativeTtlMs: time(options.negativeTtl, 'negativeTtl', base.negativeTtlMs),
    earlyRefresh: earlyRefresh === undefined ? base.earlyRefresh : ratioOf(earlyRefresh, 'earlyRefresh', 0, 100),
    localTtlMs: time(options.localTtl, 'localTtl', base.localTtlMs),
    softDeadlineMs: time(options.softDeadline, 'softDeadline', base.softDeadlineMs),
    hardDeadlineMs: positive(time(options.hardDeadline, 'hardDeadline', base.hardDeadlineMs), 'hardDeadline'),
    tags: tags === undefined ? base.tags : checkTags(tags),
    readFrom: readFrom ?? base.readFrom,
    copies: copies === undefined ? base.copies : countOf(copies, 'copies', 1, 16),
  }
}

/** Settings that an entry can be written by: somebody has said how long it lives. */
export function writable(settings: EntrySettings): EntrySettings {
  const { ttlMs, staleIfErrorMs } = settings
  if (Number.isNaN(ttlMs)) {
    throw new CacheError(
      'INVALID',
      "ttl is missing: say how long entries live, for the cache, the namespace or the call ('forever' if that is meant)",
      { what: 'ttl' },
    )
  }
  if (!Number.isNaN(staleIfErrorMs)) return settings
  return { ...settings, staleIfErrorMs: Math.min(ttlMs, longestStaleIfErrorMs) }
}

function positive(ms: number, what: string): number {
  if (ms < 1) throw new CacheError('INVALID', `${what} is at least a millisecond`, { what })
  return ms
}

function checkTags(tags: readonly string[]): readonly string[] {
  const wrong = !Array.isArray(tags) || tags.length > mostTags
  if (wrong || tags.some((tag) => !isTag(tag))) {
    throw new CacheError('INVALID', `tags are up to ${mostTags} strings of 1 to 255 bytes`, { what: 'tags' })
  }
  return [...new Set(tags)]
}

/** Half a surrogate pair has no bytes in UTF-8: two such tags would be one in the engine. */
function isTag(tag: unknown): boolean {
  const isText = typeof tag === 'string' && tag !== '' && Buffer.byteLength(tag) <= 255
  return isText && Buffer.from(tag).toString() === tag
}

/** `CacheOptions` with everything said but where the engine is. */
export interface CacheSettings {
  readonly entry: EntrySettings
  readonly local: { readonly maxEntries: number; readonly maxBytes: number } | null
  readonly engineDeadlineMs: number
  readonly loads: LoadLimits
  readonly compressAbove: number
  readonly maxValueBytes: number
  readonly hot: { readonly share: number; readonly perSecond: number; readonly pinMs: number; readonly copies: number }
}

const known: ReadonlySet<string> = new Set<keyof CacheOptions>([
  ...([
    'url',
    'engine',
    'namespace',
    'local',
    'engineDeadline',
    'loads',
    'codec',
    'codecs',
    'compressAbove',
    'maxValueBytes',
  ] as const),
  ...([
    'schema',
    'zone',
    'tls',
    'sentinel',
    'coherence',
    'hints',
    'feed',
    'hot',
    'direct',
    'clock',
    'ttl',
    'jitter',
    'staleWhileRevalidate',
    'staleIfError',
    'errorBackoff',
  ] as const),
  ...([
    'negativeTtl',
    'earlyRefresh',
    'localTtl',
    'softDeadline',
    'hardDeadline',
    'tags',
    'readFrom',
    'copies',
  ] as const),
])

export function cacheSettings(options: CacheOptions): CacheSettings {
  const unknown = Object.keys(options).find((name) => !known.has(name))
  if (unknown !== undefined) {
    throw new CacheError('INVALID', `there is no option ${JSON.stringify(unknown)}`, { what: unknown })
  }
  const { local, loads = {}, compressAbove, hot = {}, coherence } = options
  if (coherence !== undefined && !['tracking', 'messages', 'none'].includes(coherence)) {
    throw new CacheError('INVALID', 'coherence is one of tracking, messages, none', { what: 'coherence' })
  }
  return {
    entry: entrySettings(entryDefaults, options),
    local:
      local === false
        ? null
        : {
            maxEntries: countOf(local?.maxEntries ?? 10_000, 'local.maxEntries', 1),
            maxBytes: bytesOf(local?.maxBytes ?? '64mb', 'local.maxBytes'),
          },
    engineDeadlineMs: positive(durationMs(options.engineDeadline ?? 250, 'engineDeadline'), 'engineDeadline'),
    loads: {
      atOnce: countOf(loads.atOnce ?? 1000, 'loads.atOnce', 1),
      atOnceWhenAway: countOf(loads.atOnceWhenAway ?? 32, 'loads.atOnceWhenAway', 1),
      waiting: countOf(loads.waiting ?? 10_000, 'loads.waiting', 0),
    },
    compressAbove:
      compressAbove === false ? Number.POSITIVE_INFINITY : bytesOf(compressAbove ?? '8kb', 'compressAbove'),
    maxValueBytes: bytesOf(options.maxValueBytes ?? '8mb', 'maxValueBytes'),
    hot: {
      share: ratioOf(hot.share ?? 0.01, 'hot.share', 0, 1),
      perSecond: ratioOf(hot.perSecond ?? 100, 'hot.perSecond', 0, 1e9),
      pinMs: ratioOf(durationMs(hot.pin ?? '2s', 'hot.pin'), 'hot.pin in ms', 1000, 5000),
      copies: countOf(hot.copies ?? 1, 'hot.copies', 1, 16),
    },
  }
}
