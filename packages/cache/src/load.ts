/**
 * From the loader to the entry: loaded under the limit and the deadline, told to all who wait, and written if the lock
 * is still ours. A load that fails is answered by what is stale, and else by its error.
 */
import type { Core } from './core.ts'
import { noLink } from './engine/engine.ts'
import { type Lifetime, lifetime } from './entry.ts'
import { CacheError, isAway } from './errors.ts'
import type { Held } from './held.ts'
import { runLoader, unchanged } from './loader.ts'
import type { Lookup } from './lookup.ts'
import { type EntryOptions, type EntrySettings, entrySettings, writable } from './options.ts'
import { type Found, foundHeld, type ReadFlight, type Request } from './read-flight.ts'
import type { Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { sizeOf } from './value.ts'
import { newVersion } from './versions.ts'
import type { Writes } from './write.ts'

/** What a load begins with. */
export interface Start {
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

/** How long what was loaded while the engine was away is taken for fresh. */
const awayTrustMs = 1000

/** Who tells the callers, and frees the key. */
export interface Teller {
  tell(flight: ReadFlight, seen: Found): void
  land(flight: ReadFlight): void
}

export interface LoadParts {
  readonly core: Core
  readonly space: Space
  readonly writes: Writes
  readonly lookup: Lookup
  readonly teller: Teller
}

export class Load {
  readonly #core: Core
  readonly #space: Space
  readonly #writes: Writes
  readonly #lookup: Lookup
  readonly #teller: Teller

  constructor({ core, space, writes, lookup, teller }: LoadParts) {
    this.#core = core
    this.#space = space
    this.#writes = writes
    this.#lookup = lookup
    this.#teller = teller
  }

  async run(flight: ReadFlight, start: Start): Promise<void> {
    const { name, key, loader, settings } = flight.request
    const { clock, loads, events, backoff, closing, loading } = this.#core
    const { token, away } = start
    const { stale } = flight
    // Taken before the source is read: a change of any tag from here on ends it.
    const { unnumbered } = this.#core.coherence.tags
    const letGo = token === null ? () => {} : this.#lookup.keepLock(name, token)
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
      if (token !== null && tags !== null) loading.set(name, { token, flight, tags })
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
      if (value === undefined && kept.negativeTtlMs === 0) this.#teller.land(flight)
      this.#teller.tell(flight, { value, source: 'loader', createdAt: now, stale: false })
      await this.#fill(
        flight,
        kept,
        { token, tags: away ? [unnumbered] : tags, away },
        { value, sourceVersion, loadMs, now },
      )
    } catch (error) {
      if (token !== null) this.#lookup.release(name, token)
      events.counters.loadErrors++
      const canServe = stale !== undefined && clock.now() < stale.staleUntil
      events.emit('loadFailed', { key, error, served: canServe ? 'stale' : 'error' })
      if (canServe) {
        backoff.note(name, settings.errorBackoffMs * (0.5 + clock.random()))
        this.#teller.tell(flight, foundHeld(stale, 'local', true))
      } else flight.reject(error)
    } finally {
      letGo()
      if (loading.get(name)?.flight === flight) loading.delete(name)
      this.#teller.land(flight)
    }
  }

  /** Null where their numbers are not to be had: then what is loaded is served and not kept. */
  async #holdTags({ tags }: EntrySettings): Promise<readonly HeldTag[] | null> {
    try {
      const held = await this.#core.coherence.tags.hold(this.#space.tagKeys(tags))
      return held.every((tag) => tag !== undefined) ? held : null
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
      if (token !== null) this.#lookup.release(name, token)
      return
    }
    try {
      const terms = isAbsent ? { ...settings, ttlMs: settings.negativeTtlMs, staleIfErrorMs: 0 } : writable(settings)
      const life = lifetime(terms, { now, loadMs, dice: clock.random })
      const kind = isAbsent ? 'absent' : 'value'
      const version = newVersion(clock)
      // Nobody else knows of it; it serves this process until the engine is back.
      if (away)
        return reading?.overtaken === true
          ? undefined
          : this.#keepAway(name, value, { ...life, kind, version }, tags ?? [])
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
      if (token !== null) this.#lookup.release(name, token)
      events.emit('unfilled', { key, because: error instanceof Error ? error.message : String(error) })
    }
  }

  #keepAway(
    name: string,
    value: unknown,
    life: Lifetime & { kind: 'absent' | 'value'; version: number },
    tags: readonly HeldTag[],
  ): void {
    const { local } = this.#core
    if (local === null) return
    const bytes = sizeOf(value)
    local.set(name, this.#space.hold(life, { value, tags, link: noLink, bytes }, awayTrustMs), bytes)
  }
}
