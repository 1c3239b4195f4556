/**
 * What the engine keeps for a key: a head that says what the bytes are and until when they are good, and the payload.
 * The head comes first and its numbers have fixed places, so that a script can compare a version or take a lock
 * without touching the payload. Little endian:
 *
 *    0 u16 magic "HF"        2 u8 layout              3 u8 kind            4 u16 length of the head
 *    6 u8 codec              7 u8 compression         8 f64 version       16 f64 the store's version, NaN for none
 *   24 f64 created at       32 f64 fresh until       40 f64 stale until   48 f32 how long the load took, ms
 *   52 u8 copies            53 u8 number of tags     54 u16 reserved      56 f64 lock token, 0 for none
 *   64 f64 locked until     72 tags: each u16 length, name in UTF-8, f64 version
 *
 * The payload begins where the head says that it ends, not where the tags do: what a later version adds to the head is
 * skipped by this one. What cannot be skipped gets another layout, which this one does not read.
 */
import type { Lifetime } from './entry.ts'
import { CacheError } from './errors.ts'

/**
 * Places for scripts. `GETRANGE` and `SETRANGE` count from 0, as here; `string.sub` and `struct.unpack` of Lua count
 * from 1: add one. Tokens and times are doubles, eight bytes each.
 */
export const envelopeAt = { kind: 3, version: 8, sourceVersion: 16, lockToken: 56, lockUntil: 64, tags: 72 } as const

/** `absent`: the source says that there is nothing. `loading`: somebody's lock on a missing key. */
const kinds = ['value', 'absent', 'loading'] as const

interface EnvelopeTag {
  readonly name: string
  /** What the tag's version was when the entry was made. */
  readonly version: number
}

export interface EnvelopeHead extends Lifetime {
  readonly kind: (typeof kinds)[number]
  /** See `Codec.id`. */
  readonly codec: number
  /** 0 none, 1 gzip, 2 brotli, 3 zstd. */
  readonly compression: number
  /** Unique for each write: a safe integer above 0. */
  readonly version: number
  /** The store's own version of the value, if it has one. */
  readonly sourceVersion: number | null
  /** In how many copies the key is kept: at least 1. */
  readonly copies: number
  /** Whose load this entry waits for; 0 for nobody's. */
  readonly lockToken: number
  /** By the engine's clock. */
  readonly lockUntil: number
  readonly tags: readonly EnvelopeTag[]
}

export interface Envelope extends EnvelopeHead {
  /** A view of the bytes that were opened, not a copy. */
  readonly payload: Buffer
}

/** "HF". */
const magic = 0x4648
const layout = 1
/** A tag without its name. */
const tagBytes = 10
/** A tag with a name of one letter, as those of `clear` have: the digit of their depth. */
const shortTagBytes = 11
const longestHead = 0xffff
const mostTags = 0xff
const noTags: readonly EnvelopeTag[] = []

export function writeEnvelope(head: EnvelopeHead, payload: Buffer): Buffer {
  const { tags } = head
  let length = envelopeAt.tags
  for (const { name } of tags) length += tagBytes + Buffer.byteLength(name)
  if (length > longestHead || tags.length > mostTags) throw tooManyTags(tags.length, length)
  const bytes = Buffer.allocUnsafe(length + payload.length)
  // One view for all the numbers costs half of what as many calls of Buffer's own do.
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  view.setUint16(0, magic, true)
  bytes[2] = layout
  bytes[3] = kinds.indexOf(head.kind)
  view.setUint16(4, length, true)
  bytes[6] = head.codec
  bytes[7] = head.compression
  view.setFloat64(8, head.version, true)
  view.setFloat64(16, head.sourceVersion ?? Number.NaN, true)
  view.setFloat64(24, head.createdAt, true)
  view.setFloat64(32, head.freshUntil, true)
  view.setFloat64(40, head.staleUntil, true)
  view.setFloat32(48, head.loadMs, true)
  bytes[52] = head.copies
  bytes[53] = tags.length
  view.setUint16(54, 0, true)
  view.setFloat64(56, head.lockToken, true)
  view.setFloat64(64, head.lockUntil, true)
  let at: number = envelopeAt.tags
  for (const { name, version } of tags) {
    const nameEnd = writeName(bytes, name, at + 2)
    view.setUint16(at, nameEnd - at - 2, true)
    view.setFloat64(nameEnd, version, true)
    at = nameEnd + 8
  }
  bytes.set(payload, length)
  return bytes
}

