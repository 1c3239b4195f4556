import { parseConnectionString } from '@holdfast/core'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CacheError } from '../src/errors.ts'
import type { EngineUrl } from '../src/url.ts'
import { parseUrl } from '../src/url.ts'

/** The same value as text, as an operator would write it. */
function printUrl({ topology, tls, user, password, addresses, masterName, db, zone, feed }: EngineUrl): string {
  const secret = password === null ? '' : `:${encodeURIComponent(password)}`
  const who = `${encodeURIComponent(user ?? '')}${secret}`
  const hosts = addresses.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',')
  const path = `${masterName === null ? '' : `/${encodeURIComponent(masterName)}`}${db === 0 ? '' : `/${db}`}`
  const query = Object.entries({ zone, feed })
    .flatMap(([key, value]) => (value === null ? [] : [`${key}=${encodeURIComponent(value)}`]))
    .join('&')
  const authority = `${who === '' ? '' : `${who}@`}${hosts}`
  return `holdfast+${topology}${tls ? 's' : ''}://${authority}${path}${query === '' ? '' : `?${query}`}`
}

const someText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const someHost = fc.oneof(
  fc.constantFrom('127.0.0.1', 'cache-1.example', 'localhost', '::1', 'fe80::1%eth0', '2001:db8::7', '::ffff:10.0.0.1'),
  fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/),
)
const address = fc.record({ host: someHost, port: fc.integer({ min: 1, max: 65_535 }) })

const engineUrl: fc.Arbitrary<EngineUrl> = fc
  .constantFrom('cluster' as const, 'sentinel' as const, 'standalone' as const)
  .chain((topology) =>
    fc.record({
      topology: fc.constant(topology),
      tls: fc.boolean(),
      user: orNull(someText),
      password: orNull(someText),
      addresses: fc.array(address, { minLength: 1, maxLength: 5 }),
      masterName: topology === 'sentinel' ? someText : fc.constant(null),
      db: topology === 'cluster' ? fc.constant(0) : fc.integer({ min: 0, max: 15 }),
      zone: orNull(someText),
      feed: orNull(someText),
    }),
  )

