/**
 * Write-through: the store first, because it is the truth, then the cache.
 *
 *   claim the key ──▶ write the store ──▶ its version ──▶ write the cache if that is the newest, else delete
 *
 * The claim bars loads that are under way: they may have read the store before the write. Two writers may reach the
 * store in one order and the cache in the other, so the cache is written by the store's version and not by who comes
 * last. A write of the store never fails because of the cache: what could not be told is pending, and until the engine
 * is back others may read the old value, at the longest until its `ttl` ends. Who cannot live with that says `strict`:
 * then the key is taken out of the cache before the store is written, and where that cannot be done nothing is written.
 */
import type { Core } from './core.ts'
import type { Duration } from './duration.ts'
import { durationMs } from './duration.ts'
import { keptMs, lifetime } from './entry.ts'
import { CacheError } from './errors.ts'
import { lockMs } from './lookup.ts'
import { type EntrySettings, writable } from './options.ts'
import type { Reads } from './read.ts'
import { claimEntry, doubleBytes, settleWrite } from './scripts.ts'
import { loadingEntry, type Space } from './space.ts'
import type { Store } from './store.ts'
import type { HeldTag } from './tags.ts'
import { newVersion } from './versions.ts'
import type { Stored, Writes } from './write.ts'

export interface WriteThroughOptions {
  /**
   * With `true` the key is taken out of the cache before the store is written, and a write is refused with UNAVAILABLE
   * when that cannot be done: nobody reads an old value after the write. Default false: the store is written whatever
   * the cache does.
   */
  readonly strict?: boolean
  /** How long a write of the store may take before its signal is aborted. Default 30 s. */
  readonly within?: Duration
}

export interface WriteThrough<T> {
  /** The value, through the cache; undefined if the store has none. */
  get(key: string): Promise<T | undefined>
  getMany(keys: readonly string[]): Promise<(T | undefined)[]>
  /** Throws what the store throws. `cache`: whether the engine knows of it already. */
  set(key: string, value: T): Promise<{ readonly version: number; readonly cache: Stored }>
  delete(key: string): Promise<{ readonly version: number; readonly cache: Stored }>
}

export interface WriteThroughParts {
  readonly core: Core
  readonly space: Space
  readonly reads: Reads
  readonly writes: Writes
  readonly name: (key: string) => string
  readonly settings: EntrySettings
}

export function openWriteThrough<T>(
  parts: WriteThroughParts,
  store: Store<T>,
  options: WriteThroughOptions,
): WriteThrough<T> {
  return new StoreWriteThrough(parts, store, options)
}

class StoreWriteThrough<T> implements WriteThrough<T> {
  readonly #parts: WriteThroughParts
  readonly #store: Store<T>
  readonly #strict: boolean
  readonly #withinMs: number
  readonly #settings: EntrySettings

  constructor(parts: WriteThroughParts, store: Store<T>, options: WriteThroughOptions) {
    this.#parts = parts
    this.#store = store
    this.#strict = options.strict === true
    this.#withinMs = durationMs(options.within ?? '30s', 'within')
    this.#settings = writable(parts.settings)
  }

