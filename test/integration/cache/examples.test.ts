import { afterEach, describe, expect, test } from 'vitest'
import { cartOf, sayWhy } from '../../../examples/cache/cart.ts'
import { catalogue, type Product } from '../../../examples/cache/catalogue.ts'
import { chatRoom, type Line } from '../../../examples/cache/chat.ts'
import { addJob, deadJobs, startWorker } from '../../../examples/cache/jobs.ts'
import { leaderboard } from '../../../examples/cache/leaderboard.ts'
import { rateLimiter } from '../../../examples/cache/rate-limiter.ts'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import type { Address } from '../../../packages/cache/src/engine/topology.ts'
import { CacheError } from '../../../packages/cache/src/errors.ts'
import { type StartedEngine, startCluster, startReplicated, startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function started<E extends StartedEngine>(start: Promise<E>): Promise<E> {
  const engine = await start
  closing.push(() => engine.close())
  return engine
}

function open(addresses: readonly Address[], topology: 'standalone' | 'cluster' = 'standalone'): Cache {
  const hosts = addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const cache = createCache({ url: `holdfast+${topology}://${hosts}`, namespace: 'shop' })
  closing.push(() => cache.close())
  return cache
}

/** The connections of one kind are cut again and again while something is done. */
async function whileCut<T>(engine: StartedEngine, kind: 'normal' | 'pubsub', work: () => Promise<T>): Promise<T> {
  const cutting = { goesOn: true }
  const cuts = (async () => {
    while (cutting.goesOn) {
      await engine.nodes[0]?.command('CLIENT', 'KILL', 'TYPE', kind)
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
  })()
  try {
    return await work()
  } finally {
    cutting.goesOn = false
    await cuts
  }
}

describe('the rate limiter', () => {
  test('lets in what was said in any window, and counts a repeated request once', async () => {
    const node = await started(startStandalone())
    const limiter = rateLimiter(open(node.addresses), { limit: 5, windowMs: 400 })
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => limiter.take('::1')))
    expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(5)
    expect(verdicts.at(-1)?.retryAfterMs).toBeGreaterThan(0)
    await eventually(async () => (await limiter.take('::1', 'same')).allowed)
    const again = await Promise.all([limiter.take('::1', 'same'), limiter.take('::1', 'same')])
    expect(again.map(({ allowed }) => allowed)).toEqual([true, true])
    expect((await limiter.take('somebody else')).remaining).toBe(4)
  })

  test('says what happens when the engine is away', async () => {
    const node = await started(startStandalone())
    const cache = open(node.addresses)
    await node.nodes[0]?.kill()
    const at = (whenAway: 'allow' | 'deny') => rateLimiter(cache, { limit: 1, windowMs: 1000, whenAway }).take('x')
    const [allow, deny] = await Promise.all([at('allow'), at('deny')])
    expect([allow.allowed, deny.allowed]).toEqual([true, false])
  })
})

test('the leaderboard adds once and finds the best of all shards', async () => {
  const node = await started(startStandalone())
  const board = leaderboard(open(node.addresses), { name: 's', shards: 4 })
  const players = Array.from({ length: 40 }, (_, index) => `p${index}`)
  await whileCut(node, 'normal', async () => {
    for (let round = 0; round < 5; round++) {
      await Promise.all(players.map((player, index) => board.add(player, index)))
    }
  })
  await board.add('p1', 1000, { operation: 'match' })
  await board.add('p1', 1000, { operation: 'match' })
  expect(await board.top(3)).toEqual([
    { player: 'p1', points: 1005 },
    { player: 'p39', points: 195 },
    { player: 'p38', points: 190 },
  ])
  expect(await board.pointsOf('p7')).toBe(35)
  expect(await board.pointsOf('nobody')).toBeUndefined()
})

test('the cart doubles nothing and is checked out once', async () => {
  const nodes = await started(startReplicated())
  const cart = cartOf(open(nodes.addresses.slice(0, 1)), 'ada{}', { copies: 1 })
  expect(await cart.add('apple', 2, { operation: 'click-1' })).toBe(2)
  expect(await cart.add('apple', 2, { operation: 'click-1' })).toBe(2)
  expect(await cart.add('apple', 1000)).toBe(99)
  expect(await cart.add('pear', 1)).toBe(1)
  expect(await cart.add('pear', -5)).toBe(0)
  expect(await cart.items()).toEqual({ apple: 99 })
  expect(await cart.checkOut('order-1')).toEqual({ apple: 99 })
  expect(await cart.checkOut('order-1')).toEqual({ apple: 99 })
  expect(await cart.items()).toEqual({})
  expect(sayWhy(new CacheError('INDETERMINATE', ''))).toContain('not sure')
})

