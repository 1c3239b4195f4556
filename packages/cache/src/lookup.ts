/** What the engine knows of a key, and the lock of its load. Decides nothing: the read does. */
import type { Arrival, Asker } from './batch.ts'
import type { Reading } from './coherence.ts'
import { copyMs } from './copies.ts'
import type { Core } from './core.ts'
import { type Answer, noLink, type ReadFrom } from './engine/engine.ts'
import type { Script } from './engine/script.ts'
import { freshness } from './entry.ts'
import { createdAtOf, type Envelope, isNewerLayout, openEnvelope, plainPayloadAt } from './envelope.ts'
import { type Held, isCoherent } from './held.ts'
import { doubleBytes, lockEntry, lockMs, releaseLock, renewLock } from './scripts.ts'
import { loadingEntry, type Space } from './space.ts'
import type { HeldTag } from './tags.ts'
import { sizeOf } from './value.ts'
import { newVersion } from './versions.ts'

export type Seen =
  /** An entry that may be used, fresh or stale. `token`: whose load it waits for; 0 for nobody's. */
  | { readonly kind: 'entry'; readonly held: Held; readonly role: Answer['role']; readonly token: number }
  /** An entry that must not be used: invalidated, too old, or not of a shape that is understood. */
  | { readonly kind: 'dead'; readonly token: number }
  /** Nothing there, and the lock is ours. */
  | { readonly kind: 'ours'; readonly token: number }
  /** Nothing there, and somebody is loading it. */
  | { readonly kind: 'theirs'; readonly token: number }
  /** Nothing there, and no lock to be had: the engine takes no writes. */
  | { readonly kind: 'none' }
  /** Bytes that no cache has written. */
  | { readonly kind: 'foreign' }

/** Who wants to know; called instead of a promise, as in `Asker`. */
interface Seer {
  /** As the engine has it. */
  readonly name: string
  /** As the caller says it. */
  readonly key: string
  /** Undefined where nothing is held locally: then there is nothing that it could bar. */
  readonly reading: Reading | undefined
  saw(seen: Seen): void
  failed(error: unknown): void
}

/** What the engine answers to a question for a key, and what the question was sent with: the token of its lock. */
type Reply = Buffer | number | null
type Token = number | undefined

/** Who asks the engine himself. Makes `Lookup.glance` of what is answered. */
export interface Reader extends Seer, Asker<Reply, Token> {
  /** See `EntryOptions.earlyRefresh`; 0: what is fresh is good. */
  readonly earlyRefresh: number
  /** What nearly all see: a value that is fresh and not due for a refresh. */
  hit(value: unknown, createdAt: number, role: Answer['role']): void
}

/** In loads before its end: see `isEarly`. */
const lookAhead = 10

const none = { kind: 'none' } as const

