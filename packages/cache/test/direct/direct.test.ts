import { afterEach, describe, expect, test } from 'vitest'
import { openDirect } from '../../src/direct/direct.ts'
import type { DirectOptions } from '../../src/direct/settings.ts'
import { ReplyError } from '../../src/engine/engine.ts'
import { HandClock, type MemoryEngine, MemoryServer } from '../../src/testing/index.ts'

const opened: MemoryEngine[] = []
afterEach(() => Promise.all(opened.splice(0).map((engine) => engine.close())))

function open(options: DirectOptions = {}, { replicas = 0, shards = 1 } = {}) {
  const clock = new HandClock()
  const server = new MemoryServer({ clock, replicas, shards })
  const connect = () => {
    const engine = server.connect()
    opened.push(engine)
    return { engine, direct: openDirect({ engine, clock, prefix: 'shop:d:/', options }) }
  }
  const { engine, direct } = connect()
  return { clock, server, connect, engine, direct, user: direct.on('{user:1}') }
}

/** With time that passes, for calls that try again. */
async function settle<T>(clock: HandClock, call: Promise<T>, ms = 20_000): Promise<T> {
  const state = { done: false }
  const settled = call.finally(() => (state.done = true)).catch(() => {})
  for (let passed = 0; passed < ms && !state.done; passed += 100) await clock.advance(100)
  await settled
  return call
}

describe('plain keys', () => {
  test('are set, read, deleted', async () => {
    const { user } = open()
    expect(await user.get('name')).toBeUndefined()
    expect(await user.set('name', 'Ada')).toBe(true)
    expect(await user.get('name')).toBe('Ada')
    await user.delete('name')
    expect(await user.get('name')).toBeUndefined()
  })

  test('hold JSON', async () => {
    const { user } = open()
    await user.setJson('cart', { apples: 2 })
    expect(await user.getJson('cart')).toEqual({ apples: 2 })
    await user.set('cart', 'no json')
    await expect(user.getJson('cart')).rejects.toMatchObject({ code: 'UNENCODABLE' })
    await expect(user.setJson('cart', undefined)).rejects.toMatchObject({ code: 'UNENCODABLE' })
    await expect(user.setJson('cart', 1n)).rejects.toMatchObject({ code: 'UNENCODABLE' })
  })

  test('end when it was said', async () => {
    const { user, clock } = open()
    await user.set('code', '1234', { ttl: '1m' })
    await user.set('kept', 'x')
    expect(await user.expire('kept', '30s')).toBe(true)
    expect(await user.expire('nothing', '30s')).toBe(false)
    await clock.advance(31_000)
    expect([await user.get('code'), await user.get('kept')]).toEqual(['1234', undefined])
    await clock.advance(30_000)
    expect(await user.get('code')).toBeUndefined()
  })

  test('are set only where there is none', async () => {
    const { user } = open()
    expect(await user.set('lock', 'me', { when: 'absent' })).toBe(true)
    expect(await user.set('lock', 'you', { when: 'absent' })).toBe(false)
    expect(await user.set('other', 'x', { when: 'present' })).toBe(false)
    expect(await user.get('lock')).toBe('me')
  })

  test('are counters that end a while after their first increment', async () => {
    const { user, clock } = open()
    expect(await user.increment('visits', 1, { ttl: '10s' })).toBe(1)
    await clock.advance(6000)
    expect(await user.increment('visits', 5, { ttl: '10s' })).toBe(6)
    await clock.advance(6000)
    expect(await user.increment('visits')).toBe(1)
    await expect(user.increment('visits', 0.5)).rejects.toMatchObject({ code: 'INVALID' })
  })
})

