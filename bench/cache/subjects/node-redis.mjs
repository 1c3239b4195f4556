// @ts-check
/**
 * `@redis/client` itself with JSON: what any library on top of it adds its own cost to. Its timeout of each command is
 * off, which costs it nine times its speed. `variant: 'tracking'`: with its client-side cache.
 */
import { createClient, createCluster } from '@redis/client'

/** @type {import('../subject.mjs').Open} */
export async function open({ port = 0, ports, credentials, variant }) {
  const commandOptions = { timeout: 0 }
  const clientSideCache = variant === 'tracking' ? { ttl: 0, maxEntries: 0 } : undefined
  const client = ports
    ? createCluster({
        rootNodes: ports.map((one) => ({ socket: { host: '127.0.0.1', port: one } })),
        commandOptions,
        defaults: { ...credentials },
      })
    : createClient({
        RESP: 3,
        socket: { host: '127.0.0.1', port },
        commandOptions,
        ...(clientSideCache && { clientSideCache }),
      })
  client.on('error', () => {})
  await client.connect()
  const get = async (/** @type {string} */ key) => {
    const text = await client.get(key)
    return text === null ? undefined : JSON.parse(text)
  }
  /** @param {string} key @param {unknown} value */
  const set = async (key, value) => void (await client.set(key, JSON.stringify(value), { PX: 300_000 }))
  return {
    get,
    getOrSet: async (key, load) => {
      const held = await get(key)
      if (held !== undefined) return held
      const value = await load()
      await set(key, value)
      return value
    },
    set,
    increment: async (tag) => void (await client.incr(`{${tag}}:counter`)),
    close: async () => client.destroy(),
  }
}
