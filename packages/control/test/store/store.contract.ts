import type { Document, EventDraft } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { History, Store } from '../../src/store/store.ts'

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

const claim = (holder: string, now: number) => ({ holder, now, forMs: 1000 })

export function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return error instanceof HoldfastError ? error.code : `not ours: ${String(error)}`
  }
  return 'no error'
}

/** What every store must do. `open` is called again within a test for a second one on the same state. */
export function describeStore(title: string, prepare: () => { open: () => Store; clean: () => void }): void {
  describe(`${title} as a store`, () => {
    let world: ReturnType<typeof prepare>
    let store: Store
    beforeEach(() => {
      world = prepare()
      store = world.open()
    })
    afterEach(() => {
      store.close()
      world.clean()
    })

    test('knows nothing at first', () => {
      expect(store.names()).toEqual([])
      expect(store.load('shop')).toBeUndefined()
    })

    test('gives back what was saved, with the next revision', () => {
      const saved = store.save(aDocument({ secrets: { app: 'ü"\\ \n', admin: 'x' } }))
      expect(saved.revision).toBe(1)
      expect(store.load('shop')).toEqual(saved)
      expect(store.save({ ...saved, wanted: 'down' }).revision).toBe(2)
      expect(store.load('shop')?.wanted).toBe('down')
    })

    test('refuses a writer who saw an older revision, and changes nothing', () => {
      const first = store.save(aDocument())
      const second = store.save({ ...first, specRevision: 2 })
      expect(codeOf(() => store.save({ ...first, specRevision: 99 }))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')).toEqual(second)
    })

    test('refuses to create what is there, and to change what is not', () => {
      store.save(aDocument())
      expect(codeOf(() => store.save(aDocument()))).toBe('SPEC_CONFLICT')
      expect(codeOf(() => store.save(aDocument({ name: 'other', revision: 1 })))).toBe('SPEC_CONFLICT')
      expect(store.names()).toEqual(['shop'])
    })

    test('of two writers one wins', () => {
      const other = world.open()
      const seen = store.save(aDocument())
      other.save({ ...seen, settledRevision: 1 })
      expect(codeOf(() => store.save({ ...seen, wanted: 'down' }))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')).toMatchObject({ wanted: 'up', settledRevision: 1, revision: 2 })
      other.close()
    })

    test('a removed deployment is gone, and a writer from before cannot hit one made later under its name', () => {
      const before = store.save(aDocument())
      store.remove('shop')
      expect(store.load('shop')).toBeUndefined()
      expect(store.names()).toEqual([])
      const after = store.save(aDocument({ secrets: { app: 'second' } }))
      expect(after.revision).toBeGreaterThan(before.revision)
      expect(codeOf(() => store.save(before))).toBe('SPEC_CONFLICT')
      expect(store.load('shop')?.secrets).toEqual({ app: 'second' })
    })

    test('removing what is not there is harmless', () => {
      store.remove('nobody')
      expect(store.names()).toEqual([])
    })

    test('what comes out is a copy: changing it changes nothing', () => {
      store.save(aDocument())
      const copy = store.load('shop')
      Object.assign(copy?.spec ?? {}, { name: 'changed' })
      expect(store.load('shop')?.spec).toEqual({ name: 'shop' })
    })

    test('names are in order', () => {
      for (const name of ['b', 'a', 'c']) store.save(aDocument({ name }))
      expect(store.names()).toEqual(['a', 'b', 'c'])
    })

    test('the first to claim a lease has it, in epoch 1', () => {
      expect(store.lease('shop', claim('a', 0))).toEqual({ holder: 'a', epoch: 1, until: 1000 })
    })

    test('its holder renews within the epoch, also late', () => {
      store.lease('shop', claim('a', 0))
      expect(store.lease('shop', claim('a', 900))).toEqual({ holder: 'a', epoch: 1, until: 1900 })
      expect(store.lease('shop', claim('a', 5000))).toEqual({ holder: 'a', epoch: 1, until: 6000 })
    })

    test('another is told whose it is, and does not disturb it', () => {
      store.lease('shop', claim('a', 0))
      const other = world.open()
      expect(other.lease('shop', claim('b', 999))).toEqual({ holder: 'a', epoch: 1, until: 1000 })
      expect(store.lease('shop', claim('a', 999))).toEqual({ holder: 'a', epoch: 1, until: 1999 })
      other.close()
    })

    test('an expired lease changes hands in the next epoch, and its old holder learns so', () => {
      store.lease('shop', claim('a', 0))
      expect(store.lease('shop', claim('b', 1000))).toEqual({ holder: 'b', epoch: 2, until: 2000 })
      expect(store.lease('shop', claim('a', 1001))).toEqual({ holder: 'b', epoch: 2, until: 2000 })
    })

    test('a lease given back is free at once, in the next epoch also for who gave it back', () => {
      store.lease('shop', claim('a', 0))
      store.release('shop', 'b')
      expect(store.lease('shop', claim('b', 1)).holder).toBe('a')
      store.release('shop', 'a')
      expect(store.lease('shop', claim('a', 2))).toEqual({ holder: 'a', epoch: 2, until: 1002 })
    })

    test('the epoch never falls: neither by removing the deployment nor by making it again', () => {
      store.save(aDocument())
      store.lease('shop', claim('a', 0))
      store.lease('shop', claim('b', 1000))
      store.remove('shop')
      store.save(aDocument())
      expect(store.lease('shop', claim('c', 9000)).epoch).toBe(3)
    })

    test('deployments have leases of their own', () => {
      store.lease('shop', claim('a', 0))
      expect(store.lease('other', claim('b', 0))).toEqual({ holder: 'b', epoch: 1, until: 1000 })
    })
  })
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
