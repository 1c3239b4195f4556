import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from 'vitest'
import { type Clock, systemClock as clock } from '../../../packages/cache/src/clock.ts'
import type { Answer, Call, Command, Engine, Link } from '../../../packages/cache/src/engine/engine.ts'
import { openEngine, type Target } from '../../../packages/cache/src/engine/open-engine.ts'
import { defineScript } from '../../../packages/cache/src/engine/script.ts'
import { CacheError } from '../../../packages/cache/src/errors.ts'
import { startReplicated, startStandalone } from '../../support/cache-engines.ts'
import { startCutProxy } from '../../support/cut-proxy.ts'
import { eventually } from '../../support/eventually.ts'

const closing: { close(): unknown }[] = []
afterEach(async () => {
  for (const thing of closing.splice(0).toReversed()) await thing.close()
})

function later<T extends { close(): unknown }>(thing: T): T {
  closing.push(thing)
  return thing
}

interface Told {
  readonly changed: (readonly string[] | null)[]
  readonly links: string[]
  readonly breaker: string[]
  readonly troubles: Error[]
}

function open(target: Partial<Target>, time: Clock = clock): Engine & { readonly told: Told } {
  const engine = openEngine({ topology: 'standalone', addresses: [], track: [], ...target }, { clock: time })
  const told: Told = { changed: [], links: [], breaker: [], troubles: [] }
  engine.on('changed', (keys) => told.changed.push(keys))
  engine.on('linked', () => told.links.push('linked'))
  engine.on('unlinked', () => told.links.push('unlinked'))
  engine.on('breaker', (_node, state) => told.breaker.push(state))
  engine.on('trouble', (error) => told.troubles.push(error))
  return later(Object.assign(engine, { told }))
}

interface Terms extends Partial<Call> {
  readonly withinMs?: number
}

function send(engine: Engine, command: Command, { withinMs = 2000, ...terms }: Terms = {}): Promise<Answer> {
  const deadlineAt = clock.monotonic() + withinMs
  return engine.send({ commands: [command], key: 'k', kind: 'read', deadlineAt, ...terms })
}

const write = (engine: Engine, command: Command, terms: Terms = {}): Promise<Answer> =>
  send(engine, command, { kind: 'write', ...terms })

const get = async (engine: Engine, terms: Terms = {}): Promise<unknown> =>
  (await send(engine, ['GET', 'k'], terms)).replies[0]

/** What a call was refused with, and how long that took. */
async function refusalOf(call: Promise<unknown>): Promise<{ readonly code: string; readonly ms: number }> {
  const startedAt = clock.monotonic()
  const error = await call.then(
    (answer) => new Error(`it was answered: ${JSON.stringify(answer)}`),
    (refusal: unknown) => refusal,
  )
  if (!(error instanceof CacheError)) throw error
  return { code: error.code, ms: clock.monotonic() - startedAt }
}

const isDead = (link: Link | undefined): boolean => link !== undefined && !link.live

const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

test('a node that is killed is left alone at once, and used again when it is back', async () => {
  const { addresses, nodes } = later(await startStandalone())
  const engine = open({ addresses, track: ['k'] })
  await write(engine, ['SET', 'k', '1'])
  const { link } = await send(engine, ['GET', 'k'])
  expect(link.live).toBe(true)
  await nodes[0]?.kill()
  await eventually(() => !link.live)
  const refusal = await refusalOf(get(engine))
  expect(refusal.code).toBe('UNAVAILABLE')
  expect(refusal.ms).toBeLessThan(20)
  const patient = get(engine, { withinMs: 8000, patient: true })
  await nodes[0]?.restart()
  const backAt = clock.monotonic()
  expect(await patient).toBe(null)
  expect(clock.monotonic() - backAt).toBeLessThan(600)
  expect((await send(engine, ['GET', 'k'])).link.live).toBe(true)
  expect(engine.told.links).toEqual(['linked', 'unlinked', 'linked'])
  expect(engine.told.breaker).toEqual(['open', 'closed'])
})

test('a node that is frozen costs one deadline, and is used again when it goes on', async () => {
  const { addresses, nodes } = later(await startStandalone())
  const engine = open({ addresses })
  await write(engine, ['SET', 'k', '1'])
  for (const frozenMs of [400, 2500]) {
    nodes[0]?.stop()
    const first = await refusalOf(get(engine, { withinMs: 250 }))
    expect(first.code).toBe('UNAVAILABLE')
    expect(first.ms).toBeLessThan(300)
    expect((await refusalOf(get(engine, { withinMs: 250 }))).ms).toBeLessThan(20)
    await pause(frozenMs - 300)
    nodes[0]?.continue()
    const onAt = clock.monotonic()
    await eventually(async () => (await get(engine)) === '1')
    expect(clock.monotonic() - onAt).toBeLessThan(700)
  }
})

