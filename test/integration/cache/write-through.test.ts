/** Writes through the cache to a real PostgreSQL: whatever the cache does, the store decides, and the newest is served. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { systemClock as clock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import type { CacheOptions } from '../../../packages/cache/src/options.ts'
import type { Store } from '../../../packages/cache/src/store.ts'
import type { StartedStandalone } from '../../support/cache-engines.ts'
import { startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'
import { type Postgres, startPostgres } from '../../support/postgres.ts'
import { versionedTable } from '../../support/versioned-table.ts'

interface Product {
  readonly price: number
}

let postgres: Postgres
let engine: StartedStandalone
let store: Store<Product>
let opened: Cache[] = []
let tables = 0
let table = ''

beforeAll(async () => {
  ;[postgres, engine] = await Promise.all([startPostgres(), startStandalone()])
})
beforeEach(async () => {
  table = `products${tables++}`
  store = await versionedTable<Product>(postgres.pool, table)
})
afterEach(async () => {
  engine.node.continue()
  await Promise.all(opened.map((cache) => cache.close()))
  opened = []
})
afterAll(async () => {
  await Promise.all([postgres?.close(), engine?.close()])
})

function open(options: Partial<CacheOptions> = {}): Cache {
  const { host, port } = engine.node.address
  const cache = createCache({ url: `redis://${host}:${port}`, namespace: table, ttl: '10m', ...options })
  opened.push(cache)
  return cache
}

async function priceInStore(key: string): Promise<number | undefined> {
  return (await store.load(key, { signal: AbortSignal.timeout(5000) }))?.value.price
}

/** A store that can be held up: each save waits before the table is written, or after it. */
function held(
  wait: (price: number | undefined) => { before?: Promise<unknown>; after?: Promise<unknown> },
): Store<Product> {
  return {
    load: (key, context) => store.load(key, context),
    async save(write, context) {
      const { before, after } = wait(write.value?.price)
      await before
      const saved = await store.save(write, context)
      await after
      return saved
    },
  }
}

function door(): { readonly opens: Promise<void>; readonly open: () => void } {
  let openIt: () => void = () => {}
  const opens = new Promise<void>((resolve) => (openIt = resolve))
  return { opens, open: () => openIt() }
}

test('the store is written, and everybody reads what it holds', async () => {
  const [here, there] = [open().writeThrough(store), open().writeThrough(store)]
  expect(await here.get('p')).toBeUndefined()
  const first = await here.set('p', { price: 1 })
  expect(first.cache).toBe('stored')
  expect(await priceInStore('p')).toBe(1)
  expect(await there.get('p')).toEqual({ price: 1 })
  const second = await there.set('p', { price: 2 })
  expect(second.version).toBeGreaterThan(first.version)
  expect(await there.get('p')).toEqual({ price: 2 })
  await eventually(async () => (await here.get('p'))?.price === 2)
  await here.delete('p')
  expect(await here.get('p')).toBeUndefined()
  expect(await priceInStore('p')).toBeUndefined()
  await eventually(async () => (await there.get('p')) === undefined)
})

test('what is written is found in the engine, and not loaded from the store again', async () => {
  let loads = 0
  const counting: Store<Product> = {
    load: (key, context) => {
      loads++
      return store.load(key, context)
    },
    save: (write, context) => store.save(write, context),
  }
  await open().writeThrough(counting).set('p', { price: 1 })
  expect(await open().writeThrough(counting).get('p')).toEqual({ price: 1 })
  expect(loads).toBe(0)
})

test('many are read from the store at once', async () => {
  const asked: (readonly string[])[] = []
  const many: Store<Product> = {
    ...store,
    async loadMany(keys, context) {
      asked.push(keys)
      return store.loadMany?.(keys, context) ?? []
    },
  }
  const products = open().writeThrough(many)
  await products.set('a', { price: 1 })
  await store.save({ key: 'b', value: { price: 2 }, operation: 'elsewhere' }, { signal: AbortSignal.timeout(5000) })
  expect(await products.getMany(['a', 'b', 'c'])).toEqual([{ price: 1 }, { price: 2 }, undefined])
  expect(asked).toEqual([['b', 'c']])
})

test.each([
  ['in the order of the store', false],
  ['in the other order', true],
])('of two writers whose words to the cache come %s the newest is served', async (_, crossed) => {
  for (const strict of [false, true]) {
    const key = `p:${strict}`
    const [first, second] = [door(), door()]
    const slow = held((price) => ({ after: price === 1 ? first.opens : second.opens }))
    const [a, b] = [open().writeThrough(slow, { strict }), open().writeThrough(slow, { strict })]
    // Something old is there.
    await open().writeThrough(store).set(key, { price: 0 })
    const one = a.set(key, { price: 1 })
    await eventually(async () => (await priceInStore(key)) === 1)
    const two = b.set(key, { price: 2 })
    await eventually(async () => (await priceInStore(key)) === 2)
    // The store has the second; the caches are told in either order.
    const [early, late] = crossed ? [second, first] : [first, second]
    early.open()
    await (crossed ? two : one)
    late.open()
    await Promise.all([one, two])
    expect(await a.get(key)).toEqual({ price: 2 })
    expect(await b.get(key)).toEqual({ price: 2 })
    expect(await open().writeThrough(store).get(key)).toEqual({ price: 2 })
  }
})

