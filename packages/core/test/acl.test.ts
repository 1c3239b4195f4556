import { describe, expect, test } from 'vitest'
import type { EngineBuild } from '../src/index.ts'
import { engineUsers, newSecrets, parseSpec, renderUsers, rightsOf, secretsFor } from '../src/index.ts'

const redis62: EngineBuild = { flavor: 'redis', version: '6.2.14' }
const redis7: EngineBuild = { flavor: 'redis', version: '7.0.15' }
const valkey8: EngineBuild = { flavor: 'valkey', version: '8.1.4' }

const usersOf = (spec: Record<string, unknown> = {}, engine = redis7, chained = false): string[] => {
  let count = 0
  return renderUsers({
    chained,
    spec: parseSpec({ name: 'shop', ...spec }),
    secrets: newSecrets(() => `canary-${++count}`),
    engine,
    sha256: (text) => `hash-of-${text.slice(-1)}`,
  })
    .trimEnd()
    .split('\n')
}

describe("the engine's users", () => {
  test('are the four that are needed, and nobody else gets in', () => {
    expect(usersOf().map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'user default off',
      'user app on',
      'user replication on',
      'user probe on',
      'user admin on',
    ])
  })

  test('Sentinels cannot sign in to a chained replica', () => {
    const fields = { topology: 'sentinel', replicasPerShard: 2, chained: 1 }
    const sentinelsIn = (chained: boolean) =>
      usersOf(fields, redis7, chained).filter((line) => line.includes('user sentinel'))
    expect([sentinelsIn(false).length, sentinelsIn(true).length]).toEqual([1, 0])
  })

  test('have passwords of their own, which the file does not hold', () => {
    const text = usersOf().join('\n')
    expect(text).not.toContain('canary')
    expect(new Set(text.match(/#hash-of-\d/g)).size).toBe(4)
  })

  test('an application may do everything but harm the deployment', () => {
    expect(rightsOf('app', redis7)).toBe(
      '~* &* +@all -@admin -@dangerous +info +role +sort +sort_ro +cluster|slots +cluster|shards +cluster|nodes +cluster|myid +cluster|info +cluster|keyslot +client|tracking',
    )
  })

  test('an older engine is not told of commands that it does not know', () => {
    for (const user of Object.values(engineUsers)) {
      expect(rightsOf(user, redis62)).not.toMatch(/sort_ro|cluster\|shards|setinfo/)
      expect(rightsOf(user, redis7)).not.toContain('setinfo')
    }
    expect(rightsOf('app', redis62)).toContain('+client|setname')
    expect(rightsOf('probe', valkey8)).toContain('+cluster|slot-stats')
    expect(rightsOf('probe', redis7)).not.toContain('slot-stats')
    expect(rightsOf('probe', valkey8)).toContain('+client|setinfo')
  })

  test('replicas may copy, and nothing else but take slots', () => {
    expect(rightsOf('replication', redis7)).toBe('resetkeys resetchannels -@all +psync +replconf +ping')
    expect(rightsOf('replication', { flavor: 'valkey', version: '9.1.2' })).toBe(
      '~* resetchannels -@all +@write -@dangerous +psync +replconf +ping +sync +select +multi +exec +cluster|syncslots',
    )
  })

  test('of the spec may do what it says, and nothing that changes an engine', () => {
    const users = [
      { name: 'reports', keys: ['orders:*'], commands: ['+@all', '-@write', '+keys'] },
      { name: 'batch', passwordHash: 'a'.repeat(64), keys: ['*'], channels: ['news'] },
    ]
    const input = { spec: parseSpec({ name: 'shop', security: { users } }), engine: redis7 }
    const secrets = secretsFor(
      input.spec,
      newSecrets(() => 'own'),
      () => 'made',
    )
    expect(Object.keys(secrets)).toEqual(['app', 'replication', 'probe', 'admin', 'sentinel', 'reports'])
    const lines = renderUsers({ ...input, secrets, sha256: (text) => `hash-of-${text}` }).split('\n')
    const ofCluster = '+cluster|slots +cluster|shards +cluster|nodes +cluster|myid +cluster|info +cluster|keyslot'
    expect(lines).toContain(
      `user reports on #hash-of-made resetkeys ~orders:* resetchannels -@all +@all -@write -@admin -@dangerous +ping +info +role ${ofCluster} +hello +auth +select +client|setname +client|id +client|getname +keys`,
    )
    expect(lines.find((line) => line.startsWith('user batch'))).toMatch(
      /^user batch on #a{64} resetkeys ~\* resetchannels &news \+@all -@admin -@dangerous /,
    )
  })

  test('of the spec keep their passwords while they are there, and lose them after', () => {
    const of = (...names: string[]) => parseSpec({ name: 'shop', security: { users: names.map((name) => ({ name })) } })
    const before = { ...newSecrets(() => 'own'), reports: 'mine', 'reports.previous': 'older', batch: 'its' }
    expect(secretsFor(of('reports'), before, () => 'made')).toMatchObject({
      reports: 'mine',
      'reports.previous': 'older',
    })
    expect(secretsFor(of('reports'), before, () => 'made')['batch']).toBeUndefined()
  })

  test.each([
    [{ name: 'admin' }, 'security.users.0.name: admin is a user that Holdfast makes'],
    [{ name: 'Reports' }, 'use 1 to 40 of a-z'],
    [{ name: 'a', commands: ['+config'] }, '"+config" is no command on data'],
    [{ name: 'a', commands: ['+@admin'] }, '"+@admin": categories are all, keyspace'],
    [{ name: 'a', commands: ['get'] }, '"get" is no word: write +@read, +get or -flushall'],
    [{ name: 'a', keys: ['a b'] }, 'one pattern without spaces'],
    [{ name: 'a', passwordHash: 'secret' }, 'the SHA-256 of the password'],
  ])('of the spec are refused where they make no sense: %j', (user, message) => {
    expect(() => parseSpec({ name: 'shop', security: { users: [user] } })).toThrow(message)
  })

  test('the probe cannot read a value nor a setting', () => {
    expect(rightsOf('probe', redis7)).not.toMatch(/~|\+@|config|\+get|acl/)
  })

  test('with legacyAuth a password alone is the application’s', () => {
    const [first, second] = usersOf({ security: { legacyAuth: 'yes' } })
    expect(first).toBe(second?.replace('user app on', 'user default on resetpass'))
  })

  test('a missing password is a bug, and not an open door', () => {
    const spec = parseSpec({ name: 'shop' })
    expect(() => renderUsers({ spec, secrets: { app: 'x' }, engine: redis7, sha256: String })).toThrow('"replication"')
    expect(() => renderUsers({ spec, secrets: { app: '' }, engine: redis7, sha256: String })).toThrow('"app"')
  })
})
