/** What calls without a source offer, and what can be said for each. */
import type { Duration } from '../duration.ts'
import type { Argument } from '../engine/engine.ts'
import type { Channel } from './channel.ts'
import type { ScriptDefinition } from './operations.ts'
import type { DurableOptions } from './settings.ts'

/** What can be said for one call. */
export interface DirectCallOptions {
  /** How long it waits in all. Default: as said for the cache, 5 s. */
  readonly within?: Duration
  /** Whether it waits for a node that is away. Default: as said for the cache, true. */
  readonly patient?: boolean
}

export interface DirectWriteOptions extends DirectCallOptions {
  /**
   * The same for every try of one write, in any process: it is done once, and each try is answered what the first was.
   * Default: one is made up for each call where it matters. Say one where you yourself may ask again.
   */
  readonly operation?: string
  /** Whether it counts only when copies have it. Default: as said for the cache, false. */
  readonly durable?: DurableOptions | boolean
}

export interface SetOptions extends DirectWriteOptions {
  /** How long it is kept. Default: for ever. */
  readonly ttl?: Duration
  /** Sets it only where there is none, or only where there is one. Default: in any case. */
  readonly when?: 'absent' | 'present'
}

export interface IncrementOptions extends DirectWriteOptions {
  /** How long the counter lives from its first increment on. Default: for ever. */
  readonly ttl?: Duration
}

export interface CommandOptions extends DirectWriteOptions {
  /** What it does. Default: known for the engine's own commands; say `read` for a module's. */
  readonly kind?: 'read' | 'write'
  /** Whether doing it twice is doing it once. Default: known for the engine's own commands, else false. */
  readonly repeatable?: boolean
  /** All its keys. Default: the arguments that were made by `key()`. */
  readonly keys?: readonly string[]
  /** Reads from a replica, and never from the primary: for what is heavy and may be a moment old. UNAVAILABLE without one. */
  readonly readReplica?: boolean
  /** Strings of the reply as Buffers. Default false. */
  readonly bytes?: boolean
  /** A connection of its own by this name: needed for commands that wait, so that nobody else waits behind them. */
  readonly lane?: string
  /** For a read: `true` answers who gave the reply, too. Default false. */
  readonly meta?: boolean
}

export interface TransactionOptions extends DirectWriteOptions {
  /** All its keys. Default: the arguments that were made by `key()`. */
  readonly keys?: readonly string[]
}

export interface ScriptOptions extends DirectWriteOptions {
  /** `read`: it writes nothing, and may be answered by a replica. Default `write`. */
  readonly kind?: 'read' | 'write'
  /** Whether doing it twice is doing it once. Default false. */
  readonly repeatable?: boolean
  /** For a script that reads: from a replica, and never from the primary. UNAVAILABLE without one. */
  readonly readReplica?: boolean
  /** Strings of the reply as Buffers. Default false. */
  readonly bytes?: boolean
}

/** A reply, and who gave it. */
export interface Told<T> {
  readonly value: T
  readonly role: 'primary' | 'replica'
  readonly node: string
}

/** The calls of one tag. `name` is a key's name without tag and namespace; in commands stands what `key(name)` answers. */
export interface Direct {
  readonly tag: string
  /** The key as the engine has it: for commands, and for other clients. */
  key(name: string): string
  get(name: string, options?: DirectCallOptions): Promise<string | undefined>
  /** The value that `setJson` wrote. UNENCODABLE if it is no JSON. */
  getJson<T = unknown>(name: string, options?: DirectCallOptions): Promise<T | undefined>
  /** Whether it was set. */
  set(name: string, text: string, options?: SetOptions): Promise<boolean>
  setJson(name: string, value: unknown, options?: SetOptions): Promise<boolean>
  delete(name: string, options?: DirectWriteOptions): Promise<void>
  /** Whether there is such a key. */
  expire(name: string, ttl: Duration, options?: DirectWriteOptions): Promise<boolean>
  /** What it is afterwards. */
  increment(name: string, by?: number, options?: IncrementOptions): Promise<number>
  /** Any command. A write that must not be done twice is done once; its reply then has the shape of RESP 2. */
  call<T = unknown>(
    command: readonly (Argument | number)[],
    options: CommandOptions & { readonly meta: true },
  ): Promise<Told<T>>
  call<T = unknown>(command: readonly (Argument | number)[], options?: CommandOptions): Promise<T>
  /** All of them with nothing in between, or none. One reply for each; an error of one is a ReplyError among them. */
  transaction<T extends readonly unknown[] = readonly unknown[]>(
    commands: readonly (readonly (Argument | number)[])[],
    options?: TransactionOptions,
  ): Promise<T>
  /** A script over keys by their names. */
  script<T = unknown>(
    definition: ScriptDefinition,
    names: readonly string[],
    args?: readonly (Argument | number)[],
    options?: ScriptOptions,
  ): Promise<T>
}

export interface DirectCalls {
  on(tag: string): Direct
  channel(name: string): Channel
  /** Calls under way. */
  readonly waiting: number
}
