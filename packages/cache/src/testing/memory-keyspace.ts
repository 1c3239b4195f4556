import { ReplyError } from '../engine/engine.ts'
import type { Reply } from './reply.ts'

/** Members and fields are kept as latin1, one character for each byte, so that any bytes can be the key of a Map. */
export type Bytes = string

export interface StreamId {
  readonly ms: number
  readonly seq: number
}

export interface StreamEntry {
  readonly id: StreamId
  readonly fields: readonly Buffer[]
}

export interface PendingEntry {
  readonly id: StreamId
  consumer: string
  deliveredAt: number
  deliveries: number
}

export interface ConsumerGroup {
  lastId: StreamId
  entriesRead: number | null
  readonly consumers: Set<string>
  /** What was delivered and not acknowledged, in the order of ids. */
  pending: PendingEntry[]
}

export interface Stream {
  readonly kind: 'stream'
  entries: StreamEntry[]
  lastId: StreamId
  maxDeletedId: StreamId
  entriesAdded: number
  readonly groups: Map<string, ConsumerGroup>
}

export type Value =
  | { readonly kind: 'string'; bytes: Buffer }
  | { readonly kind: 'hash'; readonly fields: Map<Bytes, Buffer> }
  | { readonly kind: 'zset'; readonly scores: Map<Bytes, number> }
  | { readonly kind: 'set'; readonly members: Set<Bytes> }
  | { readonly kind: 'list'; readonly items: Buffer[] }
  | Stream

export type Kind = Value['kind']
type Of<K extends Kind> = Extract<Value, { readonly kind: K }>

export interface Entry {
  value: Value
  /** Wall time in ms, or null for ever. */
  expiresAt: number | null
}

export interface KeyspaceOptions {
  /** Wall time in ms. */
  readonly now: () => number
  /** Above that the key that was used least lately goes. Default: no limit. */
  readonly maxEntries?: number
  /** `by` is null when nobody did it: the key expired or was evicted. A null key means all of them. */
  readonly changed: (key: string | null, by: 'command' | 'time' | 'eviction') => void
}

/** The keys of one node with their values and times. Whoever changes a value says `changed` afterwards. */
export class Keyspace {
  readonly #options: KeyspaceOptions
  readonly #entries = new Map<Bytes, Entry>()
  #now: number

  constructor(options: KeyspaceOptions) {
    this.#options = options
    this.#now = Math.floor(options.now())
  }

  /** The same through one command or script, as the engine has it: what expires does so between them. */
  now(): number {
    return this.#now
  }

  /** Time goes on. */
  tick(): void {
    this.#now = Math.floor(this.#options.now())
  }

  find(key: Buffer): Entry | undefined {
    const name = key.toString('latin1')
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    if (entry.expiresAt !== null && entry.expiresAt <= this.now()) {
      this.#entries.delete(name)
      this.#options.changed(key.toString(), 'time')
      return undefined
    }
    if (this.#options.maxEntries !== undefined) {
      this.#entries.delete(name)
      this.#entries.set(name, entry)
    }
    return entry
  }

  /** The value of that kind, undefined where there is none. Throws WRONGTYPE for another kind. */
  read<K extends Kind>(key: Buffer, kind: K): Of<K> | undefined {
    const value = this.find(key)?.value
    if (value === undefined) return undefined
    if (value.kind !== kind) {
      throw new ReplyError('WRONGTYPE Operation against a key holding the wrong kind of value')
    }
    return value as Of<K>
  }

  readOrCreate<K extends Kind>(key: Buffer, kind: K, create: () => Of<K>): Of<K> {
    const found = this.read(key, kind)
    if (found !== undefined) return found
    const value = create()
    this.put(key, value, null)
    return value
  }

  put(key: Buffer, value: Value, expiresAt: number | null): void {
    const name = key.toString('latin1')
    this.#entries.delete(name)
    this.#entries.set(name, { value, expiresAt })
    const { maxEntries } = this.#options
    if (maxEntries === undefined || this.#entries.size <= maxEntries) return
    const [oldest] = this.#entries.keys()
    if (oldest === undefined) return
    this.#entries.delete(oldest)
    this.#options.changed(Buffer.from(oldest, 'latin1').toString(), 'eviction')
  }

  remove(key: Buffer): boolean {
    if (this.find(key) === undefined) return false
    this.#entries.delete(key.toString('latin1'))
    this.changed(key)
    return true
  }

  /** A collection that became empty does not exist. */
  removeIfEmpty(key: Buffer, size: number): void {
    if (size === 0) this.#entries.delete(key.toString('latin1'))
  }

  changed(key: Buffer): void {
    this.#options.changed(key.toString(), 'command')
  }

  clear(): void {
    this.#entries.clear()
    this.#options.changed(null, 'command')
  }

  /** As after a start without a file: nobody is told. */
  forget(): void {
    this.#entries.clear()
  }

  /** All keys that have not expired. */
  keys(): readonly Buffer[] {
    return [...this.#entries.keys()]
      .map((name) => Buffer.from(name, 'latin1'))
      .filter((key) => this.find(key) !== undefined)
  }
}

/** Asks again after every change until there is an answer, or the time is over. */
export class Blocked {
  /** Null: without end. */
  readonly withinMs: number | null
  readonly look: () => Reply | undefined
  readonly otherwise: () => Reply

  constructor(withinMs: number | null, look: () => Reply | undefined, otherwise: () => Reply) {
    this.withinMs = withinMs
    this.look = look
    this.otherwise = otherwise
  }
}

export interface MemoryCommand {
  /** As the engine counts, with the command's name: a negative number is the least. */
  readonly arity: number
  /** Which arguments (without the command's name) are keys. */
  readonly keys: (args: readonly Buffer[]) => readonly Buffer[]
  /** Whether it is refused when the memory is full. */
  readonly grows?: boolean
  readonly run: (keyspace: Keyspace, args: readonly Buffer[]) => Reply | Blocked
}

export type CommandTable = Readonly<Record<string, MemoryCommand>>

export const noKeys = (): readonly Buffer[] => []
export const firstKey = (args: readonly Buffer[]): readonly Buffer[] => args.slice(0, 1)
export const secondKey = (args: readonly Buffer[]): readonly Buffer[] => args.slice(1, 2)
export const allKeys = (args: readonly Buffer[]): readonly Buffer[] => args

export const syntaxError = (): ReplyError => new ReplyError('ERR syntax error')
export const word = (argument: Buffer | undefined): string => argument?.toString('latin1').toUpperCase() ?? ''

/** The arguments that the arity promised. */
export function required(args: readonly Buffer[], index: number): Buffer {
  const argument = args[index]
  if (argument === undefined) throw syntaxError()
  return argument
}
