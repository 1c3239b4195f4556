import { createHash } from 'node:crypto'
import type { KeyvStoreAdapter, StoredData } from 'keyv'
import type { Cache } from '../cache.ts'
import type { Duration } from '../duration.ts'
import type { WriteOptions } from '../options.ts'
import { walkKeys } from './walk.ts'

export interface HoldfastKeyvOptions {
  /**
   * How long an entry lives that Keyv says no `ttl` for. Default: as said for the cache; if nobody has said it, such an
   * entry is refused. Say `'forever'` where that is meant.
   */
  readonly ttl?: Duration | 'forever'
}

/**
 * A Keyv store over a cache:
 *
 *     const keyv = new Keyv({ store: new HoldfastKeyv(cache), namespace: 'pages' })
 *
 * Reads never fail because of the engine: what is not to be had is a miss. One for each Keyv: a Keyv tells its store which
 * namespace it has, and a store that two of them share knows only the last. It has no `setMany`: Keyv then asks `set` for
 * each, which is as fast here, and answers what became of each, as its own `setMany` promises.
 */
export class HoldfastKeyv implements KeyvStoreAdapter {
  /** By `dialect` Keyv knows which stores it may iterate over. */
  opts: Record<string, unknown> = { dialect: 'redis' }
  /** Set by Keyv. */
  namespace: string | undefined
  readonly #cache: Cache
  readonly #ttl: Duration | 'forever' | undefined
  readonly #spaces = new Map<string, Cache>()

  constructor(cache: Cache, { ttl }: HoldfastKeyvOptions = {}) {
    this.#cache = cache
    this.#ttl = ttl
  }

  /** Nothing is told here: what fails rejects, and what an operator should know is an event of the cache. */
  on(_event: string, _listener: (...args: unknown[]) => void): this {
    return this
  }

  async get<Value>(key: string): Promise<StoredData<Value>> {
    return this.#space().get<StoredData<Value>>(key)
  }

  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    return this.#space().getMany<StoredData<Value | undefined>>(keys)
  }

  /** False if the engine could not be told. What it holds is then invalidated when it is back. */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    return (await this.#space().set(key, value, this.#terms(ttl))) === 'stored'
  }

  /** Whether there was one, and the engine was told. */
  async delete(key: string): Promise<boolean> {
    return this.deleteMany([key])
  }

  /** Whether there was one of them, and the engine was told of all. */
  async deleteMany(keys: string[]): Promise<boolean> {
    const space = this.#space()
    const reading = this.hasMany(keys)
    // The reads leave just ahead of the delete: one round trip for both, and whoever sets a key next is not overtaken.
    const deleting = readsHaveLeft().then(() => space.deleteMany(keys))
    const [there, stored] = await Promise.all([reading, deleting])
    return there.includes(true) && stored === 'stored'
  }

  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return (await this.getMany(keys)).map((value) => value !== undefined)
  }

  /** Forgets all of the namespace at once, however much it is; without one, all of the cache that was handed in. */
  async clear(): Promise<void> {
    await this.#space().clear()
  }

  /** All entries of the namespace, in no order: see `walk.ts` for what that costs. */
  async *iterator<Value>(namespace?: string): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    const space = this.#space(namespace)
    for await (const keys of walkKeys(space)) {
      const values = await space.getMany<Awaited<Value>>(keys)
      for (const [index, key] of keys.entries()) {
        const value = values[index]
        if (value !== undefined) yield [key, value]
      }
    }
  }

  /** The cache stays open: whoever made it closes it. */
  async disconnect(): Promise<void> {}

  #space(namespace = this.namespace): Cache {
    if (namespace === undefined || namespace === '') return this.#cache
    let space = this.#spaces.get(namespace)
    if (space === undefined) {
      space = this.#cache.namespace(segmentOf(namespace))
      this.#spaces.set(namespace, space)
    }
    return space
  }

  /** As long as Keyv said, to the millisecond, and not kept beyond for a loader that fails: Keyv has none. */
  #terms(ttlMs: number | undefined): WriteOptions {
    if (ttlMs !== undefined) return { ttl: ttlMs, jitter: 0, staleIfError: 0 }
    return this.#ttl === undefined ? { staleIfError: 0 } : { ttl: this.#ttl, staleIfError: 0 }
  }
}

/** Reads of one tick leave together at its end: see `batch.ts`. */
const readsHaveLeft = (): Promise<void> => new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)))

/** A namespace of Keyv may be called anything, one of the cache may not. */
function segmentOf(namespace: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(namespace)) return namespace
  return `keyv-${createHash('sha256').update(namespace).digest('hex').slice(0, 32)}`
}
