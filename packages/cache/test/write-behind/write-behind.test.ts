import * as fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { jsonCodec } from '../../src/codecs.ts'
import type { CacheError } from '../../src/errors.ts'
import type { Store, StoreWrite } from '../../src/store.ts'
import { HandClock, type MemoryEngine, MemoryServer } from '../../src/testing/index.ts'
import type { WriteBehindEvents } from '../../src/write-behind/events.ts'
import type { WriteBehindOptions } from '../../src/write-behind/settings.ts'
import { openWriteBehind, type WriteBehind } from '../../src/write-behind/write-behind.ts'

/** A table whose saves are guarded by version, as a database's would be. */
class Table implements Store<unknown> {
  readonly rows = new Map<string, { readonly value: unknown; readonly version: number }>()
  readonly saves: StoreWrite<unknown>[][] = []
  /** Throws to refuse. */
  before: (writes: readonly StoreWrite<unknown>[]) => void | Promise<void> = () => undefined

  async load(key: string) {
    await this.before([])
    const row = this.rows.get(key)
    return row === undefined || row.value === undefined ? undefined : row
  }

  async save(write: StoreWrite<unknown>) {
    const [saved] = await this.saveMany([write])
    return saved ?? { version: Number.NaN }
  }

  async saveMany(writes: readonly StoreWrite<unknown>[]) {
    await this.before(writes)
    this.saves.push([...writes])
    return writes.map(({ key, value, version = 0 }) => {
      const row = this.rows.get(key)
      if (row === undefined || row.version < version) this.rows.set(key, { value, version })
      return { version: Math.max(version, row?.version ?? 0) }
    })
  }

  valueOf(key: string): unknown {
    return this.rows.get(key)?.value
  }
}

const started: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of started.splice(0)) await close()
})

type Told = { [E in keyof WriteBehindEvents]: WriteBehindEvents[E][] }

interface World {
  readonly clock: HandClock
  readonly server: MemoryServer
  readonly table: Table
}

function aWorld({ replicas = 1, ...config }: { replicas?: number } & Record<string, unknown> = {}): World {
  const clock = new HandClock()
  const settings = { appendonly: 'yes', ...(config as Record<string, string>) }
  return { clock, server: new MemoryServer({ clock, replicas, config: settings }), table: new Table() }
}

interface Opened {
  readonly behind: WriteBehind<unknown>
  readonly engine: MemoryEngine
  readonly told: Told
}

/** One process of a world. */
async function open({ clock, server, table }: World, options: WriteBehindOptions = {}): Promise<Opened> {
  const engine = server.connect()
  const told: Told = {
    written: [],
    retry: [],
    parked: [],
    lostOwnership: [],
    behind: [],
    lost: [],
    unsafe: [],
    trouble: [],
  }
  const behind = openWriteBehind<unknown>({
    engine,
    store: table,
    prefix: 'shop:w:',
    codec: jsonCodec,
    clock,
    options: { partitions: 4, ...options },
    events: {
      written: (event) => told.written.push(event),
      retry: (event) => told.retry.push(event),
      parked: (event) => told.parked.push(event),
      lostOwnership: (event) => told.lostOwnership.push(event),
      behind: (event) => told.behind.push(event),
      lost: (event) => told.lost.push(event),
      unsafe: (event) => told.unsafe.push(event),
      trouble: (event) => told.trouble.push(event),
    },
  })
  started.push(async () => {
    const closed = behind.close({ withinMs: 0 })
    await clock.advance(2000)
    await closed
    await engine.close()
  })
  await clock.advance(0)
  return { behind, engine, told }
}

/** Lets the hand clock run until the promise has settled. */
async function after<T>(clock: HandClock, promise: Promise<T>, atMostMs = 60_000): Promise<T> {
  const state = { done: false }
  const settled = promise.finally(() => {
    state.done = true
  })
  settled.catch(() => undefined)
  for (let passed = 0; !state.done && passed < atMostMs; passed += 10) await clock.advance(10)
  return settled
}

