/**
 * One connection to one engine, without the library's own ideas of retrying, queueing and giving up. It is opened once
 * and dies once; whoever wants another one makes another one.
 */
import type { ConnectionOptions } from 'node:tls'
import { ClientClosedError, ClientOfflineError, ErrorReply, RESP_TYPES, RedisClient } from '@redis/client'
import type { Clock } from '../clock.ts'
import { type Argument, ReplyError } from './engine.ts'
import type { Address } from './topology.ts'

export interface ConnectionTerms {
  readonly address: Address
  readonly tls?: boolean | ConnectionOptions | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly db?: number | undefined
  /** What `CLIENT LIST` calls it. */
  readonly name?: string | undefined
  /** Prefixes of keys whose changes are told once `listen` was said; empty for none. */
  readonly track: readonly string[]
  /** Whether changes are told from the beginning. */
  readonly listen?: boolean
  /** Whether a replica in a Cluster may answer reads here. */
  readonly readonly?: boolean
  /** In which the connection must be open, greeting included; with TLS, in which each step to that must be done. */
  readonly withinMs: number
}

export interface ConnectionHearing {
  /** It is gone. Told once, and only if it was open; all that was sent is rejected afterwards. */
  lost(error: Error): void
  /** All changes that were told in one go. */
  changed(keys: readonly string[] | null): void
}

/** How much of what is wanted a node can do, best first. */
export type Protocol = 'tracking' | 'plain' | 'old'

/**
 * The network, the handshake, the greeting. TLS takes two more turns on the wire and work of both sides, of which a busy
 * engine does one after the other. Who gives up in the middle only begins again, and adds to that work.
 */
const stepsWithTls = 3

/** The little of the library's client that is used. */
interface Client {
  readonly isReady: boolean
  connect(): Promise<unknown>
  destroy(): void
  sendCommand(args: readonly Argument[]): Promise<unknown>
  withTypeMapping(mapping: object): Client
  subscribe(channels: readonly string[], listener: (text: string, channel: string) => void): Promise<void>
  unsubscribe(channels: readonly string[]): Promise<void>
  on(event: 'error' | 'end' | 'terminated', listener: (error?: Error) => void): unknown
  on(event: 'invalidate', listener: (key: Buffer | string | null) => void): unknown
}

/**
 * Made once: the library builds a class of all its commands for every new set of options, which takes 20 ms of a core
 * just when a failover must not wait, and leaves 90 MB of garbage behind.
 */
const newClient = RedisClient.factory({ RESP: 3 })
let newOldClient: ((options: object) => unknown) | undefined

/** The library's objects lose a field called `__proto__`, or take it for their prototype; a Map does not. */
const mapsAsMaps = { [RESP_TYPES.MAP]: Map }
const stringsAsBytes = { ...mapsAsMaps, [RESP_TYPES.BLOB_STRING]: Buffer }

export class Connection {
  readonly #terms: ConnectionTerms
  readonly #hear: ConnectionHearing
  readonly #client: Client
  readonly #textClient: Client
  readonly #bytesClient: Client
  #open = false
  #changed: string[] | null | undefined
  /** Digests of the scripts that were sent over this connection. */
  readonly scripts = new Set<string>()

