import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asAdmin, asCli, aWorld, cookieOf, everywhere, fromOwnPage, password, signIn, type World } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
})
afterEach(() => world.close())

const who = (headers: Record<string, string>) => world.app.inject({ url: '/api/v1/session', headers })
const minutes = (count: number) => count * 60_000

describe('signing in', () => {
  test('the right password opens a session', async () => {
    const answer = await signIn(world)
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({
      user: 'admin',
      grants: [everywhere('admin')],
      endsInMs: minutes(30),
      demo: false,
    })
    expect((await who({ ...fromOwnPage, cookie: cookieOf(answer.headers['set-cookie']) })).json().user).toBe('admin')
  })

  test('the cookie is out of reach of scripts and of other sites, and opaque', async () => {
    const header = String((await signIn(world)).headers['set-cookie'])
    expect(header).toMatch(/^holdfast_session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
  })

  test('a wrong password and an unknown name get the same answer', async () => {
    const wrong = await signIn(world, { password: 'admin' })
    const unknown = await signIn(world, { user: 'root' })
    expect(wrong.statusCode).toBe(401)
    expect(unknown.statusCode).toBe(401)
    expect(unknown.body).toBe(wrong.body)
    expect(wrong.headers['set-cookie']).toBeUndefined()
  })

  test('neither the password nor the attempted name is logged', async () => {
    await signIn(world)
    await signIn(world, { user: 'my-password-in-the-wrong-field', password: 'wrong-secret' })
    expect(world.logged.join('')).toContain('sign-in failed')
    for (const secret of [password, 'my-password-in-the-wrong-field', 'wrong-secret']) {
      expect(world.logged.join('')).not.toContain(secret)
    }
  })

  test.each([
    { user: 'admin' },
    { user: 'admin', password: 7 },
    { user: 'admin', password: 'x'.repeat(1025) },
    { user: ['admin'], password },
    { user: 'admin', password, remember: true },
    [],
    'admin',
  ])('a body that is not a sign-in is refused: %j', async (payload) => {
    const answer = await world.app.inject({
      method: 'POST',
      url: '/api/v1/session',
      headers: { ...fromOwnPage, 'content-type': 'application/json' },
      payload: JSON.stringify(payload),
    })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.code).toBe('USAGE')
  })
})

describe('a session', () => {
  test('ends after half an hour of doing nothing', async () => {
    const admin = await asAdmin(world)
    world.clock.advance(minutes(29))
    expect((await who(admin)).statusCode).toBe(200)
    world.clock.advance(minutes(29))
    expect((await who(admin)).statusCode).toBe(200)
    world.clock.advance(minutes(30))
    expect((await who(admin)).statusCode).toBe(401)
  })

  test('ends after twelve hours, however busy', async () => {
    const admin = await asAdmin(world)
    for (let passed = 0; passed < 12 * 60 - 20; passed += 20) {
      world.clock.advance(minutes(20))
      expect((await who(admin)).statusCode).toBe(200)
    }
    world.clock.advance(minutes(20))
    expect((await who(admin)).statusCode).toBe(401)
  })

  test('is not kept alive by a page that nobody touches', async () => {
    const admin = await asAdmin(world)
    world.clock.advance(minutes(20))
    await world.app.inject({
      url: '/api/v1/deployments/none/watch',
      headers: { ...admin, accept: 'text/event-stream' },
    })
    world.clock.advance(minutes(11))
    expect((await who(admin)).statusCode).toBe(401)
  })

  test('ends on the server when its user signs out', async () => {
    const admin = await asAdmin(world)
    const answer = await world.app.inject({ method: 'DELETE', url: '/api/v1/session', headers: admin })
    expect(answer.statusCode).toBe(204)
    expect(answer.headers['set-cookie']).toContain('Max-Age=0')
    expect((await who(admin)).statusCode).toBe(401)
  })

  test('is replaced at each sign-in, and the old one is worth nothing', async () => {
    const before = await asAdmin(world)
    const answer = await world.app.inject({
      method: 'POST',
      url: '/api/v1/session',
      headers: before,
      payload: { user: 'admin', password },
    })
    expect(cookieOf(answer.headers['set-cookie'])).not.toBe(before.cookie)
    expect((await who(before)).statusCode).toBe(401)
  })

  test('a made-up cookie is nobody', async () => {
    expect((await who({ ...fromOwnPage, cookie: `holdfast_session=${'A'.repeat(43)}` })).statusCode).toBe(401)
  })

  test('a wrong token does not fall back to the cookie', async () => {
    const admin = await asAdmin(world)
    const url = '/api/v1/deployments'
    expect((await world.app.inject({ url, headers: { ...admin, authorization: 'Bearer guess' } })).statusCode).toBe(401)
    expect((await world.app.inject({ url, headers: asCli })).statusCode).toBe(200)
  })
})

describe('guessing', () => {
  test('twenty wrong passwords run into a wait that grows', async () => {
    const answers = []
    for (let i = 0; i < 20; i++) answers.push(await signIn(world, { password: `wrong-${i}` }))
    expect(answers.slice(0, 5).map((answer) => answer.statusCode)).toEqual([401, 401, 401, 401, 401])
    expect(new Set(answers.slice(5).map((answer) => answer.statusCode))).toEqual(new Set([429]))
    expect(answers[5]?.headers['retry-after']).toBe('1')
    expect(answers[5]?.json().error.code).toBe('AUTH_THROTTLED')

    const waits = []
    for (let round = 0; round < 4; round++) {
      const refused = await signIn(world, { password: 'wrong' })
      waits.push(Number(refused.headers['retry-after']))
      world.clock.advance(waits.at(-1)! * 1000)
      expect((await signIn(world, { password: 'wrong' })).statusCode).toBe(401)
    }
    expect(waits).toEqual([1, 2, 4, 8])
  })

  test('does not lock the owner out: the right password from another address works', async () => {
    for (let i = 0; i < 20; i++) await signIn(world, { password: 'wrong', from: '10.0.0.66' })
    expect((await signIn(world, { from: '10.0.0.66' })).statusCode).toBe(429)
    expect((await signIn(world, { from: '10.0.0.7' })).statusCode).toBe(200)
  })

  test('one account tried from many addresses slows down too, by two seconds at most', async () => {
    for (let i = 0; i < 20; i++) await signIn(world, { password: 'wrong', from: `10.0.0.${i}` })
    const refused = await signIn(world, { from: '10.0.1.1' })
    expect(refused.statusCode).toBe(429)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(2)
    world.clock.advance(2000)
    expect((await signIn(world, { from: '10.0.1.1' })).statusCode).toBe(200)
  })

  test('many at once do not slip through before the first fails', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => signIn(world, { password: 'wrong' })))
    expect(answers.filter((answer) => answer.statusCode === 401)).toHaveLength(5)
  })

  test('a right password wipes the slate', async () => {
    for (let i = 0; i < 4; i++) await signIn(world, { password: 'wrong' })
    await signIn(world)
    for (let i = 0; i < 4; i++) expect((await signIn(world, { password: 'wrong' })).statusCode).toBe(401)
  })
})
