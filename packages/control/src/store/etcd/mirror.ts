/**
 * What is in etcd below one prefix, as far as it is known here: a watch keeps it, and a sweep finds what a dead watch has
 * not told. Reading is therefore as old as the news at the most; writing asks whether what is known still is.
 */
import type { Clock } from '../../clock.ts'
import type { Condition, Entry, EtcdGateway } from './gateway.ts'

const watchAgainMs = 500
/** A connection to a machine that lost its power is never closed: what it does not tell is looked for. */
const sweepEveryMs = 5000

/** A key that was taken away is remembered: the news of an earlier write of it may still be under way. */
interface Known {
  readonly entry: Entry | null
  readonly at: number
}

export class Mirror {
  readonly #gateway: EtcdGateway
  readonly #prefix: string
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()
  readonly #listeners = new Set<(key: string, isGone: boolean) => void>()
  readonly #over = new AbortController()
  #watched = new AbortController()
  #revision = 0

  private constructor(gateway: EtcdGateway, prefix: string, clock: Clock) {
    this.#gateway = gateway
    this.#prefix = prefix
    this.#clock = clock
  }

  /** Throws UNREACHABLE_STORE where etcd cannot be read. */
  static async open(gateway: EtcdGateway, prefix: string, clock: Clock): Promise<Mirror> {
    const mirror = new Mirror(gateway, prefix, clock)
    await mirror.readAll()
    void mirror.#follow()
    void mirror.#sweep()
    return mirror
  }

  get isEmpty(): boolean {
    return this.under('').length === 0
  }

  get(key: string): Entry | undefined {
    return this.#known.get(key)?.entry ?? undefined
  }

  /** All whose key begins so, in order, with what follows in it. */
  under(prefix: string): { readonly name: string; readonly entry: Entry }[] {
    return [...this.#known]
      .flatMap(([key, { entry }]) =>
        entry !== null && key.startsWith(prefix) ? [{ name: key.slice(prefix.length), entry }] : [],
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * Writes a key, or takes it away, where it still is as it is known here, and so are `others`. Answers whether it did;
   * where it did not, what has changed is known from then on.
   */
  async write(key: string, value: string | undefined, others: readonly string[] = []): Promise<boolean> {
    const unchanged = [key, ...others].map((one) => this.#asKnown(one))
    const write = value === undefined ? { remove: this.#prefix + key } : { put: this.#prefix + key, value }
    const at = await this.#gateway.writeIf(unchanged, [write])
    if (at === undefined) {
      await this.readAll()
      return false
    }
    this.#note(key, value === undefined ? null : { key, value, writtenAt: at, lease: '0' }, at)
    return true
  }

  /** All anew. Answers whether there was something that had not been told. */
  async readAll(): Promise<boolean> {
    const { entries, revision } = await this.#gateway.read(this.#prefix)
    const news = entries.filter(({ key, ...entry }) => this.#hear(key, { key, ...entry }, entry.writtenAt))
    const there = new Set(entries.map(({ key }) => key.slice(this.#prefix.length)))
    const missing = [...this.#known].filter(([key, { entry }]) => entry !== null && !there.has(key))
    const gone = missing.filter(([key]) => this.#hear(this.#prefix + key, null, revision))
    this.#revision = Math.max(this.#revision, revision)
    return news.length + gone.length > 0
  }

  /** Calls back for what others have written. Answers how to stop. */
  onChange(listener: (key: string, isGone: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#over.abort()
    this.#listeners.clear()
  }

  #asKnown(key: string): Condition {
    const entry = this.get(key)
    const at = this.#prefix + key
    return entry === undefined ? { key: at, absent: true } : { key: at, writtenAt: entry.writtenAt }
  }

  #hear(fullKey: string, entry: Entry | null, at: number): boolean {
    const key = fullKey.slice(this.#prefix.length)
    if (!this.#note(key, entry, at)) return false
    for (const listener of this.#listeners) listener(key, entry === null)
    return true
  }

  /** The news of a write may come after a later one of our own. */
  #note(key: string, entry: Entry | null, at: number): boolean {
    if ((this.#known.get(key)?.at ?? 0) >= at) return false
    this.#known.set(key, { entry, at })
    return true
  }

  /** Hears of what others write, as long as this is open; where the connection is lost, all is read anew. */
  async #follow(): Promise<void> {
    const over = this.#over.signal
    while (!over.aborted) {
      this.#watched = new AbortController()
      const signal = AbortSignal.any([over, this.#watched.signal])
      try {
        for await (const changes of this.#gateway.watch(this.#prefix, this.#revision, signal)) {
          for (const { key, entry, at } of changes) this.#hear(key, entry, at)
        }
      } catch {
        // What is known stays known; without etcd nothing is written and no lease renewed, so nobody acts on it.
      }
      if (over.aborted) return
      await this.readAll().catch(() => undefined)
      await this.#clock.sleep(watchAgainMs, over)
    }
  }

  async #sweep(): Promise<void> {
    const over = this.#over.signal
    for (;;) {
      await this.#clock.sleep(sweepEveryMs, over)
      if (over.aborted) return
      const isUntold = await this.readAll().catch(() => false)
      if (isUntold) this.#watched.abort()
    }
  }
}
