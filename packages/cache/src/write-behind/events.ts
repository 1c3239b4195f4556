/** What a write-behind tells of itself. Never a value. */
export interface WriteBehindEvents {
  /** The store has these now. `ms`: how long it took; `lagMs`: how old the oldest of them was, by this machine's clock. */
  written: { readonly keys: number; readonly ms: number; readonly lagMs: number }
  /** A save failed and is tried again. With `key` it failed for that key alone, without it the store takes nothing. */
  retry: { readonly key?: string; readonly keys: number; readonly inMs: number; readonly error: unknown }
  /** A key was put aside. It stays where it is until a newer write, a replay or a discard. */
  parked: { readonly key: string; readonly version: number; readonly tries: number; readonly error: unknown }
  /** Somebody else has this partition, or may have it: this process has stopped saving it. */
  lostOwnership: { readonly partition: number; readonly because: string }
  /** The store had a newer version than the queue. The queue's value wins: it was saved again above that version. */
  behind: { readonly key: string; readonly version: number; readonly storeVersion: number }
  /** What was queued is gone from the engine. What is known of it is all there is. */
  lost: Loss
  /** The engine is set in a way that could be better, or no longer keeps what it is given; in the latter case writes are refused. */
  unsafe: { readonly refusing: boolean; readonly error: Error }
  /** Something went wrong that is tried again by itself. */
  trouble: { readonly error: unknown; readonly what: string }
}

export interface Loss {
  readonly partition: number
  readonly because: string
  /** Unsaved keys that may be lost, as last counted; at most so many. */
  readonly keys: number
  /** The one that is known by name. */
  readonly key?: string
  /** The highest version that this process had acknowledged; 0 for none. */
  readonly acknowledged: number
}

export type WriteBehindListener<E extends keyof WriteBehindEvents> = (event: WriteBehindEvents[E]) => void
export type WriteBehindListeners = { readonly [E in keyof WriteBehindEvents]?: WriteBehindListener<E> }

export class Events {
  readonly #listeners = new Map<keyof WriteBehindEvents, Set<(event: never) => void>>()

  on<E extends keyof WriteBehindEvents>(name: E, listener: WriteBehindListener<E>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  /** A listener that throws harms nobody: what it was told of is more important than what it made of it. */
  tell<E extends keyof WriteBehindEvents>(name: E, event: WriteBehindEvents[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        ;(listener as WriteBehindListener<E>)(event)
      } catch {}
    }
  }
}
