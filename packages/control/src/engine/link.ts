import { HoldfastError } from '@holdfast/core'
import { ErrorReply, RESP_TYPES, RedisClient } from '@redis/client'
import type { Reach } from './reach.ts'
import { isAddress } from './reach.ts'

/** Whom to connect as, and where. */
export type LinkTarget = LinkPlace & LinkUser

/** A port, or a socket file. */
type LinkPlace = { readonly address: string; readonly port: number } | { readonly socket: string }

interface LinkUser {
  /** Empty: the default user. */
  readonly username: string
  /** Asked for each connection where it may change. */
  readonly password: string | (() => string)
  /** Where it may lead. Default: anywhere. */
  readonly reach?: Reach
  /** How the engine lists the connection. Empty: without a name, since giving one takes a right of its own. */
  readonly name: string
  /** Whom to believe that it is the engine, PEM; asked for each connection. Absent or null: it is spoken to in clear. */
  readonly authority?: (() => string | null) | undefined
}

type Client = ReturnType<typeof makeClient>

/** In which a connection must be open, greeting included; then it is given up, and the next command opens another. */
const openWithinMs = 3000

/**
 * Made once: the library builds a class of all its commands for every new set of options, which takes 20 ms of a core
 * just when a failover must not wait, and leaves 90 MB of garbage behind.
 */
const protocol = { RESP: 2 } as const
const newClient = RedisClient.factory(protocol)
const asBytes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } }

/** A single connection without the library's own ideas of retrying, queueing and giving up. */
function makeClient(target: LinkTarget) {
  const { username, password, name, reach } = target
  // A name is judged by what it is resolved to, by the connection itself; an address is never resolved.
  if (reach !== undefined && 'address' in target && isAddress(target.address)) reach.refuse(target.address)
  const where =
    'socket' in target
      ? { path: target.socket }
      : {
          host: target.address,
          port: target.port,
          noDelay: true,
          ...secured(target.authority),
          ...(reach === undefined ? {} : { lookup: reach.lookup }),
        }
  // The protocol is said twice: the class takes its types from it, the connection its greeting.
  const options = {
    ...protocol,
    ...(username === '' ? {} : { username }),
    password: typeof password === 'string' ? password : password(),
    ...(name === '' ? {} : { name }),
    socket: { ...where, reconnectStrategy: false as const, connectTimeout: 1000 },
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
    disableOfflineQueue: true,
  }
  return newClient(options)
}

/** What a socket of the library needs besides, to speak TLS with an engine of this authority. */
export function secured(
  authority: LinkUser['authority'],
): { readonly tls: true; readonly ca: string } | { readonly tls?: never } {
  const ca = authority?.() ?? null
  return ca === null ? {} : { tls: true, ca }
}

/**
 * One connection to one engine, opened when first needed and again after it was lost. Commands are written at once
 * and in order; each has a deadline, after which the answer is no longer waited for.
 */
export class EngineLink {
  readonly #target: LinkTarget
  readonly #onClose: () => void
  #client: Client | undefined
  #opening: Promise<void> | undefined
  /** Whether the connection was ever up: one that could not be opened was not lost. */
  #wasOpen = false
  #ended = false

  constructor(target: LinkTarget, onClose: () => void = () => {}) {
    this.#target = target
    this.#onClose = onClose
  }

  get isOpen(): boolean {
    return this.#client?.isReady === true
  }

  /** The reply, waited for at most `withinMs` (1 s; null: as long as it takes). Throws ENGINE_REFUSED with the engine's own words, or UNREACHABLE_ENGINE. */
  async command(args: readonly string[], withinMs: number | null = 1000): Promise<unknown> {
    const [first] = await this.pipeline([args], withinMs)
    return first
  }

  /** The replies in order, all written in one go. The first error reply is thrown. */
  async pipeline(commands: readonly (readonly string[])[], withinMs: number | null = 1000): Promise<unknown[]> {
    return this.#ask(commands, withinMs, {})
  }

  /** The same with every string of a reply as its bytes: keys need not be text. */
  async pipelineOfBytes(
    commands: readonly (readonly (string | Buffer)[])[],
    withinMs: number | null = 1000,
  ): Promise<unknown[]> {
    return this.#ask(commands, withinMs, asBytes)
  }

  async #ask(
    commands: readonly (readonly (string | Buffer)[])[],
    withinMs: number | null,
    how: Parameters<Client['sendCommand']>[1],
  ): Promise<unknown[]> {
    const where = whereOf(this.#target)
    const answers = this.#open().then((client) =>
      Promise.all(commands.map((args) => client.sendCommand([...args], how))),
    )
    try {
      return await (withinMs === null ? answers : within(answers, withinMs, where))
    } catch (error) {
      throw describe(error, where, commands[0]?.slice(0, 2).map(String).join(' ') ?? '')
    }
  }

  /**
   * Closes it for good: a command that comes after it, from work that was under way, is refused. It would open a
   * connection that nobody closes, and a process with such a one never ends.
   */
  end(): void {
    this.#ended = true
    this.close()
  }

  /** Closes what is open; the next command opens it again. */
  close(): void {
    const client = this.#client
    this.#client = undefined
    this.#opening = undefined
    if (client !== undefined) {
      client.removeAllListeners('end')
      client.destroy()
    }
  }

  async #open(): Promise<Client> {
    if (this.#ended) throw new Error('the connection was closed')
    if (this.#client === undefined || (!this.#client.isOpen && this.#opening === undefined)) this.#connect()
    await this.#opening
    if (this.#client === undefined) throw new Error('the connection was closed')
    return this.#client
  }

  #connect(): void {
    const client = makeClient(this.#target)
    // Every failure reaches the caller of a command; the listener keeps it from being thrown a second time.
    client.on('error', () => {})
    // `end` comes when we close it, `terminated` when the other side does.
    client.on('end', () => this.#lost(client))
    client.on('terminated', () => this.#lost(client))
    this.#client = client
    // The library's own limit ends with the TCP connection; a greeting that is never answered would be waited for for ever.
    this.#opening = within(client.connect(), openWithinMs, whereOf(this.#target)).then(
      () => {
        // Closed while it was on its way: the library brings it up all the same, and nobody else would close it.
        if (this.#client !== client) return client.destroy()
        this.#opening = undefined
        this.#wasOpen = true
      },
      (error: unknown) => {
        this.#lost(client)
        client.destroy()
        throw error
      },
    )
    // Who asked has his own deadline, and may be gone by then.
    this.#opening.catch(() => {})
  }

  #lost(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#opening = undefined
    if (this.#wasOpen) this.#onClose()
    this.#wasOpen = false
  }
}

const whereOf = (target: LinkTarget): string =>
  'socket' in target ? target.socket : `${target.address}:${target.port}`

async function within<T>(work: Promise<T>, ms: number, where: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${where} did not answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
    // What comes after the deadline has no reader.
    work.catch(() => {})
  }
}

/** An error reply starts with a word in capitals; anything else is the connection. */
function describe(error: unknown, where: string, command: string): HoldfastError {
  if (error instanceof HoldfastError) return error
  const said = error instanceof Error ? error.message : String(error)
  return error instanceof ErrorReply
    ? new HoldfastError('ENGINE_REFUSED', `${where} refused ${command}: ${said}`, { where, command, said }, error)
    : new HoldfastError(
        'UNREACHABLE_ENGINE',
        `${where} cannot be asked (${command}): ${said}`,
        { where, command, said },
        error,
      )
}
