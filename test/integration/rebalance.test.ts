import { randomUUID } from 'node:crypto'
import type { MoveTerms, Operation, SlotRange } from '@holdfast/core'
import { countSlots, slotOf } from '@holdfast/core'
import { Cluster } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/* One deployment for all: each test moves slots of it, and wants every key where it was, once. */
let it: TestDeployment
let client: Cluster
const keyCount = 6000
const written = new Map<string, string>()

beforeAll(async () => {
  it = await TestDeployment.up()
  const { user, password } = it.access
  const nodes = it.status().nodes.map(({ host, port }) => ({ host, port }))
  client = new Cluster(nodes, { redisOptions: { username: user, password } })
  client.on('error', () => {})
  for (let at = 0; at < keyCount; at++) written.set(`key:${at}`, `value ${at}`)
  await Promise.all([...written].map(([key, value]) => client.set(key, value)))
}, 60_000)

afterAll(async () => {
  client?.disconnect()
  await it?.close()
})

afterEach(async () => {
  await it.ready()
  const found = await Promise.all([...written].map(async ([key]) => [key, await client.get(key)] as const))
  const wrong = found.filter(([key, value]) => value !== written.get(key))
  expect(wrong.slice(0, 5)).toEqual([])
  await eventually(async () => {
    const sizes = await Promise.all(
      it.status().shards.map(async ({ primary }) => Number(await it.command(primary ?? 'nobody', 'DBSIZE'))),
    )
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(written.size)
  })
}, 30_000)

interface Terms extends Partial<MoveTerms> {
  readonly weights?: Readonly<Record<string, number>>
}

function rebalance({ weights = {}, ...terms }: Terms = {}): Promise<Operation> {
  const wish = { kind: 'rebalance', id: randomUUID(), subject: it.name, weights, terms } as const
  return it.controller.askOperation(it.name, wish, 'ann')
}

const slotsOf = (shard: string): readonly SlotRange[] => it.status().shards.find(({ id }) => id === shard)?.slots ?? []

/** So slow that a test can do something meanwhile: about three seconds for what shard-1 gives away. */
const slowly = { mover: 'classic', bytesPerSecond: 60_000 } as const

/** Asks for a slow move, and answers once some slots have moved and most have not; the deployment is ready meanwhile. */
async function halfway(weights: Readonly<Record<string, number>>): Promise<Operation> {
  const before = countSlots(slotsOf('shard-1'))
  const asked = await rebalance({ weights, ...slowly })
  await eventually(() => countSlots(slotsOf('shard-1')) !== before && it.status().ready === 'yes', {
    what: 'some slots have moved',
  })
  expect(it.status().operations.find(({ id }) => id === asked.id)).toMatchObject({ state: 'running' })
  return asked
}

test('slots by weight, under writes', async () => {
  const over = new AbortController()
  const errors: unknown[] = []
  const writing = (async () => {
    for (let at = 0; !over.signal.aborted; at++) {
      const key = `key:${at % keyCount}`
      const value = `written ${at}`
      await client.set(key, value).then(
        () => written.set(key, value),
        (error: unknown) => errors.push(error),
      )
    }
  })()
  const done = await it.over(await rebalance({ weights: { 'shard-1': 2 } })).finally(() => over.abort())
  await writing
  expect(done).toMatchObject({ state: 'done' })
  expect(countSlots(slotsOf('shard-1'))).toBe(8192)
  expect(errors).toEqual([])
})

test('keys that are no text, of every type, with their times to live', async () => {
  const bytes = Buffer.from([0, 255, 10, 13, 128])
  await client.set(bytes, 'bytes', 'EX', 1000)
  await client.rpush('list', 'a', 'b')
  await client.zadd('sorted', 1, 'm')
  await it.over(await rebalance({ weights: { 'shard-3': 3 } }))
  await it.over(await rebalance())
  expect(await client.get(bytes)).toBe('bytes')
  expect(await client.ttl(bytes)).toBeGreaterThan(900)
  expect(await client.lrange('list', 0, -1)).toEqual(['a', 'b'])
  expect(await client.zscore('sorted', 'm')).toBe('1')
  await client.del(bytes)
  await client.del('list')
  await client.del('sorted')
})