describe('a write whose reply is lost', () => {
  test('is done once, and answers what it answered', async () => {
    const { user, engine, clock } = open()
    for (let expected = 1; expected <= 5; expected++) {
      engine.faults.loseReply(expected % 3)
      expect(await settle(clock, user.increment('visits'))).toBe(expected)
    }
  })

  test('is done once as a command, as a transaction and as a script', async () => {
    const { user, engine, clock } = open()
    const list = user.key('list')
    engine.faults.loseReply()
    expect(await settle(clock, user.call(['RPUSH', list, 'a']))).toBe(1)
    engine.faults.loseReply()
    const both = user.transaction([
      ['RPUSH', list, 'b'],
      ['RPUSH', list, 'c'],
    ])
    expect(await settle(clock, both)).toEqual([2, 3])
    engine.faults.loseReply()
    const push = {
      name: 'push',
      lua: "return redis.call('RPUSH', KEYS[1], ARGV[1])",
      inMemory: (
        world: { call(...command: (string | Buffer)[]): unknown },
        [key = '']: readonly string[],
        [arg = Buffer.alloc(0)]: readonly Buffer[],
      ) => world.call('RPUSH', key, arg),
    }
    expect(await settle(clock, user.script(push, ['list'], ['d']))).toBe(4)
    expect(await user.call(['LRANGE', list, 0, -1])).toEqual(['a', 'b', 'c', 'd'])
  })

  test("is done once for a caller's own tries, even from another process", async () => {
    const { user, connect } = open()
    const elsewhere = connect().direct.on('{user:1}')
    expect(await user.increment('stock', -2, { operation: 'order-7' })).toBe(-2)
    expect(await elsewhere.increment('stock', -2, { operation: 'order-7' })).toBe(-2)
    expect(await elsewhere.get('stock')).toBe('-2')
  })

  test('has an id that belongs to it alone', async () => {
    const { user } = open()
    await user.increment('stock', -2, { operation: 'order-7' })
    await expect(user.increment('stock', -3, { operation: 'order-7' })).rejects.toMatchObject({
      code: 'INVALID',
      facts: { operation: 'order-7' },
    })
    await expect(user.increment('stock', 1, { operation: '' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  test('is remembered as long as it was said', async () => {
    const { user, clock } = open({ rememberFor: '20s' })
    await user.increment('stock', 1, { operation: 'a' })
    await clock.advance(21_000)
    expect(await user.increment('stock', 1, { operation: 'a' })).toBe(2)
    expect(() => open({ rememberFor: '6s' })).toThrow('rememberFor is at least twice within (10000 ms)')
  })

  test('is indeterminate when nobody answers in time, and says by which id to ask again', async () => {
    const { user, engine, clock } = open()
    engine.faults.freeze()
    const call = user.increment('visits')
    const error = await settle(clock, call).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'INDETERMINATE', retry: true, facts: { operation: expect.any(String) } })
    engine.faults.thaw()
    const { operation } = (error as { facts: { operation: string } }).facts
    await clock.advance(10)
    // The first try was done after all.
    expect(await user.get('visits')).toBe('1')
    expect((error as Error).message).toContain(`operation: '${operation}'`)
  })

  test('keeps the error of a command that did nothing to itself: the next try may succeed', async () => {
    const { user } = open()
    await user.set('list', 'text')
    const push = () => user.call(['RPUSH', user.key('list'), 'a'], { operation: 'p' })
    await expect(push()).rejects.toMatchObject({ code: 'REFUSED', cause: { word: 'WRONGTYPE' } })
    await user.delete('list')
    expect(await push()).toBe(1)
  })
})

describe('a node that is away', () => {
  test('is waited for', async () => {
    const { user, engine, clock } = open()
    engine.faults.die()
    const call = user.increment('visits')
    await clock.advance(3000)
    engine.faults.failover()
    expect(await settle(clock, call)).toBe(1)
  })

  test('is waited for until the deadline only', async () => {
    const { user, engine, clock } = open()
    engine.faults.die()
    const began = clock.monotonic()
    await expect(settle(clock, user.get('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(clock.monotonic() - began).toBeGreaterThanOrEqual(5000)
    expect(clock.monotonic() - began).toBeLessThanOrEqual(5200)
    await expect(settle(clock, user.get('x', { within: '1s', patient: false }), 100)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    })
  })

  test('does not gather more calls than was said', async () => {
    const { user, engine, clock, direct } = open({ maxWaiting: 3 })
    engine.faults.die()
    const calls = Array.from({ length: 3 }, () => user.get('x'))
    const failed = Promise.allSettled(calls)
    await expect(user.get('x')).rejects.toMatchObject({ code: 'OVERLOADED', retry: true })
    expect(direct.waiting).toBe(3)
    await clock.advance(6000)
    await failed
    expect(direct.waiting).toBe(0)
  })
})

describe('a transaction', () => {
  test('answers one reply for each command, an error among them', async () => {
    const { user } = open()
    const [set, wrong, length] = await user.transaction([
      ['SET', user.key('a'), '1'],
      ['HSET', user.key('a'), 'f', 'v'],
      ['STRLEN', user.key('a')],
    ])
    expect([set, length]).toEqual(['OK', 1])
    expect(wrong).toBeInstanceOf(ReplyError)
    const once = await user.transaction([
      ['INCR', user.key('a')],
      ['LPUSH', user.key('a'), 'x'],
    ])
    expect(once[0]).toBe(2)
    expect(once[1]).toBeInstanceOf(ReplyError)
  })

  test('does nothing when one of its commands is none', async () => {
    const { user } = open()
    const wrong = user.transaction([
      ['SET', user.key('a'), '1'],
      ['HSET', user.key('b')],
    ])
    await expect(wrong).rejects.toMatchObject({ code: 'REFUSED', message: expect.stringContaining('HSET') })
    expect(await user.get('a')).toBeUndefined()
  })

  test('has keys, and commands', async () => {
    const { user } = open()
    await expect(user.transaction([])).rejects.toMatchObject({ code: 'INVALID' })
    await expect(user.transaction([['SET', 'foreign', '1']])).rejects.toMatchObject({ code: 'INVALID' })
  })
})

describe('commands', () => {
  test('must have a key of the tag, or say their keys', async () => {
    const { user } = open()
    await expect(user.call(['INCR', 'visits'])).rejects.toThrow("name keys by key('...')")
    expect(await user.call(['INCR', '{user:1}:of-others'], { keys: ['{user:1}:of-others'] })).toBe(1)
  })

  test('that wait need a connection of their own', async () => {
    const { user, clock } = open()
    const command = ['BLPOP', user.key('list'), 1] as const
    await expect(user.call(command)).rejects.toThrow("say lane: 'NAME'")
    await expect(user.call(command, { lane: 'x', durable: true })).rejects.toThrow('cannot be durable')
    expect(clock.waiting).toBe(0)
  })

  test('read from a replica, and say so', async () => {
    const { user, engine } = open({}, { replicas: 1 })
    await user.set('a', '1')
    const read = ['GET', user.key('a')] as const
    expect(await user.call(read, { readReplica: true })).toBe('1')
    expect(await user.call(read, { readReplica: true, meta: true })).toMatchObject({ value: '1', role: 'replica' })
    expect(await user.call(read, { meta: true })).toMatchObject({ role: 'primary' })
    await expect(user.call(['SET', user.key('a'), '2'], { readReplica: true })).rejects.toMatchObject({
      code: 'INVALID',
    })
    engine.faults.acknowledge(0)
    await expect(user.call(read, { readReplica: true })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

describe('a durable write', () => {
  test('succeeds when its copies have it', async () => {
    const { user, direct } = open({ durable: true }, { replicas: 1, shards: 3 })
    expect(await user.increment('visits')).toBe(1)
    const many = Array.from({ length: 300 }, (_, index) => direct.on(`{u:${index % 7}}`).increment('n'))
    expect((await Promise.all(many)).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(300)
    expect(await user.transaction([['SET', user.key('a'), '1']])).toEqual(['OK'])
  })

  test('is indeterminate when fewer have it, and is done once when it is asked again', async () => {
    const { user, engine, clock } = open({}, { replicas: 1 })
    const write = () => user.increment('visits', 1, { durable: { copies: 2, within: '200ms' }, operation: 'v' })
    await expect(settle(clock, write())).rejects.toMatchObject({
      code: 'INDETERMINATE',
      facts: { wanted: 2, got: 1, operation: 'v' },
    })
    engine.faults.acknowledge(2)
    expect(await settle(clock, write())).toBe(1)
  })

  test('tells each of those who share a WAIT of its own error', async () => {
    const { user } = open({ durable: true }, { replicas: 1 })
    await user.set('text', 'x')
    const [good, bad] = await Promise.allSettled([user.increment('n'), user.call(['RPUSH', user.key('text'), 'a'])])
    expect(good).toMatchObject({ status: 'fulfilled', value: 1 })
    expect(bad).toMatchObject({ reason: { code: 'REFUSED', cause: { word: 'WRONGTYPE' } } })
  })
})

test('the settings are checked', () => {
  for (const wrong of [{ within: 0 }, { maxWaiting: 0 }, { durable: { copies: 0 } }, { within: 'soon' }]) {
    expect(() => open(wrong as DirectOptions)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  }
})

test('a channel says messages to who listens, and that some may be missing', async () => {
  const { direct, engine } = open()
  const heard: string[] = []
  const gaps: number[] = []
  const channel = direct.channel('room')
  const listening = await channel.listen({ message: (text) => heard.push(text), gap: () => gaps.push(heard.length) })
  await channel.publish('hello')
  engine.faults.die()
  engine.faults.revive()
  await channel.publish('again')
  await new Promise((resolve) => setImmediate(resolve))
  expect(heard).toEqual(['hello', 'again'])
  expect(gaps).toContain(1)
  await listening.close()
})