const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: unknown) => error,
  )

test('acknowledges at once, saves a moment later', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  const { version } = await behind.set('user:1', { name: 'Ada' })
  expect(world.table.rows.size).toBe(0)
  expect(await behind.get('user:1')).toEqual({ name: 'Ada' })
  await world.clock.advance(300)
  expect(world.table.rows.get('user:1')).toEqual({ value: { name: 'Ada' }, version })
  expect(await behind.stats()).toMatchObject({ queued: 0, parked: 0, owned: 4 })
})

test('a key that is written a hundred times is saved once, with the last value', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  const written = await Promise.all(Array.from({ length: 100 }, (_, value) => behind.set('counter', value)))
  await after(world.clock, behind.flush())
  expect(world.table.saves.map((writes) => writes.map(({ value }) => value))).toEqual([[99]])
  expect(world.table.rows.get('counter')?.version).toBe(written.at(-1)?.version)
})

test('versions grow with every write of a key, also when the clock of the engine goes backwards', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  const versions: number[] = []
  for (const jump of [0, 1000, -60_000, 5, 0]) {
    world.clock.jump(jump)
    versions.push((await behind.set('k', jump)).version)
  }
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
  await after(world.clock, behind.flush())
  expect(world.table.rows.get('k')).toEqual({ value: 0, version: versions.at(-1) })
})

test('a delete leaves a tombstone that an older write does not get past', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  await behind.set('k', 1)
  const { version } = await behind.delete('k')
  expect(await behind.get('k')).toBeUndefined()
  await after(world.clock, behind.flush())
  expect(world.table.rows.get('k')).toEqual({ value: undefined, version })
  expect(await behind.get('k')).toBeUndefined()
})

test('reads from the store what is not in the engine any more', async () => {
  const world = aWorld()
  const { behind } = await open(world, { keep: '1s' })
  await behind.set('k', 'kept')
  await after(world.clock, behind.flush())
  world.table.rows.set('k', { value: 'changed by hand', version: Number.MAX_SAFE_INTEGER })
  expect(await behind.get('k')).toBe('kept')
  await world.clock.advance(1100)
  expect(await behind.get('k')).toBe('changed by hand')
})

test('what was saved and is written again is not forgotten when its time to be read is over', async () => {
  const world = aWorld()
  const { behind } = await open(world, { keep: '1s' })
  await behind.set('k', 1)
  await after(world.clock, behind.flush())
  world.table.before = () => Promise.reject(new Error('down'))
  await behind.set('k', 2)
  await world.clock.advance(5000)
  expect(await behind.get('k')).toBe(2)
  world.table.before = () => undefined
  await after(world.clock, behind.flush())
  expect(world.table.valueOf('k')).toBe(2)
})

test('an operation that is asked for twice is done once, also after a newer write', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  const first = await behind.set('k', 'first', { operation: 'order-1' })
  expect(await behind.set('k', 'first', { operation: 'order-1' })).toEqual(first)
  await behind.set('k', 'second', { operation: 'order-2' })
  expect(await behind.set('k', 'first', { operation: 'order-1' })).toEqual(first)
  expect(await behind.get('k')).toBe('second')
  // The same operation of another key is another operation.
  await behind.set('l', 'other', { operation: 'order-1' })
  expect(await behind.get('l')).toBe('other')
})

test('fewer copies than wanted: indeterminate, and the same operation can be asked again', async () => {
  const world = aWorld()
  const { behind, engine } = await open(world, { durable: { copies: 1, within: '50ms' } })
  engine.faults.acknowledge(0)
  const error = await after(world.clock, refusal(behind.set('k', 1, { operation: 'once' })))
  expect(error).toMatchObject({ code: 'INDETERMINATE', facts: { operation: 'once', key: 'k', wanted: 1, got: 0 } })
  engine.faults.acknowledge(1)
  await behind.set('k', 1, { operation: 'once' })
  await after(world.clock, behind.flush())
  expect(world.table.valueOf('k')).toBe(1)
})

