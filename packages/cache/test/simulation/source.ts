/** The truth behind the cache: every key has versions that count up, and the last one is right. */
import type { Key } from './day.ts'

/** What is cached: it says itself how old it is. */
export interface Value {
  readonly key: Key
  readonly version: number
  /** True time; what was written through has none, because it is made before the store has it. */
  readonly madeAt: number | null
}

export interface Version {
  readonly version: number
  readonly absent: boolean
}

export class Source {
  readonly #versions = new Map<Key, Version[]>()
  #count = 1

  nextVersion(): number {
    return ++this.#count
  }

  put(key: Key, version: Version): void {
    this.#of(key).push(version)
  }

  change(key: Key, absent: boolean): Version {
    const version = { version: this.nextVersion(), absent }
    this.put(key, version)
    return version
  }

  latest(key: Key): Version {
    return this.#of(key).at(-1) as Version
  }

  /** Whether "there is no such thing" was ever right, from this version on. */
  wasAbsentSince(key: Key, floor: number): boolean {
    return this.#of(key).some(({ version, absent }) => absent && version >= floor)
  }

  #of(key: Key): Version[] {
    const known = this.#versions.get(key) ?? [{ version: 1, absent: false }]
    this.#versions.set(key, known)
    return known
  }
}
