/**
 * The first bytes of an RDB file: what wrote it, where in the replication stream it was taken, and how many keys follow.
 *
 * The engine writes all of this before the first key, so a copy can be judged without reading it, and what is written
 * down of a copy is what the file itself says, not what somebody saw of the engine a moment before or after.
 */
import type { EngineBuild } from '../engine-version.ts'
import { compareVersions } from '../engine-version.ts'

export interface RdbHead {
  /** `REDIS`, or `VALKEY` since Valkey 9 has a format of its own. */
  readonly format: 'REDIS' | 'VALKEY'
  readonly version: number
  readonly writtenBy: { readonly flavor: 'redis' | 'valkey'; readonly version: string } | null
  /** When the engine began to write it, seconds since 1970. */
  readonly writtenAt: number | null
  /** Memory that the engine used then, which is about what loading it takes. */
  readonly memoryBytes: number | null
  readonly replid: string | null
  readonly offset: number | null
  /** Keys of its first database, and those of them that end by themselves. Null: what comes before was too long. */
  readonly keys: number | null
  readonly ttls: number | null
}

/** How much of a file is enough as a rule: only a large library of functions comes before the keys. */
export const rdbHeadBytes = 1024 * 1024

const opcode = { functions: 0xf5, aux: 0xfa, resize: 0xfb, select: 0xfe, end: 0xff } as const

/** Undefined where this is no RDB file at all. */
export function parseRdbHead(bytes: Uint8Array): RdbHead | undefined {
  const [, format, digits] = /^(REDIS|VALKEY)(\d{3,4})/.exec(ascii(bytes.subarray(0, 9))) ?? []
  if (format === undefined || digits === undefined || format.length + digits.length !== 9) return undefined
  const aux = new Map<string, string>()
  let counts: { keys: number; ttls: number } | null = null
  try {
    counts = readUpToKeys(new Cursor(bytes, 9), aux)
  } catch (error) {
    // The head that was read ends in the middle of something: what came before stands.
    if (!(error instanceof RangeError)) throw error
  }
  const valkey = aux.get('valkey-ver')
  const redis = aux.get('redis-ver')
  return {
    format: format === 'VALKEY' ? 'VALKEY' : 'REDIS',
    version: Number(digits),
    writtenBy:
      valkey !== undefined
        ? { flavor: 'valkey', version: valkey }
        : redis !== undefined
          ? { flavor: 'redis', version: redis }
          : null,
    writtenAt: numberOf(aux.get('ctime')),
    memoryBytes: numberOf(aux.get('used-mem')),
    replid: aux.get('repl-id') ?? null,
    offset: numberOf(aux.get('repl-offset')),
    keys: counts?.keys ?? null,
    ttls: counts?.ttls ?? null,
  }
}

function readUpToKeys(cursor: Cursor, aux: Map<string, string>): { keys: number; ttls: number } | null {
  for (;;) {
    const code = cursor.byte()
    if (code === opcode.aux) aux.set(cursor.text(), cursor.text())
    else if (code === opcode.functions) cursor.text()
    else if (code === opcode.select) cursor.length()
    else if (code === opcode.resize) return { keys: cursor.length(), ttls: cursor.length() }
    else if (code === opcode.end) return { keys: 0, ttls: 0 }
    else return null
  }
}

/** Reads the engine's own lengths and strings. Throws RangeError where the bytes end. */
class Cursor {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw new RangeError('the head ends here')
    return value
  }

  length(): number {
    const length = this.#lengthOrCoding()
    return length.coding === null ? length.value : 0
  }

  text(): string {
    const { coding, value } = this.#lengthOrCoding()
    if (coding === null) return ascii(this.#take(value))
    if (coding === 0) return String((this.byte() << 24) >> 24)
    if (coding === 1) return String((this.#little(2) << 16) >> 16)
    if (coding === 2) return String(this.#little(4) | 0)
    // Compressed: only long strings are, and nothing of interest here is long.
    const compressed = this.length()
    this.length()
    this.#take(compressed)
    return ''
  }

  /** Two bits say how long the length is, or that a number or a compressed string follows. */
  #lengthOrCoding(): { readonly coding: number | null; readonly value: number } {
    const first = this.byte()
    const kind = first >> 6
    if (kind === 0) return { coding: null, value: first & 0x3f }
    if (kind === 1) return { coding: null, value: ((first & 0x3f) << 8) | this.byte() }
    if (kind === 3) return { coding: first & 0x3f, value: 0 }
    return { coding: null, value: this.#big(first === 0x81 ? 8 : 4) }
  }

  #take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw new RangeError('the head ends here')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  #big(count: number): number {
    return this.#take(count).reduce((sum, byte) => sum * 256 + byte, 0)
  }

  #little(count: number): number {
    return this.#take(count).reduceRight((sum, byte) => sum * 256 + byte, 0)
  }
}

const ascii = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')

const numberOf = (text: string | undefined): number | null => (text === undefined || text === '' ? null : Number(text))

/**
 * The newest RDB format that each engine reads: what it writes itself. Valkey 9 began to count anew, at 80, and refuses
 * what lies between, since those numbers are the other engine's.
 */
const writes: readonly { flavor: 'redis' | 'valkey'; since: string; version: number }[] = [
  { flavor: 'redis', since: '6.2', version: 9 },
  { flavor: 'redis', since: '7.0', version: 10 },
  { flavor: 'redis', since: '7.2', version: 11 },
  { flavor: 'redis', since: '7.4', version: 12 },
  { flavor: 'valkey', since: '7.2', version: 11 },
  { flavor: 'valkey', since: '9.0', version: 80 },
]

/** Why this engine cannot read such a file, by its number; null where it can, as far as the number tells. */
export function objectionToFormat(
  { format, version }: Pick<RdbHead, 'format' | 'version'>,
  { flavor, version: engine }: EngineBuild,
): string | null {
  const newest = writes.filter((one) => one.flavor === flavor && compareVersions(engine, one.since) >= 0).at(-1)
  const named = `RDB version ${version}`
  if (newest === undefined) return null
  if (format === 'VALKEY' && flavor === 'redis')
    return `it is in Valkey's own format (${named}), which ${flavor} ${engine} cannot read`
  if (version > newest.version)
    return `its ${named} is newer than what ${flavor} ${engine} reads (up to ${newest.version})`
  if (flavor === 'valkey' && format === 'REDIS' && version > 11) {
    return `its ${named} was written by Redis 7.4 or later, which ${flavor} ${engine} cannot read`
  }
  return null
}
