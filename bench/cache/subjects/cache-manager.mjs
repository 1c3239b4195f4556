// @ts-check
/** cache-manager with a memory store, Keyv's adapter for the engine, or the one before the other. */
import KeyvRedis, { createKeyv } from '@keyv/redis'
import { createCache } from 'cache-manager'
import { Keyv } from 'keyv'

/** @type {import('../subject.mjs').Open} */
export async function open({ port, engine, local }) {
  const redis = engine ? createKeyv(`redis://127.0.0.1:${port}`) : undefined
  redis?.on('error', () => {})
  const ttl = 300_000
  const cache = createCache({ ttl, stores: [...(local ? [new Keyv({ ttl })] : []), ...(redis ? [redis] : [])] })
  return {
    get: (key) => cache.get(key),
    getOrSet: (key, load) => cache.wrap(key, async () => load()),
    set: async (key, value) => void (await cache.set(key, value)),
    clear: async () => void (await cache.clear()),
    close: async () => {
      if (redis?.store instanceof KeyvRedis) await redis.store.disconnect(true)
    },
  }
}
