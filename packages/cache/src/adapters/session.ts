/**
 * Sessions in the engine, for whatever framework. Nothing stands behind a session that could be loaded instead, so it goes
 * by the calls without a source: they wait for a failover, and an engine that does not answer is an error. It is never
 * taken for "there is no such session", because then everybody would be logged out by an outage.
 */
import { callbackify } from 'node:util'
import type { Cache } from '../cache.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Direct } from '../direct/calls.ts'
import { type DurableOptions, deadlineMs, durableSettings } from '../direct/settings.ts'
import { type Duration, durationMs } from '../duration.ts'
import { CacheError } from '../errors.ts'

export interface SessionOptions {
  /**
   * Under which the session stands beside what else there is for its id. Default `session`. Two stores in one namespace
   * of a cache need two names.
   */
  readonly name?: string
  /**
   * How long a session lives after it was last used, if its cookie does not say: a cookie without `maxAge` ends with the
   * browser, which tells nobody. Default 1 d. Less where many visitors come once.
   */
  readonly ttl?: Duration
  /** How long a request waits for the engine. Default: as said for the cache, 5 s; a failover should fit in. */
  readonly within?: Duration
  /** Whether a session counts as saved only when replicas have it. Default: as said for the cache, false. */
  readonly durable?: DurableOptions | boolean
  /** Time, for tests. */
  readonly clock?: Clock
}

/** What both frameworks' sessions have, when they are saved and when they come from the engine. */
export interface SessionRecord {
  readonly cookie: { readonly expires?: unknown }
}

const defaultTtl = '1d'
/** A cookie that ends in the year 9999 is meant to last. The engine is asked for less than what it can count. */
const longestMs = 36_500 * 86_400_000

export class Sessions {
  readonly #cache: Pick<Cache, 'on'>
  readonly #name: string
  readonly #ttlMs: number
  readonly #clock: Clock
  readonly #terms: { readonly within?: Duration; readonly durable?: DurableOptions | boolean }

  constructor(cache: Pick<Cache, 'on'>, { name = 'session', ttl = defaultTtl, clock, ...terms }: SessionOptions) {
    this.#cache = cache
    this.#name = name
    this.#ttlMs = durationMs(ttl, 'ttl')
    if (this.#ttlMs < 1) throw new CacheError('INVALID', 'ttl is at least a millisecond', { what: 'ttl' })
    this.#clock = clock ?? systemClock
    this.#terms = terms
    // What is wrong is told when the application starts, and not when somebody logs in.
    this.#on('start').key(name)
    if (terms.within !== undefined) deadlineMs(terms.within)
    if (terms.durable !== undefined) durableSettings(terms.durable)
  }

  /** The session as it was saved, or undefined if there is none. */
  async get(id: string): Promise<SessionRecord | undefined> {
    const text = await this.#on(id).get(this.#name, this.#terms)
    return text === undefined ? undefined : this.#parse(text)
  }

  /** Saves it whole: of two that are saved at the same time the later one stays. */
  async set(id: string, session: SessionRecord): Promise<void> {
    const lifeMs = this.#lifeMs(session)
    if (lifeMs < 1) return this.destroy(id)
    await this.#on(id).setJson(this.#name, session, { ...this.#terms, ttl: lifeMs })
  }

  /** Moves its end, and leaves what is saved as it is. A session that has ended meanwhile does not come back. */
  async touch(id: string, session: SessionRecord): Promise<void> {
    const lifeMs = this.#lifeMs(session)
    if (lifeMs < 1) return this.destroy(id)
    await this.#on(id).expire(this.#name, lifeMs, this.#terms)
  }

  async destroy(id: string): Promise<void> {
    await this.#on(id).delete(this.#name, this.#terms)
  }

  /** A slot for each session: they spread over all nodes. */
  #on(id: string): Direct {
    return this.#cache.on(`{${id}}`)
  }

  /** How long it still lives, by its own cookie if that says so. */
  #lifeMs({ cookie }: SessionRecord): number {
    const { expires } = cookie
    if (expires === undefined || expires === null || typeof expires === 'boolean') return this.#ttlMs
    const endsAt = new Date(expires as Date | string | number).getTime()
    if (Number.isNaN(endsAt)) {
      throw new CacheError('INVALID', 'cookie.expires of the session is no date', { what: 'cookie.expires' })
    }
    return Math.min(endsAt - this.#clock.now(), longestMs)
  }

  #parse(text: string): SessionRecord {
    try {
      const session: unknown = JSON.parse(text)
      if (isSession(session)) {
        // Frameworks copy the properties one by one, and to assign this one changes what the copy inherits.
        delete (session as unknown as Record<string, unknown>)['__proto__']
        return session
      }
    } catch {
      // Told below. The error of JSON.parse has a piece of the text in it.
    }
    const what = `what stands under ${this.#name} is no session: delete it, or give this store a name of its own`
    throw new CacheError('UNENCODABLE', what, { name: this.#name })
  }
}

function isSession(value: unknown): value is SessionRecord {
  if (typeof value !== 'object' || value === null) return false
  const { cookie } = value as { readonly cookie?: unknown }
  return typeof cookie === 'object' && cookie !== null
}

type Callback<T> = (error: unknown, value?: T) => void

/** Tells a framework that knows no promises. What its callback throws is its own, and calls it no second time. */
export function answer<T>(work: () => Promise<T>, callback: Callback<NoInfer<T>> | undefined): void {
  callbackify(work)((error: unknown, value: T) => callback?.(error, value))
}
