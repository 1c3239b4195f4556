/**
 * Tags, and `clear`, in O(1): a tag is a key in the engine with a number that stands for all that was written under it.
 * Entries carry the numbers that held when their load began; another number now, and the entry is a miss. So nothing
 * has to be found or deleted, no index is left behind, and it does not matter on which node what lies. `clear` is the
 * tag without a name that every entry has.
 *
 * The numbers are held in this process, too, told of changes like any entry. A tag that is missing in the engine, since
 * it never was or was evicted, is made anew with a number that was never used, never with the old or with nought.
 */
import { Batch } from './batch.ts'
import type { Clock } from './clock.ts'
import type { Answer, Engine, Link } from './engine/engine.ts'
import { CacheError } from './errors.ts'
import { LocalTier } from './local-tier.ts'
import { holdTags } from './scripts.ts'
import { newVersion } from './versions.ts'

/** A tag's number as this process knows it. What was read under it is good as long as it is `live`. */
export class HeldTag {
  readonly key: string
  readonly version: number
  /** Who told the number, and would tell of another. */
  link: Link
  /** Until when it is believed where nobody tells of changes. */
  trustedUntil: number
  /** False once the number may be another. */
  live = true
  /** Whether it was looked at since the engine was last reminded of it. */
  used = true

  constructor(key: string, version: number, link: Link, trustedUntil: number) {
    this.key = key
    this.version = version
    this.link = link
    this.trustedUntil = trustedUntil
  }

  isGood(clock: Clock): boolean {
    this.used = true
    return this.live && (this.link.live || clock.monotonic() < this.trustedUntil)
  }
}

function anyTag(): HeldTag {
  return new HeldTag('', 0, { node: 'none', live: false }, Number.POSITIVE_INFINITY)
}

export interface TagTerms {
  readonly engine: Engine
  readonly clock: Clock
  readonly deadlineMs: () => number
  /** For how long a number is believed where nobody tells of changes. */
  readonly trustMs: (link: Link) => number
  /** Whether the engine has not heard yet that the tag has another number. */
  readonly isPending: (key: string) => boolean
  /** A tag has another number: what is under way may have begun before. */
  readonly onChanged: () => void
}

/** Longer than any entry is kept, or entries would be missed for the sake of their tags. */
const tagKeptMs = 30 * 86_400_000
const mostTags = 50_000
/** How often the engine is reminded of tags in use: they are read here, so to the engine they look idle and evictable. */
const remindEveryMs = 5000
const mostReminded = 1000

export class Tags {
  readonly #terms: TagTerms
  readonly #held: LocalTier<HeldTag>
  readonly #versions: Batch<Buffer>
  readonly #asking = new Map<string, Promise<HeldTag | undefined>>()
  #unnumbered = anyTag()
  #cancelReminder: (() => void) | undefined
  #closed = false

