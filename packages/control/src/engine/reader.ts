import type { Seen } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { EngineLink } from './link.ts'

/** How long a look waits for those that answered last time. */
const deadlineMs = 300
/** How often each is asked whether it is there, between looks: a freeze must not hide until the next second. */
const heartbeatMs = 200
/** A line on which nothing came for this long is given up for another one. */
const anotherLineMs = 1500
/** A tick this late means that we were not awake, so nobody else's silence proves anything. */
const lateMs = 300

/** All readers of one deployment: asked together, waited for together, and kept awake between looks. */
export class Readers<Facts> {
  readonly #clock: Clock
  readonly #make: (place: ReaderOptions<Facts>['place'], onChange: () => void) => Reader<Facts>
  readonly #readers = new Map<string, Reader<Facts>>()
  readonly #heartbeat: NodeJS.Timeout
  #listener: () => void = () => {}
  #lastBeat: number

  constructor(clock: Clock, make: (place: ReaderOptions<Facts>['place'], onChange: () => void) => Reader<Facts>) {
    this.#clock = clock
    this.#make = make
    this.#lastBeat = clock.now()
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs)
    this.#heartbeat.unref()
  }

  async look(
    places: readonly ReaderOptions<Facts>['place'][],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Seen<Facts>>> {
    const readers = places.map((place) => this.#readerOf(place))
    const enough = new AbortController()
    const deadline = this.#clock.sleep(deadlineMs, AbortSignal.any([signal, enough.signal]))
    await Promise.race([Promise.all(readers.map((reader) => reader.read())), deadline])
    enough.abort('answered')
    // A look that was broken off has seen nothing: the questions are still on their way.
    if (signal.aborted) return new Map()
    return new Map(readers.map((reader) => [reader.id, reader.seen]))
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }

  close(): void {
    clearInterval(this.#heartbeat)
    for (const reader of this.#readers.values()) reader.close()
    this.#readers.clear()
  }

  #readerOf(place: ReaderOptions<Facts>['place']): Reader<Facts> {
    const known = this.#readers.get(place.id)
    if (known?.isAt(place) === true) return known
    known?.close()
    const reader = this.#make(place, () => this.#listener())
    this.#readers.set(place.id, reader)
    return reader
  }

  #beat(): void {
    const now = this.#clock.now()
    const late = now - this.#lastBeat > heartbeatMs + lateMs
    this.#lastBeat = now
    for (const reader of this.#readers.values()) {
      if (late) reader.excuseSilence()
      void reader.ping()
    }
  }
}

/** A connection, and when each question on it that is still without an answer was asked; an engine answers in order. */
interface Line {
  readonly link: EngineLink
  readonly password: string
  owed: number[]
}

/** Whom to sign in as. The password may become another one while the readers live. */
export interface Credentials {
  readonly username: string
  readonly password: () => string
  /** Whom to believe that it is the engine, PEM. Absent or null: it is spoken to in clear. */
  readonly authority?: () => string | null
}

export interface ReaderOptions<Facts> {
  readonly place: { readonly id: string; readonly address: string; readonly port: number }
  readonly credentials: Credentials
  readonly clock: Clock
  readonly readFacts: (link: EngineLink) => Promise<Facts>
  /** Something happened that a turn should see. */
  readonly onChange: () => void
}

/** What one engine or Sentinel last said, and since when it owes an answer. */
export class Reader<Facts> {
  readonly id: string
  readonly #place: ReaderOptions<Facts>['place']
  readonly #clock: Clock
  readonly #readFacts: (link: EngineLink) => Promise<Facts>
  readonly #dial: () => Line
  readonly #password: () => string
  readonly #onChange: () => void
  #line: Line
  #last: Seen<Facts> = { kind: 'unknown' }
  /** Since when it is silent, over all lines that were tried. */
  #silentSince: number | null = null
  /** Whether a turn was told that this node is silent, so that its answer is news. */
  #missed = false

  constructor({ place, credentials, clock, readFacts, onChange }: ReaderOptions<Facts>) {
    const { username, password, authority } = credentials
    const target = { username, authority, address: place.address, port: place.port, name: 'holdfast-probe' }
    this.id = place.id
    this.#place = place
    this.#clock = clock
    this.#readFacts = readFacts
    this.#onChange = onChange
    this.#password = password
    this.#dial = () => {
      const now = password()
      return { link: new EngineLink({ ...target, password: now }, onChange), password: now, owed: [] }
    }
    this.#line = this.#dial()
  }

  isAt({ address, port }: ReaderOptions<Facts>['place']): boolean {
    return this.#place.address === address && this.#place.port === port
  }

  get seen(): Seen<Facts> {
    const since = this.#line.owed[0]
    if (since === undefined) return this.#last
    this.#missed = true
    this.#silentSince ??= since
    return { kind: 'silent', since: this.#silentSince }
  }

  /** Reads all there is to know; where a turn already knows that the node is silent, it only waits on. */
  async read(): Promise<void> {
    const askedAt = this.#line.owed[0]
    if (this.#missed && askedAt !== undefined) {
      if (this.#clock.now() - askedAt < anotherLineMs) return
      // Whatever took this line may not be the engine at all: another one may find it.
      this.close()
      this.#line = this.#dial()
    }
    // Our own line, too, signs in with the password as it is now, before the old one goes.
    if (this.#line.owed.length === 0 && this.#line.password !== this.#password()) {
      this.close()
      this.#line = this.#dial()
    }
    await this.#ask(async (link) => {
      const since = this.#clock.now()
      const facts = await this.#readFacts(link)
      return { kind: 'answered', at: this.#clock.now(), askedAt: since, facts }
    })
  }

  /** Asks the cheapest question, if none is open: a freeze must not hide until the next look. */
  async ping(): Promise<void> {
    if (this.#line.owed.length > 0 || this.#last.kind !== 'answered') return
    await this.#ask(async (link) => {
      await link.command(['PING'], null)
      return this.#last
    })
  }

  /** We were not awake: what looked like silence starts to count only now. */
  excuseSilence(): void {
    const now = this.#clock.now()
    if (this.#silentSince !== null) this.#silentSince = now
    this.#line.owed = this.#line.owed.map(() => now)
  }

  close(): void {
    this.#line.link.end()
  }

  async #ask(question: (link: EngineLink) => Promise<Seen<Facts>>): Promise<void> {
    const line = this.#line
    line.owed.push(this.#clock.now())
    const answer = await question(line.link).catch((error: unknown) => describeFailure(error, this.#clock.now()))
    line.owed.shift()
    // What comes of a line that was given up says nothing about the engine.
    if (line !== this.#line) return
    this.#last = answer
    this.#silentSince = null
    if (this.#missed && line.owed.length === 0) {
      this.#missed = false
      this.#onChange()
    }
  }
}

/** LOADING and BUSY are answers of a living engine; everything else is a door that did not open. */
export function describeFailure(error: unknown, at: number): Seen<never> {
  const { said } = error instanceof HoldfastError ? error.facts : { said: error }
  if (typeof said !== 'string') return { kind: 'refused', at, reason: String(error) }
  if (said.startsWith('LOADING')) return { kind: 'loading', at }
  if (said.startsWith('BUSY')) return { kind: 'busy', at }
  return { kind: 'refused', at, reason: said }
}
