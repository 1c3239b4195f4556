/** What a process serves from its own memory while others change things and the links that would tell it are in trouble. */
import { afterEach, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { systemClock as clock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { withMessages } from '../../../packages/cache/src/engine/messages.ts'
import { openEngine } from '../../../packages/cache/src/engine/open-engine.ts'
import type { Address } from '../../../packages/cache/src/engine/topology.ts'
import type { CacheOptions } from '../../../packages/cache/src/options.ts'
import { startCluster, startStandalone } from '../../support/cache-engines.ts'
import { type CutProxy, startCutProxy } from '../../support/cut-proxy.ts'
import { eventually } from '../../support/eventually.ts'

const closing: { close(): unknown }[] = []
afterEach(async () => {
  for (const thing of closing.splice(0).toReversed()) {
    // oxlint-disable-next-line no-await-in-loop
    await thing.close()
  }
})

function later<T extends { close(): unknown }>(thing: T): T {
  closing.push(thing)
  return thing
}

let spaces = 0
const urlOf = ({ host, port }: Address): string => `redis://${host}:${port}`
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const never = (): never => {
  throw new Error('there was no need to load')
}

interface Pair {
  /** Behind the link that can be cut. */
  readonly here: Cache
  readonly there: Cache
  readonly proxy: CutProxy
}

const keys = Array.from({ length: 1000 }, (_, index) => `k:${index}`)
const changed = keys.filter((_, index) => index % 10 === 0)

/** Two caches, and a thousand keys held by the first. */
async function warmPair(options: Partial<CacheOptions> = {}): Promise<Pair> {
  const { node } = later(await startStandalone())
  const proxy = later(await startCutProxy(node.address))
  const common = { namespace: `c${process.pid}-${spaces++}`, ttl: '10m', jitter: 0, ...options } as const
  const here = later(createCache({ url: urlOf(proxy.address), ...common }))
  const there = later(createCache({ url: urlOf(node.address), ...common }))
  await there.setMany(keys.map((key) => [key, `old ${key}`]))
  await held(here)
  return { here, there, proxy }
}

const readAll = (cache: Cache, some: readonly string[]): Promise<unknown[]> =>
  Promise.all(some.map((key) => cache.getOrSet(key, never)))

/** What was told of while it was read is not kept: it is read again. */
async function held(cache: Cache): Promise<void> {
  await eventually(async () => {
    await cache.getMany(keys)
    return keys.every((key) => cache.peek(key) !== undefined)
  })
}

test('a link that was cut for 600 ms leaves nothing stale behind, and nearly all that was held', async () => {
  const { here, there, proxy } = await warmPair()
  proxy.cut()
  await there.setMany(changed.map((key) => [key, `new ${key}`]))
  await pause(600)
  // Until the link is back nobody can know; what is held is served, and said to be doubtful.
  expect(await here.get('k:0', { meta: true })).toMatchObject({ value: 'old k:0', stale: true })
  const before = { ...here.counters }
  const linked = new Promise<void>((resolve) => here.listen('link', ({ up }) => up && resolve()))
  await proxy.heal()
  await linked
  await eventually(async () => (await here.get('k:0')) === 'new k:0', { withinMs: 1000 })
  await eventually(() => keys.every((key) => changed.includes(key) || here.peek(key) === `old ${key}`), {
    withinMs: 1000,
    what: 'all that did not change is good again',
  })
  const values = await readAll(here, keys)
  expect(values).toEqual(keys.map((key) => (changed.includes(key) ? `new ${key}` : `old ${key}`)))
  // Only what had changed was read again; of the rest a version was compared.
  expect(here.counters.engineHits - before.engineHits).toBeLessThanOrEqual(changed.length)
  expect(here.counters.loads - before.loads).toBe(0)
})

test('a reader who comes first after the cut gets nothing stale, even before anything was compared', async () => {
  const { here, there, proxy } = await warmPair()
  proxy.reset()
  await there.set('k:7', 'new')
  await eventually(async () => !(await here.get('k:8', { meta: true })).stale)
  expect(await here.get('k:7')).toBe('new')
})

test('a link through which nothing comes is noticed, and what it told of is in doubt', async () => {
  const { here, there, proxy } = await warmPair()
  const downs: string[] = []
  here.listen('link', ({ up, because }) => up || downs.push(because))
  proxy.blackhole()
  const heldAt = clock.monotonic()
  await there.set('k:3', 'new')
  await eventually(async () => (await here.get('k:3', { meta: true })).stale, { withinMs: 3000 })
  // A ping after half a second of silence, and a second for its answer.
  expect(clock.monotonic() - heldAt).toBeLessThan(2000)
  expect(downs).toHaveLength(1)
  await proxy.heal()
  await eventually(async () => (await here.get('k:3')) === 'new', { withinMs: 1500 })
})

test('what was told of while it was being read is not kept', async () => {
  const { here, there, proxy } = await warmPair()
  const errors: number[] = []
  for (let round = 0; round < 20; round++) {
    const key = `fresh:${round}`
    await there.set(key, 'old')
    proxy.delayMs = 15
    const reading = here.get(key)
    await pause(20 + round)
    await there.set(key, 'new')
    await reading
    proxy.delayMs = 0
    // However the answer and the word of the change met.
    await eventually(async () => (await here.get(key)) === 'new', { withinMs: 500 }).catch(() => errors.push(round))
  }
  expect(errors).toEqual([])
})

test('what was changed while it was loaded is not kept, here or in the engine', async () => {
  const { here, there, proxy } = await warmPair()
  proxy.delayMs = 10
  let finish: (value: string) => void = () => {}
  const loading = here.getOrSet('loaded', () => new Promise<string>((resolve) => (finish = resolve)))
  await eventually(() => finish.length === 1)
  const setting = there.set('loaded', 'set elsewhere')
  finish('loaded here')
  await Promise.all([loading, setting])
  await eventually(async () => (await here.get('loaded')) === 'set elsewhere')
  expect(await there.get('loaded')).toBe('set elsewhere')
})

test('tags that changed during a cut are known after it', async () => {
  const { here, there, proxy } = await warmPair()
  await there.set('user:1', 'old', { tags: ['users'] })
  await there.set('order:1', 'kept', { tags: ['orders'] })
  await eventually(async () => {
    await here.getMany(['user:1', 'order:1'])
    return here.peek('user:1') === 'old' && here.peek('order:1') === 'kept'
  })
  proxy.cut()
  await there.invalidateTags(['users'])
  const reads = here.counters.engineHits
  await proxy.heal()
  await eventually(async () => (await here.get('user:1')) === undefined, { withinMs: 1500 })
  expect([await here.getOrSet('order:1', never), await here.getOrSet('k:1', never)]).toEqual(['kept', 'old k:1'])
  expect(here.counters.engineHits - reads).toBe(0)
})

test('a clear during a cut is known after it, and nothing of before comes back', async () => {
  const { here, there, proxy } = await warmPair()
  proxy.cut()
  await there.clear()
  await proxy.heal()
  await eventually(async () => (await here.get('k:1')) === undefined, { withinMs: 1500 })
  const values = await here.getMany(keys)
  expect(values.every((value) => value === undefined)).toBe(true)
  expect(await here.getOrSet('k:1', () => 'after')).toBe('after')
})

test('tags that are invalidated while others read them are never seen with their old number afterwards', async () => {
  const { here, there } = await warmPair()
  const stale: string[] = []
  for (let round = 0; round < 60; round++) {
    const tag = `t${round}`
    await there.set('tagged', `old ${round}`, { tags: [tag] })
    const writer = round % 2 === 0 ? there : here
    await Promise.all([here.get('tagged'), writer.invalidateTags([tag]), here.get('tagged')])
    await pause(3)
    const seen = await here.get<string>('tagged')
    if (seen !== undefined) stale.push(`round ${round}: ${seen}`)
  }
  expect(stale).toEqual([])
})

test('the primary that takes over is listened to before anything is read from it', async () => {
  const cluster = later(await startCluster({ shards: 3, replicasPerShard: 1, nodeTimeoutMs: 1000 }))
  const url = `holdfast+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
  const common = { url, namespace: `c${process.pid}-${spaces++}`, ttl: '10m' } as const
  const [here, there] = [later(createCache(common)), later(createCache(common))]
  await there.setMany(keys.map((key) => [key, 'old']))
  await held(here)
  // Asked of the replica, so that the old primary lives on and its keys move without a word from it.
  await cluster.replicas[0]?.command('CLUSTER', 'FAILOVER')
  const stale = new Set<string>()
  for (let round = 0; round < 30; round++) {
    const key = `k:${round * 7}`
    await eventually(async () => (await there.set(key, `new ${round}`)) === 'stored')
    await eventually(async () => (await here.get(key)) === `new ${round}`, { withinMs: 1000 }).catch(() =>
      stale.add(key),
    )
    await pause(20)
  }
  expect([...stale]).toEqual([])
  await eventually(() => keys.filter((key) => here.peek(key) !== undefined).length > 900, { withinMs: 2000 })
})

test('where changes are told by messages, a cut costs no more, and nothing stays stale', async () => {
  const { node } = later(await startStandalone())
  const proxy = later(await startCutProxy(node.address))
  const namespace = `c${process.pid}-${spaces++}`
  const openTold = (address: Address, sender: string): Cache => {
    const plain = openEngine({ topology: 'standalone', addresses: [address], track: [] }, { clock })
    const engine = withMessages(plain, { channel: `${namespace}:changes`, clock, sender })
    return later(createCache({ engine, namespace, ttl: '10m', jitter: 0 }))
  }
  const [here, there] = [openTold(proxy.address, 'here'), openTold(node.address, 'there')]
  let links = 0
  here.listen('link', ({ up }) => {
    if (up) links++
  })
  await eventually(() => links === 1, { what: 'others would be heard' })
  await there.setMany(keys.map((key) => [key, `old ${key}`]))
  await held(here)
  await there.set('k:1', 'told')
  await eventually(async () => (await here.get('k:1')) === 'told', { withinMs: 1000 })
  proxy.cut()
  await there.setMany(changed.map((key) => [key, `new ${key}`]))
  await pause(600)
  const reads = here.counters.engineHits
  await proxy.heal()
  await eventually(
    async () => (await readAll(here, changed)).every((value, index) => value === `new ${changed[index]}`),
    { withinMs: 2500, what: 'nothing is stale' },
  )
  await eventually(async () => !(await here.get('k:2', { meta: true })).stale, { withinMs: 3000 })
  expect(await readAll(here, keys)).toEqual(
    keys.map((key) => (changed.includes(key) ? `new ${key}` : key === 'k:1' ? 'told' : `old ${key}`)),
  )
  expect(here.counters.engineHits - reads).toBeLessThanOrEqual(changed.length * 1.5)
})
