import { type CachePlace, describeCache } from '../../../test/support/cache-contract.ts'
import { systemClock } from '../src/clock.ts'
import { createCache } from '../src/create-cache.ts'
import { MemoryServer } from '../src/testing/memory-server.ts'

async function inMemory(shards: number): Promise<CachePlace> {
  const server = new MemoryServer({ clock: systemClock, shards })
  const other = server.connect({})
  return {
    open: (options) =>
      createCache({
        ...options,
        engine: server.connect({ track: [`${options.namespace}:v:`, `${options.namespace}:t:`] }),
      }),
    async command(key, ...command) {
      const deadlineAt = systemClock.monotonic() + 5000
      const { replies } = await other.send({ commands: [command], key, deadlineAt, kind: 'write' })
      return replies[0]
    },
    close: () => other.close(),
  }
}

describeCache('a cache over one node in memory', () => inMemory(1))
describeCache('a cache over a cluster in memory', () => inMemory(3))
