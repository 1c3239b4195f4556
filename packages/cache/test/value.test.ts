import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Codec } from '../src/codec.ts'
import { jsonCodec, v8Codec } from '../src/codecs.ts'
import { type Envelope, type EnvelopeHead, NotUsable, openEnvelope, writeEnvelope } from '../src/envelope.ts'
import { msgpackCodec } from '../src/msgpack.ts'
import { decodeValue, type Encoded, encodeValue, readableCodecs, sizeOf, type ValueSettings } from '../src/value.ts'

const settings = (facts: Partial<ValueSettings> = {}): ValueSettings => ({
  codec: jsonCodec,
  codecs: [jsonCodec, v8Codec],
  compressAbove: 8192,
  maxValueBytes: 1_000_000,
  schema: undefined,
  ...facts,
})

/** As the engine would keep it. */
function kept({ payload, codec, compression }: Pick<Encoded, 'payload' | 'codec' | 'compression'>): Envelope {
  const head: EnvelopeHead = {
    kind: 'value',
    codec,
    compression,
    version: 1,
    sourceVersion: null,
    createdAt: 0,
    freshUntil: 1,
    staleUntil: 2,
    loadMs: 0,
    copies: 1,
    lockToken: 0,
    lockUntil: 0,
    tags: [],
  }
  const opened = openEnvelope(writeEnvelope(head, payload))
  if (opened === undefined) throw new Error('the envelope cannot be opened')
  return opened
}

const there = async (value: unknown, how: ValueSettings): Promise<unknown> =>
  decodeValue(kept(await encodeValue(value, how)), how)
const asJson = (value: unknown): Envelope =>
  kept({ payload: Buffer.from(JSON.stringify(value)), codec: 1, compression: 0 })
const reason = async (read: () => unknown): Promise<unknown> => {
  try {
    return await read()
  } catch (error) {
    return error
  }
}

describe('a value', () => {
  test('comes back as it was, small and large, whatever the codec', async () => {
    const value = fc.record({ name: fc.string(), list: fc.array(fc.integer()), times: fc.nat(300) })
    await fc.assert(
      fc.asyncProperty(
        value,
        fc.constantFrom(jsonCodec, msgpackCodec, v8Codec),
        async ({ name, list, times }, codec) => {
          const product = Array.from({ length: times }, () => ({ name, list }))
          expect(await there(product, settings({ codec, compressAbove: 500 }))).toEqual(product)
        },
      ),
    )
  })

  test('takes no detour when it is small', () => {
    const encoded = encodeValue({ name: 'tea' }, settings())
    expect(encoded).toEqual({ payload: Buffer.from('{"name":"tea"}'), codec: 1, compression: 0, bytes: 14 })
    expect(decodeValue(kept(encoded as Encoded), settings())).toEqual({ name: 'tea' })
  })

  test('is compressed above the size that is said, and never if none is', async () => {
    const value = 'tea '.repeat(3000)
    const compressed = await encodeValue(value, settings())
    expect(compressed.bytes).toBe(12_002)
    expect(compressed.compression).toBeGreaterThan(0)
    expect(compressed.payload.length).toBeLessThan(1000)
    expect(await encodeValue(value, settings({ compressAbove: 12_002 }))).toMatchObject({ compression: 0 })
    const never = settings({ compressAbove: Number.POSITIVE_INFINITY })
    expect(await encodeValue(value, never)).toMatchObject({ compression: 0 })
  })

  test('is refused above the limit, by its size before compression', () => {
    const limited = settings({ maxValueBytes: 20_000 })
    expect(encodeValue('x'.repeat(19_998), limited)).toMatchObject({ bytes: 20_000 })
    expect(() => encodeValue('x'.repeat(19_999), limited)).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE', facts: { bytes: 20_001, limit: 20_000 } }),
    )
  })

  test('is not read above the limit either, as it is or compressed', async () => {
    const limited = settings({ maxValueBytes: 20_000 })
    for (const compressAbove of [0, Number.POSITIVE_INFINITY]) {
      const hostile = kept(await encodeValue('x'.repeat(100_000), settings({ compressAbove })))
      expect(await reason(() => decodeValue(hostile, limited))).toMatchObject({
        name: 'NotUsable',
        message: expect.stringContaining('more than maxValueBytes (20000)'),
      })
    }
  })
})

