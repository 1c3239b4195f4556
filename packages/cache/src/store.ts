/** The source of truth behind a cache: a database, a service. */
export interface Store<T> {
  /** What it holds, or undefined for nothing. */
  load(key: string, context: StoreContext): Promise<Versioned<T> | undefined>
  /** The same for many, in their order. Default: `load` for each. */
  loadMany?(keys: readonly string[], context: StoreContext): Promise<readonly (Versioned<T> | undefined)[]>
  /**
   * Writes one value and answers the version that the store holds afterwards. Where the write brings a version, it
   * changes nothing if the store already has that version or a newer one: then the same write may come twice.
   */
  save(write: StoreWrite<T>, context: StoreContext): Promise<{ readonly version: number }>
  /**
   * The same for many, in their order: all of them, or it throws. No key comes twice in one call. Best in one
   * transaction. Default: `save` for each.
   */
  saveMany?(writes: readonly StoreWrite<T>[], context: StoreContext): Promise<readonly { readonly version: number }[]>
}

export interface Versioned<T> {
  readonly value: T
  /** Grows with every change of this key: a row version, a sequence, microseconds. A safe integer. */
  readonly version: number
}

export interface StoreWrite<T> {
  readonly key: string
  /** Undefined removes it; a store that is written behind keeps a tombstone with the version. */
  readonly value: T | undefined
  /** Given by write-behind; without it the store counts on by itself. */
  readonly version?: number
  /** The same for every try of one write. */
  readonly operation: string
}

export interface StoreContext {
  /** Ends when nobody waits any more. */
  readonly signal: AbortSignal
}
