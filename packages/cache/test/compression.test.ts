import * as zlib from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Compressed, compress, decompress } from '../src/compression.ts'
import { NotUsable } from '../src/envelope.ts'

const mega = 1024 * 1024
const gzip = 1
const zstd = 3
const products = (count: number): Buffer =>
  Buffer.from(
    JSON.stringify(
      Array.from({ length: count }, (_, id) => ({ id, name: `product ${id * 7919}`, inStock: id % 3 > 0 })),
    ),
  )
const noise = (bytes: number): Buffer => {
  let seed = 7
  return Buffer.from(Uint8Array.from({ length: bytes }, () => (seed = (seed * 48_271) % 2_147_483_647) >> 8))
}

/** What a writer with another preference has written. */
const written = (stream: Buffer, length: number): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(length)
  return Buffer.concat([head, stream])
}

test('what is compressed comes back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 600 }), async (bytes, times) => {
      const raw = Buffer.concat(Array.from({ length: times }, () => bytes))
      const { payload, compression } = await compress(raw)
      const back = compression === 0 ? payload : await decompress(payload, compression, mega)
      expect(back.equals(raw)).toBe(true)
    }),
  )
})

test('what saves less than a tenth is kept as it was', () => {
  const raw = noise(20_000)
  const kept = compress(raw) as Compressed
  expect(kept.compression).toBe(0)
  expect(kept.payload).toBe(raw)
})

test('the event loop is not held for large values', async () => {
  const raw = products(20_000)
  const compressing = compress(raw)
  expect(compressing).toBeInstanceOf(Promise)
  const { payload, compression } = await compressing
  expect(payload.length).toBeLessThan(raw.length / 3)
  const decompressing = decompress(payload, compression, 2 * mega)
  expect(decompressing).toBeInstanceOf(Promise)
  expect((await decompressing).equals(raw)).toBe(true)
  expect(compress(products(500))).not.toBeInstanceOf(Promise)
})

describe('reading', () => {
  const raw = products(500)

  test('knows what others prefer', () => {
    expect(decompress(written(zlib.gzipSync(raw), raw.length), gzip, mega)).toEqual(raw)
    expect(decompress(written(zlib.brotliCompressSync(raw), raw.length), 2, mega)).toEqual(raw)
  })

  test('refuses what this Node cannot, and reads it where it can', () => {
    const { zstdCompressSync } = zlib as unknown as { zstdCompressSync?: (bytes: Buffer) => Buffer }
    const stream = zstdCompressSync === undefined ? raw : zstdCompressSync(raw)
    const read = (): unknown => decompress(written(stream, raw.length), zstd, mega)
    if (zstdCompressSync === undefined) expect(read).toThrow('that this Node does not know')
    else expect(read()).toEqual(raw)
    expect(() => decompress(raw, 4, mega)).toThrow('that this Node does not know')
    expect(() => decompress(raw, 255, mega)).toThrow(NotUsable)
  })

  test('refuses a bomb by what it says', () => {
    const bomb = written(zlib.gzipSync(Buffer.alloc(10 * mega)), 10 * mega)
    expect(bomb.length).toBeLessThan(11_000)
    expect(() => decompress(bomb, gzip, mega)).toThrow('it holds 10485760 bytes, more than maxValueBytes (1048576)')
  })

  test.each([1000, 100_000])('refuses a bomb that says it is %i bytes', async (length) => {
    const bomb = written(zlib.gzipSync(Buffer.alloc(10 * mega)), length)
    await expect((async () => decompress(bomb, gzip, mega))()).rejects.toThrow(NotUsable)
  })

  test('reads what is exactly as large as it may be', async () => {
    for (const size of [5000, 200_000]) {
      const full = Buffer.alloc(size, 'x')
      expect(await decompress(written(zlib.gzipSync(full), size), gzip, size)).toEqual(full)
      await expect((async () => decompress(written(zlib.gzipSync(full), size), gzip, size - 1))()).rejects.toThrow(
        'more than maxValueBytes',
      )
    }
  })

  test.each(['gzip', 'brotli'] as const)('refuses broken %s in constant words', async (name) => {
    const way = name === 'gzip' ? 1 : 2
    const stream = name === 'gzip' ? zlib.gzipSync(raw) : zlib.brotliCompressSync(raw)
    const whole = written(stream, raw.length)
    const broken = [
      whole.subarray(0, 0),
      whole.subarray(0, 3),
      whole.subarray(0, 4),
      whole.subarray(0, whole.length / 2),
      written(stream, raw.length - 1),
      written(stream, raw.length + 1),
      written(raw, raw.length),
      written(raw, 100_000),
    ]
    for (const bytes of broken) {
      await expect((async () => decompress(bytes, way, mega))()).rejects.toThrow(
        `broken ${name}, or not as long as it says`,
      )
    }
  })

  test('stands whatever the bytes are', async () => {
    const { payload, compression } = compress(raw) as Compressed
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }), async (changes) => {
        const spoiled = Buffer.from(payload)
        for (const [at, byte] of changes) spoiled[at % spoiled.length] = byte
        const [result] = await Promise.allSettled([(async () => decompress(spoiled, compression, mega))()])
        if (result.status === 'fulfilled') expect(result.value).toHaveLength(raw.length)
        else expect(result.reason).toBeInstanceOf(NotUsable)
      }),
    )
  })
})