test('the chat shows every line once and in order, although its listeners are cut off', async () => {
  const node = await started(startStandalone())
  const [here, there] = [open(node.addresses), open(node.addresses)]
  const heard: Line[] = []
  const gaps: string[] = []
  const leave = await chatRoom(here, 'lobby').join({
    message: (line) => heard.push(line),
    missing: (because) => gaps.push(because),
  })
  const said = Array.from({ length: 60 }, (_, index) => `line ${index}`)
  await whileCut(node, 'pubsub', async () => {
    for (const text of said) {
      await chatRoom(there, 'lobby').say('ada', text)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })
  await eventually(() => heard.length >= said.length, { what: 'all lines were shown' })
  expect(heard.map(({ text }) => text)).toEqual(said)
  expect(gaps.length).toBeGreaterThan(0)
  expect((await chatRoom(there, 'lobby').last(2)).map(({ text }) => text)).toEqual(said.slice(-2))
  await leave()
})

test('jobs are done although workers die and connections are cut, and what always fails is put aside', async () => {
  const node = await started(startStandalone())
  const cache = open(node.addresses)
  const add = (index: number) => addJob(cache, 'mails', { to: `${index}` }, { copies: 0, operation: `mail-${index}` })
  await Promise.all(Array.from({ length: 30 }, (_, index) => add(index)))
  await add(0)
  const done: string[] = []
  const failedOnce = new Set<string>()
  const work = async ({ to = '' }: Readonly<Record<string, string>>): Promise<void> => {
    if (to === '13') throw new Error('never')
    if (Number(to) % 5 === 0 && !failedOnce.has(to)) {
      failedOnce.add(to)
      throw new Error('the first time')
    }
    done.push(to)
  }
  // Somebody took some jobs and was never seen again.
  const jobs = cache.on('{jobs:mails}')
  await jobs.call(['XGROUP', 'CREATE', jobs.key('waiting'), 'workers', '0', 'MKSTREAM'])
  await jobs.call(['XREADGROUP', 'GROUP', 'workers', 'dead', 'COUNT', 7, 'STREAMS', jobs.key('waiting'), '>'])
  const workers = ['a', 'b'].map((name) => startWorker(cache, 'mails', { name, work, retryAfterMs: 300, tries: 3 }))
  await whileCut(node, 'normal', () => eventually(() => done.length > 10, { what: 'some jobs are done' }))
  const settled = async () => new Set(done).size === 29 && (await deadJobs(cache, 'mails')).length === 1
  await eventually(settled, { withinMs: 15_000, what: 'all jobs are done or put aside' })
  await Promise.all(workers.map((worker) => worker.close()))
  const [dead] = await deadJobs(cache, 'mails')
  expect(dead?.fields).toMatchObject({ to: '13' })
  expect(await jobs.call(['XLEN', jobs.key('waiting')])).toBe(0)
})

test('the catalogue shows what was known when the database is away, and changes at once', async () => {
  const node = await started(startStandalone())
  const [{ host, port } = { host: '', port: 0 }] = node.addresses
  const caches = [1, 2].map(() => createCache({ url: `redis://${host}:${port}`, namespace: 'shop', ttl: '5m' }))
  closing.push(() => Promise.all(caches.map((cache) => cache.close())))
  const table = new Map<string, Product>()
  const down = { is: false }
  let loads = 0
  const look = <T>(value: T): Promise<T> => {
    loads += 1
    return down.is ? Promise.reject(new Error('the database is down')) : Promise.resolve(value)
  }
  const database = {
    find: (id: string) => look(table.get(id)),
    inCategory: (category: string) => look([...table.values()].filter((product) => product.category === category)),
    save: async (product: Product) => void table.set(product.id, product),
  }
  const [here, there] = caches.map((cache) => catalogue(cache, database)) as [
    ReturnType<typeof catalogue>,
    ReturnType<typeof catalogue>,
  ]
  const apple = { id: 'apple', name: 'Apple', category: 'fruit', priceCents: 50 }
  await here.change(apple)
  await Promise.all(Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? here : there).find('apple')))
  expect(loads).toBe(1)
  expect(await there.category('fruit')).toEqual([apple])
  await here.change({ ...apple, priceCents: 60 })
  await eventually(async () => (await there.category('fruit'))[0]?.priceCents === 60)
  expect((await there.find('apple')).product?.priceCents).toBe(60)
  // The page is read over and over, and then it is held here.
  await eventually(async () => {
    await there.find('apple')
    return caches[1]?.namespace('products').peek('apple') !== undefined
  })
  down.is = true
  await node.nodes[0]?.kill()
  expect((await there.find('apple')).product?.priceCents).toBe(60)
})

test('a primary of a Cluster dies: carts, boards and jobs go on without an error', async () => {
  const cluster = await started(startCluster({ nodeTimeoutMs: 1000 }))
  const cache = open(cluster.addresses, 'cluster')
  const board = leaderboard(cache, { name: 's', shards: 6 })
  const errors: unknown[] = []
  const done = new Set<string>()
  const work = async ({ to = '' }: Readonly<Record<string, string>>) => void done.add(to)
  const queues = ['a', 'b', 'c', 'd', 'e', 'f']
  const onError = (error: unknown) => void errors.push(error)
  const workers = queues.map((queue) => startWorker(cache, queue, { name: 'w', work, retryAfterMs: 500, onError }))
  const load = { goesOn: true }
  let rounds = 0
  const playing = Array.from({ length: 12 }, async (_, player) => {
    for (let round = 1; load.goesOn; round++) {
      expect(await board.add(`p${player}`, 1)).toBe(round)
      expect(await cartOf(cache, `u${player}`).add('apple', round % 2 === 0 ? -1 : 1)).toBe(round % 2)
      await addJob(cache, queues[player % 6] ?? '', { to: `${player}-${round}` }, { copies: 0 })
      rounds += 1
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
  await eventually(() => rounds > 100)
  await cluster.primaries[0]?.kill()
  const role = async () => String(await cluster.replicas[0]?.command('INFO', 'replication'))
  await eventually(async () => /^role:master/m.test(await role()))
  const before = rounds
  await eventually(() => rounds > before + 300)
  load.goesOn = false
  await Promise.all(playing)
  await eventually(() => done.size === rounds, { what: 'all jobs are done' })
  await Promise.all(workers.map((worker) => worker.close()))
  expect(errors).toEqual([])
})
