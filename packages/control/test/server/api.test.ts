import { type ErrorCode, errorTable, HoldfastError, type HoldfastEvent } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aStatus } from './demo-status.ts'
import { anEvent } from './memory-platform.ts'
import { asAdmin, asCli, aWorld, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

const get = (url: string, headers: Record<string, string> = {}) =>
  world.app.inject({ url: `/api/v1${url}`, headers: { ...asCli, ...headers } })
const send = (method: 'POST' | 'PUT', url: string, payload: string | object) =>
  world.app.inject({
    method,
    url: `/api/v1${url}`,
    headers: { ...asCli, 'content-type': 'application/json' },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  })

async function seqs(query: string): Promise<number[]> {
  const answer = await get(`/events${query}`, { accept: 'application/json' })
  return answer.json().events.map((event: HoldfastEvent) => event.seq)
}

describe('deployments', () => {
  test('one is exactly its status', async () => {
    const answer = await get('/deployments/shop')
    expect(answer.headers['content-type']).toContain('application/json')
    expect(answer.json()).toEqual(aStatus())
  })

  test('the list tells what nobody has looked at yet', async () => {
    await world.platform.apply({ name: 'fresh' }, null, 'cli')
    expect((await get('/deployments')).json()).toEqual({ deployments: [aStatus()], notSeenYet: ['fresh'], adopted: [] })
    expect((await get('/deployments/fresh')).statusCode).toBe(503)
  })

  test('an unknown one is not found, by any route', async () => {
    for (const url of ['', '/spec', '/watch', '/credentials']) {
      const answer = await get(`/deployments/none${url}`)
      expect(answer.statusCode).toBe(404)
      expect(answer.json().error.code).toBe('NOT_FOUND')
    }
    expect((await send('POST', '/deployments/none/wanted', { wanted: 'up' })).statusCode).toBe(404)
    expect((await get('/deployments/__proto__')).statusCode).toBe(404)
  })

  test('up and down are passed on with who asked', async () => {
    const answer = await send('POST', '/deployments/shop/wanted', { wanted: 'down', purge: true })
    expect(answer.statusCode).toBe(202)
    await world.app.inject({
      method: 'POST',
      url: '/api/v1/deployments/shop/wanted',
      headers: await asAdmin(world),
      payload: { wanted: 'up', acceptDataLoss: true },
    })
    expect(world.platform.wanted).toEqual([
      { name: 'shop', wanted: 'down', options: { purge: true, acceptDataLoss: false }, actor: 'cli' },
      { name: 'shop', wanted: 'up', options: { purge: false, acceptDataLoss: true }, actor: 'admin' },
    ])
  })

  test.each([{}, { wanted: 'sideways' }, { wanted: 'down', purge: 'yes' }, { wanted: 'down', force: true }])(
    'a wish that is not understood is refused: %j',
    async (wish) => {
      expect((await send('POST', '/deployments/shop/wanted', wish)).statusCode).toBe(400)
      expect(world.platform.wanted).toEqual([])
    },
  )

  test('the password goes to the command line only', async () => {
    expect((await get('/deployments/shop/credentials')).json()).toEqual({ user: 'app', password: 'canary-password' })
  })
})

describe('the spec', () => {
  test('is read, and replaced on the revision it was based on', async () => {
    expect((await get('/deployments/shop/spec')).json()).toEqual({ spec: { name: 'shop' }, revision: 1 })
    const spec = { name: 'shop', shards: 4 }
    expect((await send('PUT', '/deployments/shop/spec', { spec, baseRevision: 1 })).json()).toEqual({
      name: 'shop',
      revision: 2,
      changed: true,
    })
    const late = await send('PUT', '/deployments/shop/spec', { spec, baseRevision: 1 })
    expect(late.statusCode).toBe(409)
    expect(late.json().error).toMatchObject({ code: 'SPEC_CONFLICT', facts: { before: 2 } })
    expect((await send('PUT', '/deployments/shop/spec', { spec, baseRevision: null })).statusCode).toBe(200)
  })

  test('a wrong one is explained field by field', async () => {
    const answer = await send('PUT', '/deployments/shop/spec', { spec: { name: 'shop', shard: 6 }, baseRevision: null })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error).toMatchObject({ code: 'SPEC_INVALID', facts: { problems: [{ path: 'shard' }] } })
  })

  test('cannot rename a deployment', async () => {
    const answer = await send('PUT', '/deployments/shop/spec', { spec: { name: 'store' }, baseRevision: null })
    expect(answer.statusCode).toBe(400)
    expect(world.platform.names()).toEqual(['shop'])
  })

  test('a plan changes nothing', async () => {
    const answer = await send('POST', '/plan', { spec: { name: 'other' } })
    const nothing = { changes: [], edits: [], because: 'nothing to do', files: {} }
    expect(answer.json()).toEqual({ name: 'other', isNew: true, ...nothing })
    expect(world.platform.names()).toEqual(['shop'])
  })
})