export class Lookup {
  readonly #core: Core
  readonly #space: Space
  #clearTags: readonly HeldTag[] | undefined

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
    if (now < held.localUntil && isCoherent(held, clock)) return held
    const isSame = await coherence.revalidate(name, held)
    // Its end may have come while the engine was asked.
    return isSame && freshness(held, clock.now()) === 'fresh' ? held : undefined
  }

  /** Reads, and takes the lock where nothing is. */
  readOrLock(reader: Reader): void {
    this.#core.locks.ask(reader.name, reader)
  }

  /** Reads without a lock. */
  read(reader: Reader): void {
    this.#core.gets.ask(reader.name, reader)
  }

  /** The same as `readOrLock`, for those who are in no hurry. */
  async lookOrLock(target: Target): Promise<Seen> {
    const { locks, clock } = this.#core
    return new Promise((saw, failed) => {
      locks.ask(target.name, {
        answered: (reply, { answer, note }) => this.#see(reply, answer, note, clock.now(), { ...target, saw, failed }),
        failed,
      })
    })
  }

  /** The same as `read`, for those who are in no hurry. */
  async look(target: Target): Promise<Seen> {
    const { reply, answer } = await this.#core.gets.asked(target.name)
    return this.#seen(target, reply, answer)
  }

  /** Sees what was answered: at a glance what nearly all entries are, and all others piece by piece. */
  glance(reply: Reply, { answer, note, now }: Arrival<Token>, reader: Reader): void {
    const value = this.#plainValue(reply, now, reader.earlyRefresh)
    if (value === undefined) this.#see(reply, answer, note, now, reader)
    else reader.hit(value, createdAtOf(reply as Buffer), answer.role)
  }

  /** The value of an entry that has nothing special; undefined for all others. */
  #plainValue(reply: Reply, now: number, earlyRefresh: number): unknown {
    const { local } = this.#core
    const { codec, schema, maxValueBytes } = this.#space.terms
    // What is held locally needs all of the head.
    if (local !== null || schema !== undefined || !Buffer.isBuffer(reply) || reply.length > maxValueBytes)
      return undefined
    const tags = this.#goodClearTags()
    if (tags === undefined) return undefined
    const payloadAt = plainPayloadAt(reply, { codec: codec.id, tags, now, lookAhead: earlyRefresh * lookAhead })
    if (payloadAt === 0) return undefined
    try {
      return codec.decode(reply.subarray(payloadAt))
    } catch {
      // It is looked at once more, to say what is wrong with it.
      return undefined
    }
  }

  /** Reads from another copy than the primary's. */
  async readReplica(target: Target, from: ReadFrom, deadlineAt: number): Promise<Seen> {
    const { name } = target
    const commands = [['GET', name]]
    const answer = await this.#core.engine.send({ commands, key: name, deadlineAt, kind: 'read', bytes: true, from })
    return this.#seen(target, answer.replies[0], answer)
  }

  /** Reads one of several copies of a key, and writes it anew if it has ended. Undefined: ask for the key itself. */
  async readSpread(target: Target, copies: number): Promise<Seen | undefined> {
    const { name } = target
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
    const seen = await this.#seen(target, reply, told)
    return seen.kind === 'entry' && freshness(seen.held, this.#core.clock.now()) === 'fresh' ? seen : undefined
  }

  /** Takes the lock of an entry that is there. Null: somebody else has it; undefined: the engine takes no writes. */
  async lock(name: string): Promise<number | null | undefined> {
    const token = newVersion(this.#core.clock)
    const taken = await this.#script(lockEntry, name, [loadingEntry(token), doubleBytes(token), String(lockMs)])
    if (taken === -1) return undefined
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

  #seen(target: Target, reply: unknown, answer: Answer): Promise<Seen> {
    const now = this.#core.clock.now()
    return new Promise((saw, failed) => this.#see(reply, answer, undefined, now, { ...target, saw, failed }))
  }

  #see(reply: unknown, answer: Answer, token: Token, now: number, seer: Seer): void {
    if (reply === 1 && token !== undefined) return seer.saw({ kind: 'ours', token })
    if (!Buffer.isBuffer(reply)) return seer.saw(none)
    const envelope = openEnvelope(reply)
    if (envelope === undefined) return seer.saw(this.#foreign(seer.key, reply))
    const { lockToken } = envelope
    // Our own lock: the question was asked again because its first answer was lost.
    if (envelope.kind === 'loading')
      return seer.saw({ kind: lockToken === token ? 'ours' : 'theirs', token: lockToken })
    if (freshness(envelope, now) === 'expired') return seer.saw({ kind: 'dead', token: lockToken })
    const { length } = reply
    // A replica is asked when its primary is away, which is who would know the numbers of now.
    const tags = answer.role === 'replica' ? undefined : this.#knownTags(envelope)
    if (tags !== undefined) return this.#open({ envelope, length, tags, answer, seer })
    const asking = answer.role === 'replica' ? this.#compareWithCopies(envelope) : this.#askTags(envelope)
    asking.then(
      (asked) => this.#open({ envelope, length, tags: asked, answer, seer }),
      (error) => seer.failed(error),
    )
  }

  #open({ envelope, length, tags, answer, seer }: Opening): void {
    const token = envelope.lockToken
    if (tags === 'dead') return seer.saw({ kind: 'dead', token })
    const { name, key, reading } = seer
    const keep = (value: unknown): void => {
      const { coherence, local } = this.#core
      const { link, role } = answer
      const trustMs = link === noLink ? copyMs : coherence.trustMs(link)
      // A compressed entry is larger here than it was there.
      const bytes = envelope.compression === 0 ? length : Math.max(length, sizeOf(value))
      const held = this.#space.hold(envelope, { value, tags, link, bytes }, trustMs)
      const mayHold = reading?.barred !== true && (role === 'primary' || link.live)
      if (local !== null && mayHold) local.set(name, held, bytes)
      seer.saw({ kind: 'entry', held, role, token })
    }
    const refuse = (error: unknown): void => {
      this.#unusable(key, error instanceof Error ? error.message : String(error))
      seer.saw({ kind: 'dead', token })
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

  /** The tags that every entry of this space has, if this process knows their numbers. */
  #goodClearTags(): readonly HeldTag[] | undefined {
    if (this.#clearTags?.every((tag) => tag.isGood(this.#core.clock)) === true) return this.#clearTags
    const known = this.#space.clearKeys.map((key) => this.#core.coherence.tags.known(key))
    this.#clearTags = known.includes(undefined) ? undefined : (known as HeldTag[])
    return this.#clearTags
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

  /** What a replica has is never kept here, so its tags are only compared: with what was last known, else with a replica's. */
  async #compareWithCopies({ tags }: Envelope): Promise<readonly HeldTag[] | 'dead'> {
    const { engine, coherence, pending } = this.#core
    const deadlineAt = this.#core.replicaDeadlineAt()
    const agrees = await Promise.all(
      tags.map(async ({ name, version }) => {
        const key = this.#space.tagKeyOf(name)
        if (key === undefined || pending.holds(key)) return false
        const last = coherence.tags.last(key)
        if (last !== undefined) return last.version === version
        const { replies } = await engine.send({
          commands: [['GET', key]],
          key,
          deadlineAt,
          kind: 'read',
          from: 'replica',
        })
        return Number(replies[0]) === version
      }),
    )
    return agrees.includes(false) ? 'dead' : []
  }

  async #askTags({ tags }: Envelope): Promise<readonly HeldTag[] | 'dead'> {
    const keys = tags.map(({ name }) => this.#space.tagKeyOf(name))
    if (keys.includes(undefined)) return 'dead'
    const held = await this.#core.coherence.tags.hold(keys as string[])
    return held.every((tag, index) => tag?.version === tags[index]?.version) ? (held as HeldTag[]) : 'dead'
  }
}

/** What is read, for whom. */
export type Target = Pick<Seer, 'name' | 'key' | 'reading'>

interface Opening {
  readonly envelope: Envelope
  /** Of the whole entry, in bytes. */
  readonly length: number
  readonly tags: readonly HeldTag[] | 'dead'
  readonly answer: Answer
  readonly seer: Seer
}
