import { rmSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { secretsOf, TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/* Faults in which the quick answer would lose data: a deployment each, since each leaves another state behind. */
describe('a primary dies while its replica is not fit to take over', () => {
  let it: TestDeployment | undefined

  afterEach(async () => {
    await it?.close()
  })

  /** The replica can no longer sign in to its primary; drift repair does not know, since the user file is as it was. */
  async function cutLink(deployment: TestDeployment): Promise<void> {
    const [primary, replica] = [deployment.primaryOf('shard-1'), deployment.replicaOf('shard-1')]
    await deployment.command(replica.id, 'CONFIG', 'SET', 'masterauth', 'wrong')
    await deployment.command(primary.id, 'CLIENT', 'KILL', 'TYPE', 'replica')
    await eventually(() => deployment.node(replica.id).link === 'down')
  }

  async function fill(deployment: TestDeployment, count: number): Promise<void> {
    const primary = deployment.primaryOf('shard-1')
    await deployment.command(
      primary.id,
      'EVAL',
      "for i = 1, ARGV[1] do redis.call('SET', '{b}:' .. i, i) end",
      '1',
      '{b}',
      String(count),
    )
  }

  const keysOf = async (deployment: TestDeployment, id: string): Promise<number> =>
    Number(await deployment.command(id, 'DBSIZE'))

  test('a cut replica is not promoted: the primary is restarted in place with all its data', async () => {
    it = await TestDeployment.up()
    const primary = it.primaryOf('shard-1')
    await cutLink(it)
    const mark = it.mark
    await fill(it, 500)
    await eventually(() => it?.node(primary.id).keys === 500)
    it.kill(primary.id)
    await eventually(() => it?.told('turn', mark).some((because) => because.includes('its own data survives')))
    await eventually(() => it?.node(primary.id).state === 'ok' && it.node(primary.id).pid !== primary.pid)
    expect(it.node(primary.id).role).toBe('primary')
    expect(await keysOf(it, primary.id)).toBe(500)
    expect(it.told('action', mark).some((told) => told.startsWith('promote'))).toBe(false)
    const replica = it.replicaOf('shard-1')
    await it.command(replica.id, 'CONFIG', 'SET', 'masterauth', secretsOf(it.place.home, it.name)['replication'] ?? '')
    await it.ready()
    expect(await keysOf(it, replica.id)).toBe(500)
  })

  test('without files of its own, the best copy is promoted after lossAfter, and the loss is said', async () => {
    it = await TestDeployment.up({
      persistence: 'none',
      failover: { lossAfter: '3s' },
      timeouts: { node: '60s' },
    })
    const [primary, replica] = [it.primaryOf('shard-1'), it.replicaOf('shard-1')]
    await cutLink(it)
    const mark = it.mark
    await fill(it, 500)
    await eventually(() => it?.node(primary.id).keys === 500)
    await eventually(async () => (await recordedOffset(it, primary.id)) > (replica.offset ?? 0))
    it.kill(primary.id)
    await eventually(() => it?.status().because.includes('before accepting loss'))
    await eventually(() => it?.primaryOf('shard-1').id === replica.id, { withinMs: 15_000 })
    expect(it.told('loss', mark).some((told) => /possible loss of [\d.]+ (B|KB)/.test(told))).toBe(true)
    await eventually(() => it?.node(primary.id).state === 'ok')
  })

  test('all copies gone: a cache starts empty and says that data is lost', async () => {
    it = await TestDeployment.up()
    await loseShard(it)
    const mark = it.mark
    await it.ready()
    expect(it.told('loss', mark - 5).some((told) => told.includes('data lost: shard-1 has no copy left'))).toBe(true)
  })

  test('all copies gone: what is no cache waits for a person', async () => {
    it = await TestDeployment.up({ use: 'session' })
    await loseShard(it)
    await eventually(() => it?.status().because.includes('--accept-data-loss'))
    expect(it.place.pidOf(it.name, 'node-1')).toBeUndefined()
    await it.controller.setWanted(it.name, 'up', { purge: false, acceptDataLoss: true }, 'test')
    await it.ready()
  })

  async function loseShard(deployment: TestDeployment): Promise<void> {
    const ids = [deployment.primaryOf('shard-1').id, deployment.replicaOf('shard-1').id]
    await deployment.stopController()
    deployment.kill(...ids)
    for (const id of ids) rmSync(deployment.place.dataDir(deployment.name, id), { recursive: true })
    await deployment.startController()
  }

  async function recordedOffset(deployment: TestDeployment | undefined, id: string): Promise<number> {
    return deployment?.node(id).offset ?? 0
  }
})
