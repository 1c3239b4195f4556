// @ts-check
/** BentoCache over ioredis 5, the only one that it takes. `variant: 'live'` keeps values as they are in its local tier. */
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Cluster, Redis } from 'ioredis'

/** @type {import('../subject.mjs').Open} */
export async function open({ port = 0, ports, engine, local, variant, maxEntries }) {
  const connect = () => {
    const client = ports
      ? new Cluster(ports.map((one) => ({ host: '127.0.0.1', port: one })))
      : new Redis({ host: '127.0.0.1', port })
    client.on('error', () => {})
    return client
  }
  const clients = engine ? [connect()] : []
  const [connection] = clients
  let store = bentostore()
  if (local) store = store.useL1Layer(memoryDriver({ maxItems: maxEntries ?? 10_000, serialize: variant !== 'live' }))
  if (connection) store = store.useL2Layer(redisDriver({ connection }))
  if (connection && local) {
    const bus = ports ? connect() : { host: '127.0.0.1', port }
    if (ports) clients.push(/** @type {Cluster} */ (bus))
    store = store.useBus(redisBusDriver({ connection: bus }))
  }
  const cache = new BentoCache({ default: 'bench', ttl: '5m', stores: { bench: store } })
  return {
    get: (key) => cache.get({ key }),
    getOrSet: (key, load, options) => cache.getOrSet({ key, factory: () => load(), ...options }),
    set: async (key, value, options) => void (await cache.set({ key, value, ...options })),
    clear: () => cache.clear(),
    invalidateTags: async (tags) => void (await cache.deleteByTag({ tags: [...tags] })),
    close: async () => {
      await cache.disconnectAll()
      for (const client of clients) client.disconnect()
    },
  }
}
