// @ts-check
/** cacheable with Keyv's adapter for the engine. Its `sync` wants a message provider of its own and is left out. */
import KeyvRedis, { createKeyv } from '@keyv/redis'
import { Cacheable } from 'cacheable'
import { Keyv } from 'keyv'

/** @type {import('../subject.mjs').Open} */
export async function open({ port, engine, local }) {
  const redis = engine ? createKeyv(`redis://127.0.0.1:${port}`) : undefined
  redis?.on('error', () => {})
  const cache = new Cacheable({
    ttl: '5m',
    ...(local ? (redis ? { secondary: redis } : {}) : { primary: redis ?? new Keyv() }),
  })
  cache.on('error', () => {})
  return {
    get: (key) => cache.get(key),
    getOrSet: (key, load, options) => cache.getOrSet(key, () => load(), options),
    set: async (key, value, options) => void (await cache.set(key, value, options?.ttl)),
    clear: () => cache.clear(),
    close: async () => {
      if (redis?.store instanceof KeyvRedis) await redis.store.disconnect(true)
    },
  }
}
