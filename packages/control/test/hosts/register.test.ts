import { beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { HostRegister } from '../../src/hosts/register.ts'
import { parseJoinToken, printJoinToken } from '../../src/hosts/token.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'

const hourMs = 3_600_000
const where = { address: '10.0.0.2', port: 7600, deployments: '/var/lib/holdfast/deployments' }
const labels = { name: 'b', zone: 'z2', region: '' }
const notGood = expect.objectContaining({ code: 'AUTH_REQUIRED' })

let wallMs = 0
let store: MemoryStore
let register: HostRegister

beforeEach(() => {
  wallMs = 1_700_000_000_000
  store = new MemoryStore()
  register = new HostRegister(store.settings, { ...systemClock, wall: () => wallMs })
})

describe('a token', () => {
  test('is good for one host, once', async () => {
    const secret = await register.invite(labels)
    await expect(register.enrol('c', secret, where)).rejects.toEqual(notGood)
    await expect(register.enrol('b', `${secret}x`, where)).rejects.toEqual(notGood)
    await register.enrol('b', secret, where)
    await expect(register.enrol('b', secret, where)).rejects.toEqual(notGood)
    expect(register.host('b')).toEqual({ ...labels, ...where, joinedAt: wallMs })
  })

  test('is good for an hour, and not after another was made', async () => {
    const first = await register.invite(labels)
    const second = await register.invite(labels)
    await expect(register.enrol('b', first, where)).rejects.toEqual(notGood)
    wallMs += hourMs
    await expect(register.enrol('b', second, where)).rejects.toEqual(notGood)
  })

  test('of two who come with it, one is let in', async () => {
    const secret = await register.invite(labels)
    const both = await Promise.allSettled([register.enrol('b', secret, where), register.enrol('b', secret, where)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('is kept as a digest alone', async () => {
    const secret = await register.invite(labels)
    const kept = store.settings.keys('').map((key) => store.settings.get(key))
    expect(kept.join()).not.toContain(secret)
  })

  test('is one line that says what it is', () => {
    const token = { urls: ['https://10.0.0.1:7501'], authority: 'a'.repeat(64), host: 'b', secret: 's'.repeat(32) }
    expect(parseJoinToken(` ${printJoinToken(token)}\n`)).toEqual(token)
    for (const other of ['', 'hfj_', 'hfj_abc', printJoinToken(token).slice(0, -5), printJoinToken(token).slice(4)])
      expect(() => parseJoinToken(other), other).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('a host', () => {
  test('many that come at once are all there', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `h${index}`)
    const secrets = await Promise.all(names.map((name) => register.invite({ ...labels, name })))
    await Promise.all(
      names.map((name, index) => register.enrol(name, secrets[index] ?? '', { ...where, port: 7600 + index })),
    )
    expect(register.hosts().map(({ name }) => name)).toEqual(names)
  })

  test('that has moved is found at its new address, and not where another is', async () => {
    for (const [name, port] of [
      ['b', 7600],
      ['c', 7601],
    ] as const)
      await register.enrol(name, await register.invite({ ...labels, name }), { ...where, port })
    await register.found('b', { ...where, address: '10.0.0.9' })
    expect(register.host('b')).toMatchObject({ address: '10.0.0.9', zone: 'z2' })
    const taken = register.found('c', { ...where, address: '10.0.0.9' })
    await expect(taken).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('that was removed is nobody any more', async () => {
    await register.enrol('b', await register.invite(labels), where)
    await register.remove('b')
    await expect(register.found('b', where)).rejects.toMatchObject({ code: 'AUTH_FORBIDDEN' })
    await expect(register.remove('b')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
