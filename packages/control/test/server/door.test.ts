import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessTable } from '../../src/server/access.ts'
import { aStatus } from './demo-status.ts'
import { asAdmin, asCli, aWorld, bearerToken, fromOwnPage, ownOrigin, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE'] as const
type Method = (typeof methods)[number]

function partsOf(route: string): { method: Method; url: string } {
  const method = methods.find((one) => route.startsWith(`${one} `))
  if (method === undefined) throw new Error(`${route} has a method that this test does not know`)
  return { method, url: route.slice(method.length + 1) }
}

const routes = Object.entries(accessTable).map(([route, access]) => {
  const { method, url } = partsOf(route)
  return { route, access, method, url: url.replace(':name', 'shop').replace('*', 'main-1a2b.js') }
})
const changing = routes.filter(({ method }) => !['GET', 'HEAD', 'OPTIONS'].includes(method))
const guarded = routes.filter(({ access }) => access !== 'anyone')

describe('the access table', () => {
  test('is what docs/api.md says, route by route', () => {
    const page = readFileSync(new URL('../../../../docs/api.md', import.meta.url), 'utf8')
    const rows = [...page.matchAll(/^\| `(GET|POST|PUT|DELETE) (\/[^`? ]*)[^`]*`[^|]*\| *([a-z ]+?) *\|/gm)]
    const said = Object.fromEntries(rows.map(([, method, path, caller]) => [`${method} /api/v1${path}`, caller]))
    const api = Object.entries(accessTable).filter(([route]) => route.includes(' /api/v1/'))
    expect(Object.fromEntries(Object.entries(said).filter(([route]) => !route.endsWith('/healthz')))).toEqual(
      Object.fromEntries(api),
    )
  })

  test('has no line without a route', async () => {
    await world.app.ready()
    for (const route of Object.keys(accessTable)) {
      expect(world.app.hasRoute(partsOf(route)), route).toBe(true)
    }
  })

  test('a route that is not in it cannot be registered', () => {
    expect(() => world.app.post('/api/v1/backdoor', async () => 'in')).toThrow('not in the access table')
  })

  test('names at least what changes something', () => {
    expect(changing.map(({ route }) => route)).toEqual([
      'POST /api/v1/session',
      'DELETE /api/v1/session',
      'POST /api/v1/users',
      'DELETE /api/v1/users/:user',
      'POST /api/v1/users/:user/password',
      'PUT /api/v1/users/:user/role',
      'POST /api/v1/api-tokens',
      'DELETE /api/v1/api-tokens/:token',
      'POST /api/v1/allowed-targets',
      'DELETE /api/v1/allowed-targets/:target',
      'POST /api/v1/hosts/:host/removal',
      'POST /api/v1/hosts/tokens',
      'DELETE /api/v1/hosts/:host',
      'POST /api/v1/adoptions',
      'DELETE /api/v1/adoptions/:name',
      'PUT /api/v1/deployments/:name/spec',
      'POST /api/v1/deployments/:name/wanted',
      'POST /api/v1/deployments/:name/faults',
      'POST /api/v1/deployments/:name/faults/preview',
      'POST /api/v1/deployments/:name/faults/:id/heal',
      'POST /api/v1/deployments/:name/operations',
      'POST /api/v1/deployments/:name/operations/preview',
      'POST /api/v1/deployments/:name/operations/:id/cancel',
      'POST /api/v1/deployments/:name/upgrade',
      'POST /api/v1/deployments/:name/upgrade/preview',
      'POST /api/v1/deployments/:name/pause',
      'POST /api/v1/deployments/:name/resume',
      'POST /api/v1/deployments/:name/nodes/:node/drain',
      'POST /api/v1/deployments/:name/shards/:shard/degrade',
      'POST /api/v1/deployments/:name/backups',
      'POST /api/v1/deployments/:name/restore',
      'POST /api/v1/deployments/:name/restore/preview',
      'POST /api/v1/backups/read',
      'POST /api/v1/demo/actions',
      'POST /api/v1/demo/stop-fault',
      'POST /api/v1/plan',
    ])
  })

  test.each(guarded)('$route refuses who has not signed in', async ({ method, url }) => {
    const answer = await world.app.inject({ method, url, headers: { ...fromOwnPage, ...jsonFor(method) } })
    expect(answer.statusCode).toBe(401)
    expect(answer.json().error.code).toBe('AUTH_REQUIRED')
  })
})

