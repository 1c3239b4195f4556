/**
 * What must never be. The judge knows when which version of a key became the truth and who was told of it; from that
 * follows the oldest version, the *floor*, that a read may still answer without saying that it is stale.
 */
import type { Key } from './day.ts'
import type { Source, Value, Version } from './source.ts'

/** A change of the source, and what became of the word of it. */
export interface Told {
  readonly by: unknown
  readonly way: string
  readonly versions: ReadonlyMap<Key, number>
  readonly begunAt: number
  /** `lost`: the process that had it pending has ended; what is cached may be old until somebody changes it again. */
  state: 'under way' | 'pending' | 'stored' | 'settled' | 'lost'
  endedAt: number
  /** Whether the call has ended; that of a process that was closed may still be on its way to the engine. */
  isOver: boolean
}

export interface Read {
  readonly by: string
  readonly way: 'get' | 'getOrSet' | 'getMany' | 'peek'
  readonly key: Key
  /** The oldest version that may be answered as fresh. */
  readonly floor: number
}

export interface LoadUnderWay {
  readonly key: Key
  readonly begunAt: number
  readonly calledAt: number
}

export class Laws {
  readonly violations: string[] = []
  /** Ends with each call; what is left never ended. */
  readonly calls = new Set<{ readonly what: string; readonly begunAt: number }>()
  readonly #source: Source
  readonly #now: () => number
  readonly #ttlMs: number
  readonly #isFair: boolean
  readonly #delayMs: number
  readonly #changes: Told[] = []
  readonly #loads = new Set<LoadUnderWay>()
  /** When something last happened to a key that lets another load begin beside the first. */
  readonly #disturbedAt = new Map<Key, number>()
  /** Whether all clocks have always agreed. */
  clocksAgree = true

  constructor(terms: { source: Source; now: () => number; ttlMs: number; isFair: boolean; delayMs: number }) {
    this.#source = terms.source
    this.#now = terms.now
    this.#ttlMs = terms.ttlMs
    this.#isFair = terms.isFair
    this.#delayMs = terms.delayMs
  }

  note(law: string, sentence: string): void {
    this.violations.push(`${law}: ${sentence}`)
  }

  begin(by: unknown, way: string, versions: ReadonlyMap<Key, number>): Told {
    const told: Told = { by, way, versions, begunAt: this.#now(), state: 'under way', endedAt: 0, isOver: false }
    this.#changes.push(told)
    for (const key of versions.keys()) this.disturb(key)
    return told
  }

  end(told: Told, state: Told['state']): void {
    told.state = state
    told.isOver = true
    told.endedAt = this.#now()
    for (const key of told.versions.keys()) this.disturb(key)
    if (this.#isFair && state !== 'stored') this.note('pending', `${told.way} ended ${state} though all is well`)
  }

  /** All that this process had pending has been told to the engine, or, with `lost`, never will be. */
  settle(by: unknown, state: 'settled' | 'lost'): void {
    for (const told of this.#changes) {
      const isOpen = told.state === 'pending' || (state === 'lost' && told.state === 'under way')
      if (told.by !== by || !isOpen) continue
      told.state = state
      told.endedAt = this.#now()
    }
  }

  /** Whether a change of one of these keys is under way, and could overtake another. */
  isChanging(keys: Iterable<Key>, ways?: readonly string[]): boolean {
    const wanted = new Set(keys)
    return this.#changes.some(
      ({ isOver, versions, way }) =>
        !isOver && (ways?.includes(way) ?? true) && [...versions.keys()].some((key) => wanted.has(key)),
    )
  }

  /** The oldest version that a read of this process may answer that begins just now; `all`: after everybody was told. */
  floor(key: Key, by: unknown): number {
    const now = this.#now()
    const ofKey = this.#changes.filter(({ versions }) => versions.has(key))
    const isKnown = ({ state }: Told): boolean => state === 'stored' || state === 'settled'
    // A write that its process took with it may still land; so may one that is pending.
    const isOpen = ofKey.some(
      (one) =>
        (one.state === 'pending' && by !== 'all') ||
        (one.state === 'lost' && !ofKey.some((later) => isKnown(later) && later.begunAt >= one.endedAt)),
    )
    if (isOpen) return 0
    const heard = ofKey.filter((one) => {
      if (!isKnown(one)) return false
      if (by === 'all' || one.by === by) return true
      return this.#isFair && one.endedAt + this.#delayMs < now
    })
    return Math.max(0, ...heard.map(({ versions }) => versions.get(key) ?? 0))
  }

  answered(read: Read, value: Value | undefined, stale: boolean): void {
    const { by, key, way, floor } = read
    const isCertain = way === 'getOrSet' || value !== undefined
    if (!isCertain || stale) return
    const who = `${by}: ${way} of ${key}`
    if (value === undefined) {
      const isSaid = this.#source.wasAbsentSince(key, floor)
      if (!isSaid) this.note('undefined', `${who} answered undefined, and no source has said so since version ${floor}`)
      return
    }
    if (value.key !== key) this.note('mixed', `${who} answered what belongs to ${value.key}`)
    if (value.version < floor) this.note('old', `${who} answered version ${value.version} as fresh after ${floor}`)
    const age = value.madeAt === null ? 0 : this.#now() - value.madeAt
    if (this.clocksAgree && age > this.#ttlMs) this.note('ttl', `${who} answered as fresh what was ${age} ms old`)
  }

  beginLoad(key: Key, calledAt: number): LoadUnderWay {
    const load = { key, begunAt: this.#now(), calledAt }
    for (const other of this.#loads) {
      if (!this.#isFair || other.key !== key || this.isChanging([key])) continue
      const since = Math.min(other.calledAt, calledAt)
      if ((this.#disturbedAt.get(key) ?? -1) >= since) continue
      this.note('loads', `two loads of ${key} at once, begun at ${other.begunAt} and ${load.begunAt}`)
    }
    this.#loads.add(load)
    return load
  }

  endLoad(load: LoadUnderWay, brought: 'value' | 'nothing'): void {
    this.#loads.delete(load)
    if (brought === 'nothing') this.disturb(load.key)
  }

  disturb(key: Key): void {
    this.#disturbedAt.set(key, this.#now())
  }

  latest(key: Key): Version {
    return this.#source.latest(key)
  }
}
