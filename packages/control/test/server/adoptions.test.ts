import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessTable } from '../../src/server/access.ts'
import { asCli, aWorld, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.adopted.add('theirs')
})
afterEach(() => world.close())

const ask = (method: string, url: string, payload: object = {}) =>
  world.app.inject({
    method: method as 'GET',
    url,
    headers: { ...asCli, accept: 'application/json' },
    ...(method === 'GET' ? {} : { payload }),
  })

describe('a deployment that is adopted', () => {
  const reads = [
    '/deployments/:name',
    '/deployments/:name/watch',
    '/deployments/:name/topology/stream',
    '/adoptions/:name',
  ].map((path) => `/api/v1${path}`)
  const others = Object.keys(accessTable)
    .filter((route) => route.includes('/api/v1/') && route.includes(':name'))
    .map((route) => route.split(' ') as [string, string])
    .filter(([, url]) => !reads.includes(url))

  test.each(others)('is refused to %s %s', async (method, url) => {
    const path = url.replace(':name', 'theirs').replace(/:\w+/g, 'one')
    const answer = await ask(method, path)
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({ error: { code: 'REFUSED_ADOPTED', facts: { name: 'theirs' } } })
  })

  test('is listed as such, and forgotten by its name', async () => {
    expect((await ask('GET', '/api/v1/deployments')).json()).toMatchObject({ adopted: ['theirs'] })
    expect((await ask('DELETE', '/api/v1/adoptions/theirs')).statusCode).toBe(200)
    expect((await ask('DELETE', '/api/v1/adoptions/theirs')).statusCode).toBe(404)
  })

  test('is adopted by an address, and by nothing else', async () => {
    const answer = await ask('POST', '/api/v1/adoptions', { url: 'redis://10.0.0.7:6379', name: 'more', password: 'x' })
    expect(answer.statusCode).toBe(201)
    expect(answer.json()).toMatchObject({ name: 'more' })
    expect((await ask('POST', '/api/v1/adoptions', { url: 7 })).json()).toMatchObject({ error: { code: 'USAGE' } })
    expect((await ask('POST', '/api/v1/adoptions', { url: 'x', spec: {} })).statusCode).toBe(400)
  })
})
