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
import type { Arrival } from './batch.ts'
import type { Reading } from './coherence.ts'
import { type Core, noLink } from './core.ts'
import { freshness, isEarly, type Lifetime, lifetime } from './entry.ts'
import { CacheError } from './errors.ts'
import { Flight } from './flights.ts'
import type { Held } from './held.ts'
import { type Loader, runLoader, unchanged } from './loader.ts'
import { Lookup, type Reader, type Seen, type Target } from './lookup.ts'
import { type EntryOptions, type EntrySettings, entrySettings, writable } from './options.ts'
import type { Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { sizeOf } from './value.ts'
import { newVersion } from './versions.ts'
import type { Writes } from './write.ts'

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

/**
 * A read that everybody who asks for the key has joined. It asks the engine itself and is told itself, and its promise
 * is of the value and goes to the callers as it is: a closure or a promise more for each read would cost 5 % of it.
 */
export class ReadFlight extends Flight<unknown> implements Reader {
  readonly request: Request
  /** What more there is to say of the value, once it is there. */
  found: Found | undefined
  /** How many wait for it. */
  callers = 0
  reading: Reading | undefined
  /** What there is if the load takes too long or fails. */
  stale: Held | undefined
  /** Ends the wait for the soft deadline. */
  cancelSoon: (() => void) | undefined
  readonly #reads: Reads

  constructor(request: Request, reading: Reading | undefined, reads: Reads) {
    super(request.name)
    this.request = request
    this.reading = reading
    this.#reads = reads
  }

  get key(): string {
    return this.request.key
  }

  get earlyRefresh(): number {
    return this.request.settings.earlyRefresh
  }

  answered(reply: Buffer | number | null, arrival: Arrival<number | undefined>): void {
    this.#reads.lookup.glance(reply, arrival, this)
  }

  hit(value: unknown, createdAt: number, source: 'primary' | 'replica'): void {
    this.#reads.answer(this, { value, source, createdAt, stale: false })
  }

  saw(seen: Seen): void {
    this.#reads.saw(this, seen)
  }

  failed(error: unknown): void {
    this.#reads.failed(this, error)
  }
}

/** A read of one caller who wants no load. */
export class PlainRead extends Flight<unknown> implements Reader {
  readonly key: string
  readonly allowStale: boolean
  readonly earlyRefresh = 0
  /** What more there is to say of the value; undefined if there was none. */
  found: Found | undefined
  readonly reading: Reading | undefined
  readonly #reads: Reads

  constructor({ name, key, reading }: Target, allowStale: boolean, reads: Reads) {
    super(name)
    this.key = key
    this.reading = reading
    this.allowStale = allowStale
    this.#reads = reads
  }

  answered(reply: Buffer | number | null, arrival: Arrival<undefined>): void {
    this.#reads.lookup.glance(reply, arrival, this)
  }

  hit(value: unknown, createdAt: number, source: 'primary' | 'replica'): void {
    this.#reads.end(this, { value, source, createdAt, stale: false })
  }

  saw(seen: Seen): void {
    this.#reads.end(this, this.#reads.usable(seen, this.allowStale))
  }

  failed(error: unknown): void {
    this.#reads.readInstead(this, error)
  }
}

/** What a load begins with. */
interface Start {
  /** Null: nobody else is kept from loading, and nothing is written afterwards. */
  readonly token: number | null
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
    const flight = this.join(request)
    return flight.answer.then(() => flight.found as Found)
  }

  /** The same for those who need no more than the value. */
  join(request: Request): ReadFlight {
    const { flights } = this.#core
    const { name, settings } = request
    const current = flights.current(name)
    if (current !== undefined) {
      if (current.found === undefined) current.callers++
      else this.#count(current.key, current.found)
      return current
    }
    const flight = new ReadFlight(request, this.#begin(name), this)
    flight.callers = 1
    flights.takeOff(flight)
    this.#beSoon(flight)
    // Nearly always an entry is there, and it is fresh. Everything else goes on step by step.
    if (this.#isPlain(name, settings)) this.lookup.readOrLock(flight)
    else void this.#fly(flight)
    return flight
  }

  /** Without a local tier there is nothing to keep right: who waits for another's load begins when he does. */
  #begin(name: string): Reading | undefined {
    const { local, coherence } = this.#core
    return local === null ? undefined : coherence.begin(name)
  }

  /** Renews an entry that is still served: one at a time, and only where nobody else does. */
  refresh(request: Request, held: Held): void {
    const { refreshes, backoff, coherence } = this.#core
    const { name } = request
    if (backoff.holds(name) || refreshes.current(name) !== undefined) return
    const flight = new ReadFlight(request, coherence.begin(name), this)
    flight.stale = held
    // Nobody waits for it: a refresh that fails is told of as a failed load, and the entry is served as long as it lasts.
    flight.answer.catch(() => {})
    refreshes.takeOff(flight)
    this.#refresh(flight).catch((error: unknown) => this.#end(flight, error))
  }

  /** What there is without loading; undefined for nothing. Never fails because the engine is away. */
  get(name: string, key: string, settings: EntrySettings, allowStale: boolean): PlainRead {
    const read = new PlainRead({ name, key, reading: this.#begin(name) }, allowStale, this)
    if (this.#isPlain(name, settings)) this.lookup.read(read)
    else {
      this.#getSlowly(read, settings).then(
        (seen) => read.saw(seen),
        (error: unknown) => read.failed(error),
      )
    }
    return read
  }

  async #getSlowly(target: Target, settings: EntrySettings): Promise<Seen> {
    const { name } = target
    const held = await this.lookup.held(name)
    if (held !== undefined) return { kind: 'entry', held, role: 'primary' }
    const spread = await this.lookup.readSpread(target, this.#copies(name, settings))
    if (spread !== undefined) return spread
    if (this.#wantsReplica(name, settings)) {
      return this.lookup.readReplica(target, settings.readFrom, this.#core.deadlineAt())
    }
    return this.lookup.look(target)
  }

  /** What somebody gets who wants no load. */
  usable(seen: Seen, allowStale: boolean): Found | undefined {
    if (seen.kind !== 'entry') return undefined
    const isFresh = freshness(seen.held, this.#core.clock.now()) === 'fresh'
    return isFresh || allowStale ? found(seen.held, seen.role, !isFresh) : undefined
  }

  end(read: PlainRead, seen: Found | undefined): void {
    if (read.reading !== undefined) this.#core.coherence.end(read.name, read.reading)
    read.found = seen
    this.#count(read.key, seen)
    read.resolve(seen?.value)
  }

  readInstead(read: PlainRead, error: unknown): void {
    this.#instead(read.name, read.key, error).then(
      (seen) => this.end(read, seen),
      (reason: unknown) => {
        if (read.reading !== undefined) this.#core.coherence.end(read.name, read.reading)
        read.reject(reason)
      },
    )
  }

  /** Whether another copy than the primary's is to be read. */
  #wantsReplica(name: string, { readFrom }: EntrySettings): boolean {
    return readFrom !== 'primary' && !this.#core.wrote.holds(name)
  }

  #isPlain(name: string, settings: EntrySettings): boolean {
    return !this.lookup.isInDoubt(name) && !this.#wantsReplica(name, settings) && this.#copies(name, settings) === 1
  }

  /** In how many copies the key is kept. */
  #copies(name: string, { copies }: EntrySettings): number {
    return this.#space.copies.countFor(name, copies)
  }

  /** With a stale value, callers are answered at the soft deadline, whatever the flight still does. */
  #beSoon(flight: ReadFlight): void {
    const { softDeadlineMs } = flight.request.settings
    if (softDeadlineMs === Number.POSITIVE_INFINITY) return
    flight.cancelSoon = this.#core.clock.after(softDeadlineMs, () => {
      if (flight.stale !== undefined) this.#tell(flight, found(flight.stale, 'local', true))
    })
  }

  #land(flight: ReadFlight): void {
    const { flights, refreshes, coherence } = this.#core
    flight.cancelSoon?.()
    flights.land(flight)
    refreshes.land(flight)
    if (flight.reading !== undefined) coherence.end(flight.name, flight.reading)
  }

  #end(flight: ReadFlight, error: unknown): void {
    flight.reject(error)
    this.#land(flight)
  }

  /** Tells all who wait. Only the first word counts. */
  #tell(flight: ReadFlight, seen: Found): void {
    if (flight.found !== undefined) return
    flight.found = seen
    for (let caller = 0; caller < flight.callers; caller++) this.#count(flight.key, seen)
    flight.resolve(seen.value)
  }

  answer(flight: ReadFlight, seen: Found): void {
    this.#tell(flight, seen)
    this.#land(flight)
  }

  saw(flight: ReadFlight, seen: Seen): void {
    if (seen.kind === 'entry') {
      const { clock } = this.#core
      const now = clock.now()
      if (freshness(seen.held, now) === 'fresh' && !isEarly(seen.held, now, flight.earlyRefresh, clock.random)) {
        return this.answer(flight, found(seen.held, seen.role, false))
      }
    }
    void this.#fly(flight, seen)
  }

  failed(flight: ReadFlight, error: unknown): void {
    void this.#flyAway(flight, error)
  }

  #count(key: string, seen: Found | undefined): void {
    const { events } = this.#core
    const { counters } = events
    if (seen === undefined || seen.source === 'loader') {
      counters.misses++
      if (events.heard('miss')) events.emit('miss', { key })
      return
    }
    const { source, stale } = seen
    if (source === 'local') counters.localHits++
    else if (source === 'primary') counters.engineHits++
    else if (source === 'replica') counters.replicaHits++
    else return
    if (stale) counters.staleHits++
    if (events.heard('hit')) events.emit('hit', { key, source, stale })
  }

  async #fly(flight: ReadFlight, first?: Seen): Promise<void> {
    let seen: Found | Start
    try {
      seen = await this.#look(flight, first)
    } catch (error) {
      return this.#flyAway(flight, error)
    }
    if ('source' in seen) this.answer(flight, seen)
    else await this.#load(flight, seen)
  }

  /** The engine cannot be asked. */
  async #flyAway(flight: ReadFlight, error: unknown): Promise<void> {
    try {
      const instead = await this.#instead(flight.request.name, flight.request.key, error, flight.stale)
      if (instead !== undefined) this.answer(flight, instead)
      else await this.#load(flight, { token: null, away: true })
    } catch (reason) {
      this.#end(flight, reason)
    }
  }

  /** All that comes before a load: what was found, or what the load begins with. Throws when the engine is away. */
  async #look(flight: ReadFlight, first?: Seen): Promise<Found | Start> {
    const { name, settings } = flight.request
    const { clock, backoff, coherence } = this.#core
    flight.reading ??= coherence.begin(name)
    if (first === undefined) {
      const held = await this.lookup.held(name)
      if (held !== undefined) return found(held, 'local', false)
    }
    let waitedFor: number | undefined
    let lookInMs: number = lookAgainMs.first
    let cleared = false
    const loadAloneAt = clock.monotonic() + settings.hardDeadlineMs
    for (let seen = first ?? (await this.#see(flight)); ; seen = await this.#see(flight)) {
      if (seen.kind === 'entry') {
        const now = clock.now()
        if (freshness(seen.held, now) === 'fresh') {
          if (isEarly(seen.held, now, settings.earlyRefresh, clock.random)) this.refresh(flight.request, seen.held)
          return found(seen.held, seen.role, false)
        }
        flight.stale = seen.held
        if (backoff.holds(name)) return found(seen.held, seen.role, true)
        if (now < seen.held.freshUntil + settings.staleWhileRevalidateMs) {
          this.refresh(flight.request, seen.held)
          return found(seen.held, seen.role, true)
        }
      }
      if (seen.kind === 'entry' || seen.kind === 'dead') {
        const token = await this.lookup.lock(name)
        if (token !== null) return { token, away: false }
      }
      if (seen.kind === 'ours') return { token: seen.token, away: false }
      if (seen.kind === 'foreign' && !cleared) {
        cleared = true
        await this.lookup.clear(name)
        continue
      }
      // Lost twice: whoever it was that we waited for brought nothing, and neither may the next.
      const isLost = seen.kind === 'theirs' && waitedFor !== undefined && waitedFor !== seen.token
      const isHopeless = seen.kind === 'none' || seen.kind === 'foreign'
      if (isHopeless || isLost || clock.monotonic() > loadAloneAt) return { token: null, away: false }
      if (seen.kind === 'theirs') waitedFor = seen.token
      await flight.reading.woken(lookInMs * (0.5 + clock.random()), clock)
      this.#core.assertOpen()
      lookInMs = Math.min(lookInMs * 2, lookAgainMs.most)
    }
  }

  async #see(flight: ReadFlight): Promise<Seen> {
    const { name, key, reading } = flight
    const { settings } = flight.request
    const target = { name, key, reading }
    const spread = await this.lookup.readSpread(target, this.#copies(name, settings))
    if (spread !== undefined) return spread
    if (this.#wantsReplica(name, settings)) {
      const seen = await this.lookup.readReplica(target, settings.readFrom, this.#core.deadlineAt())
      if (seen.kind === 'entry' && freshness(seen.held, this.#core.clock.now()) === 'fresh') return seen
    }
    return this.lookup.lookOrLock(target)
  }

  /** The primary cannot be asked: another copy, else what is held, however doubtful. Throws what is not the engine's fault. */
  async #instead(name: string, key: string, error: unknown, stale?: Held): Promise<Found | undefined> {
    const { local, clock, events, coherence } = this.#core
    if (!isAway(error)) throw error
    events.counters.engineErrors++
    if (this.#core.hasReplicas()) {
      const reading = coherence.begin(name)
      const deadlineAt = this.#core.replicaDeadlineAt()
      const seen = await this.lookup.readReplica({ name, key, reading }, 'replica', deadlineAt).catch(() => undefined)
      coherence.end(name, reading)
      if (seen?.kind === 'entry' && freshness(seen.held, clock.now()) === 'fresh') {
        return found(seen.held, 'replica', true)
      }
    }
    const held = local?.peek(name) ?? stale
    return held !== undefined && freshness(held, clock.now()) === 'fresh' ? found(held, 'local', true) : undefined
  }

  async #refresh(flight: ReadFlight): Promise<void> {
    const token = await this.lookup.lock(flight.name)
    if (token === null) this.answer(flight, found(flight.stale as Held, 'local', true))
    else await this.#load(flight, { token, away: false })
  }

  async #load(flight: ReadFlight, start: Start): Promise<void> {
    const { name, key, loader, settings } = flight.request
    const { clock, loads, events, backoff, closing } = this.#core
    const { token, away } = start
    const { stale } = flight
    const letGo = token === null ? () => {} : this.lookup.keepLock(name, token)
    const withinMs = settings.hardDeadlineMs
    let kept = settings
    const context = {
      key,
      stale:
        stale === undefined ? undefined : { value: stale.value, ageMs: Math.max(0, clock.now() - stale.createdAt) },
      keepFor: (ttl: NonNullable<EntryOptions['ttl']>) => {
        kept = entrySettings(kept, { ttl })
      },
    }
    try {
      // The tags' numbers are those from before the load: one that changes while it runs makes its result a miss.
      const tags = token === null ? null : await this.#holdTags(settings)
      let begunAt = 0
      const loaded = await loads.run(
        () => {
          begunAt = clock.monotonic()
          return runLoader(loader, context, { clock, withinMs, closing })
        },
        { away, withinMs },
      )
      const loadMs = clock.monotonic() - begunAt
      events.counters.loads++
      events.counters.loadMs += loadMs
      if (events.heard('load')) events.emit('load', { key, ms: loadMs })
      const { value, sourceVersion } = this.#valueOf(flight.request, loaded, stale)
      const now = clock.now()
      // What is not kept leaves nothing behind that the next caller could wait for.
      if (value === undefined && kept.negativeTtlMs === 0) this.#land(flight)
      this.#tell(flight, { value, source: 'loader', createdAt: now, stale: false })
      await this.#fill(flight, kept, { token, tags, away }, { value, sourceVersion, loadMs, now })
    } catch (error) {
      if (token !== null) this.lookup.release(name, token)
      events.counters.loadErrors++
      const canServe = stale !== undefined && clock.now() < stale.staleUntil
      events.emit('loadFailed', { key, error, served: canServe ? 'stale' : 'error' })
      if (canServe) {
        backoff.note(name, settings.errorBackoffMs * (0.5 + clock.random()))
        this.#tell(flight, found(stale, 'local', true))
      } else flight.reject(error)
    } finally {
      letGo()
      this.#land(flight)
    }
  }

  /** Null where their numbers are not to be had: then what is loaded is served and not kept. */
  async #holdTags({ tags }: EntrySettings): Promise<readonly HeldTag[] | null> {
    try {
      const held = await this.#core.coherence.tags.hold(this.#space.tagKeys(tags))
      return held.every((tag) => tag !== undefined) ? (held as HeldTag[]) : null
    } catch (error) {
      if (!isAway(error)) throw error
      return null
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
    { request: { name, key }, reading }: ReadFlight,
    settings: EntrySettings,
    { token, tags, away }: Start & { readonly tags: readonly HeldTag[] | null },
    { value, sourceVersion, loadMs, now }: Made,
  ): Promise<void> {
    const { clock, local, events, coherence } = this.#core
    const isAbsent = value === undefined
    if (isAbsent && settings.negativeTtlMs === 0) {
      if (token !== null) this.lookup.release(name, token)
      return
    }
    try {
      const terms = isAbsent ? { ...settings, ttlMs: settings.negativeTtlMs, staleIfErrorMs: 0 } : writable(settings)
      const life = lifetime(terms, { now, loadMs, dice: clock.random })
      const kind = isAbsent ? 'absent' : 'value'
      const version = newVersion(clock)
      // Nobody else knows of it; it serves this process until the engine is back.
      if (away) return this.#keepAway(name, value, { ...life, kind, version })
      if (token === null) return
      if (tags === null) throw new CacheError('UNAVAILABLE', 'the engine could not number its tags')
      const encoded = isAbsent ? undefined : await this.#space.encode(value)
      const tagNames = this.#space.tagNames(settings.tags)
      const bytes = this.#space.write(encoded, life, { version, sourceVersion, tags, tagNames })
      const answer = await this.#writes.fill(name, bytes, token, life)
      if (answer === undefined) throw new CacheError('UNAVAILABLE', 'the key was changed while it was loaded')
      if (reading?.overtaken !== true) {
        // The engine tells us of what our own scripts write, too: NOLOOP is about commands. So it may have been our own
        // lock that barred the reading. What was filled is held then, and compared by version before it is served.
        const isInDoubt = reading?.barred === true
        const link = isInDoubt ? noLink : answer.link
        const facts = { value, tags, link, bytes: bytes.length }
        const trustMs = isInDoubt ? 0 : coherence.trustMs(link)
        local?.set(name, this.#space.hold({ ...life, kind, version }, facts, trustMs), bytes.length)
      }
      coherence.filledHere(name)
    } catch (error) {
      if (token !== null) this.lookup.release(name, token)
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

function found(held: Held, source: Source, stale: boolean): Found {
  return { value: held.value, source, createdAt: held.createdAt, stale }
}

/** Whether the engine could not be asked, and not something else went wrong. */
function isAway(error: unknown): boolean {
  return error instanceof CacheError && error.code !== 'CLOSED' && error.code !== 'INVALID'
}