test('many writers of one key, in any order: what is served at last is what the store holds', async () => {
  const writers = Array.from({ length: 6 }, () => open().writeThrough(store))
  for (let round = 0; round < 15; round++) {
    const key = `p:${round}`
    await Promise.all(
      writers.flatMap((writer, index) => [
        writer.set(key, { price: round * 100 + index }),
        writer.get(key),
        index === 3 ? writer.delete(key) : writer.get(key),
      ]),
    )
    const price = await priceInStore(key)
    await eventually(async () => {
      const seen = await Promise.all(writers.map((writer) => writer.get(key)))
      expect(seen.map((value) => value?.price)).toEqual(writers.map(() => price))
      return true
    })
  }
})

test('an error of the store is the caller’s, and nobody is served what was not written', async () => {
  const cache = open()
  const products = cache.writeThrough(store)
  await products.set('p', { price: 1 })
  const failing = cache.writeThrough<Product>({ ...store, save: () => Promise.reject(new Error('disk full')) })
  await expect(failing.set('p', { price: 2 })).rejects.toThrow('disk full')
  expect(await products.get('p')).toEqual({ price: 1 })
  expect(await open().writeThrough(store).get('p')).toEqual({ price: 1 })
})

test('a store that takes too long is given up, and what it does later is not hidden by what was read meanwhile', async () => {
  const { opens, open: finish } = door()
  const cache = open()
  await cache.writeThrough(store).set('p', { price: 1 })
  const slow = cache.writeThrough(
    held(() => ({ before: opens })),
    { within: 50 },
  )
  await expect(slow.set('p', { price: 2 })).rejects.toMatchObject({ code: 'INDETERMINATE' })
  expect(await slow.get('p')).toEqual({ price: 1 })
  finish()
  await eventually(async () => (await priceInStore('p')) === 2)
  await eventually(async () => (await slow.get('p'))?.price === 2)
  await eventually(async () => (await open().writeThrough(store).get('p'))?.price === 2)
})

test.each(['frozen', 'killed'] as const)(
  'with the cache %s the store is written, and the old value goes as soon as it is back',
  async (how) => {
    const cache = open()
    const products = cache.writeThrough(store)
    await products.set('p', { price: 1 })
    if (how === 'frozen') engine.node.stop()
    else await engine.node.kill()
    const startedAt = clock.monotonic()
    expect(await products.set('p', { price: 2 })).toMatchObject({ cache: 'pending' })
    // One deadline to claim the key, at most one to tell.
    expect(clock.monotonic() - startedAt).toBeLessThan(600)
    expect(await priceInStore('p')).toBe(2)
    expect(await products.get('p')).toEqual({ price: 2 })
    expect(cache.status().pending).toBe(1)
    if (how === 'frozen') engine.node.continue()
    else await engine.node.restart()
    await eventually(() => cache.status().pending === 0, { withinMs: 2000 })
    expect(await open().writeThrough(store).get('p')).toEqual({ price: 2 })
  },
)

test('strict: what cannot be taken out of the cache first is not written', async () => {
  const cache = open()
  const products = cache.writeThrough(store, { strict: true })
  await products.set('p', { price: 1 })
  engine.node.stop()
  await expect(products.set('p', { price: 2 })).rejects.toMatchObject({ code: 'UNAVAILABLE', facts: { key: 'p' } })
  expect(await priceInStore('p')).toBe(1)
  engine.node.continue()
  await eventually(async () => (await products.set('p', { price: 3 })).cache === 'stored')
  expect(await open().writeThrough(store).get('p')).toEqual({ price: 3 })
})

test('strict: nobody reads the old value from the moment when the store may have the other', async () => {
  const { opens, open: finish } = door()
  const [here, there] = [open(), open()]
  await here.writeThrough(store).set('p', { price: 1 })
  await eventually(() => there.get('p').then(() => there.peek('p') !== undefined))
  const slow = here.writeThrough(
    held(() => ({ after: opens })),
    { strict: true },
  )
  const writing = slow.set('p', { price: 2 })
  await eventually(async () => (await priceInStore('p')) === 2)
  expect(there.peek('p')).toBeUndefined()
  const reading = there.writeThrough(store).get('p')
  finish()
  await writing
  expect(await reading).toEqual({ price: 2 })
})

test('what was loaded before the store was written does not come into the cache after it', async () => {
  for (const strict of [false, true]) {
    const key = `p:${strict}`
    const { opens, open: finish } = door()
    const [here, there] = [open(), open()]
    await store.save({ key, value: { price: 1 }, operation: 'before' }, { signal: AbortSignal.timeout(5000) })
    const slow: Store<Product> = {
      ...store,
      async load(asked, context) {
        const old = await store.load(asked, context)
        await opens
        return old
      },
    }
    const loading = there.writeThrough(slow).get(key)
    await eventually(async () => (await engine.node.command('EXISTS', `${table}:v:/${key}`)) === 1)
    await here.writeThrough(store, { strict }).set(key, { price: 2 })
    finish()
    expect((await loading)?.price).toBeOneOf([1, 2])
    expect(await here.writeThrough(store).get(key)).toEqual({ price: 2 })
    await eventually(async () => (await there.writeThrough(store).get(key))?.price === 2)
    expect(await open().writeThrough(store).get(key)).toEqual({ price: 2 })
  }
})

test('a value that cannot be cached, or is none, is refused before the store is written', async () => {
  const products = open({ maxValueBytes: 100 }).writeThrough<unknown>(store)
  await expect(products.set('p', { name: 'x'.repeat(200) })).rejects.toMatchObject({ code: 'TOO_LARGE' })
  await expect(products.set('p', undefined)).rejects.toMatchObject({ code: 'UNENCODABLE' })
  await expect(products.set('', { price: 1 })).rejects.toMatchObject({ code: 'INVALID' })
  expect(await priceInStore('p')).toBeUndefined()
})
