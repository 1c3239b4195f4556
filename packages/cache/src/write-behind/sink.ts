/** The store as write-behind uses it: bytes become values, each save has a deadline, and each answer is looked at. */
import type { Clock } from '../clock.ts'
import type { Codec } from '../codec.ts'
import { CacheError } from '../errors.ts'
import type { Store, StoreWrite } from '../store.ts'

/** What is taken from the queue. */
export interface Taken {
  readonly key: string
  readonly version: number
  readonly operation: string
  /** How often it has failed. */
  readonly tries: number
  /** Null removes the key. */
  readonly bytes: Buffer | null
  readonly codec: number
}

export interface SinkPorts<T> {
  readonly store: Store<T>
  readonly codec: Codec
  readonly clock: Clock
  readonly deadlineMs: number
}

/** How many single saves are under way at once where the store has no `saveMany`. */
const savesAtOnce = 8

export class Sink<T> {
  readonly #ports: SinkPorts<T>

  constructor(ports: SinkPorts<T>) {
    this.#ports = ports
  }

  /** The versions that the store holds afterwards, in order. Throws if any of them was not saved, or may not have been. */
  async save(taken: readonly Taken[], signal: AbortSignal): Promise<readonly number[]> {
    const { store } = this.#ports
    const writes = taken.map((entry) => this.#writeOf(entry))
    const answers = await this.#within(signal, (until) => {
      if (store.saveMany !== undefined) return store.saveMany(writes, { signal: until })
      return saveEach(writes, (write) => store.save(write, { signal: until }))
    })
    return taken.map(({ version }, index) => {
      const stored = answers[index]?.version
      if (stored === undefined || !Number.isSafeInteger(stored) || stored < version) {
        const message =
          'the store answered an older version than it was given, or none: its save must answer what it holds'
        throw new CacheError('INVALID', message, { version, stored: String(stored) })
      }
      return stored
    })
  }

  /** What the store has. */
  async load(key: string, signal: AbortSignal): Promise<T | undefined> {
    const found = await this.#within(signal, (until) => this.#ports.store.load(key, { signal: until }))
    return found?.value
  }

  /** Whether it can be asked at all. */
  async answers({ key }: Taken, signal: AbortSignal): Promise<boolean> {
    try {
      await this.load(key, signal)
      return true
    } catch {
      return false
    }
  }

  #writeOf({ key, version, operation, bytes, codec }: Taken): StoreWrite<T> {
    if (bytes === null) return { key, value: undefined, version, operation }
    if (codec !== this.#ports.codec.id) {
      throw new CacheError(
        'INVALID',
        `the value was written by codec ${codec}, and this process has ${this.#ports.codec.id}`,
        { key },
      )
    }
    return { key, value: this.#ports.codec.decode(bytes) as T, version, operation }
  }

  /** A store that does not listen to its signal is left alone all the same: what it does later, its versions make harmless. */
  async #within<R>(signal: AbortSignal, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    const { clock, deadlineMs } = this.#ports
    signal.throwIfAborted()
    const ended = new AbortController()
    const aborted = new Promise<never>((_, reject) => {
      ended.signal.addEventListener('abort', () => reject(ended.signal.reason as Error), { once: true })
    })
    const follow = (): void => ended.abort(signal.reason)
    signal.addEventListener('abort', follow, { once: true })
    const cancel = clock.after(deadlineMs, () =>
      ended.abort(new CacheError('LOADER_TIMEOUT', `the store did not answer within ${deadlineMs} ms`, { deadlineMs })),
    )
    try {
      return await Promise.race([call(ended.signal), aborted])
    } finally {
      cancel()
      signal.removeEventListener('abort', follow)
      // Nobody hears of it any more, and an unheard rejection would end the process.
      aborted.catch(() => undefined)
    }
  }
}

async function saveEach<W, R>(writes: readonly W[], save: (write: W) => Promise<R>): Promise<readonly R[]> {
  const answers: R[] = []
  let next = 0
  const work = async (): Promise<void> => {
    for (let index = next++; index < writes.length; index = next++) answers[index] = await save(writes[index] as W)
  }
  await Promise.all(Array.from({ length: Math.min(savesAtOnce, writes.length) }, work))
  return answers
}
