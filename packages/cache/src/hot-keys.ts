/**
 * Which keys are read most, found in fixed memory on the read path of every process.
 *
 * Few reads are looked at: the distance to the next is thrown anew each time, from 1 to twice the mean, so that a pattern
 * in the reads cannot hide between them. The mean follows the traffic, so that quiet caches are counted exactly and busy
 * ones pay for about 10,000 looks a second. Each look stands for as many reads as the mean.
 *
 * Looks are counted by an augmented sketch (Roy, Khan and Alonso, SIGMOD 2016): the heaviest keys in a small table,
 * exactly, and all others in a count-min sketch. A key whose estimate exceeds the least of the table changes places with
 * it, so that the heavy keys do not blur the others. What is estimated is never below what the looks stand for, and
 * above it by more than 0.27 % of the reads outside the table with a chance below 2 %; that excess fades like all else.
 * Chance in the looks adds a standard error of about 1 / sqrt(2 × looks at the key in one window).
 *
 * All weights fade by 1 - 1/e in each window; the time that was watched fades with them, so that weight by time is a rate
 * from the first moment on. A key becomes hot when its share is above the bound by more than chance explains, and stays
 * hot until it falls to half of the bounds.
 */
import type { Clock } from './clock.ts'
import { CacheError } from './errors.ts'
import { fingerprintOf, Sketch } from './sketch.ts'

export interface HotKeysOptions {
  readonly clock: Clock
  /** How many keys `hottest` and `list` tell. 1 to 100; default 32. Twice as many are watched; each takes up to 700 bytes. */
  readonly top?: number
  /** About how many reads a second are looked at. Default 10,000: 0.2 % of a core. More finds smaller differences. */
  readonly samplesPerSecond?: number
  /** How long a read counts: its weight falls to 37 % in this time. Default 2000 ms. */
  readonly windowMs?: number
  /** A key is hot above this share of all reads. Default 0.01. */
  readonly hotShare?: number
  /** And not below so many reads a second: 1 % of nothing is nothing. Default 100. */
  readonly hotPerSecond?: number
}

export interface HotKey {
  /** A key above 256 characters is cut, and ends with `…` and eight hexadecimal digits that tell it from others. */
  readonly key: string
  readonly perSecond: number
  /** Of all reads, 0 to 1. */
  readonly share: number
}

/** A key that is worth to be warm, for whoever starts next. */
export interface KeyScore {
  readonly key: string
  /** Reads a second. */
  readonly score: number
}

export type HotKeysEvent = 'hot' | 'cooled'
export type HotKeysListener = (key: HotKey) => void

interface Watched {
  readonly key: string
  readonly cut: boolean
  readonly fingerprint: number
  weight: number
  /** The part of the weight that the sketch has, too, from before the key came into the table. */
  inSketch: number
}

const longestKey = 256
/** The mean distance never exceeds this, so that a burst that ends is noticed soon. */
const longestStride = 64
/** How many times in a window the weights are made to fade and the hot keys are looked for. */
const turnsInWindow = 20
/** Less weight than this, half a read, is not worth a place. */
const forgettable = 0.5

export class HotKeys {
  readonly #clock: Clock
  readonly #top: number
  readonly #samplesPerSecond: number
  readonly #windowMs: number
  readonly #hotShare: number
  readonly #hotPerSecond: number
  readonly #sketch = new Sketch()
  readonly #watched = new Map<string, Watched>()
  readonly #hot = new Map<string, Watched>()
  readonly #listeners: Record<HotKeysEvent, Set<HotKeysListener>> = { hot: new Set(), cooled: new Set() }
  /** No watched key has less weight: weights only grow between two turns. */
  #least = 0
  /** Reads until the next look. */
  #left = 1
  /** How many reads the next look stands for. */
  #stride = 1
  /** How far apart the last look and the next are. */
  #distance = 1
  #reads = 0
  #readsInTurn = 0
  #watchedMs = 0
  #turnedAt: number
  #cancelTurn: (() => void) | undefined
  #closed = false

