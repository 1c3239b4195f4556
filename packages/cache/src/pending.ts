/**
 * Changes that could not be told to the engine. What it holds of these keys is wrong from now on, so it is deleted as
 * soon as the engine is back; until then other processes may serve it, at the longest until its `ttl` ends. The journal
 * is bounded: when it is full, what it holds becomes one invalidation of everything, which is right, only dearer.
 */
import type { Clock } from './clock.ts'
import type { Engine } from './engine/engine.ts'
import { CacheError } from './errors.ts'
import type { Events } from './events.ts'
import type { Tags } from './tags.ts'

export interface PendingTerms {
  readonly engine: Engine
  readonly clock: Clock
  readonly deadlineMs: number
  readonly events: Events
  readonly tags: Tags
  /** A key as the application says it. */
  readonly userKey: (key: string) => string
  /** The engine has deleted it at last: what this process read of it meanwhile is from before. */
  readonly onTold: (key: string) => void
}

const mostKeys = 10_000
const retryMs = { first: 100, most: 1000 } as const
const toldAtOnce = 256

export class Pending {
  readonly #terms: PendingTerms
  /** Keys whose entries are to be deleted, each with the number of its last change: a later one is told on its own. */
  readonly #keys = new Map<string, number>()
  /** Tags that are to get another number, in the same way. */
  readonly #tags = new Map<string, number>()
  #changes = 0
  #cancelRetry: (() => void) | undefined
  #retryMs: number = retryMs.first
  #telling = false
  #told = 0
  #closed = false
  readonly #stop: (() => void)[]

  constructor(terms: PendingTerms) {
    this.#terms = terms
    const now = (): void => this.#retryNow()
    this.#stop = [
      terms.engine.on('linked', now),
      terms.engine.on('moved', now),
      terms.engine.on('breaker', (_, state) => {
        if (state === 'closed') now()
      }),
    ]
  }

  get size(): number {
    return this.#keys.size + this.#tags.size
  }

  /** Whether the engine has not heard of a change of this key yet: what it says of it is out of date. */
  holds(key: string): boolean {
    return this.size > 0 && (this.#keys.has(key) || this.#tags.has(key))
  }

  /** Tells the engine what a read of this key must not be ahead of. Throws UNAVAILABLE if it cannot be told. */
  async settleFor(key: string): Promise<void> {
    const change = this.#keys.get(key)
    const keys: [string, number][] = change === undefined ? [] : [[key, change]]
    if (keys.length === 0 && this.#tags.size === 0) return
    const failed = await this.#tellSome(first(this.#tags), keys)
    this.#settled()
    if (failed)
      throw new CacheError('UNAVAILABLE', 'the engine has not heard of a change yet that came before this read')
  }

  /** What the engine has under this key is to be deleted. `clearKey`: the tag of everything, for the day there is no room. */
  addKey(key: string, clearKey: string): void {
    if (this.#keys.size >= mostKeys && !this.#keys.has(key)) {
      this.#keys.clear()
      this.addTag(clearKey, clearKey)
      return
    }
    this.#keys.set(key, ++this.#changes)
    this.#added(key)
  }

  addTag(key: string, clearKey: string): void {
    const isFull = this.#tags.size >= mostKeys && !this.#tags.has(key)
    if (isFull) this.#tags.clear()
    const tag = isFull ? clearKey : key
    this.#tags.set(tag, ++this.#changes)
    this.#added(tag)
  }

  /** The engine has heard of this key since. */
  settle(key: string): void {
    this.#keys.delete(key)
  }

  close(): void {
    this.#closed = true
    for (const stop of this.#stop) stop()
    this.#cancelRetry?.()
  }

  #added(key: string): void {
    const { events } = this.#terms
    events.counters.pendingWrites++
    events.emit('pending', { key: this.#terms.userKey(key), waiting: this.size })
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#cancelRetry !== undefined || this.#telling || this.#closed) return
    const { clock } = this.#terms
    // By chance, so that a thousand processes do not come back at once.
    const ms = this.#retryMs * (0.5 + clock.random() / 2)
    this.#retryMs = Math.min(this.#retryMs * 2, retryMs.most)
    this.#cancelRetry = clock.after(ms, () => {
      this.#cancelRetry = undefined
      void this.#tell()
    })
  }

  #retryNow(): void {
    if (this.size === 0 || this.#telling) return
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#retryMs = retryMs.first
    this.#retryLater()
  }

  async #tell(): Promise<void> {
    if (this.#telling) return
    this.#telling = true
    const failed = await this.#tellSome(first(this.#tags), first(this.#keys))
    this.#telling = false
    if (this.#settled()) return
    if (!failed) this.#retryMs = 1
    this.#retryLater()
  }

  /** Answers whether some could not be told. */
  async #tellSome(
    tags: readonly (readonly [key: string, change: number])[],
    keys: readonly (readonly [key: string, change: number])[],
  ): Promise<boolean> {
    const { clock, deadlineMs } = this.#terms
    const deadlineAt = clock.monotonic() + deadlineMs
    const told = await Promise.allSettled([
      ...tags.map(async ([key, change]) => {
        await this.#terms.tags.bump([key], deadlineAt)
        this.#done(this.#tags, key, change)
      }),
      ...keys.map(async ([key, change]) => {
        await this.#delete(key, deadlineAt)
        this.#done(this.#keys, key, change)
      }),
    ])
    return told.some(({ status }) => status === 'rejected')
  }

  #settled(): boolean {
    if (this.size > 0) return false
    this.#retryMs = retryMs.first
    if (this.#told > 0) this.#terms.events.emit('settled', { told: this.#told })
    this.#told = 0
    return true
  }

  #done(waiting: Map<string, number>, key: string, change: number): void {
    this.#terms.engine.tell?.([key])
    this.#terms.onTold(key)
    // A change that came while this one was told is not told yet: what others loaded in between may be wrong.
    if (waiting.get(key) === change) waiting.delete(key)
    this.#told++
  }

  #delete(key: string, deadlineAt: number): Promise<unknown> {
    const { engine } = this.#terms
    return engine.send({ commands: [['UNLINK', key]], key, deadlineAt, kind: 'write', idempotent: true })
  }
}

function first(waiting: ReadonlyMap<string, number>): [key: string, change: number][] {
  return [...waiting].slice(0, toldAtOnce)
}
