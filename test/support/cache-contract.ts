/**
 * What a cache promises, whatever engine is behind it: one suite for the engine in memory, a single node, Sentinels and
 * a Cluster. A second cache on the same engine stands for another process.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Cache } from '../../packages/cache/src/cache.ts'
import { CacheError } from '../../packages/cache/src/errors.ts'
import type { CacheOptions } from '../../packages/cache/src/options.ts'
import { eventually } from './eventually.ts'

export interface CachePlace {
  /** A cache as one more process would have it. */
  readonly open: (options: Partial<CacheOptions>) => Cache
  /** A command of somebody else, at the node that has the key. */
  readonly command: (key: string, ...command: readonly (string | Buffer)[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

let spaces = 0

export function describeCache(name: string, start: () => Promise<CachePlace>): void {
  describe(name, () => {
    let place: CachePlace
    let opened: Cache[] = []
    let namespace = ''

    beforeAll(async () => {
      place = await start()
    })
    afterEach(async () => {
      await Promise.all(opened.map((cache) => cache.close()))
      opened = []
      namespace = ''
    })
    afterAll(() => place.close())

    /** Caches of one test share a namespace that no other test has. */
    const open = (options: Partial<CacheOptions> = {}): Cache => {
      if (namespace === '') namespace = `t${process.pid}-${spaces++}`
      const cache = place.open({ namespace, ttl: '1m', engineDeadline: '5s', ...options })
      opened.push(cache)
      return cache
    }
    const engineKey = (key: string): string => `${namespace}:v:/${key}`

    test('has nothing at first, then what was set', async () => {
      const cache = open()
      expect(await cache.get('user:1')).toBeUndefined()
      expect(await cache.set('user:1', { name: 'Ada' })).toBe('stored')
      expect(await cache.get('user:1')).toEqual({ name: 'Ada' })
      expect(await open().get('user:1')).toEqual({ name: 'Ada' })
    })

    test('loads once, then serves from here, and from the engine elsewhere', async () => {
      const [here, there] = [open(), open()]
      expect(await here.getOrSet('k', () => 'loaded', { meta: true })).toMatchObject({
        value: 'loaded',
        source: 'loader',
      })
      await eventually(async () => (await here.getOrSet('k', never, { meta: true })).source === 'local')
      const elsewhere = await there.getOrSet('k', never, { meta: true })
      expect(elsewhere).toMatchObject({ value: 'loaded', source: 'primary', stale: false })
      expect(elsewhere.ageMs).toBeLessThan(5000)
    })

    test('a hundred callers of one process are one load', async () => {
      const cache = open()
      let loads = 0
      const load = async (): Promise<number> => {
        loads++
        await soon(20)
        return 42
      }
      const all = await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('k', load)))
      expect([loads, new Set(all)]).toEqual([1, new Set([42])])
    })

    test('callers of two processes are one load', async () => {
      const caches = [open(), open(), open()]
      let loads = 0
      const load = async (): Promise<number> => {
        loads++
        await soon(50)
        return 42
      }
      const begun = performance.now()
      const all = await Promise.all(Array.from({ length: 90 }, (_, index) => caches[index % 3]?.getOrSet('k', load)))
      expect([loads, new Set(all)]).toEqual([1, new Set([42])])
      // Woken, and not at some later look.
      expect(performance.now() - begun).toBeLessThan(1000)
    })

    test('an error is shared by all who wait, and not kept', async () => {
      const cache = open()
      let loads = 0
      const fail = async (): Promise<never> => {
        loads++
        await soon(10)
        throw new Error('the source is down')
      }
      const all = await Promise.allSettled(Array.from({ length: 50 }, () => cache.getOrSet('k', fail)))
      expect(loads).toBe(1)
      expect(all.every((one) => one.status === 'rejected' && one.reason.message === 'the source is down')).toBe(true)
      expect(await cache.getOrSet('k', () => 'up again')).toBe('up again')
    })

    test('a process whose load fails lets the next one try', async () => {
      const [here, there] = [open(), open()]
      const load = door<never>()
      const failing = here.getOrSet('k', load.loader)
      await load.begun
      load.fail(new Error('down'))
      const other = there.getOrSet('k', () => 'from there')
      await expect(failing).rejects.toThrow('down')
      expect(await other).toBe('from there')
    })

    test('a load that was never finished holds others up no longer than its lock lasts', async () => {
      const [dying, other] = [open(), open()]
      const hanging = dying.getOrSet('k', () => new Promise(() => {})).catch((error: unknown) => error)
      await eventually(async () => (await place.command(engineKey('k'), 'EXISTS', engineKey('k'))) === 1)
      // What a killed process leaves behind: a lock that nobody renews.
      await dying.close()
      expect(await hanging).toMatchObject({ code: 'CLOSED' })
      expect(await other.getOrSet('k', () => 'loaded elsewhere')).toBe('loaded elsewhere')
    })

    test('"no such thing" is remembered if somebody says for how long', async () => {
      const [here, there] = [open(), open()]
      let loads = 0
      const load = (): undefined => {
        loads++
      }
      expect(await here.getOrSet('forgotten', load)).toBeUndefined()
      expect(await here.getOrSet('forgotten', load)).toBeUndefined()
      expect(loads).toBe(2)
      expect(await here.getOrSet('known', load, { negativeTtl: '1m' })).toBeUndefined()
      await eventually(async () => (await place.command(engineKey('known'), 'STRLEN', engineKey('known'))) !== 0)
      expect(await there.getOrSet('known', load, { negativeTtl: '1m' })).toBeUndefined()
      expect(loads).toBe(3)
    })

    test('what one process changes, the others serve', async () => {
      const [here, there] = [open(), open()]
      await here.set('k', 'old')
      expect(await there.get('k')).toBe('old')
      await here.set('k', 'new')
      await eventually(async () => (await there.get('k')) === 'new')
      await here.delete('k')
      await eventually(async () => (await there.get('k')) === undefined)
    })

    test('a delete during a load bars what is loaded', async () => {
      const [here, there] = [open(), open()]
      const load = door<string>()
      const loading = here.getOrSet('k', load.loader)
      await load.begun
      await there.delete('k')
      load.finish('from before the delete')
      expect(await loading).toBe('from before the delete')
      // Nobody who comes later gets it: neither here nor there.
      await eventually(async () => (await here.getOrSet('k', () => 'after')) === 'after')
      expect(await there.getOrSet('k', () => 'after')).toBe('after')
    })

    test('a set during a load wins', async () => {
      const [here, there] = [open(), open()]
      const load = door<string>()
      const loading = here.getOrSet('k', load.loader)
      await load.begun
      await there.set('k', 'set')
      load.finish('loaded')
      await loading
      await eventually(async () => (await here.get('k')) === 'set')
      expect(await there.get('k')).toBe('set')
    })

    test('who deletes does not get what was being loaded', async () => {
      const cache = open()
      const load = door<string>()
      const loading = cache.getOrSet('k', load.loader)
      await load.begun
      await cache.delete('k')
      expect(await cache.getOrSet('k', () => 'after')).toBe('after')
      load.finish('before')
      expect(await loading).toBe('before')
      expect(await cache.getOrSet('k', never)).toBe('after')
    })

    test('a tag takes away all that was written with it, everywhere', async () => {
      const [here, there] = [open(), open()]
      await here.set('a', 1, { tags: ['users'] })
      await here.set('b', 2, { tags: ['users', 'admins'] })
      await here.set('c', 3, { tags: ['orders'] })
      expect(await there.getMany(['a', 'b', 'c'])).toEqual([1, 2, 3])
      await here.invalidateTags(['users'])
      expect(await here.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, 3])
      await eventually(async () => {
        expect(await there.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, 3])
        return true
      })
    })

    test('what was loaded before its tag was invalidated is not served after', async () => {
      const [here, there] = [open(), open()]
      const load = door<string>()
      const loading = here.getOrSet('k', load.loader, { tags: ['users'] })
      await load.begun
      await there.invalidateTags(['users'])
      load.finish('old')
      await loading
      await eventually(async () => (await here.getOrSet('k', () => 'new', { tags: ['users'] })) === 'new')
    })

    test('a tag that the engine evicted is a miss, and comes back with a number of its own', async () => {
      const cache = open({ local: false })
      await cache.set('k', 'value', { tags: ['users'] })
      const tag = `${namespace}:t:/users`
      const number = await place.command(tag, 'GET', tag)
      await place.command(tag, 'DEL', tag)
      await eventually(async () => (await cache.get('k')) === undefined)
      await cache.set('k', 'again', { tags: ['users'] })
      expect(await cache.get('k')).toBe('again')
      const another = await place.command(tag, 'GET', tag)
      expect([another === number, Number(another) > 0]).toEqual([false, true])
    })

    test('clear empties a namespace and those below it, and nothing above', async () => {
      const [here, there] = [open(), open()]
      const [users, others] = [here.namespace('users'), there.namespace('users')]
      await here.set('k', 'root')
      await users.set('k', 'users')
      await users.namespace('eu').set('k', 'eu')
      expect(await others.get('k')).toBe('users')
      await users.clear()
      expect(await here.get('k')).toBe('root')
      expect(await users.namespace('eu').get('k')).toBeUndefined()
      await eventually(async () => (await others.get('k')) === undefined)
      await users.set('k', 'users again')
      await here.clear()
      expect(await here.get('k')).toBeUndefined()
      expect(await users.get('k')).toBeUndefined()
      expect(await users.getOrSet('k', () => 'back')).toBe('back')
    })

    test('serves what is stale at once and refreshes it behind the back', async () => {
      const cache = open({ ttl: 30, jitter: 0, staleWhileRevalidate: '1m', earlyRefresh: 0 })
      let version = 1
      const load = async (): Promise<number> => {
        await soon(5)
        return ++version
      }
      // Set, and not loaded: a load is answered before it is stored, so that nothing yet would look like nothing any more.
      await cache.set('k', version)
      await eventually(async () => (await cache.get('k')) === undefined)
      const stale = await cache.getOrSet('k', load, { meta: true })
      expect(stale).toMatchObject({ value: 1, stale: true })
      await eventually(async () => (await cache.getOrSet('k', load)) > 1)
    })

    test('serves what is stale when the source fails, and leaves the source alone for a while', async () => {
      const cache = open({ ttl: 30, jitter: 0, staleIfError: '1m', errorBackoff: '1m', earlyRefresh: 0 })
      await cache.set('k', 'good')
      await eventually(async () => (await cache.get('k')) === undefined)
      let loads = 0
      const fail = (): never => {
        loads++
        throw new Error('down')
      }
      for (let i = 0; i < 5; i++) {
        expect(await cache.getOrSet('k', fail, { meta: true })).toMatchObject({ value: 'good', stale: true })
      }
      expect(loads).toBe(1)
    })

    test('waits for a slow load no longer than the soft deadline if there is something stale', async () => {
      const cache = open({ ttl: 30, jitter: 0, staleIfError: '1m', softDeadline: 20, earlyRefresh: 0 })
      await cache.set('k', 'old')
      await eventually(async () => (await cache.get('k')) === undefined)
      const load = door<string>()
      expect(await cache.getOrSet('k', load.loader, { meta: true })).toMatchObject({ value: 'old', stale: true })
      await load.begun
      load.finish('new')
      await eventually(async () => (await cache.getOrSet('k', () => 'new')) === 'new')
    })

    test('a loader that takes too long is given up, and told so', async () => {
      const cache = open({ hardDeadline: 30 })
      let aborted: AbortSignal | undefined
      const hang = ({ signal }: { signal: AbortSignal }): Promise<never> => {
        aborted = signal
        return new Promise(() => {})
      }
      await expect(cache.getOrSet('k', hang)).rejects.toMatchObject({ code: 'LOADER_TIMEOUT' })
      expect(aborted?.aborted).toBe(true)
      expect(await cache.getOrSet('k', hang, { fallback: 'instead' })).toBe('instead')
    })

    test('a loader may say that the stale value is still right', async () => {
      const cache = open({ ttl: 30, jitter: 0, staleIfError: '1m', earlyRefresh: 0 })
      await cache.set('k', { etag: 'x' })
      await eventually(async () => (await cache.get('k')) === undefined)
      const loaded = await cache.getOrSet<{ etag: string }>('k', ({ stale, unchanged }) => {
        expect(stale?.value).toEqual({ etag: 'x' })
        return unchanged
      })
      expect(loaded).toEqual({ etag: 'x' })
    })

    test('a loader may say how long its value lives', async () => {
      const cache = open({ ttl: 'forever' })
      await cache.getOrSet('token', ({ keepFor }) => {
        keepFor('20s')
        return 'secret'
      })
      const left = await eventually(async () => {
        const ms = Number(await place.command(engineKey('token'), 'PTTL', engineKey('token')))
        return ms > 5000 && ms
      })
      // Twenty seconds, and as long again for the day when the source is down.
      expect(left).toBeLessThanOrEqual(40_000)
    })

    test('many keys are answered in their order, and loaded at once', async () => {
      const cache = open()
      await cache.setMany([
        ['a', 1],
        ['c', 3],
      ])
      const asked: string[] = []
      const values = await cache.getOrSetMany(['a', 'b', 'c', 'd', 'b'], (keys) => {
        asked.push(...keys)
        return new Map(keys.map((key) => [key, `loaded ${key}`]))
      })
      expect(values).toEqual([1, 'loaded b', 3, 'loaded d', 'loaded b'])
      expect(asked.toSorted()).toEqual(['b', 'd'])
      await cache.deleteMany(['a', 'b'])
      expect(await cache.getMany(['a', 'b', 'c'])).toEqual([undefined, undefined, 3])
    })

    test('a caller who gives up does not end the load of the others', async () => {
      const cache = open()
      const controller = new AbortController()
      const load = door<string>()
      const impatient = cache.getOrSet('k', load.loader, { signal: controller.signal })
      const patient = cache.getOrSet('k', load.loader)
      await load.begun
      controller.abort()
      await expect(impatient).rejects.toMatchObject({ code: 'ABORTED' })
      load.finish('there')
      expect(await patient).toBe('there')
    })

    test('peek answers at once, and only what it knows to be right', async () => {
      const [here, there] = [open(), open()]
      expect(here.peek('k')).toBeUndefined()
      await here.set('k', 'value')
      await eventually(() => here.peek('k') === 'value')
      await there.set('k', 'other')
      await eventually(() => here.peek('k') === undefined)
    })

    test.each([
      ['bytes of somebody else', Buffer.from('plain text of another program')],
      ['nothing', Buffer.alloc(0)],
      ['noise', Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 37) % 256))],
      ['half an entry', Buffer.concat([Buffer.from([0x48, 0x46, 1, 0, 72, 0, 1, 0]), Buffer.alloc(20)])],
    ])('%s under a key is a miss and told of, and replaced', async (_, bytes) => {
      const cache = open()
      const unusable: string[] = []
      cache.listen('unusable', ({ key }) => unusable.push(key))
      await place.command(engineKey('k'), 'SET', engineKey('k'), bytes)
      expect(await cache.get('k')).toBeUndefined()
      expect(await cache.getOrSet('k', () => 'right')).toBe('right')
      expect(unusable).toContain('k')
      await eventually(async () => (await open().get('k')) === 'right')
    })

    test('a key of another type is a miss, and left alone', async () => {
      const cache = open()
      await place.command(engineKey('k'), 'RPUSH', engineKey('k'), 'x')
      expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded')
      expect(await place.command(engineKey('k'), 'LLEN', engineKey('k'))).toBe(1)
    })

    test.each([
      ['an empty key', ''],
      ['a number', 42],
      ['nothing', undefined],
      ['bytes', Buffer.from('k')],
      ['an enormous key', 'x'.repeat(100_000)],
      ['half a character', 'k\ud800'],
    ])('%s is refused as a key', async (_, key) => {
      const cache = open()
      const wrong = key as string
      for (const call of [
        cache.get(wrong),
        cache.getOrSet(wrong, () => 1),
        cache.set(wrong, 1),
        cache.delete(wrong),
        cache.getMany([wrong]),
      ]) {
        await expect(call).rejects.toMatchObject({ name: 'CacheError', code: 'INVALID' })
      }
      expect(() => cache.peek(wrong)).toThrow(CacheError)
    })

    test('a value that cannot be encoded is refused, and a loader keeps its caller out of it', async () => {
      const cache = open()
      await expect(cache.set('k', () => 1)).rejects.toMatchObject({ code: 'UNENCODABLE' })
      await expect(cache.set('k', 10n)).rejects.toMatchObject({ code: 'UNENCODABLE' })
      await expect(cache.set('k', undefined)).rejects.toMatchObject({ code: 'UNENCODABLE' })
      const cycle: { self?: unknown } = {}
      cycle.self = cycle
      await expect(cache.set('k', cycle)).rejects.toMatchObject({ code: 'UNENCODABLE' })
      const unfilled: string[] = []
      cache.listen('unfilled', ({ because }) => unfilled.push(because))
      expect(await cache.getOrSet('k', () => cycle)).toBe(cycle)
      await eventually(() => unfilled.length === 1)
    })

    test('a value over the limit is refused, written or read', async () => {
      const [small, large] = [open({ maxValueBytes: 1000 }), open()]
      await expect(small.set('k', 'x'.repeat(2000))).rejects.toMatchObject({ code: 'TOO_LARGE' })
      await large.set('k', 'x'.repeat(2000))
      expect(await small.get('k')).toBeUndefined()
      expect(await small.getOrSet('k', () => 'short')).toBe('short')
    })

    test('polluting payloads pollute nothing', async () => {
      const cache = open()
      await cache.set('k', JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
      const value = await open().get<object>('k')
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    })

    test.each([[0], [-1], [Number.NaN], [Number.POSITIVE_INFINITY], [1e300], ['5 minutes'], ['1w']])(
      'a ttl of %s is refused',
      async (ttl) => {
        const cache = open()
        await expect(cache.set('k', 1, { ttl: ttl as number })).rejects.toMatchObject({ code: 'INVALID' })
        await expect(cache.getOrSet('k', () => 1, { ttl: ttl as number })).rejects.toMatchObject({ code: 'INVALID' })
      },
    )

    test('an entry that nobody said a ttl for is refused', async () => {
      namespace = `t${process.pid}-${spaces++}`
      const cache = place.open({ namespace })
      opened.push(cache)
      await expect(cache.set('k', 1)).rejects.toMatchObject({ code: 'INVALID', facts: { what: 'ttl' } })
      await expect(cache.getOrSet('k', () => 1)).rejects.toMatchObject({ code: 'INVALID' })
      expect(await cache.set('k', 1, { ttl: 'forever' })).toBe('stored')
      expect(await place.command(engineKey('k'), 'PTTL', engineKey('k'))).toBe(-1)
    })

    test('entries go away by themselves when they are of no use any more', async () => {
      const cache = open({ ttl: 40, staleIfError: 0 })
      await cache.set('k', 1)
      await eventually(async () => (await place.command(engineKey('k'), 'EXISTS', engineKey('k'))) === 0)
    })

    test('a closed cache refuses', async () => {
      const cache = open()
      await cache.set('k', 1)
      await cache.close()
      await expect(cache.get('k')).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(cache.getOrSet('k', () => 1)).rejects.toMatchObject({ code: 'CLOSED' })
      await expect(cache.set('k', 1)).rejects.toMatchObject({ code: 'CLOSED' })
      await cache.close()
    })
  })
}

/** A loader that the test lets go on when it wants. */
function door<T>() {
  let begin: () => void = () => {}
  let finish: (value: T) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const loaded = new Promise<T>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  // A test may fail before anybody waits for it.
  loaded.catch(() => {})
  const loader = (): Promise<T> => {
    begin()
    return loaded
  }
  return { loader, begun, finish: (value: T) => finish(value), fail: (error: unknown) => fail(error) }
}

const never = (): never => {
  throw new Error('there was no need to load')
}

const soon = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