  constructor(options: HotKeysOptions) {
    const { clock, top = 32, samplesPerSecond = 10_000, windowMs = 2000, hotShare = 0.01, hotPerSecond = 100 } = options
    check('top', top, Number.isInteger(top) && top >= 1 && top <= 100, 'a whole number from 1 to 100')
    check('samplesPerSecond', samplesPerSecond, samplesPerSecond >= 1, 'a number from 1 up')
    check('windowMs', windowMs, windowMs >= 100 && windowMs < Number.POSITIVE_INFINITY, 'milliseconds from 100 up')
    check('hotShare', hotShare, hotShare >= 0 && hotShare <= 1, 'a number from 0 to 1')
    check('hotPerSecond', hotPerSecond, hotPerSecond >= 0, 'a number from 0 up')
    this.#clock = clock
    this.#top = top
    this.#samplesPerSecond = samplesPerSecond
    this.#windowMs = windowMs
    this.#hotShare = hotShare
    this.#hotPerSecond = hotPerSecond
    this.#turnedAt = clock.monotonic()
  }

  /** A read of this key. */
  touch(key: string): void {
    this.#left -= 1
    if (this.#left === 0) this.#look(key)
  }

  /** Whether the key was hot at the last turn, some milliseconds ago. */
  isHot(key: string): boolean {
    return this.#hot.size > 0 && this.#hot.has(key.length <= longestKey ? key : cutKey(key))
  }

  /** The keys that are read most, most first. */
  hottest(most = this.#top): readonly HotKey[] {
    return this.#heaviest()
      .slice(0, Math.min(most, this.#top))
      .map((watched) => this.#told(watched))
  }

  /** The same to be kept, and read again after a start. Keys that would be cut are left out: they could not be loaded. */
  list(): readonly KeyScore[] {
    return this.#heaviest()
      .filter((watched) => !watched.cut)
      .slice(0, this.#top)
      .map((watched) => ({ key: watched.key, score: this.#told(watched).perSecond }))
  }

  /** One list of this process's keys and those of others, added up by key; as long as `list`. Changes nothing here. */
  merge(lists: Iterable<readonly KeyScore[]>): readonly KeyScore[] {
    const scores = new Map<string, number>()
    for (const list of [this.list(), ...lists]) {
      // Lists come from outside: what is no score must not spoil the others.
      for (const { key, score } of list)
        if (score > 0 && score < Number.POSITIVE_INFINITY) scores.set(key, (scores.get(key) ?? 0) + score)
    }
    const merged = [...scores].map(([key, score]) => ({ key, score }))
    return merged.sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1)).slice(0, this.#top)
  }

  /** Calls when a key becomes hot, or is no longer, until the answer is called. Must not throw: a read is under way. */
  on(event: HotKeysEvent, listener: HotKeysListener): () => void {
    this.#listeners[event].add(listener)
    return () => {
      this.#listeners[event].delete(listener)
    }
  }

  /** Nothing is looked at any more, and nothing is hot. */
  close(): void {
    this.#closed = true
    this.#cancelTurn?.()
    this.#watched.clear()
    this.#hot.clear()
  }

  #look(key: string): void {
    if (this.#closed) return
    // What this look stands for was said when it was set; a turn may set another stride for the next.
    const weight = this.#stride
    this.#turnIfDue()
    this.#reads += this.#distance
    this.#readsInTurn += this.#distance
    this.#count(key, weight)
    const stride = this.#stride
    this.#distance = stride === 1 ? 1 : 1 + Math.floor(this.#clock.random() * (2 * stride - 1))
    this.#left = this.#distance
  }

  #count(key: string, weight: number): void {
    const cut = key.length > longestKey
    const name = cut ? cutKey(key) : key
    const known = this.#watched.get(name)
    if (known !== undefined) {
      known.weight += weight
      return
    }
    const fingerprint = fingerprintOf(key)
    const estimate = this.#sketch.add(fingerprint, weight)
    if (this.#watched.size >= 2 * this.#top && !this.#makePlace(estimate)) return
    const own = copyOf(name)
    this.#watched.set(own, { key: own, cut, fingerprint, weight: estimate, inSketch: estimate })
    if (estimate < this.#least) this.#least = estimate
  }

  /** Puts the lightest out of the table, if this is heavier. */
  #makePlace(weight: number): boolean {
    if (weight <= this.#least) return false
    let lightest: Watched | undefined
    for (const watched of this.#watched.values()) {
      if (lightest === undefined || watched.weight < lightest.weight) lightest = watched
    }
    if (lightest === undefined) return true
    this.#least = lightest.weight
    if (weight <= lightest.weight) return false
    this.#watched.delete(lightest.key)
    this.#sketch.add(lightest.fingerprint, lightest.weight - lightest.inSketch)
    return true
  }

  #turnIfDue(): void {
    const now = this.#clock.monotonic()
    const elapsedMs = now - this.#turnedAt
    if (elapsedMs < this.#windowMs / turnsInWindow || this.#closed) return
    this.#turnedAt = now
    this.#fade(elapsedMs)
    const perSecond = (this.#readsInTurn / elapsedMs) * 1000
    this.#readsInTurn = 0
    this.#stride = Math.min(longestStride, Math.max(1, Math.round(perSecond / this.#samplesPerSecond)))
    this.#judge()
  }

  #fade(elapsedMs: number): void {
    const kept = Math.exp(-elapsedMs / this.#windowMs)
    this.#sketch.scale(kept)
    this.#reads *= kept
    this.#least *= kept
    this.#watchedMs = this.#windowMs * (1 - kept) + this.#watchedMs * kept
    for (const watched of this.#watched.values()) {
      watched.weight *= kept
      watched.inSketch *= kept
      if (watched.weight < forgettable) this.#watched.delete(watched.key)
    }
  }

  /** Says who is hot, and tells of it when all of it is said: a listener that asks gets an answer of this turn. */
  #judge(): void {
    const cooled = [...this.#hot.values()].filter((watched) => !this.#staysHot(watched))
    const heated = [...this.#watched.values()].filter(
      (watched) => !this.#hot.has(watched.key) && this.#becomesHot(watched),
    )
    for (const watched of cooled) this.#hot.delete(watched.key)
    for (const watched of heated) this.#hot.set(watched.key, watched)
    this.#turnAlone()
    for (const watched of cooled) this.#tell('cooled', watched)
    for (const watched of heated) this.#tell('hot', watched)
  }

  #becomesHot(watched: Watched): boolean {
    // Two standard errors to spare: among many keys that are read alike, chance alone puts some above the others.
    const sure = watched.weight - 2 * Math.sqrt(watched.weight * this.#stride)
    return sure > this.#reads * this.#hotShare && this.#told(watched).perSecond >= this.#hotPerSecond
  }

  #staysHot(watched: Watched): boolean {
    if (this.#watched.get(watched.key) !== watched) return false
    const { perSecond, share } = this.#told(watched)
    return share > this.#hotShare / 2 && perSecond >= this.#hotPerSecond / 2
  }

  /** While something is hot, time alone can cool it: nobody may read any more. */
  #turnAlone(): void {
    this.#cancelTurn?.()
    this.#cancelTurn = undefined
    if (this.#hot.size === 0 || this.#closed) return
    this.#cancelTurn = this.#clock.after(this.#windowMs / 4, () => this.#turnIfDue())
  }

  #tell(event: HotKeysEvent, watched: Watched): void {
    const told = this.#told(watched)
    for (const listener of this.#listeners[event]) listener(told)
  }

  #heaviest(): Watched[] {
    this.#turnIfDue()
    return [...this.#watched.values()].sort((a, b) => b.weight - a.weight || (a.key < b.key ? -1 : 1))
  }

  #told(watched: Watched): HotKey {
    // In its first moments a process has seen too little: a single read is no rate.
    const watchedMs = Math.max(this.#watchedMs, this.#windowMs / 4)
    const perSecond = (watched.weight / watchedMs) * 1000
    return { key: watched.key, perSecond, share: this.#reads === 0 ? 0 : Math.min(1, watched.weight / this.#reads) }
  }
}

function cutKey(key: string): string {
  const mark = (fingerprintOf(key) >>> 0).toString(16).padStart(8, '0')
  return `${key.slice(0, longestKey - mark.length - 1)}…${mark}`
}

/** A string of its own: a slice would keep alive whatever it was cut from. */
function copyOf(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}

function check(name: string, value: number, good: boolean, wanted: string): void {
  if (!good) throw new CacheError('INVALID', `${name} of hot keys is ${value}: give ${wanted}`, { name })
}