  async get(key: string): Promise<T | undefined> {
    const { reads, core } = this.#parts
    const name = this.#parts.name(key)
    core.assertOpen()
    const found = await reads.getOrLoad({
      ...{ key, name, settings: this.#settings },
      loader: async ({ signal }) => {
        const loaded = await this.#store.load(key, { signal })
        return loaded === undefined ? undefined : { loaded: loaded.value, version: loaded.version }
      },
      isVersioned: true,
    })
    return found.value as T | undefined
  }

  getMany(keys: readonly string[]): Promise<(T | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  set(key: string, value: T): Promise<{ readonly version: number; readonly cache: Stored }> {
    if (value === undefined) throw new CacheError('UNENCODABLE', 'undefined is no value: delete the key')
    return this.#write(key, value)
  }

  delete(key: string): Promise<{ readonly version: number; readonly cache: Stored }> {
    return this.#write(key, undefined)
  }

  async #write(key: string, value: T | undefined) {
    const { core, space, writes } = this.#parts
    const name = this.#parts.name(key)
    core.assertOpen()
    // What cannot be cached is found out before the store is written.
    const encoded = value === undefined ? undefined : await space.encode(value)
    const token = newVersion(core.clock)
    const tags = await this.#claim(name, token)
    const letGo = this.#parts.reads.lookup.keepLock(name, token)
    writes.forget(name)
    try {
      const { version } = await this.#save(key, value)
      const cache = await this.#settle(name, value, encoded, { token, version, tags })
      return { version, cache }
    } catch (error) {
      // The store may have it or not: whoever reads next asks the store.
      await writes.delete([name], false).catch(() => {})
      throw error
    } finally {
      letGo()
      writes.forget(name)
    }
  }

  /** The tags' numbers, as they are before the store is written; undefined if the engine is away. */
  async #claim(name: string, token: number): Promise<readonly (HeldTag | undefined)[] | undefined> {
    const { core, space } = this.#parts
    const args = [loadingEntry(token), doubleBytes(token), String(lockMs), this.#strict ? '1' : '0']
    try {
      const [tags] = await Promise.all([
        core.coherence.tags.hold(space.tagKeys(this.#settings.tags)),
        core.engine.send({
          commands: [{ script: claimEntry, keys: [name], args }],
          ...{ key: name, deadlineAt: core.deadlineAt(), kind: 'write', idempotent: true },
        }),
      ])
      return tags
    } catch (error) {
      if (this.#strict || !(error instanceof CacheError)) throw error
      return undefined
    }
  }

  async #save(key: string, value: T | undefined): Promise<{ readonly version: number }> {
    const { clock } = this.#parts.core
    const controller = new AbortController()
    const cancel = clock.after(this.#withinMs, () => controller.abort())
    try {
      const operation = String(newVersion(clock))
      return await this.#store.save({ key, value, operation }, { signal: controller.signal })
    } finally {
      cancel()
    }
  }

  async #settle(
    name: string,
    value: T | undefined,
    encoded: Awaited<ReturnType<Space['encode']>> | undefined,
    { token, version, tags }: { token: number; version: number; tags: readonly (HeldTag | undefined)[] | undefined },
  ): Promise<Stored> {
    const { core, space, writes } = this.#parts
    const { clock, local, coherence, pending } = core
    try {
      if (!Number.isSafeInteger(version))
        throw new CacheError('INVALID', 'a store answers the version as a safe integer')
      const good = tags?.every((tag) => tag !== undefined) === true ? (tags as readonly HeldTag[]) : undefined
      const life = lifetime(this.#settings, { now: clock.now(), loadMs: 0, dice: clock.random })
      const entryVersion = newVersion(clock)
      const facts = { version: entryVersion, sourceVersion: version, tags: good ?? [] }
      const bytes =
        encoded === undefined || good === undefined
          ? Buffer.alloc(0)
          : space.write(encoded, life, { ...facts, tagNames: space.tagNames(this.#settings.tags) })
      const ms = keptMs(life, clock.now())
      const reading = coherence.begin(name)
      const { replies, link } = await core.engine
        .send({
          commands: [
            {
              script: settleWrite,
              keys: [name],
              args: [bytes, doubleBytes(token), doubleBytes(version), ms === null ? '0' : String(ms)],
            },
          ],
          ...{ key: name, deadlineAt: core.deadlineAt(), kind: 'write', idempotent: true },
        })
        .finally(() => coherence.end(name, reading))
      core.engine.tell?.([name])
      pending.settle(name)
      if (replies[0] === 1 && good !== undefined && !reading.barred) {
        const held = { value, tags: good, link, bytes: bytes.length }
        local?.set(name, space.hold({ ...life, version: entryVersion }, held, coherence.trustMs(link)), bytes.length)
      }
      coherence.filledHere(name)
      return 'stored'
    } catch (error) {
      return writes.postpone(error, false, [name])
    }
  }
}
