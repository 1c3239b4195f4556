import { expect, test } from 'vitest'
import type { Call, Command } from '../../src/engine/engine.ts'
import { HandClock } from '../../src/testing/hand-clock.ts'
import { MemoryServer, memoryEngine } from '../../src/testing/memory-server.ts'

function world(options: { shards?: number; replicas?: number; maxEntries?: number } = {}) {
  const clock = new HandClock()
  const server = new MemoryServer({ clock, ...options })
  const engine = server.connect({ track: ['app:'] })
  const call = (command: Command, more: Partial<Call> = {}): Call => ({
    commands: [command],
    key: 'script' in command ? (command.keys[0] ?? null) : (command[1]?.toString() ?? null),
    deadlineAt: clock.monotonic() + 250,
    kind: 'write',
    ...more,
  })
  const send = async (...command: string[]) => (await engine.send(call(command))).replies[0]
  return { clock, server, engine, call, send }
}

test('a key is gone when its time is over', async () => {
  const { clock, send } = world()
  await send('SET', 'k', 'v', 'PX', '100')
  await clock.advance(99)
  expect(await send('GET', 'k')).toBe('v')
  await clock.advance(1)
  expect(await send('GET', 'k')).toBeNull()
})

test('another is told of a change, the one that made it is not', async () => {
  const { clock, server, engine, send } = world()
  const other = server.connect({ track: ['app:'] })
  const told: unknown[] = []
  engine.on('changed', (keys) => told.push(['writer', keys]))
  other.on('changed', (keys) => told.push(['other', keys]))
  await send('SET', 'app:1', 'v')
  await send('SET', 'elsewhere', 'v')
  await clock.advance(0)
  expect(told).toEqual([['other', ['app:1']]])
})

test('keys of a Cluster are grouped by slot, and each shard has a key of its own', async () => {
  const { engine, call } = world({ shards: 3 })
  expect(engine.group(['{a}1', '{b}1', '{a}2'])).toEqual([[0, 2], [1]])
  const sizes = await Promise.all(
    engine
      .primaryKeys()
      .map((key) => engine.send(call(['SET', key, 'v'])).then(() => engine.send(call(['DBSIZE'], { key })))),
  )
  expect(sizes.map(({ replies }) => replies[0])).toEqual([1, 1, 1])
  await expect(engine.send(call(['MGET', 'a', 'b']))).rejects.toThrow('CROSSSLOT')
})

test('a command that blocks is woken by what it waits for, or by its time', async () => {
  const { clock, engine, call, send } = world()
  await send('XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM')
  const take = ['XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '100', 'STREAMS', 's', '>']
  const woken = engine.lane('reads').send(call(take, { key: 's' }))
  await clock.advance(50)
  await send('XADD', 's', '1-1', 'f', 'v')
  expect((await woken).replies).toEqual([{ s: [['1-1', ['f', 'v']]] }])
  const inVain = engine.lane('reads').send(call(take, { key: 's' }))
  await clock.advance(100)
  expect((await inVain).replies).toEqual([null])
})

test('WAIT answers how many copies have it, and waits for more until its time is over', async () => {
  const { clock, engine, call, send } = world({ replicas: 1 })
  expect(await send('WAIT', '1', '100')).toBe(1)
  const wanted = engine.lane('durable').send(call(['WAIT', '2', '100'], { key: null }))
  await clock.advance(100)
  expect((await wanted).replies).toEqual([1])
  engine.faults.acknowledge(0)
  const none = engine.lane('durable').send(call(['WAIT', '1', '100'], { key: null }))
  await clock.advance(100)
  expect((await none).replies).toEqual([0])
})

test('the key that was used least lately is evicted, and everybody is told', async () => {
  const { clock, engine, send } = world({ maxEntries: 2 })
  const told: unknown[] = []
  engine.on('changed', (keys) => told.push(keys))
  await send('SET', 'app:1', 'v')
  await send('SET', 'app:2', 'v')
  await send('GET', 'app:1')
  await send('SET', 'app:3', 'v')
  await clock.advance(0)
  expect([await send('GET', 'app:1'), await send('GET', 'app:2'), told]).toEqual(['v', null, [['app:2']]])
})

test('a replica answers reads when there is one, and tells of nothing', async () => {
  const { engine, call, send } = world({ replicas: 1 })
  await send('SET', 'k', 'v')
  const answer = await engine.send(call(['GET', 'k'], { kind: 'read', from: 'replica' }))
  expect([answer.replies, answer.role, answer.link.live]).toEqual([['v'], 'replica', false])
  const alone = world()
  const refused = alone.engine.send(alone.call(['GET', 'k'], { kind: 'read', from: 'replica' }))
  await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('what the memory engine does not have, it says', async () => {
  const { engine, call } = world()
  await expect(engine.send(call(['GEOADD', 'k', '1', '2', 'm']))).rejects.toThrow('the memory engine does not have it')
  await expect(engine.send(call(['MULTI'], { key: null }))).rejects.toMatchObject({ code: 'INVALID' })
  const wrong = engine.send(call(['SET', 'k', 5 as unknown as string]))
  await expect(wrong).rejects.toMatchObject({ code: 'INVALID' })
})

test('what a node says of itself is what the test gave it', async () => {
  const clock = new HandClock()
  const engine = memoryEngine({ clock, config: { 'maxmemory-policy': 'allkeys-lru', appendonly: 'yes' } })
  const ask = async (...command: string[]) =>
    (await engine.send({ commands: [command], key: null, kind: 'read', deadlineAt: clock.monotonic() + 1 })).replies[0]
  expect(await ask('CONFIG', 'GET', 'maxmemory-policy')).toEqual({ 'maxmemory-policy': 'allkeys-lru' })
  expect(await ask('INFO')).toContain('aof_enabled:1')
  expect(await ask('ROLE')).toEqual(['master', 0, []])
})

test('no timer is left after closing', async () => {
  const { clock, engine, call } = world()
  const waiting = engine.send(call(['XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'], { key: 's' }))
  await clock.advance(1)
  const lane = engine.lane('other').send(call(['WAIT', '1', '0'], { key: null }))
  await clock.advance(1)
  await engine.close()
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(lane).rejects.toMatchObject({ code: 'CLOSED' })
  expect(clock.waiting).toBe(0)
})

test('an engine that is asked for needs no server', async () => {
  const engine = memoryEngine()
  const answer = await engine.send({
    commands: [['PING']],
    key: null,
    kind: 'read',
    deadlineAt: engine.server.clock.monotonic() + 1000,
  })
  expect(answer.replies).toEqual(['PONG'])
  await engine.close()
})
