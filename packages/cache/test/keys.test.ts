import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkKey, KeySpace } from '../src/keys.ts'

describe('a key', () => {
  test.each(['user:42', '{user:1}:cart', 'a', 'x'.repeat(1024), 'Grüße/日本/👋', '☃'.repeat(341), ' '])(
    'may be %j',
    (key) => {
      expect(checkKey(key)).toBe(key)
    },
  )

  test.each([
    ['', 'is not empty'],
    [undefined, 'is a string, not of type undefined'],
    [null, 'is a string, not null'],
    [42, 'is a string, not of type number'],
    [Buffer.from('user:42'), 'is a string, not of type object'],
    [{ toString: () => 'user:42' }, 'is a string, not of type object'],
    ['half \ud83d', 'well-formed text'],
    ['\udc4b half', 'well-formed text'],
    ['user:42\r\nFLUSHALL', 'control characters, but one at position 7'],
    ['\0', 'control characters'],
    ['\u007f', 'control characters'],
    ['\u0085', 'control characters'],
  ])('may not be %j', (key, because) => {
    expect(() => checkKey(key)).toThrow(because)
    expect(() => checkKey(key)).toThrow(expect.objectContaining({ name: 'CacheError', code: 'INVALID' }))
  })

  test('is told of without being repeated', () => {
    expect(() => checkKey('secret\n')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    )
  })

  test('is never taken for another by the engine', () => {
    const accepted = fc.string({ unit: 'binary', maxLength: 8 }).filter((key) => {
      try {
        return checkKey(key) === key
      } catch {
        return false
      }
    })
    fc.assert(
      fc.property(accepted, (key) => {
        expect(Buffer.from(key).toString()).toBe(key)
      }),
    )
  })
})

describe('a namespace', () => {
  const root = new KeySpace('shop')

  test('names values, tags, direct keys and its own state apart', () => {
    expect(root.valueKey('user:42')).toBe('shop:v:/user:42')
    expect(root.tagKey('users')).toBe('shop:t:/users')
    expect(root.tagKey('')).toBe('shop:t:/')
    expect(root.directKey('user:42')).toBe('shop:d:/user:42')
    expect(root.stateKey('hottest')).toBe('shop:s:hottest')
    expect(root.trackedPrefixes).toEqual(['shop:v:', 'shop:t:'])
  })

  test('may be in another', () => {
    const prices = root.child('de').child('prices')
    expect(prices.path).toBe('de.prices')
    expect(prices.valueKey('tea')).toBe('shop:v:de.prices/tea')
    expect(prices.tagKey('')).toBe('shop:t:de.prices/')
    expect(prices.trackedPrefixes).toEqual(root.trackedPrefixes)
  })

  test.each(['', 'a.b', 'a/b', 'a:b', '{a}', 'ä', ' ', 'a\n', 'x'.repeat(65)])('may not be called %j', (name) => {
    expect(() => new KeySpace(name)).toThrow('1 to 64 letters, digits, _ and -')
    expect(() => root.child(name)).toThrow('1 to 64 letters, digits, _ and -')
  })

  test('is not nested without end', () => {
    const nest = (space: KeySpace, times: number): KeySpace =>
      times === 0 ? space : nest(space.child('x'.repeat(60)), times - 1)
    expect(nest(root, 4).path).toHaveLength(243)
    expect(() => nest(root, 5)).toThrow('nested too deeply')
  })

  const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,4}$/)
  const place = fc.record({
    namespace: segment,
    path: fc.array(segment, { maxLength: 3 }),
    kind: fc.constantFrom('valueKey' as const, 'tagKey' as const, 'directKey' as const),
    key: fc.oneof(fc.string({ maxLength: 6 }), fc.stringMatching(/^[:./{}a-b]{0,6}$/)),
  })
  const nameOf = ({ namespace, path, kind, key }: typeof place extends fc.Arbitrary<infer T> ? T : never) =>
    new KeySpace(namespace, path)[kind](key)

  test('gives no two things one name', () => {
    fc.assert(
      fc.property(place, place, (one, other) => {
        expect(nameOf(one) === nameOf(other)).toBe(JSON.stringify(one) === JSON.stringify(other))
      }),
    )
  })

  test('finds its way back from the name of a value, and from no other', () => {
    fc.assert(
      fc.property(place, (one) => {
        const back = new KeySpace(one.namespace).userKey(nameOf(one))
        expect(back).toEqual(one.kind === 'valueKey' ? { path: one.path.join('.'), key: one.key } : undefined)
        expect(new KeySpace(`${one.namespace}2`).userKey(nameOf(one))).toBeUndefined()
      }),
    )
    expect(root.userKey('shop:v:no-slash')).toBeUndefined()
  })

  test('leaves the hash tag of a key the first braces of its name', () => {
    fc.assert(
      fc.property(place, (one) => {
        const name = nameOf(one)
        expect(name.slice(name.indexOf('{'))).toBe(
          one.key.includes('{') ? one.key.slice(one.key.indexOf('{')) : (name.at(-1) ?? ''),
        )
      }),
    )
    expect(root.child('carts').valueKey('{user:1}:cart')).toBe('shop:v:carts/{user:1}:cart')
  })
})
