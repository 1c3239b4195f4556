import { serialize } from 'node:v8'
import { decode, ExtData, encode } from '@msgpack/msgpack'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Codec } from '../src/codec.ts'
import { jsonCodec, v8Codec } from '../src/codecs.ts'
import { CacheError } from '../src/errors.ts'
import { msgpackCodec } from '../src/msgpack.ts'

const all: readonly Codec[] = [jsonCodec, msgpackCodec, v8Codec]
const there = (codec: Codec, value: unknown): unknown => codec.decode(codec.encode(value))

class Product {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

describe.each(all)('$name', (codec) => {
  test('gives back what JSON has words for', () => {
    const value = fc.jsonValue({ noUnicodeString: false }).filter((json) => !JSON.stringify(json).includes('__proto__'))
    fc.assert(
      fc.property(value, (json) => {
        // JSON has no negative zero, so there is none to come back.
        const plain: unknown = JSON.parse(JSON.stringify(json))
        expect(there(codec, plain)).toEqual(plain)
      }),
    )
  })

  test('refuses undefined, because a cache has a word for that', () => {
    expect(() => codec.encode(undefined)).toThrow('use null, or delete')
  })

  test('refuses an instance of a class as the value itself', () => {
    expect(() => codec.encode(new Product('tea'))).toThrow('the value is of the class Product')
    expect(there(codec, [new Product('tea')])).toEqual([{ name: 'tea' }])
  })

  test('takes objects without a prototype', () => {
    expect(there(codec, Object.assign(Object.create(null), { a: 1 }))).toEqual({ a: 1 })
  })

  const deep = { list: [1, { 'on click': () => 1 }] }
  test.each([
    [() => 'secret', '', 'the value is a function'],
    [Symbol('secret'), '', 'the value is a symbol'],
    [{ a: { b: () => 'secret' } }, '.a.b', 'value.a.b is a function'],
    [{ a: [0, Symbol('secret')] }, '.a[1]', 'value.a[1] is a symbol'],
    [deep, '.list[1]["on click"]', 'value.list[1]["on click"] is a function'],
    [{ late: Promise.resolve('secret') }, '.late', 'value.late is'],
    [{ weak: new WeakMap() }, '.weak', 'value.weak is'],
  ])('refuses %o and says where', (value, path, sentence) => {
    const error = caught(() => codec.encode(value))
    expect(error).toMatchObject({ code: 'UNENCODABLE', facts: { codec: codec.name, path } })
    expect(error.message).toContain(sentence)
    expect(String(error.cause) + error.message).not.toContain('secret')
  })

  test('refuses what is nested too deeply, and stands', () => {
    const nested = Array.from({ length: 200_000 }).reduce<unknown>((inside) => [inside], 1)
    expect(caught(() => codec.encode(nested)).code).toBe('UNENCODABLE')
  })

  test('refuses a value whose getter throws', () => {
    const error = caught(() =>
      codec.encode({
        get price(): number {
          throw new Error('no price')
        },
      }),
    )
    expect(error.code).toBe('UNENCODABLE')
    expect(error.cause).toMatchObject({ message: 'no price' })
  })

  test('refuses bytes that are cut short, and bytes behind the value', () => {
    const bytes = codec.encode({ name: 'Grüße', list: [1, 2, 3], more: { a: null } })
    for (let length = 0; length < bytes.length; length++) {
      expect(() => codec.decode(bytes.subarray(0, length))).toThrow()
    }
    expect(() => codec.decode(Buffer.concat([bytes, bytes]))).toThrow()
    expect(() => codec.decode(Buffer.concat([bytes, Buffer.from([7])]))).toThrow()
  })

  test('reads any bytes or throws, and stands', () => {
    const bytes = codec.encode({ name: 'Grüße', list: [1, 2.5, 3], more: { a: null } })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const spoiled = Buffer.from(bytes)
        for (const [at, byte] of changes) spoiled[at % bytes.length] = byte
        expect(outcome(() => codec.decode(spoiled))).toMatch(/^(read|threw)$/)
      }),
      { numRuns: 500 },
    )
  })

  test('changes nobody else’s prototype, whatever a stranger has written', () => {
    const hostile = [
      '{"__proto__":{"polluted":1},"a":1}',
      '{"a":{"__proto__":{"polluted":1}}}',
      '{"constructor":{"prototype":{"polluted":1}}}',
      '["__proto__",{"__proto__":null}]',
    ].map((text) => JSON.parse(text) as unknown)
    for (const value of hostile) {
      const bytes = {
        json: () => Buffer.from(JSON.stringify(value)),
        msgpack: () => Buffer.from(encode(value)),
        v8: () => serialize(value),
      }
      const decoded = outcomeOf(() => codec.decode(bytes[codec.name as keyof typeof bytes]()))
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
      expect((Object.prototype as { polluted?: unknown }).polluted).toBeUndefined()
      if (decoded === undefined || Array.isArray(decoded)) continue
      expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype)
      expect((decoded as { polluted?: unknown }).polluted).toBeUndefined()
      for (const inside of Object.values(decoded as object)) {
        if (typeof inside === 'object') expect(Object.getPrototypeOf(inside)).toBe(Object.prototype)
      }
    }
  })
})

