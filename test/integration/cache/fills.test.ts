import { afterEach, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import type { StartedStandalone } from '../../support/cache-engines.ts'
import { startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

const opened: Cache[] = []
let engine: StartedStandalone | undefined

afterEach(async () => {
  await Promise.allSettled(opened.splice(0).map((cache) => cache.close()))
  await engine?.close()
  engine = undefined
})

async function open(): Promise<Cache> {
  engine ??= await startStandalone()
  const [{ host, port } = { host: '', port: 0 }] = engine.addresses
  const cache = createCache({ url: `redis://${host}:${port}`, ttl: '1m' })
  opened.push(cache)
  return cache
}

const isHeld = (cache: Cache): boolean => cache.status().local.entries > 0

test('what was loaded once is served, marked stale, when the engine is killed', async () => {
  const cache = await open()
  let loads = 0
  const load = (): number => ++loads
  await cache.getOrSet('k', load)
  await eventually(() => isHeld(cache))
  await engine?.node.kill()
  await eventually(() => cache.status().nodes.every((node) => !node.connected))
  const read = await cache.getOrSet('k', load, { meta: true })
  expect(read).toMatchObject({ value: 1, source: 'local', stale: true })
})

test('what was loaded here and then changed elsewhere is not served from here', async () => {
  const [here, there] = [await open(), await open()]
  await here.getOrSet('k', () => 'old')
  await eventually(() => isHeld(here))
  await there.set('k', 'new')
  await eventually(async () => (await here.get('k')) === 'new')
})

test('what was deleted here while it was loaded is not served when the engine is killed', async () => {
  const cache = await open()
  const loading = cache.getOrSet('k', async () => {
    await cache.delete('k')
    return 'old'
  })
  expect(await loading).toBe('old')
  await engine?.node.kill()
  await eventually(() => cache.status().nodes.every((node) => !node.connected))
  expect(await cache.get('k')).toBeUndefined()
})