test('the fate of a write that nobody answered is unknown, unless it may be done twice', async () => {
  const { addresses, nodes } = later(await startStandalone())
  const engine = open({ addresses })
  await write(engine, ['SET', 'k', '1'])
  nodes[0]?.stop()
  const once = refusalOf(write(engine, ['INCR', 'k'], { withinMs: 5000, patient: true }))
  const often = write(engine, ['SET', 'other', '2'], { withinMs: 8000, patient: true, idempotent: true })
  const short = refusalOf(write(engine, ['INCR', 'k'], { withinMs: 100 }))
  expect((await short).code).toBe('INDETERMINATE')
  expect((await once).code).toBe('INDETERMINATE')
  nodes[0]?.continue()
  expect((await often).replies).toEqual(['OK'])
  // Both reached it.
  expect(await get(engine)).toBe('3')
})

test('a stall of our own is not taken for a silence of the node', async () => {
  const { addresses } = later(await startStandalone())
  const engine = open({ addresses })
  await write(engine, ['SET', 'k', '1'])
  const reads = Array.from({ length: 50 }, () => get(engine, { withinMs: 100 }))
  await new Promise((resolve) => setImmediate(resolve))
  for (const until = clock.monotonic() + 400; clock.monotonic() < until; );
  expect(await Promise.all(reads)).toEqual(Array.from({ length: 50 }, () => '1'))
  expect(engine.told.breaker).toEqual([])
})

test('a wrong password is one trouble, and callers hear of it at once', async () => {
  const { addresses } = later(await startStandalone({ password: 'right' }))
  const engine = open({ addresses, password: 'wrong' })
  expect((await refusalOf(get(engine))).code).toBe('DENIED')
  const again = await refusalOf(get(engine, { patient: true, withinMs: 5000 }))
  expect(again.code).toBe('DENIED')
  expect(again.ms).toBeLessThan(50)
  await pause(300)
  expect(engine.told.troubles).toHaveLength(1)
  expect(String(engine.told.troubles[0])).toContain('WRONGPASS')
  expect(String(engine.told.troubles[0])).not.toContain('wrong')
  const none = open({ addresses })
  expect((await refusalOf(get(none))).code).toBe('DENIED')
})

test('a user who may not listen for changes works without, and that is said once', async () => {
  const users = ['user app on >secret ~* &* +@all -client|tracking']
  const { addresses, nodes } = later(await startStandalone({ users }))
  const engine = open({ addresses, track: ['k'], user: 'app', password: 'secret' })
  const { link } = await write(engine, ['SET', 'k', '1'])
  expect(link.live).toBe(false)
  expect(engine.told.troubles).toHaveLength(1)
  expect(String(engine.told.troubles[0])).toContain('CLIENT TRACKING')
  await nodes[0]?.restart()
  expect(await get(engine, { patient: true, withinMs: 5000 })).toBe(null)
  expect(engine.told.troubles).toHaveLength(1)
})

test('a user who may not say hello is spoken to in the old protocol', async () => {
  const users = ['user default on nopass ~* &* +@all -hello']
  const { addresses } = later(await startStandalone({ users }))
  const engine = open({ addresses, track: ['k'] })
  await write(engine, ['SET', 'k', '1'])
  expect(await get(engine, { bytes: true })).toEqual(Buffer.from('1'))
})

test('changes by others are told once and together, and our own are not', async () => {
  const { addresses } = later(await startStandalone())
  const [engine, other] = [open({ addresses, track: ['a:', 'b:'] }), open({ addresses })]
  await write(engine, ['SET', 'a:own', '1'])
  await write(other, ['SET', 'c:1', '1'])
  await write(other, ['MSET', 'a:1', '1', 'b:1', '1', 'c:2', '1'])
  await eventually(() => engine.told.changed.length > 0)
  expect(engine.told.changed.map((keys) => keys?.toSorted())).toEqual([['a:1', 'b:1']])
  await write(other, ['FLUSHALL'])
  await eventually(() => engine.told.changed.includes(null))
})

