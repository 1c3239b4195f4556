import { randomUUID } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import type { Operation } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ControllerProcess } from '../support/controller-process.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, Writing } from '../support/writing.ts'

/* One deployment for all: each test replaces a node of it and wants it ready again. */
let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up()
})

afterAll(async () => {
  await it?.close()
})

const replace = (node: string): Promise<Operation> =>
  it.controller.askForNodes(it.name, { kind: 'replace', id: randomUUID(), subject: node }, 'ann')

async function over({ id }: Operation): Promise<Operation> {
  const operation = await eventually(
    () => it.status().operations.find((one) => one.id === id && one.endedAt !== null) ?? false,
    { withinMs: 30_000, what: 'the operation to end' },
  )
  return operation as Operation
}

/** How many of the living know an engine id. */
async function knowing(engineId: string | null): Promise<string[]> {
  const views = await Promise.all(
    it.status().nodes.map(async ({ id }) => ({ id, view: String(await it.command(id, 'CLUSTER', 'NODES')) })),
  )
  return views.filter(({ view }) => view.includes(engineId ?? '?')).map(({ id }) => id)
}

test('a primary under writes: another node in its place, nothing lost, no error at the cache client', async () => {
  const old = it.primaryOf('shard-1')
  const writing = new Writing(it)
  try {
    await eventually(() => writing.hasAcked(200))
    const asked = await replace(old.id)
    const operation = await over(asked)
    expect(operation.because).toMatch(/^node-\d+ is in the place of node-1, which all have forgotten: replaced in/)
    await it.ready()
    const readyAt = Date.now()
    await eventually(() => writing.hasAcked(50, readyAt))
    expect(await writing.check()).toMatchObject(nothingWrong)
    expect(writing.failures('cache')).toEqual([])
  } finally {
    await writing.close()
  }
  expect(it.status().nodes.map(({ id }) => id)).not.toContain(old.id)
  expect(it.status().aside).toMatchObject([{ id: old.id, role: 'leaving', state: 'stopped' }])
  expect(await knowing(old.engineId)).toEqual([])
})

test('a node that does not start again, its controller killed in the middle', async () => {
  const old = it.replicaOf('shard-2')
  const [data, pid] = [it.place.dataDir(it.name, old.id), it.pidOf(old.id)]
  // A file in the place of its directory: whoever wants to start there cannot.
  renameSync(data, `${data}-lost`)
  writeFileSync(data, '')
  process.kill(pid, 'SIGKILL')
  await eventually(() => (it.node(old.id).startFailure?.times ?? 0) > 0)
  const asked = await replace(old.id)
  await it.stopController()
  const controller = await ControllerProcess.start(it.place.home)
  try {
    await eventually(async () => (await controller.api.status(it.name)).nodes.length > 5)
  } finally {
    await controller.kill()
  }
  await it.startController()
  expect(await over(asked)).toMatchObject({ state: 'done' })
  await it.ready()
  expect(it.status().nodes).toHaveLength(6)
  expect(await knowing(old.engineId)).toEqual([])
})

test('a replacement that is cancelled leaves what was there', async () => {
  const before = it.status().nodes.map(({ id }) => id)
  const asked = await replace(it.replicaOf('shard-3').id)
  await eventually(() => it.status().nodes.length === 7)
  it.controller.cancelOperation(it.name, asked.id, 'bob')
  await eventually(() => it.status().nodes.length === 6, { withinMs: 15_000 })
  expect(it.status().nodes.map(({ id }) => id)).toEqual(before)
  await it.ready()
})

test('what is wrong with the wish is said before anything is asked for', async () => {
  await expect(replace('node-77')).rejects.toThrow('there is no node-77 to replace: say a node (node-')
})
