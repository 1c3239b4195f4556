/**
 * The way of a value into the engine and back: codec, size limit, compression; and decompression, size limit, codec,
 * schema. Small values go it without a promise.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from './codec.ts'
import { compress, decompress } from './compression.ts'
import { type Envelope, NotUsable } from './envelope.ts'
import { CacheError } from './errors.ts'

export interface ValueSettings {
  /** For writing. */
  readonly codec: Codec
  /** For reading, beside `codec`. */
  readonly codecs: readonly Codec[]
  /** Larger payloads are compressed; Infinity: none. */
  readonly compressAbove: number
  /** By the encoded size before compression: larger values are neither written nor read. */
  readonly maxValueBytes: number
  /** What must hold for a value that comes from the engine. Its answer is the value. */
  readonly schema: StandardSchemaV1 | undefined
}

export interface Encoded {
  readonly payload: Buffer
  /** See `Codec.id`. */
  readonly codec: number
  /** See `EnvelopeHead.compression`. */
  readonly compression: number
  /** Before compression: closer to what the value takes in memory. */
  readonly bytes: number
}

/** Throws, or rejects with, UNENCODABLE or TOO_LARGE. A promise only where there is much to compress. */
export function encodeValue(value: unknown, settings: ValueSettings): Encoded | Promise<Encoded> {
  const { codec, compressAbove, maxValueBytes } = settings
  const raw = encodeWith(codec, value)
  const bytes = raw.length
  if (bytes > maxValueBytes) {
    const message = `the value has ${bytes} bytes, more than maxValueBytes (${maxValueBytes}): store less, or raise the limit`
    throw new CacheError('TOO_LARGE', message, { bytes, limit: maxValueBytes })
  }
  if (bytes <= compressAbove) return { payload: raw, codec: codec.id, compression: 0, bytes }
  const compressed = compress(raw)
  if (compressed instanceof Promise) return compressed.then((smaller) => ({ ...smaller, codec: codec.id, bytes }))
  return { ...compressed, codec: codec.id, bytes }
}

function encodeWith(codec: Codec, value: unknown): Buffer {
  let raw: Buffer
  try {
    raw = codec.encode(value)
  } catch (error) {
    if (error instanceof CacheError) throw error
    throw new CacheError('UNENCODABLE', `the codec ${codec.name} cannot encode the value`, { codec: codec.name }, error)
  }
  if (Buffer.isBuffer(raw)) return raw
  throw new CacheError('UNENCODABLE', `the codec ${codec.name} did not answer a Buffer`, { codec: codec.name })
}

/** Throws, or rejects with, `NotUsable`. A promise only where there is much to decompress or the schema wants time. */
export function decodeValue(envelope: Envelope, settings: ValueSettings): unknown {
  const { payload, compression } = envelope
  const { maxValueBytes } = settings
  if (compression !== 0) {
    const raw = decompress(payload, compression, maxValueBytes)
    return raw instanceof Promise
      ? raw.then((whole) => readValue(whole, envelope, settings))
      : readValue(raw, envelope, settings)
  }
  if (payload.length > maxValueBytes) {
    throw new NotUsable(`it has ${payload.length} bytes, more than maxValueBytes (${maxValueBytes})`)
  }
  return readValue(payload, envelope, settings)
}

function readValue(raw: Buffer, { codec: id }: Envelope, { codec, codecs, schema }: ValueSettings): unknown {
  const reader = id === codec.id ? codec : codecs.find((other) => other.id === id)
  if (reader === undefined) throw new NotUsable(`written by a codec (${id}) that is not among the codecs of this cache`)
  let value: unknown
  try {
    value = reader.decode(raw)
  } catch {
    // The error is left out: that of `JSON.parse` has a piece of the text in it.
    throw new NotUsable(`the codec ${reader.name} cannot read it`)
  }
  return schema === undefined ? value : validate(value, schema)
}

