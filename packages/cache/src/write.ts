/**
 * Writes of cache-aside: the source has changed already, and the cache is told. A change that the engine does not take
 * is not lost: it is pending, and what the engine holds is deleted as soon as it is back.
 */
import type { Core } from './core.ts'
import { type Answer, noLink } from './engine/engine.ts'
import { keptMs, type Lifetime, lifetime } from './entry.ts'
import { CacheError } from './errors.ts'
import { type EntrySettings, writable } from './options.ts'
import { doubleBytes, fillEntry } from './scripts.ts'
import type { Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { newVersion } from './versions.ts'

/** `stored`: the engine has it. `pending`: it could not be told; what it holds will be invalidated when it is back. */
export type Stored = 'stored' | 'pending'

/** For how long a key just written is read from the primary, whatever `readFrom` says: more than replicas lag. */
const ownWritesMs = 2000

export class Writes {
  readonly #core: Core
  readonly #space: Space

  constructor(core: Core, space: Space) {
    this.#core = core
    this.#space = space
  }

  async set(name: string, value: unknown, settings: EntrySettings, confirm: boolean): Promise<Stored> {
    const { engine, clock, local, coherence, flights, wrote, pending, events } = this.#core
    const terms = writable(settings)
    const isAbsent = value === undefined
    if (isAbsent)
      throw new CacheError('UNENCODABLE', 'undefined is no value: delete the key, or let a loader answer it')
    const encoded = await this.#space.encode(value)
    const version = newVersion(clock)
    const life = lifetime(terms, { now: clock.now(), loadMs: 0, dice: clock.random })
    // Whoever reads from now on must not get what was loaded before.
    flights.forget(name)
    coherence.changedHere(name)
    const reading = coherence.begin(name)
    const deadlineAt = this.#core.deadlineAt()
    wrote.note(name, ownWritesMs)
    events.counters.writes++
    try {
      const tags = await coherence.tags.hold(this.#space.tagKeys(settings.tags))
      if (!tags.every((tag) => tag !== undefined)) {
        throw new CacheError('UNAVAILABLE', 'the engine could not number its tags')
      }
      const tagNames = this.#space.tagNames(settings.tags)
      const bytes = this.#space.write(encoded, life, { version, tags, tagNames })
      const { link } = await this.#send(name, ['SET', name, bytes, ...keep(life, clock.now())], deadlineAt)
      engine.tell?.([name])
      pending.settle(name)
      await this.endCopies(name)
      const isOvertaken = reading.barred
      // Who began to read before the engine had it may have seen the old value, and nobody else will tell him.
      flights.forget(name)
      coherence.changedHere(name)
      if (!isOvertaken) {
        const facts = { value, tags: tags as readonly HeldTag[], link, bytes: bytes.length }
        local?.set(name, this.#space.hold({ ...life, version }, facts, coherence.trustMs(link)), bytes.length)
      }
      coherence.filledHere(name)
      return 'stored'
    } catch (error) {
      // For this process it is the truth, if only until the engine can be asked.
      const bytes = encoded.payload.length
      local?.set(name, this.#space.hold({ ...life, version }, { value, tags: [], link: noLink, bytes }, 0), bytes)
      return this.postpone(error, confirm, [name])
    } finally {
      coherence.end(name, reading)
    }
  }

  /** Deletes keys. The answer is the worst of all. */
  async delete(names: readonly string[], confirm: boolean): Promise<Stored> {
    const { engine, pending, events } = this.#core
    for (const name of names) this.forget(name)
    events.counters.writes += names.length
    const done = await Promise.all(
      engine.group(names).map(async (group) => {
        const keys = group.map((index) => names[index] as string)
        try {
          await this.#send(keys[0] as string, ['UNLINK', ...keys])
          engine.tell?.(keys)
          await Promise.all(keys.map((key) => this.endCopies(key)))
          for (const key of keys) {
            pending.settle(key)
            // A read that began before the engine heard of it may have brought the old value since.
            this.forget(key)
          }
          return 'stored'
        } catch (error) {
          return this.postpone(error, confirm, keys)
        }
      }),
    )
    return done.includes('pending') ? 'pending' : 'stored'
  }

  async invalidateTags(tags: readonly string[], confirm: boolean): Promise<Stored> {
    return this.#bump(
      tags.map((tag) => this.#space.keys.tagKey(tag)),
      confirm,
    )
  }

  /** Everything of this namespace and those below it. */
  async clear(confirm: boolean): Promise<Stored> {
    const { flights } = this.#core
    flights.forgetAll()
    return this.#bump([this.#space.clearKeys.at(-1) as string], confirm)
  }

  /** Writes what was loaded if the lock is still ours; undefined if it is not. Throws when the engine is away. */
  async fill(name: string, bytes: Buffer, token: number, life: Lifetime): Promise<Answer | undefined> {
    const { engine, clock } = this.#core
    const ms = keptMs(life, clock.now())
    const args = [bytes, doubleBytes(token), ms === null ? '0' : String(ms)]
    const answer = await engine.send({
      commands: [{ script: fillEntry, keys: [name], args }],
      key: name,
      deadlineAt: this.#core.deadlineAt(),
      kind: 'write',
      bytes: true,
    })
    if (answer.replies[0] !== 1) return undefined
    engine.tell?.([name])
    return answer
  }

  /** What this process holds or does about a key is out of date. */
  forget(name: string): void {
    const { local, flights, refreshes, coherence, wrote } = this.#core
    local?.delete(name)
    flights.forget(name)
    refreshes.forget(name)
    coherence.changedHere(name)
    wrote.note(name, ownWritesMs)
  }

  /** Takes away the other copies of a key, where it has any. */
  async endCopies(name: string): Promise<void> {
    const { copies, terms } = this.#space
    const count = copies.countFor(name, terms.entry.copies)
    if (count > 1) await copies.delete(name, count)
  }

  async #bump(keys: readonly string[], confirm: boolean): Promise<Stored> {
    const { coherence, engine } = this.#core
    try {
      await coherence.tags.bump(keys, this.#core.deadlineAt())
      engine.tell?.(keys)
      return 'stored'
    } catch (error) {
      return this.postpone(error, confirm, keys, 'tags')
    }
  }

  #send(key: string, command: readonly (string | Buffer)[], deadlineAt = this.#core.deadlineAt()): Promise<Answer> {
    return this.#core.engine.send({ commands: [command], key, deadlineAt, kind: 'write', idempotent: true })
  }

  /** A change that the engine did not hear of: kept until it is back. Throws what is not the engine's fault, or where `confirm` was asked for. */
  postpone(error: unknown, confirm: boolean, keys: readonly string[], what: 'entries' | 'tags' = 'entries'): 'pending' {
    if (!isEngines(error)) throw error
    const { pending } = this.#core
    const clearKey = this.#space.clearKeys[0] as string
    for (const key of keys) {
      if (what === 'tags') pending.addTag(key, clearKey)
      else pending.addKey(key, clearKey)
    }
    if (confirm) throw error
    return 'pending'
  }
}

/** Whether the engine could not be told, and not something else went wrong. */
function isEngines(error: unknown): boolean {
  return error instanceof CacheError && !['CLOSED', 'INVALID', 'TOO_LARGE', 'UNENCODABLE'].includes(error.code)
}

function keep(life: Lifetime, now: number): readonly string[] {
  const ms = keptMs(life, now)
  return ms === null ? [] : ['PX', String(ms)]
}
