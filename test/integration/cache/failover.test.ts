/** An application that reads, fills and counts while the engine's own failover goes on: it hears of nothing. */
import { afterEach, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { systemClock as clock } from '../../../packages/cache/src/clock.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import type { StartedEngine } from '../../support/cache-engines.ts'
import { startCluster, startSentinel } from '../../support/cache-engines.ts'
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

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const hosts = (addresses: StartedEngine['addresses']): string =>
  addresses.map(({ host, port }) => `${host}:${port}`).join(',')

/** Several hundred reads and fills a second, and ten increments of each counter, until it is told to stop. */
class Load {
  readonly errors: unknown[] = []
  readonly wrong: string[] = []
  /** How long reads took beside their loader. */
  readonly costs: number[] = []
  readonly counted = new Map<string, number>()
  readonly refused: unknown[] = []
  reads = 0
  readonly #under = new Set<Promise<unknown>>()
  #running = true

  constructor(cache: Cache, counters: readonly string[]) {
    this.#keep(this.#read(cache))
    for (const tag of counters) this.#keep(this.#count(cache, tag))
  }

  async stop(): Promise<void> {
    this.#running = false
    while (this.#under.size > 0) {
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(this.#under)
    }
  }

  #keep(work: Promise<unknown>): void {
    const done = this.#finish(work).finally(() => this.#under.delete(done))
    this.#under.add(done)
  }

  async #finish(work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.errors.push(error)
    }
  }

  async #read(cache: Cache): Promise<void> {
    for (let round = 0; this.#running; round++) {
      for (let at = 0; at < 4; at++) {
        // Half of them were read before, half are new and filled.
        const id = at % 2 === 0 ? `known:${(round * 7 + at) % 500}` : `new:${round}:${at}`
        this.#keep(this.#readOne(cache, id))
      }
      // oxlint-disable-next-line no-await-in-loop
      await pause(8)
    }
  }

  async #readOne(cache: Cache, id: string): Promise<void> {
    const startedAt = clock.monotonic()
    const value = await cache.getOrSet(id, async () => `value of ${id}`, { ttl: '5m' })
    this.costs.push(clock.monotonic() - startedAt)
    this.reads++
    if (value !== `value of ${id}`) this.wrong.push(id)
    await cache.get(`known:${this.reads % 500}`)
  }

  async #count(cache: Cache, tag: string): Promise<void> {
    const direct = cache.on(tag)
    while (this.#running) {
      this.#keep(
        direct.increment('count', 1).then(
          () => this.counted.set(tag, (this.counted.get(tag) ?? 0) + 1),
          (error: unknown) => this.refused.push(error),
        ),
      )
      // oxlint-disable-next-line no-await-in-loop
      await pause(100)
    }
  }
}

async function failingOver(
  cache: Cache,
  counters: readonly string[],
  kill: () => Promise<void>,
  isOver: () => Promise<boolean>,
) {
  await cache.setMany(Array.from({ length: 500 }, (_, index) => [`known:${index}`, `value of known:${index}`] as const))
  const load = new Load(cache, counters)
  await pause(500)
  await kill()
  const killedAt = clock.monotonic()
  await eventually(isOver, { withinMs: 12_000, what: 'somebody took over' })
  const overMs = clock.monotonic() - killedAt
  // Whoever took over is used within a second.
  await eventually(async () => (await cache.set('after', 1)) === 'stored', { withinMs: 1500 })
  await pause(500)
  await load.stop()
  return { load, overMs }
}

test('one of three primaries is killed under load: no error, and every increment counts once', async () => {
  const cluster = later(await startCluster({ shards: 3, replicasPerShard: 1, nodeTimeoutMs: 1000 }))
  const url = `holdfast+cluster://${hosts(cluster.addresses)}`
  const cache = later(createCache({ url, namespace: 'f', ttl: '5m', local: { maxEntries: 100 } }))
  const counters = ['{a}', '{b}', '{c}', '{d}', '{e}', '{f}']
  const [victim, heir] = [cluster.primaries[1], cluster.replicas[1]]
  const { load, overMs } = await failingOver(
    cache,
    counters,
    async () => victim?.kill(),
    async () => String(await heir?.command('ROLE')).startsWith('master'),
  )
  expect(load.errors).toEqual([])
  expect(load.wrong).toEqual([])
  expect(load.refused).toEqual([])
  expect(load.reads).toBeGreaterThan((300 * (overMs + 1000)) / 1000)
  // Nobody waited for more than the deadline of the engine, and what comes on top under load.
  expect(Math.max(...load.costs)).toBeLessThan(250 + 150)
  for (const tag of counters) {
    expect([tag, Number(await cache.on(tag).get('count'))]).toEqual([tag, load.counted.get(tag)])
  }
})

test('the primary that Sentinels watch is killed under load: the same', async () => {
  const engine = later(await startSentinel({ replicas: 2, sentinels: 3, downAfterMs: 500 }))
  const url = `holdfast+sentinel://${hosts(engine.addresses)}/${engine.masterName}`
  const cache = later(createCache({ url, namespace: 'f', ttl: '5m', local: { maxEntries: 100 } }))
  const { load } = await failingOver(
    cache,
    ['{a}', '{b}'],
    () => engine.primary.kill(),
    async () => {
      const roles = await Promise.all(engine.replicas.map(async (node) => String(await node.command('ROLE'))))
      return roles.some((role) => role.startsWith('master'))
    },
  )
  expect(load.errors).toEqual([])
  expect(load.wrong).toEqual([])
  expect(load.refused).toEqual([])
  expect(Math.max(...load.costs)).toBeLessThan(250 + 150)
  for (const tag of ['{a}', '{b}']) {
    expect([tag, Number(await cache.on(tag).get('count'))]).toEqual([tag, load.counted.get(tag)])
  }
})
