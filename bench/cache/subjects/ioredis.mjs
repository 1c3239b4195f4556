// @ts-check
/** ioredis itself with JSON. */
import { Cluster, Redis } from 'ioredis'

/** @type {import('../subject.mjs').Open} */
export async function open({ port = 0, ports, credentials }) {
  const client = ports
    ? new Cluster(
        ports.map((one) => ({ host: '127.0.0.1', port: one })),
        { redisOptions: { ...credentials } },
      )
    : new Redis({ host: '127.0.0.1', port })
  client.on('error', () => {})
  const get = async (/** @type {string} */ key) => {
    const text = await client.get(key)
    return text === null ? undefined : JSON.parse(text)
  }
  /** @param {string} key @param {unknown} value */
  const set = async (key, value) => void (await client.set(key, JSON.stringify(value), 'PX', 300_000))
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
    close: async () => client.disconnect(),
  }
}
