import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EnvelopeHead, envelopeAt, openEnvelope, writeEnvelope } from '../src/envelope.ts'
import { CacheError } from '../src/errors.ts'

const aHead = (facts: Partial<EnvelopeHead> = {}): EnvelopeHead => ({
  kind: 'value',
  codec: 1,
  compression: 0,
  version: 7_264_511_002_938_771,
  sourceVersion: 42,
  createdAt: 1_790_000_000_000,
  freshUntil: 1_790_000_060_000,
  staleUntil: 1_790_000_120_000,
  loadMs: 12.5,
  copies: 1,
  lockToken: 0,
  lockUntil: 0,
  tags: [{ name: '0', version: 5 }],
  ...facts,
})

const payload = Buffer.from('{"name":"tea","price":3.5}')

const safe = (min: number) => fc.integer({ min, max: Number.MAX_SAFE_INTEGER })
const time = fc.oneof(fc.double({ noNaN: true }), fc.constant(Number.POSITIVE_INFINITY))
const head: fc.Arbitrary<EnvelopeHead> = fc.record({
  kind: fc.constantFrom('value' as const, 'absent' as const, 'loading' as const),
  codec: fc.nat(255),
  compression: fc.nat(255),
  version: safe(1),
  sourceVersion: fc.option(fc.maxSafeInteger()),
  createdAt: fc.double({ noNaN: true, noDefaultInfinity: true }),
  freshUntil: time,
  staleUntil: time,
  loadMs: fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
  copies: fc.integer({ min: 1, max: 255 }),
  lockToken: safe(0),
  lockUntil: time,
  tags: fc.array(fc.record({ name: fc.string({ unit: 'grapheme', maxLength: 40 }), version: safe(1) }), {
    maxLength: 40,
  }),
})

describe('what is written', () => {
  test('is opened as it was, whatever it is', () => {
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 300 }), (written, bytes) => {
        const opened = openEnvelope(writeEnvelope(written, Buffer.from(bytes)))
        expect(opened).toEqual({ ...written, payload: Buffer.from(bytes) })
      }),
    )
  })

  test('has its numbers where scripts look for them', () => {
    const bytes = writeEnvelope(aHead({ kind: 'loading', lockToken: 99, lockUntil: 1234.5 }), payload)
    expect(bytes.subarray(0, 3)).toEqual(Buffer.from('HF\u0001'))
    expect(bytes[envelopeAt.kind]).toBe(2)
    expect(bytes.readDoubleLE(envelopeAt.version)).toBe(aHead().version)
    expect(bytes.readDoubleLE(envelopeAt.lockToken)).toBe(99)
    expect(bytes.readDoubleLE(envelopeAt.lockUntil)).toBe(1234.5)
  })

  test('says no lock in zeros only, because a script compares the bytes', () => {
    expect(writeEnvelope(aHead(), payload).subarray(envelopeAt.lockToken, envelopeAt.tags)).toEqual(Buffer.alloc(16))
  })

  test('has no more tags than its head has room for', () => {
    const tags = (count: number, letters: number) =>
      Array.from({ length: count }, (_, index) => ({ name: `${index}`.padEnd(letters, 'x'), version: 1 }))
    expect(openEnvelope(writeEnvelope(aHead({ tags: tags(255, 200) }), payload))?.tags).toHaveLength(255)
    expect(() => writeEnvelope(aHead({ tags: tags(256, 3) }), payload)).toThrow(CacheError)
    expect(() => writeEnvelope(aHead({ tags: tags(255, 300) }), payload)).toThrow('use fewer or shorter ones')
  })
})

