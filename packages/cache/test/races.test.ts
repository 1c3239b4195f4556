/** Stories of things that happen between two others, each found by the simulation and told as short as it can be. */
import { expect, test } from 'vitest'
import { createCache } from '../src/create-cache.ts'
import type { CacheOptions } from '../src/options.ts'
import { HandClock } from '../src/testing/hand-clock.ts'
import { MemoryServer } from '../src/testing/memory-server.ts'

function aWorld(options: Partial<CacheOptions> = {}) {
  const clock = new HandClock()
  const server = new MemoryServer({ clock })
  const open = () => {
    const engine = server.connect({ track: ['cache:v:', 'cache:t:'] })
    const cache = createCache({ engine, clock, ttl: '10m', jitter: 0, ...options })
    return { engine, cache, faults: engine.faults }
  }
  return { clock, server, open }
}
const after =
  <T>(clock: HandClock, ms: number, value: T) =>
  () =>
    new Promise<T>((resolve) => clock.after(ms, () => resolve(value)))

test('what is loaded is kept, by a clock whose dice need their this', async () => {
  const { clock, open } = aWorld()
  const { cache } = open()
  const unfilled: string[] = []
  cache.listen('unfilled', ({ because }) => unfilled.push(because))
  void cache.getOrSet('k', () => 1)
  await clock.advance(0)
  expect(unfilled).toEqual([])
})

test('who comes during a load shares it, and its error', async () => {
  const { clock, open } = aWorld()
  const { cache } = open()
  let loads = 0
  const load = () => {
    loads++
    return new Promise((_, reject) => clock.after(100, () => reject(new Error('down'))))
  }
  const first = cache.getOrSet('k', load).catch(() => 'down')
  await clock.advance(50)
  const second = cache.getOrSet('k', load).catch(() => 'down')
  await clock.advance(500)
  expect([await first, await second, loads]).toEqual(['down', 'down', 1])
})

test('who had a delete pending does not go on serving what it deleted', async () => {
  const { clock, open } = aWorld()
  const { cache, faults } = open()
  await cache.set('k', 'old')
  faults.die()
  expect(await cache.delete('k')).toBe('pending')
  faults.revive()
  // Read again before the pending delete is told.
  void cache.get('k')
  await clock.advance(5000)
  expect(cache.status().pending).toBe(0)
  expect(cache.peek('k')).toBeUndefined()
})

test('what was loaded before an own delete is not kept while the engine is away', async () => {
  const { clock, open } = aWorld()
  const { cache, faults } = open()
  faults.failNext(1)
  void cache.getOrSet('k', after(clock, 50, 'old'))
  await clock.advance(10)
  await cache.delete('k')
  await clock.advance(100)
  expect(cache.peek('k')).toBeUndefined()
})

test('a lock outlives the entry in whose head it is', async () => {
  const { clock, open } = aWorld({ ttl: 1000, staleIfError: 0, earlyRefresh: 0 })
  const [here, there] = [open(), open()]
  await here.cache.set('k', 'old')
  await clock.advance(900)
  await here.cache.clear()
  let loads = 0
  const load = () => {
    loads++
    return after(clock, 500, 'new')()
  }
  void here.cache.getOrSet('k', load)
  await clock.advance(200)
  void there.cache.getOrSet('k', load)
  await clock.advance(3000)
  expect(loads).toBe(1)
})

test('a wall clock that is set back does not make a dead link trustworthy', async () => {
  const { clock, open } = aWorld()
  const [here, there] = [open(), open()]
  await here.cache.set('k', 'old')
  await there.cache.get('k')
  there.faults.cutLink()
  await here.cache.delete('k')
  clock.jump(-60_000)
  expect(there.cache.peek('k')).toBeUndefined()
})

test('an own clear ends what was kept while the engine was away', async () => {
  const { clock, open } = aWorld()
  const { cache, faults } = open()
  faults.failNext(1)
  void cache.getOrSet('k', () => 'old')
  await clock.advance(0)
  expect(await cache.clear()).toBe('stored')
  expect(cache.peek('k')).toBeUndefined()
})

test('a number of a tag that was asked before a change is not kept after it', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const { clock, open } = aWorld()
    const [here, there] = [open(), open()]
    await here.cache.set('k', 'old')
    await clock.advance(0)
    // Another asks for the number just before it changes, so many turns of promises apart.
    const asking = there.cache.set('another', 1)
    await new Promise<void>((resolve) => process.nextTick(resolve))
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const clearing = here.cache.clear()
    await clock.advance(0)
    await Promise.all([asking, clearing])
    expect([turns, await there.cache.get('k')]).toEqual([turns, undefined])
  }
})

test('who cannot lock an entry because memory is full does not wait for nobody', async () => {
  const { clock, open } = aWorld()
  const { cache, faults } = open()
  await cache.set('k', 'old')
  await cache.clear()
  await cache.getOrSet('other', () => 1)
  faults.full()
  let got: unknown
  void cache
    .getOrSet('k', () => 'new')
    .then((value) => {
      got = value
    })
  await clock.advance(2000)
  expect(got).toBe('new')
})

test('after an own invalidation nobody joins a load that began before', async () => {
  const { clock, open } = aWorld()
  const { cache, faults } = open()
  faults.cutLink()
  const load = after(clock, 100, 'old')
  void cache.getOrSet('k', load, { tags: ['t'] })
  await clock.advance(10)
  await cache.invalidateTags(['t'])
  const answer = cache.getOrSet('k', () => 'new', { tags: ['t'] })
  await clock.advance(5000)
  expect(await answer).toBe('new')
})

test('an own set is not overwritten by a read that saw what was there before', async () => {
  const { clock, open } = aWorld()
  const [here, there] = [open(), open()]
  await there.cache.set('k', 'old', { tags: ['t'] })
  await here.cache.set('warm', 1)
  // The read waits for the number of a tag that this process has not asked for yet.
  for (let turns = 0; turns < 30; turns++) {
    await there.cache.set('k', 'old', { tags: [`t${turns}`] })
    await clock.advance(0)
    const setting = here.cache.set('k', 'new', { tags: [`u${turns}`] })
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const reading = here.cache.get('k')
    await setting
    await reading
    await clock.advance(0)
    expect([turns, await here.cache.get('k')]).toEqual([turns, 'new'])
  }
})

test('what ended while it was compared is not fresh', async () => {
  const { clock, open } = aWorld({ ttl: 1000 })
  const { cache, faults } = open()
  await cache.set('k', 'value')
  faults.cutLink()
  faults.delay(100)
  await clock.advance(950)
  const reading = cache.getOrSet('k', () => 'newer', { meta: true })
  await clock.advance(1000)
  expect(await reading).not.toMatchObject({ value: 'value', stale: false })
})

test('a change of a tag that is sent again does not bring its old number back', async () => {
  const { clock, open } = aWorld()
  const [slow, here, there] = [open(), open(), open()]
  await here.cache.set('warm', 1)
  await slow.cache.get('warm')
  slow.faults.delay(100)
  const bumping = slow.cache.clear()
  await clock.advance(10)
  await here.cache.set('k', 'old')
  expect(await here.cache.clear()).toBe('stored')
  expect(await there.cache.get('k')).toBeUndefined()
  here.faults.failover()
  await clock.advance(1000)
  await bumping
  expect(await there.cache.get('k')).toBeUndefined()
})
