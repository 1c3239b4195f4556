/** The two halves together: an application over a deployment that Holdfast keeps up. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import type { CacheOptions } from '../../../packages/cache/src/options.ts'
import { TestDeployment } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'

let deployment: TestDeployment

beforeAll(async () => {
  deployment = await TestDeployment.up()
})
afterAll(() => deployment.close())

/** The URL as `holdfast url` prints it. */
function connect(options: Partial<CacheOptions> = {}): Cache {
  const hosts = deployment.status().nodes.map(({ host, port }) => `${host}:${port}`)
  const url = `holdfast+cluster://app:${encodeURIComponent(deployment.password)}@${hosts.join(',')}`
  const cache = createCache({ url, namespace: 'shop', ttl: '1m', ...options })
  onTestFinished(() => cache.close())
  return cache
}

/** Pages, stock and counters, some hundred a second, until stopped. */
class Application {
  readonly errors: unknown[] = []
  pages = 0
  counted = 0
  #stopped = false
  readonly #cache: Cache
  readonly #lanes: Promise<void>[]

  constructor(cache: Cache) {
    this.#cache = cache
    this.#lanes = [
      this.#lane((turn) => this.#page(`page:${turn % 200}`)),
      this.#lane((turn) => this.#page(`page:${(turn * 7) % 500}`)),
      this.#lane((turn) => this.#cache.set(`stock:${turn % 100}`, turn)),
      this.#lane((turn) => this.#count(turn)),
      this.#lane((turn) => this.#count(turn + 5)),
    ]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#lanes)
  }

  async #lane(work: (turn: number) => Promise<unknown>): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      await work(turn).catch((error: unknown) => this.errors.push(error))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async #page(key: string): Promise<void> {
    await this.#cache.getOrSet(key, async () => ({ key, price: 42 }))
    this.pages++
  }

  async #count(turn: number): Promise<void> {
    await this.#cache.on(`{visitor:${turn % 12}}`).increment('visits')
    this.counted++
  }

  async total(): Promise<number> {
    const visits = await Promise.all(
      Array.from({ length: 12 }, (_, index) => this.#cache.on(`{visitor:${index}}`).get('visits')),
    )
    return visits.reduce((sum, text) => sum + Number(text ?? 0), 0)
  }
}

test('no error reaches an application when a primary is killed, when one freezes, and when two die at once: with the feed and without', async () => {
  const application = new Application(connect())
  const fed = new Application(connect({ namespace: 'fed', feed: deployment.feed }))
  const errors = () => [...application.errors, ...fed.errors]
  onTestFinished(() => application.stop())
  onTestFinished(() => fed.stop())
  await eventually(() => [application, fed].every(({ pages, counted }) => pages > 100 && counted > 100))

  deployment.kill(deployment.primaryOf('shard-1').id)
  await eventually(() => deployment.status().ready !== 'yes', { what: 'the death is seen' })
  await deployment.ready()
  expect(errors()).toEqual([])

  process.kill(deployment.pidOf(deployment.primaryOf('shard-2').id), 'SIGSTOP')
  await eventually(() => deployment.status().ready !== 'yes', { what: 'the freeze is seen' })
  await deployment.ready()
  expect(errors()).toEqual([])

  deployment.kill(deployment.primaryOf('shard-1').id, deployment.primaryOf('shard-3').id)
  await eventually(() => deployment.status().ready !== 'yes', { what: 'both deaths are seen' })
  await deployment.ready()
  await Promise.all([application.stop(), fed.stop()])
  expect(errors()).toEqual([])
  // Every visit was counted once: none lost, and none twice by trying again.
  expect(await application.total()).toBe(application.counted)
  expect(await fed.total()).toBe(fed.counted)
})

test('a cache that nobody asks for anything follows the feed to the next primary', async () => {
  const cache = connect({ feed: deployment.feed })
  const reasons: string[] = []
  cache.listen('moved', ({ because }) => reasons.push(because))
  await cache.set('k', 1)
  // A look round, once in a few seconds, may come first; and a switchover may be given up on a busy machine.
  for (let turn = 0; turn < 4 && !reasons.includes('the feed says so'); turn++) {
    reasons.length = 0
    // oxlint-disable-next-line no-await-in-loop
    await deployment.ready()
    const asked = deployment.controller.askOperation(
      deployment.name,
      { kind: 'switchover', id: `feed-${turn}`, subject: 'shard-1', to: null },
      'test',
    )
    // oxlint-disable-next-line no-await-in-loop
    const { state } = await deployment.over(asked)
    if (state !== 'done') continue
    // oxlint-disable-next-line no-await-in-loop
    await eventually(() => reasons.length > 0, { what: 'the cache has noticed' })
  }
  expect(reasons).toContain('the feed says so')
})

test('the rights of the user "app" are enough for all that the cache does', async () => {
  const [cache, other] = [connect(), connect()]
  const troubles: Error[] = []
  cache.listen('trouble', ({ error }) => troubles.push(error))
  await cache.set('k', 1, { tags: ['t'] })
  expect(await other.get('k')).toBe(1)
  await cache.invalidateTags(['t'])
  await eventually(async () => (await other.get('k')) === undefined)
  expect(
    await cache.on('{a}').transaction([
      ['SET', cache.on('{a}').key('x'), '1'],
      ['GET', cache.on('{a}').key('x')],
    ]),
  ).toEqual(['OK', '1'])
  const heard: string[] = []
  const listening = await cache.channel('news').listen({ message: (text) => heard.push(text), gap: () => {} })
  await eventually(async () => {
    await other.channel('news').publish('hello')
    return heard.includes('hello')
  })
  await listening.close()
  await cache.clear()
  expect(await cache.get('k')).toBeUndefined()
  expect(troubles).toEqual([])
})