describe('opening', () => {
  test('does not copy the payload', () => {
    const bytes = writeEnvelope(aHead(), payload)
    expect(openEnvelope(bytes)?.payload.buffer).toBe(bytes.buffer)
  })

  test('skips what a later version has added to the head', () => {
    const bytes = writeEnvelope(aHead(), payload)
    const end = bytes.readUInt16LE(4)
    const longer = Buffer.concat([bytes.subarray(0, end), Buffer.from('something more'), bytes.subarray(end)])
    longer.writeUInt16LE(end + 14, 4)
    longer.writeUInt16LE(0xabcd, 54)
    expect(openEnvelope(longer)).toEqual(openEnvelope(bytes))
  })

  const wrong: readonly (readonly [string, (bytes: Buffer) => unknown])[] = [
    ['another magic', (bytes) => bytes.writeUInt8(0x49, 0)],
    ['a newer layout', (bytes) => bytes.writeUInt8(2, 2)],
    ['an unknown kind', (bytes) => bytes.writeUInt8(4, 3)],
    ['a head that ends before its numbers', (bytes) => bytes.writeUInt16LE(71, 4)],
    ['a head that is longer than all of it', (bytes) => bytes.writeUInt16LE(bytes.length + 1, 4)],
    ['a head that ends within its tags', (bytes) => bytes.writeUInt16LE(80, 4)],
    ['more tags than there are', (bytes) => bytes.writeUInt8(2, 53)],
    ['a tag name that is longer than the head', (bytes) => bytes.writeUInt16LE(0xffff, 72)],
    ['a tag without a version', (bytes) => bytes.writeDoubleLE(Number.NaN, 75)],
    ['version 0', (bytes) => bytes.writeDoubleLE(0, 8)],
    ['a version that is no whole number', (bytes) => bytes.writeDoubleLE(1.5, 8)],
    ['a source version that is no whole number', (bytes) => bytes.writeDoubleLE(1.5, 16)],
    ['NaN for the time it was made', (bytes) => bytes.writeDoubleLE(Number.NaN, 24)],
    ['for ever as the time it was made', (bytes) => bytes.writeDoubleLE(Number.POSITIVE_INFINITY, 24)],
    ['NaN for its freshness', (bytes) => bytes.writeDoubleLE(Number.NaN, 32)],
    ['NaN for its end', (bytes) => bytes.writeDoubleLE(Number.NaN, 40)],
    ['NaN for its load', (bytes) => bytes.writeFloatLE(Number.NaN, 48)],
    ['a load of less than no time', (bytes) => bytes.writeFloatLE(-1, 48)],
    ['a negative token', (bytes) => bytes.writeDoubleLE(-1, 56)],
    ['NaN for the end of its lock', (bytes) => bytes.writeDoubleLE(Number.NaN, 64)],
  ]
  test.each(wrong)('refuses %s', (_, spoil) => {
    const bytes = writeEnvelope(aHead(), payload)
    expect(openEnvelope(bytes)).toBeDefined()
    spoil(bytes)
    expect(openEnvelope(bytes)).toBeUndefined()
  })

  test('refuses every beginning of a head', () => {
    const bytes = writeEnvelope(aHead(), Buffer.alloc(0))
    for (let length = 0; length < bytes.length; length++)
      expect(openEnvelope(bytes.subarray(0, length))).toBeUndefined()
  })

  test('neither throws nor looks beyond its bytes, whatever they are', () => {
    const spoiled = fc
      .tuple(
        head,
        fc.uint8Array({ maxLength: 60 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
        fc.nat(),
      )
      .map(([written, body, changes, cut]) => {
        const bytes = writeEnvelope(written, Buffer.from(body))
        for (const [at, byte] of changes) bytes[at % Math.min(bytes.length, 90)] = byte
        return bytes.subarray(0, cut % 3 === 0 ? cut % (bytes.length + 1) : bytes.length)
      })
    const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(fc.oneof(spoiled, any), (bytes) => {
        // The same bytes in other company mean the same, so nothing of the company was read.
        const inZeros = Buffer.concat([Buffer.alloc(40), bytes, Buffer.alloc(40)]).subarray(40, 40 + bytes.length)
        const inOnes = Buffer.concat([Buffer.alloc(40, 255), bytes, Buffer.alloc(40, 255)]).subarray(
          40,
          40 + bytes.length,
        )
        expect(openEnvelope(inZeros)).toEqual(openEnvelope(inOnes))
      }),
      { numRuns: 1000 },
    )
  })
})