test('no answer: indeterminate; nothing sent: unavailable', async () => {
  const world = aWorld()
  const { behind, engine } = await open(world, { deadline: '1s' })
  engine.faults.freeze()
  const [sent, waiting] = [behind.set('k', 1), behind.set('k', 2)].map(refusal)
  await world.clock.advance(0)
  const late = refusal(behind.set('k', 3))
  await world.clock.advance(1100)
  expect(await sent).toMatchObject({ code: 'INDETERMINATE', facts: { key: 'k' } })
  expect(await waiting).toMatchObject({ code: 'INDETERMINATE' })
  expect(await late).toMatchObject({ code: 'UNAVAILABLE' })
  engine.faults.thaw()
})

test('a full queue makes writers wait for room, and refuses them when none comes', async () => {
  const world = aWorld()
  const { behind } = await open(world, { partitions: 1, maxQueued: 2, deadline: '1s', consume: true })
  world.table.before = () => Promise.reject(new Error('down'))
  await Promise.all([behind.set('a', 1), behind.set('b', 1)])
  // A key that is queued already needs no room.
  await behind.set('a', 2)
  const error = await after(world.clock, refusal(behind.set('c', 1)))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', facts: { key: 'c' } })
  const waiting = behind.set('d', 1)
  await world.clock.advance(100)
  world.table.before = () => undefined
  await after(
    world.clock,
    waiting.then(() => behind.flush()),
  )
  expect([...world.table.rows.keys()].sort()).toEqual(['a', 'b', 'd'])
})

test('a store that is down for a while loses nothing, and no key is put aside for it', async () => {
  const world = aWorld()
  const { behind, told } = await open(world)
  world.table.before = () => Promise.reject(new Error('connection refused'))
  for (let key = 0; key < 20; key++) await behind.set(`k${key}`, key)
  await world.clock.advance(120_000)
  expect(await behind.stats()).toMatchObject({ queued: 20, parked: 0 })
  expect(told.retry.length).toBeGreaterThan(5)
  expect(told.retry.length).toBeLessThan(60)
  world.table.before = () => undefined
  expect(await after(world.clock, behind.flush({ withinMs: 60_000 }))).toEqual({ parked: 0 })
  expect(world.table.rows.size).toBe(20)
})

const poison = (key: string) => (writes: readonly StoreWrite<unknown>[]) => {
  if (writes.some((write) => write.key === key && write.value === 'poison')) throw new Error('value too long')
}

test('a poisoned value is put aside after some tries, and holds nobody up', async () => {
  const world = aWorld()
  const { behind, told } = await open(world, { tries: 3 })
  world.table.before = poison('bad')
  await Promise.all([
    behind.set('bad', 'poison'),
    ...Array.from({ length: 30 }, (_, key) => behind.set(`k${key}`, key)),
  ])
  await world.clock.advance(1000)
  expect(world.table.rows.size).toBe(30)
  await world.clock.advance(5000)
  expect(told.parked).toMatchObject([{ key: 'bad', tries: 3 }])
  expect(await behind.deadLetters.list()).toMatchObject([
    { key: 'bad', removes: false, tries: 3, error: 'value too long', parkedAt: expect.any(Number) as number },
  ])
  expect(await behind.get('bad')).toBe('poison')
  expect(await after(world.clock, behind.flush())).toEqual({ parked: 1 })
})

test('a dead letter is replayed once the store takes it', async () => {
  const world = aWorld()
  const { behind } = await open(world, { tries: 1 })
  world.table.before = poison('bad')
  await behind.set('bad', 'poison')
  await world.clock.advance(1000)
  const [letter] = await behind.deadLetters.list()
  world.table.before = () => undefined
  expect(await behind.deadLetters.replay([letter?.id ?? ''])).toBe(1)
  await after(world.clock, behind.flush())
  expect(world.table.valueOf('bad')).toBe('poison')
  expect(await behind.deadLetters.list()).toEqual([])
  expect(await behind.deadLetters.replay([letter?.id ?? ''])).toBe(0)
})