  constructor(terms: TagTerms) {
    this.#terms = terms
    this.#held = new LocalTier({
      maxEntries: mostTags,
      maxBytes: Number.MAX_SAFE_INTEGER,
      onEvict: (_, tag) => {
        tag.live = false
      },
    })
    this.#versions = new Batch({
      ...terms,
      kind: 'write',
      command: (keys) => ({
        command: { script: holdTags, keys, args: [String(newVersion(terms.clock)), String(tagKeptMs)] },
        note: undefined,
      }),
    })
  }

  /** Good tags for these keys, in their order; undefined for one whose number the engine could not give. Throws when it is away. */
  async hold(keys: readonly string[]): Promise<(HeldTag | undefined)[]> {
    return Promise.all(
      keys.map(async (key) => {
        const held = this.#held.get(key)
        return held?.isGood(this.#terms.clock) === true ? held : this.#askOnce(key)
      }),
    )
  }

  /** The same for one tag without asking: undefined unless it is known. */
  known(key: string): HeldTag | undefined {
    const held = this.#held.get(key)
    return held?.isGood(this.#terms.clock) === true ? held : undefined
  }

  /**
   * The last number that this process knows of, unless it knows that it was changed: what a copy is compared with when
   * nobody can be asked for the number of now.
   */
  last(key: string): HeldTag | undefined {
    const held = this.#held.peek(key)
    return held?.live === true ? held : undefined
  }

  /** Gives tags another number: all that was written under them is a miss from now on. */
  async bump(keys: readonly string[], deadlineAt: number): Promise<void> {
    for (const key of keys) this.changed(key)
    this.#terms.onChanged()
    const bumps = keys.map((key) => this.#renumber(key, deadlineAt))
    const done = await Promise.allSettled(bumps)
    // What was asked while the number changed may be the old one.
    for (const key of keys) this.changed(key)
    this.#terms.onChanged()
    const failed = done.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /**
   * Not idempotent: were the same number sent again after a lost answer, it would bring to life what was written under
   * it, although another change came in between. Each try has a number of its own.
   */
  async #renumber(key: string, deadlineAt: number): Promise<void> {
    const { engine, clock } = this.#terms
    for (;;) {
      const command = ['SET', key, String(newVersion(clock)), 'PX', String(tagKeptMs)]
      try {
        await engine.send({ commands: [command], key, deadlineAt, kind: 'write' })
        return
      } catch (error) {
        const isUnknown = error instanceof CacheError && error.code === 'INDETERMINATE'
        if (!isUnknown || clock.monotonic() >= deadlineAt) throw error
      }
    }
  }

  /** Stands for all tags of what was never written to the engine: it ends with the next change of any. */
  get unnumbered(): HeldTag {
    return this.#unnumbered
  }

  #endUnnumbered(): void {
    this.#unnumbered.live = false
    this.#unnumbered = anyTag()
  }

  /** Somebody gave this tag another number, or may have. */
  changed(key: string): boolean {
    // An answer that is on its way may be older than the change.
    this.#asking.delete(key)
    this.#endUnnumbered()
    const held = this.#held.peek(key)
    if (held === undefined) return false
    this.#terms.onChanged()
    held.live = false
    return this.#held.delete(key)
  }

  forgetAll(): void {
    this.#asking.clear()
    this.#endUnnumbered()
    for (const [, tag] of this.#held.entries()) tag.live = false
    this.#held.clear()
  }

  close(): void {
    this.#closed = true
    this.#cancelReminder?.()
    this.forgetAll()
  }

  #askOnce(key: string, mayAskAgain = true): Promise<HeldTag | undefined> {
    const asking = this.#asking.get(key)
    if (asking !== undefined) return asking
    if (this.#terms.isPending(key)) {
      const because = 'the engine has not heard yet that the tag was invalidated'
      return Promise.reject(new CacheError('UNAVAILABLE', because))
    }
    const asked: Promise<HeldTag | undefined> = this.#versions
      .asked(key)
      .then(({ reply, answer }) => {
        // Told of since, or changed here: what was answered may be older than that.
        if (this.#asking.get(key) !== asked) return mayAskAgain ? this.#askOnce(key, false) : undefined
        return this.#hold(key, reply, answer)
      })
      .finally(() => {
        if (this.#asking.get(key) === asked) this.#asking.delete(key)
      })
    this.#asking.set(key, asked)
    return asked
  }

  #hold(key: string, reply: Buffer, answer: Answer): HeldTag | undefined {
    const version = Number(reply.toString('latin1'))
    if (!Number.isSafeInteger(version) || version <= 0) return undefined
    const held = this.#held.peek(key)
    // The number did not change while nobody could have told: entries that were read under it are good again.
    if (held?.live === true && held.version === version) return this.#trust(held, answer)
    if (held !== undefined) held.live = false
    const tag = this.#trust(new HeldTag(key, version, answer.link, 0), answer)
    this.#held.set(key, tag, 1)
    this.#remind()
    return tag
  }

  #trust(tag: HeldTag, { link }: Answer): HeldTag {
    tag.link = link
    tag.trustedUntil = this.#terms.clock.monotonic() + this.#terms.trustMs(link)
    return tag
  }

  #remind(): void {
    if (this.#cancelReminder !== undefined || this.#closed) return
    const { engine, clock } = this.#terms
    this.#cancelReminder = clock.after(remindEveryMs, () => {
      this.#cancelReminder = undefined
      const keys: string[] = []
      for (const [key, tag] of this.#held.entries()) {
        if (tag.used && keys.length < mostReminded) keys.push(key)
        tag.used = false
      }
      const deadlineAt = clock.monotonic() + this.#terms.deadlineMs()
      for (const group of engine.group(keys)) {
        const touched = group.map((index) => keys[index] as string)
        const command = ['TOUCH', ...touched]
        // Nobody waits for it; the next reminder comes anyway.
        engine
          .send({ commands: [command], key: touched[0] as string, deadlineAt, kind: 'read', from: 'primary' })
          .catch(() => {})
      }
      if (this.#held.size > 0) this.#remind()
    })
  }
}
