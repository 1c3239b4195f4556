import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Counter, Registry } from 'prom-client'
import { afterEach, describe, expect, test } from 'vitest'
import { eventually } from '../../../../test/support/eventually.ts'
import { metrics } from '../../src/adapters/metrics.ts'
import { registerMetrics } from '../../src/adapters/prom-client.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { MemoryServer } from '../../src/testing/index.ts'

const opened: Cache[] = []
afterEach(() => Promise.all(opened.splice(0).map((cache) => cache.close())))

function open() {
  const engine = new MemoryServer({ shards: 2 }).connect({ track: ['shop:v:', 'shop:t:'] })
  const cache = createCache({ engine, namespace: 'shop', ttl: '1m' })
  opened.push(cache)
  return { engine, cache, register: new Registry() }
}

/** `name{label="value"}` to its value. */
async function scrape(register: Registry): Promise<Record<string, number>> {
  const lines = (await register.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  )
}

describe('metrics', () => {
  test('tell what the cache has counted until they are asked', async () => {
    const { cache, register } = open()
    registerMetrics(cache, { register })
    await cache.getOrSet('k', () => delay(50, 'loaded'))
    await cache.get('nothing')
    await cache.set('other', 1)
    const isLocal = async (): Promise<boolean> => (await cache.get('k', { meta: true })).source === 'local'
    await eventually(isLocal)
    const { localHits, engineHits, loadMs } = cache.counters
    expect([localHits > 0, loadMs > 45]).toEqual([true, true])
    expect(await scrape(register)).toMatchObject({
      'holdfast_cache_hits_total{source="local"}': localHits,
      'holdfast_cache_hits_total{source="primary"}': engineHits,
      'holdfast_cache_hits_total{source="replica"}': 0,
      holdfast_cache_misses_total: 2,
      holdfast_cache_loads_total: 1,
      holdfast_cache_load_seconds_total: loadMs / 1000,
      holdfast_cache_writes_total: 1,
      holdfast_cache_local_entries: cache.status().local.entries,
      holdfast_cache_local_bytes: cache.status().local.bytes,
      holdfast_cache_pending: 0,
    })
    expect(await isLocal()).toBe(true)
    expect((await scrape(register))['holdfast_cache_hits_total{source="local"}']).toBe(localHits + 1)
  })

  test('leave no counter of the cache out', async () => {
    const { cache, register } = open()
    // A count for each that no other has.
    const counts = Object.keys(cache.counters).map((name, index) => [name, (index + 1) * 1000] as const)
    registerMetrics(
      {
        counters: Object.fromEntries(counts) as unknown as Cache['counters'],
        status: () => cache.status(),
        listen: () => () => {},
      },
      { register },
    )
    const values = Object.values(await scrape(register))
    const expected = counts.map(([name, count]) => (name.endsWith('Ms') ? count / 1000 : count))
    expect(expected.filter((count) => !values.includes(count))).toEqual([])
  })

  test('are all on their page', async () => {
    const page = await readFile(new URL('../../../../docs/cache/metrics.md', import.meta.url), 'utf8')
    const names = metrics.map(({ name, labelNames }) =>
      labelNames ? `\`${name}{${labelNames.join()}}\`` : `\`${name}\``,
    )
    expect(names.filter((name) => !page.includes(name))).toEqual([])
  })

  test('tell how each node stands', async () => {
    const { cache, engine, register } = open()
    registerMetrics(cache, { register })
    await cache.get('k')
    const [first, second] = cache.status().nodes.map(({ node }) => node)
    engine.faults.die({ shard: 1 })
    expect(await scrape(register)).toMatchObject({
      [`holdfast_cache_node_connected{node="${first}",role="primary"}`]: 1,
      [`holdfast_cache_node_connected{node="${second}",role="unknown"}`]: 0,
      [`holdfast_cache_node_breaker_state{node="${first}",state="closed"}`]: 1,
      [`holdfast_cache_node_breaker_state{node="${first}",state="open"}`]: 0,
      [`holdfast_cache_node_breaker_state{node="${second}",state="closed"}`]: 0,
      [`holdfast_cache_node_breaker_state{node="${second}",state="open"}`]: 1,
      [`holdfast_cache_node_pending_commands{node="${first}"}`]: 0,
    })
  })

  test('never have a key or a value in them', async () => {
    const { cache, register } = open()
    registerMetrics(cache, { register, loadTimes: true })
    await cache.getOrSet('user:ada', () => 'secret')
    await cache.set('user:eve', 'secret')
    expect(await register.metrics()).not.toMatch(/ada|eve|secret/)
  })

  test('are one for several caches, which differ by their labels', async () => {
    const [pages, users] = [open(), open()]
    const { register } = pages
    const end = registerMetrics(pages.cache, { register, labels: { cache: 'pages' }, loadTimes: true })
    registerMetrics(users.cache, { register, labels: { cache: 'users' }, loadTimes: true })
    await pages.cache.get('k')
    await users.cache.getOrSet('k', () => 1)
    await users.cache.get('other')
    const misses = 'holdfast_cache_misses_total'
    expect(await scrape(register)).toMatchObject({
      [`${misses}{cache="pages"}`]: 1,
      [`${misses}{cache="users"}`]: 2,
      'holdfast_cache_hits_total{cache="users",source="local"}': 0,
      'holdfast_cache_load_duration_seconds_count{cache="users"}': 1,
    })
    end()
    const left = await scrape(register)
    expect(Object.keys(left).filter((name) => name.includes('pages'))).toEqual([])
    expect(left[`${misses}{cache="users"}`]).toBe(2)
  })

  test('go when they are unregistered, and may come again', async () => {
    const { cache, register } = open()
    const end = registerMetrics(cache, { register, labels: { cache: 'a' }, loadTimes: true })
    end()
    end()
    expect(register.getMetricsAsArray()).toEqual([])
    registerMetrics(cache, { register, labels: { shop: 'b' }, prefix: 'shop_' })
    await cache.get('k')
    expect((await scrape(register))['shop_misses_total{shop="b"}']).toBe(1)
  })

  test('have a histogram of load times only where it is wanted', async () => {
    const { cache, register } = open()
    const end = registerMetrics(cache, { register })
    await cache.getOrSet('a', () => 1)
    expect(Object.keys(await scrape(register)).filter((name) => name.includes('duration'))).toEqual([])
    end()
    registerMetrics(cache, { register, loadTimes: [0.01, 60] })
    const before = cache.counters.loadMs
    await cache.getOrSet('b', () => delay(50, 1))
    const seen = await scrape(register)
    expect(seen).toMatchObject({
      'holdfast_cache_load_duration_seconds_bucket{le="0.01"}': 0,
      'holdfast_cache_load_duration_seconds_bucket{le="60"}': 1,
    })
    const seconds = (cache.counters.loadMs - before) / 1000
    expect(seen['holdfast_cache_load_duration_seconds_sum']).toBeCloseTo(seconds, 9)
  })

  test('refuse labels that do not keep two caches apart', () => {
    const { cache, register } = open()
    registerMetrics(cache, { register, labels: { cache: 'a' } })
    for (const labels of [{ cache: 'a' }, {}, { shop: 'a' }, { cache: 'b', node: 'x' }]) {
      expect(() => registerMetrics(cache, { register, labels })).toThrow(expect.objectContaining({ code: 'INVALID' }))
    }
  })

  test.each(['holdfast_cache_pending', 'holdfast_cache_load_duration_seconds'])(
    'leave nothing behind where the application has its own %s',
    (name) => {
      const { cache, register } = open()
      const own = new Counter({ name, help: 'of the application', registers: [register] })
      expect(() => registerMetrics(cache, { register, loadTimes: true })).toThrow(name)
      expect(register.getMetricsAsArray()).toEqual([own])
    },
  )
})
