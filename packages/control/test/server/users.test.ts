import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { World } from './support.ts'
import { asAdmin, asCli, asUser, aWorld, everywhere, signIn } from './support.ts'

let world: World
beforeEach(() => {
  world = aWorld()
})
afterEach(() => world.close())

const ask = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object) =>
  world.app.inject({ method, url: `/api/v1${path}`, headers: asCli, ...(payload === undefined ? {} : { payload }) })
const who = async (headers: Record<string, string>) =>
  (await world.app.inject({ url: '/api/v1/session', headers })).statusCode

describe('a user', () => {
  test('signs in with the password that was shown once', async () => {
    const made = await ask('POST', '/users', { name: 'ada', role: 'operator', deployment: 'shop' })
    expect(made.statusCode).toBe(201)
    const { password, may } = made.json()
    expect(may).toBe('operator of shop')
    const answer = await signIn(world, { user: 'ada', password })
    expect(answer.json()).toMatchObject({ user: 'ada', grants: [{ role: 'operator', deployment: 'shop' }] })
    expect((await signIn(world, { user: 'admin', password })).statusCode).toBe(401)
    const all = await ask('GET', '/users')
    expect(all.body).not.toContain('scrypt')
    expect(JSON.stringify([world.access.users(), world.audit.latest({ limit: 9 })])).not.toContain(password)
  })

  test('loses his sessions and his old password with a new one', async () => {
    const ada = await asUser(world, 'ada', [everywhere('viewer')])
    const admin = await asAdmin(world)
    const { password } = (await ask('POST', '/users/ada/password')).json()
    expect(await who(ada)).toBe(401)
    expect(await who(admin)).toBe(200)
    expect((await signIn(world, { user: 'ada' })).statusCode).toBe(401)
    expect((await signIn(world, { user: 'ada', password })).statusCode).toBe(200)
  })

  test('signs in anew after another role, and is nobody once he is removed', async () => {
    const ada = await asUser(world, 'ada', [everywhere('admin')])
    expect((await ask('PUT', '/users/ada/role', { role: 'viewer', deployment: 'shop' })).json().may).toBe(
      'admin, viewer of shop',
    )
    expect((await ask('PUT', '/users/ada/role', { role: null, deployment: null })).json().may).toBe('viewer of shop')
    expect(await who(ada)).toBe(401)
    const again = await signIn(world, { user: 'ada' })
    const cookie = String(again.headers['set-cookie']).split(';')[0] ?? ''
    await ask('DELETE', '/users/ada')
    expect(await who({ ...ada, cookie })).toBe(401)
    expect((await signIn(world, { user: 'ada' })).statusCode).toBe(401)
  })

  test('who is the last administrator of all stays one', async () => {
    await ask('POST', '/users', { name: 'ada', role: 'admin', deployment: 'shop' })
    for (const answer of [
      await ask('DELETE', '/users/admin'),
      await ask('PUT', '/users/admin/role', { role: 'viewer' }),
    ]) {
      expect(answer.statusCode).toBe(409)
      expect(answer.json().error.code).toBe('REFUSED_UNSAFE')
    }
    await ask('PUT', '/users/ada/role', { role: 'admin' })
    expect((await ask('DELETE', '/users/admin')).statusCode).toBe(200)
  })

  test.each(['cli', 'controller', 'Ada', '', '../etc', 'a'.repeat(41), '__proto__', '<img>'])(
    'is not called %j',
    async (name) => {
      expect((await ask('POST', '/users', { name, role: 'viewer' })).statusCode).toBe(400)
    },
  )
})
