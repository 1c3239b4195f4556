import { randomUUID } from 'node:crypto'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import type { Operation } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bootId } from '../../packages/control/src/proc.ts'
import { SqliteStore } from '../../packages/control/src/store/sqlite-store.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites } from '../support/writing.ts'

/* One deployment for all: each test replaces a node of it and wants it ready again. */
let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up({ spares: 1 })
})

afterAll(async () => {
  await it?.close()
})

const replace = (node: string): Promise<Operation> =>
  it.controller.askForNodes(it.name, { kind: 'replace', id: randomUUID(), subject: node }, 'ann')

/** How many of the living know an engine id. */
async function knowing(engineId: string | null): Promise<string[]> {
  const views = await Promise.all(
    it.status().nodes.map(async ({ id }) => ({ id, view: String(await it.command(id, 'CLUSTER', 'NODES')) })),
  )
  return views.filter(({ view }) => view.includes(engineId ?? '?')).map(({ id }) => id)
}

test('a primary under writes: another node in its place, nothing lost, no error at the cache client', async () => {
  const old = it.primaryOf('shard-1')
  const { found, failures } = await underWrites(it, async () => {
    const operation = await it.over(await replace(old.id))
    expect(operation.because).toMatch(/^node-\d+ is in the place of node-1, which all have forgotten: replaced in/)
  })
  expect(found).toMatchObject(nothingWrong)
  expect(failures('cache')).toEqual([])
  expect(it.status().nodes.map(({ id }) => id)).not.toContain(old.id)
  expect(it.status().aside?.find(({ id }) => id === old.id)).toMatchObject({ role: 'leaving', state: 'stopped' })
  expect(await knowing(old.engineId)).toEqual([])
})

test('a spare takes the place of a node that does not start again', async () => {
  const [old, spare] = [it.replicaOf('shard-2'), it.status().aside?.find(({ role }) => role === 'spare')]
  expect(spare).toMatchObject({ state: 'ok', because: 'stands by' })
  const [data, pid] = [it.place.dataDir(it.name, old.id), it.pidOf(old.id)]
  // A file in the place of its directory: whoever wants to start there cannot.
  renameSync(data, `${data}-lost`)
  writeFileSync(data, '')
  process.kill(pid, 'SIGKILL')
  await eventually(() => it.node(spare?.id ?? '').link === 'up', { withinMs: 20_000 })
  await eventually(() => it.status().nodes.length === 6 && it.status().ready === 'yes', { withinMs: 10_000 })
  expect(it.node(spare?.id ?? '')).toMatchObject({ shard: 'shard-2', pid: spare?.pid })
  await eventually(async () => (await knowing(old.engineId)).length === 0)
})

test('one more copy of a shard, and one fewer, by an edit of the spec', async () => {
  const edit = (fields: object) => it.controller.apply({ ...it.spec, ...fields }, null, 'ann')
  await edit({ shardOverrides: { 3: { replicas: 2 } } })
  const copies = () => it.status().shards.find(({ id }) => id === 'shard-3')?.replicas.length
  await eventually(() => copies() === 2 && it.status().ready === 'yes', { withinMs: 15_000 })
  expect(it.status().copiesInSync).toBe(2)
  await edit({})
  await eventually(() => copies() === 1 && it.status().ready === 'yes', { withinMs: 15_000 })
  await it.ready()
})

test('a restart with a copy more for as long as it lasts, carried on by the next controller', async () => {
  const before = it.status().nodes.map(({ id }) => id)
  const wish = { kind: 'restart', id: randomUUID(), subject: 'shard-3', surge: true } as const
  const asked = await it.controller.askForNodes(it.name, wish, 'ann')
  await eventually(() => it.status().nodes.length === 7)
  await it.stopController()
  await it.startController()
  expect(await it.over(asked)).toMatchObject({ state: 'done' })
  await eventually(() => it.status().nodes.length === 6 && it.status().ready === 'yes', { withinMs: 15_000 })
  expect(it.status().nodes.map(({ id }) => id)).toEqual(before)
})

test('a replacement that is cancelled leaves what was there', async () => {
  const before = it.status().nodes.map(({ id }) => id)
  const asked = await replace(it.replicaOf('shard-3').id)
  await eventually(() => it.status().nodes.length === 7)
  await it.controller.cancelOperation(it.name, asked.id, 'bob')
  await eventually(() => it.status().nodes.length === 6, { withinMs: 15_000 })
  expect(it.status().nodes.map(({ id }) => id)).toEqual(before)
  await it.ready()
})

test('after the watch the files of those that left go, and nothing else does', async () => {
  await it.stopController()
  const store = new SqliteStore({ home: it.place.home, bootId: bootId() })
  const document = store.load(it.name)
  if (document === undefined) throw new Error('there is no document')
  const gone = document.nodes.filter(({ leaving }) => leaving !== undefined)
  const nodes = document.nodes.map((node) =>
    node.leaving === undefined
      ? node
      : { ...node, leaving: { ...node.leaving, forgottenAt: 0, watchedFrom: { at: -80_000, boot: bootId() } } },
  )
  await store.save({ ...document, nodes })
  store.close()
  await it.startController()
  const leaving = () => it.status().aside?.filter(({ role }) => role === 'leaving') ?? []
  await eventually(() => leaving().length === 0 && it.status().ready === 'yes', { withinMs: 20_000 })
  expect(it.status().nodes).toHaveLength(6)
  // The place of one may stand by from now on, empty.
  const spare = it.status().aside?.find(({ role }) => role === 'spare')?.id
  for (const { id } of gone) expect(existsSync(it.place.dataDir(it.name, id)), id).toBe(id === spare)
})

test('what is wrong with the wish is said before anything is asked for', async () => {
  await expect(replace('node-77')).rejects.toThrow('there is no node-77 to replace: say a node (node-')
})