describe('json', () => {
  test.each([
    [10n, 'a BigInt: use a string'],
    [Number.NaN, 'NaN, which JSON has no word for'],
    [Number.POSITIVE_INFINITY, 'Infinity, which JSON has no word for'],
    [new Map([['a', 1]]), 'a Map: use the v8 or msgpack codec'],
    [new Set([1]), 'a Set: use the v8 or msgpack codec'],
    [Buffer.from('a'), 'a Buffer: use the v8 or msgpack codec'],
    [/a/, 'a RegExp: use the v8 or msgpack codec'],
    [new Error('a'), 'a Error: use the v8 or msgpack codec'],
  ])('refuses %o wherever it is, rather than write something else', (value, what) => {
    expect(() => jsonCodec.encode(value)).toThrow(`the value is ${what}`)
    expect(() => jsonCodec.encode({ a: [value] })).toThrow(`value.a[0] is ${what}`)
  })

  test('writes a Date inside as JSON does, and refuses one as the value itself', () => {
    const date = new Date('2026-11-21T05:27:00Z')
    expect(there(jsonCodec, { date, list: [date] })).toEqual({
      date: '2026-11-21T05:27:00.000Z',
      list: ['2026-11-21T05:27:00.000Z'],
    })
    expect(() => jsonCodec.encode(date)).toThrow('the value is a Date, which would come back as something else')
  })

  test('finds a cycle, and does not take a thing that is there twice for one', () => {
    const shelf: { name: string; rows: unknown[] } = { name: 'a', rows: [] }
    shelf.rows.push({ shelf })
    expect(() => jsonCodec.encode(shelf)).toThrow('value.rows[0].shelf is a part of itself: a cycle')
    const twice = { n: 1 }
    expect(there(jsonCodec, [twice, twice])).toEqual([twice, twice])
  })

  test('lets a class say itself how it is written', () => {
    const money = { toJSON: () => '3.50 EUR', cents: () => 350 }
    expect(
      there(jsonCodec, { money: Object.assign(Object.create({ toJSON: () => '3.50 EUR' }), { cents: 350 }) }),
    ).toEqual({
      money: '3.50 EUR',
    })
    expect(() => jsonCodec.encode({ money })).toThrow('value.money.toJSON is a function')
  })

  test('refuses text that is no UTF-8, but not the sign for it', () => {
    expect(there(jsonCodec, '\ufffd')).toBe('\ufffd')
    expect(() => jsonCodec.decode(Buffer.from([0x22, 0xff, 0x22]))).toThrow('not UTF-8')
  })

  test('keeps half a surrogate pair', () => {
    expect(there(jsonCodec, 'half \ud83d')).toBe('half \ud83d')
  })
})

describe.each([msgpackCodec, v8Codec])('$name', (codec) => {
  test('holds dates, maps, sets, big numbers and bytes', () => {
    const value = {
      dates: [new Date(0), new Date(-1), new Date(1_790_000_000_123), new Date(8.64e15)],
      map: new Map<unknown, unknown>([
        ['a', new Map([[1, new Set(['x'])]])],
        [{ key: 1 }, null],
      ]),
      set: new Set([1, new Set(), 'two']),
      big: [0n, -1n, 2n ** 70n, -(2n ** 200n)],
      numbers: [Number.NaN, Number.POSITIVE_INFINITY, 1e300, 2 ** 53],
      bytes: Buffer.from([0, 1, 254, 255]),
    }
    const back = there(codec, value) as typeof value
    expect(back).toEqual(value)
    expect(back.dates[3]).toBeInstanceOf(Date)
    for (const alone of [value.map, value.set, value.dates[2], 5n, value.bytes])
      expect(there(codec, alone)).toEqual(alone)
  })

  test('gives bytes memory of their own', () => {
    const connection = Buffer.concat([Buffer.from('password'), codec.encode({ bytes: Buffer.from('mine') })])
    const { bytes } = codec.decode(connection.subarray('password'.length)) as { bytes: Uint8Array }
    expect(bytes.buffer).not.toBe(connection.buffer)
    expect(Buffer.from(bytes.buffer).includes('password')).toBe(false)
    connection.fill(0)
    expect(Buffer.from(bytes).toString()).toBe('mine')
  })
})

