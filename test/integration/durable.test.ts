/*
 * Class `durable` on real engines: what a copy acknowledged is there after a death, and after a stranger started the
 * primary again without its data while no controller was there.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tagsOf } from '../../packages/control/src/drill/writers.ts'
import { TestDeployment } from '../support/deployment.ts'
import { findTestEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites, Writing } from '../support/writing.ts'

let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up({ durability: 'durable', replicasPerShard: 2 })
}, 60_000)
afterAll(() => it?.close())

test('a dead primary is followed by the copy with most of the stream, and nothing acknowledged is lost', async () => {
  expect(it.status().lossWindow).toContain('survives process loss only')
  const { id } = it.primaryOf('shard-1')
  const writing = new Writing(it, ['durable'])
  await eventually(() => writing.hasAcked(60), { what: 'writes' })
  const mark = it.mark
  it.kill(id)
  await eventually(() => it.primaryOf('shard-1').id !== id, { what: 'a promotion' })
  await it.ready()
  const since = performance.timeOrigin + performance.now()
  await eventually(() => writing.hasAcked(60, since), { what: 'writes afterwards' })
  expect(await writing.check()).toMatchObject(nothingWrong)
  expect(it.told('turn', mark).some((because) => /has most of its 2 copies, all read since/.test(because))).toBe(true)
}, 60_000)

test('a primary that a stranger starts without its data is held, until a controller promotes a copy', async () => {
  const { id } = it.primaryOf('shard-2')
  const copies = it.status().shards.find((shard) => shard.id === 'shard-2')?.replicas ?? []
  const key = tagsOf(it.status()).get('shard-2') ?? ''
  const writing = new Writing(it, ['durable'])
  await eventually(() => writing.hasAcked(60), { what: 'writes' })
  await it.stopController()
  const links = () => Promise.all(copies.map((copy) => it.command(copy, 'INFO', 'replication').then(String)))
  it.kill(id)
  await startEmpty(id)
  await eventually(async () => expect(await it.command(id, 'DBSIZE')).toBe(0), { what: 'the empty engine' })
  // The copies have found it, and wait for a snapshot that does not begin.
  await eventually(
    async () => expect(String(await it.command(id, 'INFO', 'replication'))).toMatch(/slave\d:.*state=wait_bgsave/),
    { what: 'a copy that wants the emptiness' },
  )
  await eventually(() => expect(it.command(id, 'SET', key, 'lost')).rejects.toThrow(/NOREPLICAS/), {
    what: 'a refusal',
  })
  for (const link of await links()) expect(link).toContain('master_link_status:down')
  for (const copy of copies) expect(Number(await it.command(copy, 'DBSIZE'))).toBeGreaterThan(0)
  await it.startController()
  await eventually(() => it.primaryOf('shard-2').id !== id, { what: 'a promotion' })
  await it.ready()
  const since = performance.timeOrigin + performance.now()
  await eventually(() => writing.hasAcked(60, since), { what: 'writes afterwards' })
  expect(await writing.check()).toMatchObject(nothingWrong)
}, 60_000)

test('a switchover and then a restart of its shard lose nothing that a copy acknowledged', async () => {
  const [primary, shard] = [it.primaryOf('shard-1').id, 'shard-1']
  const before = new Map(it.status().nodes.map(({ id, pid }) => [id, pid]))
  const ask = (kind: 'switchover' | 'restart') =>
    it.over(it.controller.askOperation('it', { id: kind, kind, subject: shard }, 'ada'))
  const { found } = await underWrites(it, async () => {
    expect(await ask('switchover')).toMatchObject({ state: 'done' })
    expect(it.primaryOf(shard).id).not.toBe(primary)
    expect(await ask('restart')).toMatchObject({ state: 'done' })
  }, ['durable'])
  expect(found).toMatchObject(nothingWrong)
  const restarted = it.status().nodes.filter(({ id, pid }) => before.get(id) !== pid)
  expect(restarted.map(({ shard: of }) => of)).toEqual([shard, shard, shard])
}, 60_000)

test('a copy that leaves under writes takes none with it, though its shard is failed over in that moment', async () => {
  const writing = new Writing(it, ['durable'])
  await eventually(() => writing.hasAcked(60), { what: 'writes' })
  await it.controller.apply({ ...it.spec, shardOverrides: { 3: { replicas: 3 } } }, null, 'test')
  await eventually(() => it.status().nodes.length === 10 && it.status().ready === 'yes', { withinMs: 15_000 })
  const mark = it.mark
  await it.controller.apply(it.spec, null, 'test')
  await eventually(() => it.told('turn', mark).some((told) => /node-10 leaves .*: stopping it/.test(told)))
  const { id } = it.primaryOf('shard-3')
  it.kill(id)
  await eventually(() => it.status().nodes.length === 9 && it.status().ready === 'yes', { withinMs: 20_000 })
  expect(it.told('turn', mark).some((told) => told.includes('has every write that node-10 can have had'))).toBe(true)
  const since = performance.timeOrigin + performance.now()
  await eventually(() => writing.hasAcked(60, since), { what: 'writes afterwards' })
  expect(await writing.check()).toMatchObject(nothingWrong)
}, 60_000)

test('a person may let a shard take writes without a copy, and end that', async () => {
  const nodes = it.status().nodes.filter(({ shard }) => shard === 'shard-3')
  const values = () =>
    Promise.all(nodes.map(({ id }) => it.command(id, 'CONFIG', 'GET', 'min-replicas-to-write').then(String)))
  const all = (value: string) => nodes.map(() => `min-replicas-to-write,${value}`)
  expect(await values()).toEqual(all('1'))
  await it.controller.setDegraded('it', 'shard-3', 'host-2 is gone until Monday', 'ada')
  await eventually(async () => expect(await values()).toEqual(all('0')), { what: 'no guard' })
  expect(it.status().lossWindow).toContain('shard-3: degraded')
  expect(it.told('operation').at(-1)).toBe('shard-3 may take writes that no copy has: host-2 is gone until Monday')
  await it.controller.setDegraded('it', 'shard-3', null, 'ada')
  await eventually(async () => expect(await values()).toEqual(all('1')), { what: 'the guard again' })
}, 30_000)

/** What a supervisor does on another disk: the same configuration, the same name in the cluster, and no data. */
async function startEmpty(id: string): Promise<void> {
  const data = it.place.dataDir('it', id)
  const aside = join(data, '..', 'aside')
  await eventually(() => it.place.pidOf('it', id) === undefined, { what: 'its end' })
  mkdirSync(aside)
  for (const entry of readdirSync(data)) if (entry !== 'nodes.conf') renameSync(join(data, entry), join(aside, entry))
  const { server, env } = await findTestEngine()
  const config = join(data, '..', 'engine.conf')
  expect(existsSync(config)).toBe(true)
  spawn(server, [config], { cwd: data, env: { ...process.env, ...env }, detached: true, stdio: 'ignore' }).unref()
}
