import { expect, test } from 'vitest'
import type { Call, Engine } from '../src/engine/engine.ts'
import { CacheError } from '../src/errors.ts'
import { Events } from '../src/events.ts'
import { Pending } from '../src/pending.ts'
import { Tags } from '../src/tags.ts'
import { HandClock } from '../src/testing/hand-clock.ts'
import { MemoryServer } from '../src/testing/memory-server.ts'

function aJournal() {
  const clock = new HandClock()
  const server = new MemoryServer({ clock })
  const engine = server.connect()
  const other = server.connect()
  const events = new Events('test')
  const tags = new Tags({
    engine,
    clock,
    deadlineMs: () => 250,
    trustMs: () => 0,
    isPending: () => false,
    onChanged: () => {},
  })
  const pending = new Pending({ engine, clock, deadlineMs: 250, events, tags, onTold: () => {}, userKey: (key) => key })
  const ask = async (...command: string[]): Promise<unknown> => {
    const deadlineAt = clock.monotonic() + 1000
    return (await other.send({ commands: [command], key: null, deadlineAt, kind: 'write', bytes: false })).replies[0]
  }
  return { clock, engine, events, tags, pending, ask }
}

test('what was not told is told when the engine is back, and then it is settled', async () => {
  const { clock, engine, events, pending, ask } = aJournal()
  const settled: number[] = []
  events.on('settled', ({ told }) => settled.push(told))
  for (const key of ['a', 'b', 'c']) await ask('SET', key, 'old')
  engine.faults.die()
  pending.addKey('a', 'clear')
  pending.addKey('b', 'clear')
  pending.addTag('users', 'clear')
  await clock.advance(60_000)
  expect([pending.size, settled]).toEqual([3, []])
  engine.faults.revive()
  // At once and not when some long pause is over.
  await clock.advance(200)
  expect([pending.size, settled]).toEqual([0, [3]])
  expect(await ask('MGET', 'a', 'b', 'c')).toEqual([null, null, 'old'])
  expect(Number(await ask('GET', 'users'))).toBeGreaterThan(0)
  pending.close()
})

test('a frozen engine is asked seldom, and a key that was written since is not deleted any more', async () => {
  const { clock, engine, pending, ask } = aJournal()
  engine.faults.freeze()
  pending.addKey('a', 'clear')
  pending.addKey('b', 'clear')
  await clock.advance(50)
  pending.settle('a')
  engine.faults.thaw()
  await ask('SET', 'a', 'written since')
  await clock.advance(2000)
  expect(pending.size).toBe(0)
  expect(await ask('GET', 'a')).toBe('written since')
  pending.close()
})

test('a journal that is full becomes one invalidation of everything', async () => {
  const { clock, engine, pending, ask } = aJournal()
  await ask('SET', 'clear', '7')
  engine.faults.die()
  for (let index = 0; index < 10_000; index++) pending.addKey(`k:${index}`, 'clear')
  expect(pending.size).toBe(10_000)
  pending.addKey('k:0', 'clear')
  expect(pending.size).toBe(10_000)
  pending.addKey('one too many', 'clear')
  expect(pending.size).toBe(1)
  for (let index = 0; index < 30_000; index++) pending.addKey(`more:${index}`, 'clear')
  expect(pending.size).toBeLessThanOrEqual(10_001)
  engine.faults.revive()
  await clock.advance(5000)
  expect(pending.size).toBe(0)
  expect(await ask('GET', 'clear')).not.toBe('7')
  pending.close()
})

test('so does one that is full of tags', async () => {
  const { clock, engine, pending, ask } = aJournal()
  await ask('SET', 'clear', '7')
  engine.faults.die()
  for (let index = 0; index < 10_001; index++) pending.addTag(`tag:${index}`, 'clear')
  expect(pending.size).toBe(1)
  engine.faults.revive()
  await clock.advance(5000)
  expect(pending.size).toBe(0)
  expect(await ask('GET', 'clear')).not.toBe('7')
  pending.close()
})

test('a change that comes while an earlier one of its key is told is told on its own', async () => {
  const { clock, engine, events, tags, ask } = aJournal()
  let release: (() => void) | undefined
  let hold = true
  const slow: Engine = Object.assign(Object.create(engine) as Engine, {
    on: engine.on.bind(engine),
    async send(call: Call) {
      const answer = await engine.send(call)
      // Done in the engine, and the answer is under way.
      if (hold) await new Promise<void>((resolve) => (release = resolve))
      return answer
    },
  })
  const pending = new Pending({
    engine: slow,
    clock,
    deadlineMs: 250,
    events,
    tags,
    onTold: () => {},
    userKey: (key) => key,
  })
  pending.addKey('k', 'clear')
  await clock.advance(150)
  // Somebody read the source before its second change, and keeps what he read.
  await ask('SET', 'k', 'from between')
  pending.addKey('k', 'clear')
  hold = false
  release?.()
  await clock.advance(3000)
  expect(await ask('GET', 'k')).toBe(null)
  expect(pending.size).toBe(0)
  pending.close()
})

test('while the engine refuses, the journal asks at most about once a second', async () => {
  const { clock, engine, pending } = aJournal()
  let asked = 0
  const send = engine.send.bind(engine)
  engine.send = (call) => {
    asked++
    return Promise.reject(new CacheError('UNAVAILABLE', `not now, ${call.kind}`))
  }
  pending.addKey('k', 'clear')
  await clock.advance(20_000)
  expect(asked).toBeGreaterThan(15)
  expect(asked).toBeLessThan(45)
  engine.send = send
  await clock.advance(1000)
  expect(pending.size).toBe(0)
  pending.close()
  expect(clock.waiting).toBe(0)
})
