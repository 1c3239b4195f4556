// @ts-check
/** async-cache-dedupe: a cache of functions, so that it has neither `get` nor `set`. */
import { createCache } from 'async-cache-dedupe'
import { Redis } from 'ioredis'

/** @type {import('../subject.mjs').Open} */
export async function open({ port = 0, engine }) {
  const client = engine ? new Redis({ host: '127.0.0.1', port }) : undefined
  client?.on('error', () => {})
  const storage = client ? { type: 'redis', options: { client } } : { type: 'memory', options: { size: 10_000 } }
  /** @type {Map<string, () => Promise<unknown>>} */
  const loads = new Map()
  const cache = createCache({ ttl: 300, storage: /** @type {any} */ (storage) })
  cache.define('load', async (/** @type {string} */ key) => loads.get(key)?.())
  const missing = () => {
    throw new Error('async-cache-dedupe has no such call')
  }
  return {
    get: missing,
    getOrSet: (key, load) => {
      loads.set(key, load)
      return /** @type {any} */ (cache).load(key)
    },
    set: missing,
    close: async () => client?.disconnect(),
  }
}
