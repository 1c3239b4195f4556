/** What every engine behind the port does, whether it is in memory or real. Times are real times here. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../packages/cache/src/clock.ts'
import type { Answer, Call, Command, Engine } from '../../packages/cache/src/engine/engine.ts'
import { ReplyError } from '../../packages/cache/src/engine/engine.ts'
import { defineScript } from '../../packages/cache/src/engine/script.ts'
import { CacheError } from '../../packages/cache/src/errors.ts'
import { eventually } from './eventually.ts'

export interface OpenedEngines {
  readonly engine: Engine
  /** Another process, as it were: other connections to the same data. */
  readonly second: Engine
  close(): Promise<void>
}

/** The prefix of keys whose changes both engines have to be told of. */
export const contractPrefix = 'contract:'

let keysMade = 0

/** A key that nobody else uses; the tag keeps `more` in its slot. */
function freshKey(more = ''): string {
  keysMade += 1
  return `${contractPrefix}{${process.pid}-${keysMade}}${more}`
}

function call(commands: readonly Command[], more: Partial<Call> = {}): Call {
  const [first] = commands
  const named = first === undefined ? undefined : 'script' in first ? first.keys[0] : first[1]?.toString()
  return { commands, key: named ?? null, kind: 'write', deadlineAt: systemClock.monotonic() + 2000, ...more }
}

const read = (command: readonly string[], more: Partial<Call> = {}): Call => call([command], { kind: 'read', ...more })

async function reply(answer: Promise<Answer>): Promise<unknown> {
  return (await answer).replies[0]
}

async function failure(answer: Promise<unknown>): Promise<CacheError> {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof CacheError)) throw new Error(`not a CacheError but ${String(error)}`, { cause: error })
  return error
}

const appendTwice = (mark: string) =>
  defineScript({
    name: 'append-twice',
    // The mark makes it a script that no engine has seen.
    lua: `-- ${mark}\nredis.call('APPEND', KEYS[1], ARGV[1])\nreturn redis.call('APPEND', KEYS[1], ARGV[1])`,
    inMemory(world, [key = ''], [text = '']) {
      world.call('APPEND', key, text)
      return world.call('APPEND', key, text)
    },
  })

