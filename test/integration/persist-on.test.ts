/*
 * `persistOn` on real engines: the primary of each shard writes nothing to its disk, whoever that is, and no death and
 * no stranger makes an empty engine the primary of a shard that has data.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tagsOf } from '../../packages/control/src/drill/writers.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { bounce } from '../support/stranger.ts'

let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up({ persistOn: 'replicas' })
}, 60_000)
afterAll(() => it?.close())

test('a dead primary without files is followed by its copy, which logs until the other one does', async () => {
  await eventually(filesFollowRoles, { what: 'files by the roles' })
  expect(it.status().lossWindow).toMatch(/power failure: up to 2 s of writes, and what the copies that write do not/)
  const { id } = it.primaryOf('shard-1')
  const keys = await writeTo('shard-1')
  it.kill(id)
  await eventually(() => it.primaryOf('shard-1').id !== id, { what: 'a promotion' })
  expect(await keysIn('shard-1')).toBe(keys)
  await eventually(filesFollowRoles, { what: 'files by the new roles' })
  expect(it.told('loss')).toEqual([])
}, 60_000)

test('a primary that a stranger starts again is empty, takes no write, and is won back', async () => {
  const { id } = it.primaryOf('shard-2')
  const keys = await writeTo('shard-2')
  const key = tagsOf(it.status()).get('shard-2') ?? ''
  await it.stopController()
  await bounce(it, id)
  await eventually(async () => expect(await it.command(id, 'DBSIZE')).toBe(0), { what: 'the empty engine' })
  await eventually(
    async () => expect(String(await it.command(id, 'INFO', 'replication'))).toMatch(/slave\d:.*state=wait_bgsave/),
    { what: 'a copy that wants the emptiness' },
  )
  await eventually(() => expect(it.command(id, 'SET', key, 'lost')).rejects.toThrow(/NOREPLICAS/), {
    what: 'a refusal',
  })
  await it.startController()
  await eventually(() => it.primaryOf('shard-2').id !== id, { what: 'a promotion' })
  expect(await keysIn('shard-2')).toBe(keys)
  await eventually(filesFollowRoles, { what: 'files by the new roles' })
}, 60_000)

test('all copies die at once: those with files are promoted, and nothing is lost', async () => {
  const keys = await writeTo('shard-3')
  const before = it.primaryOf('shard-3').id
  // The logs of the others are on the disk a second after the last write, and killing them costs nothing even before.
  it.kill(...it.status().nodes.map(({ id }) => id))
  await eventually(() => it.primaryOf('shard-3').id !== before, { what: 'a promotion' })
  await eventually(filesFollowRoles, { what: 'files by the new roles' })
  expect(await keysIn('shard-3')).toBe(keys)
}, 60_000)

describe('behind Sentinels', () => {
  let watched: TestDeployment

  beforeAll(async () => {
    watched = await TestDeployment.up({ topology: 'sentinel', replicasPerShard: 1, persistOn: 'replicas' })
  })
  afterAll(() => watched?.close())

  test.each([{ persistOn: 'replicas' }, { persistence: 'none' }])(
    'a primary without files (%o) that a stranger starts again is no primary, and its copy becomes it',
    async (fields) => {
      const { revision } = await watched.controller.apply(
        { ...watched.spec, persistOn: 'all', ...fields },
        null,
        'test',
      )
      await eventually(() => watched.status().settledRevision === revision && watched.status().ready === 'yes')
      const [{ id }, { id: copy }] = [watched.primaryOf('shard-1'), watched.replicaOf('shard-1')]
      for (let number = 0; number < 50; number++) await watched.command(id, 'SET', `a:${number}`, 'kept')
      expect(await watched.command(id, 'WAIT', '1', '5000')).toBe(1)
      await watched.stopController()
      await bounce(watched, id)
      await eventually(async () => expect(await watched.command(id, 'DBSIZE')).toBe(0), { what: 'the empty engine' })
      await expect(watched.command(id, 'SET', 'a:0', 'lost')).rejects.toThrow(/READONLY|NOREPLICAS/)
      expect(await watched.command(copy, 'DBSIZE')).toBe(50)
      await watched.startController()
      await eventually(() => watched.primaryOf('shard-1').id === copy, { what: 'a promotion' })
      await watched.ready()
      expect(await watched.command(copy, 'DBSIZE')).toBe(50)
      expect(await watched.command(id, 'DBSIZE')).toBe(50)
      expect(watched.told('loss')).toEqual([])
    },
    60_000,
  )
})

/** Keys that its replica has as well; how many the shard has by then. */
async function writeTo(shard: string): Promise<unknown> {
  const { id } = it.primaryOf(shard)
  const tag = tagsOf(it.status()).get(shard) ?? ''
  for (let number = 0; number < 50; number++) await it.command(id, 'SET', `${tag}:${number}`, 'kept')
  expect(await it.command(id, 'WAIT', '1', '5000')).toBe(1)
  return it.command(id, 'DBSIZE')
}

const keysIn = (shard: string): Promise<unknown> => it.command(it.primaryOf(shard).id, 'DBSIZE')

async function filesFollowRoles(): Promise<void> {
  const { nodes } = await it.ready()
  for (const { id, role } of nodes) {
    const logs = role === 'replica' ? 'yes' : 'no'
    expect(String(await it.command(id, 'CONFIG', 'GET', 'appendonly')), id).toBe(`appendonly,${logs}`)
    expect(existsSync(join(it.place.dataDir('it', id), 'appendonlydir')), id).toBe(role === 'replica')
    if (role === 'primary') expect(readdirSync(it.place.dataDir('it', id)), id).not.toContain('dump.rdb')
  }
}
