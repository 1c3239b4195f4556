import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock as clock } from '../../../packages/cache/src/clock.ts'
import type { Answer, Call, Engine } from '../../../packages/cache/src/engine/engine.ts'
import { openEngine } from '../../../packages/cache/src/engine/open-engine.ts'
import { slotOf } from '../../../packages/cache/src/engine/slots.ts'
import { CacheError } from '../../../packages/cache/src/errors.ts'
import { type EngineNode, type StartedCluster, startCluster } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

let cluster: StartedCluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster?.close())

const opened: Engine[] = []
afterAll(() => Promise.all(opened.map((engine) => engine.close())))

function open(track: readonly string[] = []): Engine {
  const engine = openEngine({ topology: 'cluster', addresses: cluster.addresses, track }, { clock })
  opened.push(engine)
  return engine
}

const one = (kind: Call['kind'], withinMs: number, ...command: string[]): Call => ({
  commands: [command],
  key: command[1] ?? null,
  kind,
  deadlineAt: clock.monotonic() + withinMs,
})

const replyOf = async (answer: Promise<Answer>): Promise<unknown> => (await answer).replies[0]

/** A key in the slots of the shard with this number. */
const keyOf = (engine: Engine, shard: number): string => engine.primaryKeys()[shard] ?? ''

test('finds the node of every key, and groups keys by their slot', async () => {
  const engine = open()
  const keys = Array.from({ length: 100 }, (_, number) => `key:${number}`)
  await Promise.all(keys.map((key) => engine.send(one('write', 2000, 'SET', key, key))))
  const groups = engine.group(['a{1}', 'b', 'c{1}'])
  expect(groups).toEqual([[0, 2], [1]])
  expect(await Promise.all(keys.map((key) => replyOf(engine.send(one('read', 2000, 'GET', key)))))).toEqual(keys)
  expect(engine.primaryKeys()).toHaveLength(3)
})

test('reads from a replica only where that is wanted, and says so', async () => {
  const engine = open()
  await engine.send(one('write', 2000, 'SET', 'copied', 'v'))
  const fromReplica = (): Promise<Answer> => engine.send({ ...one('read', 1000, 'GET', 'copied'), from: 'replica' })
  await eventually(async () => (await fromReplica()).replies[0] === 'v')
  expect((await fromReplica()).role).toBe('replica')
  expect((await engine.send(one('read', 1000, 'GET', 'copied'))).role).toBe('primary')
})

test('starts from whichever seed lives', async () => {
  const dead = { host: '127.0.0.1', port: 1 }
  const addresses = [dead, cluster.nodes[0]?.address ?? dead, dead]
  const engine = openEngine({ topology: 'cluster', addresses, track: [] }, { clock })
  opened.push(engine)
  expect(await replyOf(engine.send(one('write', 1000, 'SET', 'seeded', '1')))).toBe('OK')
  expect(engine.nodes().map(({ role }) => role)).toHaveLength(6)
})

