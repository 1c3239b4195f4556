// @ts-check
/** Ours, with default options but for what a measurement is about. */
import { createCache } from '@holdfast/cache'

/** @type {import('../subject.mjs').Open} */
export async function open({ port, ports, credentials, feed, local, maxEntries }) {
  const cache = createCache({
    url: ports ? clusterUrl(ports, credentials) : `redis://127.0.0.1:${port}`,
    namespace: 'bench',
    ...(feed && { feed }),
    ttl: '5m',
    local: local ? { maxEntries: maxEntries ?? 10_000 } : false,
  })
  return {
    get: (key) => cache.get(key),
    getOrSet: (key, load, options) => cache.getOrSet(key, load, options),
    set: async (key, value, options) => void (await cache.set(key, value, options)),
    peek: (key) => cache.peek(key),
    clear: async () => void (await cache.clear()),
    invalidateTags: async (tags) => void (await cache.invalidateTags(tags)),
    increment: async (tag) => void (await cache.on(`{${tag}}`).increment('counter', 1)),
    close: () => cache.close(),
  }
}

/**
 * @param {readonly number[]} ports
 * @param {{ username: string, password: string }} [credentials]
 */
function clusterUrl(ports, credentials) {
  const who = credentials
    ? `${encodeURIComponent(credentials.username)}:${encodeURIComponent(credentials.password)}@`
    : ''
  return `holdfast+cluster://${who}${ports.map((port) => `127.0.0.1:${port}`).join(',')}`
}