test('by bytes: whoever has the heavy keys gives slots away', async () => {
  await it.over(await rebalance())
  const heavy = Array.from({ length: 200 }, (_, at) => `heavy:${at}`).filter((key) => slotOf(key) <= 5460)
  await Promise.all(heavy.map((key) => client.set(key, 'x'.repeat(50_000))))
  const wish = { kind: 'rebalance', id: randomUUID(), subject: it.name, by: 'bytes' } as const
  expect(await it.over(await it.controller.askOperation(it.name, wish, 'ann'))).toMatchObject({ state: 'done' })
  expect(countSlots(slotsOf('shard-1'))).toBeLessThan(5000)
  await Promise.all(heavy.map((key) => client.del(key)))
})

test('a controller that goes away in the middle: the next one carries on', async () => {
  const asked = await halfway({ 'shard-2': 2 })
  await it.stopController()
  await it.startController()
  expect(await it.over(asked)).toMatchObject({ state: 'done' })
  expect(countSlots(slotsOf('shard-2'))).toBe(8192)
})

test.each([
  ['the source', 'shard-1', 'primaryOf'],
  ['the target', 'shard-3', 'primaryOf'],
  ["the source's replica", 'shard-1', 'replicaOf'],
  ["the target's replica", 'shard-3', 'replicaOf'],
] as const)(
  '%s is killed in the middle',
  async (_, shard, which) => {
    await it.over(await rebalance({ weights: { 'shard-1': 2 } }))
    const asked = await halfway({ 'shard-1': 1, 'shard-2': 1, 'shard-3': 2 })
    it.kill(it[which](shard).id)
    expect(await it.over(asked)).toMatchObject({ state: 'done' })
    expect(countSlots(slotsOf('shard-3'))).toBe(8192)
  },
  60_000,
)

test('a pause halts the slots where they are, and they go on afterwards', async () => {
  await it.over(await rebalance())
  const asked = await halfway({ 'shard-1': 2 })
  await it.controller.pause(it.name, { because: 'a look', until: null }, 'ann')
  const moving = () => it.controller.status(it.name)?.operations.find(({ id }) => id === asked.id)
  let last = -1
  await eventually(
    () => {
      const now = countSlots(slotsOf('shard-1'))
      const isStill = now === last
      last = now
      return isStill
    },
    { everyMs: 500, what: 'nothing moves any more' },
  )
  expect(moving()).toMatchObject({ state: 'running' })
  expect(last).toBeLessThan(8192)
  await it.controller.resume(it.name, 'ann')
  expect(await it.over(asked)).toMatchObject({ state: 'done' })
})

test('cancelled, what has moved stays, and no slot is left half moved', async () => {
  await it.over(await rebalance())
  const asked = await halfway({ 'shard-1': 2 })
  await it.controller.cancelOperation(it.name, asked.id, 'bob')
  await it.ready()
  const slots = countSlots(slotsOf('shard-1'))
  expect(slots).toBeGreaterThan(5462)
  expect(slots).toBeLessThan(8192)
})

test('a slot with a key that is too big stays where it is, and that is said', async () => {
  await it.over(await rebalance())
  const big = 'x'.repeat(300_000)
  // One in each of many slots, so that some of what goes away has one.
  const keys = Array.from({ length: 40 }, (_, at) => `big:${at}`)
  await Promise.all(keys.map((key) => client.set(key, big)))
  const done = await it.over(await rebalance({ weights: { 'shard-1': 0.1 }, mover: 'classic', keyBytesMax: 200_000 }))
  expect(done).toMatchObject({ state: 'done' })
  expect(done.because).toMatch(/slots? stays? .*a key of theirs is too big/)
  await Promise.all(keys.map((key) => client.del(key)))
})
