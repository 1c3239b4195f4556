/**
 * Values to bytes, in the two ways that Node has by itself.
 *
 * | | JSON | v8 |
 * |---|---|---|
 * | plain objects, arrays, strings, numbers, booleans, null | yes | yes |
 * | Date, or anything with a `toJSON` | inside: comes back as what JSON makes of it, a string | Date: yes |
 * | Map, Set, RegExp, bytes, BigInt, cycles, NaN, Infinity | refused | yes |
 * | `undefined` | inside: left out of an object, null in an array | inside: yes |
 * | instances of classes | inside: come back as plain objects | inside: come back as plain objects |
 * | functions, symbols | refused | refused |
 *
 * A value that comes from the local tier and one that comes from the engine should be the same. So what would quietly
 * come back as something else is refused when it is the value itself, and anywhere if nothing would be left of it.
 */
import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { DefaultDeserializer, serialize } from 'node:v8'
import type { Codec } from './codec.ts'
import { CacheError } from './errors.ts'

/** What a codec cannot hold, in words that end the sentence "… is ", or undefined. */
type Refuses = (value: unknown) => string | undefined

/**
 * The default. `JSON.parse` makes every key of the text an own property, `__proto__` too, so that a hostile text
 * changes nobody's prototype; it is used as it is.
 */
export const jsonCodec: Codec = {
  id: 1,
  name: 'json',
  encode(value) {
    // Nearly all values are plain, and that is seen at once.
    const refused = isUsual(value)
      ? undefined
      : (refusedAlone(value) ?? refusedByJson(value) ?? refusedByJsonAlone(value))
    if (refused !== undefined) throw unencodable('json', '', refused)
    try {
      const text = JSON.stringify(value)
      // What JSON leaves out without a word is looked for. It has no cycle, or it would not have become a text.
      const found = isSure(value) ? undefined : find(value, refusedByJson)
      if (found === undefined) return Buffer.from(text)
      throw unencodable('json', found.path, found.what)
    } catch (error) {
      throw explain('json', value, refusedByJson, error)
    }
  },
  decode(bytes) {
    const text = bytes.toString('utf8')
    // Bytes that are no UTF-8 have become this sign: they were not written here, and would be taken for something else.
    if (text.includes('\ufffd') && !isUtf8(bytes)) throw new Error('not UTF-8')
    return JSON.parse(text) as unknown
  },
}

/**
 * Node's own serialization: holds nearly everything, at several times the cost of JSON. Made for bytes of one's own:
 * whoever may write to the engine can make a few of them ask for more memory than there is, which ends the process: with
 * a heap of 300 MB, 60 KB are enough. Use it where nobody else may write.
 */
export const v8Codec: Codec = {
  id: 3,
  name: 'v8',
  encode(value) {
    const refused = refusedAlone(value) ?? refusedByV8(value)
    if (refused !== undefined) throw unencodable('v8', '', refused)
    try {
      return serialize(value)
    } catch (error) {
      throw explain('v8', value, refusedByV8, error)
    }
  },
  decode(bytes) {
    // Typed arrays come back as views of what they are read from. It must be theirs alone, or they would keep a piece
    // of the connection's memory alive, and show it.
    const own = new Uint8Array(bytes)
    const reader = new DefaultDeserializer(own)
    if (!reader.readHeader()) throw new Error('not of v8')
    const value: unknown = reader.readValue()
    if (reader.readRawBytes(0).byteOffset !== own.length) throw new Error('more bytes than the value has')
    return value
  },
}

/** Objects without a class. Those of another realm, such as a test runner's, have an `Object.prototype` of their own. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What no codec takes as the value itself. */
export function refusedAlone(value: unknown): string | undefined {
  if (value === undefined) return 'undefined, which says that there is no value: use null, or delete'
  if (typeof value !== 'object' || value === null || isPlain(value) || Array.isArray(value)) return undefined
  if (types.isDate(value) || types.isMap(value) || types.isSet(value) || ArrayBuffer.isView(value)) return undefined
  if (types.isRegExp(value) || types.isNativeError(value) || types.isAnyArrayBuffer(value)) return undefined
  if (types.isBoxedPrimitive(value) || types.isArgumentsObject(value)) return undefined
  return `of the class ${className(value)}, which would be lost: use a plain object, or a codec of your own`
}

