import { describe, expect, onTestFinished, test } from 'vitest'
import { type CachePlace, describeCache } from '../../../test/support/cache-contract.ts'
import type { Cache } from '../src/cache.ts'
import { systemClock } from '../src/clock.ts'
import { createCache } from '../src/create-cache.ts'
import { HandClock } from '../src/testing/hand-clock.ts'
import type { MemoryEngine } from '../src/testing/memory-engine.ts'
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

describe('what the engine has not heard of', () => {
  /** A cache whose connection can be made to fail, another process, and a hand on the clock. */
  async function away() {
    const clock = new HandClock()
    const server = new MemoryServer({ clock })
    const track = ['shop:v:', 'shop:t:']
    const open = (engine: MemoryEngine): Cache => {
      const cache = createCache({ engine, clock, namespace: 'shop', ttl: '1h' })
      onTestFinished(() => cache.close())
      return cache
    }
    const mine = server.connect({ track })
    const cache = open(mine)
    /** The promise's value, with as much time as it takes. */
    const settled = async <T>(work: Promise<T>): Promise<T> => {
      const done = work.finally(() => {})
      for (let turn = 0; turn < 100; turn++) await clock.advance(10)
      return done
    }
    return { clock, mine, cache, other: open(server.connect({ track })), settled }
  }

  test('is not read: neither before it was told nor after', async () => {
    const { clock, mine, cache, other, settled } = await away()
    await settled(cache.set('k', 'old', { tags: ['t'] }))
    await settled(cache.set('tagged', 'old', { tags: ['t'] }))
    mine.faults.failNext(1)
    expect(await settled(cache.delete('k'))).toBe('pending')
    // The connection is good again, and nobody has told the engine yet.
    expect(await settled(cache.get('k'))).toBeUndefined()
    expect(await settled(other.get('k'))).toBeUndefined()
    mine.faults.failNext(1)
    expect(await settled(cache.invalidateTags(['t']))).toBe('pending')
    expect(await settled(cache.get('tagged'))).toBeUndefined()
    await clock.advance(5000)
    expect(await settled(other.get('tagged'))).toBeUndefined()
    expect(cache.status().pending).toBe(0)
  })

  test('is loaded from the source as long as it cannot be told', async () => {
    const { mine, cache, settled } = await away()
    await settled(cache.set('k', 'old'))
    mine.faults.die()
    expect(await settled(cache.delete('k'))).toBe('pending')
    expect(await settled(cache.getOrSet('k', () => 'new'))).toBe('new')
    mine.faults.revive()
    expect(await settled(cache.getOrSet('k', () => 'newer'))).toBe('newer')
  })

  test('is found by whoever has just loaded it', async () => {
    const { mine, cache, settled } = await away()
    mine.faults.delay(50)
    const loading = cache.getOrSet('k', () => 'loaded')
    expect(await settled(loading.then(() => cache.get('k')))).toBe('loaded')
  })
})

test('a replica that is not there is no reason to be without a cache', async () => {
  const server = new MemoryServer({ clock: systemClock })
  const cache = createCache({ engine: server.connect({}), ttl: '1h', readFrom: 'replica', local: false })
  onTestFinished(() => cache.close())
  await cache.set('k', 'value')
  const other = createCache({ engine: server.connect({}), ttl: '1h', readFrom: 'replica', local: false })
  onTestFinished(() => other.close())
  expect(await other.get('k')).toBe('value')
  const never = (): never => {
    throw new Error('there was no need to load')
  }
  expect(await other.getOrSet('k', never)).toBe('value')
})
