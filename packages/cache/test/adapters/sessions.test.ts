import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastStore as ExpressStore } from '../../src/adapters/express-session.ts'
import { HoldfastStore as FastifyStore } from '../../src/adapters/fastify-session.ts'
import { type SessionOptions, Sessions } from '../../src/adapters/session.ts'
import type { Cache } from '../../src/cache.ts'
import { createCache } from '../../src/create-cache.ts'
import { HandClock, MemoryServer } from '../../src/testing/index.ts'

const opened: Cache[] = []
afterEach(() => Promise.all(opened.splice(0).map((cache) => cache.close())))

function open(options: SessionOptions = {}) {
  const clock = new HandClock()
  const server = new MemoryServer({ clock })
  const engine = server.connect()
  const cache = createCache({ engine, clock, namespace: 'shop' })
  opened.push(cache)
  return { clock, cache, engine, sessions: new Sessions(cache, { clock, ...options }), raw: cache.on('{a}') }
}

/** A session whose cookie ends so many ms from now, or with the browser. */
const session = (clock: HandClock, lifeMs?: number) => ({
  cookie: { originalMaxAge: lifeMs ?? null, expires: lifeMs === undefined ? null : new Date(clock.now() + lifeMs) },
  user: 'Ada',
})

const lifeOf = (raw: ReturnType<Cache['on']>, name = 'session'): Promise<number> => raw.call(['PTTL', raw.key(name)])

describe('a session', () => {
  test('is read as it was saved, and gone when it was destroyed', async () => {
    const { clock, sessions } = open()
    expect(await sessions.get('a')).toBeUndefined()
    await sessions.set('a', session(clock, 60_000))
    expect(await sessions.get('a')).toMatchObject({ user: 'Ada', cookie: { originalMaxAge: 60_000 } })
    await sessions.destroy('a')
    expect(await sessions.get('a')).toBeUndefined()
  })

  test('ends with its cookie', async () => {
    const { clock, sessions, raw } = open()
    await sessions.set('a', session(clock, 60_000))
    expect(await lifeOf(raw)).toBe(60_000)
    await clock.advance(60_001)
    expect(await sessions.get('a')).toBeUndefined()
  })

  test('lives for the ttl where its cookie ends with the browser', async () => {
    const { clock, sessions, raw, cache } = open()
    await sessions.set('a', session(clock))
    expect(await lifeOf(raw)).toBe(86_400_000)
    await new Sessions(cache, { clock, ttl: '10m' }).set('a', session(clock))
    expect(await lifeOf(raw)).toBe(600_000)
  })

  test.each([
    ['a text', (ms: number) => new Date(ms).toISOString(), 1000],
    ['a number', (ms: number) => ms, 1000],
    ['false', () => false, 86_400_000],
    ['the year 9999', () => new Date(253_402_300_799_000), 36_500 * 86_400_000],
  ])('understands %s as the end of a cookie', async (_, expires, lifeMs) => {
    const { clock, sessions, raw } = open()
    await sessions.set('a', { cookie: { expires: expires(clock.now() + 1000) } })
    expect(await lifeOf(raw)).toBe(lifeMs)
  })

  test('is refused if the end of its cookie is no date', async () => {
    const { sessions } = open()
    const saved = sessions.set('a', { cookie: { expires: 'tomorrow' } })
    await expect(saved).rejects.toMatchObject({ code: 'INVALID', facts: { what: 'cookie.expires' } })
  })

  test('is destroyed if its cookie has ended', async () => {
    const { clock, sessions } = open()
    await sessions.set('a', session(clock, 60_000))
    await sessions.set('a', session(clock, 0))
    expect(await sessions.get('a')).toBeUndefined()
    await sessions.set('a', session(clock, 60_000))
    await sessions.touch('a', session(clock, -1))
    expect(await sessions.get('a')).toBeUndefined()
  })

  test('is touched without being written: what another request saved stays', async () => {
    const { clock, sessions, raw } = open()
    await sessions.set('a', session(clock, 60_000))
    await clock.advance(30_000)
    await sessions.touch('a', { ...session(clock, 60_000), user: 'Eve' } as never)
    expect(await lifeOf(raw)).toBe(60_000)
    expect(await sessions.get('a')).toMatchObject({ user: 'Ada' })
  })

  test('does not come back by a touch', async () => {
    const { clock, sessions } = open()
    await sessions.touch('a', session(clock, 60_000))
    expect(await sessions.get('a')).toBeUndefined()
  })

  test('that is saved twice at once is the later one', async () => {
    const { clock, sessions } = open()
    await Promise.all([
      sessions.set('a', { ...session(clock), user: 'first' } as never),
      sessions.set('a', { ...session(clock), user: 'second' } as never),
    ])
    expect(await sessions.get('a')).toMatchObject({ user: 'second' })
  })

  test('has a place of its own for each name', async () => {
    const { clock, cache, sessions, raw } = open()
    const admins = new Sessions(cache, { clock, name: 'admin' })
    await admins.set('a', session(clock))
    expect(await sessions.get('a')).toBeUndefined()
    expect(await raw.call(['EXISTS', raw.key('admin')])).toBe(1)
    expect(raw.key('admin')).toBe('shop:d:/{a}:admin')
  })

  test.each(['no json', '[]', 'null', '7', '{}', '{"cookie":null}', '{"cookie":"x"}'])(
    'is no session if it is %s, which is told and not taken for none',
    async (text) => {
      const { sessions, raw } = open()
      await raw.set('session', text)
      const error = await sessions.get('a').catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'UNENCODABLE', facts: { name: 'session' } })
      expect(error).not.toHaveProperty('cause')
    },
  )

  test('cannot change what the copies of it inherit', async () => {
    const { sessions, raw } = open()
    await raw.set('session', '{"cookie":{},"__proto__":{"admin":true},"user":"Eve"}')
    const copy: Record<string, unknown> = {}
    for (const [name, value] of Object.entries((await sessions.get('a')) ?? {})) copy[name] = value
    expect([copy['admin'], copy['user']]).toEqual([undefined, 'Eve'])
  })

  test.each(['', 'a{b', 'x'.repeat(300)])('id %j is refused', async (id) => {
    const { sessions } = open()
    await expect(sessions.get(id)).rejects.toMatchObject({ code: 'INVALID' })
  })

  test.each([{ name: '' }, { name: 'op:x' }, { ttl: 0 }, { ttl: 'soon' }, { within: 0 }, { durable: { copies: 0 } }])(
    'store with %j is refused at once',
    (options) => {
      const { cache } = open()
      expect(() => new Sessions(cache, options as SessionOptions)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    },
  )
})