function validate(value: unknown, schema: StandardSchemaV1): unknown {
  let result: StandardSchemaV1.Result<unknown> | Promise<StandardSchemaV1.Result<unknown>>
  try {
    result = schema['~standard'].validate(value)
  } catch {
    throw new NotUsable('the schema threw')
  }
  if (!(result instanceof Promise)) return accepted(result)
  return result.then(accepted, () => {
    throw new NotUsable('the schema threw')
  })
}

function accepted(result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value
  // Where, and not what: the words of some libraries repeat the value.
  const [issue] = result.issues
  const path = (issue?.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
  const more = result.issues.length > 1 ? ` and ${result.issues.length - 1} more places` : ''
  throw new NotUsable(`not of the schema's shape${path === '' ? '' : ` at ${path}`}${more}`)
}

/** Checks that each codec has a number of its own. The answer is for `ValueSettings.codecs`. */
export function readableCodecs(codec: Codec, others: readonly Codec[]): readonly Codec[] {
  const byId = new Map<number, Codec>()
  for (const each of [codec, ...others]) {
    const { id, name } = each
    if (!Number.isInteger(id) || id < 1 || id > 255) {
      throw new CacheError('INVALID', `the codec ${name} needs an id: your own are 128 to 255`, { what: 'codec' })
    }
    const other = byId.get(id)
    if (other !== undefined && other !== each) {
      throw new CacheError('INVALID', `the codecs ${other.name} and ${name} have the same id ${id}`, {
        what: 'codecs',
        id,
      })
    }
    byId.set(id, each)
  }
  return [...byId.values()]
}

const piecesLooked = 500
/** Of one object or list. */
const sampled = 32
const objectBytes = 32
const slotBytes = 8
const mapEntryBytes = 32

/**
 * About how much memory a living value takes: for the bound of the local tier, where nothing was encoded that could be
 * measured. Looks at some hundred pieces and takes the others to be like them. Never throws.
 */
export function sizeOf(value: unknown): number {
  try {
    return Math.round(measure(value, piecesLooked, new Set()))
  } catch {
    // A getter or a trap of the value's own.
    return objectBytes
  }
}

/** `looks`: at how many pieces; each piece inside gets its share of them. */
function measure(piece: unknown, looks: number, seen: Set<object>): number {
  if (typeof piece === 'string') return objectBytes / 2 + piece.length * (isWide(piece) ? 2 : 1)
  if (typeof piece !== 'object' || piece === null) return slotBytes
  if (seen.has(piece)) return 0
  seen.add(piece)
  if (ArrayBuffer.isView(piece) || piece instanceof ArrayBuffer) return objectBytes * 3 + piece.byteLength
  const own = objectBytes + slotBytes * 2
  const entries = entriesOf(piece)
  const count = 'size' in entries ? entries.size : entries.length
  if (count === 0) return own
  const slots = count * ('size' in entries ? mapEntryBytes : slotBytes)
  const sample = Math.min(count, sampled, Math.floor(looks) - 1)
  if (sample < 1) return own + slots
  const share = (looks - 1) / sample
  let bytes = 0
  let looked = 0
  for (const inside of entries) {
    if (looked === sample) break
    looked++
    if (piece instanceof Map) {
      const [key, item] = inside as [unknown, unknown]
      bytes += measure(key, share / 2, seen) + measure(item, share / 2, seen)
    } else bytes += measure(inside, share, seen)
  }
  return own + slots + (bytes / sample) * count
}

function entriesOf(piece: object): readonly unknown[] | ReadonlySet<unknown> | ReadonlyMap<unknown, unknown> {
  return Array.isArray(piece) || piece instanceof Map || piece instanceof Set ? piece : Object.values(piece)
}

/** A string with one letter above U+00FF takes two bytes for each of its letters. Looks at a few. */
function isWide(text: string): boolean {
  const step = Math.max(1, Math.floor(text.length / 16))
  for (let index = 0; index < text.length; index += step) if (text.charCodeAt(index) > 0xff) return true
  return false
}
