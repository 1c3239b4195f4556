/** Reads under way: one that all callers of a key have joined, and one of a caller who wants no load. */
import type { Arrival } from './batch.ts'
import type { Reading } from './coherence.ts'
import { Flight } from './flights.ts'
import type { Held } from './held.ts'
import type { Loader } from './loader.ts'
import type { Lookup, Reader, Seen, Target } from './lookup.ts'
import type { EntrySettings } from './options.ts'

export type Source = 'local' | 'primary' | 'replica' | 'loader' | 'fallback' | 'none'

/** What a read found, and where. */
export interface Found {
  readonly value: unknown
  readonly source: Source
  /** Wall time; what was just loaded was made now. */
  readonly createdAt: number
  readonly stale: boolean
}

export function foundHeld(held: Held, source: Source, stale: boolean): Found {
  return { value: held.value, source, createdAt: held.createdAt, stale }
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

/** Who decides what becomes of what they see. */
export interface Pilot {
  readonly lookup: Lookup
  answer(flight: ReadFlight, seen: Found): void
  saw(flight: ReadFlight, seen: Seen): void
  failed(flight: ReadFlight, error: unknown): void
  usable(seen: Seen, allowStale: boolean): Found | undefined
  end(read: PlainRead, seen: Found | undefined): void
  readInstead(read: PlainRead, error: unknown): void
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
  readonly #pilot: Pilot

  constructor(request: Request, reading: Reading | undefined, pilot: Pilot) {
    super(request.name)
    this.request = request
    this.reading = reading
    this.#pilot = pilot
  }

  get key(): string {
    return this.request.key
  }

  get earlyRefresh(): number {
    return this.request.settings.earlyRefresh
  }

  answered(reply: Buffer | number | null, arrival: Arrival<number | undefined>): void {
    this.#pilot.lookup.glance(reply, arrival, this)
  }

  hit(value: unknown, createdAt: number, source: 'primary' | 'replica'): void {
    this.#pilot.answer(this, { value, source, createdAt, stale: false })
  }

  saw(seen: Seen): void {
    this.#pilot.saw(this, seen)
  }

  failed(error: unknown): void {
    this.#pilot.failed(this, error)
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
  readonly #pilot: Pilot

  constructor({ name, key, reading }: Target, allowStale: boolean, pilot: Pilot) {
    super(name)
    this.key = key
    this.reading = reading
    this.allowStale = allowStale
    this.#pilot = pilot
  }

  answered(reply: Buffer | number | null, arrival: Arrival<undefined>): void {
    this.#pilot.lookup.glance(reply, arrival, this)
  }

  hit(value: unknown, createdAt: number, source: 'primary' | 'replica'): void {
    this.#pilot.end(this, { value, source, createdAt, stale: false })
  }

  saw(seen: Seen): void {
    this.#pilot.end(this, this.#pilot.usable(seen, this.allowStale))
  }

  failed(error: unknown): void {
    this.#pilot.readInstead(this, error)
  }
}
