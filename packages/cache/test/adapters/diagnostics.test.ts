import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { eventually } from '../../../../test/support/eventually.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { Events } from '../../src/events.ts'
import { MemoryServer } from '../../src/testing/index.ts'

const ending: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ending.splice(0)) await end()
})

function open(): Cache {
  const engine = new MemoryServer().connect({ track: ['shop:v:', 'shop:t:'] })
  const cache = createCache({ engine, namespace: 'shop', ttl: '1h' })
  ending.push(() => cache.close())
  return cache
}

function hear(event: string): { readonly heard: unknown[]; readonly stop: () => void } {
  const heard: unknown[] = []
  const listener = (message: unknown): void => void heard.push(message)
  subscribe(`holdfast:cache:${event}`, listener)
  const stop = (): void => void unsubscribe(`holdfast:cache:${event}`, listener)
  ending.push(stop)
  return { heard, stop }
}

describe('diagnostics channels', () => {
  test('tell of every cache of the process, by its namespace', async () => {
    const cache = open()
    const [misses, loads] = [hear('miss'), hear('load')]
    await cache.getOrSet('k', () => 'a value')
    await eventually(async () => (await cache.get('k', { meta: true })).source === 'local')
    const hits = hear('hit')
    await cache.get('k')
    expect(misses.heard).toEqual([{ cache: 'shop', key: 'k' }])
    expect(loads.heard).toEqual([{ cache: 'shop', key: 'k', ms: expect.any(Number) }])
    expect(hits.heard).toEqual([{ cache: 'shop', key: 'k', source: 'local', stale: false }])
    hits.stop()
    await cache.get('k')
    expect(hits.heard).toHaveLength(1)
  })

  test('tell of failed loads and of entries that cannot be read, and never a value', async () => {
    const cache = open()
    const [failed, unfilled] = [hear('loadFailed'), hear('unfilled')]
    const error = new Error('the source is down')
    await cache.getOrSet('a', () => Promise.reject(error)).catch(() => {})
    await cache.getOrSet('b', () => ({ secret: 10n }))
    await cache.close()
    expect(failed.heard).toEqual([{ cache: 'shop', key: 'a', error, served: 'error' }])
    expect(unfilled.heard).toEqual([{ cache: 'shop', key: 'b', because: expect.stringContaining('BigInt') }])
  })

  test('are told nothing of reads while nobody listens', async () => {
    const cache = open()
    const emit = vi.spyOn(Events.prototype, 'emit')
    ending.push(() => emit.mockRestore())
    const reads = async (): Promise<void> => {
      await cache.getOrSet('k', () => 'value')
      await cache.set('k', 'value')
      await cache.get('k')
      await cache.get('nothing')
    }
    // Links that come up are told in any case: they are few.
    const made = (): string[] => emit.mock.calls.map(([event]) => event).filter((event) => event !== 'link')
    await reads()
    expect(made()).toEqual([])
    const { heard } = hear('miss')
    await reads()
    expect([heard.length, made()]).toEqual([1, ['miss']])
  })

  test('cost a hit nothing while nobody listens', async () => {
    const cache = open()
    await cache.set('k', 'value')
    await eventually(async () => (await cache.get('k', { meta: true })).source === 'local')
    // The smallest of many short turns is what a call takes when nobody else has the machine.
    const hits = 5000
    const turn = async (): Promise<number> => {
      const began = performance.now()
      for (let at = 0; at < hits; at++) await cache.get('k')
      return performance.now() - began
    }
    const least = { never: Number.POSITIVE_INFINITY, left: Number.POSITIVE_INFINITY, listens: Number.POSITIVE_INFINITY }
    for (let round = 0; round < 3; round++) await turn()
    for (let round = 0; round < 15; round++) least.never = Math.min(least.never, await turn())
    for (let round = 0; round < 15; round++) {
      const { heard, stop } = hear('hit')
      least.listens = Math.min(least.listens, await turn())
      expect(heard).toHaveLength(hits)
      stop()
      least.left = Math.min(least.left, await turn())
    }
    expect(least.left / least.never, 'after everybody left, to before anybody came').toBeLessThan(1.5)
    expect(least.left, 'while nobody listens, to while somebody does').toBeLessThan(least.listens)
  })
})
