import { randomUUID } from 'node:crypto'
import type { Operation, Status } from '@holdfast/core'
import { countSlots, isUnfinished } from '@holdfast/core'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControllerProcess } from '../support/controller-process.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/* Three shards become four and three again, while a client writes and what keeps them is killed. */
let it: TestDeployment
let controller: ControllerProcess
let client: Cluster
const keyCount = 2000
const written = new Map<string, string>()
const errors: unknown[] = []
const over = new AbortController()
let writing: Promise<void>

beforeAll(async () => {
  it = await TestDeployment.up()
  const { user, password } = it.access
  const nodes = it.status().nodes.map(({ host, port }) => ({ host, port }))
  await it.stopController()
  controller = await ControllerProcess.start(it.place.home)
  client = new Cluster(nodes, { redisOptions: { username: user, password } })
  client.on('error', () => {})
  writing = write()
  await eventually(() => written.size === keyCount, { what: 'every key is written once' })
}, 60_000)

afterAll(async () => {
  over.abort()
  await writing
  client?.disconnect()
  await controller?.kill()
  await it?.close()
})

/** One key after the other, round and round, until it is over. */
async function write(): Promise<void> {
  for (let at = 0; !over.signal.aborted; at++) {
    const key = `key:${at % keyCount}`
    const value = `written ${at}`
    await client.set(key, value).then(
      () => written.set(key, value),
      (error: unknown) => errors.push(error),
    )
  }
}

const status = (): Promise<Status> => controller.api.status('it')

function scaleTo(shards: number): Promise<Operation> {
  return controller.api.askOperation('it', { kind: 'scale', id: randomUUID(), subject: 'it', shards })
}

async function ended({ id }: Operation): Promise<Operation> {
  return eventually(
    async () => {
      const { operations, because } = await status()
      const found = operations.find((one) => one.id === id)
      if (found === undefined || isUnfinished(found)) throw new Error(because)
      return found
    },
    { withinMs: 90_000, what: 'it is over' },
  )
}

/** No write failed, and every key is where it belongs, once. */
async function nothingIsLost(): Promise<void> {
  expect(errors).toEqual([])
  const { shards, nodes } = await controller.ready()
  const sizes = await Promise.all(
    shards.map(async ({ primary }) => {
      const { host, port } = nodes.find(({ id }) => id === primary) ?? { host: '', port: 0 }
      const node = client.nodes('master').find(({ options }) => options.port === port && options.host === host)
      return node === undefined ? Number.NaN : node.dbsize()
    }),
  )
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(keyCount)
  const before = new Map(written)
  const found = await Promise.all([...before.keys()].map(async (key) => [key, await client.get(key)] as const))
  const roundOf = (value: string | null | undefined): number => Number(value?.split(' ')[1] ?? -1)
  expect(found.filter(([key, value]) => roundOf(value) < roundOf(before.get(key)))).toEqual([])
}

test('a pair comes, though its primary and the controller are killed meanwhile', async () => {
  const asked = await scaleTo(4)
  await eventually(() => it.place.pidOf('it', 'node-7') !== undefined, { what: 'node-7 runs' })
  it.kill('node-7')
  const fourth = async () => (await status()).shards.find(({ id }) => id === 'shard-4')
  await eventually(async () => countSlots((await fourth())?.slots ?? []) > 0, {
    withinMs: 30_000,
    what: 'some slots have moved',
  })
  await controller.kill()
  controller = await ControllerProcess.start(it.place.home)
  expect(await ended(asked)).toMatchObject({ state: 'done' })
  expect((await status()).shards.map(({ slots }) => countSlots(slots))).toEqual([4096, 4096, 4096, 4096])
  expect((await status()).scale).toEqual({ shards: 4, setBy: expect.any(String) })
  await nothingIsLost()
}, 120_000)

test('applying the file again changes nothing of it, and another number is refused', async () => {
  const { spec, revision } = await controller.api.spec('it')
  expect(await controller.api.apply('it', spec, revision)).toMatchObject({ changed: false })
  await expect(controller.api.apply('it', { ...spec, shards: 5 }, revision)).rejects.toThrow(
    /use "holdfast scale it --shards 5"/,
  )
})

test('and goes again, and its engines with it', async () => {
  expect(await ended(await scaleTo(3))).toMatchObject({ state: 'done' })
  const { shards, nodes, aside = [] } = await status()
  expect(shards.map(({ slots }) => countSlots(slots)).sort((a, b) => a - b)).toEqual([5461, 5461, 5462])
  expect(nodes).toHaveLength(6)
  expect(aside.map(({ state }) => state)).toEqual(['stopped', 'stopped'])
  await nothingIsLost()
}, 120_000)

test.each([
  [2, /2 primaries could not outvote a dead one/],
  [3, /it has 3 shards already/],
  [20_000, /more than there are slots/],
])('%s shards are refused, with the reason', async (shards, reason) => {
  await expect(scaleTo(shards)).rejects.toThrow(reason)
})
