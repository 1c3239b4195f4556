/** The face of the library: what an application calls. The work is in `read.ts`, `write.ts` and what they stand on. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from './codec.ts'
import type { Core } from './core.ts'
import type { Direct, DirectCalls } from './direct/calls.ts'
import type { Channel } from './direct/channel.ts'
import { openDirect } from './direct/direct.ts'
import type { DirectOptions } from './direct/settings.ts'
import { ageMs, isEarly } from './entry.ts'
import { CacheError } from './errors.ts'
import type { CacheCounters, CacheEvent, CacheEvents } from './events.ts'
import { type Held, isCoherent } from './held.ts'
import type { HotKey } from './hot-keys.ts'
import { checkKey } from './keys.ts'
import { collectLoads, type ManyLoader } from './load-many.ts'
import type { Loader } from './loader.ts'
import {
  type EntryOptions,
  type EntrySettings,
  entrySettings,
  type ReadOptions,
  type WriteOptions,
  writable,
} from './options.ts'
import { Reads } from './read.ts'
import type { Found, Source } from './read-flight.ts'
import { Space, type SpaceTerms } from './space.ts'
import type { Store } from './store.ts'
import { startWarmUp, type WarmUp, type WarmUpOptions } from './warm-up.ts'
import { type Stored, Writes } from './write.ts'
import type { WriteBehindOptions } from './write-behind/settings.ts'
import { openWriteBehind, type WriteBehind } from './write-behind/write-behind.ts'
import { openWriteThrough, type WriteThrough, type WriteThroughOptions } from './write-through.ts'

/** A value and where it came from, so that a page can say "approximate stock". */
export interface WithMeta<T> {
  readonly value: T
  /** `local`: this process. `primary`, `replica`: the engine. `loader`, `fallback`: as it says. `none`: nothing was found. */
  readonly source: Source
  readonly ageMs: number
  /** Past its `ttl`, or from where a change would not have been told. */
  readonly stale: boolean
}

export interface NamespaceOptions extends EntryOptions {
  readonly schema?: StandardSchemaV1
  readonly codec?: Codec
}

type Meta = { readonly meta: true }

export class Cache {
  readonly #core: Core
  readonly #space: Space
  readonly #reads: Reads
  readonly #writes: Writes
  readonly #prefix: string
  readonly #entry: EntrySettings
  readonly #directOptions: DirectOptions | undefined
  #direct: DirectCalls | undefined

  constructor(core: Core, space: Space, direct?: DirectOptions) {
    this.#core = core
    this.#space = space
    this.#writes = new Writes(core, space)
    this.#reads = new Reads(core, space, this.#writes)
    this.#prefix = space.keys.valueKey('')
    this.#entry = space.terms.entry
    this.#directOptions = direct
  }

