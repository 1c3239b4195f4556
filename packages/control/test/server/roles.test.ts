import type { Grant, Role } from '@holdfast/core'
import { roles } from '@holdfast/core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Access } from '../../src/server/access.ts'
import { accessTable } from '../../src/server/access.ts'
import { aStatus } from './demo-status.ts'
import { anEvent } from './memory-platform.ts'
import type { World } from './support.ts'
import { asAdmin, asCli, asProgram, asUser, aWorld, everywhere } from './support.ts'

let world: World
beforeAll(() => {
  world = aWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  world.platform.show(aStatus())
  world.platform.show(aStatus({ name: 'other' }))
  world.clock.advance(3_600_000)
})

const onShop = (role: Role): Grant => ({ role, deployment: 'shop' })

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

interface Route {
  readonly route: string
  readonly method: Method
  readonly url: string
  readonly access: Access
  readonly namesOne: boolean
}

const routes = Object.entries(accessTable).flatMap(([route, access]): Route[] => {
  const [method = '', url = ''] = route.split(' ')
  const isStream = /\/(watch|stream)$/.test(url)
  if (access === 'anyone' || isStream || !url.startsWith('/api/')) return []
  const filled = url.replace(':name', 'shop').replace(/:\w+/g, 'x1')
  return [{ route, method: method as Method, url: filled, access, namesOne: url.includes(':name') }]
})

/** Said again here, by another way than the server's: which callers come in. */
function comesIn(access: Access, namesOne: boolean, who: Who): boolean {
  const held = namesOne ? who.onShop : who.onAll
  const rank = held === null ? 0 : roles.indexOf(held) + 1
  switch (access) {
    case 'anyone':
      return true
    case 'browser':
      return who.by === 'browser'
    case 'command line':
      return who.by === 'command line'
    case 'some':
      return who.onShop !== null
    case 'feed':
    case 'viewer':
      return rank >= 1
    case 'operator':
      return rank >= 2
    case 'admin':
      return rank >= 3
    case 'admin program':
      return rank >= 3 && who.by !== 'browser'
    default:
      return access satisfies never
  }
}

interface Who {
  readonly by: 'browser' | 'program' | 'command line'
  readonly onShop: Role | null
  readonly onAll: Role | null
}

const people: (Who & { readonly grants: readonly Grant[] })[] = roles.flatMap((role) =>
  (['browser', 'program'] as const).flatMap((by) => [
    { by, onShop: role, onAll: role, grants: [everywhere(role)] },
    { by, onShop: role, onAll: null, grants: [onShop(role)] },
    { by, onShop: null, onAll: null, grants: [{ role, deployment: 'other' }] },
  ]),
)

const nameOf = ({ by, grants }: (typeof people)[number]): string =>
  `${by} ${grants.map(({ role, deployment }) => `${role} of ${deployment ?? 'all'}`).join()}`

describe.each(people.map((who) => ({ ...who, name: nameOf(who) })))('$name', (who) => {
  test('comes in where the table says so, and nowhere else', async () => {
    const headers = who.by === 'browser' ? await asUser(world, 'eve', who.grants) : asProgram(world, who.grants)
    // One session serves them all, so what ends it comes last.
    const ordered = [...routes].sort((a, b) => Number(a.url.endsWith('/session')) - Number(b.url.endsWith('/session')))
    for (const { route, method, url, access, namesOne } of ordered) {
      // Of a plan the body says which deployment is meant.
      const isPlan = route === 'POST /api/v1/plan'
      const payload = isPlan ? { spec: { name: 'shop' } } : {}
      const sent = method === 'POST' || method === 'PUT' ? { payload } : {}
      const accept = { ...headers, accept: 'application/json' }
      const { statusCode, body } = await world.app.inject({ method, url, headers: accept, ...sent })
      const seesOther = access === 'some' && who.grants.length > 0
      const expected = comesIn(access, namesOne || isPlan, who) || seesOther
      expect(statusCode !== 403, `${route}: ${body.slice(0, 200)}`).toBe(expected)
      expect([401, 500], route).not.toContain(statusCode)
    }
  })
})

describe('a role on one deployment', () => {
  test('shows that one and no other, in lists, events and plans', async () => {
    const headers = { ...asProgram(world, [onShop('operator')]), accept: 'application/json' }
    for (const deployment of ['shop', 'other']) world.platform.events.append(anEvent({ deployment }))
    const list = await world.app.inject({ url: '/api/v1/deployments', headers })
    expect(list.json().deployments.map(({ name }: { name: string }) => name)).toEqual(['shop'])
    const events = await world.app.inject({ url: '/api/v1/events', headers })
    expect(events.json().events.map(({ deployment }: { deployment: string }) => deployment)).toEqual(['shop'])
    const theirs = await world.app.inject({ url: '/api/v1/events?deployment=other', headers })
    expect(theirs.statusCode).toBe(403)
    const payload = { spec: { name: 'other' } }
    expect((await world.app.inject({ method: 'POST', url: '/api/v1/plan', headers, payload })).statusCode).toBe(403)
  })

  test('does not tell whether another one exists', async () => {
    const headers = asProgram(world, [onShop('admin')])
    const said = async (name: string) => {
      const { statusCode, body } = await world.app.inject({ url: `/api/v1/deployments/${name}`, headers })
      return `${statusCode} ${body.replaceAll(name, 'NAME')}`
    }
    expect(await said('other')).toBe(await said('nowhere'))
  })
})

