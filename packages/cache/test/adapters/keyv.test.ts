import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import { Keyv } from 'keyv'
import * as vitest from 'vitest'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { HoldfastKeyv, type HoldfastKeyvOptions } from '../../src/adapters/keyv.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { MemoryServer } from '../../src/testing/index.ts'

const opened: Cache[] = []
afterEach(() => Promise.all(opened.splice(0).map((cache) => cache.close())))

function cacheOver(server: MemoryServer): Cache {
  return createCache({ engine: server.connect({ track: ['shop:v:', 'shop:t:'] }), namespace: 'shop', ttl: '1h' })
}

function open(options?: HoldfastKeyvOptions, shards = 1) {
  const server = new MemoryServer({ shards })
  const connect = (): Cache => {
    const cache = cacheOver(server)
    opened.push(cache)
    return cache
  }
  const cache = connect()
  const engine = server.connect()
  const raw = async (...command: string[]): Promise<unknown> => {
    const deadlineAt = server.clock.monotonic() + 1000
    const key = command[1] ?? null
    return (await engine.send({ commands: [command], key, deadlineAt, kind: 'write' })).replies[0]
  }
  return { cache, connect, raw, faults: engine.faults, store: new HoldfastKeyv(cache, options) }
}

describe.each([1, 3])("Keyv's own suite over %d nodes in memory", (shards) => {
  const cache = cacheOver(new MemoryServer({ shards }))
  afterAll(() => cache.close())
  keyvTestSuite(vitest, Keyv, () => new HoldfastKeyv(cache) as never)
  keyvIteratorTests(vitest, Keyv, () => new HoldfastKeyv(cache) as never)
})

describe('a Keyv over a cache', () => {
  test('lives as long as Keyv says, and no longer in the engine', async () => {
    const { store, raw } = open()
    const keyv = new Keyv({ store })
    await keyv.set('k', 1, 20_000)
    expect(await raw('PTTL', 'shop:v:keyv/keyv:k')).toSatisfy((ms: number) => ms > 19_000 && ms <= 20_000)
  })

  test('takes the ttl of the store where Keyv says none', async () => {
    const { store, raw } = open({ ttl: 'forever' })
    const keyv = new Keyv({ store })
    await keyv.set('k', 1)
    expect(await raw('PTTL', 'shop:v:keyv/keyv:k')).toBe(-1)
  })

  test('clears its namespace at once, and no other', async () => {
    const { cache } = open()
    const [users, pages] = ['users', 'any thing: 1'].map(
      (namespace) => new Keyv({ store: new HoldfastKeyv(cache), namespace }),
    ) as [Keyv, Keyv]
    await users.set('k', 'users')
    await pages.set('k', 'pages')
    await pages.clear()
    expect([await users.get('k'), await pages.get('k')]).toEqual(['users', undefined])
  })

  test('is the same in another process', async () => {
    const { cache, connect } = open()
    const [here, there] = [cache, connect()].map((each) => new Keyv({ store: new HoldfastKeyv(each) })) as [Keyv, Keyv]
    await here.set('k', { n: 1 })
    expect(await there.get('k')).toEqual({ n: 1 })
    expect(await there.has('k')).toBe(true)
    expect(await there.delete('k')).toBe(true)
    expect(await there.delete('k')).toBe(false)
  })

  test('sets, asks and deletes many', async () => {
    const { store } = open()
    const keyv = new Keyv({ store })
    const set = await keyv.setMany([
      { key: 'a', value: 1 },
      { key: 'b', value: 2, ttl: 60_000 },
    ])
    expect(set).toEqual([true, true])
    expect(await keyv.hasMany(['a', 'x', 'b'])).toEqual([true, false, true])
    expect(await keyv.get(['a', 'x', 'b'])).toEqual([1, undefined, 2])
    expect(await keyv.deleteMany(['a', 'x'])).toBe(true)
    expect(await keyv.deleteMany(['a', 'x'])).toBe(false)
  })

  test('walks over all nodes, and leaves out what was cleared or ended', async () => {
    const { store } = open({}, 5)
    const keyv = new Keyv({ store })
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
    await keyv.set('cleared', 1)
    await keyv.clear()
    await Promise.all(keys.map((key) => keyv.set(key, key)))
    const seen: string[] = []
    for await (const [key, value] of keyv.iterator?.({}) ?? []) {
      expect(value).toBe(key)
      seen.push(key)
    }
    expect(seen.toSorted()).toEqual(keys.toSorted())
  })

  test('holds living values where Keyv is told not to serialize', async () => {
    const { store } = open()
    const keyv = new Keyv({ store })
    keyv.serialize = undefined as never
    keyv.deserialize = undefined as never
    const value = { big: true }
    await keyv.set('k', value, 60_000)
    expect(await keyv.get('k')).toBe(value)
  })

  test('misses while the engine is away, and says of a write that the engine was not told', async () => {
    const { store, faults } = open()
    const keyv = new Keyv({ store })
    await keyv.set('k', 'old')
    faults.die()
    expect(await keyv.get('never read')).toBeUndefined()
    expect(await keyv.set('k', 'new')).toBe(false)
    expect(await keyv.delete('k')).toBe(false)
  })

  test('tells by an error what is refused', async () => {
    const { store } = open()
    const keyv = new Keyv({ store })
    const errors: unknown[] = []
    keyv.on('error', (error) => errors.push(error))
    expect(await keyv.set('line\nbreak', 1)).toBe(false)
    expect(await keyv.set('k', 1, -5)).toBe(false)
    expect(errors).toEqual([expect.objectContaining({ code: 'INVALID' }), expect.objectContaining({ code: 'INVALID' })])
  })

  test('leaves the cache open when it is disconnected', async () => {
    const { store, cache } = open()
    await new Keyv({ store }).disconnect()
    expect(cache.status().closed).toBe(false)
  })
})
