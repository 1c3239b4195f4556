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
import { collectLoads } from './load-many.ts'
import type { Loader } from './loader.ts'
import { type EntrySettings, writable } from './options.ts'
import type { Reads } from './read.ts'
import { claimEntry, doubleBytes, lockMs, settleWrite } from './scripts.ts'
import { loadingEntry, type Space } from './space.ts'
import type { Store, Versioned } from './store.ts'
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

  get(key: string): Promise<T | undefined> {
    return this.#read(key, async ({ signal }) => loadedFrom(await this.#store.load(key, { signal })))
  }

  getMany(keys: readonly string[]): Promise<(T | undefined)[]> {
    const store = this.#store
    if (store.loadMany === undefined) return Promise.all(keys.map((key) => this.get(key)))
    const load = collectLoads<unknown>(async (missing, context) => {
      const found = await store.loadMany?.(missing, context)
      return found?.map(loadedFrom) ?? []
    })
    return Promise.all(keys.map((key) => this.#read(key, load)))
  }

  async #read(key: string, loader: Loader<unknown>): Promise<T | undefined> {
    const { reads, core } = this.#parts
    const name = this.#parts.name(key)
    core.assertOpen()
    const found = await reads.getOrLoad({ key, name, settings: this.#settings, loader, isVersioned: true })
    return found.value as T | undefined
  }

  async set(key: string, value: T): Promise<{ readonly version: number; readonly cache: Stored }> {
    if (value === undefined) throw new CacheError('UNENCODABLE', 'undefined is no value: delete the key')
    return this.#write(key, value)
  }

  async delete(key: string): Promise<{ readonly version: number; readonly cache: Stored }> {
    return this.#write(key, undefined)
  }

  async #write(key: string, value: T | undefined) {
    const { core, space, writes } = this.#parts
    const name = this.#parts.name(key)
    core.assertOpen()
    // What cannot be cached is found out before the store is written.
    const encoded = value === undefined ? undefined : await space.encode(value)
    const token = newVersion(core.clock)
    const tags = await this.#claim(key, name, token)
    const letGo = this.#parts.reads.lookup.keepLock(name, token)
    writes.forget(name)
    try {
      const { version } = await this.#save(key, name, value)
      const cache = await this.#settle(name, value, encoded, { token, version, tags })
      return { version, cache }
    } catch (error) {
      // The store may have it or not: whoever reads next asks the store.
      await this.#takeOut(name)
      throw error
    } finally {
      letGo()
    }
  }

  async #takeOut(name: string): Promise<void> {
    await this.#parts.writes.delete([name], false).catch(() => {})
    this.#parts.writes.forget(name)
  }

  /** The tags' numbers, as they are before the store is written; undefined if the engine is away. */
  async #claim(key: string, name: string, token: number): Promise<readonly (HeldTag | undefined)[] | undefined> {
    const { core, space } = this.#parts
    const args = [loadingEntry(token), doubleBytes(token), String(lockMs), this.#strict ? '1' : '0']
    try {
      const [tags] = await Promise.all([
        core.coherence.tags.hold(space.tagKeys(this.#settings.tags)),
        core.engine.send({
          commands: [{ script: claimEntry, keys: [name], args }],
          key: name,
          deadlineAt: core.deadlineAt(),
          kind: 'write',
          idempotent: true,
        }),
      ])
      return tags
    } catch (error) {
      if (!(error instanceof CacheError) || error.code === 'CLOSED') throw error
      if (!this.#strict) return undefined
      const what = `${JSON.stringify(key)} could not be taken out of the cache first, so the store was not written`
      throw new CacheError('UNAVAILABLE', `${what}: ${error.message}`, { key }, error)
    }
  }

  async #save(key: string, name: string, value: T | undefined): Promise<{ readonly version: number }> {
    const { clock } = this.#parts.core
    const withinMs = this.#withinMs
    const controller = new AbortController()
    let cancel: () => void = () => {}
    const tooLong = new Promise<never>((_, reject) => {
      cancel = clock.after(withinMs, () => {
        const what = `the store did not write ${JSON.stringify(key)} within ${withinMs} ms, and may still do it`
        const error = new CacheError('INDETERMINATE', what, { key, withinMs })
        reject(error)
        controller.abort(error)
        // One that does not listen to its signal may finish after others have read and kept what was there before.
        const finish = (): void => void this.#takeOut(name)
        saving.then(finish, finish)
      })
    })
    const operation = String(newVersion(clock))
    const save = async () => this.#store.save({ key, value, operation }, { signal: controller.signal })
    const saving = save()
    try {
      return await Promise.race([saving, tooLong])
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
      const good = tags?.every((tag) => tag !== undefined) === true ? tags : undefined
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
          key: name,
          deadlineAt: core.deadlineAt(),
          kind: 'write',
          idempotent: true,
        })
        .finally(() => coherence.end(name, reading))
      core.engine.tell?.([name])
      pending.settle(name)
      await writes.endCopies(name)
      // Until just now the engine answered what was there before, to this process as well.
      writes.forget(name)
      if (replies[0] === 1 && good !== undefined && !reading.barred) {
        const held = { value, tags: good, link, bytes: bytes.length }
        local?.set(name, space.hold({ ...life, version: entryVersion }, held, coherence.trustMs(link)), bytes.length)
      }
      coherence.filledHere(name)
      return 'stored'
    } catch (error) {
      writes.forget(name)
      return writes.postpone(error, false, [name])
    }
  }
}

function loadedFrom<T>(found: Versioned<T> | undefined): { loaded: T; version: number } | undefined {
  return found === undefined ? undefined : { loaded: found.value, version: found.version }
}
