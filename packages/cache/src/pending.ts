/**
 * Changes that could not be told to the engine. What it holds of these keys is wrong from now on, so it is deleted as
 * soon as the engine is back; until then other processes may serve it, at the longest until its `ttl` ends. The journal
 * is bounded: when it is full, what it holds becomes one invalidation of everything, which is right, only dearer.
 */
import type { Clock } from './clock.ts'
import type { Engine } from './engine/engine.ts'
import type { Events } from './events.ts'
import type { Tags } from './tags.ts'

export interface PendingTerms {
  readonly engine: Engine
  readonly clock: Clock
  readonly deadlineMs: number
  readonly events: Events
  readonly tags: Tags
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
    events.emit('pending', { key, waiting: this.size })
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
    const { clock, deadlineMs, tags, events } = this.#terms
    const failures = await Promise.all([
      ...first(this.#tags).map(([key, change]) =>
        tags.bump([key], clock.monotonic() + deadlineMs).then(
          () => this.#done(this.#tags, key, change),
          () => true,
        ),
      ),
      ...first(this.#keys).map(([key, change]) =>
        this.#delete(key).then(
          () => this.#done(this.#keys, key, change),
          () => true,
        ),
      ),
    ])
    this.#telling = false
    if (this.size === 0) {
      this.#retryMs = retryMs.first
      events.emit('settled', { told: this.#told })
      this.#told = 0
      return
    }
    if (!failures.includes(true)) this.#retryMs = 1
    this.#retryLater()
  }

  #done(waiting: Map<string, number>, key: string, change: number): false {
    this.#terms.engine.tell?.([key])
    // A change that came while this one was told is not told yet: what others loaded in between may be wrong.
    if (waiting.get(key) === change) waiting.delete(key)
    this.#told++
    return false
  }

  #delete(key: string): Promise<unknown> {
    const { engine, clock, deadlineMs } = this.#terms
    const deadlineAt = clock.monotonic() + deadlineMs
    return engine.send({ commands: [['UNLINK', key]], key, deadlineAt, kind: 'write', idempotent: true })
  }
}

function first(waiting: ReadonlyMap<string, number>): [key: string, change: number][] {
  return [...waiting].slice(0, toldAtOnce)
}
