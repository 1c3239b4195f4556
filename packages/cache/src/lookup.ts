/** What the engine knows of a key, and the lock of its load. Decides nothing: the read does. */
import type { Reading } from './coherence.ts'
import { copyMs } from './copies.ts'
import { type Core, noLink } from './core.ts'
import type { Answer, ReadFrom } from './engine/engine.ts'
import type { Script } from './engine/script.ts'
import { freshness } from './entry.ts'
import { type Envelope, isNewerLayout, openEnvelope } from './envelope.ts'
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
  /** Bytes that no cache has written. */
  | { readonly kind: 'foreign' }

/** Who wants to know; called instead of a promise, as in `Asker`. */
export interface Seer {
  saw(seen: Seen): void
  failed(error: unknown): void
}

/** For how long a lock outlives the last sign of life of whoever loads. */
export const lockMs = 2000

const none = { kind: 'none' } as const
const dead = { kind: 'dead' } as const

export class Lookup {
  readonly #core: Core
  readonly #space: Space

  constructor(core: Core, space: Space) {
    this.#core = core
    this.#space = space
  }

  /** Whether something is held locally that may be right and has to be compared first. */
  isInDoubt(name: string): boolean {
    const { local, clock } = this.#core
    if (local === null) return false
    const held = local.peek(name)
    return held !== undefined && freshness(held, clock.now()) === 'fresh'
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
  readOrLock(name: string, key: string, reading: Reading, seer: Seer): void {
    this.#core.locks.ask(name, {
      answered: (reply, answer, token) => {
        if (reply === 1) seer.saw({ kind: 'ours', token })
        else this.#see(name, key, reply, answer, reading, seer)
      },
      failed: (error) => seer.failed(error),
    })
  }

  /** Reads without a lock. */
  read(name: string, key: string, reading: Reading, seer: Seer): void {
    this.#core.gets.ask(name, {
      answered: (reply, answer) => this.#see(name, key, reply, answer, reading, seer),
      failed: (error) => seer.failed(error),
    })
  }

  /** Reads from another copy than the primary's. */
  async readReplica(name: string, key: string, from: ReadFrom, deadlineAt: number, reading: Reading): Promise<Seen> {
    const commands = [['GET', name]]
    const answer = await this.#core.engine.send({ commands, key: name, deadlineAt, kind: 'read', bytes: true, from })
    const [reply] = answer.replies
    return new Promise((saw, failed) => this.#see(name, key, reply, answer, reading, { saw, failed }))
  }

  /** Reads one of several copies of a key, and writes it anew if it has ended. Undefined: ask for the key itself. */
  async readSpread(name: string, key: string, copies: number, reading: Reading): Promise<Seen | undefined> {
    const { engine } = this.#core
    const spread = this.#space.copies
    const copy = spread.pick(name, copies)
    if (copy === undefined) return undefined
    const ask = { deadlineAt: this.#core.deadlineAt(), kind: 'read', bytes: true } as const
    const answer = await engine.send({ ...ask, commands: [['GET', copy]], key: copy })
    let reply = answer.replies[0]
    if (!Buffer.isBuffer(reply)) {
      const { replies } = await engine.send({ ...ask, commands: [['GET', name]], key: name })
      reply = replies[0]
      if (Buffer.isBuffer(reply)) spread.write(copy, reply)
    }
    // Of a change only the node of the key itself would tell.
    const told = { ...answer, link: noLink }
    const seen = await new Promise<Seen>((saw, failed) => this.#see(name, key, reply, told, reading, { saw, failed }))
    return seen.kind === 'entry' && freshness(seen.held, this.#core.clock.now()) === 'fresh' ? seen : undefined
  }

  /** Takes the lock of an entry that is there. Null: somebody else has it. */
  async lock(name: string): Promise<number | null> {
    const token = newVersion(this.#core.clock)
    const taken = await this.#script(lockEntry, name, [loadingEntry(token), doubleBytes(token), String(lockMs)])
    return taken === 0 ? null : token
  }

  /** Keeps the lock until the answer is called. */
  keepLock(name: string, token: number): () => void {
    const { clock } = this.#core
    let cancel: () => void = () => {}
    const renew = (): void => {
      // A lock that cannot be kept is found out when the value is written.
      this.#script(renewLock, name, [doubleBytes(token), String(lockMs)]).catch(() => {})
      cancel = clock.after(lockMs / 3, renew)
    }
    cancel = clock.after(lockMs / 3, renew)
    return () => cancel()
  }

  /** Gives the lock back without a value. Nobody waits for it: if it does not get there, the lock runs out. */
  release(name: string, token: number): void {
    this.#script(releaseLock, name, [doubleBytes(token)]).then(
      () => this.#core.coherence.filledHere(name),
      () => {},
    )
  }

  /** Takes away what is not ours to read, so that it can be locked. */
  async clear(name: string): Promise<void> {
    const deadlineAt = this.#core.deadlineAt()
    const commands = [['UNLINK', name]]
    await this.#core.engine.send({ commands, key: name, deadlineAt, kind: 'write', idempotent: true })
  }

  async #script(script: Script, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    const deadlineAt = this.#core.deadlineAt()
    const commands = [{ script, keys: [name], args }]
    const { replies } = await this.#core.engine.send({
      commands,
      key: name,
      deadlineAt,
      kind: 'write',
      idempotent: true,
    })
    return replies[0]
  }

  #see(name: string, key: string, reply: unknown, answer: Answer, reading: Reading, seer: Seer): void {
    if (!Buffer.isBuffer(reply)) return seer.saw(none)
    const envelope = openEnvelope(reply)
    if (envelope === undefined) return seer.saw(this.#foreign(key, reply))
    if (envelope.kind === 'loading') return seer.saw({ kind: 'theirs', token: envelope.lockToken })
    if (freshness(envelope, this.#core.clock.now()) === 'expired') return seer.saw(dead)
    const { length } = reply
    const tags = this.#knownTags(envelope)
    if (tags !== undefined) return this.#open({ name, key, envelope, length, tags, answer, reading, seer })
    this.#askTags(envelope).then(
      (asked) => this.#open({ name, key, envelope, length, tags: asked, answer, reading, seer }),
      (error) => seer.failed(error),
    )
  }

  #open({ name, key, envelope, length, tags, answer, reading, seer }: Opening): void {
    if (tags === 'dead') return seer.saw(dead)
    const keep = (value: unknown): void => {
      const { coherence, local } = this.#core
      const { link, role } = answer
      const trustMs = link === noLink ? copyMs : coherence.trustMs(link)
      const held = this.#space.hold(envelope, { value, tags, link, bytes: length }, trustMs)
      if (local !== null && !reading.barred && (role === 'primary' || link.live)) local.set(name, held, length)
      seer.saw({ kind: 'entry', held, role })
    }
    const refuse = (error: unknown): void => {
      this.#unusable(key, error instanceof Error ? error.message : String(error))
      seer.saw(dead)
    }
    let decoded: unknown
    try {
      decoded = envelope.kind === 'absent' ? undefined : this.#space.decode(envelope)
    } catch (error) {
      return refuse(error)
    }
    if (decoded instanceof Promise) decoded.then(keep, refuse)
    else keep(decoded)
  }

  #foreign(key: string, bytes: Buffer): Seen {
    // Two versions of this library side by side must not take each other's entries away.
    const isNewer = isNewerLayout(bytes)
    this.#unusable(key, isNewer ? 'the layout of a newer version of this library' : 'bytes that no cache has written')
    return isNewer ? none : { kind: 'foreign' }
  }

  #unusable(key: string, because: string): void {
    const { events } = this.#core
    events.counters.unusable++
    events.emit('unusable', { key, because })
  }

  /** The tags of an entry, if this process knows their numbers. `dead`: one of them has another now. */
  #knownTags({ tags }: Envelope): readonly HeldTag[] | 'dead' | undefined {
    const known: HeldTag[] = []
    for (const { name, version } of tags) {
      const key = this.#space.tagKeyOf(name)
      if (key === undefined) return 'dead'
      const tag = this.#core.coherence.tags.known(key)
      if (tag === undefined) return undefined
      if (tag.version !== version) return 'dead'
      known.push(tag)
    }
    return known
  }

  async #askTags({ tags }: Envelope): Promise<readonly HeldTag[] | 'dead'> {
    const keys = tags.map(({ name }) => this.#space.tagKeyOf(name))
    if (keys.includes(undefined)) return 'dead'
    const held = await this.#core.coherence.tags.hold(keys as string[])
    return held.every((tag, index) => tag?.version === tags[index]?.version) ? (held as HeldTag[]) : 'dead'
  }
}

interface Opening {
  readonly name: string
  readonly key: string
  readonly envelope: Envelope
  /** Of the whole entry, in bytes. */
  readonly length: number
  readonly tags: readonly HeldTag[] | 'dead'
  readonly answer: Answer
  readonly reading: Reading
  readonly seer: Seer
}