function refusedByJson(value: unknown): string | undefined {
  switch (typeof value) {
    case 'function':
    case 'symbol':
      return `a ${typeof value}`
    case 'bigint':
      return hasToJson(value) ? undefined : 'a BigInt: use a string, or the v8 or msgpack codec'
    case 'number':
      return Number.isFinite(value) ? undefined : `${value}, which JSON has no word for: use null`
    case 'object':
      return value !== null && !Array.isArray(value) && leavesNothing(value)
        ? `a ${className(value)}: use the v8 or msgpack codec`
        : undefined
    default:
      return undefined
  }
}

/** What JSON writes as `{}`, or as a list of numbers. */
function leavesNothing(value: object): boolean {
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return true
  if (isPlain(value) || hasToJson(value)) return false
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value)
  )
}

function refusedByJsonAlone(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isPlain(value)) return undefined
  return `a ${className(value)}, which would come back as something else: use the v8 or msgpack codec`
}

function refusedByV8(value: unknown): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value !== 'object' || value === null) return undefined
  if (types.isProxy(value)) return 'a Proxy'
  return types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value)
    ? `a ${className(value)}`
    : undefined
}

function hasToJson(value: object | bigint): boolean {
  return typeof (value as { toJSON?: unknown }).toJSON === 'function'
}

function className(value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'class without a name'
}

function isUsual(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value === 'string' || typeof value === 'boolean'
  return Object.getPrototypeOf(value) === Object.prototype || Array.isArray(value)
}

/** Whether nothing in it is in doubt, quickly. What is in doubt is looked at again, slowly. */
function isSure(value: unknown): boolean {
  switch (typeof value) {
    case 'object':
      if (value === null) return true
      if (Object.getPrototypeOf(value) === Object.prototype) {
        for (const key in value) if (!isSure((value as Record<string, unknown>)[key])) return false
        return true
      }
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index++) if (!isSure(value[index])) return false
        return true
      }
      return value instanceof Date
    case 'number':
      return Number.isFinite(value)
    case 'function':
    case 'symbol':
      return false
    default:
      return true
  }
}

interface Found {
  readonly path: string
  readonly what: string
}

/** The first piece that is refused, and where. `Proxy` objects are not entered: their traps are not ours to spring. */
function find(
  value: unknown,
  refuses: Refuses,
  path = '',
  above: readonly object[] = [],
  seen = new Set<object>(),
): Found | undefined {
  const what = refuses(value)
  if (what !== undefined) return { path, what }
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return undefined
  if (refuses !== refusedByV8 && above.includes(value)) return { path, what: 'a part of itself: a cycle' }
  if (seen.has(value)) return undefined
  seen.add(value)
  const line = [...above, value]
  for (const [step, piece] of pieces(value)) {
    const found = find(piece, refuses, path + step, line, seen)
    if (found !== undefined) return found
  }
  return undefined
}

function* pieces(value: object): Iterable<readonly [string, unknown]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield [`[${index}]`, item]
  } else if (types.isMap(value)) {
    for (const [key, item] of value)
      yield* [['<key>', key] as const, [typeof key === 'string' ? `<${key}>` : '<value>', item] as const]
  } else if (types.isSet(value)) {
    for (const item of value) yield ['<item>', item]
  } else if (!ArrayBuffer.isView(value)) {
    for (const [key, item] of Object.entries(value))
      yield [/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`, item]
  }
}

/** What a codec's own error was about. */
export function explain(codec: string, value: unknown, refuses: Refuses, error: unknown): CacheError {
  if (error instanceof CacheError) return error
  try {
    const found = find(value, refuses)
    // The platform's error is left out: it may hold the source of a function.
    if (found !== undefined) return unencodable(codec, found.path, found.what)
  } catch {
    // Too deep to be looked at, or a getter of it throws: the codec's error says more.
  }
  const message = 'the value cannot be encoded: it is nested too deeply, or a method of it failed'
  return new CacheError('UNENCODABLE', message, { codec }, error)
}

const longestPath = 200

export function unencodable(codec: string, path: string, what: string): CacheError {
  const where =
    path === '' ? 'the value' : `value${path.length > longestPath ? `${path.slice(0, longestPath)}…` : path}`
  return new CacheError('UNENCODABLE', `${codec} cannot encode it: ${where} is ${what}`, {
    codec,
    path: path.slice(0, longestPath),
  })
}
