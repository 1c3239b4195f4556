/** What strangers have put into the engine, and what people write into options: refused in one sentence, never a crash. */
import { brotliCompressSync } from 'node:zlib'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Cache } from '../../../packages/cache/src/cache.ts'
import { createCache } from '../../../packages/cache/src/create-cache.ts'
import { openEnvelope, writeEnvelope } from '../../../packages/cache/src/envelope.ts'
import type { CacheOptions } from '../../../packages/cache/src/options.ts'
import type { StartedStandalone } from '../../support/cache-engines.ts'
import { startStandalone } from '../../support/cache-engines.ts'
import { eventually } from '../../support/eventually.ts'

let engine: StartedStandalone
let opened: Cache[] = []
let spaces = 0
let namespace = ''
beforeAll(async () => {
  engine = await startStandalone()
})
afterEach(async () => {
  await Promise.all(opened.map((cache) => cache.close()))
  opened = []
})
afterAll(() => engine?.close())

function open(options: Partial<CacheOptions> = {}): Cache {
  namespace = `b${spaces++}`
  const { host, port } = engine.node.address
  const cache = createCache({ url: `redis://${host}:${port}`, namespace, ttl: '1m', ...options })
  opened.push(cache)
  return cache
}

/** Reads and writes bytes under a key as a stranger who knows the layout would. */
async function tamper(key: string, change: (entry: Buffer) => Buffer): Promise<void> {
  const { host, port } = engine.node.address
  const client = createClient({ socket: { host, port } })
  await client.connect()
  try {
    const entry = await client.withTypeMapping({ 36: Buffer }).get(`${namespace}:v:/${key}`)
    await client.set(`${namespace}:v:/${key}`, change(entry as unknown as Buffer))
  } finally {
    client.destroy()
  }
}

/** The same entry with another payload. */
function withPayload(entry: Buffer, compression: number, payload: Buffer): Buffer {
  const envelope = openEnvelope(entry)
  if (envelope === undefined) throw new Error('there is no entry to change')
  return writeEnvelope({ ...envelope, compression }, payload)
}

function ofLength(length: number, stream: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(length)
  return Buffer.concat([head, stream])
}

const brotli = 2
const bomb = brotliCompressSync(Buffer.alloc(200 * 2 ** 20))

test.each([
  ['a bomb that says what it holds', (entry: Buffer) => withPayload(entry, brotli, ofLength(200 * 2 ** 20, bomb))],
  ['a bomb that says that it is small', (entry: Buffer) => withPayload(entry, brotli, ofLength(100, bomb))],
  ['a bomb that says that it just fits', (entry: Buffer) => withPayload(entry, brotli, ofLength(8 * 2 ** 20, bomb))],
  ['more bytes than the limit', (entry: Buffer) => withPayload(entry, 0, Buffer.alloc(9 * 2 ** 20, '1'))],
  ['a broken stream', (entry: Buffer) => withPayload(entry, brotli, ofLength(100, Buffer.alloc(50, 7)))],
  ['an unknown compression', (entry: Buffer) => withPayload(entry, 77, Buffer.alloc(50))],
  ['half a JSON text', (entry: Buffer) => withPayload(entry, 0, Buffer.from('{"a":'))],
  [
    'a head that is longer than the entry',
    (entry: Buffer) => Buffer.concat([entry.subarray(0, 4), Buffer.from([255, 255]), entry.subarray(6)]),
  ],
])('%s is a miss, costs no memory, and is told of without its bytes', async (_, change) => {
  // Nine million bytes take as long as they take on a loaded machine, and a read that gave up would have seen none.
  const cache = open({ local: false, engineDeadline: '10s' })
  await cache.set('k', { a: 'secret of the house' })
  await tamper('k', change)
  const told: string[] = []
  cache.listen('unusable', ({ key, because }) => told.push(`${key}: ${because}`))
  const before = process.memoryUsage()
  expect(await cache.get('k')).toBeUndefined()
  const after = process.memoryUsage()
  expect(after.rss - before.rss).toBeLessThan(64 * 2 ** 20)
  expect(told).toHaveLength(1)
  expect(told[0]).not.toContain('secret')
  expect(await cache.getOrSet('k', () => 'right')).toBe('right')
  await eventually(async () => (await cache.get('k')) === 'right')
})

test('an entry that says it is from the future is served, and not for longer than it says', async () => {
  const cache = open({ local: false })
  await cache.set('k', 'value')
  await tamper('k', (entry) => {
    const changed = Buffer.from(entry)
    changed.writeDoubleLE(Date.now() + 1e9, 24)
    return changed
  })
  const found = await cache.get('k', { meta: true })
  expect(found).toMatchObject({ value: 'value', stale: false })
  expect(found.ageMs).toBe(0)
})

