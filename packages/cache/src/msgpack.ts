/**
 * MessagePack, by `@msgpack/msgpack`, which you install beside the cache: smaller than JSON, understood by other
 * languages, and it holds Date, Map, Set, BigInt and bytes.
 *
 * Map, Set and BigInt are extensions of our own (types 1, 2 and 3). `undefined` is left out of an object and null in an
 * array; instances of classes inside come back as plain objects, bytes as a Buffer; what has a key `__proto__` is
 * written but refused when it is read.
 */
import { types } from 'node:util'
import {
  decode,
  decodeTimestampExtension,
  ExtData,
  type ExtensionCodecType,
  encode,
  encodeTimestampExtension,
} from '@msgpack/msgpack'
import type { Codec } from './codec.ts'
import { explain, isPlain, refusedAlone, unencodable } from './codecs.ts'

const dateType = -1
const mapType = 1
const setType = 2
const bigintType = 3
/** What is nested more deeply is taken for a cycle. */
const maxDepth = 100

const extensionCodec: ExtensionCodecType<undefined> = {
  tryToEncode(value) {
    if (typeof value === 'bigint') return new ExtData(bigintType, Buffer.from(value.toString(16)))
    if (typeof value !== 'object' || value === null || Array.isArray(value) || isPlain(value)) return null
    const refused = refusedByMsgpack(value)
    if (refused !== undefined) throw new TypeError(refused)
    if (types.isDate(value)) return new ExtData(dateType, encodeTimestampExtension(value) as Uint8Array)
    if (types.isMap(value)) return new ExtData(mapType, encode([...value].flat(1), encodeOptions))
    if (types.isSet(value)) return new ExtData(setType, encode([...value], encodeOptions))
    return null
  },
  decode(bytes, type) {
    switch (type) {
      case dateType:
        return decodeTimestampExtension(bytes)
      case mapType:
        return new Map(pairs(decodeList(bytes)))
      case setType:
        return new Set(decodeList(bytes))
      case bigintType:
        return decodeBigint(bytes)
      default:
        throw new Error(`an extension (${type}) of somebody else`)
    }
  },
}

const encodeOptions = { extensionCodec, ignoreUndefined: true, maxDepth }
const decodeOptions = { extensionCodec }

export const msgpackCodec: Codec = {
  id: 2,
  name: 'msgpack',
  encode(value) {
    const refused = refusedAlone(value) ?? refusedByMsgpack(value)
    if (refused !== undefined) throw unencodable('msgpack', '', refused)
    try {
      const bytes = encode(value, encodeOptions)
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    } catch (error) {
      throw explain('msgpack', value, refusedByMsgpack, error)
    }
  },
  decode(bytes) {
    // Bytes inside come back as views of what they are read from: of memory that is theirs alone, not of a connection's.
    const own = Buffer.from(new Uint8Array(bytes).buffer)
    checkShape(own)
    return decode(own, decodeOptions)
  },
}

function refusedByMsgpack(value: unknown): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value !== 'object' || value === null) return undefined
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? 'an invalid Date' : undefined
  if (ArrayBuffer.isView(value))
    return types.isUint8Array(value) ? undefined : 'no Uint8Array, and would come back as one'
  const isLost = [
    types.isRegExp,
    types.isNativeError,
    types.isAnyArrayBuffer,
    types.isPromise,
    types.isWeakMap,
    types.isWeakSet,
  ]
  return isLost.some((is) => is(value)) ? 'nothing that msgpack knows: use a plain object, or the v8 codec' : undefined
}

function decodeList(bytes: Uint8Array): readonly unknown[] {
  checkShape(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  const list: unknown = decode(bytes, decodeOptions)
  if (!Array.isArray(list)) throw new Error('an extension without its list')
  return list
}

function* pairs(items: readonly unknown[]): Iterable<[unknown, unknown]> {
  if (items.length % 2 !== 0) throw new Error('a map has a key without a value')
  for (let index = 0; index < items.length; index += 2) yield [items[index], items[index + 1]]
}

/** Hexadecimal, because a long decimal number takes long to read. */
function decodeBigint(bytes: Uint8Array): bigint {
  const [, sign, digits] = /^(-?)([0-9a-f]+)$/.exec(Buffer.from(bytes).toString('latin1')) ?? []
  if (digits === undefined) throw new Error('no BigInt')
  const value = BigInt(`0x${digits}`)
  return sign === '-' ? -value : value
}

/**
 * Throws for bytes that promise more than they hold. The library makes room for an array as soon as it is promised, so
 * a few kilobytes of nested promises would ask for more memory than there is. Here every promised item has to have a
 * byte of its own.
 */
function checkShape(bytes: Buffer): void {
  let at = 0
  for (let promised = 1; promised > 0; promised--) {
    const head = bytes[at]
    if (head === undefined) throw new Error('cut short')
    const shape = shapes[head] as Shape
    const size = shape.sizeBytes === 0 ? shape.size : bytes.readUIntBE(at + 1, shape.sizeBytes)
    at += shape.bytes + (shape.of === 'bytes' ? size : 0)
    if (shape.of === 'items') promised += size
    else if (shape.of === 'pairs') promised += size * 2
    if (promised - 1 > bytes.length - at) throw new Error('it promises more than it holds')
  }
  if (at !== bytes.length) throw new Error('more bytes than the value has')
}

/** What follows a first byte. */
interface Shape {
  /** Without the content, with the first byte. */
  readonly bytes: number
  /** How many bytes say the size of the content; 0: the first byte says it. */
  readonly sizeBytes: number
  readonly size: number
  readonly of: 'bytes' | 'items' | 'pairs'
}

/** By first byte, after the specification of MessagePack. 0xc1 is never used, and is left to the library to refuse. */
const shapes: readonly Shape[] = Array.from({ length: 256 }, (_, first): Shape => {
  const fixed = (size: number, of: Shape['of'] = 'bytes'): Shape => ({ bytes: 1, sizeBytes: 0, size, of })
  const sized = (sizeBytes: number, of: Shape['of'] = 'bytes', more = 0): Shape => ({
    bytes: 1 + sizeBytes + more,
    sizeBytes,
    size: 0,
    of,
  })
  if (first < 0x80 || first >= 0xe0) return fixed(0)
  if (first < 0x90) return fixed(first & 0x0f, 'pairs')
  if (first < 0xa0) return fixed(first & 0x0f, 'items')
  if (first < 0xc0) return fixed(first & 0x1f)
  if (first < 0xc4) return fixed(0)
  if (first < 0xc7) return sized(2 ** (first - 0xc4))
  if (first < 0xca) return sized(2 ** (first - 0xc7), 'bytes', 1)
  if (first < 0xcc) return fixed(first === 0xca ? 4 : 8)
  if (first < 0xd4) return fixed(2 ** (first & 3))
  if (first < 0xd9) return fixed(1 + 2 ** (first - 0xd4))
  if (first < 0xdc) return sized(2 ** (first - 0xd9))
  return first < 0xde ? sized(2 ** (first - 0xdb), 'items') : sized(2 ** (first - 0xdd), 'pairs')
})
