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
import type { Core } from './core.ts'
import type { ReadFrom } from './engine/engine.ts'
import { freshness, isEarly } from './entry.ts'
import { isAway } from './errors.ts'
import type { Held } from './held.ts'
import { Load, type Start } from './load.ts'
import { Lookup, type Seen, type Target } from './lookup.ts'
import type { EntrySettings } from './options.ts'
import { type Found, foundHeld, type Pilot, PlainRead, ReadFlight, type Request } from './read-flight.ts'
import type { Space } from './space.ts'
import type { Writes } from './write.ts'

/** How often somebody who waits for another process's load looks without having been woken: first and at most. */
const lookAgainMs = { first: 25, most: 200 } as const

export class Reads implements Pilot {
  readonly lookup: Lookup
  readonly #core: Core
  readonly #space: Space
  readonly #load: Load

  constructor(core: Core, space: Space, writes: Writes) {
    this.#core = core
    this.#space = space
    this.lookup = new Lookup(core, space)
    this.#load = new Load({ core, space, writes, lookup: this.lookup, teller: this })
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
    const flown = this.#core.flights.current(name)?.found
    const reading = flown === undefined ? this.#begin(name) : undefined
    const read = new PlainRead({ name, key, reading }, allowStale, this)
    // What was just loaded here is on its way to the engine: whoever loaded it finds it, too.
    if (flown !== undefined) {
      this.end(read, flown.value === undefined ? undefined : flown)
      return read
    }
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
    const until = this.#core.deadlineAt()
    await this.#core.inTime(this.#core.pending.settleFor(name), until)
    const held = await this.#core.inTime(this.lookup.held(name), until)
    if (held !== undefined) return { kind: 'entry', held, role: 'primary', token: 0 }
    const copy = await this.#core.inTime(this.#seeCopy(target, settings), until)
    return copy ?? this.#core.inTime(this.lookup.look(target), until)
  }

