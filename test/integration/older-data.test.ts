/*
 * With snapshots alone a primary that a stranger starts again has older data than its copies, and would hand it to them
 * within a second: on real engines, it does not.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tagsOf } from '../../packages/control/src/drill/writers.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { bounce } from '../support/stranger.ts'

let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up({ persistence: 'rdb' })
}, 60_000)
afterAll(() => it?.close())

test('a primary that a stranger starts from its last snapshot takes nothing from its copy', async () => {
  const { id } = it.primaryOf('shard-1')
  const keys = await writeAroundSnapshot('shard-1')
  await bounce(it, id)
  await eventually(async () => expect(await keysIn('shard-1')).toBe(keys), { what: 'all keys' })
  await it.ready()
  expect(await keysIn('shard-1')).toBe(keys)
}, 60_000)

test('nor while no controller is there', async () => {
  const { id } = it.primaryOf('shard-2')
  const keys = await writeAroundSnapshot('shard-2')
  await it.stopController()
  await bounce(it, id)
  await eventually(async () => expect(String(await it.command(id, 'INFO', 'replication'))).toMatch(/slave\d:/), {
    what: 'a copy that wants what it has',
  })
  await it.startController()
  await it.ready()
  expect(await keysIn('shard-2')).toBe(keys)
}, 60_000)

/** 20 keys that are in its snapshot, and 30 that are not, which its copy has; how many the shard has by then. */
async function writeAroundSnapshot(shard: string): Promise<unknown> {
  const { id } = it.primaryOf(shard)
  const tag = tagsOf(it.status()).get(shard) ?? ''
  for (let number = 0; number < 50; number++) {
    if (number === 20) await it.command(id, 'SAVE')
    await it.command(id, 'SET', `${tag}:${number}`, 'kept')
  }
  expect(await it.command(id, 'WAIT', '1', '5000')).toBe(1)
  return it.command(id, 'DBSIZE')
}

const keysIn = (shard: string): Promise<unknown> => it.command(it.primaryOf(shard).id, 'DBSIZE')
