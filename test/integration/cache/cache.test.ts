import { Redis } from 'ioredis'
import { systemClock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { engineOver } from '../../../packages/cache/src/engine/adapters/ioredis.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { type CachePlace, describeCache } from '../../support/cache-contract.ts'
import type { StartedEngine } from '../../support/cache-engines.ts'
import { startCluster, startSentinel, startStandalone } from '../../support/cache-engines.ts'

/** Caches that connect by URL, and an engine of somebody else beside them. */
async function over(
  started: Promise<StartedEngine>,
  where: (engine: StartedEngine) => { url: string; target: Omit<Target, 'track'>; coherence?: 'messages' },
): Promise<CachePlace> {
  const engine = await started
  const { url, target, coherence } = where(engine)
  const other = openEngine({ ...target, track: [] }, { clock: systemClock })
  return {
    open: (options) => createCache({ url, ...(coherence === undefined ? {} : { coherence }), ...options }),
    async command(key, ...command) {
      const deadlineAt = systemClock.monotonic() + 5000
      const { replies } = await other.send({ commands: [command], key, deadlineAt, kind: 'write', patient: true })
      return replies[0]
    },
    async close() {
      await other.close()
      await engine.close()
    },
  }
}

const hosts = (addresses: StartedEngine['addresses']): string =>
  addresses.map(({ host, port }) => `${host}:${port}`).join(',')

describeCache('a cache over a single node', () =>
  over(startStandalone(), ({ addresses }) => ({
    url: `redis://${hosts(addresses)}`,
    target: { topology: 'standalone', addresses },
  })),
)

describeCache('a cache over a Cluster', () =>
  over(startCluster(), ({ addresses }) => ({
    url: `holdfast+cluster://${hosts(addresses)}`,
    target: { topology: 'cluster', addresses },
  })),
)

describeCache('a cache over Sentinels', async () => {
  const engine = await startSentinel()
  const addresses = engine.sentinels.map(({ address }) => address)
  const { masterName } = engine
  return over(Promise.resolve(engine), () => ({
    url: `holdfast+sentinel://${hosts(addresses)}/${masterName}`,
    target: { topology: 'sentinel', addresses, masterName },
  }))
})

describeCache("a cache over the application's own ioredis connection", async () => {
  const clients: Redis[] = []
  const engine = await startStandalone()
  const [address] = engine.addresses
  const place = await over(Promise.resolve(engine), () => ({
    url: '',
    target: { topology: 'standalone', addresses: engine.addresses },
  }))
  return {
    ...place,
    open(options) {
      const client = new Redis({ ...address, enableOfflineQueue: false, autoResendUnfulfilledCommands: false })
      clients.push(client)
      return createCache({ ...options, engine: engineOver(client, { clock: systemClock }) })
    },
    async close() {
      for (const client of clients) client.disconnect()
      await place.close()
    },
  }
})

describeCache('a cache whose processes tell each other', async () => {
  const engine = await startCluster({ replicasPerShard: 0 })
  return over(Promise.resolve(engine), ({ addresses }) => ({
    url: `holdfast+cluster://${hosts(addresses)}`,
    target: { topology: 'cluster', addresses },
    coherence: 'messages',
  }))
})
