import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { objectionToFormat, parseRdbHead } from '../../src/index.ts'

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? Array.from(part, (char) => char.charCodeAt(0)) : part)),
  )

const text = (value: string): (string | number[])[] => [[value.length], value]
const aux = (key: string, value: (string | number[])[]): (string | number[])[] => [[0xfa], ...text(key), ...value]

/** As Redis 7.0 writes it: small numbers are integers, the counts of keys follow the choice of a database. */
const head = bytes(
  'REDIS0010',
  ...aux('redis-ver', text('7.0.15')),
  ...aux('redis-bits', [[0xc0, 64]]),
  ...aux('ctime', [[0xc2, 0x78, 0x56, 0x34, 0x12]]),
  ...aux('used-mem', [[0xc2, 0x00, 0x00, 0x20, 0x00]]),
  ...aux('repl-id', text('f'.repeat(40))),
  ...aux('repl-offset', [[0xc1, 0x39, 0x30]]),
  [0xfe, 0],
  [0xfb, 0x80, 0, 0x0f, 0x42, 0x40, 0x43, 0xe8],
  'the keys follow',
)

describe('the head of a snapshot', () => {
  test('tells who wrote it, when, at which offset, and how many keys follow', () => {
    expect(parseRdbHead(head)).toEqual({
      format: 'REDIS',
      version: 10,
      writtenBy: { flavor: 'redis', version: '7.0.15' },
      writtenAt: 0x12345678,
      memoryBytes: 2_097_152,
      replid: 'f'.repeat(40),
      offset: 12_345,
      keys: 1_000_000,
      ttls: 1000,
    })
  })

  test('tells of an empty engine that it has no keys, and of Valkey that it is Valkey', () => {
    const empty = parseRdbHead(bytes('VALKEY080', ...aux('valkey-ver', text('9.0.1')), [0xff]))
    expect(empty).toMatchObject({ format: 'VALKEY', version: 80, keys: 0, ttls: 0 })
    expect(empty?.writtenBy).toEqual({ flavor: 'valkey', version: '9.0.1' })
  })

  test('steps over functions, which come before the keys', () => {
    const withFunctions = bytes('REDIS0010', [0xf5], ...text('#!lua name=lib'), [0xfe, 0], [0xfb, 7, 2])
    expect(parseRdbHead(withFunctions)).toMatchObject({ keys: 7, ttls: 2 })
  })

  test('does not know how many keys follow where it was cut off, or what it does not know comes first', () => {
    expect(parseRdbHead(head.subarray(0, head.length - 20))).toMatchObject({ version: 10, keys: null, ttls: null })
    expect(parseRdbHead(bytes('REDIS0011', [0xf7], text('a')[0] as number[]))).toMatchObject({ keys: null })
  })

  test('any other file is none', () => {
    for (const other of ['', 'REDIS', 'REDIS00x1', 'PNG']) expect(parseRdbHead(bytes(other))).toBeUndefined()
  })

  test('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(parseRdbHead(bytes('REDIS0010', [...noise]))?.version).toBe(10)
      }),
    )
  })
})

describe('an engine reads', () => {
  const redis = (version: string) => ({ flavor: 'redis', version }) as const
  const valkey = (version: string) => ({ flavor: 'valkey', version }) as const
  const format = (version: number, name: 'REDIS' | 'VALKEY' = 'REDIS') => ({ format: name, version })

  test('what it writes itself, and what is older', () => {
    expect(objectionToFormat(format(10), redis('7.0.15'))).toBeNull()
    expect(objectionToFormat(format(9), redis('7.0.15'))).toBeNull()
    expect(objectionToFormat(format(11), valkey('8.0.2'))).toBeNull()
    expect(objectionToFormat(format(80, 'VALKEY'), valkey('9.1.0'))).toBeNull()
    expect(objectionToFormat(format(11), valkey('9.1.0'))).toBeNull()
  })

  test('nothing newer, and nothing of the other one since they went apart', () => {
    expect(objectionToFormat(format(11), redis('7.0.15'))).toContain('newer than what redis 7.0.15 reads (up to 10)')
    expect(objectionToFormat(format(80, 'VALKEY'), redis('8.0.0'))).toContain("Valkey's own format")
    expect(objectionToFormat(format(12), valkey('9.1.0'))).toContain('Redis 7.4 or later')
    expect(objectionToFormat(format(80, 'VALKEY'), valkey('8.0.2'))).toContain('newer')
  })
})
