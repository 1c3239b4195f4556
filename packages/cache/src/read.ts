/**
 * How a read goes, from top to bottom:
 *
 *   local tier ── good? ──▶ answered (or stale and allowed: answered, and refreshed behind the caller's back)
 *       │ no
 *   flight of the key ── under way? ──▶ its answer, value or error
 *       │ no
 *   held, but in doubt? ──▶ compared by version ──▶ answered
 *       │ no
 *   engine: read, and where nothing is, lock, in one step
 *       │ fresh ──▶ answered       stale ──▶ answered, or loaded under the lock       locked ──▶ wait, look again
 *       │ away ──▶ another copy, else what is held: answered, marked stale
 *   loader, so many at once ──▶ answered; written if the lock is still ours
 *       │ failed
 *   stale value, else the call's fallback, else the error, the same for all who waited
 */
import type { Reading } from './coherence.ts'
import { type Core, noLink } from './core.ts'
import { freshness, isEarly, type Lifetime, lifetime } from './entry.ts'
import { CacheError } from './errors.ts'
import type { Held } from './held.ts'
import { type Loader, runLoader, unchanged } from './loader.ts'
import { Lookup, type Seen } from './lookup.ts'
import { type EntrySettings, entrySettings, writable } from './options.ts'
import type { Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { sizeOf } from './value.ts'
import { newVersion } from './versions.ts'
import { Writes } from './write.ts'

export type Source = 'local' | 'primary' | 'replica' | 'loader' | 'fallback' | 'none'

/** What a read found, and where. */
export interface Found {
  readonly value: unknown
  readonly source: Source
  /** Wall time; what was just loaded was made now. */
  readonly createdAt: number
  readonly stale: boolean
}

export interface Request {
  /** As the caller says it. */
  readonly key: string
  /** As the engine has it. */
  readonly name: string
  readonly loader: Loader<unknown>
  readonly settings: EntrySettings
  /** The loader answers `{ loaded, version }`, the store's own version with the value. */
  readonly isVersioned?: true
}

/** A read that everybody who asks for the key has joined. */
interface Flight {
  readonly reading: Reading
  /** What there is if the load takes too long or fails. */
  stale: Held | undefined
  /** Until when the key is busy after its callers have been answered. */
  filled: Promise<unknown> | undefined
}

/** What a load begins with. */
interface Start {
  /** Null: nobody else is kept from loading, and nothing is written afterwards. */
  readonly token: number | null
  /** The numbers of the tags from before the load: if one changes while it runs, its result is a miss. */
  readonly tags: readonly (HeldTag | undefined)[] | null
  readonly away: boolean
}

/** What a load has made. */
interface Made {
  readonly value: unknown
  readonly sourceVersion: number | undefined
  readonly loadMs: number
  readonly now: number
}

/** How often somebody who waits for another process's load looks without having been woken: first and at most. */
const lookAgainMs = { first: 25, most: 200 } as const
/** How long what was loaded while the engine was away is taken for fresh. */
const awayTrustMs = 1000

export class Reads {
  readonly lookup: Lookup
  readonly #core: Core
  readonly #space: Space
  readonly #writes: Writes

  constructor(core: Core, space: Space, writes: Writes) {
    this.#core = core
    this.#space = space
    this.#writes = writes
    this.lookup = new Lookup(core, space)
  }

  /** One load for all who ask. What is the caller's own, his signal and his fallback, comes after it. */
  getOrLoad(request: Request): Promise<Found> {
    return this.#core.flights.join(request.name, () => this.#takeOff(request))
  }

  /** Renews an entry that is still served: one at a time, and only where nobody else does. */
  refresh(request: Request, held: Held): void {
    const { refreshes, backoff, coherence } = this.#core
    const { name } = request
    if (backoff.holds(name)) return
    void refreshes.join(name, () => {
      const flight: Flight = { reading: coherence.begin(name), stale: held, filled: undefined }
      const refreshed = this.#refresh(request, flight)
      // A refresh that failed has been told of as a failed load; the entry is served as long as it lasts.
      const landed = this.#landed(name, flight, refreshed)
      return { answer: landed, landed }
    })
  }

  /** What there is without loading; undefined for nothing. Never throws because the engine is away. */
  async get(name: string, key: string, settings: EntrySettings, allowStale: boolean): Promise<Found | undefined> {
    const { coherence, clock, wrote } = this.#core
    const reading = coherence.begin(name)
    try {
      const held = await this.lookup.held(name)
      if (held !== undefined) return found(held, 'local', false)
      const seen =
        settings.readFrom === 'primary' || wrote.holds(name)
          ? await this.lookup.read(name, key, reading)
          : await this.lookup.readCopy(name, key, settings.readFrom, this.#core.deadlineAt(), reading)
      if (seen.kind !== 'entry') return undefined
      const isFresh = freshness(seen.held, clock.now()) === 'fresh'
      return isFresh || allowStale ? found(seen.held, seen.role, !isFresh) : undefined
    } catch (error) {
      return await this.#instead(name, key, error)
    } finally {
      coherence.end(name, reading)
    }
  }

  #takeOff(request: Request): { answer: Promise<Found>; landed: Promise<unknown> } {
    const { name, settings } = request
    const flight: Flight = { reading: this.#core.coherence.begin(name), stale: undefined, filled: undefined }
    const flown = this.#fly(request, flight)
    const landed = this.#landed(name, flight, flown)
    const { softDeadlineMs } = settings
    return { answer: Number.isFinite(softDeadlineMs) ? this.#soon(flown, flight, softDeadlineMs) : flown, landed }
  }

  async #landed(name: string, flight: Flight, flown: Promise<unknown>): Promise<void> {
    await flown.catch(() => {})
    await flight.filled
    this.#core.coherence.end(name, flight.reading)
  }

  /** The same answer, but the stale value if that takes longer than `ms`. */
  #soon(flown: Promise<Found>, flight: Flight, ms: number): Promise<Found> {
    return new Promise((resolve, reject) => {
      const cancel = this.#core.clock.after(ms, () => {
        if (flight.stale !== undefined) resolve(found(flight.stale, 'local', true))
      })
      flown.finally(cancel).then(resolve, reject)
    })
  }

  async #fly(request: Request, flight: Flight): Promise<Found> {
    try {
      const seen = await this.#look(request, flight)
      return 'source' in seen ? seen : await this.#load(request, flight, seen)
    } catch (error) {
      if (!isAway(error)) throw error
      const instead = await this.#instead(request.name, request.key, error, flight.stale)
      return instead ?? (await this.#load(request, flight, { token: null, tags: null, away: true }))
    }
  }

  /** All that comes before a load: what was found, or what the load begins with. Throws when the engine is away. */
  async #look(request: Request, flight: Flight): Promise<Found | Start> {
    const { name, settings } = request
    const { clock, coherence, backoff } = this.#core
    const held = await this.lookup.held(name)
    if (held !== undefined) return found(held, 'local', false)
    const tags = coherence.tags.hold(this.#space.tagKeys(settings.tags))
    // It is waited for below; until then nobody must miss its failure.
    tags.catch(() => {})
    let waitedFor: number | undefined
    let lookInMs: number = lookAgainMs.first
    const loadAloneAt = clock.monotonic() + settings.hardDeadlineMs
    for (;;) {
      const seen = await this.#see(request, flight.reading)
      if (seen.kind === 'entry') {
        const now = clock.now()
        if (freshness(seen.held, now) === 'fresh') {
          if (isEarly(seen.held, now, settings.earlyRefresh, clock.random)) this.refresh(request, seen.held)
          return found(seen.held, seen.role, false)
        }
        flight.stale = seen.held
        if (backoff.holds(name)) return found(seen.held, seen.role, true)
        if (now < seen.held.freshUntil + settings.staleWhileRevalidateMs) {
          this.refresh(request, seen.held)
          return found(seen.held, seen.role, true)
        }
      }
      if (seen.kind === 'entry' || seen.kind === 'dead') {
        const token = await this.lookup.lock(name)
        if (token !== null) return { token, tags: await tags, away: false }
      }
      if (seen.kind === 'ours') return { token: seen.token, tags: await tags, away: false }
      // Lost twice: whoever it was that we waited for brought nothing, and neither may the next.
      const isLost = seen.kind === 'theirs' && waitedFor !== undefined && waitedFor !== seen.token
      if (seen.kind === 'none' || isLost || clock.monotonic() > loadAloneAt) {
        return { token: null, tags: null, away: false }
      }
      if (seen.kind === 'theirs') waitedFor = seen.token
      await flight.reading.woken(lookInMs * (0.5 + clock.random()), clock)
      this.#core.assertOpen()
      lookInMs = Math.min(lookInMs * 2, lookAgainMs.most)
    }
  }

  async #see({ name, key, settings }: Request, reading: Reading): Promise<Seen> {
    const { wrote, clock } = this.#core
    if (settings.readFrom !== 'primary' && !wrote.holds(name)) {
      const seen = await this.lookup.readCopy(name, key, settings.readFrom, this.#core.deadlineAt(), reading)
      if (seen.kind === 'entry' && freshness(seen.held, clock.now()) === 'fresh') return seen
    }
    return this.lookup.readOrLock(name, key, reading)
  }

  /** The primary cannot be asked: another copy, else what is held, however doubtful. Throws what is not the engine's fault. */
  async #instead(name: string, key: string, error: unknown, stale?: Held): Promise<Found | undefined> {
    const { local, clock, events, coherence } = this.#core
    if (!isAway(error)) throw error
    events.counters.engineErrors++
    const now = clock.now()
    if (this.#core.hasCopies()) {
      const reading = coherence.begin(name)
      const deadlineAt = this.#core.copyDeadlineAt()
      const seen = await this.lookup.readCopy(name, key, 'replica', deadlineAt, reading).catch(() => undefined)
      coherence.end(name, reading)
      if (seen?.kind === 'entry' && freshness(seen.held, now) === 'fresh') return found(seen.held, 'replica', true)
    }
    const held = local?.peek(name) ?? stale
    return held !== undefined && freshness(held, now) === 'fresh' ? found(held, 'local', true) : undefined
  }

  async #refresh(request: Request, flight: Flight): Promise<void> {
    const { coherence } = this.#core
    const tags = await coherence.tags.hold(this.#space.tagKeys(request.settings.tags))
    const token = await this.lookup.lock(request.name)
    if (token !== null) await this.#load(request, flight, { token, tags, away: false })
  }

  async #load(request: Request, flight: Flight, start: Start): Promise<Found> {
    const { name, key, loader, settings } = request
    const { clock, loads, events, backoff, closing } = this.#core
    const { token } = start
    const letGo = token === null ? () => {} : this.lookup.keepLock(name, token)
    const withinMs = settings.hardDeadlineMs
    const stale = flight.stale
    let kept = settings
    const context = {
      key,
      stale:
        stale === undefined ? undefined : { value: stale.value, ageMs: Math.max(0, clock.now() - stale.createdAt) },
      keepFor: (ttl: EntryTtl) => {
        kept = entrySettings(kept, { ttl })
      },
    }
    let begunAt = 0
    try {
      const loaded = await loads.run(
        () => {
          begunAt = clock.monotonic()
          return runLoader(loader, context, { clock, withinMs, closing })
        },
        { away: start.away, withinMs },
      )
      const loadMs = clock.monotonic() - begunAt
      events.counters.loads++
      events.counters.loadMs += loadMs
      if (events.heard('load')) events.emit('load', { key, ms: loadMs })
      const { value, sourceVersion } = this.#valueOf(request, loaded, stale)
      const now = clock.now()
      const made = { value, sourceVersion, loadMs, now }
      const fill = this.#fill({ ...request, settings: kept }, flight, start, made)
      flight.filled = fill.finally(letGo).catch(() => {})
      return { value, source: 'loader', createdAt: now, stale: false }
    } catch (error) {
      letGo()
      if (token !== null) this.lookup.release(name, token)
      events.counters.loadErrors++
      const canServe = stale !== undefined && clock.now() < stale.staleUntil
      events.emit('loadFailed', { key, error, served: canServe ? 'stale' : 'error' })
      if (!canServe) throw error
      backoff.note(name, settings.errorBackoffMs * (0.5 + clock.random()))
      return found(stale, 'local', true)
    }
  }

  #valueOf({ isVersioned }: Request, loaded: unknown, stale: Held | undefined) {
    if (loaded === unchanged) return { value: stale?.value, sourceVersion: undefined }
    if (isVersioned !== true || loaded === undefined) return { value: loaded, sourceVersion: undefined }
    const { loaded: value, version } = loaded as { loaded: unknown; version: number }
    return { value, sourceVersion: version }
  }

  /** Makes an entry of what was loaded, if it is still right. A cache that does not take it is no reason to fail. */
  async #fill(
    { name, key, settings }: Request,
    { reading }: Flight,
    { token, tags, away }: Start,
    { value, sourceVersion, loadMs, now }: Made,
  ): Promise<void> {
    const { clock, local, events, coherence } = this.#core
    const isAbsent = value === undefined
    if (isAbsent && settings.negativeTtlMs === 0) {
      if (token !== null) this.lookup.release(name, token)
      return
    }
    const terms = isAbsent ? { ...settings, ttlMs: settings.negativeTtlMs, staleIfErrorMs: 0 } : writable(settings)
    const life = lifetime(terms, { now, loadMs, dice: clock.random })
    const kind = isAbsent ? 'absent' : 'value'
    if (token === null || tags === null) {
      // Nobody else knows of it; it serves this process until the engine is back.
      if (away) this.#keepAway(name, value, { ...life, kind, version: newVersion(clock) })
      return
    }
    try {
      const good = tags.every((tag) => tag !== undefined) ? (tags as readonly HeldTag[]) : undefined
      if (good === undefined) throw new CacheError('UNAVAILABLE', 'the engine could not number its tags')
      const encoded = isAbsent ? undefined : await this.#space.encode(value)
      const version = newVersion(clock)
      const tagNames = this.#space.tagNames(settings.tags)
      const bytes = this.#space.write(encoded, life, { version, sourceVersion, tags: good, tagNames })
      const answer = await this.#writes.fill(name, bytes, token, life)
      if (answer === undefined) throw new CacheError('UNAVAILABLE', 'the key was changed while it was loaded')
      if (!reading.barred) {
        const { link } = answer
        const facts = { value, tags: good, link, bytes: bytes.length }
        local?.set(name, this.#space.hold({ ...life, kind, version }, facts, coherence.trustMs(link)), bytes.length)
      }
      coherence.filledHere(name)
    } catch (error) {
      this.lookup.release(name, token)
      events.emit('unfilled', { key, because: error instanceof Error ? error.message : String(error) })
    }
  }

  #keepAway(name: string, value: unknown, life: Lifetime & { kind: 'absent' | 'value'; version: number }): void {
    const { local } = this.#core
    if (local === null) return
    const bytes = sizeOf(value)
    local.set(name, this.#space.hold(life, { value, tags: [], link: noLink, bytes }, awayTrustMs), bytes)
  }
}

type EntryTtl = NonNullable<Parameters<typeof entrySettings>[1]>['ttl'] & {}

function found(held: Held, source: Source, stale: boolean): Found {
  return { value: held.value, source, createdAt: held.createdAt, stale }
}

/** Whether the engine could not be asked, and not something else went wrong. */
function isAway(error: unknown): boolean {
  return error instanceof CacheError && error.code !== 'CLOSED' && error.code !== 'INVALID'
}