describe('codecs of your own', () => {
  const reversed: Codec = {
    id: 128,
    name: 'reversed',
    encode: (value) => Buffer.from((value as string).split('').reverse().join('')),
    decode: (bytes) => bytes.toString().split('').reverse().join(''),
  }

  test('are used for writing, and for reading what they wrote', async () => {
    expect(await there('tea', settings({ codec: reversed }))).toBe('tea')
    const before = kept(await encodeValue('tea', settings({ codec: reversed })))
    expect(decodeValue(before, settings({ codecs: [reversed] }))).toBe('tea')
    expect(() => decodeValue(before, settings())).toThrow(
      'written by a codec (128) that is not among the codecs of this cache',
    )
  })

  test('have their errors told with a cause, and their answers checked', () => {
    const picky = settings({ codec: reversed })
    expect(() => encodeValue(42, picky)).toThrow(
      expect.objectContaining({ code: 'UNENCODABLE', cause: expect.any(TypeError) }),
    )
    const text = { ...reversed, encode: (value: unknown) => value } as Codec
    expect(() => encodeValue('tea', settings({ codec: text }))).toThrow('the codec reversed did not answer a Buffer')
  })

  test('have a number of their own', () => {
    expect(readableCodecs(jsonCodec, [jsonCodec, v8Codec, reversed])).toEqual([jsonCodec, v8Codec, reversed])
    expect(() => readableCodecs(jsonCodec, [{ ...reversed, id: 1 }])).toThrow(
      'the codecs json and reversed have the same id 1',
    )
    for (const id of [0, 256, 1.5, Number.NaN]) {
      expect(() => readableCodecs({ ...reversed, id }, [])).toThrow('your own are 128 to 255')
    }
  })
})

describe('bytes that are no value', () => {
  test.each([
    [
      'cut JSON',
      kept({ payload: Buffer.from('{"password":"hunter2'), codec: 1, compression: 0 }),
      'the codec json cannot read it',
    ],
    ['nothing', kept({ payload: Buffer.alloc(0), codec: 1, compression: 0 }), 'the codec json cannot read it'],
    ['no v8', kept({ payload: Buffer.from('hunter2'), codec: 3, compression: 0 }), 'the codec v8 cannot read it'],
    ['an unknown codec', kept({ payload: Buffer.from('1'), codec: 77, compression: 0 }), 'written by a codec (77)'],
    ['unknown compression', kept({ payload: Buffer.from('1'), codec: 1, compression: 9 }), 'compressed in a way (9)'],
    [
      'broken gzip',
      kept({ payload: Buffer.from('1234hunter2'), codec: 1, compression: 1 }),
      'it holds 875770417 bytes',
    ],
  ])('%s: a reason in constant words', async (_, envelope, because) => {
    const error = await reason(() => decodeValue(envelope, settings()))
    expect(error).toBeInstanceOf(NotUsable)
    expect((error as NotUsable).message).toContain(because)
    expect((error as NotUsable).message).not.toContain('hunter2')
    expect((error as NotUsable).cause).toBeUndefined()
  })
})

