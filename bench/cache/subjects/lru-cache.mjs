// @ts-check
/** The least that an awaited hit can cost: an async function around lru-cache. */
import { LRUCache } from 'lru-cache'

/** @type {import('../subject.mjs').Open} */
export async function open({ maxEntries }) {
  /** @type {LRUCache<string, {}>} */
  const cache = new LRUCache({ max: maxEntries ?? 10_000 })
  const get = async (/** @type {string} */ key) => cache.get(key)
  return {
    get,
    getOrSet: async (key, load) => {
      const held = cache.get(key)
      if (held !== undefined) return held
      const value = await load()
      cache.set(key, /** @type {{}} */ (value))
      return value
    },
    set: async (key, value) => void cache.set(key, /** @type {{}} */ (value)),
    peek: (key) => cache.get(key),
    close: async () => cache.clear(),
  }
}
