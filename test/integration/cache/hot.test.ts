/** Keys that are read more than others, cold starts, and copies that are read. */
import { afterEach, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { systemClock as clock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { openEngine } from '../../../packages/cache/src/engine/open-engine.ts'
import { slotOf } from '../../../packages/cache/src/engine/slots.ts'
import type { CacheOptions } from '../../../packages/cache/src/options.ts'
import type { EngineNode, StartedEngine } from '../../support/cache-engines.ts'
import { startCluster, startReplicated, startStandalone } from '../../support/cache-engines.ts'
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

const hosts = (addresses: StartedEngine['addresses']): string =>
  addresses.map(({ host, port }) => `${host}:${port}`).join(',')
/** A change that a loaded machine's engine was not told of in time would be a deletion later on, and no value comes of that. */
const open = (engine: StartedEngine, options: Partial<CacheOptions>, scheme = 'redis'): Cache =>
  later(
    createCache({
      url: `${scheme}://${hosts(engine.addresses)}`,
      namespace: 'h',
      ttl: '10m',
      engineDeadline: '5s',
      ...options,
    }),
  )
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const never = (): never => {
  throw new Error('there was no need to load')
}

test('a hot key is found and told of, and a scan of everything does not push it out', async () => {
  const engine = later(await startStandalone())
  const cache = open(engine, { local: { maxEntries: 200 } })
  const hot: string[] = []
  cache.listen('hot', (event) => hot.push(`${event.key} ${event.hot}`))
  await cache.setMany(Array.from({ length: 2000 }, (_, index) => [`k:${index}`, index] as const))
  await cache.set('star', 'bright')
  await eventually(
    async () => {
      await Promise.all(Array.from({ length: 200 }, () => cache.get('star')))
      return cache.hotKeys().some(({ key }) => key === 'star') && hot.length > 0
    },
    { what: 'the key is hot' },
  )
  expect(hot[0]).toContain('star')
  expect(cache.hotKeys(1)[0]).toMatchObject({ key: 'star' })
  expect(cache.hotKeys(1)[0]?.share).toBeGreaterThan(0.5)
  for (let from = 0; from < 2000; from += 100) {
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(Array.from({ length: 100 }, (_, index) => cache.get(`k:${from + index}`)))
  }
  // Two hundred entries have room, and ten times as many came by.
  expect(cache.status().local.entries).toBeLessThanOrEqual(200)
  expect(cache.peek('star')).toBe('bright')
  // And it is let go when it is hot no more.
  await eventually(() => hot.some((word) => word.endsWith('false')), { withinMs: 10_000, what: 'the key has cooled' })
})

test('a key in four copies lies on several nodes, is read from all, and a change takes all of them away', async () => {
  const cluster = later(await startCluster({ shards: 3, replicasPerShard: 0 }))
  const cache = open(cluster, { local: false, copies: 4 }, 'holdfast+cluster')
  await cache.set('star', 'old')
  const copiesOf = async (node: EngineNode): Promise<string[]> =>
    ((await node.command('KEYS', '*')) as string[]).filter((key) => key.endsWith('star}'))
  const allCopies = async (): Promise<string[][]> => Promise.all(cluster.primaries.map(copiesOf))
  let seen: string[][] = []
  await eventually(async () => {
    await Promise.all(Array.from({ length: 50 }, () => cache.get('star')))
    seen = await allCopies()
    return seen.flat().length === 3
  })
  expect(new Set([...seen.flat(), 'h:v:/star'].map(slotOf)).size).toBe(4)
  expect(seen.filter((keys) => keys.length > 0).length).toBeGreaterThan(1)
  await cache.set('star', 'new')
  expect((await allCopies()).flat()).toEqual([])
  const values = await Promise.all(Array.from({ length: 50 }, () => cache.get('star')))
  expect(new Set(values)).toEqual(new Set(['new']))
  await cache.delete('star')
  expect((await allCopies()).flat()).toEqual([])
  expect(await cache.get('star')).toBeUndefined()
})

test('what another process changed is served from no copy for longer than it lives', async () => {
  const cluster = later(await startCluster({ shards: 3, replicasPerShard: 0 }))
  const [here, there] = [
    open(cluster, { copies: 4, engineDeadline: 250 }, 'holdfast+cluster'),
    open(cluster, { copies: 4 }, 'holdfast+cluster'),
  ]
  await there.set('star', 'old', { confirm: true })
  await eventually(async () => (await here.get('star')) === 'old')
  await there.set('star', 'new', { confirm: true })
  const changedAt = clock.monotonic()
  // A copy that was just being written lives a second, and what was read from it is believed for another. What counts
  // is when a read began; one that the engine did not answer in time is answered with what is held, and says so.
  const outdated: number[] = []
  await eventually(async () => {
    const beganAt = clock.monotonic()
    const found = await Promise.all(Array.from({ length: 20 }, () => here.get('star', { meta: true })))
    if (found.some(({ value, stale }) => value !== 'new' && !stale)) outdated.push(beganAt - changedAt)
    return found.every(({ value }) => value === 'new')
  })
  expect(outdated.filter((ms) => ms >= 2500)).toEqual([])
})

test('an engine that comes back empty gets its hottest keys first, so many a second', async () => {
  const engine = later(await startStandalone())
  const cache = open(engine, { local: { maxEntries: 100 } })
  const loaded: { readonly key: string; readonly at: number }[] = []
  const warmUp = cache.warmUp(
    ({ key }) => {
      loaded.push({ key, at: clock.monotonic() })
      return `warm ${key}`
    },
    { perSecond: 100, every: 100 },
  )
  const colds: number[] = []
  cache.listen('cold', () => colds.push(clock.monotonic()))
  await cache.setMany(Array.from({ length: 300 }, (_, index) => [`k:${index}`, `value ${index}`] as const))
  // The lower the number, the hotter.
  for (let round = 0; round < 40; round++) {
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(
      Array.from({ length: 10 }, async (_, key) => (round % (key + 1) === 0 ? cache.get(`k:${key}`) : null)),
    )
  }
  await warmUp.publish()
  expect(Number(await engine.node.command('ZCARD', 'h:s:hot/'))).toBeGreaterThanOrEqual(10)
  await pause(300)
  await engine.node.restart()
  await eventually(() => loaded.length >= 10 && colds.length === 1, { what: 'it is noticed and refilled' })
  expect(loaded.slice(0, 2).map(({ key }) => key)).toEqual(['k:0', 'k:1'])
  await eventually(async () => (await engine.node.command('EXISTS', 'h:v:/k:0')) === 1)
  // A hundred a second, and not all at once: counted from when it was noticed, since the first may begin late.
  const span = (loaded[9]?.at ?? 0) - (colds[0] ?? 0)
  expect(span).toBeGreaterThan(80)
  expect(span).toBeLessThan(500)
  warmUp.stop()
})

test('a process that starts cold finds the list that others have kept', async () => {
  const engine = later(await startStandalone())
  const before = open(engine, {})
  const kept = before.warmUp(({ key }) => `loaded ${key}`, { every: '1h' })
  for (let round = 0; round < 30; round++) {
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all([before.get('first'), before.get('second'), before.get(`k:${round}`)])
  }
  await kept.publish()
  await before.close()
  const after = open(engine, {})
  const loaded: string[] = []
  const warm = await after
    .warmUp(
      ({ key }) => {
        loaded.push(key)
        return `loaded ${key}`
      },
      { most: 2, perSecond: 1000, every: '1h' },
    )
    .run()
  expect([warm, loaded.toSorted()]).toEqual([2, ['first', 'second']])
  expect(await after.getOrSet('first', never)).toBe('loaded first')
})

test('replicas are read where somebody said so, but not for what was just written here', async () => {
  const engine = later(await startReplicated())
  const openCopies = (): Cache => {
    const copies = openEngine({ topology: 'standalone', addresses: engine.addresses, track: [] }, { clock })
    return later(createCache({ engine: copies, namespace: 'h', ttl: '10m', local: false }))
  }
  const cache = openCopies()
  await cache.set('k', 'one')
  const [replica] = engine.replicas
  // What was just written is read where it was written, while the replica is behind.
  await eventually(async () => (await replica?.command('EXISTS', 'h:v:/k')) === 1)
  replica?.stop()
  await cache.set('k', 'two')
  expect(await cache.get('k', { readFrom: 'replica', meta: true })).toMatchObject({ value: 'two', source: 'primary' })
  replica?.continue()
  const other = openCopies()
  await eventually(async () => (await other.get('k', { readFrom: 'replica', meta: true })).source === 'replica')
  expect(await other.getOrSet('k', never, { readFrom: 'replica' })).toBe('two')
  // The nearest is whoever answers sooner; both have it.
  const nearest = await Promise.all(
    Array.from({ length: 20 }, () => other.get('k', { readFrom: 'nearest', meta: true })),
  )
  expect(nearest.every(({ value }) => value === 'two')).toBe(true)
  expect(await other.getOrSet('missing', () => 'loaded', { readFrom: 'replica' })).toBe('loaded')
})