describe('a schema', () => {
  const zodProduct = z.object({
    name: z.string(),
    price: z.number(),
    since: z.coerce.date(),
    kind: z.string().default('food'),
  })
  const valibotProduct = v.object({
    name: v.string(),
    price: v.number(),
    since: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
    kind: v.optional(v.string(), 'food'),
  })
  const tea = { name: 'tea', price: 3.5, since: '2026-11-21T00:00:00.000Z' }

  test.each([
    ['zod', zodProduct],
    ['valibot', valibotProduct],
  ])('of %s has the last word: its answer is the value', (_, schema) => {
    const read = decodeValue(asJson(tea), settings({ schema }))
    expect(read).toEqual({ name: 'tea', price: 3.5, since: new Date('2026-11-21'), kind: 'food' })
  })

  test.each([
    ['zod', zodProduct],
    ['valibot', valibotProduct],
  ])('of %s makes a mismatch unusable, and says where but not what', (_, schema) => {
    const read = () => decodeValue(asJson({ ...tea, price: 'hunter2', name: 1 }), settings({ schema }))
    expect(read).toThrow(NotUsable)
    expect(read).toThrow(/^not of the schema's shape at (name|price) and 1 more places$/)
    expect(() => decodeValue(asJson('hunter2'), settings({ schema }))).toThrow(/^not of the schema's shape$/)
  })

  test.each([
    ['zod', z.string().refine(async (text) => text === 'tea')],
    [
      'valibot',
      v.pipeAsync(
        v.string(),
        v.checkAsync(async (text) => text === 'tea'),
      ),
    ],
  ])('of %s may take its time', async (_, schema) => {
    const slow = settings({ schema })
    expect(decodeValue(asJson('tea'), slow)).toBeInstanceOf(Promise)
    expect(await decodeValue(asJson('tea'), slow)).toBe('tea')
    expect(await reason(() => decodeValue(asJson('coffee'), slow))).toEqual(new NotUsable("not of the schema's shape"))
  })

  test('that throws makes the entry unusable', async () => {
    const throwing = z.string().transform(() => {
      throw new Error('hunter2')
    })
    const rejecting = v.pipeAsync(
      v.string(),
      v.transformAsync(() => Promise.reject(new Error('hunter2'))),
    )
    for (const schema of [throwing, rejecting]) {
      expect(await reason(() => decodeValue(asJson('tea'), settings({ schema })))).toEqual(
        new NotUsable('the schema threw'),
      )
    }
  })

  test('is asked about large values, too', async () => {
    const large = settings({ schema: z.array(z.number()) })
    const numbers = Array.from({ length: 50_000 }, (_, index) => index)
    expect(await there(numbers, large)).toEqual(numbers)
    expect(await reason(() => there(numbers.map(String), large))).toBeInstanceOf(NotUsable)
  })
})

describe('the size of a living value', () => {
  test('is near what it takes', () => {
    expect(sizeOf('x'.repeat(1000))).toBe(1016)
    expect(sizeOf('☃'.repeat(1000))).toBe(2016)
    expect(sizeOf(Buffer.alloc(5000))).toBeGreaterThanOrEqual(5000)
    expect(sizeOf(Buffer.alloc(5000))).toBeLessThan(5200)
    expect(
      sizeOf({ list: ['x'.repeat(1000), new Map([['k', 'y'.repeat(1000)]]), new Set(['z'.repeat(1000)])] }),
    ).toBeGreaterThan(3000)
  })

  test('of many like pieces is that of all, after looking at some', () => {
    const rows = Array.from({ length: 100_000 }, (_, id) => ({ id, name: `product ${id}`.padEnd(84, '.') }))
    const begun = process.cpuUsage()
    const size = sizeOf(rows)
    expect(process.cpuUsage(begun).user).toBeLessThan(50_000)
    // The heap takes about 14 MB for them.
    expect(size).toBeGreaterThan(10_000_000)
    expect(size).toBeLessThan(25_000_000)
  })

  test('does not take one large piece for the measure of its small neighbours', () => {
    const list = Array.from({ length: 10_000 }, () => 'x'.repeat(100))
    const page = { list, a: 1, b: 'two', c: [3], d: null, e: { f: 6 } }
    expect(sizeOf(page) / sizeOf(list)).toBeLessThan(1.1)
    expect(sizeOf(page) / sizeOf(list)).toBeGreaterThan(0.9)
  })

  test('grows with what is in it', () => {
    const sizes = [10, 100, 1000, 10_000].map((count) =>
      sizeOf(Array.from({ length: count }, () => ({ a: 'x'.repeat(100) }))),
    )
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b))
    expect(sizes[3]).toBeGreaterThan((sizes[0] ?? 0) * 500)
  })

  test('is a number for anything, even what bites', () => {
    const cycle: { self?: unknown; list: unknown[] } = { list: [] }
    cycle.self = cycle
    cycle.list.push(cycle, cycle.list)
    const biting = {
      get trap(): number {
        throw new Error('no')
      },
    }
    const proxy = new Proxy(
      {},
      {
        ownKeys() {
          throw new Error('no')
        },
      },
    )
    for (const value of [
      cycle,
      biting,
      proxy,
      { proxy },
      undefined,
      null,
      5n,
      Symbol('s'),
      () => 1,
      new Date(),
      Number.NaN,
    ]) {
      expect(sizeOf(value)).toBeGreaterThanOrEqual(0)
    }
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(sizeOf(value)).toBeGreaterThan(0)
      }),
    )
  })
})
