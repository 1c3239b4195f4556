import { rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { secretsOf, TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { nothingWrong, underWrites, Writing } from '../support/writing.ts'

/* One deployment for all: each test breaks it in its own way and wants it ready again. */
describe('a cluster heals', () => {
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

  test('a killed replica comes back and is in sync', async () => {
    const replica = it.replicaOf('shard-1')
    it.kill(replica.id)
    await eventually(() => it.node(replica.id).pid !== replica.pid && it.node(replica.id).pid !== null)
    await it.ready()
    expect(it.node(replica.id)).toMatchObject({ role: 'replica', link: 'up' })
  })

  test('a killed primary: its replica takes over at once, nothing acknowledged is lost, the old one follows', async () => {
    const [primary, replica, mark] = [it.primaryOf('shard-1'), it.replicaOf('shard-1'), it.mark]
    const { found } = await underWrites(it, async () => {
      it.kill(primary.id)
      await eventually(() => it.primaryOf('shard-1').id === replica.id)
    })
    expect(found).toMatchObject(nothingWrong)
    expect(it.node(primary.id)).toMatchObject({ role: 'replica', link: 'up' })
    expect(it.told('turn', mark)[0]).toMatch(
      new RegExp(
        `^${primary.id} \\(primary of shard-1\\) is dead, ${replica.id} is (in sync|\\d+ B behind): promoting it$`,
      ),
    )
  })

  test('a replica that is back in sync gets every write from then on, also if its primary dies at once', async () => {
    for (const round of ['a', 'b', 'c']) {
      it.kill(it.replicaOf('shard-1').id)
      await eventually(() => it.status().ready !== 'yes')
      await it.ready()
      const [primary, replica] = [it.primaryOf('shard-1'), it.replicaOf('shard-1')]
      const keys = Array.from({ length: 50 }, (_, index) => `{b}:${round}:${index}`)
      for (const key of keys) await it.command(primary.id, 'SET', key, 'x')
      it.kill(primary.id)
      await eventually(() => it.primaryOf('shard-1').id === replica.id)
      await it.ready()
      expect(await it.command(replica.id, 'EXISTS', ...keys)).toBe(keys.length)
    }
  })

  test('a frozen primary is killed on proof and replaced, a second freeze of the shard is not', async () => {
    const [primary, mark] = [it.primaryOf('shard-2'), it.mark]
    process.kill(it.pidOf(primary.id), 'SIGSTOP')
    const frozenAt = performance.now()
    await eventually(() => it.primaryOf('shard-2').id !== primary.id, { withinMs: 6000 })
    expect(performance.now() - frozenAt).toBeGreaterThan(1900)
    expect(it.told('turn', mark).some((because) => because.includes('is stopped: frozen, killing it'))).toBe(true)
    await it.ready()
    const next = it.primaryOf('shard-2')
    const pid = it.pidOf(next.id)
    process.kill(pid, 'SIGSTOP')
    try {
      await eventually(() => it.status().because.includes('not again yet'), { withinMs: 6000 })
      expect(it.pidOf(next.id)).toBe(pid)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  })

  test('a busy primary is left alone', async () => {
    const [primary, mark] = [it.primaryOf('shard-3'), it.mark]
    const pid = it.pidOf(primary.id)
    const script = `local s = redis.call('TIME')[1] while redis.call('TIME')[1] - s < 4 do end return 1`
    const busy = it.command(primary.id, 'EVAL', script, '0').catch(() => undefined)
    await eventually(() => it.status().because.includes('burns CPU: busy, left alone'), { withinMs: 5000 })
    await busy
    await it.ready()
    expect(it.pidOf(primary.id)).toBe(pid)
    expect(it.told('turn', mark).some((because) => because.includes('frozen'))).toBe(false)
  })

  test('a wiped replica comes back with its data copied, and its old identity is forgotten', async () => {
    const replica = it.replicaOf('shard-1')
    await it.command(it.primaryOf('shard-1').id, 'SET', '{w:0:0}x', 'kept').catch(() => undefined)
    it.kill(replica.id)
    rmSync(it.place.dataDir(it.name, replica.id), { recursive: true })
    await eventually(() => it.node(replica.id).engineId !== replica.engineId && it.status().ready === 'yes')
    expect(it.node(replica.id)).toMatchObject({ role: 'replica', link: 'up' })
    expect(String(await it.command(replica.id, 'CLUSTER', 'NODES'))).not.toContain(replica.engineId)
    expect(it.node(replica.id).keys).toBe(it.primaryOf('shard-1').keys)
  })

  test('a killed primary whose directory was wiped never comes back empty as primary', async () => {
    const [primary, replica] = [it.primaryOf('shard-1'), it.replicaOf('shard-1')]
    const keys = primary.keys
    expect(keys).toBeGreaterThan(0)
    it.kill(primary.id)
    rmSync(it.place.dataDir(it.name, primary.id), { recursive: true })
    await eventually(() => it.primaryOf('shard-1').id === replica.id)
    await it.ready()
    expect(it.node(primary.id)).toMatchObject({ role: 'replica', keys })
  })

  test('a forgotten node is introduced again', async () => {
    const [one, other] = [it.primaryOf('shard-1'), it.replicaOf('shard-3')]
    await it.command(one.id, 'CLUSTER', 'FORGET', String(other.engineId))
    await eventually(() => it.status().ready !== 'yes')
    await it.ready()
    expect(String(await it.command(one.id, 'CLUSTER', 'NODES'))).toContain(other.engineId)
  })

  test('a replica that follows the wrong primary is put back', async () => {
    const [replica, wrong] = [it.replicaOf('shard-1'), it.primaryOf('shard-2')]
    const mark = it.mark
    await it.command(replica.id, 'CLUSTER', 'REPLICATE', String(wrong.engineId))
    await eventually(() => it.told('turn', mark).some((because) => because.includes('follows the wrong primary')))
    await it.ready()
    expect(it.replicaOf('shard-1').id).toBe(replica.id)
  })

  test('an unassigned slot goes back to its owner with its keys', async () => {
    const owner = it.primaryOf('shard-2')
    const [slotFrom] = it.status().shards.find(({ id }) => id === 'shard-2')?.slots[0] ?? [0]
    const mark = it.mark
    await it.command(owner.id, 'CLUSTER', 'DELSLOTS', String(slotFrom + 7))
    await eventually(() => it.told('turn', mark).some((because) => because.includes('nobody owns slots')))
    await it.ready()
    const view = String(await it.command(owner.id, 'CLUSTER', 'NODES'))
    expect(view.split('\n').find((line) => line.includes('myself'))).toMatch(/ \d+-\d+$/)
  })

  test('a slot that was left half moved is moved to its end, with every key', async () => {
    const [from, to] = [it.primaryOf('shard-1'), it.primaryOf('shard-2')]
    const tag = '{shop}'
    const slot = Number(await it.command(from.id, 'CLUSTER', 'KEYSLOT', tag))
    const owner = [from, to, it.primaryOf('shard-3')].find(({ id }) => ownsSlot(it, id, slot)) ?? from
    const target = owner.id === to.id ? from : to
    const keys = Array.from({ length: 250 }, (_, index) => `${tag}:${index}`)
    for (const key of keys) await it.command(owner.id, 'SET', key, key)
    await it.stopController()
    await it.command(target.id, 'CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', String(owner.engineId))
    await it.command(owner.id, 'CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', String(target.engineId))
    const admin = secretsOf(it.place.home, it.name)['admin'] ?? ''
    const moved = keys.slice(0, 100)
    const where = ['127.0.0.1', String(target.port), '', '0', '1000', 'AUTH2', 'admin', admin, 'KEYS']
    await it.command(owner.id, 'MIGRATE', ...where, ...moved)
    await it.startController()
    await it.ready()
    expect(String(await it.command(target.id, 'CLUSTER', 'NODES'))).not.toContain('[')
    expect(ownsSlot(it, target.id, slot)).toBe(true)
    for (const key of keys) expect(await it.command(target.id, 'GET', key)).toBe(key)
  })

  test('a directive that was changed by hand is set back, and said', async () => {
    const [node, mark] = [it.primaryOf('shard-3'), it.mark]
    await it.command(node.id, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await eventually(async () =>
      String(await it.command(node.id, 'CONFIG', 'GET', 'maxmemory-policy')).includes('allkeys-lru'),
    )
    const told = `${node.id}: maxmemory-policy is "noeviction", not "allkeys-lru"`
    // Said once it is done, which is a moment after the engine has it.
    await eventually(() => expect(it.told('drift', mark)).toContain(told))
  })

  test('a user that was changed by hand is set back', async () => {
    const node = it.primaryOf('shard-3')
    const mayFlush = async () => String(await it.command(node.id, 'ACL', 'DRYRUN', 'app', 'FLUSHALL')) === 'OK'
    await it.command(node.id, 'ACL', 'SETUSER', 'app', '+flushall')
    expect(await mayFlush()).toBe(true)
    await eventually(async () => !(await mayFlush()))
  })

  test('two primaries killed together are both replaced, although no majority is left to vote', async () => {
    const victims = [it.primaryOf('shard-1'), it.primaryOf('shard-2')]
    const mark = it.mark
    it.kill(...victims.map(({ id }) => id))
    await eventually(
      () => it.primaryOf('shard-1').id !== victims[0]?.id && it.primaryOf('shard-2').id !== victims[1]?.id,
    )
    await it.ready()
    expect(it.told('action', mark).filter((told) => told.includes('takeover')).length).toBeGreaterThanOrEqual(1)
  })

  test('all six killed together come back with their data', async () => {
    const writing = new Writing(it)
    const before = it.status().nodes.map(({ id }) => id)
    try {
      await eventually(() => writing.hasAcked(300))
      it.kill(...before)
      await eventually(() => it.status().ready !== 'yes')
      await it.ready()
      expect(await writing.check()).toMatchObject(nothingWrong)
    } finally {
      await writing.close()
    }
  })
})

function ownsSlot(it: TestDeployment, id: string, slot: number): boolean {
  const shard = it.status().shards.find(({ primary }) => primary === id)
  return shard?.slots.some(([from, to]) => from <= slot && slot <= to) === true
}