test('a dead letter that is discarded leaves the store as it is', async () => {
  const world = aWorld()
  const { behind } = await open(world, { tries: 1 })
  await behind.set('bad', 'good')
  await after(world.clock, behind.flush())
  world.table.before = poison('bad')
  await behind.set('bad', 'poison')
  await world.clock.advance(1000)
  const [letter] = await behind.deadLetters.list()
  expect(await behind.deadLetters.discard([letter?.id ?? ''])).toBe(1)
  expect(await behind.get('bad')).toBe('good')
  expect(await behind.stats()).toMatchObject({ queued: 0, parked: 0 })
})

test('a newer write takes the place of a dead letter', async () => {
  const world = aWorld()
  const { behind } = await open(world, { tries: 1 })
  world.table.before = poison('bad')
  await behind.set('bad', 'poison')
  await world.clock.advance(1000)
  const [letter] = await behind.deadLetters.list()
  await behind.set('bad', 'good')
  expect(await behind.deadLetters.discard([letter?.id ?? ''])).toBe(0)
  await after(world.clock, behind.flush())
  expect(world.table.valueOf('bad')).toBe('good')
  expect(await behind.deadLetters.list()).toEqual([])
})

test('an error that no retry mends puts the key aside at once', async () => {
  const world = aWorld()
  const permanent = (error: unknown): boolean => error instanceof Error && error.message === 'value too long'
  const { behind, told } = await open(world, { permanent })
  world.table.before = poison('bad')
  await behind.set('bad', 'poison')
  await world.clock.advance(500)
  expect(told.parked).toMatchObject([{ key: 'bad', tries: 1 }])
})

test('a write that comes during the save of an older one is saved after it', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  await behind.set('k', 1)
  let newer: Promise<unknown> | undefined
  world.table.before = async () => {
    newer ??= behind.set('k', 2)
    await newer
  }
  await after(world.clock, behind.flush())
  await after(world.clock, behind.flush())
  expect(world.table.saves.flat().map(({ value }) => value)).toEqual([1, 2])
  expect(world.table.valueOf('k')).toBe(2)
})

test('a flush ends although its key is written again and again', async () => {
  const world = aWorld()
  const { behind } = await open(world)
  await behind.set('k', 0)
  let count = 0
  world.table.before = async () => void (await behind.set('k', ++count))
  expect(await after(world.clock, behind.flush({ withinMs: 5000 }))).toEqual({ parked: 0 })
  expect(world.table.valueOf('k')).toBeLessThan(count)
})

test('a save that is said to be lost is done again, and changes nothing', async () => {
  const world = aWorld()
  const { behind, engine, told } = await open(world)
  await behind.set('k', 1)
  // Between the save and its acknowledgement the engine is away.
  let once = true
  world.table.before = () => {
    if (once) engine.faults.die()
    once = false
  }
  await world.clock.advance(3000)
  expect(world.table.saves).toHaveLength(1)
  engine.faults.revive()
  await after(world.clock, behind.flush())
  expect(told.trouble.length).toBeGreaterThan(0)
  expect(world.table.saves.flat().map(({ version }) => version)).toEqual(
    Array(world.table.saves.length).fill(world.table.rows.get('k')?.version),
  )
  expect(world.table.saves.length).toBeGreaterThan(1)
})

test('a store that is ahead of the queue gets the acknowledged value all the same', async () => {
  const world = aWorld()
  const { behind, told } = await open(world)
  const ahead = (world.clock.now() + 3_600_000) * 1000
  world.table.rows.set('k', { value: 'of a life that the engine has forgotten', version: ahead })
  await behind.set('k', 'acknowledged')
  await after(world.clock, behind.flush())
  expect(world.table.valueOf('k')).toBe('acknowledged')
  expect(world.table.rows.get('k')?.version).toBeGreaterThan(ahead)
  expect(told.behind).toMatchObject([{ key: 'k', storeVersion: ahead }])
})