test.each([
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['a negative number', -1e18],
])('times of %s in an entry neither crash nor keep it for ever', async (_, time) => {
  const cache = open({ local: false })
  await cache.set('k', 'old')
  await tamper('k', (entry) => {
    const changed = Buffer.from(entry)
    for (const at of [24, 32, 40]) changed.writeDoubleLE(time, at)
    return changed
  })
  const value = await cache.get('k')
  expect(value === undefined || value === 'old').toBe(true)
  await cache.set('k', 'set')
  expect(await cache.get('k')).toBe('set')
})

test.each([
  ['a scheme with a typo', 'reddis://127.0.0.1:6379'],
  ['no scheme', '127.0.0.1:6379'],
  ['a port with a typo', 'redis://127.0.0.1:63x9'],
  ['a port that there is not', 'redis://127.0.0.1:70000'],
  ['an empty host', 'redis://:6379'],
  ['a database with a typo', 'redis://127.0.0.1:6379/one'],
  ['a database of a Cluster', 'holdfast+cluster://127.0.0.1:6379/3'],
  ['Sentinels without a name', 'holdfast+sentinel://127.0.0.1:26379'],
  ['a hidden password and a typo', 'redis://user:hunter2@127.0.0.1:63x9'],
  ['a setting with a typo', 'holdfast+cluster://user:hunter2@127.0.0.1:6379?zoen=a'],
  ['nothing', ''],
])('a URL with %s is refused at once, and says no password', (_, url) => {
  let refusal: unknown
  try {
    opened.push(createCache({ url, ttl: '1m' }))
  } catch (error) {
    refusal = error
  }
  expect(refusal).toMatchObject({ name: 'CacheError', code: 'INVALID' })
  expect(JSON.stringify([(refusal as Error).message, refusal, String(refusal)])).not.toContain('hunter2')
})

test.each([
  ['an unknown option', { tll: '5m' }],
  ['a deadline of NaN', { engineDeadline: Number.NaN }],
  ['a negative deadline', { engineDeadline: -1 }],
  ['a number of loads that is none', { loads: { atOnce: 0 } }],
  ['loads of NaN', { loads: { atOnceWhenAway: Number.NaN } }],
  ['a queue below nought', { loads: { waiting: -5 } }],
  ['a local tier of no entries', { local: { maxEntries: 0 } }],
  ['bytes that are none', { local: { maxBytes: 'many' } }],
  ['a jitter above one', { jitter: 7 }],
  ['a jitter of NaN', { jitter: Number.NaN }],
  ['an early refresh of NaN', { earlyRefresh: Number.NaN }],
  ['a readFrom that there is not', { readFrom: 'secondary' }],
  ['too many copies', { copies: 99 }],
  ['a namespace with a brace', { namespace: 'a{b' }],
  ['an overflowing ttl', { ttl: Number.MAX_VALUE }],
  ['a limit for values of NaN', { maxValueBytes: Number.NaN }],
  ['tags that are no list', { tags: 'users' }],
])('%s is refused when the cache is made', (_, options) => {
  expect(() => open(options as unknown as Partial<CacheOptions>)).toThrow(
    expect.objectContaining({ name: 'CacheError', code: 'INVALID' }),
  )
})

test.each([
  ['too many tags', { tags: Array.from({ length: 33 }, (_, index) => `t${index}`) }],
  ['a tag that is empty', { tags: [''] }],
  ['a tag that is no string', { tags: [7] }],
  ['a staleness of NaN', { staleIfError: Number.NaN }],
  ['a negative staleness', { staleWhileRevalidate: -1 }],
  ['a hard deadline of nought', { hardDeadline: 0 }],
  ['copies of NaN', { copies: Number.NaN }],
])('%s in a call is refused by that call, and nothing is loaded', async (_, options) => {
  const cache = open()
  let loads = 0
  const call = cache.getOrSet('k', () => loads++, options as unknown as object)
  await expect(call).rejects.toMatchObject({ name: 'CacheError', code: 'INVALID' })
  await expect(cache.set('k', 1, options as unknown as object)).rejects.toMatchObject({ code: 'INVALID' })
  expect(loads).toBe(0)
})

test('a user who may not do what is needed is told so once, and reads go on', async () => {
  const { host, port } = engine.node.address
  await engine.node.command('ACL', 'SETUSER', 'reader', 'on', '>pw-of-reader', '~*', '+@read', '+@connection')
  const cache = open({ url: `redis://reader:pw-of-reader@${host}:${port}` })
  const troubles: string[] = []
  cache.listen('trouble', ({ error }) => troubles.push(error.message))
  let loads = 0
  for (let index = 0; index < 10; index++) {
    // oxlint-disable-next-line no-await-in-loop
    expect(await cache.getOrSet(`k:${index}`, () => ++loads)).toBe(index + 1)
  }
  await expect(cache.set('k', 1, { confirm: true })).rejects.toMatchObject({ code: 'DENIED' })
  expect(troubles.length).toBeLessThanOrEqual(1)
  expect(troubles.join(' ')).not.toContain('pw-of-reader')
})
