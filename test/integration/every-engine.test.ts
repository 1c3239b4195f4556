/**
 * The engines that Holdfast runs beside the one that all other tests run on: found by the spec's `engine`, fetched from
 * the backports or built, and then what differs most between versions. `HOLDFAST_TEST_ENGINE` runs any other test on
 * them.
 */
import { join } from 'node:path'
import type { FaultName, SpecText } from '@holdfast/core'
import { parseInfo, parseLoad } from '@holdfast/core'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tagsOf } from '../../packages/control/src/drill/writers.ts'
import { secretsOf, TestDeployment, TestHome } from '../support/deployment.ts'
import { engineNamed, findTestEngine, homeOfEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites } from '../support/writing.ts'

/** A compiler on a busy machine. */
const buildWithinMs = 900_000
const engines = ['valkey 8', 'valkey 9.1'] as const

async function upOn(name: string, fields: SpecText): Promise<TestDeployment> {
  const { flavor, version } = engineNamed(name)
  await findTestEngine(engineNamed(name), homeOfEngine(name))
  const place = new TestHome(undefined, homeOfEngine(name))
  return TestDeployment.up({ engine: { flavor, version }, ...fields }, place)
}

describe.each(engines)('on %s', (name) => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await upOn(name, { security: { legacyAuth: true } })
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
    const load = parseLoad(parseInfo(String(await it.command('node-1', 'INFO'))))
    expect(load).toEqual({
      runId: expect.stringMatching(/^\w{40}$/),
      mainThreadMs: expect.any(Number),
      backlogBytes: expect.any(Number),
      evictedKeys: 0,
      hits: expect.any(Number),
      misses: expect.any(Number),
    })
  })

  test('slots move with keys of every type, at once where the engine can', async () => {
    const way = name === 'valkey 8' ? 'slot by slot' : 'at once'
    const { user, password } = it.access
    const nodes = it.status().nodes.map(({ host, port }) => ({ host, port }))
    const client = new Cluster(nodes, { redisOptions: { username: user, password } })
    try {
      const tags = Array.from({ length: 100 }, (_, at) => `{${at}}`)
      await Promise.all(
        tags.flatMap((tag) => [
          client.set(`${tag}s`, 'text', 'EX', 1000),
          client.rpush(`${tag}l`, 'a', 'b'),
          client.hset(`${tag}h`, 'field', 'value'),
          client.sadd(`${tag}m`, 'x', 'y'),
          client.zadd(`${tag}z`, 1, 'one'),
          client.xadd(`${tag}x`, '*', 'k', 'v'),
        ]),
      )
      await Promise.all(tags.map((tag) => client.xgroup('CREATE', `${tag}x`, 'readers', '0')))
      const wish = { kind: 'rebalance', subject: it.name } as const
      const moved = (id: string, weights: Readonly<Record<string, number>>) =>
        it.over(it.controller.askOperation(it.name, { ...wish, id, weights }, 'ann'))
      const there = await moved('moved-there', { 'shard-1': 3 })
      expect(there).toMatchObject({ state: 'done' })
      expect(there.because.match(/at once|slot by slot[^;]*/g)).toEqual(Array(2).fill(way))
      expect(await moved('moved-back', {})).toMatchObject({ state: 'done' })
      const found = await Promise.all(
        tags.map(async (tag) => [
          await client.get(`${tag}s`),
          await client.lrange(`${tag}l`, 0, -1),
          await client.hgetall(`${tag}h`),
          (await client.smembers(`${tag}m`)).sort(),
          await client.zscore(`${tag}z`, 'one'),
          await client.xlen(`${tag}x`),
          ((await client.xinfo('GROUPS', `${tag}x`)) as unknown[]).length,
        ]),
      )
      const whole = ['text', ['a', 'b'], { field: 'value' }, ['x', 'y'], '1', 1, 1]
      expect(found).toEqual(tags.map(() => whole))
      await Promise.all(tags.map((tag) => client.del(...['s', 'l', 'h', 'm', 'z', 'x'].map((kind) => `${tag}${kind}`))))
    } finally {
      client.disconnect()
    }
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

  test('a backup brings back functions and, where the engine has them, ends of hash fields', async () => {
    const { id, shard } = it.primaryOf('shard-1')
    const key = tagsOf(it.status()).get(shard) ?? ''
    await it.command(id, 'FUNCTION', 'LOAD', "#!lua name=ours\nredis.register_function('two', function() return 2 end)")
    await it.command(id, 'HSET', key, 'f', '1', 'g', '2')
    const hasFieldEnds = name === 'valkey 9.1'
    if (hasFieldEnds) await it.command(id, 'HPEXPIREAT', key, '4000000000000', 'FIELDS', '1', 'f')
    const { backups } = it.controller
    expect(await it.over(backups.ask(it.name, { id: 'kept', to: null }, 'ann'))).toMatchObject({ state: 'done' })
    await it.command(id, 'DEL', key)
    await it.command(id, 'FUNCTION', 'FLUSH')
    const from = join(backups.list(it.name).directory, 'kept')
    const restore = await backups.restore(it.name, { id: 'back', from, replace: it.name }, 'ann')
    expect(await it.over(restore)).toMatchObject({ state: 'done' })
    await it.ready()
    const { id: now } = it.primaryOf(shard)
    expect(await it.command(now, 'FCALL', 'two', '0')).toBe(2)
    expect(await it.command(now, 'HGETALL', key)).toEqual(['f', '1', 'g', '2'])
    if (hasFieldEnds) {
      expect(await it.command(now, 'HPEXPIRETIME', key, 'FIELDS', '2', 'f', 'g')).toEqual([4_000_000_000_000, -1])
    }
  })

  test('a node is replaced and the passwords become others, under writes: nothing is lost', async () => {
    const old = it.replicaOf('shard-2').id
    const before = secretsOf(it.place.home, it.name)
    const { found } = await underWrites(it, async () => {
      const wish = { kind: 'replace', id: 'replace', subject: old } as const
      expect(await it.over(await it.controller.askForNodes(it.name, wish, 'ann'))).toMatchObject({ state: 'done' })
    })
    expect(found).toMatchObject(nothingWrong)
    expect(it.status().nodes.map(({ id }) => id)).not.toContain(old)
    const users = ['app', 'replication', 'probe', 'admin']
    const wish = { kind: 'rotate', id: 'rotate', subject: it.name, users, graceMs: 0 } as const
    expect(await it.over(it.controller.askOperation(it.name, wish, 'ann'))).toMatchObject({ state: 'done' })
    const after = secretsOf(it.place.home, it.name)
    for (const user of users) expect(after[user]).not.toBe(before[user])
    await it.ready()
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

/* Both changes of primary that lose writes most easily, in both classes that keep them apart from the engine's own ways. */
describe.each(engines)('durable on %s', (name) => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await upOn(name, { durability: 'durable', replicasPerShard: 2 })
  }, buildWithinMs)

  afterAll(() => it?.close())

  test.each(['kill-primary', 'bounce'] as const)(
    'a primary after "%s": nothing that a copy acknowledged is lost',
    async (fault) => {
      const { id, shard } = it.primaryOf(fault === 'kill-primary' ? 'shard-1' : 'shard-2')
      const { found } = await underWrites(it, async () => {
        await hurt(it, fault, id)
        await eventually(() => it.primaryOf(shard).id !== id)
      }, ['durable'])
      expect(found).toMatchObject(nothingWrong)
      expect(it.node(id)).toMatchObject({ role: 'replica', link: 'up' })
    },
  )
})

/* Valkey 9 has a handover of its own, which is not used. */
describe('behind Sentinels on valkey 9.1', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await upOn('valkey 9.1', { topology: 'sentinel', replicasPerShard: 1, persistOn: 'replicas' })
  }, buildWithinMs)

  afterAll(() => it?.close())

  test.each(['switchover', 'bounce'] as const)(
    'a primary that writes no files, after a %s: nothing is lost',
    async (what) => {
      const { id } = it.primaryOf('shard-1')
      const { found } = await underWrites(it, async () => {
        if (what === 'bounce') await hurt(it, 'bounce', id)
        else await it.over(it.controller.askOperation(it.name, { id: what, kind: what, subject: 'shard-1' }, 'ann'))
        await eventually(() => it.primaryOf('shard-1').id !== id)
      }, ['ioredis', 'cache'])
      expect(found).toMatchObject({ lost: [], contradictions: [], differing: [] })
    },
  )
})

const hurt = (it: TestDeployment, fault: FaultName, node: string) =>
  it.controller.injectFault(it.name, { fault, node, forMs: null, onProduction: it.name, drill: null }, 'ann')