test('an engine that came back empty is noticed', async () => {
  const world = aWorld()
  const { behind, engine, told } = await open(world, { partitions: 1 })
  world.table.before = () => Promise.reject(new Error('down'))
  const { version } = await behind.set('k', 1)
  await behind.set('l', 1)
  await world.clock.advance(1000)
  engine.faults.die()
  engine.faults.revive({ empty: true })
  await world.clock.advance(5000)
  expect(told.lost).toMatchObject([{ partition: 0, because: 'the engine came back without it', keys: 2 }])
  expect(told.lost[0]?.acknowledged).toBeGreaterThan(version)
})

test('keys that were evicted are noticed, by name where there is one', async () => {
  const world = aWorld()
  const { behind, engine, told } = await open(world, { partitions: 1 })
  world.table.before = () => Promise.reject(new Error('down'))
  await behind.set('k', 1)
  await behind.set('l', 1)
  await world.clock.advance(1000)
  const send = (...command: string[]) =>
    engine.send({ commands: [command], key: null, deadlineAt: Infinity, kind: 'write' })
  await send('DEL', 'shop:w:{0}:key:k')
  await world.clock.advance(60_000)
  expect(told.lost).toMatchObject([{ partition: 0, keys: 1, key: 'k' }])
  await send('DEL', 'shop:w:{0}:queue')
  await world.clock.advance(1000)
  expect(told.lost).toHaveLength(2)
  expect(told.lost[1]).toMatchObject({ partition: 0, keys: 1 })
})

test('partitions are spread over the processes that live, and taken over from one that died', async () => {
  const world = aWorld()
  const [a, b] = [await open(world, { partitions: 8 }), await open(world, { partitions: 8 })]
  await world.clock.advance(6000)
  expect([(await a.behind.stats()).owned, (await b.behind.stats()).owned]).toEqual([4, 4])
  // As after kill -9: nothing of it reaches the engine any more.
  await b.engine.close()
  const diedAt = world.clock.monotonic()
  while ((await a.behind.stats()).owned < 8) await world.clock.advance(50)
  expect(world.clock.monotonic() - diedAt).toBeLessThanOrEqual(3500)
  await world.clock.advance(6000)
  expect(b.told.lostOwnership).toHaveLength(4)
})

test('a process that closes hands its partitions over at once', async () => {
  const world = aWorld()
  const [a, b] = [await open(world, { partitions: 8 }), await open(world, { partitions: 8 })]
  await world.clock.advance(6000)
  await after(world.clock, b.behind.close())
  await world.clock.advance(600)
  expect((await a.behind.stats()).owned).toBe(8)
  expect(await refusal(b.behind.set('k', 1))).toMatchObject({ code: 'CLOSED' })
})

test('a process that was frozen finds its lease over before it saves', async () => {
  const world = aWorld()
  const frozen = await open(world, { partitions: 1 })
  await frozen.behind.set('k', 1)
  frozen.engine.faults.delay(5000)
  await world.clock.advance(12_000)
  expect(frozen.told.lostOwnership).not.toEqual([])
  expect(world.table.saves).toEqual([])
})

test('a process that does not save leaves it to others', async () => {
  const world = aWorld()
  const writer = await open(world, { consume: false })
  await writer.behind.set('k', 1)
  await world.clock.advance(5000)
  expect(world.table.rows.size).toBe(0)
  await open(world)
  await after(world.clock, writer.behind.flush())
  expect(world.table.valueOf('k')).toBe(1)
})