describe('v8', () => {
  test('holds cycles', () => {
    const shelf: { self?: unknown } = {}
    shelf.self = shelf
    const back = there(v8Codec, shelf) as typeof shelf
    expect(back.self).toBe(back)
  })

  test('refuses a Proxy without touching it', () => {
    expect(() => v8Codec.encode({ a: new Proxy({}, {}) })).toThrow('value.a is a Proxy')
  })
})

describe('msgpack', () => {
  test('is what others read', () => {
    expect(decode(msgpackCodec.encode({ a: [1, 'x', null, true], d: new Date(5) }))).toEqual({
      a: [1, 'x', null, true],
      d: new Date(5),
    })
  })

  test.each([
    [{ at: new Date(Number.NaN) }, 'value.at is an invalid Date'],
    [{ pattern: /a/ }, 'value.pattern is nothing that msgpack knows'],
    [{ floats: new Float64Array(2) }, 'value.floats is no Uint8Array'],
    [new Map([['a', { b: () => 1 }]]), 'value<a>.b is a function'],
    [new Set([Symbol('a')]), 'value<item> is a symbol'],
  ])('refuses %o and says where', (value, sentence) => {
    expect(() => msgpackCodec.encode(value)).toThrow(sentence)
  })

  test('finds cycles, through maps too', () => {
    const shelf: { rows: unknown[] } = { rows: [] }
    shelf.rows.push(shelf)
    expect(() => msgpackCodec.encode(shelf)).toThrow('value.rows[0] is a part of itself: a cycle')
    const map = new Map<string, unknown>()
    map.set('self', map)
    expect(() => msgpackCodec.encode(map)).toThrow('value<self> is a part of itself: a cycle')
  })

  test('makes no room for what a stranger only promises', () => {
    // Five bytes that say an array of 33 million items follows, a thousand times inside each other.
    const promise = Buffer.from([0xdd, 0x01, 0xff, 0xff, 0xff])
    const nested = Buffer.concat([...Array.from({ length: 1000 }, () => promise), Buffer.alloc(60_000, 0xc0)])
    expect(() => msgpackCodec.decode(promise)).toThrow('it promises more than it holds')
    expect(() => msgpackCodec.decode(nested)).toThrow('it promises more than it holds')
    const hidden = Buffer.from(encode(new ExtData(2, nested)))
    expect(() => msgpackCodec.decode(hidden)).toThrow('it promises more than it holds')
  })

  test('measures every kind of item as the library does', () => {
    const value = fc.anything({ withDate: true, withBigInt: true, withMap: true, withSet: true, withTypedArray: false })
    fc.assert(
      fc.property(value, fc.uint8Array({ maxLength: 300 }), (inside, bytes) => {
        const whole = [inside, bytes, 'x'.repeat(bytes.length), 'y'.repeat(bytes.length * 300), bytes.length * 2 ** 33]
        const encoded = outcomeOf(() => msgpackCodec.encode(whole))
        if (encoded === undefined) return
        const text = JSON.stringify(inside, (_, piece: unknown) => (typeof piece === 'bigint' ? 0 : piece)) ?? ''
        if (!text.includes('__proto__') && !/Map|Set/.test(Object.prototype.toString.call(inside))) {
          expect(outcome(() => msgpackCodec.decode(encoded))).toBe('read')
        }
      }),
    )
  })

  test('refuses extensions of somebody else', () => {
    expect(() => msgpackCodec.decode(Buffer.from(encode(new ExtData(9, new Uint8Array(2)))))).toThrow(
      'of somebody else',
    )
    expect(() => msgpackCodec.decode(Buffer.from(encode(new ExtData(3, Buffer.from('12.5')))))).toThrow('no BigInt')
    expect(() => msgpackCodec.decode(Buffer.from(encode(new ExtData(2, encode('text')))))).toThrow('without its list')
    expect(() => msgpackCodec.decode(Buffer.from(encode(new ExtData(1, encode(['key'])))))).toThrow(
      'a key without a value',
    )
  })
})

function caught(call: () => unknown): CacheError {
  try {
    call()
  } catch (error) {
    if (error instanceof CacheError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

function outcomeOf<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}

function outcome(call: () => unknown): 'read' | 'threw' {
  try {
    call()
    return 'read'
  } catch {
    return 'threw'
  }
}