test('a link dies with its connection, and another one begins', async () => {
  const { addresses } = later(await startStandalone())
  const proxy = later(await startCutProxy(addresses[0] as { host: string; port: number }))
  const engine = open({ addresses: [proxy.address], track: ['k'] })
  const links: Link[] = []
  engine.on('linked', (link) => links.push(link))
  await write(engine, ['SET', 'k', '1'])
  proxy.cut()
  await eventually(() => isDead(links[0]))
  await proxy.heal()
  await eventually(() => links[1]?.live ?? false)
  expect(await get(engine)).toBe('1')
  // A link that swallows everything is noticed by its silence, without anybody asking.
  proxy.blackhole()
  await eventually(() => isDead(links[1]), { withinMs: 3000 })
  await proxy.heal()
  await eventually(() => links[2]?.live ?? false)
  expect(proxy.open).toBe(1)
})

test('a node that was demoted is asked again until it takes writes', async () => {
  const { nodes } = later(await startReplicated())
  const [primary, replica] = nodes
  const engine = open({ addresses: [primary?.address ?? { host: '', port: 0 }] })
  await engine.lane('durable').send({
    commands: [
      ['SET', 'k', '1'],
      ['WAIT', '1', '2000'],
    ],
    key: 'k',
    kind: 'write',
    deadlineAt: clock.monotonic() + 3000,
  })
  await replica?.command('REPLICAOF', 'NO', 'ONE')
  await primary?.command('REPLICAOF', '127.0.0.1', `${replica?.address.port}`)
  expect((await refusalOf(write(engine, ['SET', 'k', '2'], { withinMs: 100 }))).code).toBe('UNAVAILABLE')
  const written = write(engine, ['INCR', 'k'], { withinMs: 3000 })
  await pause(200)
  await primary?.command('REPLICAOF', 'NO', 'ONE')
  expect((await written).replies).toEqual([2])
})

test('a node that reads its files is waited for', async () => {
  const settings = { 'key-load-delay': '2000', save: '3600 1000000' }
  const { addresses, nodes } = later(await startStandalone({ settings }))
  const engine = open({ addresses })
  for (let number = 0; number < 400; number++) void write(engine, ['SET', `key:${number}`, 'v'])
  await write(engine, ['SET', 'k', '1'])
  await write(engine, ['SAVE'])
  const back = nodes[0]?.restart()
  expect(await get(engine, { patient: true, withinMs: 8000 })).toBe('1')
  await back
})

test('a full node refuses writes after a while, and reads go on', async () => {
  const { addresses, nodes } = later(await startStandalone({ settings: { 'maxmemory-policy': 'noeviction' } }))
  const engine = open({ addresses })
  await write(engine, ['SET', 'k', '1'])
  await nodes[0]?.command('CONFIG', 'SET', 'maxmemory', '100kb')
  const refusal = await refusalOf(write(engine, ['SET', 'k', '2'], { withinMs: 150 }))
  expect(refusal.code).toBe('UNAVAILABLE')
  expect(refusal.ms).toBeGreaterThan(140)
  expect(await get(engine)).toBe('1')
  const written = write(engine, ['INCR', 'k'], { withinMs: 3000 })
  await pause(50)
  await nodes[0]?.command('CONFIG', 'SET', 'maxmemory', '0')
  expect((await written).replies).toEqual([2])
})

test('scripts are sent by their digest and loaded where they are missing', async () => {
  const { addresses } = later(await startStandalone())
  const engine = open({ addresses })
  const script = defineScript({
    name: 'add',
    lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    inMemory: () => null,
  })
  const add = (by: string): Command => ({ script, keys: ['k'], args: [by] })
  expect((await write(engine, add('1'))).replies).toEqual([1])
  await send(engine, ['SCRIPT', 'FLUSH'])
  expect((await write(engine, add('2'), { commands: [['MULTI'], add('2'), add('3'), ['EXEC']] })).replies).toEqual([
    'OK',
    'QUEUED',
    'QUEUED',
    [3, 6],
  ])
  await send(engine, ['SCRIPT', 'FLUSH'])
  // Known to be loaded, and gone: nothing was done, so all of it is sent again.
  const both = await write(engine, add('4'), { commands: [add('4'), ['WAIT', '0', '1']] })
  expect(both.replies).toEqual([10, 0])
})

test('an error says the command and the node, and nothing of keys and values', async () => {
  const { addresses } = later(await startStandalone())
  const engine = open({ addresses })
  const secret = 'a-cached-value'
  await write(engine, ['SET', 'k', secret])
  for (const command of [
    ['UNHEARD', secret],
    ['INCR', 'k'],
    ['SET', 'k', secret, secret],
  ]) {
    const error = await write(engine, command).catch((refusal: unknown) => refusal)
    expect(error).toMatchObject({ code: 'REFUSED', facts: { command: command[0] } })
    expect(`${String(error)} ${String((error as Error).cause)}`).not.toContain(secret)
  }
})