/** What the two stores have in common, over callbacks. */
interface CallbackStore {
  get(id: string, done: (error: unknown, session?: unknown) => void): void
  set(id: string, session: never, done: (error?: unknown) => void): void
  destroy(id: string, done: (error?: unknown) => void): void
  touch?(id: string, session: never, done: (error?: unknown) => void): void
}

describe.each([
  ['express-session', (cache: Cache, options?: SessionOptions): CallbackStore => new ExpressStore(cache, options)],
  ['@fastify/session', (cache: Cache, options?: SessionOptions): CallbackStore => new FastifyStore(cache, options)],
])('the store of %s', (_, storeOf) => {
  const told = (call: (done: (error?: unknown, value?: unknown) => void) => void): Promise<unknown> =>
    new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))))

  test('calls back with what there is', async () => {
    const { clock, cache } = open()
    const store = storeOf(cache, { clock })
    expect(await told((done) => store.get('a', done))).toBeUndefined()
    await told((done) => store.set('a', session(clock, 1000) as never, done))
    expect(await told((done) => store.get('a', done))).toMatchObject({ user: 'Ada' })
    await told((done) => store.destroy('a', done))
    expect(await told((done) => store.get('a', done))).toBeUndefined()
  })

  test('calls back with the error when the engine does not answer in time, and never with "no such session"', async () => {
    const { clock, cache, engine } = open()
    const store = storeOf(cache, { clock, within: '2s' })
    await told((done) => store.set('a', session(clock, 60_000) as never, done))
    engine.faults.freeze()
    const calls = [
      told((done) => store.get('a', done)),
      told((done) => store.set('a', session(clock, 60_000) as never, done)),
      told((done) => store.destroy('a', done)),
      ...(store.touch === undefined ? [] : [told((done) => store.touch?.('a', session(clock, 60_000) as never, done))]),
    ].map((call) => call.catch((error: unknown) => error))
    await clock.advance(2001)
    const [read, ...writes] = await Promise.all(calls)
    expect(read).toMatchObject({ name: 'CacheError', code: 'UNAVAILABLE' })
    for (const write of writes) expect(write).toMatchObject({ name: 'CacheError', code: 'INDETERMINATE' })
  })

  test('waits for an engine that comes back in time', async () => {
    const { clock, cache, engine } = open()
    const store = storeOf(cache, { clock })
    await told((done) => store.set('a', session(clock, 60_000) as never, done))
    engine.faults.die()
    const reading = told((done) => store.get('a', done))
    await clock.advance(3000)
    engine.faults.revive()
    await clock.advance(1000)
    expect(await reading).toMatchObject({ user: 'Ada' })
  })

  test('says it when too few replicas have a durable session', async () => {
    const { clock, cache } = open()
    const store = storeOf(cache, { clock, durable: { within: 100 } })
    const saving = told((done) => store.set('a', session(clock, 60_000) as never, done)).catch(
      (error: unknown) => error,
    )
    await clock.advance(200)
    expect(await saving).toMatchObject({ code: 'INDETERMINATE', facts: { wanted: 1, got: 0 } })
  })
})

test('express-session may leave the callback out', async () => {
  const { clock, cache } = open()
  const store = new ExpressStore(cache, { clock })
  store.set('a', session(clock, 60_000))
  await clock.settle()
  store.touch('a', session(clock, 60_000))
  store.destroy('nobody')
  await clock.settle()
  expect(await new Sessions(cache, { clock }).get('a')).toBeDefined()
})
