/** Where the keys are: what Sentinels, a Cluster or an address say, in one shape. */
import type { Argument } from './engine.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Shard {
  /** Null while nobody is known to take writes. */
  readonly primary: Address | null
  readonly replicas: readonly Address[]
  /** Inclusive ranges; one range over all slots where there is no Cluster. */
  readonly slots: readonly (readonly [from: number, to: number])[]
}

export interface Layout {
  readonly shards: readonly Shard[]
  /** Of two answers the higher is right. 0 where there is no such number. */
  readonly epoch: number
}

export interface Topology {
  /** The latest that was found out; undefined until somebody answered. */
  readonly layout: Layout | undefined
  /** Something looks wrong: look again now. Many of these within a moment are one look. */
  suspect(because: string): void
  /** These are said to be primaries: ask them now, whatever else is under way. Nothing is taken on trust. */
  consult(whom: readonly Address[], because: string): void
  /** Called with each layout that differs from the one before. */
  onChange(listener: (layout: Layout, because: string) => void): void
  close(): void
}

/** Asks one node or Sentinel, over a connection that may be opened for it. Error replies are values, as in `Answer`. */
export type Ask = (
  address: Address,
  commands: readonly (readonly Argument[])[],
  withinMs: number,
) => Promise<readonly unknown[]>
