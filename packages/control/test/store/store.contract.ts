import type { Adoption, Document, EventDraft } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { History, HomeStore, Lease, LeaseClaim, Store } from '../../src/store/store.ts'

export const aDocument = (over: Partial<Document> = {}): Document => ({
  apiVersion: 1,
  name: 'shop',
  revision: 0,
  specRevision: 1,
  settledRevision: 0,
  spec: { name: 'shop' },
  wanted: 'up',
  nodes: [],
  operations: [],
  scale: { shards: 3, setBy: 'spec' },
  secrets: { app: 'wanderer' },
  acceptDataLoss: false,
  purge: false,
  ...over,
})

export const anEvent = (over: Partial<EventDraft> = {}): EventDraft => ({
  epoch: 1,
  at: 1_700_000_000_000,
  deployment: 'shop',
  kind: 'turn',
  subject: 'shop',
  because: 'as specified',
  cause: null,
  actor: 'controller',
  ...over,
})

/** The code by which it was refused, now or, of work that takes time, when that is over. */
export function codeOf(work: () => Promise<unknown>): Promise<string>
export function codeOf(work: () => unknown): string
export function codeOf(work: () => unknown): string | Promise<string> {
  try {
    const result = work()
    return result instanceof Promise ? result.then(() => 'no error', codeIn) : 'no error'
  } catch (error) {
    return codeIn(error)
  }
}

const codeIn = (error: unknown): string => (error instanceof HoldfastError ? error.code : `not ours: ${String(error)}`)

export interface StoreWorld {
  /** Called again within a test for a second one on the same state. */
  open(): Store | Promise<Store>
  clean(): void | Promise<void>
  /** The clock by which leases are counted here, and a way to let it go on. Default: one that a hand turns. */
  readonly time?: { now(): number; pass(ms: number): Promise<void>; readonly leaseMs: number }
}

