/** What a cache and all its namespaces share: one engine, one local tier, one flight a key, one count of everything. */
import { setMaxListeners } from 'node:events'
import { Batch } from './batch.ts'
import type { Clock } from './clock.ts'
import { Coherence } from './coherence.ts'
import type { Engine } from './engine/engine.ts'
import { CacheError } from './errors.ts'
import { Events } from './events.ts'
import { Flights } from './flights.ts'
import type { Held } from './held.ts'
import { HotKeys } from './hot-keys.ts'
import type { KeySpace } from './keys.ts'
import { Loads } from './loads.ts'
import { LocalTier } from './local-tier.ts'
import type { CacheSettings } from './options.ts'
import { Pending } from './pending.ts'
import { Pins } from './pins.ts'
import type { ReadFlight } from './read-flight.ts'
import { Recently } from './recently.ts'
import { lockMs, readOrLock } from './scripts.ts'
import { loadingEntry } from './space.ts'
import type { HeldTag } from './tags.ts'
import { newVersion } from './versions.ts'

/** The part of the engine's deadline that is left for a replica when the primary does not answer. */
const replicaShare = 0.4

interface OwnLoad {
  readonly token: number
  readonly flight: ReadFlight
  /** As they were before the load began. */
  readonly tags: readonly HeldTag[]
}

export interface CoreTerms {
  readonly engine: Engine
  readonly clock: Clock
  readonly settings: CacheSettings
  /** Of the root: how keys are called in the engine. */
  readonly keys: KeySpace
}

export class Core {
  readonly engine: Engine
  readonly clock: Clock
  readonly settings: CacheSettings
  readonly events: Events
  readonly local: LocalTier<Held> | null
  readonly coherence: Coherence
  readonly flights = new Flights<ReadFlight>()
  readonly refreshes = new Flights<ReadFlight>()
  /** The loads of this process that hold a lock in the engine, by key. */
  readonly loading = new Map<string, OwnLoad>()
  readonly loads: Loads
  readonly hot: HotKeys
  readonly pending: Pending
  /** Keys whose source has just failed. */
  readonly backoff: Recently
  /** Keys that this process has just written: read from the primary, so that it sees its own writes. */
  readonly wrote: Recently
  readonly gets: Batch<Buffer | null>
  readonly locks: Batch<Buffer | number, number>
  /** What has to be ended before the engine is closed. */
  readonly #parts = new Set<() => Promise<void>>()
  readonly #pins: Pins | undefined
  readonly #closing = new AbortController()

  constructor({ engine, clock, settings, keys }: CoreTerms) {
    const userKey = (name: string): string => keys.userKey(name)?.key ?? name
    this.engine = engine
    this.clock = clock
    this.settings = settings
    this.events = new Events(keys.namespace)
    this.local = settings.local === null ? null : new LocalTier<Held>(settings.local)
    this.loads = new Loads(settings.loads, clock)
    this.hot = new HotKeys({ clock, hotShare: settings.hot.share, hotPerSecond: settings.hot.perSecond })
    this.backoff = new Recently(clock)
    this.wrote = new Recently(clock)
    const deadlineMs = (): number => this.#primaryMs()
    this.coherence = new Coherence({
      engine,
      clock,
      deadlineMs,
      local: this.local,
      events: this.events,
      onChanged: (key) => (key === null ? this.flights.forgetAll() : this.flights.forget(key)),
      isPending: (key) => this.pending.holds(key),
    })
    this.pending = new Pending({
      engine,
      clock,
      deadlineMs: settings.engineDeadlineMs,
      events: this.events,
      tags: this.coherence.tags,
      userKey,
      onTold: (key) => {
        this.local?.delete(key)
        this.flights.forget(key)
        this.coherence.changedHere(key)
      },
    })
    this.gets = new Batch({
      engine,
      clock,
      deadlineMs,
      kind: 'read',
      command: (names) => ({ command: [names.length === 1 ? 'GET' : 'MGET', ...names], note: undefined }),
    })
    this.locks = new Batch({
      engine,
      clock,
      deadlineMs,
      kind: 'write',
      command: (names) => {
        const token = newVersion(clock)
        const args = [loadingEntry(token), String(lockMs)]
        return { command: { script: readOrLock, keys: names, args }, note: token }
      },
    })
    // Every load listens to it.
    setMaxListeners(0, this.#closing.signal)
    this.hot.on('hot', (hot) => this.events.emit('hot', { ...hot, key: userKey(hot.key), hot: true }))
    this.hot.on('cooled', (hot) => this.events.emit('hot', { ...hot, key: userKey(hot.key), hot: false }))
    if (this.local !== null) {
      this.#pins = new Pins({ hot: this.hot, local: this.local, clock, pinMs: settings.hot.pinMs })
    }
    engine.on('breaker', (node, state, because) => this.events.emit('breaker', { node, state, because }))
    engine.on('moved', (because) => this.events.emit('moved', { because }))
    engine.on('trouble', (error) => this.events.emit('trouble', { error }))
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** For calls that have no other copy to turn to. */
  deadlineAt(): number {
    return this.clock.monotonic() + this.settings.engineDeadlineMs
  }

  /** When a read that turns to a replica after the primary must have its answer. */
  replicaDeadlineAt(): number {
    return this.clock.monotonic() + this.settings.engineDeadlineMs * replicaShare
  }

  /** The work's end, or UNAVAILABLE at the deadline: for what takes several steps, each with a deadline of its own. */
  inTime<T>(work: Promise<T>, deadlineAt: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const leftMs = Math.max(0, deadlineAt - this.clock.monotonic())
      const cancel = this.clock.after(leftMs, () => {
        reject(new CacheError('UNAVAILABLE', 'the engine took longer for all steps of a call than it is given'))
      })
      work.finally(cancel).then(resolve, reject)
    })
  }

  hasReplicas(): boolean {
    return this.engine.nodes().some(({ role, breaker }) => role === 'replica' && breaker !== 'open')
  }

  #primaryMs(): number {
    return this.settings.engineDeadlineMs * (this.hasReplicas() ? 1 - replicaShare : 1)
  }

  assertOpen(): void {
    if (this.closed) throw new CacheError('CLOSED', 'the cache was closed')
  }

  /** Ends a part of the cache before its engine. */
  closesWithMe(close: () => Promise<void>): void {
    this.#parts.add(close)
  }

  async close(): Promise<void> {
    if (this.closed) return
    await Promise.allSettled(Array.from(this.#parts, (close) => close()))
    this.#closing.abort()
    this.pending.close()
    this.#pins?.close()
    this.hot.close()
    await this.coherence.close()
    this.local?.clear()
    await this.engine.close()
  }
}
