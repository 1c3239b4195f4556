import { expect, test } from 'vitest'
import { generatePassword, hashPassword, verifyPassword } from '../../src/server/auth/password.ts'
import { aWorld, fromOwnPage } from './support.ts'

test('a generated password has at least 128 bits in groups that can be read aloud', () => {
  const made = new Set(Array.from({ length: 100 }, generatePassword))
  expect(made.size).toBe(100)
  for (const one of made) expect(one).toMatch(/^[a-hjkmnp-z1-9]{4}(-[a-hjkmnp-z1-9]{4}){6}$/)
})

test('the hash carries its parameters and not the password, and only the right one fits', async () => {
  const hash = await hashPassword('kxq7-moss')
  expect(hash).toMatch(/^scrypt\$N=131072,r=8,p=1\$/)
  expect(hash).not.toContain('kxq7')
  expect(await verifyPassword('kxq7-moss', hash)).toBe(true)
  expect(await verifyPassword('kxq7-mos', hash)).toBe(false)
  expect(await hashPassword('kxq7-moss')).not.toBe(hash)
})

test('fifty sign-ins at once leave the server responsive and its memory bounded', async () => {
  const world = aWorld({ adminHash: await hashPassword('kxq7-moss') })
  try {
    await world.app.ready()
    const flood = Array.from({ length: 50 }, (_, i) =>
      world.app.inject({
        method: 'POST',
        url: '/api/v1/session',
        headers: fromOwnPage,
        remoteAddress: `10.1.0.${i}`,
        payload: { user: `nobody-${i}`, password: 'wrong' },
      }),
    )
    let slowestMs = 0
    for (let i = 0; i < 20; i++) {
      const startedAt = performance.now()
      await world.app.inject({ url: '/healthz', headers: { host: 'localhost:7070' } })
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    }
    const answers = await Promise.all(flood)
    expect(slowestMs).toBeLessThan(200)
    const statuses = answers.map((answer) => answer.statusCode)
    expect(statuses.filter((status) => status === 401)).toHaveLength(18)
    expect(statuses.filter((status) => status === 429)).toHaveLength(32)
    expect(answers.find((answer) => answer.statusCode === 429)?.headers['retry-after']).toBe('5')
  } finally {
    await world.close()
  }
}, 60_000)
