/**
 * How the keys and tags of a cache are called in the engine. The parts that we add have no `{`, so a hash tag in the
 * user's key is the first of the whole name and decides the slot; and none has the sign that ends it, so no two names
 * can be one: the namespace ends at the first `:`, the path at the first `/`, and all behind it is the user's.
 */
import { CacheError } from './errors.ts'

const longestKeyBytes = 1024
/** Up to here any string fits, whatever its letters are: none takes more than three bytes for each UTF-16 unit. */
const surelyFits = Math.floor(longestKeyBytes / 3)

/**
 * The key if it may be one: a string of 1 to 1024 bytes of UTF-8. Lone surrogates are refused, because UTF-8 has no
 * bytes for them and two such keys would be one in the engine. Control characters are refused, too: they say that the
 * key is binary, or was put together from what a stranger has sent, and in a log or a terminal they make one line two.
 */
export function checkKey(key: unknown): string {
  if (typeof key !== 'string') throw refuse(`is a string, not ${key === null ? 'null' : `of type ${typeof key}`}`)
  const { length } = key
  if (length === 0) throw refuse('is not empty')
  if (length > longestKeyBytes) throw tooLong(length)
  for (let index = 0; index < length; index++) {
    const code = key.charCodeAt(index)
    if (code < 0x20 || code > 0x7e) return checkUnusualKey(key)
  }
  return key
}

/** ES2024, which Node has had since its version 20. */
interface WellFormed {
  isWellFormed(): boolean
}

function checkUnusualKey(key: string): string {
  const control = key.search(/\p{Cc}/u)
  if (control !== -1)
    throw refuse(`has no control characters, but one at position ${control}: encode it, as hex for instance`)
  if (!(key as unknown as WellFormed).isWellFormed())
    throw refuse('is well-formed text: half of a surrogate pair has no bytes in UTF-8')
  if (key.length > surelyFits) {
    const bytes = Buffer.byteLength(key)
    if (bytes > longestKeyBytes) throw tooLong(bytes)
  }
  return key
}

function tooLong(bytes: number): CacheError {
  const limit = longestKeyBytes
  return new CacheError('INVALID', `a key has at most ${limit} bytes, this one has ${bytes}: use a hash of it`, {
    bytes,
    limit,
  })
}

function refuse(sentence: string): CacheError {
  return new CacheError('INVALID', `a key ${sentence}`, { what: 'key' })
}

const segmentPattern = /^[A-Za-z0-9_-]{1,64}$/
const longestPath = 255

/** The names of one namespace, which may be nested in others. */
export class KeySpace {
  /** First part of all names: that of the cache. */
  readonly namespace: string
  /** Segments joined by dots; empty for the root. */
  readonly path: string
  /** What the engine is asked to tell of: values and tags of the whole cache. */
  readonly trackedPrefixes: readonly string[]
  readonly #values: string
  readonly #tags: string
  readonly #direct: string

  constructor(namespace: string, path: readonly string[] = []) {
    this.namespace = checkSegment(namespace)
    this.path = path.map(checkSegment).join('.')
    if (this.path.length > longestPath) {
      throw new CacheError(
        'INVALID',
        `namespaces are nested too deeply: their names have more than ${longestPath} letters`,
        {
          what: 'namespace',
        },
      )
    }
    this.trackedPrefixes = [`${namespace}:v:`, `${namespace}:t:`]
    this.#values = `${namespace}:v:${this.path}/`
    this.#tags = `${namespace}:t:${this.path}/`
    this.#direct = `${namespace}:d:${this.path}/`
  }

  /** Under which a value is kept. The key was checked. */
  valueKey(key: string): string {
    return this.#values + key
  }

  /** Where a tag's version is kept. The empty tag is on every entry, and its version changes with `clear`. */
  tagKey(tag: string): string {
    return this.#tags + tag
  }

  /** Under which the application keeps what has no source: what it does there is told to nobody. */
  directKey(key: string): string {
    return this.#direct + key
  }

  /** What the cache keeps for itself, by a name of our own. */
  stateKey(name: string): string {
    return `${this.namespace}:s:${name}`
  }

  /** The other way round: whose value that is, anywhere in this cache. Undefined for what is no value of it. */
  userKey(engineKey: string): { readonly path: string; readonly key: string } | undefined {
    const [values = ''] = this.trackedPrefixes
    if (!engineKey.startsWith(values)) return undefined
    const pathEnd = engineKey.indexOf('/', values.length)
    if (pathEnd === -1) return undefined
    return { path: engineKey.slice(values.length, pathEnd), key: engineKey.slice(pathEnd + 1) }
  }

  child(segment: string): KeySpace {
    return new KeySpace(this.namespace, [...(this.path === '' ? [] : this.path.split('.')), segment])
  }
}

function checkSegment(name: string): string {
  if (typeof name === 'string' && segmentPattern.test(name)) return name
  throw new CacheError('INVALID', 'a namespace has 1 to 64 letters, digits, _ and -', { what: 'namespace' })
}
