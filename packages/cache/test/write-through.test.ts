import { expect, test } from 'vitest'
import { createCache } from '../src/create-cache.ts'
import type { Store, StoreWrite } from '../src/store.ts'
import { HandClock } from '../src/testing/hand-clock.ts'
import { MemoryServer } from '../src/testing/memory-server.ts'

/** A store that counts versions for each key, and can be held up. */
class Table implements Store<string> {
  readonly rows = new Map<string, { value: string | undefined; version: number }>()
  readonly operations: string[] = []
  hold: Promise<void> | undefined

  async load(key: string) {
    const row = this.rows.get(key)
    return row?.value === undefined ? undefined : { value: row.value, version: row.version }
  }

  async save({ key, value, operation }: StoreWrite<string>) {
    this.operations.push(operation)
    await this.hold
    const version = (this.rows.get(key)?.version ?? 0) + 1
    this.rows.set(key, { value, version })
    return { version }
  }
}

function aWorld() {
  const clock = new HandClock()
  const server = new MemoryServer({ clock })
  const table = new Table()
  const open = () => {
    const engine = server.connect({ track: ['cache:v:', 'cache:t:'] })
    return { cache: createCache({ engine, clock, ttl: '1m' }), engine }
  }
  return { clock, table, open }
}

test('each write of the store is an operation of its own', async () => {
  const { table, open } = aWorld()
  const { cache } = open()
  const products = cache.writeThrough(table)
  expect(await products.set('p', 'one')).toEqual({ version: 1, cache: 'stored' })
  expect(await products.set('p', 'two')).toEqual({ version: 2, cache: 'stored' })
  expect(new Set(table.operations).size).toBe(2)
  expect(await products.get('p')).toBe('two')
  await cache.close()
})

test('a store that never answers is given up in time, and the key is free again', async () => {
  const { clock, table, open } = aWorld()
  const { cache } = open()
  const products = cache.writeThrough(table, { within: '10s' })
  await products.set('p', 'one')
  table.hold = new Promise(() => {})
  const writing = products.set('p', 'two').catch((error: unknown) => error)
  await clock.advance(9_999)
  table.hold = undefined
  await clock.advance(1)
  expect(await writing).toMatchObject({ code: 'INDETERMINATE', facts: { key: 'p', withinMs: 10_000 } })
  expect(await products.get('p')).toBe('one')
  await cache.close()
  expect(clock.waiting).toBe(0)
})

test('a store that throws in place of rejecting leaves nothing behind either', async () => {
  const { clock, open } = aWorld()
  const { cache } = open()
  const broken: Store<string> = {
    load: async () => undefined,
    save: () => {
      throw new Error('no such table')
    },
  }
  await expect(cache.writeThrough(broken).set('p', 'one')).rejects.toThrow('no such table')
  await clock.advance(60_000)
  await cache.close()
  expect(clock.waiting).toBe(0)
})

test('what was read between claim and store is not what this process goes on to serve', async () => {
  const { clock, table, open } = aWorld()
  const { cache } = open()
  const products = cache.writeThrough(table)
  await products.set('p', 'one')
  let finish: () => void = () => {}
  table.hold = new Promise((resolve) => (finish = resolve))
  const writing = products.set('p', 'two')
  await clock.settle()
  // Not strict: the old value may be read until the store has the other.
  expect(await products.get('p')).toBe('one')
  finish()
  await writing
  expect(await products.get('p')).toBe('two')
  expect(await open().cache.get('p')).toBe('two')
  await cache.close()
})

test('with the engine away a strict write is refused in one word, and the store is not asked', async () => {
  const { clock, table, open } = aWorld()
  const { cache, engine } = open()
  const products = cache.writeThrough(table, { strict: true })
  for (const fault of ['die', 'freeze'] as const) {
    engine.faults[fault]()
    const writing = products.set('p', 'one').catch((error: unknown) => error)
    await clock.advance(1000)
    expect(await writing).toMatchObject({ code: 'UNAVAILABLE', facts: { key: 'p' } })
    if (fault === 'die') engine.faults.revive()
    else engine.faults.thaw()
    await clock.advance(1000)
  }
  expect(table.operations).toEqual([])
  await cache.close()
})
