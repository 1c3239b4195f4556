import { systemClock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { type CachePlace, describeCache } from '../../support/cache-contract.ts'
import type { StartedEngine } from '../../support/cache-engines.ts'
import { startCluster, startSentinel, startStandalone } from '../../support/cache-engines.ts'

/** Caches that connect by URL, and an engine of somebody else beside them. */
async function over(
  started: Promise<StartedEngine>,
  where: (engine: StartedEngine) => { url: string; target: Omit<Target, 'track'> },
): Promise<CachePlace> {
  const engine = await started
  const { url, target } = where(engine)
  const other = openEngine({ ...target, track: [] }, { clock: systemClock })
  return {
    open: (options) => createCache({ url, ...options }),
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