describe('events as JSON', () => {
  beforeEach(() => {
    for (const deployment of ['shop', 'other', 'shop', 'shop']) world.platform.events.append(anEvent({ deployment }))
  })

  test('the last ones, oldest first', async () => {
    expect(await seqs('')).toEqual([1, 2, 3, 4])
    expect(await seqs('?limit=2')).toEqual([3, 4])
    expect(await seqs('?deployment=shop')).toEqual([1, 3, 4])
    expect(await seqs('?deployment=shop&after=1&limit=1')).toEqual([3])
  })

  test.each(['?limit=0', '?limit=1001', '?limit=ten', '?limit=1&limit=2', '?after=-1', '?deployment=a&deployment=b'])(
    '%s is refused',
    async (query) => {
      expect((await get(`/events${query}`, { accept: 'application/json' })).statusCode).toBe(400)
    },
  )
})

const errorCodes = Object.keys(errorTable).filter((code): code is ErrorCode => code in errorTable)

describe('errors', () => {
  test.each(errorCodes)('%s answers with its own status', async (code) => {
    world.platform.setWanted = () => {
      throw new HoldfastError(code, 'what happened', { node: 'node-1' })
    }
    const answer = await send('POST', '/deployments/shop/wanted', { wanted: 'up' })
    expect(answer.statusCode).toBe(errorTable[code].status)
    expect(answer.json()).toEqual({ error: { code, message: 'what happened', facts: { node: 'node-1' } } })
  })

  test('what nobody expected says nothing of the inside, and is logged', async () => {
    const answer = await send('POST', '/plan', { spec: { name: 'broken' } })
    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toEqual({
      error: { code: 'INTERNAL', message: 'something went wrong inside Holdfast: its log has the reason', facts: {} },
    })
    expect(world.logged.join('')).toContain('secret detail of the inside')
  })

  test('an unknown address has the same shape', async () => {
    const answer = await get('/nowhere?token=abc')
    expect(answer.statusCode).toBe(404)
    expect(answer.json()).toEqual({
      error: { code: 'NOT_FOUND', message: 'there is no GET /api/v1/nowhere', facts: {} },
    })
  })
})

describe('hostile bodies', () => {
  test.each([
    '{"spec":{"name":"shop","__proto__":{"isAdmin":true}}}',
    '{"spec":{"name":"shop","config":{"__proto__":{"isAdmin":true}}}}',
    '{"__proto__":{"isAdmin":true},"spec":{"name":"shop"}}',
    '{"spec":{"name":"shop","constructor":{"prototype":{"isAdmin":true}}}}',
    '{"spec":{"name":"shop","\\u005f_proto__":{"isAdmin":true}}}',
    '{"spec":{"name":"shop","prototype":{"isAdmin":true}}}',
  ])('%s is refused and leaves no trace', async (body) => {
    const answer = await send('POST', '/plan', body)
    expect(answer.statusCode).toBe(400)
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  })

  test('a body over 256 KB is not read', async () => {
    const answer = await send('POST', '/plan', { spec: { name: 'shop', region: 'x'.repeat(256 * 1024) } })
    expect(answer.statusCode).toBe(413)
    expect(answer.json().error.message).toBe('the body is larger than 256 KB')
  })

  test.each([
    ['deep nesting', `{"spec":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`],
    ['deep brackets', `{"spec":{"notify":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`],
    ['broken JSON', '{"spec":'],
    ['nothing', ''],
    ['an array', '[]'],
    ['a null', 'null'],
    ['a spec that is a list', '{"spec":[]}'],
  ])('%s is a usage error, quickly', async (_what, body) => {
    const startedAt = performance.now()
    const answer = await send('POST', '/plan', body)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.code).toBe('USAGE')
    expect(performance.now() - startedAt).toBeLessThan(500)
  })

  test('a compressed body is not unpacked', async () => {
    const { gzipSync } = await import('node:zlib')
    const answer = await world.app.inject({
      method: 'POST',
      url: '/api/v1/plan',
      headers: { ...asCli, 'content-type': 'application/json', 'content-encoding': 'gzip' },
      payload: gzipSync(`{"spec":{"region":"${'x'.repeat(10 * 1024 ** 2)}"}}`),
    })
    expect(answer.statusCode).toBe(400)
  })
})