/** What every store must do. */
export function describeStore(title: string, prepare: () => StoreWorld | Promise<StoreWorld>): void {
  describe(`${title} as a store`, () => {
    let world: StoreWorld
    let store: Store
    let time: NonNullable<StoreWorld['time']>
    beforeEach(async () => {
      world = await prepare()
      store = await world.open()
      time = world.time ?? handTime()
    })
    afterEach(async () => {
      store.close()
      await world.clean()
    })

    const claim = (holder: string): LeaseClaim => ({ holder, now: time.now(), forMs: time.leaseMs })
    const isOf = (holder: string, epoch: number) => ({ holder, epoch })
    /** Until a lease that was taken or renewed just now is over. */
    const expire = (): Promise<void> => time.pass(time.leaseMs)

    test('knows nothing at first', () => {
      expect(store.names()).toEqual([])
      expect(store.load('shop')).toBeUndefined()
    })

    test('gives back what was saved, with the next revision', async () => {
      const saved = await store.save(aDocument({ secrets: { app: 'ü"\\ \n', admin: 'x' } }))
      expect(saved.revision).toBe(1)
      expect(store.load('shop')).toEqual(saved)
      expect((await store.save({ ...saved, wanted: 'down' })).revision).toBe(2)
      expect(store.load('shop')?.wanted).toBe('down')
    })

    test('refuses a writer who saw an older revision, and changes nothing', async () => {
      const first = await store.save(aDocument())
      const second = await store.save({ ...first, specRevision: 2 })
      expect(await codeOf(() => store.save({ ...first, specRevision: 99 }))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')).toEqual(second)
    })

    test('refuses to create what is there, and to change what is not', async () => {
      await store.save(aDocument())
      expect(await codeOf(() => store.save(aDocument()))).toBe('SPEC_CONFLICT')
      expect(await codeOf(() => store.save(aDocument({ name: 'other', revision: 1 })))).toBe('SPEC_CONFLICT')
      expect(store.names()).toEqual(['shop'])
    })

    test('of two writers one wins', async () => {
      const other = await world.open()
      const seen = await store.save(aDocument())
      await vi.waitUntil(() => other.load('shop') !== undefined, { timeout: 5000 })
      await other.save({ ...seen, settledRevision: 1 })
      expect(await codeOf(() => store.save({ ...seen, wanted: 'down' }))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')).toMatchObject({ wanted: 'up', settledRevision: 1, revision: 2 })
      other.close()
    })

    test('what one writes, the others read', async () => {
      const other = await world.open()
      const saved = await store.save(aDocument())
      await expect.poll(() => other.load('shop'), { timeout: 5000 }).toEqual(saved)
      await store.remove('shop')
      await expect.poll(() => other.names(), { timeout: 5000 }).toEqual([])
      other.close()
    })

    test('a removed deployment is gone, and a writer from before cannot hit one made later under its name', async () => {
      const before = await store.save(aDocument())
      await store.remove('shop')
      expect(store.load('shop')).toBeUndefined()
      expect(store.names()).toEqual([])
      const after = await store.save(aDocument({ secrets: { app: 'second' } }))
      expect(after.revision).toBeGreaterThan(before.revision)
      expect(await codeOf(() => store.save(before))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')?.secrets).toEqual({ app: 'second' })
    })

    test('removing what is not there is harmless', async () => {
      await store.remove('nobody')
      expect(store.names()).toEqual([])
    })

    test('what comes out is a copy: changing it changes nothing', async () => {
      await store.save(aDocument())
      const copy = store.load('shop')
      Object.assign(copy?.spec ?? {}, { name: 'changed' })
      expect(store.load('shop')?.spec).toEqual({ name: 'shop' })
    })

    test('names are in order', async () => {
      for (const name of ['b', 'a', 'c']) await store.save(aDocument({ name }))
      expect(store.names()).toEqual(['a', 'b', 'c'])
    })

    test('the first to claim a lease has it, in epoch 1, for as long as it asked', async () => {
      const { until, ...lease } = await store.lease('shop', claim('a'))
      expect(lease).toEqual(isOf('a', 1))
      expect(Math.abs(until - time.now() - time.leaseMs)).toBeLessThan(500)
    })

    test('its holder renews within the epoch', async () => {
      await store.lease('shop', claim('a'))
      for (let renewals = 0; renewals < 3; renewals++) {
        await time.pass(time.leaseMs * 0.6)
        expect(await store.lease('shop', claim('a'))).toMatchObject(isOf('a', 1))
      }
    })

    test('its holder has it again where nobody took it meanwhile, in no lower epoch', async () => {
      await store.lease('shop', claim('a'))
      await expire()
      await expire()
      const late = await store.lease('shop', claim('a'))
      expect(late.holder).toBe('a')
      expect(late.epoch).toBeGreaterThanOrEqual(1)
      expect(late.until).toBeGreaterThan(time.now())
    })

    test('another is told whose it is, and does not disturb it', async () => {
      await store.lease('shop', claim('a'))
      const other = await world.open()
      expect(await other.lease('shop', claim('b'))).toMatchObject(isOf('a', 1))
      expect(await store.lease('shop', claim('a'))).toMatchObject(isOf('a', 1))
      other.close()
    })

    test('an expired lease changes hands in the next epoch, and its old holder learns so', async () => {
      const other = await world.open()
      await store.lease('shop', claim('a'))
      await expire()
      expect(await takenBy(other, 'b')).toMatchObject(isOf('b', 2))
      expect(await store.lease('shop', claim('a'))).toMatchObject(isOf('b', 2))
      other.close()
    })

    test('a lease given back is free at once, in the next epoch also for who gave it back', async () => {
      await store.lease('shop', claim('a'))
      await store.release('shop', 'b')
      expect((await store.lease('shop', claim('b'))).holder).toBe('a')
      await store.release('shop', 'a')
      expect(await store.lease('shop', claim('a'))).toMatchObject(isOf('a', 2))
    })

    test('the epoch never falls: neither by removing the deployment nor by making it again', async () => {
      await store.save(aDocument())
      await store.lease('shop', claim('a'))
      await store.release('shop', 'a')
      await store.lease('shop', claim('b'))
      await store.release('shop', 'b')
      await store.remove('shop')
      await store.save(aDocument())
      expect((await store.lease('shop', claim('c'))).epoch).toBe(3)
    })

    test('of many who claim at once one has it, and all others are told who', async () => {
      const others = await Promise.all(Array.from({ length: 4 }, async () => world.open()))
      const leases = await Promise.all(others.map((one, index) => one.lease('shop', claim(`c${index}`))))
      expect(new Set(leases.map(({ holder }) => holder)).size).toBe(1)
      expect(new Set(leases.map(({ epoch }) => epoch))).toEqual(new Set([1]))
      for (const one of others) one.close()
    })

    test('a setting is written where it still is as it was seen, and else is left alone', async () => {
      const { settings } = store
      expect(settings.get('hosts/a')).toBeUndefined()
      expect(await settings.swap('hosts/a', undefined, 'ü"\\ \n')).toBe(true)
      expect(settings.get('hosts/a')).toBe('ü"\\ \n')
      expect(await settings.swap('hosts/a', undefined, 'another')).toBe(false)
      expect(await settings.swap('hosts/a', 'stale', 'another')).toBe(false)
      expect(await settings.swap('hosts/a', 'stale', undefined)).toBe(false)
      expect(settings.get('hosts/a')).toBe('ü"\\ \n')
      expect(await settings.swap('hosts/a', 'ü"\\ \n', '')).toBe(true)
      expect(settings.get('hosts/a')).toBe('')
      expect(await settings.swap('hosts/a', '', undefined)).toBe(true)
      expect(settings.get('hosts/a')).toBeUndefined()
      expect(await settings.swap('hosts/a', undefined, 'again')).toBe(true)
      expect(settings.get('hosts/a')).toBe('again')
    })

    test('settings are listed by how their names begin', async () => {
      for (const key of ['hosts/b', 'token', 'hosts/a', 'hostsmore']) await store.settings.swap(key, undefined, 'x')
      expect(store.settings.keys('hosts/')).toEqual(['hosts/a', 'hosts/b'])
      expect(store.settings.keys('nothing/')).toEqual([])
      expect(store.settings.keys('').length).toBe(4)
      expect(store.names()).toEqual([])
    })

    test('of two who write the same setting one wins', async () => {
      const other = await world.open()
      const won = await Promise.all([
        store.settings.swap('token', undefined, 'mine'),
        other.settings.swap('token', undefined, 'theirs'),
      ])
      expect(won.filter(Boolean).length).toBe(1)
      await expect.poll(() => other.settings.get('token'), { timeout: 5000 }).toBe(won[0] ? 'mine' : 'theirs')
      await expect.poll(() => store.settings.get('token'), { timeout: 5000 }).toBe(won[0] ? 'mine' : 'theirs')
      other.close()
    })

    test('deployments have leases of their own', async () => {
      await store.lease('shop', claim('a'))
      expect(await store.lease('other', claim('b'))).toMatchObject(isOf('b', 1))
    })

    /** Claims until it has it: whoever counts the time may be a moment behind. */
    async function takenBy(other: Store, holder: string): Promise<Lease> {
      for (let tries = 0; ; tries++) {
        const lease = await other.lease('shop', claim(holder))
        if (lease.holder === holder || tries > 50) return lease
        await time.pass(time.leaseMs / 20)
      }
    }
  })
}

const theirs: Adoption = {
  apiVersion: 1,
  name: 'theirs',
  topology: 'standalone',
  masterName: null,
  seeds: [{ address: '10.0.0.7', port: 6379 }],
  user: 'watcher',
  sentinelUser: '',
  nodes: [],
  sentinels: [],
  at: 1,
  by: 'cli',
  secrets: { engine: 'a-password-that-is-sealed', sentinel: '' },
}

/** What every store of a home keeps of deployments that somebody else runs. */
export function describeAdoptions(
  title: string,
  prepare: () => {
    open: () => HomeStore | Promise<HomeStore>
    clean: () => void
    kept: () => string | Promise<string>
  },
): void {
  describe(`${title} as a store of adoptions`, () => {
    let world: ReturnType<typeof prepare>
    beforeEach(() => {
      world = prepare()
    })
    afterEach(() => world.clean())

    test('an adoption outlives the controller, its password sealed, and is no document', async () => {
      const store = await world.open()
      await store.adoptions.add(theirs)
      store.close()
      expect(await world.kept()).not.toContain(theirs.secrets.engine)
      const again = await world.open()
      expect(again.adoptions.load('theirs')).toEqual(theirs)
      expect(again.names()).toEqual([])
      expect(again.load('theirs')).toBeUndefined()
      again.close()
    })

    test('a name is taken once, and free again when it is forgotten', async () => {
      const store = await world.open()
      await store.save(aDocument())
      expect(await codeOf(() => store.adoptions.add({ ...theirs, name: 'shop' }))).toBe('REFUSED_UNSAFE')
      await store.adoptions.add(theirs)
      expect(await codeOf(() => store.adoptions.add(theirs))).toBe('REFUSED_UNSAFE')
      const nodes = [{ id: '10.0.0.7:6379', shard: 'shard-1', host: 'elsewhere', address: '10.0.0.7', port: 6379 }]
      await store.adoptions.relocate({ ...theirs, nodes })
      expect(store.adoptions.load('theirs')).toEqual({ ...theirs, nodes })
      await store.adoptions.remove('theirs')
      // One that was forgotten while it was looked at does not come back.
      await store.adoptions.relocate({ ...theirs, nodes })
      expect(store.adoptions.names()).toEqual([])
      await store.remove('shop')
      expect(await codeOf(() => store.adoptions.add({ ...theirs, name: 'shop' }))).toBe('no error')
      expect(await codeOf(() => store.adoptions.add(theirs))).toBe('no error')
      expect(store.adoptions.names()).toEqual(['shop', 'theirs'])
      store.close()
    })
  })
}

function handTime(): NonNullable<StoreWorld['time']> {
  let now = 0
  return {
    leaseMs: 1000,
    now: () => now,
    pass: async (ms) => {
      now += ms
    },
  }
}

export function describeHistory(
  title: string,
  prepare: () => { open: (eventsMax?: number) => History; clean: () => void },
): void {
  describe(`${title} as a history`, () => {
    let world: ReturnType<typeof prepare>
    beforeEach(() => {
      world = prepare()
    })
    afterEach(() => world.clean())

    test('numbers the events and gives them back as they were', () => {
      const history = world.open()
      const first = history.append(anEvent({ cause: 'operation 7', because: 'node-1 is gone: "why" \\ ü' }))
      const second = history.append(anEvent({ kind: 'node' }))
      expect(second.seq).toBeGreaterThan(first.seq)
      expect(history.since(0, {})).toEqual([first, second])
      history.close()
    })

    test('answers what came after, oldest first, as many as asked', () => {
      const history = world.open()
      const events = Array.from({ length: 5 }, (_, index) => history.append(anEvent({ because: `event ${index}` })))
      expect(history.since(events[1]?.seq ?? 0, { limit: 2 })).toEqual(events.slice(2, 4))
      expect(history.since(events[4]?.seq ?? 0, {})).toEqual([])
      history.close()
    })

    test('answers the latest, oldest first', () => {
      const history = world.open()
      const events = Array.from({ length: 5 }, (_, index) => history.append(anEvent({ because: `event ${index}` })))
      expect(history.latest({ limit: 2 })).toEqual(events.slice(3))
      expect(history.latest({ limit: 50 })).toEqual(events)
      history.close()
    })

    test('tells deployments apart', () => {
      const history = world.open()
      history.append(anEvent({ deployment: 'other' }))
      const mine = history.append(anEvent())
      expect(history.since(0, { deployment: 'shop' })).toEqual([mine])
      expect(history.latest({ deployment: 'shop' })).toEqual([mine])
      expect(history.latest({ deployment: 'nobody' })).toEqual([])
      history.close()
    })

    test('keeps the newest and drops the oldest, without ever giving a number twice', () => {
      const history = world.open(3)
      const events = Array.from({ length: 8 }, () => history.append(anEvent()))
      expect(history.since(0, {})).toEqual(events.slice(5))
      expect(new Set(events.map((event) => event.seq)).size).toBe(8)
      history.close()
    })

    test('tells its listeners, until they have heard enough', () => {
      const history = world.open()
      const heard: string[] = []
      const stop = history.subscribe((event) => heard.push(event.because))
      history.append(anEvent({ because: 'one' }))
      stop()
      history.append(anEvent({ because: 'two' }))
      expect(heard).toEqual(['one'])
      history.close()
    })
  })
}
