import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessTable, isAudited } from '../../src/server/access.ts'
import { withoutSecrets } from '../../src/server/without-secrets.ts'
import { aStatus } from './demo-status.ts'
import type { World } from './support.ts'
import { asAdmin, asCli, asProgram, aWorld, everywhere, fromOwnPage, signIn } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
  world.platform.show(aStatus())
})
afterEach(() => world.close())

type Method = 'POST' | 'PUT' | 'DELETE' | 'GET'
const audited = Object.keys(accessTable)
  .filter(isAudited)
  .map((route) => {
    const [method = '', url = ''] = route.split(' ')
    return { route, method: method as Method, url: url.replace(':name', 'shop').replace(/:\w+/g, 'x1') }
  })
const records = () => world.audit.latest({ limit: 1000 })
const canary = 'canary-of-the-audit'
const payload = {
  password: canary,
  token: canary,
  url: `redis://user:${canary}@10.0.0.7:6379`,
  spec: { notify: [{ url: `https://hook.example/?token=${canary}` }] },
}

describe('one record and no more', () => {
  test.each(audited)('$route, done or failed or denied', async ({ route, method, url }) => {
    const viewer = asProgram(world, [everywhere('viewer')])
    const stranger = { host: '127.0.0.1:7070' }
    const body = method === 'POST' || method === 'PUT' ? { payload } : {}
    for (const [headers, kind] of [
      [route.includes('/session') ? await asAdmin(world) : asCli, route.includes('/session') ? 'user' : 'command line'],
      [viewer, 'token'],
      [{ ...stranger, 'x-requested-by': 'holdfast', 'sec-fetch-site': 'same-origin' }, 'nobody'],
    ] as const) {
      const before = records().length
      const { statusCode } = await world.app.inject({ method, url, headers, ...body })
      const [record, ...more] = records().slice(0, records().length - before)
      expect(more).toEqual([])
      const outcome = [401, 403, 429].includes(statusCode) ? 'denied' : statusCode < 400 ? 'done' : 'failed'
      expect(record).toMatchObject({ what: route, outcome, kind, from: '127.0.0.1' })
      expect(record?.code === null).toBe(statusCode < 400)
    }
    expect(JSON.stringify(records())).not.toContain(canary)
    expect((await world.audit.verify()).whole).toBe(true)
  })

  test('every route that can change something is one of them, but for what only asks', () => {
    const silent = Object.keys(accessTable).filter((route) => !/^(GET|HEAD|OPTIONS) /.test(route) && !isAudited(route))
    expect(silent).toEqual([
      'POST /api/v1/deployments/:name/faults/preview',
      'POST /api/v1/deployments/:name/operations/preview',
      'POST /api/v1/deployments/:name/upgrade/preview',
      'POST /api/v1/deployments/:name/restore/preview',
      'POST /api/v1/backups/read',
      'POST /api/v1/plan',
    ])
  })
})

describe('a record', () => {
  test('says who, what, from where, and what it was before and after', async () => {
    const spec = { name: 'shop', memory: { maxPerNode: '96mb' } }
    const headers = await asAdmin(world)
    const put = { method: 'PUT', url: '/api/v1/deployments/shop/spec', headers } as const
    await world.app.inject({ ...put, payload: { spec, baseRevision: null }, remoteAddress: '10.1.2.3' })
    const [record] = records()
    expect(record).toMatchObject({ who: 'admin', kind: 'user', from: '10.1.2.3', on: 'shop', outcome: 'done' })
    expect(record?.asked).toMatchObject({ spec: { memory: { maxPerNode: '96mb' } } })
    expect(record?.before).toMatchObject({ memory: null })
    expect(record?.after).toHaveProperty('memory.maxPerNode')
  })

  test('is also of a look that was not allowed, and of a password that was read', async () => {
    const viewer = asProgram(world, [everywhere('viewer')])
    await world.app.inject({ url: '/api/v1/users', headers: viewer })
    expect(records()[0]).toMatchObject({ who: 'ci', kind: 'token', what: 'GET /api/v1/users', outcome: 'denied' })
    await world.app.inject({ url: '/api/v1/deployments/shop/credentials', headers: asCli })
    expect(records()[0]).toMatchObject({ what: 'GET /api/v1/deployments/:name/credentials', outcome: 'done' })
    expect(JSON.stringify(records())).not.toContain('canary-password')
  })

  test('of a sign-in names the user only where there is one: people type passwords into that field', async () => {
    await signIn(world, { password: 'wrong' })
    expect(records()[0]).toMatchObject({ outcome: 'denied', after: { user: 'admin' } })
    await signIn(world, { user: 'my-secret-in-the-wrong-field' })
    expect(records()[0]).toMatchObject({ outcome: 'denied', after: { user: null } })
    expect(JSON.stringify(records())).not.toContain('my-secret')
  })

  test('is not written for each knock in vain: the rest is counted', async () => {
    const knock = () => world.app.inject({ method: 'POST', url: '/api/v1/plan', headers: fromOwnPage, payload: {} })
    const wanted = { method: 'POST', url: '/api/v1/deployments/shop/resume', headers: fromOwnPage } as const
    for (let i = 0; i < 130; i++) await world.app.inject(wanted)
    await knock()
    expect(records()).toHaveLength(100)
    await world.app.inject({ ...wanted, headers: asCli })
    expect(records()[0]).toMatchObject({ outcome: 'done', unwritten: 30 })
    world.clock.advance(11 * 60_000)
    await world.app.inject(wanted)
    expect(records()[0]).toMatchObject({ outcome: 'denied', unwritten: 0 })
  })

  test('that cannot be written stops nobody, and is in the log', async () => {
    world.audit.close()
    const resume = { method: 'POST', url: '/api/v1/deployments/shop/resume', headers: asCli } as const
    expect((await world.app.inject(resume)).statusCode).toBe(202)
    expect(world.logged.join('')).toContain('the audit log cannot be written')
  })
})

test('reading it is for administrators of all deployments', async () => {
  const url = '/api/v1/audit?limit=2'
  await signIn(world)
  const shopAdmin = asProgram(world, [{ role: 'admin', deployment: 'shop' }])
  expect((await world.app.inject({ url, headers: shopAdmin })).statusCode).toBe(403)
  const answer = await world.app.inject({ url, headers: asProgram(world, [everywhere('admin')]) })
  expect(answer.json().records.map(({ what }: { what: string }) => what)).toEqual([
    'GET /api/v1/audit',
    'POST /api/v1/session',
  ])
  const verdict = await world.app.inject({ url: '/api/v1/audit/verdict', headers: asCli })
  expect(verdict.json()).toMatchObject({ whole: true, records: 2, last: { seq: 2 } })
})

test.each([
  [{ password: 'x' }, { password: '***' }],
  [
    { spec: { security: { users: [{ passwordHash: 'ab' }] } } },
    { spec: { security: { users: [{ passwordHash: '***' }] } } },
  ],
  ['redis://u:p@ss@host:1', 'redis://***@host:1'],
  ['holdfast+sentinel://:p@h1:1,h2:2/m', 'holdfast+sentinel://***@h1:1,h2:2/m'],
  ['x'.repeat(400), `${'x'.repeat(300)}… (400)`],
  [{ a: { b: { c: { d: { e: { f: { g: 1 } } } } } } }, { a: { b: { c: { d: { e: { f: '…' } } } } } }],
])('of %j is written down %j', (value, written) => {
  expect(withoutSecrets(value)).toEqual(written)
})
