/**
 * A namespace: how its keys and tags are called in the engine, and how its values become bytes. Each has the tag of its
 * own `clear` and those of all above it.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Clock } from './clock.ts'
import type { Codec } from './codec.ts'
import { Copies } from './copies.ts'
import type { Core } from './core.ts'
import type { Link } from './engine/engine.ts'
import type { Lifetime } from './entry.ts'
import { type Envelope, writeEnvelope } from './envelope.ts'
import type { Held } from './held.ts'
import type { KeySpace } from './keys.ts'
import type { EntrySettings } from './options.ts'
import type { HeldTag } from './tags.ts'
import { decodeValue, type Encoded, encodeValue } from './value.ts'

/** A number that says no more than whose lock it is: the entry of a key that is being loaded. */
export function loadingEntry(token: number): Buffer {
  const never = Number.POSITIVE_INFINITY
  const empty = Buffer.alloc(0)
  return writeEnvelope(
    {
      kind: 'loading',
      codec: 0,
      compression: 0,
      version: token,
      sourceVersion: null,
      createdAt: 0,
      freshUntil: 0,
      staleUntil: 0,
      loadMs: 0,
      copies: 1,
      lockToken: token,
      // The lock of a missing key ends with the key itself.
      lockUntil: never,
      tags: [],
    },
    empty,
  )
}

export interface SpaceTerms {
  readonly keys: KeySpace
  /** The namespaces above, from the root. */
  readonly above: readonly KeySpace[]
  readonly clock: Clock
  readonly entry: EntrySettings
  readonly codec: Codec
  readonly codecs: readonly Codec[]
  readonly compressAbove: number
  readonly maxValueBytes: number
  readonly schema: StandardSchemaV1 | undefined
}

export class Space {
  readonly terms: SpaceTerms
  readonly copies: Copies
  readonly keys: KeySpace
  /** From the root's to our own. */
  readonly clearKeys: readonly string[]

  constructor(core: Core, terms: SpaceTerms) {
    this.terms = terms
    this.copies = new Copies(core, terms.keys)
    this.keys = terms.keys
    this.clearKeys = [...terms.above, terms.keys].map((keys) => keys.tagKey(''))
  }

  /** What an entry with these tags depends on, as the engine has it. */
  tagKeys(tags: readonly string[]): readonly string[] {
    return tags.length === 0 ? this.clearKeys : [...this.clearKeys, ...tags.map((tag) => this.keys.tagKey(tag))]
  }

  /** The same, as entries have it: short, because every entry has them. */
  tagNames(tags: readonly string[]): readonly string[] {
    return [...this.clearKeys.map((_, depth) => String(depth)), ...tags.map((tag) => `=${tag}`)]
  }

  tagKeyOf(name: string): string | undefined {
    return name.startsWith('=') ? this.keys.tagKey(name.slice(1)) : this.clearKeys[Number(name)]
  }

  encode(value: unknown): Encoded | Promise<Encoded> {
    return encodeValue(value, this.terms)
  }

  decode(envelope: Envelope): unknown {
    return decodeValue(envelope, this.terms)
  }

  /** An entry as the engine keeps it. */
  write(
    encoded: Encoded | undefined,
    life: Lifetime,
    facts: {
      version: number
      sourceVersion?: number | undefined
      tags: readonly HeldTag[]
      tagNames: readonly string[]
    },
  ): Buffer {
    const tags = facts.tags.map(({ version }, index) => ({ name: facts.tagNames[index] as string, version }))
    return writeEnvelope(
      {
        ...life,
        kind: encoded === undefined ? 'absent' : 'value',
        codec: encoded?.codec ?? 0,
        compression: encoded?.compression ?? 0,
        version: facts.version,
        sourceVersion: facts.sourceVersion ?? null,
        copies: this.terms.entry.copies,
        lockToken: 0,
        lockUntil: 0,
        tags,
      },
      encoded?.payload ?? Buffer.alloc(0),
    )
  }

  /** An entry as the local tier keeps it. */
  hold(
    life: Lifetime & { readonly version: number; readonly kind?: Envelope['kind'] },
    { value, tags, link, bytes }: { value: unknown; tags: readonly HeldTag[]; link: Link; bytes: number },
    trustMs: number,
  ): Held {
    const { clock, entry } = this.terms
    const now = clock.now()
    const { createdAt, freshUntil, staleUntil, loadMs, version } = life
    return {
      value,
      absent: life.kind === 'absent',
      version,
      bytes,
      createdAt,
      freshUntil,
      staleUntil,
      loadMs,
      // Ten steps of the dice: see `isEarly`.
      earlyFrom: freshUntil - loadMs * entry.earlyRefresh * 10,
      localMs: entry.localTtlMs,
      localUntil: Math.min(freshUntil, now + entry.localTtlMs),
      link,
      tags,
      trustedUntil: clock.monotonic() + trustMs,
    }
  }
}