describe('a request from elsewhere', () => {
  test.each(changing)('$route refuses a foreign origin, even with the cookie or the token', async ({ method, url }) => {
    const admin = await asAdmin(world)
    const foreign: Record<string, string>[] = [
      { ...admin, origin: 'http://evil.example' },
      { ...admin, origin: 'http://localhost:3000' },
      { ...admin, origin: 'https://localhost:7070' },
      { ...admin, origin: 'null' },
      { host: admin.host, cookie: admin.cookie, 'sec-fetch-site': 'cross-site' },
      { host: admin.host, cookie: admin.cookie, 'sec-fetch-site': 'same-site' },
      { host: admin.host, cookie: admin.cookie },
      { host: admin.host, cookie: admin.cookie, origin: ownOrigin },
      { ...asCli, origin: 'http://evil.example' },
    ]
    for (const headers of foreign) {
      const answer = await world.app.inject({ method, url, headers: { ...headers, ...jsonFor(method) } })
      expect(answer.statusCode, JSON.stringify(headers)).toBe(403)
    }
    expect(world.platform.wanted).toEqual([])
  })

  test('may not read the API either, nor open a stream', async () => {
    const admin = await asAdmin(world)
    for (const url of ['/api/v1/deployments', '/api/v1/events', '/api/v1/watch']) {
      const answer = await world.app.inject({ url, headers: { ...admin, origin: 'http://localhost:3000' } })
      expect(answer.statusCode).toBe(403)
    }
  })

  test('may link to a page', async () => {
    const answer = await world.app.inject({
      url: '/d/shop',
      headers: { host: 'localhost:7070', 'sec-fetch-site': 'cross-site' },
    })
    expect(answer.statusCode).toBe(200)
  })

  test.each([
    'evil.example',
    'evil.example:7070',
    'localhost',
    'localhost:80',
    '127.0.0.1:7071',
    'localhost.evil:7070',
    '',
  ])('the Host %j is not ours', async (host) => {
    for (const url of ['/', '/healthz', '/api/v1/deployments', '/nowhere']) {
      const headers = { host, authorization: `Bearer ${bearerToken}` }
      const answer = await world.app.inject({ url, headers })
      expect(answer.statusCode).toBe(421)
      expect(answer.json().error.code).toBe('AUTH_MISDIRECTED')
    }
  })

  test.each(['localhost:7070', 'LOCALHOST:7070', '127.0.0.1:7070', '[::1]:7070'])(
    'the Host %j is ours',
    async (host) => {
      expect((await world.app.inject({ url: '/healthz', headers: { host } })).statusCode).toBe(200)
      const headers = { ...asCli, host, origin: `http://${host}` }
      const answer = await world.app.inject({
        method: 'POST',
        url: '/api/v1/plan',
        headers,
        payload: { spec: { name: 'shop' } },
      })
      expect(answer.statusCode).toBe(200)
    },
  )

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'a form cannot be posted as %s',
    async (type) => {
      const answer = await world.app.inject({
        method: 'POST',
        url: '/api/v1/deployments/shop/wanted',
        headers: { ...asCli, 'content-type': type },
        payload: '{"wanted":"down"}',
      })
      expect(answer.statusCode).toBe(415)
      expect(world.platform.wanted).toEqual([])
    },
  )
})

describe('headers', () => {
  const csp =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

  test.each(['/', '/d/shop', '/assets/main-1a2b.js', '/api/v1/deployments', '/api/v1/nowhere', '/nowhere'])(
    '%s is sent with the strict policy',
    async (url) => {
      const { headers } = await world.app.inject({ url, headers: { host: 'localhost:7070' } })
      expect(headers['content-security-policy']).toBe(csp)
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['referrer-policy']).toBe('no-referrer')
    },
  )

  test('the API is never cached, the page is asked for again, its files are kept for ever', async () => {
    expect(await cacheOf('/api/v1/deployments')).toBe('no-store')
    expect(await cacheOf('/api/v1/nowhere')).toBe('no-store')
    expect(await cacheOf('/')).toBe('no-cache')
    expect(await cacheOf('/assets/main-1a2b.js')).toBe('public, max-age=31536000, immutable')
  })

  test('nothing outside the panel is served', async () => {
    for (const url of [
      '/assets/../index.html',
      '/assets/%2e%2e/index.html',
      '/assets/..%2f..%2fetc/passwd',
      '/assets/',
    ]) {
      const answer = await world.app.inject({ url, headers: { host: 'localhost:7070' } })
      expect([403, 404], url).toContain(answer.statusCode)
    }
  })

  test('no other origin is ever allowed in', async () => {
    const answer = await world.app.inject({
      url: '/api/v1/deployments',
      headers: { ...asCli, origin: ownOrigin, host: 'localhost:7070' },
    })
    expect(answer.statusCode).toBe(200)
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })
})

const jsonFor = (method: Method): Record<string, string> =>
  method === 'POST' || method === 'PUT' ? { 'content-type': 'application/json' } : {}

async function cacheOf(url: string): Promise<unknown> {
  return (await world.app.inject({ url, headers: { host: 'localhost:7070' } })).headers['cache-control']
}