/** Undefined for what is not ours to read: foreign, cut short, of another layout, or with numbers that cannot be. Never throws. */
export function openEnvelope(bytes: Buffer): Envelope | undefined {
  if (bytes.length < envelopeAt.tags || bytes[0] !== (magic & 0xff) || bytes[1] !== magic >> 8 || bytes[2] !== layout)
    return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const kind = kinds[bytes[3] as number]
  const headEnd = view.getUint16(4, true)
  if (kind === undefined || headEnd < envelopeAt.tags || headEnd > bytes.length) return undefined
  const version = view.getFloat64(8, true)
  const sourceVersion = view.getFloat64(16, true)
  const createdAt = view.getFloat64(24, true)
  const freshUntil = view.getFloat64(32, true)
  const staleUntil = view.getFloat64(40, true)
  const loadMs = view.getFloat32(48, true)
  const lockToken = view.getFloat64(56, true)
  const lockUntil = view.getFloat64(64, true)
  if (!(Number.isSafeInteger(version) && version > 0)) return undefined
  if (!Number.isNaN(sourceVersion) && !Number.isSafeInteger(sourceVersion)) return undefined
  if (!Number.isFinite(createdAt) || Number.isNaN(freshUntil) || Number.isNaN(staleUntil)) return undefined
  if (!(Number.isFinite(loadMs) && loadMs >= 0)) return undefined
  if (!(Number.isSafeInteger(lockToken) && lockToken >= 0) || Number.isNaN(lockUntil)) return undefined
  const tagCount = bytes[53] as number
  const tags = tagCount === 0 ? noTags : readTags(bytes, view, tagCount, headEnd)
  if (tags === undefined) return undefined
  return {
    kind,
    codec: bytes[6] as number,
    compression: bytes[7] as number,
    version,
    sourceVersion: Number.isNaN(sourceVersion) ? null : sourceVersion,
    createdAt,
    freshUntil,
    staleUntil,
    loadMs,
    copies: bytes[52] || 1,
    lockToken,
    lockUntil,
    tags,
    payload: bytes.subarray(headEnd),
  }
}

/** What an entry must be to be read at a glance. */
export interface Plain {
  /** The number of the only codec that will do. */
  readonly codec: number
  /** The tags that every entry has, as they are now. */
  readonly tags: readonly { readonly version: number }[]
  /** Until when it must be fresh at least. */
  readonly now: number
  /** ... and longer by so many times its load. */
  readonly lookAhead: number
}

/**
 * Where the payload begins, if this is an entry as nearly all are: a value, not compressed, fresh for a while, with the
 * tags that all entries have and no others. 0 for everything else, which `openEnvelope` looks at more closely. Reads the
 * few bytes that decide, where they lie: half of what it costs to make an object of the whole head.
 */
export function plainPayloadAt(bytes: Buffer, { codec, tags, now, lookAhead }: Plain): number {
  if (bytes.length < envelopeAt.tags || bytes[0] !== 0x48 || bytes[1] !== 0x46 || bytes[2] !== layout) return 0
  // Kind 0 is a value, compression 0 is none.
  if (bytes[3] !== 0 || bytes[6] !== codec || bytes[7] !== 0 || bytes[53] !== tags.length) return 0
  const headEnd = (bytes[4] as number) | ((bytes[5] as number) << 8)
  if (headEnd > bytes.length || envelopeAt.tags + tags.length * shortTagBytes > headEnd) return 0
  if (!(now < bytes.readDoubleLE(32) - (lookAhead === 0 ? 0 : bytes.readFloatLE(48) * lookAhead))) return 0
  let at: number = envelopeAt.tags
  for (let depth = 0; depth < tags.length; depth++) {
    const isItsName = bytes[at] === 1 && bytes[at + 1] === 0 && bytes[at + 2] === 0x30 + depth
    if (!isItsName || bytes.readDoubleLE(at + 3) !== tags[depth]?.version) return 0
    at += shortTagBytes
  }
  return headEnd
}

/** When an entry was made of which `plainPayloadAt` has said that it is one. */
export function createdAtOf(bytes: Buffer): number {
  return bytes.readDoubleLE(24)
}

/** Whether these bytes are an entry that a later version of this library has written. */
export function isNewerLayout(bytes: Buffer): boolean {
  return bytes.length > 2 && bytes.readUInt16LE(0) === magic && (bytes[2] as number) > layout
}

function readTags(bytes: Buffer, view: DataView, count: number, end: number): readonly EnvelopeTag[] | undefined {
  const tags: EnvelopeTag[] = []
  let at: number = envelopeAt.tags
  for (let left = count; left > 0; left--) {
    if (at + tagBytes > end) return undefined
    const nameEnd = at + 2 + view.getUint16(at, true)
    if (nameEnd + 8 > end) return undefined
    const version = view.getFloat64(nameEnd, true)
    if (!(Number.isSafeInteger(version) && version > 0)) return undefined
    tags.push({ name: readName(bytes, at + 2, nameEnd), version })
    at = nameEnd + 8
  }
  return tags
}

/** Names are short and mostly ASCII: a few bytes are sooner put by hand than by a call out of JavaScript. Answers their end. */
function writeName(bytes: Buffer, name: string, from: number): number {
  if (name.length > 24) return from + bytes.write(name, from)
  for (let index = 0; index < name.length; index++) {
    const code = name.charCodeAt(index)
    if (code > 0x7f) return from + bytes.write(name, from)
    bytes[from + index] = code
  }
  return from + name.length
}

function readName(bytes: Buffer, from: number, to: number): string {
  // Every entry has the tag of its cache's `clear`, with a name of one letter.
  const first = bytes[from] as number
  if (to - from === 1 && first < 0x80) return String.fromCharCode(first)
  return bytes.toString('utf8', from, to)
}

function tooManyTags(tags: number, headBytes: number): CacheError {
  return new CacheError('INVALID', `${tags} tags make a head of ${headBytes} bytes: use fewer or shorter ones`, {
    tags,
    headBytes,
  })
}

/**
 * Something in the engine that cannot become a value: cut short, of another codec or shape, too large. Whoever reads
 * treats it as a miss and tells of it. The message says why in constant words, because what the bytes hold must not
 * get into a log.
 */
export class NotUsable extends Error {
  override readonly name = 'NotUsable'
}