  /** What somebody gets who wants no load. */
  usable(seen: Seen, allowStale: boolean): Found | undefined {
    if (seen.kind !== 'entry') return undefined
    const isFresh = freshness(seen.held, this.#core.clock.now()) === 'fresh'
    return isFresh || allowStale ? foundHeld(seen.held, seen.role, !isFresh) : undefined
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

  /** Which copy is read. */
  #readFrom(name: string, { readFrom }: EntrySettings): ReadFrom {
    const { local, hot, wrote } = this.#core
    // Without a tier of its own, a process reads a hot key from wherever it is answered soonest.
    const wanted = readFrom === 'primary' && local === null && hot.isHot(name) ? 'nearest' : readFrom
    return wanted !== 'primary' && wrote.holds(name) ? 'primary' : wanted
  }

  #isPlain(name: string, settings: EntrySettings): boolean {
    if (this.#core.pending.size > 0 || this.lookup.isInDoubt(name)) return false
    return this.#readFrom(name, settings) === 'primary' && this.#copies(name, settings) === 1
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
      if (flight.stale !== undefined) this.tell(flight, foundHeld(flight.stale, 'local', true))
    })
  }

  land(flight: ReadFlight): void {
    const { flights, refreshes, coherence } = this.#core
    flight.cancelSoon?.()
    flights.land(flight)
    refreshes.land(flight)
    if (flight.reading !== undefined) coherence.end(flight.name, flight.reading)
  }

  #end(flight: ReadFlight, error: unknown): void {
    flight.reject(error)
    this.land(flight)
  }

  /** Tells all who wait. Only the first word counts. */
  tell(flight: ReadFlight, seen: Found): void {
    if (flight.found !== undefined) return
    flight.found = seen
    for (let caller = 0; caller < flight.callers; caller++) this.#count(flight.key, seen)
    flight.resolve(seen.value)
  }

  answer(flight: ReadFlight, seen: Found): void {
    this.tell(flight, seen)
    this.land(flight)
  }

  saw(flight: ReadFlight, seen: Seen): void {
    if (seen.kind === 'entry') {
      const { clock } = this.#core
      const now = clock.now()
      if (freshness(seen.held, now) === 'fresh' && !isEarly(seen.held, now, flight.earlyRefresh, clock.random)) {
        return this.answer(flight, foundHeld(seen.held, seen.role, false))
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
    else await this.#load.run(flight, seen)
  }

  /** The engine cannot be asked. */
  async #flyAway(flight: ReadFlight, error: unknown): Promise<void> {
    try {
      const instead = await this.#instead(flight.request.name, flight.request.key, error, flight.stale)
      if (instead !== undefined) this.answer(flight, instead)
      else await this.#load.run(flight, { token: null, away: true })
    } catch (reason) {
      this.#end(flight, reason)
    }
  }

  /** All that comes before a load: what was found, or what the load begins with. Throws when the engine is away. */
  async #look(flight: ReadFlight, first?: Seen): Promise<Found | Start> {
    const { name, settings } = flight.request
    const { clock, backoff, coherence, pending, loading } = this.#core
    flight.reading ??= coherence.begin(name)
    let until = this.#core.deadlineAt()
    if (first === undefined) {
      await this.#core.inTime(pending.settleFor(name), until)
      const held = await this.#core.inTime(this.lookup.held(name), until)
      if (held !== undefined) return foundHeld(held, 'local', false)
    }
    let waitedFor: number | undefined
    let lookInMs: number = lookAgainMs.first
    let cleared = false
    const loadAloneAt = clock.monotonic() + settings.hardDeadlineMs
    const see = (): Promise<Seen> => this.#core.inTime(this.#see(flight), until)
    for (let seen = first ?? (await see()); ; seen = await see()) {
      if (seen.kind === 'entry') {
        const now = clock.now()
        if (freshness(seen.held, now) === 'fresh') {
          if (isEarly(seen.held, now, settings.earlyRefresh, clock.random)) this.refresh(flight.request, seen.held)
          return foundHeld(seen.held, seen.role, false)
        }
        flight.stale = seen.held
        if (backoff.holds(name)) return foundHeld(seen.held, seen.role, true)
        if (now < seen.held.freshUntil + settings.staleWhileRevalidateMs) {
          this.refresh(flight.request, seen.held)
          return foundHeld(seen.held, seen.role, true)
        }
      }
      const ours = loading.get(name)
      const isOurs = ours !== undefined && ours.flight !== flight && 'token' in seen && seen.token === ours.token
      if (isOurs && ours.tags.every(({ live }) => live)) {
        // The lock of a load of this process is still there: nobody has changed the key since it began, so it will do.
        await ours.flight.answer
        return ours.flight.found as Found
      }
      if (seen.kind === 'entry' || seen.kind === 'dead') {
        const token = await this.#core.inTime(this.lookup.lock(name), until)
        // The engine takes no writes: nobody else has it either.
        if (token === undefined) return { token: null, away: false }
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
      // What was waited for was the other's loader and not the engine.
      until = this.#core.deadlineAt()
    }
  }

  async #see(flight: ReadFlight): Promise<Seen> {
    const { name, key, reading } = flight
    const target = { name, key, reading }
    return (await this.#seeCopy(target, flight.request.settings)) ?? this.lookup.lookOrLock(target)
  }

  /** A fresh entry of another copy than the primary's, if one is wanted and there. */
  async #seeCopy(target: Target, settings: EntrySettings): Promise<Seen | undefined> {
    const { name } = target
    const spread = await this.lookup.readSpread(target, this.#copies(name, settings))
    if (spread !== undefined) return spread
    const from = this.#readFrom(name, settings)
    if (from === 'primary') return undefined
    try {
      const seen = await this.lookup.readReplica(target, from, this.#core.replicaDeadlineAt())
      return seen.kind === 'entry' && freshness(seen.held, this.#core.clock.now()) === 'fresh' ? seen : undefined
    } catch (error) {
      // Where there is no replica, or none that answers, the primary is asked.
      if (!isAway(error)) throw error
      return undefined
    }
  }

  /** The primary cannot be asked: another copy, else what is held, however doubtful. Throws what is not the engine's fault. */
  async #instead(name: string, key: string, error: unknown, stale?: Held): Promise<Found | undefined> {
    const { local, clock, events, coherence } = this.#core
    if (!isAway(error)) throw error
    events.counters.engineErrors++
    // A replica knows of a change that the primary has not heard of no more than that.
    if (this.#core.hasReplicas() && !this.#core.pending.holds(name)) {
      const reading = coherence.begin(name)
      const deadlineAt = this.#core.replicaDeadlineAt()
      const seen = await this.lookup.readReplica({ name, key, reading }, 'replica', deadlineAt).catch(() => undefined)
      coherence.end(name, reading)
      if (seen?.kind === 'entry' && freshness(seen.held, clock.now()) === 'fresh') {
        return foundHeld(seen.held, 'replica', true)
      }
    }
    const held = local?.peek(name) ?? stale
    const isUsable =
      held !== undefined && freshness(held, clock.now()) === 'fresh' && held.tags.every(({ live }) => live)
    return isUsable ? foundHeld(held, 'local', true) : undefined
  }

  async #refresh(flight: ReadFlight): Promise<void> {
    const token = await this.lookup.lock(flight.name)
    if (token === null || token === undefined) this.answer(flight, foundHeld(flight.stale as Held, 'local', true))
    else await this.#load.run(flight, { token, away: false })
  }
}
