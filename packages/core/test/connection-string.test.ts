import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConnectionString } from '../src/index.ts'
import { formatConnectionString, HoldfastError, parseConnectionString } from '../src/index.ts'

const shown = { showSecret: true }

const someText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const host = fc.record({
  address: fc.oneof(
    fc.constantFrom(
      '127.0.0.1',
      'cache-1.example',
      'localhost',
      '::1',
      'fe80::1%eth0',
      '2001:db8::7',
      '::ffff:10.0.0.1',
    ),
    fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/),
  ),
  port: fc.integer({ min: 1, max: 65_535 }),
})

const connectionString: fc.Arbitrary<ConnectionString> = fc
  .constantFrom('cluster' as const, 'sentinel' as const, 'standalone' as const)
  .chain((topology) =>
    fc.record({
      topology: fc.constant(topology),
      tls: fc.boolean(),
      user: orNull(someText),
      password: orNull(someText),
      hosts: fc.array(host, { minLength: 1, maxLength: 5 }),
      masterName: topology === 'sentinel' ? someText : fc.constant(null),
      db: topology === 'cluster' ? fc.constant(0) : fc.integer({ min: 0, max: 15 }),
      zone: orNull(someText),
      feed: orNull(someText),
    }),
  )

describe('a connection string', () => {
  test('printed and parsed is what it was', () => {
    fc.assert(
      fc.property(connectionString, (value) => {
        expect(parseConnectionString(formatConnectionString(value, shown))).toEqual(value)
      }),
    )
  })

  test('does not show its password unless asked', () => {
    fc.assert(
      fc.property(connectionString, (value) => {
        const text = formatConnectionString({ ...value, password: 'canary' }, { showSecret: false })
        expect(text).not.toContain('canary')
        expect(parseConnectionString(text)).toEqual({ ...value, password: '****' })
      }),
    )
  })

  test.each<[string, Partial<ConnectionString>]>([
    ['holdfast+cluster://app:secret@127.0.0.1:7001', { user: 'app', password: 'secret', tls: false, db: 0 }],
    ['holdfast+clusters://h', { tls: true, user: null, password: null, hosts: [{ address: 'h', port: 6379 }] }],
    ['holdfast+cluster://:legacy@h:1/', { user: null, password: 'legacy' }],
    ['holdfast+cluster://app@h:1/0', { user: 'app', password: null }],
    ['holdfast+cluster://a:b%3Ac:d%40@h:1', { user: 'a', password: 'b:c:d@' }],
    ['holdfast+standalone://h:1/3', { db: 3, masterName: null }],
    ['holdfast+sentinel://s1:26379,s2/mymaster/2', { masterName: 'mymaster', db: 2 }],
    ['holdfast+sentinel://s1/my%2Fmaster', { masterName: 'my/master', db: 0 }],
    [
      'holdfast+cluster://[::1]:7001,[fe80::1%eth0],h:2?zone=eu%20west&feed=http%3A%2F%2F127.0.0.1',
      {
        hosts: [
          { address: '::1', port: 7001 },
          { address: 'fe80::1%eth0', port: 6379 },
          { address: 'h', port: 2 },
        ],
        zone: 'eu west',
        feed: 'http://127.0.0.1',
      },
    ],
  ])('%s', (text, expected) => {
    expect(parseConnectionString(text)).toMatchObject(expected)
  })

  const head = 'holdfast+cluster://app:zq55vvkk'

  test.each<[text: string, at: number, says: string]>([
    ['redis://h:1', 1, 'start with holdfast+cluster://'],
    ['holdfast+ring://h:1', 1, 'start with'],
    ['', 1, 'start with'],
    [`${head}@`, 33, 'a host belongs here'],
    [`${head}@h:0`, 36, 'a port is a number from 1 to 65535'],
    [`${head}@h:65536`, 40, 'a port is a number'],
    [`${head}@h:1,`, 37, 'a host belongs here'],
    [`${head}@h:1,,g:2`, 37, 'a host belongs here'],
    [`${head}@::1:7001`, 33, 'a host belongs here'],
    [`${head}@[h]:1`, 33, 'a host belongs here'],
    [`${head}@[abc]:1`, 33, 'brackets are for IPv6'],
    [`${head}@jjxx@h:1`, 32, 'write %40 for an @'],
    ['holdfast+cluster://app:zq55/vvkk@h:1', 20, 'in a password write %2F for /'],
    ['holdfast+cluster://app:zq55?vvkk@h:1', 20, 'in a password write %2F for /'],
    ['holdfast+cluster://app:zq55%vvkk@h:1', 24, 'write %25'],
    [`${head}@h:1/1`, 36, 'a cluster has database 0 only'],
    [`${head}@h:1/a`, 36, 'the path is the number of a database'],
    [`${head}@h:1/0/1`, 36, 'the path is the number of a database'],
    [`${head}@h:1?zones=a`, 37, 'unknown query key'],
    [`${head}@h:1?zone=a&ttl=5`, 44, 'unknown query key'],
    [`${head}@h:1?zone=a&zone=b`, 44, 'zone= is there twice'],
    [`${head}@h:1?zone=`, 37, 'zone= needs a value'],
    [`${head}@h:1?`, 37, 'unknown query key'],
    [`${head}@h:1#x`, 36, 'nothing follows a #'],
    ['holdfast+sentinel://s1:1', 25, 'the name that the Sentinels have'],
    ['holdfast+sentinel://s1:1//0', 28, 'the name that the Sentinels have'],
    ['holdfast+sentinel://s1:1/m/0/1', 25, 'the path is /master-name or /master-name/db'],
  ])('%s is refused with the place and without repeating it', (text, at, says) => {
    const error = catching(() => parseConnectionString(text))
    expect(error.code).toBe('USAGE')
    expect(error.message).toContain(`character ${at}: `)
    expect(error.message).toContain(says)
    expect(JSON.stringify([error.message, error.facts])).not.toMatch(/zq55|vvkk|jjxx/)
  })

  test('whatever is typed is read or refused, and nothing else', () => {
    const tail = fc.string({ unit: fc.constantFrom(...Array.from(':@/?#,[]%=&a1.')), maxLength: 30 })
    fc.assert(
      fc.property(fc.constantFrom('cluster', 'sentinels', 'standalone'), tail, (topology, text) => {
        try {
          parseConnectionString(`holdfast+${topology}://${text}`)
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError)
        }
      }),
    )
  })
})

function catching(work: () => unknown): HoldfastError {
  try {
    work()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was refused')
}
