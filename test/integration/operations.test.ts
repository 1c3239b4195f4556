import { randomUUID } from 'node:crypto'
import type { Operation, OperationWish } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ControllerProcess } from '../support/controller-process.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites } from '../support/writing.ts'

/* One deployment for all: each test asks something of it and wants it ready again. */
let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up()
})

afterAll(async () => {
  await it?.close()
})

afterEach(async () => {
  await it.ready()
})

const ask = (wish: Omit<OperationWish, 'id'>): Promise<Operation> =>
  it.controller.askOperation(it.name, { id: randomUUID(), ...wish }, 'ann')

test('a switchover under writes: another primary, nothing lost, no error at the cache client', async () => {
  const [primary, replica] = [it.primaryOf('shard-1'), it.replicaOf('shard-1')]
  const { found, failures } = await underWrites(it, async () => {
    const operation = await it.over(ask({ kind: 'switchover', subject: 'shard-1' }))
    expect(operation).toMatchObject({
      state: 'done',
      requestedBy: 'ann',
      because: `${replica.id} is primary of shard-1, was ${primary.id}: handed over`,
    })
  })
  expect(found).toMatchObject(nothingWrong)
  expect(failures('cache')).toEqual([])
  expect(it.pidOf(primary.id)).toBe(primary.pid)
  expect(it.node(primary.id)).toMatchObject({ role: 'replica', link: 'up' })
})

test('a rolling restart under writes, its controller killed again and again: every process is another one, nothing lost', async () => {
  const before = new Map(it.status().nodes.map(({ id, pid }) => [id, pid]))
  let controller: ControllerProcess | undefined
  try {
    const { found, failures } = await underWrites(it, async () => {
      const { id } = await ask({ kind: 'restart', subject: it.name })
      await it.stopController()
      for (let restarts = 0; restarts < 2; restarts++) {
        controller = await ControllerProcess.start(it.place.home)
        const { api } = controller
        const replaced = async (): Promise<number> =>
          (await api.status(it.name)).nodes.filter((node) => node.pid !== null && node.pid !== before.get(node.id))
            .length
        await eventually(async () => (await replaced()) > restarts, { withinMs: 30_000, what: 'one more restarted' })
        await controller.kill()
      }
      await it.startController()
      const operation = await it.over({ id })
      expect(operation.because).toMatch(/^restart of it: 6 engines restarted in/)
    })
    expect(found).toMatchObject(nothingWrong)
    expect(failures('cache')).toEqual([])
  } finally {
    await controller?.kill()
  }
  for (const { id, pid } of it.status().nodes) expect(`${id} ${pid}`).not.toBe(`${id} ${before.get(id)}`)
})

test('an operation that is cancelled goes on no further', async () => {
  const pids = () => new Map(it.status().nodes.map(({ id, pid }) => [id, pid]))
  const before = pids()
  const asked = await ask({ kind: 'restart', subject: it.name })
  await eventually(() => it.status().operations.some(({ id, state }) => id === asked.id && state === 'running'))
  await it.controller.cancelOperation(it.name, asked.id, 'bob')
  await it.ready()
  expect(await it.over(asked)).toMatchObject({ state: 'cancelled' })
  const replaced = [...pids()].filter(([id, pid]) => before.get(id) !== pid)
  expect(replaced.length).toBeLessThan(2)
})

test('what is wrong with the wish is said before anything is asked for', async () => {
  await expect(ask({ kind: 'switchover', subject: 'shard-9' })).rejects.toThrow(
    'there is no shard-9: shards are shard-1',
  )
  await expect(ask({ kind: 'switchover', subject: 'shard-1', to: 'node-2' })).rejects.toThrow(
    'node-2 is no copy of shard-1',
  )
  await expect(ask({ kind: 'restart', subject: 'node-77' })).rejects.toThrow('there is no node-77')
})

test('a drained node hands over, and is not promoted while there is another', async () => {
  const { id } = it.primaryOf('shard-3')
  await it.controller.setDrained(it.name, id, true, 'ann')
  await eventually(() => it.primaryOf('shard-3').id !== id)
  await it.ready()
  expect(it.node(id)).toMatchObject({ drained: true, role: 'replica' })
  await it.controller.setDrained(it.name, id, false, 'ann')
  await eventually(() => !it.node(id).drained)
})

test('a paused deployment is looked at and told of, and nothing is done until somebody resumes', async () => {
  const { id } = it.replicaOf('shard-2')
  await it.controller.pause(it.name, { because: 'the network is worked on', until: null }, 'ann')
  await eventually(() => it.status().paused !== null)
  it.kill(id)
  await eventually(() =>
    it.status().because.startsWith(`paused by ann (the network is worked on): would do: starting ${id}`),
  )
  expect(it.place.pidOf(it.name, id)).toBeUndefined()
  await it.controller.resume(it.name, 'ann')
  await it.ready()
  expect(it.status().paused).toBeNull()
})