test('speaks TLS, as a user, to a database with a number', async () => {
  const { addresses, ca } = later(await startStandalone({ tls: true, users: ['user app on >secret ~* &* +@all'] }))
  const terms = { addresses, user: 'app', password: 'secret', tls: { ca: ca ?? '' }, track: ['k'] }
  const [first, second] = [open({ ...terms, db: 1 }), open(terms)]
  await write(first, ['SET', 'k', 'of 1'])
  expect(await get(first)).toBe('of 1')
  expect(await get(second)).toBe(null)
  const { link } = await send(first, ['GET', 'k'])
  expect(link.live).toBe(true)
  // The certificate is not one that the system trusts.
  expect((await refusalOf(get(open({ ...terms, tls: true })))).code).toBe('UNAVAILABLE')
})

test('a lane waits without anybody behind it', async () => {
  const { addresses } = later(await startStandalone())
  const engine = open({ addresses })
  const lane = engine.lane('waits')
  expect(engine.lane('waits')).toBe(lane)
  const popped = write(lane, ['BLPOP', 'k', '10'], { withinMs: 8000 })
  // Longer than the silence that a connection with data is allowed.
  await pause(1800)
  const startedAt = clock.monotonic()
  await write(engine, ['RPUSH', 'k', 'v'])
  expect(clock.monotonic() - startedAt).toBeLessThan(200)
  expect((await popped).replies).toEqual([['k', 'v']])
})

test('messages are heard again after the connection was lost, and the gap is told', async () => {
  const { addresses } = later(await startStandalone())
  const proxy = later(await startCutProxy(addresses[0] as { host: string; port: number }))
  const [engine, other] = [open({ addresses: [proxy.address] }), open({ addresses })]
  const texts: string[] = []
  const gaps: string[] = []
  const hear = { message: ({ text }: { text: string }) => texts.push(text), gap: (why: string) => gaps.push(why) }
  const subscription = await engine.subscribe(['news', 'more'], hear)
  await send(other, ['PUBLISH', 'news', '1'])
  await eventually(() => texts.length === 1)
  proxy.reset()
  await eventually(() => gaps.includes('listening again'))
  await send(other, ['PUBLISH', 'more', '2'])
  await eventually(() => texts.length === 2)
  expect(texts).toEqual(['1', '2'])
  await subscription.close()
  await eventually(async () => (await send(other, ['PUBLISH', 'news', '3'])).replies[0] === 0)
})

test('the queue for a node has a bound', async () => {
  const { addresses, nodes } = later(await startStandalone())
  const engine = open({ addresses, maxPendingPerNode: 10 })
  await write(engine, ['SET', 'k', '1'])
  nodes[0]?.stop()
  const codes = await Promise.all(Array.from({ length: 25 }, () => refusalOf(get(engine, { withinMs: 200 }))))
  nodes[0]?.continue()
  expect(codes.filter(({ ms }) => ms < 50)).toHaveLength(15)
})

test('a closed engine says so to those who wait and to those who come', async () => {
  const { addresses, nodes } = later(await startStandalone())
  const engine = open({ addresses })
  await write(engine, ['SET', 'k', '1'])
  await nodes[0]?.kill()
  await eventually(async () => (await refusalOf(get(engine))).code === 'UNAVAILABLE')
  const waiting = refusalOf(get(engine, { patient: true, withinMs: 5000 }))
  await engine.close()
  expect((await waiting).code).toBe('CLOSED')
  expect((await refusalOf(get(engine))).code).toBe('CLOSED')
})

test('hundreds of reconnections leave one connection and no memory behind', async () => {
  const { addresses } = later(await startStandalone())
  const proxy = later(await startCutProxy(addresses[0] as { host: string; port: number }))
  // Pauses are shortened, so that there can be many.
  const hasty: Clock = { ...clock, after: (ms, call) => clock.after(ms < 60 ? 1 : ms, call) }
  const engine = open({ addresses: [proxy.address], track: ['k'] }, hasty)
  const reconnect = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const { link } = await send(engine, ['GET', 'k'], { patient: true })
      proxy.reset()
      while (link.live) await pause(1)
    }
  }
  await reconnect(50)
  // A leak grows in every round; what V8 keeps for itself (code, caches) in one of them.
  const rounds: number[] = []
  for (let round = 0; round < 3; round++) {
    const before = settledHeap()
    await reconnect(200)
    rounds.push((settledHeap() - before) / 200)
  }
  const perReconnection = Math.min(...rounds)
  await send(engine, ['GET', 'k'], { patient: true })
  expect(proxy.open).toBe(1)
  console.log(`${Math.round(perReconnection)} bytes are left of each reconnection`)
  expect(perReconnection).toBeLessThan(1000)
})

function settledHeap(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
