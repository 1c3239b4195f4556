import { setImmediate as turn } from 'node:timers/promises'
import type { Status } from '@holdfast/core'
import { parseSpec } from '@holdfast/core'
import { pino } from 'pino'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Bookkeeper } from '../../src/ledger/bookkeeper.ts'
import type { ProbeClient } from '../../src/ledger/client.ts'
import { tagOf } from '../../src/ledger/probe.ts'
import { SqliteHistory } from '../../src/store/sqlite-history.ts'
import type { LedgerStore } from '../../src/store/store.ts'
import { aNode, aStatus } from '../server/demo-status.ts'
import { HandClock } from '../server/hand-clock.ts'
import { anEvent } from '../server/memory-platform.ts'
import { temporaryHome } from '../store/temporary-home.ts'

/** A deployment whose engines are a word: what a write is answered. */
class Shop implements ProbeClient {
  answer: 'ok' | Error = 'ok'
  readonly written: string[] = []
  opened = 0
  closed = 0

  async write(tag: string): Promise<void> {
    this.written.push(tag)
    if (this.answer !== 'ok') throw this.answer
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }
}

const { home, clean } = temporaryHome()
let clock: HandClock
let history: SqliteHistory
let shop: Shop
let logged: string[]
let listener: (status: Status) => void
let books: Bookkeeper

beforeEach(() => {
  clock = new HandClock()
  history = new SqliteHistory({ home })
  history.ledger.forget('shop')
  shop = new Shop()
  logged = []
  books = keepBooks()
})
afterEach(async () => {
  await books.close()
  history.close()
})
afterAll(clean)

function keepBooks(store: LedgerStore = history.ledger): Bookkeeper {
  const bookkeeper = new Bookkeeper({
    controllerId: 'one',
    store,
    history,
    clock,
    log: pino({ level: 'debug' }, { write: (line: string) => logged.push(line) }),
    spec: () => parseSpec({ name: 'shop', replicasPerShard: 0, persistence: 'none' }),
    credentials: () => ({ user: 'app', password: 'canary-password' }),
    openClient: async () => {
      shop.opened++
      return shop
    },
  })
  bookkeeper.run({
    onStatus: (heard) => {
      listener = heard
      return () => (listener = () => {})
    },
  })
  return bookkeeper
}

const show = (parts: Partial<Status> = {}) => listener(aStatus({ observedAt: clock.wall(), ...parts }))

async function wait(ms: number, stepMs = 50): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    clock.advance(stepMs)
    await turn()
    await turn()
  }
}

/** Turns of a loop that is content. */
async function calm(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    show()
    await wait(1000)
  }
}

async function die(): Promise<void> {
  const { shards, nodes } = aStatus()
  const because = 'node-1 (primary of shard-1) is dead and nobody may take over'
  history.append(anEvent({ kind: 'turn', because, at: clock.wall() }))
  show({
    ready: 'no',
    because,
    shards: shards.map((shard) => (shard.id === 'shard-1' ? { ...shard, primary: null } : shard)),
    nodes: nodes.map((node) => (node.id === 'node-1' ? aNode({ state: 'dead', pid: null }) : node)),
  })
  await wait(100)
}

