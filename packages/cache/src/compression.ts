/**
 * Large payloads are compressed: zstd where Node has it (22.15 and later), else brotli at its fastest, which on JSON of
 * 64 KB and more takes half the time of gzip and leaves fewer bytes. What saves less than a tenth is kept as it was.
 *
 * Before the compressed stream stands the length of what it holds, as a u32. So a reader knows what it is in for: it
 * refuses a bomb before the first byte, gives the rest of the work to another thread if there is much of it, and
 * reads into one piece of memory. A stream that holds more than it said is refused when it gets there.
 */
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { NotUsable } from './envelope.ts'

export interface Compressed {
  readonly payload: Buffer
  /** 0: it did not pay. */
  readonly compression: number
}

type Squeeze = (bytes: Buffer, options: object) => Buffer
type SqueezeElsewhere = (bytes: Buffer, options: object) => Promise<Buffer>

interface Way {
  readonly id: number
  readonly name: string
  readonly compress: Squeeze
  readonly compressElsewhere: SqueezeElsewhere
  readonly decompress: Squeeze
  readonly decompressElsewhere: SqueezeElsewhere
  readonly options: object
}

/** What later versions of Node have. */
interface Zstd {
  readonly zstdCompress: typeof zlib.gzip
  readonly zstdCompressSync: Squeeze
  readonly zstdDecompress: typeof zlib.gunzip
  readonly zstdDecompressSync: Squeeze
}

const gzip: Way = {
  id: 1,
  name: 'gzip',
  compress: zlib.gzipSync,
  compressElsewhere: promisify(zlib.gzip) as SqueezeElsewhere,
  decompress: zlib.gunzipSync,
  decompressElsewhere: promisify(zlib.gunzip) as SqueezeElsewhere,
  options: { level: 1 },
}

const brotli: Way = {
  id: 2,
  name: 'brotli',
  compress: zlib.brotliCompressSync,
  compressElsewhere: promisify(zlib.brotliCompress) as SqueezeElsewhere,
  decompress: zlib.brotliDecompressSync,
  decompressElsewhere: promisify(zlib.brotliDecompress) as SqueezeElsewhere,
  options: { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } },
}

function findZstd(): Way | undefined {
  const { zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } = zlib as unknown as Partial<Zstd>
  if (!zstdCompress || !zstdCompressSync || !zstdDecompress || !zstdDecompressSync) return undefined
  return {
    id: 3,
    name: 'zstd',
    compress: zstdCompressSync,
    compressElsewhere: promisify(zstdCompress) as SqueezeElsewhere,
    decompress: zstdDecompressSync,
    decompressElsewhere: promisify(zstdDecompress) as SqueezeElsewhere,
    options: {},
  }
}

const zstd = findZstd()
const preferred = zstd ?? brotli
/** By the number in the envelope. */
const ways: readonly (Way | undefined)[] = [undefined, gzip, brotli, zstd]
const lengthBytes = 4
/** Above this the event loop would stand still for more than about a quarter of a millisecond. */
const elsewhereAbove = 64 * 1024
const worthRatio = 0.9

export function compress(raw: Buffer): Compressed | Promise<Compressed> {
  const { id, options } = preferred
  const keep = (stream: Buffer): Compressed => {
    if (lengthBytes + stream.length > raw.length * worthRatio) return { payload: raw, compression: 0 }
    const payload = Buffer.allocUnsafe(lengthBytes + stream.length)
    payload.writeUInt32LE(raw.length)
    payload.set(stream, lengthBytes)
    return { payload, compression: id }
  }
  if (raw.length > elsewhereAbove) return preferred.compressElsewhere(raw, options).then(keep)
  return keep(preferred.compress(raw, options))
}

/** The bytes as they were. Throws `NotUsable`, or its promise rejects with it. */
export function decompress(payload: Buffer, compression: number, maxBytes: number): Buffer | Promise<Buffer> {
  const way = ways[compression]
  if (way === undefined) throw new NotUsable(`compressed in a way (${compression}) that this Node does not know`)
  if (payload.length < lengthBytes) throw broken(way)
  const length = payload.readUInt32LE()
  if (length > maxBytes) throw new NotUsable(`it holds ${length} bytes, more than maxValueBytes (${maxBytes})`)
  const stream = payload.subarray(lengthBytes)
  // One byte to spare: a piece of memory that is exactly full makes zlib ask for another.
  const options = { maxOutputLength: length + 1, chunkSize: Math.max(64, length + 1) }
  const checked = (raw: Buffer): Buffer => {
    if (raw.length !== length) throw broken(way)
    return raw
  }
  if (length > elsewhereAbove) {
    return way.decompressElsewhere(stream, options).then(checked, () => {
      throw broken(way)
    })
  }
  let raw: Buffer
  try {
    raw = way.decompress(stream, options)
  } catch {
    throw broken(way)
  }
  return checked(raw)
}

function broken({ name }: Way): NotUsable {
  return new NotUsable(`broken ${name}, or not as long as it says`)
}