test('refuses to start on an engine that would forget', async () => {
  const world = aWorld({ 'maxmemory-policy': 'allkeys-lru' })
  const { behind } = await open(world)
  const error = await refusal(behind.set('k', 1))
  expect(error).toMatchObject({ code: 'INVALID' })
  expect((error as CacheError).message).toContain('allkeys-lru')
  await expect(behind.ready).rejects.toBe(error)
  // Nobody waits for copies there, unless they are asked for.
  world.server.acknowledge(0)
  const lossy = await open(world, { lossy: true })
  await lossy.behind.set('k', 1)
})

test('refuses other options than it has, and partitions that others do not have', async () => {
  const world = aWorld()
  const wrong = { durable: false, bach: 3 } as WriteBehindOptions
  await expect(open(world, wrong)).rejects.toMatchObject({ code: 'INVALID', message: 'there is no option "bach"' })
  await expect(open(world, { durable: false })).rejects.toThrow('lossy: true')
  await expect(open(world, { deadline: '30d' })).rejects.toThrow('deadline in ms')
  await open(world, { partitions: 4 })
  const other = await open(world, { partitions: 8 })
  await expect(other.behind.ready).rejects.toThrow('partitions is 8 here and 4 in the engine')
})

test('refuses what cannot be a key, a value or an operation', async () => {
  const world = aWorld()
  const { behind } = await open(world, { maxValueBytes: 100 })
  expect(await refusal(behind.set('', 1))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.set('k', undefined))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.set('k', 'x'.repeat(100)))).toMatchObject({ code: 'TOO_LARGE', facts: { bytes: 102 } })
  expect(await refusal(behind.set('k', () => 1))).toMatchObject({ code: 'UNENCODABLE' })
  expect(await refusal(behind.set('k', 1, { operation: 'two\nlines' }))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.deadLetters.list({ limit: 0 }))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.flush({ withinMs: Number.NaN }))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.close({ withinMs: -1 }))).toMatchObject({ code: 'INVALID' })
  expect(await refusal(behind.deadLetters.replay(['nonsense']))).toMatchObject({ code: 'INVALID' })
})

test('law: whatever goes wrong in between, the table ends up with what was acknowledged last', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('set' as const, 'delete' as const), key: fc.nat(3), process: fc.nat(1) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2000) }),
    fc.record({
      kind: fc.constantFrom('down' as const, 'up' as const, 'failover' as const, 'loseReply' as const),
      process: fc.nat(1),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = aWorld()
      const processes = [await open(world), await open(world)] as const
      const acknowledged = new Map<string, { value: unknown; version: number }>()
      const versions = new Map<string, number[]>()
      let count = 0
      for (const now of steps) {
        if (now.kind === 'wait') {
          await world.clock.advance(now.ms)
          continue
        }
        const { behind, engine } = now.process === 0 ? processes[0] : processes[1]
        if (now.kind === 'down') world.table.before = () => Promise.reject(new Error('down'))
        else if (now.kind === 'up') world.table.before = () => undefined
        else if (now.kind === 'failover') engine.faults.failover()
        else if (now.kind === 'loseReply') engine.faults.loseReply(1)
        else if ('key' in now) {
          const key = `k${now.key}`
          const value = now.kind === 'set' ? ++count : undefined
          const operation = `operation-${++count}`
          const write = () =>
            value === undefined ? behind.delete(key, { operation }) : behind.set(key, value, { operation })
          // A write whose fate is unknown is asked again, as its caller would.
          const { version } = await after(world.clock, write().catch(write))
          acknowledged.set(key, { value, version })
          versions.set(key, [...(versions.get(key) ?? []), version])
        }
      }
      world.table.before = () => undefined
      await after(world.clock, processes[0].behind.flush({ withinMs: 120_000 }), 150_000)
      expect(Object.fromEntries(world.table.rows)).toEqual(Object.fromEntries(acknowledged))
      for (const seen of versions.values()) expect(seen).toEqual([...seen].sort((a, b) => a - b))
      for (const close of started.splice(0)) await close()
    }),
    { numRuns: 30 },
  )
})