describe('what takes an administrator', () => {
  const wishes: [string, Method, string, object][] = [
    ['purge', 'POST', '/deployments/shop/wanted', { wanted: 'down', purge: true }],
    ['losing data', 'POST', '/deployments/shop/wanted', { wanted: 'up', acceptDataLoss: true }],
    [
      'rotating passwords',
      'POST',
      '/deployments/shop/operations',
      { kind: 'rotate', id: 'a', subject: 'shop', users: [] },
    ],
    ['a program', 'POST', '/deployments/shop/upgrade', { id: 'b', engine: { path: '/bin/sh' } }],
    ['looking for a program', 'POST', '/deployments/shop/upgrade/preview', { engine: { path: '/bin/sh' } }],
    ['another directory', 'POST', '/deployments/shop/backups', { id: 'c', to: '/etc' }],
    [
      'a program in a spec',
      'PUT',
      '/deployments/shop/spec',
      { spec: { name: 'shop', engine: { path: '/bin/sh' } }, baseRevision: null },
    ],
    [
      'a directive',
      'PUT',
      '/deployments/shop/spec',
      { spec: { name: 'shop', config: { loglevel: 'debug' } }, baseRevision: null },
    ],
    ['planning a program', 'POST', '/plan', { spec: { name: 'shop', engine: { path: '/bin/sh' } } }],
  ]

  test.each(wishes)(
    '%s is refused to an operator, in words, and not to an administrator',
    async (_what, method, path, payload) => {
      const url = `/api/v1${path}`
      const operator = asProgram(world, [everywhere('operator')])
      const refused = await world.app.inject({ method, url, headers: operator, payload })
      expect(refused.statusCode).toBe(403)
      expect(refused.json().error.message).toMatch(/takes the role admin on shop; token ci is operator there$/)
      const admin = asProgram(world, [onShop('admin')])
      expect((await world.app.inject({ method, url, headers: admin, payload })).statusCode).not.toBe(403)
    },
  )

  test('an operator edits the rest of a spec, and may send back unchanged what he may not change', async () => {
    const admin = asProgram(world, [everywhere('admin')])
    const url = '/api/v1/deployments/edited/spec'
    const spec = { name: 'edited', config: { loglevel: 'notice' } }
    await world.app.inject({ method: 'PUT', url, headers: admin, payload: { spec, baseRevision: null } })
    const saved = world.platform.spec('edited')?.spec ?? {}
    const operator = asProgram(world, [everywhere('operator')])
    const payload = { spec: { ...saved, memory: { maxPerNode: '96mb' } }, baseRevision: null }
    const answer = await world.app.inject({ method: 'PUT', url, headers: operator, payload })
    expect(answer.statusCode).not.toBe(403)
  })
})

describe('a token', () => {
  const get = (url: string, headers: Record<string, string>) => world.app.inject({ url: `/api/v1${url}`, headers })

  test('is shown once, kept as a hash, and works until it is revoked', async () => {
    const admin = await asAdmin(world)
    const payload = { name: 'ci', role: 'viewer', expiresInMs: 3_600_000 }
    const made = await world.app.inject({ method: 'POST', url: '/api/v1/api-tokens', headers: admin, payload })
    expect(made.statusCode).toBe(201)
    const { id, token } = made.json()
    expect(token).toMatch(new RegExp(`^hfs_${id}_[A-Za-z0-9_-]{43}$`))
    expect(JSON.stringify([world.access.tokens(), world.audit.latest({ limit: 9 })])).not.toContain(token)
    const listed = await get('/api-tokens', admin)
    expect(listed.body).toContain(id)
    expect(listed.body).not.toContain(token)
    expect(listed.body).not.toContain('hash')

    const bearer = { host: '127.0.0.1:7070', authorization: `Bearer ${token}` }
    expect((await get('/deployments', bearer)).statusCode).toBe(200)
    const wrong = { ...bearer, authorization: `Bearer ${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}` }
    expect((await get('/deployments', wrong)).statusCode).toBe(401)
    await world.app.inject({ method: 'DELETE', url: `/api/v1/api-tokens/${id}`, headers: admin })
    expect((await get('/deployments', bearer)).statusCode).toBe(401)
  })

  test('ends with its time', async () => {
    const headers = asProgram(world, [everywhere('viewer')])
    world.clock.advance(3_599_999)
    expect((await get('/deployments', headers)).statusCode).toBe(200)
    world.clock.advance(1)
    expect((await get('/deployments', headers)).statusCode).toBe(401)
  })

  test('for the topology feed opens nothing else', async () => {
    const headers = { ...asProgram(world, [everywhere('viewer')], 'topology'), accept: 'application/json' }
    for (const { method, url, access } of routes.filter(({ access: one }) => one !== 'feed')) {
      const sent = method === 'POST' || method === 'PUT' ? { payload: {} } : {}
      expect((await world.app.inject({ method, url, headers, ...sent })).statusCode, `${url} ${access}`).toBe(403)
    }
  })

  test.each([
    { name: 'ci', role: 'viewer', expiresInMs: 0 },
    { name: 'ci', role: 'viewer', expiresInMs: 400 * 86_400_000 },
    { name: 'ci', role: 'viewer' },
    { name: 'ci', role: 'root', expiresInMs: 60_000 },
    { name: 'ci', expiresInMs: 60_000 },
    { name: 'CI <b>', role: 'viewer', expiresInMs: 60_000 },
    { name: 'ci', role: 'viewer', deployment: '../x', expiresInMs: 60_000 },
    { name: 'ci', scope: 'everything', expiresInMs: 60_000 },
  ])('is not made of %j', async (payload) => {
    const before = world.access.tokens().length
    const answer = await world.app.inject({ method: 'POST', url: '/api/v1/api-tokens', headers: asCli, payload })
    expect(answer.statusCode).toBe(400)
    expect(world.access.tokens()).toHaveLength(before)
  })
})
