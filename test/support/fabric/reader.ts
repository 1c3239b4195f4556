/**
 * An application that reads by `@holdfast/cache` as its documentation shows it: what is not in the cache comes from a
 * source, and what is old is better than nothing. An error is one that the application would have seen.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Cache, CacheError, createCache } from '@holdfast/cache'
import { urlFor } from '@holdfast/core'
import type { Where } from '../../../packages/control/src/drill/clients/client.ts'

export interface ReadsSeen {
  readonly reads: number
  readonly errors: number
  readonly slowestMs: number
  /** The error that came most often, as its code; null: there was none. */
  readonly worst: string | null
}

/** Over all shards; with their short life most reads ask an engine. */
const keys = 300
/** Each with one read under way. */
const readers = 3
const ttl = '500ms'
const restMs = 10
/** Of the source. */
const loadMs = 5

export class Reader {
  readonly #cache: Cache
  readonly #errors = new Map<string, number>()
  #reads = 0
  #slowestMs = 0
  #isOver = false

  constructor(where: Where) {
    const tls = where.authority == null ? {} : { tls: { ca: where.authority } }
    const url = urlFor('holdfast', where, { showSecret: true })
    this.#cache = createCache({ url, ...tls, namespace: 'holdfast-reads', ttl, staleIfError: '1m' })
    for (let reader = 0; reader < readers; reader++) void this.#read(reader)
  }

  stop(): ReadsSeen {
    this.#isOver = true
    this.#cache.close().catch(() => {})
    const errors = [...this.#errors].sort(([, one], [, other]) => other - one)
    return {
      reads: this.#reads,
      errors: errors.reduce((sum, [, count]) => sum + count, 0),
      slowestMs: Math.round(this.#slowestMs),
      worst: errors[0]?.[0] ?? null,
    }
  }

  async #read(reader: number): Promise<void> {
    for (let count = reader * (keys / readers); !this.#isOver; count++) {
      const begunAt = performance.now()
      const key = `product:${count % keys}`
      const failure = await this.#cache
        .getOrSet(key, () => delay(loadMs, key))
        .then(
          () => null,
          (error: unknown) => (error instanceof CacheError ? error.code : String(error)),
        )
      // What closing interrupts is nobody's read.
      if (this.#isOver) return
      this.#reads++
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - begunAt)
      if (failure !== null) this.#errors.set(failure, (this.#errors.get(failure) ?? 0) + 1)
      await delay(restMs)
    }
  }
}