describe('a URL', () => {
  test('printed and parsed is what it was, and the control plane reads it in the same way', () => {
    fc.assert(
      fc.property(engineUrl, (value) => {
        const text = printUrl(value)
        expect(parseUrl(text)).toEqual(value)
        const { hosts, ...same } = parseConnectionString(text)
        expect({ ...same, addresses: hosts.map(({ address: host, port }) => ({ host, port })) }).toEqual(value)
      }),
    )
  })

  test('of one node is read as other clients read it', () => {
    const plain = engineUrl.filter(({ topology }) => topology === 'standalone')
    fc.assert(
      fc.property(plain, address, fc.constantFrom('redis', 'valkey'), (value, at, scheme) => {
        const expected = { ...value, addresses: [at] }
        const text = printUrl(expected).replace('holdfast+standalone', scheme)
        expect(parseUrl(text)).toEqual(expected)
      }),
    )
  })

  test.each<[string, Partial<EngineUrl>]>([
    [
      'redis://localhost',
      { topology: 'standalone', tls: false, addresses: [{ host: 'localhost', port: 6379 }], db: 0 },
    ],
    ['rediss://app:s%2Fcret@h:7000/3', { tls: true, user: 'app', password: 's/cret', db: 3 }],
    ['redis://:legacy@h/', { user: null, password: 'legacy' }],
    ['valkey://[::1]:7001', { tls: false, addresses: [{ host: '::1', port: 7001 }] }],
    ['valkeys://h', { tls: true, addresses: [{ host: 'h', port: 6379 }] }],
    ['holdfast+cluster://app:b%3Ac:d%40@h:1', { topology: 'cluster', user: 'app', password: 'b:c:d@' }],
    ['holdfast+clusters://h', { tls: true, user: null, password: null }],
    ['holdfast+cluster://app@h:1/0', { user: 'app', password: null }],
    ['holdfast+standalone://h:1/3', { db: 3, masterName: null }],
    ['holdfast+sentinel://s1,s2:7/my%2Fmaster/2', { masterName: 'my/master', db: 2 }],
    ['holdfast+sentinel://s1/m', { addresses: [{ host: 's1', port: 26_379 }] }],
    ['holdfast+cluster://h?zone=eu%20west&feed=http%3A%2F%2F[::1]', { zone: 'eu west', feed: 'http://[::1]' }],
  ])('%s', (text, expected) => {
    expect(parseUrl(text)).toMatchObject(expected)
  })

  const head = 'holdfast+cluster://app:zq55vvkk'

  test.each<[text: string, at: number, says: string]>([
    ['', 1, 'start with redis://'],
    ['localhost:6379', 1, 'start with redis://'],
    ['https://h', 1, 'start with redis://'],
    ['app:zq55vvkk@h', 1, 'start with redis://'],
    ['redis:zq55vvkk@h', 1, 'did you mean redis://'],
    ['redsi://app:zq55vvkk@h', 1, 'did you mean redis://'],
    ['REDIS://h', 1, 'did you mean redis://'],
    ['rediis://h', 1, 'did you mean redis'],
    ['valky://h', 1, 'did you mean valkey://'],
    ['holdfast+clustr://h', 1, 'did you mean holdfast+cluster://'],
    ['holdfast-sentinels://h/m', 1, 'did you mean holdfast+sentinels://'],
    ['holdfast+standalon://h', 1, 'did you mean holdfast+standalone://'],
    ['redis+sentinel://h/m', 1, 'did you mean holdfast+sentinel://'],
    ['redis-clusters://h', 1, 'did you mean holdfast+clusters://'],
    ['unix:///run/redis.sock', 1, 'a socket file cannot be used'],
    ['redis+unix:///run/redis.sock', 1, 'a socket file cannot be used'],
    ['/run/redis.sock', 1, 'a socket file cannot be used'],
    ['redis://h:1,g:2', 12, 'for several write holdfast+cluster:// or holdfast+sentinel://'],
    ['redis://h/a', 10, 'the path is the number of a database'],
    ['redis://h?db=1', 11, 'unknown query key'],
    ['redis://', 9, 'a host belongs here'],
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
    ['rediss://app:zq55%vvkk@h:1', 14, 'write %25'],
    [`${head}@h:1/1`, 36, 'a Cluster has database 0 only'],
    [`${head}@h:1/0/1`, 36, 'the path is the number of a database'],
    [`${head}@h:1?zones=a`, 37, 'unknown query key'],
    [`${head}@h:1?zonex`, 37, 'unknown query key'],
    [`${head}@h:1?zone=a&ttl=5`, 44, 'unknown query key'],
    [`${head}@h:1?zone=a&zone=b`, 44, 'zone= is there twice'],
    [`${head}@h:1?zone=`, 37, 'zone= needs a value'],
    [`${head}@h:1?feed=a#b`, 37, 'feed= needs a value, with %23 for #'],
    [`${head}@h:1?`, 37, 'unknown query key'],
    [`${head}@h:1#x`, 36, 'nothing follows a #'],
    ['holdfast+sentinel://s1:1', 25, 'the name that the Sentinels have'],
    ['holdfast+sentinel://s1:1//0', 28, 'the name that the Sentinels have'],
    ['holdfast+sentinel://s1:1/m/0/1', 25, 'the path is /master-name or /master-name/db'],
  ])('%s is refused with the place and without repeating it', (text, at, says) => {
    const error = catching(() => parseUrl(text))
    expect(error.code).toBe('INVALID')
    expect(error.message).toContain(`character ${at}: `)
    expect(error.message).toContain(says)
    expect(JSON.stringify([error.message, error.facts, String(error.cause)])).not.toMatch(/zq55|vvkk|jjxx/)
  })

  test('that is no text is refused', () => {
    expect(catching(() => parseUrl(undefined as unknown as string)).message).toContain('it is text')
  })

  test('whatever is typed is read or refused, and a refusal repeats nothing', () => {
    const tail = fc.string({ unit: fc.constantFrom(...Array.from(':@/?#,[]%=&a1.ж')), maxLength: 30 })
    fc.assert(
      fc.property(fc.constantFrom('redis', 'redsi', 'holdfast+sentinels', 'holdfast+'), tail, (scheme, text) => {
        try {
          parseUrl(`${scheme}://canary${text}canary`)
        } catch (error) {
          expect(error).toBeInstanceOf(CacheError)
          expect(String(error)).not.toContain('canary')
        }
      }),
    )
  })
})

function catching(work: () => unknown): CacheError {
  try {
    work()
  } catch (error) {
    if (error instanceof CacheError) return error
    throw error
  }
  throw new Error('nothing was refused')
}