export function describeEngine(name: string, open: () => Promise<OpenedEngines>): void {
  describe(`an engine: ${name}`, () => {
    let opened: OpenedEngines
    let engine: Engine
    let second: Engine
    beforeAll(async () => {
      opened = await open()
      ;({ engine, second } = opened)
      // The first answers come when the nodes are found and all links are up.
      for (const one of [engine, second]) {
        await eventually(async () => {
          const answers = one.primaryKeys().map((key) => one.send(read(['GET', key], { key })))
          return (await Promise.all(answers)).length > 0
        })
      }
    })
    afterAll(() => opened.close())

    test('strings come as text, or as the bytes they are', async () => {
      const key = freshKey()
      const bytes = Buffer.from([0, 255, 10, 13, 0x24, 128])
      expect(await reply(engine.send(call([['SET', key, bytes]])))).toBe('OK')
      expect(await reply(engine.send(read(['GET', key], { bytes: true })))).toEqual(bytes)
      await engine.send(call([['SET', key, 'grün']]))
      expect(await reply(engine.send(read(['GET', key])))).toBe('grün')
      expect(await reply(engine.send(read(['GET', freshKey()], { bytes: true })))).toBeNull()
    })

    test('replies of collections have the shapes of the new protocol', async () => {
      const [hash, zset, stream] = [freshKey(), freshKey(), freshKey()]
      await engine.send(call([['HSET', hash, 'field', 'value']]))
      expect(await reply(engine.send(read(['HGETALL', hash])))).toEqual({ field: 'value' })
      await engine.send(call([['HSET', hash, '__proto__', 'polluted']]))
      const fields = (await reply(engine.send(read(['HGETALL', hash])))) as object
      expect(Object.keys(fields)).toEqual(['field', '__proto__'])
      expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
      await engine.send(call([['HDEL', hash, '__proto__']]))
      expect(await reply(engine.send(read(['HGETALL', hash], { bytes: true })))).toEqual({
        field: Buffer.from('value'),
      })
      await engine.send(call([['ZADD', zset, '1.5', 'a', '2', 'b']]))
      expect(await reply(engine.send(read(['ZSCORE', zset, 'a'])))).toBe(1.5)
      expect(await reply(engine.send(read(['ZRANGE', zset, '0', '-1', 'WITHSCORES'])))).toEqual([
        ['a', 1.5],
        ['b', 2],
      ])
      await engine.send(call([['XADD', stream, '1-1', 'f', 'v']]))
      const entries = [['1-1', ['f', 'v']]]
      expect(await reply(engine.send(read(['XREAD', 'STREAMS', stream, '0'], { key: stream })))).toEqual({
        [stream]: entries,
      })
    })

    test('an error reply to a lone command is REFUSED, with the words of the engine as its cause', async () => {
      const key = freshKey()
      await engine.send(call([['SET', key, 'text']]))
      const error = await failure(engine.send(call([['LPUSH', key, 'x']])))
      expect(error.code).toBe('REFUSED')
      expect(error.cause).toBeInstanceOf(ReplyError)
      expect((error.cause as ReplyError).word).toBe('WRONGTYPE')
    })

    test('an error reply to one of several commands is a value', async () => {
      const key = freshKey()
      const { replies } = await engine.send(
        call([
          ['SET', key, 'text'],
          ['INCR', key],
          ['GET', key],
        ]),
      )
      expect(replies[0]).toBe('OK')
      expect(replies[1]).toBeInstanceOf(ReplyError)
      expect(replies[2]).toBe('text')
    })

    test('a transaction is a call', async () => {
      const key = freshKey()
      const commands = [['MULTI'], ['INCR', key], ['INCRBY', key, '5'], ['EXEC']]
      const { replies } = await engine.send(call(commands, { key }))
      expect(replies).toEqual(['OK', 'QUEUED', 'QUEUED', [1, 6]])
    })

    test('a transaction with a command that nobody knows does nothing', async () => {
      const key = freshKey()
      const commands = [['MULTI'], ['SET', key, 'x'], ['NOSUCHCOMMAND'], ['EXEC']]
      const { replies } = await engine.send(call(commands, { key }))
      expect((replies[2] as ReplyError).word).toBe('ERR')
      expect((replies[3] as ReplyError).word).toBe('EXECABORT')
      expect(await reply(engine.send(read(['GET', key])))).toBeNull()
    })

    test('the commands of one call stand together, whoever else is calling', async () => {
      const key = freshKey()
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          engine.send(
            call([
              ['SET', key, `${index}`],
              ['GET', key],
              ['STRLEN', key],
            ]),
          ),
        ),
      )
      const seen = answers.map(({ replies }) => replies[1])
      expect(seen).toEqual(answers.map((_, index) => `${index}`))
    })

    test('keys are grouped so that each group may stand in one command', async () => {
      const keys = Array.from(
        { length: 40 },
        (_, index) => `${contractPrefix}group-${index % 2 === 0 ? index : '{tag}'}-${index}`,
      )
      await Promise.all(keys.map((key, index) => engine.send(call([['SET', key, `${index}`]]))))
      const groups = engine.group(keys)
      expect(groups.flat().sort((a, b) => a - b)).toEqual(keys.map((_, index) => index))
      for (const group of groups) {
        const [first = 0] = group
        const values = await reply(
          engine.send(read(['MGET', ...group.map((index) => keys[index] ?? '')], { key: keys[first] ?? null })),
        )
        expect(values).toEqual(group.map(String))
      }
      expect(engine.group([])).toEqual([])
    })

    test('each primary is reached by its key', async () => {
      const keys = engine.primaryKeys()
      await Promise.all(
        keys.map((key) => engine.send(call([['SET', `${contractPrefix}{${key}}`, 'x']], { key: `{${key}}` }))),
      )
      const sizes = await Promise.all(keys.map((key) => reply(engine.send(read(['DBSIZE'], { key })))))
      expect(sizes.every((size) => Number(size) >= 1)).toBe(true)
      expect(engine.nodes().filter(({ role, connected }) => role === 'primary' && connected)).toHaveLength(keys.length)
    })

    test('a script runs at its first use and later, alone and among others', async () => {
      const key = freshKey()
      const script = appendTwice(`${process.pid} ${key} ${systemClock.now()}`)
      const command = { script, keys: [key], args: ['ab'] }
      expect(await reply(engine.send(call([command])))).toBe(4)
      expect(await reply(engine.send(call([command])))).toBe(8)
      const unseen = { ...command, script: appendTwice(`unseen ${key} ${systemClock.now()}`) }
      const { replies } = await second.send(call([['DEL', key], unseen, ['GET', key]], { key }))
      expect(replies).toEqual([1, 4, 'abab'])
    })

    test('what a script returns comes by the rules for Lua', async () => {
      const script = defineScript({
        name: 'returns',
        lua: "return {1, false, true, 2.9, 'text', redis.call('SET', KEYS[1], 'x'), redis.call('HGETALL', KEYS[2])}",
        inMemory: (world, [one = '', two = '']) => [
          1,
          false,
          true,
          2.9,
          'text',
          world.call('SET', one, 'x'),
          world.call('HGETALL', two),
        ],
      })
      const keys = [freshKey(), '']
      keys[1] = `${keys[0]}:hash`
      await engine.send(call([['HSET', keys[1], 'f', 'v']]))
      const found = await reply(engine.send(call([{ script, keys, args: [] }])))
      expect(found).toEqual([1, null, 1, 2, 'text', 'OK', ['f', 'v']])
    })

    test('a script that fails is REFUSED in the words of what failed', async () => {
      const key = freshKey()
      await engine.send(call([['SET', key, 'text']]))
      const script = defineScript({
        name: 'fails',
        lua: "return redis.call('INCR', KEYS[1])",
        inMemory: (world, [one = '']) => world.call('INCR', one),
      })
      const error = await failure(engine.send(call([{ script, keys: [key], args: [] }])))
      expect(error.code).toBe('REFUSED')
      expect((error.cause as ReplyError).message).toContain('ERR value is not an integer or out of range')
    })

    test('nobody waits beyond the deadline: a read is UNAVAILABLE, a write INDETERMINATE', async () => {
      const key = freshKey()
      await engine.send(call([['XGROUP', 'CREATE', key, 'g', '$', 'MKSTREAM']], { key }))
      const began = systemClock.monotonic()
      const waiting = ['XREAD', 'BLOCK', '400', 'STREAMS', key, '$']
      const readError = await failure(engine.lane('reads').send(read(waiting, { key, deadlineAt: began + 100 })))
      expect(readError.code).toBe('UNAVAILABLE')
      const taking = ['XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '400', 'STREAMS', key, '>']
      const writeError = await failure(
        engine.lane('writes').send(call([taking], { key, deadlineAt: systemClock.monotonic() + 100 })),
      )
      expect(writeError.code).toBe('INDETERMINATE')
      expect(systemClock.monotonic() - began).toBeLessThan(390)
    })

    test('what blocks a lane does not block the others', async () => {
      const [key, other] = [freshKey(), freshKey()]
      expect(engine.lane('blocking')).toBe(engine.lane('blocking'))
      const waiting = engine.lane('blocking').send(read(['XREAD', 'BLOCK', '1500', 'STREAMS', key, '0'], { key }))
      const began = systemClock.monotonic()
      await engine.send(call([['SET', other, 'x']]))
      expect(systemClock.monotonic() - began).toBeLessThan(700)
      await engine.send(call([['XADD', key, '1-1', 'f', 'v']]))
      expect(await reply(waiting)).toEqual({ [key]: [['1-1', ['f', 'v']]] })
    })

    describe('who is told of changes', () => {
      /** What each hears while something is done, and that nothing more comes. */
      async function told(work: (key: string) => Promise<unknown>): Promise<{ writer: boolean; other: boolean }> {
        const [key, last] = [freshKey(), freshKey()]
        const heard = { writer: new Set<string>(), other: new Set<string>() }
        const stops = [
          engine.on('changed', (keys) => keys?.forEach((one) => heard.writer.add(one))),
          second.on('changed', (keys) => keys?.forEach((one) => heard.other.add(one))),
        ]
        try {
          await engine.send(call([['SET', key, 'before', 'PX', '60000']]))
          await eventually(() => heard.other.has(key), { what: 'the key was written' })
          heard.other.clear()
          heard.writer.clear()
          await work(key)
          // Each primary tells in order: after a mark in the same slot nothing more comes of the work.
          const mark = `${key}${last}`
          await engine.send(call([['SET', mark, 'x']]))
          await second.send(call([['SET', `${mark}2`, 'x']]))
          await eventually(() => heard.other.has(mark) && heard.writer.has(`${mark}2`), { what: 'marks' })
          return { writer: heard.writer.has(key), other: heard.other.has(key) }
        } finally {
          for (const stop of stops) stop()
        }
      }
      const byCommand = (word: string, ...args: string[]) => told((key) => engine.send(call([[word, key, ...args]])))

      test('others of SET, DEL, EXPIRE, PERSIST and of what is in a transaction, and never the writer', async () => {
        const others = { writer: false, other: true }
        expect(await byCommand('SET', 'after')).toEqual(others)
        expect(await byCommand('DEL')).toEqual(others)
        expect(await byCommand('EXPIRE', '100')).toEqual(others)
        expect(await byCommand('PERSIST')).toEqual(others)
        const transaction = (key: string) => engine.send(call([['MULTI'], ['APPEND', key, 'x'], ['EXEC']], { key }))
        expect(await told(transaction)).toEqual(others)
      })

      test('nobody of what changed nothing', async () => {
        const nobody = { writer: false, other: false }
        expect(await byCommand('GET')).toEqual(nobody)
        expect(await byCommand('SET', 'after', 'NX')).toEqual(nobody)
        expect(await told((key) => engine.send(call([['DEL', `${key}-not-there`]])))).toEqual(nobody)
      })

      test('others of a change by a script', async () => {
        const script = appendTwice('told')
        const { other } = await told((key) => engine.send(call([{ script, keys: [key], args: ['x'] }])))
        expect(other).toBe(true)
      })

      test('everybody of a key that is found expired', async () => {
        const expires = async (key: string): Promise<void> => {
          await engine.send(call([['PEXPIRE', key, '1']]))
          await eventually(async () => (await reply(engine.send(read(['GET', key])))) === null)
        }
        expect(await told(expires)).toEqual({ writer: true, other: true })
      })

      test('nobody of keys that they did not ask for', async () => {
        const heard: string[] = []
        const stop = second.on('changed', (keys) => heard.push(...(keys ?? [])))
        const [key] = [freshKey()]
        await engine.send(
          call(
            [
              ['SET', `elsewhere:${key}`, 'x'],
              ['SET', key, 'x'],
            ],
            { key },
          ),
        )
        await eventually(() => heard.includes(key))
        stop()
        expect(heard).toEqual([key])
      })
    })

    test('the link of an answer lives where changes are told, and nowhere else', async () => {
      const key = freshKey()
      const answer = await engine.send(read(['GET', key]))
      expect([answer.role, answer.link.live]).toEqual(['primary', true])
      const again = await engine.send(read(['GET', key]))
      expect(again.link).toBe(answer.link)
      const onLane = await engine.lane('no-links').send(read(['GET', key]))
      expect(onLane.link.live).toBe(false)
    })

    test('messages of a channel come in order until it is closed', async () => {
      const channel = freshKey()
      const heard: string[] = []
      const gaps: string[] = []
      const subscription = await second.subscribe([channel], {
        message: (message) => heard.push(`${message.channel} ${message.text}`),
        gap: (because) => gaps.push(because),
      })
      const publish = (text: string) => engine.send(call([['PUBLISH', channel, text]], { key: channel }))
      for (const text of ['one', 'two', 'three']) await publish(text)
      const all = ['one', 'two', 'three'].map((text) => `${channel} ${text}`)
      await eventually(() => heard.length === 3)
      await subscription.close()
      await publish('four')
      await reply(engine.send(read(['PING'], { key: channel })))
      expect([heard, gaps]).toEqual([all, []])
    })

    test('after closing everything is CLOSED, also what still waits', async () => {
      const own = await open()
      const key = freshKey()
      await reply(own.engine.send(read(['GET', key])))
      const waiting = own.engine.lane('waits').send(read(['XREAD', 'BLOCK', '1000', 'STREAMS', key, '$'], { key }))
      const outcome = failure(waiting)
      await reply(own.second.send(read(['GET', key])))
      await own.engine.close()
      expect((await outcome).code).toBe('CLOSED')
      expect((await failure(own.engine.send(read(['GET', key])))).code).toBe('CLOSED')
      await own.close()
    })
  })
}