  constructor(terms: ConnectionTerms, protocol: Protocol, hear: ConnectionHearing) {
    this.#terms = terms
    this.#hear = hear
    const client = makeClient(terms, protocol)
    this.#client = client
    this.#textClient = client.withTypeMapping(mapsAsMaps)
    this.#bytesClient = client.withTypeMapping(stringsAsBytes)
    let cause: Error | undefined
    // Every failure reaches the caller of a command; the listener keeps it from being thrown a second time.
    this.#client.on('error', (error) => {
      cause = error
      // The library drops what it cannot read and goes on: the answers behind it would reach the wrong callers.
      if (this.#open && this.#client.isReady) this.close(error)
    })
    // `end` comes when we close it, `terminated` when the other side does.
    this.#client.on('terminated', (error) => this.#lost(error ?? cause))
    this.#client.on('end', () => this.#lost(cause))
    if (protocol === 'tracking') this.#client.on('invalidate', (key) => this.#collect(key))
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Opens it and, if changes are to be told, begins to listen before anybody can use it. */
  async open(clock: Clock, protocol: Protocol): Promise<void> {
    const { tls, withinMs } = this.#terms
    // The library itself gives up a network or a handshake that is silent for as long as one step may take.
    const steps = tls === undefined || tls === false ? 1 : stepsWithTls
    const stop = clock.after(withinMs * steps, () => this.#client.destroy())
    try {
      await this.#client.connect()
      if (protocol === 'tracking') await this.listen(this.#terms.listen === true)
      if (!this.#client.isReady) throw new Error('the connection was lost while it was opened')
      this.#open = true
    } catch (error) {
      this.close()
      throw asReplyError(error) ?? error
    } finally {
      stop()
    }
  }

  /** The reply, or its rejection with an error that `asReplyError` knows, or with the loss of the connection. */
  send(args: readonly Argument[], bytes: boolean): Promise<unknown> {
    return bytes ? this.#bytesClient.sendCommand(args) : this.#textClient.sendCommand(args)
  }

  /** Whether changes are told. Done when the node has confirmed it: what it answers afterwards, it would tell of. */
  async listen(on: boolean): Promise<void> {
    // The library has turned on another kind of tracking, which remembers every key that is read.
    const commands = [['CLIENT', 'TRACKING', 'OFF']]
    const prefixes = this.#terms.track.flatMap((prefix) => ['PREFIX', prefix])
    if (on) commands.push(['CLIENT', 'TRACKING', 'ON', 'BCAST', ...prefixes, 'NOLOOP'])
    await Promise.all(commands.map((command) => this.#client.sendCommand(command)))
  }

  /** For a connection that does nothing else. */
  subscribe(channels: readonly string[], listener: (text: string, channel: string) => void): Promise<void> {
    return this.#client.subscribe(channels, listener)
  }

  unsubscribe(channels: readonly string[]): Promise<void> {
    return this.#client.unsubscribe(channels)
  }

  /** May be called at any time and again. Rejects all that waits. */
  close(error?: Error): void {
    this.#client.destroy()
    this.#lost(error)
  }

  #lost(error: Error | undefined): void {
    if (!this.#open) return
    this.#open = false
    this.#hear.lost(error ?? new Error('the connection was closed'))
    // Only this takes it off the library's list of clients.
    this.#client.destroy()
  }

  #collect(key: Buffer | string | null): void {
    if (this.#changed === undefined) {
      this.#changed = []
      queueMicrotask(() => {
        const keys = this.#changed
        this.#changed = undefined
        if (keys !== undefined) this.#hear.changed(keys)
      })
    }
    if (key === null) this.#changed = null
    else this.#changed?.push(typeof key === 'string' ? key : key.toString())
  }
}

/** What the engine said, if this is a reply and not the connection. */
export function asReplyError(error: unknown): ReplyError | undefined {
  if (error instanceof ReplyError) return error
  return error instanceof ErrorReply ? replyError(error) : undefined
}

/** A reply as callers get it: error replies in lists are values of ours, as EXEC has them, and maps are plain objects. */
export function plainReply(reply: unknown): unknown {
  if (typeof reply !== 'object' || Buffer.isBuffer(reply)) return reply
  if (Array.isArray(reply)) return reply.some(isNested) ? reply.map(plainReply) : reply
  if (reply instanceof Map) return Object.fromEntries(Array.from(reply, ([key, value]) => [key, plainReply(value)]))
  return reply instanceof ErrorReply ? replyError(reply) : reply
}

const isNested = (value: unknown): boolean => typeof value === 'object' && value !== null && !Buffer.isBuffer(value)

/** In the engine's words, without the arguments that it repeats for a command it does not know. */
function replyError({ message }: ErrorReply): ReplyError {
  const repeats = message.indexOf(', with args beginning with')
  return new ReplyError(repeats === -1 ? message : message.slice(0, repeats))
}

/** Whether the command surely never left this process. */
export function wasNotSent(error: unknown): boolean {
  return error instanceof ClientOfflineError || error instanceof ClientClosedError
}

function makeClient(terms: ConnectionTerms, protocol: Protocol): Client {
  const { address, tls, user, password, db, name, withinMs } = terms
  const socket = {
    host: address.host,
    port: address.port,
    reconnectStrategy: false,
    connectTimeout: withinMs,
    noDelay: true,
    ...(tls === undefined || tls === false ? {} : { ...(tls === true ? {} : tls), tls: true }),
  }
  const options = {
    // Said twice: the class takes its types from it, the connection its greeting.
    RESP: protocol === 'old' ? 2 : 3,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(db === undefined ? {} : { database: db }),
    ...(name === undefined ? {} : { name }),
    ...(terms.readonly === true ? { readonly: true } : {}),
    socket,
    // The default makes a timer for each command and does not end the wait for what was written.
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    emitInvalidate: protocol === 'tracking',
  }
  if (protocol !== 'old') return (newClient as unknown as (options: object) => Client)(options)
  newOldClient ??= RedisClient.factory({ RESP: 2 }) as unknown as (options: object) => unknown
  return newOldClient(options) as Client
}
