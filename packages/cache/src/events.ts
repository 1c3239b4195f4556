/**
 * What a cache tells of itself: counters that cost an addition, and one diagnostics channel for each kind of event,
 * which costs nothing while nobody listens.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

/** What each event carries beside the `cache` (its namespace). Never a value. */
export interface CacheEvents {
  /** A read that was answered. */
  hit: { readonly key: string; readonly source: 'local' | 'primary' | 'replica'; readonly stale: boolean }
  /** A read that found nothing. */
  miss: { readonly key: string }
  /** A loader answered. */
  load: { readonly key: string; readonly ms: number }
  /** A loader failed; `served`: what its callers got. */
  loadFailed: { readonly key: string; readonly error: unknown; readonly served: 'stale' | 'error' }
  /** What was loaded did not become an entry: the key was changed meanwhile, or the engine did not take it. */
  unfilled: { readonly key: string; readonly because: string }
  /** Something in the engine is not ours to read: foreign bytes, a newer layout, too large, another shape. A miss. */
  unusable: { readonly key: string; readonly because: string }
  /** The engine did not take a write; what it holds is invalidated when it is back. */
  pending: { readonly key: string; readonly waiting: number }
  /** All that was pending has been told to the engine. */
  settled: { readonly told: number }
  /** A connection that tells of changes came up, or died. */
  link: { readonly node: string; readonly up: boolean; readonly because: string }
  /** A node is left alone for a while, tried, or used again. */
  breaker: { readonly node: string; readonly state: 'closed' | 'open' | 'half-open'; readonly because: string }
  /** Keys have moved to other nodes. */
  moved: { readonly because: string }
  /** An engine came back without its data. */
  cold: { readonly node: string }
  /** A key is read more than others, or is no longer. */
  hot: { readonly key: string; readonly perSecond: number; readonly share: number; readonly hot: boolean }
  /** Something an operator should know. */
  trouble: { readonly error: Error }
}

export type CacheEvent = keyof CacheEvents

/** What was counted since the cache was made. */
export interface CacheCounters {
  localHits: number
  engineHits: number
  replicaHits: number
  staleHits: number
  misses: number
  loads: number
  loadErrors: number
  /** The sum of how long loads took. */
  loadMs: number
  fallbacks: number
  writes: number
  pendingWrites: number
  invalidations: number
  unusable: number
  engineErrors: number
}

type Listener<E extends CacheEvent> = (event: CacheEvents[E]) => void

const channels = new Map<CacheEvent, Channel>()

/** The channel of one kind of event, such as `holdfast:cache:load`. */
export function cacheChannel(event: CacheEvent): Channel {
  let found = channels.get(event)
  if (found === undefined) {
    found = channel(`holdfast:cache:${event}`)
    channels.set(event, found)
  }
  return found
}

export class Events {
  readonly counters: CacheCounters = {
    localHits: 0,
    engineHits: 0,
    replicaHits: 0,
    staleHits: 0,
    misses: 0,
    loads: 0,
    loadErrors: 0,
    loadMs: 0,
    fallbacks: 0,
    writes: 0,
    pendingWrites: 0,
    invalidations: 0,
    unusable: 0,
    engineErrors: 0,
  }
  readonly #cache: string
  readonly #listeners = new Map<CacheEvent, Set<Listener<never>>>()

  constructor(cache: string) {
    this.#cache = cache
  }

  /** Whether anybody wants to hear of such an event: if not, there is no need to make one. */
  heard(event: CacheEvent): boolean {
    return (this.#listeners.size > 0 && this.#listeners.has(event)) || cacheChannel(event).hasSubscribers
  }

  emit<E extends CacheEvent>(event: E, detail: CacheEvents[E]): void {
    const listeners = this.#listeners.get(event) as Set<Listener<E>> | undefined
    if (listeners !== undefined) for (const listener of listeners) listener(detail)
    const published = cacheChannel(event)
    if (published.hasSubscribers) published.publish({ cache: this.#cache, ...detail })
  }

  /** Listens until the answer is called. A listener that throws breaks whoever emitted: do not. */
  on<E extends CacheEvent>(event: E, listener: Listener<E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(event, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(event) === listeners) this.#listeners.delete(event)
    }
  }
}
