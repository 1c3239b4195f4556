/**
 * The engines that Holdfast runs beside the one that all other tests run on: found by the spec's `engine`, fetched from
 * the backports or built, and then what differs most between versions. `HOLDFAST_TEST_ENGINE` runs any other test on
 * them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { secretsOf, TestDeployment, TestHome } from '../support/deployment.ts'
import { engineNamed, findTestEngine, homeOfEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites } from '../support/writing.ts'

/** A compiler on a busy machine. */
const buildWithinMs = 900_000

describe.each(['valkey 8', 'valkey 9.1'])('on %s', (name) => {
  let it: TestDeployment

  beforeAll(async () => {
    const { flavor, version } = engineNamed(name)
    await findTestEngine(engineNamed(name), homeOfEngine(name))
    const place = new TestHome(undefined, homeOfEngine(name))
    it = await TestDeployment.up({ engine: { flavor, version }, security: { legacyAuth: true } }, place)
  }, buildWithinMs)

  afterAll(async () => {
    await it?.close()
  })

  test('the engine says its own version, and no setting or user differs from what was rendered', async () => {
    const [flavor, version = ''] = name.split(' ')
    const { engine } = it.status()
    expect(engine?.flavor).toBe(flavor)
    expect(`${engine?.version}.`.startsWith(`${version}.`)).toBe(true)
    expect(await it.command('node-1', 'INFO', 'server')).toContain(`valkey_version:${engine?.version}`)
    expect(it.told('drift')).toEqual([])
  })

  test('a killed primary: its replica takes over at once, and nothing acknowledged is lost', async () => {
    const [primary, replica, mark] = [it.primaryOf('shard-1'), it.replicaOf('shard-1'), it.mark]
    const { found } = await underWrites(it, async () => {
      it.kill(primary.id)
      await eventually(() => it.primaryOf('shard-1').id === replica.id)
    })
    expect(found).toMatchObject(nothingWrong)
    expect(it.node(primary.id)).toMatchObject({ role: 'replica', link: 'up' })
    expect(it.told('turn', mark)[0]).toMatch(
      new RegExp(`^${primary.id} \\(primary of shard-1\\) is dead, ${replica.id} is`),
    )
  })

  test('a slot that was left half moved is moved to its end, and the replicas forget it too', async () => {
    const [from, to] = [it.primaryOf('shard-1'), it.primaryOf('shard-2')]
    const slot = it.status().shards.find(({ id }) => id === 'shard-1')?.slots[0]?.[0] ?? 0
    await it.stopController()
    await it.command(to.id, 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', String(from.engineId))
    await it.command(from.id, 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', String(to.engineId))
    const replica = from.id === 'node-1' ? 'node-4' : 'node-1'
    await eventually(async () => expect(await it.command(replica, 'CLUSTER', 'NODES')).toContain(`[${slot}->-`))
    await it.startController()
    await it.ready()
    for (const id of [from.id, to.id, replica]) expect(await it.command(id, 'CLUSTER', 'NODES')).not.toContain('[')
  })

  test('all six killed together come back, and the application signs in', async () => {
    const { nodes } = it.status()
    it.kill(...nodes.map(({ id }) => id))
    await eventually(() => it.status().ready !== 'yes')
    await it.ready()
    expect(secretsOf(it.place.home, it.name)['app']).toBe(it.password)
    expect(it.told('drift')).toEqual([])
  })
})