  /** The value, or undefined if there is none. Waits for the engine at most its deadline, and never fails because of it. */
  get<T>(key: string, options: ReadOptions<T> & Meta): Promise<WithMeta<T | undefined>>
  get<T>(key: string, options?: ReadOptions<T>): Promise<T | undefined>
  get<T>(key: string, options?: ReadOptions<T>): Promise<unknown> {
    try {
      const name = this.#name(key)
      this.#core.hot.touch(name)
      const held = this.#core.local?.get(name)
      if (held !== undefined) {
        const now = this.#core.clock.now()
        if (now < held.localUntil && isCoherent(held, this.#core.clock)) {
          this.#hit(key, false)
          return Promise.resolve(options?.meta === true ? this.#withMeta(held, now) : held.value)
        }
      }
      return this.#get(key, name, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The value, from wherever it is to be had soonest: here, the engine, the loader. One load for all who ask at the same
   * time, here and in all other processes. Fails only if the loader does, and nothing stale and no `fallback` is there.
   */
  getOrSet<T>(key: string, loader: Loader<T>, options: ReadOptions<T> & Meta): Promise<WithMeta<T>>
  getOrSet<T>(key: string, loader: Loader<T>, options?: ReadOptions<T>): Promise<T>
  getOrSet<T>(key: string, loader: Loader<T>, options?: ReadOptions<T>): Promise<unknown> {
    try {
      const name = this.#name(key)
      this.#core.hot.touch(name)
      const held = this.#core.local?.get(name)
      if (held !== undefined) {
        const now = this.#core.clock.now()
        if (now < held.localUntil && isCoherent(held, this.#core.clock)) {
          if (now > held.earlyFrom) this.#refreshEarly(key, name, loader as Loader<unknown>, held, options)
          this.#hit(key, false)
          return Promise.resolve(options?.meta === true ? this.#withMeta(held, now) : held.value)
        }
      }
      return this.#getOrLoad(key, name, loader as Loader<unknown>, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The values of many keys, in their order, in as few round trips as there are nodes. */
  getMany<T>(keys: readonly string[], options?: ReadOptions<T>): Promise<(T | undefined)[]> {
    return Promise.all(keys.map((key) => this.get<T>(key, options)))
  }

  /**
   * The values of many keys, in their order. The loader gets those that are missing, all of one moment at once, and
   * answers theirs in the same order or as a Map by key.
   */
  async getOrSetMany<T>(keys: readonly string[], loader: ManyLoader<T>, options?: ReadOptions<T>): Promise<T[]> {
    const load = collectLoads(loader)
    return Promise.all(keys.map((key) => this.getOrSet<T>(key, load, options)))
  }

  /** What the local tier has, at once; undefined if it has nothing or cannot know whether it is still right. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what he has put there
  peek<T>(key: string): T | undefined {
    const held = this.#core.local?.get(this.#name(key))
    if (held === undefined) return undefined
    const now = this.#core.clock.now()
    return now < held.localUntil && isCoherent(held, this.#core.clock) ? (held.value as T) : undefined
  }

  /** Writes what the source already has. `pending`: the engine could not be told, and will be. */
  async set(key: string, value: unknown, options?: WriteOptions): Promise<Stored> {
    const name = this.#name(key)
    this.#core.assertOpen()
    return this.#writes.set(name, value, entrySettings(this.#entry, options), options?.confirm === true)
  }

  /** The same for many; the answer is the worst of all. */
  async setMany(entries: Iterable<readonly [key: string, value: unknown]>, options?: WriteOptions): Promise<Stored> {
    const stored = await Promise.all(Array.from(entries, ([key, value]) => this.set(key, value, options)))
    return stored.includes('pending') ? 'pending' : 'stored'
  }

  /** Forgets a key everywhere. Whoever is just loading it will not write what he loaded. */
  async delete(key: string, options?: Pick<WriteOptions, 'confirm'>): Promise<Stored> {
    return this.deleteMany([key], options)
  }

  async deleteMany(keys: readonly string[], options?: Pick<WriteOptions, 'confirm'>): Promise<Stored> {
    const names = keys.map((key) => this.#name(key))
    this.#core.assertOpen()
    return this.#writes.delete(names, options?.confirm === true)
  }

  /** Forgets, at once and everywhere, all that was written with one of these tags in this namespace. */
  async invalidateTags(tags: readonly string[], options?: Pick<WriteOptions, 'confirm'>): Promise<Stored> {
    const settings = entrySettings(this.#entry, { tags })
    this.#core.assertOpen()
    return this.#writes.invalidateTags(settings.tags, options?.confirm === true)
  }

  /** Forgets everything of this namespace and those below it, at once and everywhere. */
  async clear(options?: Pick<WriteOptions, 'confirm'>): Promise<Stored> {
    this.#core.assertOpen()
    return this.#writes.clear(options?.confirm === true)
  }

  /** A part of the cache with keys, defaults and a `clear` of its own. Shares everything else. */
  namespace(name: string, options: NamespaceOptions = {}): Cache {
    const { terms } = this.#space
    const child: SpaceTerms = {
      ...terms,
      keys: terms.keys.child(name),
      above: [...terms.above, terms.keys],
      entry: entrySettings({ ...terms.entry, tags: [] }, options),
      codec: options.codec ?? terms.codec,
      schema: options.schema ?? terms.schema,
    }
    return new Cache(this.#core, new Space(this.#core, child), this.#directOptions)
  }

  /**
   * The calls that have no source behind them: sessions, counters, limiters, streams, transactions and scripts, on keys
   * that share the hash tag `{tag}`. They wait longer than reads, are done once, and are never swallowed.
   */
  on(tag: string): Direct {
    return this.#calls.on(tag)
  }

  /** Messages to whoever listens just now, in any process; they may be lost. */
  channel(name: string): Channel {
    return this.#calls.channel(name)
  }

  /** Writes that go to the store first and to the cache then, by the store's version. */
  writeThrough<T>(store: Store<T>, options: WriteThroughOptions = {}): WriteThrough<T> {
    const parts = { core: this.#core, space: this.#space, reads: this.#reads, writes: this.#writes }
    return openWriteThrough({ ...parts, name: (key) => this.#name(key), settings: this.#entry }, store, options)
  }

  /**
   * Writes that the engine takes at once and the store gets a moment later. One for each namespace. Look at its `ready`:
   * it says whether the engine keeps what it is given. Closed with the cache.
   */
  writeBehind<T>(store: Store<T>, options: WriteBehindOptions = {}): WriteBehind<T> {
    this.#core.assertOpen()
    const { keys, codec } = this.#space.terms
    const { engine, clock } = this.#core
    const prefix = keys.stateKey(`w/${keys.path}/`)
    const behind = openWriteBehind({ engine, store, prefix, codec, clock, options })
    this.#core.closesWithMe(() => behind.close())
    return behind
  }

  /**
   * Keeps a list of what is hot in the engine, and after a cold start refills the hottest keys first, through this
   * loader and so many a second. `run()` it once at the start of a process; it runs by itself when an engine comes back
   * without its data.
   */
  warmUp<T>(loader: Loader<T>, options: WarmUpOptions = {}): WarmUp {
    this.#core.assertOpen()
    const load = (key: string): Promise<T> => this.getOrSet(key, loader)
    return startWarmUp(this.#core, this.#space.keys, load, options)
  }

  /** The keys that are read most in this process, the hottest first. */
  hotKeys(most = 10): readonly HotKey[] {
    return this.#core.hot.hottest(most).flatMap((hot) => {
      const key = this.#space.keys.userKey(hot.key)?.key
      return key === undefined ? [] : [{ ...hot, key }]
    })
  }

  /** Hears of events until the answer is called. The same are on the diagnostics channels `holdfast:cache:…`. */
  listen<E extends CacheEvent>(event: E, listener: (detail: CacheEvents[E]) => void): () => void {
    return this.#core.events.on(event, listener)
  }

  /** What was counted since the cache was made. */
  get counters(): Readonly<CacheCounters> {
    return this.#core.events.counters
  }

  /** How it stands: what is held, what waits, and each node as this process sees it. */
  status() {
    const { local, engine, pending, loads, closed } = this.#core
    return {
      closed,
      local: { entries: local?.size ?? 0, bytes: local?.bytes ?? 0 },
      loads: { running: loads.running, waiting: loads.waiting },
      pending: pending.size,
      nodes: engine.nodes(),
    }
  }

  /** Ends connections and timers. Loads under way are given up; calls from then on are refused with CLOSED. */
  close(): Promise<void> {
    return this.#core.close()
  }

  get #calls(): DirectCalls {
    const { engine, clock } = this.#core
    const options = this.#directOptions
    const prefix = this.#space.keys.directKey('')
    this.#direct ??= openDirect({ engine, clock, prefix, ...(options === undefined ? {} : { options }) })
    return this.#direct
  }

  #name(key: string): string {
    return this.#prefix + checkKey(key)
  }

  #get<T>(key: string, name: string, options: ReadOptions<T> | undefined): Promise<unknown> {
    this.#core.assertOpen()
    const settings = entrySettings(this.#entry, options)
    const read = this.#reads.get(name, key, settings, options?.allowStale === true)
    if (options === undefined) return read.answer
    return withSignal(read.answer, options.signal).then((value) => {
      const { found } = read
      if (found === undefined && options.fallback !== undefined) return this.#fallBack(undefined, options)
      if (options.meta !== true) return value
      return found === undefined ? { value: undefined, source: 'none', ageMs: 0, stale: false } : this.#meta(found)
    })
  }

  #getOrLoad<T>(
    key: string,
    name: string,
    loader: Loader<unknown>,
    options: ReadOptions<T> | undefined,
  ): Promise<unknown> {
    this.#core.assertOpen()
    const settings = entrySettings(this.#entry, options)
    // A copy of the settings for each read would cost 4 % of it.
    if (Number.isNaN(settings.ttlMs)) writable(settings)
    const request = { key, name, loader, settings }
    const held = this.#core.local?.peek(name)
    if (held !== undefined && this.#mayServeStale(name, held, settings)) {
      this.#reads.refresh(request, held)
      this.#hit(key, true)
      const value = options?.meta === true ? this.#withMeta(held, this.#core.clock.now(), true) : held.value
      return Promise.resolve(value)
    }
    const flight = this.#reads.join(request)
    if (options === undefined) return flight.answer
    const value = withSignal(flight.answer, options.signal)
    const answer = options.meta === true ? value.then(() => this.#meta(flight.found as Found)) : value
    return options.fallback === undefined ? answer : answer.catch((error) => this.#fallBack(error, options))
  }

  #fallBack<T>(error: unknown, options: ReadOptions<T>): unknown {
    const { fallback } = options
    if (error instanceof CacheError && (error.code === 'INVALID' || error.code === 'ABORTED')) throw error
    this.#core.events.counters.fallbacks++
    const value = typeof fallback === 'function' ? (fallback as (error: unknown) => T)(error) : fallback
    return options.meta === true ? { value, source: 'fallback', ageMs: 0, stale: true } : value
  }

  /** Past its end, but coherent, and somebody said that this is good enough while it is refreshed. */
  #mayServeStale(name: string, held: Held, settings: EntrySettings): boolean {
    const { clock, backoff } = this.#core
    const now = clock.now()
    if (now < held.freshUntil || now >= held.staleUntil || !isCoherent(held, clock)) return false
    return now < held.freshUntil + settings.staleWhileRevalidateMs || backoff.holds(name)
  }

  #refreshEarly<T>(
    key: string,
    name: string,
    loader: Loader<unknown>,
    held: Held,
    options: ReadOptions<T> | undefined,
  ): void {
    const { clock } = this.#core
    const settings = entrySettings(this.#entry, options)
    if (!isEarly(held, clock.now(), settings.earlyRefresh, clock.random)) return
    this.#reads.refresh({ key, name, loader, settings }, held)
  }

  #hit(key: string, stale: boolean): void {
    const { events } = this.#core
    events.counters.localHits++
    if (stale) events.counters.staleHits++
    if (events.heard('hit')) events.emit('hit', { key, source: 'local', stale })
  }

  #meta({ value, source, createdAt, stale }: Found): WithMeta<unknown> {
    return { value, source, ageMs: Math.max(0, this.#core.clock.now() - createdAt), stale }
  }

  #withMeta(held: Held, now: number, stale = false): WithMeta<unknown> {
    return { value: held.value, source: 'local', ageMs: ageMs(held, now), stale }
  }
}

/** The same promise for a caller with a signal of his own: his wait ends, the work does not. */
function withSignal<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new CacheError('ABORTED', 'the signal of the call ended it', {}, signal.reason))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.finally(() => signal.removeEventListener('abort', abort)).then(resolve, reject)
  })
}
