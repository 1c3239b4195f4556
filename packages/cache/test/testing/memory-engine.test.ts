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
