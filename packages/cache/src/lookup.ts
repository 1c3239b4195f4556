/** What the engine knows of a key, and the lock of its load. Decides nothing: the read does. */
import type { Reading } from './coherence.ts'
import type { Core } from './core.ts'
import type { Answer, Engine, ReadFrom } from './engine/engine.ts'
import { freshness } from './entry.ts'
import { type Envelope, openEnvelope } from './envelope.ts'
import { type Held, isCoherent } from './held.ts'
import { doubleBytes, lockEntry, releaseLock, renewLock } from './scripts.ts'
import { loadingEntry, type Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { newVersion } from './versions.ts'

export type Seen =
  /** An entry that may be used, fresh or stale. */
  | { readonly kind: 'entry'; readonly held: Held; readonly role: Answer['role'] }
  /** An entry that must not be used: invalidated, too old, or not of a shape that is understood. */
  | { readonly kind: 'dead' }
  /** Nothing there, and the lock is ours. */
  | { readonly kind: 'ours'; readonly token: number }
  /** Nothing there, and somebody is loading it. */
  | { readonly kind: 'theirs'; readonly token: number }
  /** Nothing there, and no lock to be had: the engine takes no writes. */
  | { readonly kind: 'none' }

/** For how long a lock outlives the last sign of life of whoever loads. */
export const lockMs = 2000

export class Lookup {
  readonly #core: Core
  readonly #space: Space

  constructor(core: Core, space: Space) {
    this.#core = core
    this.#space = space
  }

  /** What is held locally, after it was compared if it was in doubt. */
  async held(name: string): Promise<Held | undefined> {
    const { local, coherence, clock } = this.#core
    const held = local?.peek(name)
    const now = clock.now()
    if (held === undefined || freshness(held, now) !== 'fresh') return undefined
    if (now < held.localUntil && isCoherent(held, now)) return held
    return (await coherence.revalidate(name, held)) ? held : undefined
  }

  /** Reads, and takes the lock where nothing is. */
  async readOrLock(name: string, key: string, reading: Reading): Promise<Seen> {
    for (let cleared = false; ; cleared = true) {
      const { reply, answer, note: token } = await this.#core.locks.ask(name)
      if (reply === 1) return { kind: 'ours', token }
      if (!Buffer.isBuffer(reply)) return { kind: 'none' }
      const seen = await this.#open(name, key, reply, answer, reading)
      if (seen !== undefined) return seen
      if (cleared) return { kind: 'none' }
      await this.#clear(name)
    }
  }

  /** Reads without a lock. */
  async read(name: string, key: string, reading: Reading): Promise<Seen> {
    const { reply, answer } = await this.#core.gets.ask(name)
    if (!Buffer.isBuffer(reply)) return { kind: 'none' }
    return (await this.#open(name, key, reply, answer, reading)) ?? { kind: 'none' }
  }

  /** Reads from another copy. */
  async readCopy(name: string, key: string, from: ReadFrom, deadlineAt: number, reading: Reading): Promise<Seen> {
    const commands = [['GET', name]]
    const answer = await this.#core.engine.send({ commands, key: name, deadlineAt, kind: 'read', bytes: true, from })
    const [reply] = answer.replies
    if (!Buffer.isBuffer(reply)) return { kind: 'none' }
    return (await this.#open(name, key, reply, answer, reading)) ?? { kind: 'none' }
  }

  /** Takes the lock of an entry that is there. Null: somebody else has it. */
  async lock(name: string): Promise<number | null> {
    const { engine, clock } = this.#core
    const token = newVersion(clock)
    const args = [loadingEntry(token), doubleBytes(token), String(lockMs)]
    const taken = await this.#script(engine, name, { script: lockEntry, keys: [name], args })
    return taken === 0 ? null : token
  }

  /** Keeps the lock until the answer is called. */
  keepLock(name: string, token: number): () => void {
    const { engine, clock } = this.#core
    let cancel: () => void = () => {}
    const renew = (): void => {
      const args = [doubleBytes(token), String(lockMs)]
      // A lock that cannot be kept is found out when the value is written.
      this.#script(engine, name, { script: renewLock, keys: [name], args }).catch(() => {})
      cancel = clock.after(lockMs / 3, renew)
    }
    cancel = clock.after(lockMs / 3, renew)
    return () => cancel()
  }

  /** Gives the lock back without a value. Nobody waits for it: if it does not get there, the lock runs out. */
  release(name: string, token: number): void {
    const { engine, coherence } = this.#core
    this.#script(engine, name, { script: releaseLock, keys: [name], args: [doubleBytes(token)] }).then(
      () => coherence.filledHere(name),
      () => {},
    )
  }

  async #script(
    engine: Engine,
    name: string,
    command: { script: typeof lockEntry; keys: readonly string[]; args: readonly (string | Buffer)[] },
  ): Promise<unknown> {
    const deadlineAt = this.#core.deadlineAt()
    const { replies } = await engine.send({
      commands: [command],
      key: name,
      deadlineAt,
      kind: 'write',
      idempotent: true,
    })
    return replies[0]
  }

  /** Undefined: bytes of somebody else, which may be cleared away. */
  async #open(name: string, key: string, bytes: Buffer, answer: Answer, reading: Reading): Promise<Seen | undefined> {
    const { clock, local, events, coherence } = this.#core
    const envelope = openEnvelope(bytes)
    if (envelope === undefined) return this.#unusable(key, bytes)
    if (envelope.kind === 'loading') return { kind: 'theirs', token: envelope.lockToken }
    const now = clock.now()
    if (freshness(envelope, now) === 'expired') return { kind: 'dead' }
    const tags = await this.#currentTags(envelope)
    if (tags === undefined) return { kind: 'dead' }
    try {
      const decoded = envelope.kind === 'absent' ? undefined : this.#space.decode(envelope)
      const value = decoded instanceof Promise ? await decoded : decoded
      const { link } = answer
      const held = this.#space.hold(envelope, { value, tags, link, bytes: bytes.length }, coherence.trustMs(link))
      const isTold = answer.role === 'primary' || answer.link.live
      if (isTold && !reading.barred) local?.set(name, held, held.bytes)
      return { kind: 'entry', held, role: answer.role }
    } catch (error) {
      events.counters.unusable++
      events.emit('unusable', { key, because: error instanceof Error ? error.message : String(error) })
      return { kind: 'dead' }
    }
  }

  #unusable(key: string, bytes: Buffer): Seen | undefined {
    const { events } = this.#core
    events.counters.unusable++
    const isNewer = bytes.length > 2 && bytes.readUInt16LE() === 0x4648 && (bytes[2] as number) > 1
    const because = isNewer ? 'the layout of a newer version of this library' : 'bytes that no cache has written'
    events.emit('unusable', { key, because })
    // Two versions side by side must not take each other's entries away.
    return isNewer ? { kind: 'none' } : undefined
  }

  async #clear(name: string): Promise<void> {
    const { engine } = this.#core
    const deadlineAt = this.#core.deadlineAt()
    await engine.send({ commands: [['UNLINK', name]], key: name, deadlineAt, kind: 'write', idempotent: true })
  }

  /** The tags of an entry if all still have the numbers that it was written under. */
  async #currentTags({ tags }: Envelope): Promise<readonly HeldTag[] | undefined> {
    const keys = tags.map(({ name }) => this.#space.tagKeyOf(name))
    if (keys.includes(undefined)) return undefined
    const { tags: holder } = this.#core.coherence
    const held = holder.known(keys as string[]) ?? (await holder.hold(keys as string[]))
    return held.every((tag, index) => tag?.version === tags[index]?.version) ? (held as HeldTag[]) : undefined
  }
}
