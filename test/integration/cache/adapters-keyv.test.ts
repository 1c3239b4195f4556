import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import { Keyv } from 'keyv'
import * as vitest from 'vitest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HoldfastKeyv } from '../../../packages/cache/src/adapters/keyv.ts'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { type StartedEngine, startCluster, startStandalone } from '../../support/cache-engines.ts'

describe.each([
  ['a single node', 'redis', () => startStandalone()],
  ['a Cluster', 'holdfast+cluster', () => startCluster()],
] as const)('Keyv over %s', (_, scheme, start) => {
  let engine: StartedEngine
  let cache: Cache
  beforeAll(async () => {
    engine = await start()
    const hosts = engine.addresses.map(({ host, port }) => `${host}:${port}`).join(',')
    cache = createCache({ url: `${scheme}://${hosts}`, namespace: 'keyv-suite', ttl: '1h', engineDeadline: '2s' })
  })
  afterAll(async () => {
    await cache.close()
    await engine.close()
  })

  describe('passes the suite of Keyv', () => {
    keyvTestSuite(vitest, Keyv, () => new HoldfastKeyv(cache) as never)
    keyvIteratorTests(vitest, Keyv, () => new HoldfastKeyv(cache) as never)
  })

  test('walks over every key of its namespace and no other, wherever it is', async () => {
    const keyv = new Keyv({ store: new HoldfastKeyv(cache), namespace: 'walk' })
    const other = new Keyv({ store: new HoldfastKeyv(cache), namespace: 'walk2' })
    const keys = Array.from({ length: 2000 }, (__, index) => `k${index}`)
    await Promise.all([...keys.map((key) => keyv.set(key, key)), other.set('k', 'other')])
    const seen = new Map<string, string>()
    for await (const [key, value] of keyv.iterator?.({}) ?? []) seen.set(key, value)
    expect([...seen.keys()].toSorted()).toEqual(keys.toSorted())
    expect([...seen].every(([key, value]) => key === value)).toBe(true)
  })
})
