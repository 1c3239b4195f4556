/**
 * The door to the engine, whatever its shape: one node, Sentinels, a Cluster, an application's own connection, or
 * memory in tests. Behind it are finding the right node, following it when it moves, deadlines and retries; before it
 * nobody knows of slots, redirects or sockets.
 */
import type { Script } from './script.ts'

export type Argument = string | Buffer

/** A command as the engine's manual has it, or one of our scripts with its keys and arguments. */
export type Command =
  | readonly Argument[]
  | { readonly script: Script; readonly keys: readonly string[]; readonly args: readonly Argument[] }

export interface Call {
  /** Written one behind the other on one connection, with nothing of anybody else in between. At least one. */
  readonly commands: readonly Command[]
  /** Whose node is asked: all keys of the commands share its slot. Null: any primary will do. */
  readonly key: string | null
  /** By `clock.monotonic()`: after that nobody waits any more, whether queued or in flight. */
  readonly deadlineAt: number
  /**
   * What it does. A `read` may be sent again and may be answered by a replica. A `write` may be sent again when it
   * surely was not done, and, only if it is `idempotent`, also when its fate is unknown.
   */
  readonly kind: 'read' | 'write'
  readonly idempotent?: boolean
  /** Strings of replies as bytes. Default: as text. */
  readonly bytes?: boolean
  /** Which copy to ask; default `primary`. `replica` falls back to nobody: the caller decides what comes next. */
  readonly from?: ReadFrom
  /** Where to wait for a node that is away: `no` (default) answers at once, `yes` waits for it until the deadline. */
  readonly patient?: boolean
}

/**
 * `primary`: the copy that takes writes. `replica`: any other copy. `nearest`: the one that answers fastest. `zone`:
 * one in the zone of the application, else the nearest.
 */
export type ReadFrom = 'primary' | 'replica' | 'nearest' | 'zone'

export interface Answer {
  /** One for each command. An error reply to one of several commands is a value here: `instanceof ReplyError`. */
  readonly replies: readonly unknown[]
  readonly role: 'primary' | 'replica'
  /** Who answered. What was read may be kept as long as this link lives, because it would tell of a change. */
  readonly link: Link
}

/**
 * One life of a connection over which a node tells of changed keys. It dies with the connection, and when its node is
 * no longer the owner of what it told of; it never lives again.
 */
export interface Link {
  /** `host:port`, for people. */
  readonly node: string
  /** Whether a change would have been told up to now. Always false where nobody listens for changes. */
  readonly live: boolean
}

/** The link of what nobody tells of. */
export const noLink: Link = { node: 'none', live: false }

/** What the engine said no with, in its own words. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
  /** The word in capitals that the reply starts with, such as WRONGTYPE. */
  get word(): string {
    return this.message.slice(0, this.message.indexOf(' ') >>> 0)
  }
}

export interface EngineEvents {
  /** These keys (as the engine has them, in full) were changed by somebody else; null: all of them. */
  changed(keys: readonly string[] | null): void
  /** A connection over which changes are told came up. */
  linked(link: Link): void
  /** A link died: what came through it must be compared before it is used again. */
  unlinked(link: Link, because: string): void
  /** The node's state as this process sees it: `open` means it is left alone for a while. */
  breaker(node: string, state: 'closed' | 'open' | 'half-open', because: string): void
  /** Another node owns some keys now, or the list of nodes changed. */
  moved(because: string): void
  /** Something an operator should know and no caller sees, such as wrong credentials. Said once a change, not in a loop. */
  trouble(error: Error): void
}

export interface Message {
  readonly channel: string
  readonly text: string
}

/** Messages of channels. They may be lost whenever the connection is: `gap` says so. */
export interface Subscription {
  close(): Promise<void>
}

export interface NodeState {
  readonly node: string
  readonly role: 'primary' | 'replica' | 'unknown'
  readonly zone: string | null
  readonly breaker: 'closed' | 'open' | 'half-open'
  readonly connected: boolean
  /** Commands that wait to be written or answered. */
  readonly pending: number
}

export interface Engine {
  /** False where the engine can tell nobody of changes, as over an application's own connection. */
  readonly tracks?: boolean
  /**
   * The replies, or a `CacheError`: UNAVAILABLE (nothing was done), INDETERMINATE (a write whose fate is unknown),
   * REFUSED (a lone command's error reply, `cause` a ReplyError), DENIED, CLOSED.
   */
  send(call: Call): Promise<Answer>
  /** Indexes of the keys, grouped so that each group may stand in one command. Order is kept inside a group. */
  group(keys: readonly string[]): readonly (readonly number[])[]
  /**
   * The same engine over connections of its own, opened when first used: for what blocks those behind it (`WAIT`,
   * blocking reads), so that nobody else waits. The same purpose answers the same lane. Closed with its engine.
   */
  lane(purpose: string): Engine
  /** Listens to channels until closed, over whatever connection that takes. `gap`: messages may have been missed. */
  subscribe(
    channels: readonly string[],
    hear: { message(message: Message): void; gap(because: string): void },
  ): Promise<Subscription>
  /** All nodes that are known, for people and for what goes to each node. */
  nodes(): readonly NodeState[]
  /** Primaries as keys of their slots: one `key` for each, to send a command to every primary. */
  primaryKeys(): readonly string[]
  /**
   * Only where the engine itself tells nobody of changes (`withMessages`): call it with the keys of each own change after
   * it was made, and never before.
   */
  tell?(keys: readonly string[]): void
  /** Asks a controller's or another's word at once: the layout may have changed. Never needed, only faster. */
  hint(because: string): void
  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void
  close(): Promise<void>
}