test('nobody lives: whoever is not patient hears of it soon', async () => {
  const engine = openEngine({ topology: 'cluster', addresses: [{ host: '127.0.0.1', port: 1 }], track: [] }, { clock })
  opened.push(engine)
  await expect(engine.send(one('read', 5000, 'GET', 'k'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  const startedAt = clock.monotonic()
  await expect(engine.send(one('read', 5000, 'GET', 'k'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(clock.monotonic() - startedAt).toBeLessThan(50)
})

test('has one connection to a node and lane, and keeps to it', async () => {
  const engine = openEngine(
    { topology: 'cluster', addresses: cluster.addresses, track: ['x'], name: 'counted' },
    { clock },
  )
  opened.push(engine)
  const keys = Array.from({ length: 50 }, (_, number) => `key:${number}`)
  const reads = keys.map((key) => engine.send(one('read', 2000, 'GET', key)))
  const fromReplicas = keys.map((key) => engine.send({ ...one('read', 2000, 'GET', key), from: 'nearest' }))
  await Promise.all([...reads, ...fromReplicas])
  for (let time = 0; time < 5; time++) engine.hint('to see what happens')
  await pause(500)
  for (const node of cluster.nodes) {
    const clients = String(await node.command('CLIENT', 'LIST'))
    expect(clients.split('\n').filter((line) => line.includes('name=counted')).length).toBeLessThanOrEqual(1)
  }
})

test('follows a slot that moves, before, while and after it does', async () => {
  const engine = open(['{moving}'])
  await engine.send(one('write', 2000, 'SET', '{moving}a', '1'))
  await engine.send(one('write', 2000, 'SET', '{moving}b', '2'))
  const slot = slotOf('{moving}')
  const owner = await ownerOf(slot)
  const target = cluster.primaries.find((node) => node !== owner) as EngineNode
  const [from, to] = [await idOf(owner), await idOf(target)]
  const dead: string[] = []
  engine.on('unlinked', (link) => dead.push(link.node))
  await target.command('CLUSTER', 'SETSLOT', `${slot}`, 'IMPORTING', from)
  await owner.command('CLUSTER', 'SETSLOT', `${slot}`, 'MIGRATING', to)
  await owner.command('MIGRATE', '127.0.0.1', `${target.address.port}`, '{moving}a', '0', '1000')
  // One key is there and one is still here.
  expect(await replyOf(engine.send(one('read', 1000, 'GET', '{moving}a')))).toBe('1')
  expect(await replyOf(engine.send(one('read', 1000, 'GET', '{moving}b')))).toBe('2')
  const transaction = [['MULTI'], ['INCR', '{moving}a'], ['INCR', '{moving}a'], ['EXEC']]
  const done = await engine.send({ ...one('write', 1000, 'EXEC', '{moving}a'), commands: transaction })
  expect(done.replies).toEqual(['OK', 'QUEUED', 'QUEUED', [2, 3]])
  const both = engine.send(one('read', 5000, 'MGET', '{moving}a', '{moving}b'))
  await owner.command('MIGRATE', '127.0.0.1', `${target.address.port}`, '{moving}b', '0', '1000')
  expect(await replyOf(both)).toEqual(['3', '2'])
  await target.command('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', to)
  await owner.command('CLUSTER', 'SETSLOT', `${slot}`, 'NODE', to)
  expect(await replyOf(engine.send(one('read', 1000, 'GET', '{moving}b')))).toBe('2')
  await eventually(() => dead.includes(`127.0.0.1:${owner.address.port}`))
})

test('a primary dies: long calls are answered, and nothing is done twice', async () => {
  const engine = open(['counter'])
  await eventually(() => engine.primaryKeys().length === 3)
  const key = keyOf(engine, 1)
  const [slotOwner, other] = [await ownerOf(slotOf(key)), keyOf(engine, 0)]
  const linked = new Set<string>()
  engine.on('linked', (link) => linked.add(link.node))
  let acknowledged = 0
  let unknown = 0
  const errors: string[] = []
  const until = clock.monotonic() + 4500
  const write = async (): Promise<void> => {
    while (clock.monotonic() < until) {
      try {
        await engine.send({ ...one('write', 8000, 'INCR', key), patient: true })
        acknowledged++
      } catch (error) {
        if (error instanceof CacheError && error.code === 'INDETERMINATE') unknown++
        else errors.push(String(error))
      }
      await pause(5)
    }
  }
  const read = async (): Promise<void> => {
    while (clock.monotonic() < until) {
      await engine
        .send({ ...one('read', 8000, 'GET', key), patient: true })
        .catch((error) => errors.push(String(error)))
      await engine.send(one('read', 1000, 'GET', other)).catch((error) => errors.push(String(error)))
      await pause(5)
    }
  }
  const running = [write(), write(), write(), read(), read()]
  await pause(300)
  const killedAt = clock.monotonic()
  await slotOwner.kill()
  const impatient = eventually(async () => {
    const startedAt = clock.monotonic()
    const error = await engine.send(one('read', 1000, 'GET', key)).catch((refusal: unknown) => refusal)
    return error instanceof CacheError && error.code === 'UNAVAILABLE' && clock.monotonic() - startedAt < 100
  })
  await impatient
  const found = engine.send({ ...one('write', 8000, 'SET', `{${key}}found`, '1'), patient: true })
  expect((await found).role).toBe('primary')
  const tookMs = Math.round(clock.monotonic() - killedAt)
  const sinceElection = cluster.nodes.flatMap((node) => msSinceElection(node.log()) ?? [])
  console.log(`it took writes ${tookMs} ms after the kill, ${Math.min(...sinceElection)} ms after the election`)
  await Promise.all(running)
  expect(errors).toEqual([])
  const counted = Number(await replyOf(engine.send(one('read', 1000, 'GET', key))))
  // Replication is asynchronous: what the dead primary alone had acknowledged may be lost, but never doubled.
  expect(counted).toBeLessThanOrEqual(acknowledged + unknown)
  expect(counted).toBeGreaterThan(acknowledged - 20)
  console.log({ counted, acknowledged, unknown })
  const successor = (await engine.send(one('read', 1000, 'GET', key))).link
  expect(successor.live).toBe(true)
  await slotOwner.restart()
}, 30_000)

test('a primary freezes: its replica is read meanwhile, and takes over', async () => {
  const engine = open(['frozen'])
  await eventually(() => engine.primaryKeys().length === 3)
  const key = keyOf(engine, 2)
  const owner = await ownerOf(slotOf(key))
  await engine.send(one('write', 2000, 'SET', key, '7'))
  await eventually(async () => {
    const answer = await engine.send({ ...one('read', 1000, 'GET', key), from: 'replica' })
    return answer.replies[0] === '7'
  })
  owner.stop()
  const written = engine.send({ ...one('write', 10_000, 'SET', key, '8'), patient: true, idempotent: true })
  await expect(engine.send(one('read', 250, 'GET', key))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  const copy = await engine.send({ ...one('read', 250, 'GET', key), from: 'replica' })
  expect(copy).toMatchObject({ replies: ['7'], role: 'replica' })
  const { link, role } = await written
  expect({ role, live: link.live }).toEqual({ role: 'primary', live: true })
  expect(link.node).not.toBe(`127.0.0.1:${owner.address.port}`)
  // It still thinks that it is the primary, until somebody tells it.
  owner.continue()
  for (let time = 0; time < 20; time++) {
    expect(await replyOf(engine.send({ ...one('read', 2000, 'GET', key), patient: true }))).toBe('8')
    await pause(10)
  }
}, 30_000)

test('a copy that has come back is found by who waits for one, and not only by the next look round', async () => {
  const engine = open()
  const key = 'a copy'
  await engine.send(one('write', 2000, 'SET', key, 'v'))
  const readCopy = (withinMs: number): Promise<Answer> =>
    engine.send({ ...one('read', withinMs, 'GET', key), from: 'replica', patient: true })
  const { port } = (await ownersReplica(slotOf(key))).address
  const copy = cluster.nodes.find(({ address }) => address.port === port) as EngineNode
  await copy.kill()
  await eventually(() => !engine.nodes().some(({ node }) => node.endsWith(`:${port}`)), {
    what: 'the copy is forgotten',
  })
  await copy.restart()
  const owner = await ownerOf(slotOf(key))
  await eventually(async () => JSON.stringify(await owner.command('CLUSTER', 'SLOTS')).includes(`,${port},`), {
    what: 'the Cluster knows the copy again',
  })
  expect((await readCopy(1000)).role).toBe('replica')
}, 30_000)

test('a wrong password is one trouble for the whole Cluster', async () => {
  const engine = openEngine(
    { topology: 'cluster', addresses: cluster.addresses, track: [], user: 'nobody', password: 'wrong' },
    { clock },
  )
  opened.push(engine)
  const troubles: Error[] = []
  engine.on('trouble', (error) => troubles.push(error))
  await expect(engine.send(one('read', 2000, 'GET', 'k'))).rejects.toMatchObject({ code: 'DENIED' })
  await pause(400)
  expect(troubles).toHaveLength(1)
})

async function ownerOf(slot: number): Promise<EngineNode> {
  for (const node of cluster.nodes) {
    const nodes = String(await node.command('CLUSTER', 'NODES'))
    const myself = nodes.split('\n').find((line) => line.includes('myself')) ?? ''
    const ranges = myself
      .split(' ')
      .slice(8)
      .filter((range) => !range.startsWith('['))
    const has = ranges.some((range) => {
      const [from, to = from] = range.split('-').map(Number)
      return slot >= (from ?? 0) && slot <= (to ?? 0)
    })
    if (has) return node
  }
  throw new Error(`nobody has slot ${slot}`)
}

/** The node that follows the owner of a slot. */
async function ownersReplica(slot: number): Promise<EngineNode> {
  const id = await idOf(await ownerOf(slot))
  for (const node of cluster.nodes) {
    const nodes = String(await node.command('CLUSTER', 'NODES'))
    if (nodes.split('\n').some((line) => line.includes('myself') && line.split(' ')[3] === id)) return node
  }
  throw new Error(`nobody follows the owner of slot ${slot}`)
}

/** By the engine's log, whose hour may be of another time zone. */
function msSinceElection(log: string): number | undefined {
  const [, minutes, seconds] = /\d\d:(\d\d):(\d\d\.\d{3}) . Failover election won/.exec(log) ?? []
  if (minutes === undefined || seconds === undefined) return undefined
  const hourMs = 3_600_000
  return Math.round((clock.now() - Number(minutes) * 60_000 - Number(seconds) * 1000 + hourMs) % hourMs)
}

const idOf = async (node: EngineNode): Promise<string> => String(await node.command('CLUSTER', 'MYID'))
const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