describe('the books', () => {
  test('are made of what a client could write, by shard, from the moment when it is ready', async () => {
    show({ ready: 'no' })
    await wait(1000)
    expect(shop.opened).toBe(0)
    await calm(5)
    const { availability, shards, because } = books.read('shop', 0)
    expect(shop.opened).toBe(1)
    expect(new Set(shop.written).size).toBe(3)
    expect(Object.keys(shards)).toEqual(['shard-1', 'shard-2', 'shard-3'])
    expect(availability.ratio).toBe(1)
    expect(availability.observedMs).toBeGreaterThan(3000)
    expect(because).toMatch(/^100 % in \d(\.\d)? s; no incident$/)
  })

  test('an outage that the loop knows nothing of is told by the probe, in the words of the engine', async () => {
    await calm(3)
    shop.answer = new Error('MISCONF the disk is full')
    await calm(2)
    expect(books.read('shop', 0).incidents).toMatchObject([
      { kind: 'outage', endedAt: null, because: 'shard-1 cannot be written to: MISCONF the disk is full' },
    ])
    shop.answer = 'ok'
    await calm(5)
    const { incidents, availability } = books.read('shop', 0)
    expect(incidents).toHaveLength(1)
    expect(incidents[0]?.endedAt).toBeGreaterThan(incidents[0]?.beganAt ?? 0)
    expect(availability.notWritableMs).toBeGreaterThan(1500)
    const told = history.latest({ limit: 6 }).map(({ kind, because }) => `${kind}: ${because}`)
    expect(told).toContainEqual(expect.stringMatching(/^probe: shard-2 can be written to again, after 2(\.\d)? s$/))
  })

  test('what the spec had to do with it is said with its remedy', async () => {
    await calm(2)
    await die()
    expect(books.read('shop', 0).incidents[0]?.madeWorseBy).toEqual([
      'shard-1 had no replica, so nobody could take over: set replicasPerShard to 1 or more',
      'persistence is none, so what no living copy held was gone: set persistence to hybrid',
    ])
  })

  test('the next controller goes on with what was saved, also after a death in the middle', async () => {
    await calm(2)
    await die()
    await wait(400)
    const [before] = books.read('shop', 0).incidents
    // Killed: nothing is closed, and nothing more is heard.
    const abandoned = books
    books = keepBooks()
    await calm(5)
    const { incidents } = books.read('shop', 0)
    expect(incidents.map(({ id }) => id)).toEqual([before?.id])
    expect(incidents[0]?.endedAt).not.toBeNull()
    await abandoned.close()
  })

  test('a disk that takes nothing costs nothing but patience: all is saved when it is well again', async () => {
    await books.close()
    let isFull = true
    const { ledger } = history
    const store: LedgerStore = {
      ...methodsOf(ledger),
      save: (name, entry) => {
        if (isFull) throw new Error('the disk is full')
        ledger.save(name, entry)
      },
    }
    books = keepBooks(store)
    await calm(3)
    shop.answer = new Error('no')
    await calm(2)
    shop.answer = 'ok'
    await calm(12)
    expect(logged.join('')).toContain('the disk is full')
    expect(ledger.hours('shop', 0)).toEqual([])
    expect(books.read('shop', 0).incidents).toHaveLength(1)
    isFull = false
    await calm(11)
    expect(ledger.incidents('shop', 0)).toHaveLength(1)
    const saved = ledger.hours('shop', 0).filter(({ shard }) => shard === null)
    expect(saved[0]?.observedMs).toBeGreaterThan(19_000)
  })

  test('saved and unsaved together are counted once', async () => {
    await calm(25)
    const { availability } = books.read('shop', 0)
    expect(availability.observedMs).toBeGreaterThan(23_000)
    expect(availability.observedMs).toBeLessThanOrEqual(25_000)
  })

  test('nobody looks while it is wanted down, or while another controller acts', async () => {
    await calm(2)
    show({ wanted: 'down', ready: 'no' })
    await wait(200)
    const { length } = shop.written
    await wait(3000)
    expect(shop.written).toHaveLength(length)
    expect(shop.closed).toBe(1)
    await calm(2)
    expect(shop.opened).toBe(2)
    show({ controller: { id: 'another', epoch: 8, lease: 'lost' } })
    await wait(200)
    expect(shop.closed).toBe(2)
  })

  test('an engine that ends is looked at at once', async () => {
    await calm(2)
    await wait(150)
    const { length } = shop.written
    books.exited({ deployment: 'shop', node: 'node-4' })
    await turn()
    expect(shop.written).toHaveLength(length)
    books.exited({ deployment: 'shop', node: 'node-1' })
    await turn()
    await turn()
    expect(shop.written.length).toBeGreaterThan(length)
  })

  test('a deployment that is gone is forgotten', async () => {
    await calm(2)
    await die()
    await wait(400)
    books.forget('shop')
    expect(books.read('shop', 0)).toMatchObject({ incidents: [], availability: { ratio: null }, shards: {} })
  })
})

test('a shard without slots has no tag; any other has a short one', () => {
  expect(tagOf([])).toBeUndefined()
  expect(tagOf([[0, 16_383]])).toBe('{0}')
  expect(tagOf([[5461, 10_922]])).toMatch(/^\{\d\}$/)
  expect(tagOf([[42, 42]])).toMatch(/^\{\d+\}$/)
})

const methodsOf = (ledger: LedgerStore): LedgerStore => ({
  save: (...given) => ledger.save(...given),
  gathering: (...given) => ledger.gathering(...given),
  incidents: (...given) => ledger.incidents(...given),
  hours: (...given) => ledger.hours(...given),
  forget: (...given) => ledger.forget(...given),
})
