/**
 * Keeps the local tier right. The engine tells over each connection which keys others have changed; what is told of is
 * dropped. After a gap in the telling (a lost connection, a failover, moved slots) nothing is dropped: entries that came
 * over that link are compared by version before they are served again, by the next reader or by the sweep that follows,
 * so that a short cut of a link costs a few bytes an entry and not a cold cache.
 *
 * A read that is under way when its key is told of is barred from the local tier: it may have been answered before the
 * change. Whoever waits for another process's load is woken by the same word.
 */
import { Batch } from './batch.ts'
import type { Clock } from './clock.ts'
import type { Engine, Link } from './engine/engine.ts'
import { CacheError } from './errors.ts'
import type { Events } from './events.ts'
import { type Held, isCoherent } from './held.ts'
import type { LocalTier } from './local-tier.ts'
import { readVersions } from './scripts.ts'
import { Tags } from './tags.ts'

/** A read under way. */
export class Reading {
  /** Whether the key was told of since the read began. */
  barred = false
  /** Whether it was this process that changed it: what was read then must not be seen here again. */
  overtaken = false
  /** Another read of the same key. */
  next: Reading | undefined
  #wake: (() => void) | undefined

  changed(): void {
    this.barred = true
    this.wake()
  }

  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Until the key is told of, at most `ms`. */
  woken(ms: number, clock: Clock): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, () => this.wake())
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

export interface CoherenceTerms {
  readonly engine: Engine
  readonly clock: Clock
  readonly deadlineMs: () => number
  readonly local: LocalTier<Held> | null
  readonly events: Events
  /** A key was changed by somebody else: what is under way for it began too early. Null: any key. */
  readonly onChanged: (key: string | null) => void
  /** Whether the engine has not heard of a change of this key or tag yet: then nothing can be compared with it. */
  readonly isPending: (key: string) => boolean
}

/** How long an entry is believed where no engine ever told of a change. */
const untoldTrustMs = 1000
/** How many entries are compared at once after a gap: others want the engine, too. */
const sweptAtOnce = 256

export class Coherence {
  readonly tags: Tags
  readonly #terms: CoherenceTerms
  readonly #versions: Batch<Buffer>
  readonly #readings = new Map<string, Reading>()
  readonly #stop: (() => void)[]
  /** Whether changes are told at all: then a link that is not live is a gap and not a matter of course. */
  #told = false
  #sweeping: Promise<void> | undefined
  #sweepAgain = false
  #closed = false

  constructor(terms: CoherenceTerms) {
    this.#terms = terms
    const { engine, events } = terms
    const trustMs = (link: Link): number => this.trustMs(link)
    this.tags = new Tags({ ...terms, trustMs, onChanged: () => terms.onChanged(null) })
    const command = (keys: readonly string[]) => ({
      command: { script: readVersions, keys, args: [] },
      note: undefined,
    })
    this.#versions = new Batch({ ...terms, kind: 'read', command })
    this.#stop = [
      engine.on('changed', (keys) => this.#changed(keys)),
      engine.on('linked', (link) => {
        this.#told = true
        events.emit('link', { node: link.node, up: true, because: 'connected' })
        this.#sweepSoon()
      }),
      engine.on('unlinked', (link, because) => events.emit('link', { node: link.node, up: false, because })),
      engine.on('moved', () => this.#sweepSoon()),
    ]
  }

  /** For how long something that came over this link is believed on top of the link's life. */
  trustMs(link: Link): number {
    return link.live || this.#told ? 0 : untoldTrustMs
  }

  /** Call `end` when the read is over. */
  begin(key: string): Reading {
    const reading = new Reading()
    reading.next = this.#readings.get(key)
    this.#readings.set(key, reading)
    return reading
  }

  end(key: string, reading: Reading): void {
    const first = this.#readings.get(key)
    if (first === reading) {
      // Nearly always there is one, and it is this.
      if (reading.next === undefined) this.#readings.delete(key)
      else this.#readings.set(key, reading.next)
      return
    }
    for (let before = first; before !== undefined; before = before.next) {
      if (before.next === reading) before.next = reading.next
    }
  }

  /** This process has changed the key: nobody is told of what he did himself. */
  changedHere(key: string): void {
    for (let reading = this.#readings.get(key); reading !== undefined; reading = reading.next) reading.overtaken = true
    this.#bar(key)
  }

  /** This process has filled the key: who waits for it here may look again. */
  filledHere(key: string): void {
    for (let reading = this.#readings.get(key); reading !== undefined; reading = reading.next) reading.wake()
  }

  /** Compares a held entry with the engine's, by version. If they are the same it is good again, else it is dropped. Throws when the engine is away. */
  async revalidate(key: string, held: Held): Promise<boolean> {
    const { local, clock, isPending } = this.#terms
    if (isPending(key)) throw new CacheError('UNAVAILABLE', 'the engine has not heard of a change of this key yet')
    const [{ reply, answer }, tags] = await Promise.all([
      this.#versions.asked(key),
      this.tags.hold(held.tags.filter((tag) => tag.key !== '').map((tag) => tag.key)),
    ])
    if (local?.peek(key) !== held) return false
    const sameTags = tags.every((tag, index) => tag !== undefined && tag.version === held.tags[index]?.version)
    if (reply.length !== 8 || reply.readDoubleLE() !== held.version || !sameTags) {
      local.delete(key)
      return false
    }
    held.link = answer.link
    held.tags = tags as Held['tags']
    const now = clock.now()
    held.trustedUntil = clock.monotonic() + this.trustMs(answer.link)
    held.localUntil = Math.min(held.freshUntil, now + held.localMs)
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const stop of this.#stop) stop()
    this.tags.close()
    for (const key of this.#readings.keys()) this.filledHere(key)
    await this.#sweeping
  }

  #changed(keys: readonly string[] | null): void {
    const { local, events, onChanged } = this.#terms
    if (keys === null) {
      local?.clear()
      this.tags.forgetAll()
      for (const key of this.#readings.keys()) this.#bar(key)
      onChanged(null)
      return
    }
    events.counters.invalidations += keys.length
    for (const key of keys) {
      if (this.tags.changed(key)) continue
      local?.delete(key)
      this.#bar(key)
      onChanged(key)
    }
  }

  #bar(key: string): void {
    for (let reading = this.#readings.get(key); reading !== undefined; reading = reading.next) reading.changed()
  }

  #sweepSoon(): void {
    if (this.#terms.local === null) return
    this.#sweepAgain = true
    if (this.#sweeping !== undefined || this.#closed) return
    this.#sweeping = this.#sweep().finally(() => {
      this.#sweeping = undefined
      if (this.#sweepAgain) this.#sweepSoon()
    })
  }

  /** All that is not coherent and whose node can be asked, a few at a time. Ends at the first error: the next link begins another. */
  async #sweep(): Promise<void> {
    const { local, clock } = this.#terms
    if (local === null) return
    // Links come up together: one look for all.
    await new Promise<void>((resolve) => queueMicrotask(resolve))
    this.#sweepAgain = false
    const doubtful: [string, Held][] = []
    for (const [key, held] of local.entries()) if (!isCoherent(held, clock)) doubtful.push([key, held])
    for (let from = 0; from < doubtful.length && !this.#closed; from += sweptAtOnce) {
      const some = doubtful.slice(from, from + sweptAtOnce)
      // An entry whose node is away stays doubtful, and the others go on.
      await Promise.allSettled(some.map(([key, held]) => this.revalidate(key, held)))
    }
  }
}
