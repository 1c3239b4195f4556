/**
 * One node as this process sees it: its connection, opened when first needed and again after it was lost, its breaker,
 * and whether it is alive. It writes calls and tells what became of them; where a call goes next is not its business.
 */
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import { pauseMs } from './backoff.ts'
import { type Breaker, closedBreaker, isProbeDue, isProbeFailed, probe, trip } from './breaker.ts'
import { asReplyError, Connection, type ConnectionTerms, type Protocol, plainReply, wasNotSent } from './connection.ts'
import type { Deadlines } from './deadlines.ts'
import type { Argument, Command, Link, NodeState, ReplyError } from './engine.ts'
import { deniedBy } from './failures.ts'
import type { Flight } from './flight.ts'
import { isUnready, nameOf } from './replies.ts'
import type { Address } from './topology.ts'

export interface NodeTerms extends Omit<ConnectionTerms, 'address'> {
  readonly maxPending: number
  /** Who says READONLY to a replica of a Cluster. */
  readonly cluster: boolean
  /** Ask a node that takes writes whether it does, before it is used: what it says of itself is newer than the layout. */
  readonly checkRole: boolean
  /** Nothing else than long waits goes over this connection: silence means nothing while one is under way. */
  readonly blocking: boolean
  /** Ask each node for its zone. */
  readonly zones: boolean
}

export interface NodeHearing {
  changed(keys: readonly string[] | null): void
  linked(link: Link): void
  unlinked(link: Link, because: string): void
  breaker(node: string, state: Breaker['state'], because: string): void
  /** An operator must know: it does not let us in, or not do what was asked. `said`: its words. */
  refused(error: Error, said: string): void
  /** It can be used, or cannot be used any more: whoever waits should look again. */
  turned(node: EngineNode, because: string): void
}

export interface NodePorts {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly hear: NodeHearing
}

export type Role = 'primary' | 'replica'

class Life implements Link {
  readonly node: string
  live: boolean
  constructor(node: string, live: boolean) {
    this.node = node
    this.live = live
  }
}

const reconnectBackoff = { fromMs: 50, toMs: 500 }
const deniedPauseMs = 5000
const quietMs = 500
const silentMs = 1000
/** After which a node that could not tell of changes is asked again whether it can. */
const protocolAgainMs = 60_000
/** Of how many calls one is measured. */
const sampleEvery = 64
/** Who is said to be gone and does not answer within this is left alone. */
const doubtMs = 50

export class EngineNode {
  readonly address: Address
  readonly name: string
  readonly #terms: NodeTerms
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #hear: NodeHearing
  readonly #deaf: Life
  role: Role
  /** Whether a call may be written right now. */
  ready = false
  /** How many replies have come so far: a silence is told by this standing still. */
  heard = 0
  /** Commands that were handed over and have no reply. */
  pending = 0
  /** How long a reply takes, smoothed; undefined until one was measured. */
  latencyMs: number | undefined
  zone: string | null = null
  /** Why the node does not let us in. */
  denied: ReplyError | undefined
  #breaker: Breaker = closedBreaker
  #connection: Connection | undefined
  /** The connection that is being opened. */
  #attempt: Connection | undefined
  /** The node was not yet told to tell of changes: nothing may be read before. */
  #isDeaf = false
  /** Counts how often the role has changed: what was said for an earlier role says nothing of this one. */
  #roles = 0
  #closed = false
  #isDoubted = false
  #stopRetry: (() => void) | undefined
  #failures = 0
  #link: Life
  #protocol: Protocol
  #protocolSince = 0
  #toldUntracked = false
  #sampling = 0
  readonly #onceTurned: (() => void)[] = []
  /** For liveness: what was heard at the last look, and since when nothing more has come. */
  #heardSeen = 0
  #quietSince = 0
  #pingSentAt: number | undefined

  constructor(address: Address, role: Role, terms: NodeTerms, { clock, deadlines, hear }: NodePorts) {
    this.address = address
    this.name = nameOfAddress(address)
    this.role = role
    this.#terms = terms
    this.#clock = clock
    this.#deadlines = deadlines
    this.#hear = hear
    this.#deaf = new Life(this.name, false)
    this.#link = this.#deaf
    this.#protocol = this.#bestProtocol
  }

  get breaker(): Breaker {
    return this.#breaker
  }

  get link(): Link {
    return this.#link
  }

  get isConnected(): boolean {
    return this.#connection?.isOpen === true
  }

  state(role: NodeState['role']): NodeState {
    const { name, zone, pending, isConnected } = this
    return { node: name, role, zone, breaker: this.#breaker.state, connected: isConnected, pending }
  }

  /** Opens the connection if nobody did yet; it is kept from then on. */
  open(): void {
    if (this.#closed || this.#attempt !== undefined || this.#connection !== undefined || this.#stopRetry !== undefined)
      return
    this.#connect()
  }

  /**
   * The layout says so. Only those that take writes tell of changes: a replica would tell us of our own, because to it
   * they come from its primary. A replica in a Cluster answers reads only where it was told that it may.
   */
  become(role: Role): void {
    if (this.role === role) return
    this.role = role
    const connection = this.#connection
    if (connection === undefined) return
    if (this.#terms.cluster) this.#tell(connection, [role === 'replica' ? 'READONLY' : 'READWRITE'])
    if (this.#protocol !== 'tracking') return
    this.#endLink(`it is a ${role}`)
    this.ready = false
    this.#isDeaf = true
    const change = ++this.#roles
    connection.listen(role === 'primary').then(
      () => {
        if (this.#connection !== connection || this.#roles !== change) return
        this.#isDeaf = false
        if (role === 'primary') this.#beginLink()
        this.ready = this.#breaker.state === 'closed'
        this.#turned(`it is a ${role}`)
      },
      (error: Error) => {
        if (this.#connection === connection) this.#drop(error)
      },
    )
  }

  /** What came over the link must be compared before it is used again, although the connection lives. */
  renewLink(because: string): void {
    if (!this.#link.live) return
    this.#endLink(because)
    this.#beginLink()
  }

  /** Writes the call. Only when `ready`. */
  write(flight: Flight, asking: boolean): void {
    const connection = this.#connection as Connection
    const { call, end } = flight
    flight.node = this
    flight.role = this.role
    flight.link = this.#link
    flight.sent = true
    flight.sentAt = this.#deadlines.now
    flight.heardBefore = this.heard
    const commands = call.commands
    const first = commands[0] as Command
    if (commands.length > 1 || asking || 'script' in first) return this.#writeMany(flight, connection, asking)
    const sampledAt = ++this.#sampling % sampleEvery === 0 ? this.#clock.monotonic() : undefined
    this.pending++
    connection.send(first, call.bytes === true).then(
      (reply) => {
        this.#heardReply()
        if (sampledAt !== undefined) this.#measured(sampledAt)
        end.answered(flight, [plainReply(reply)])
      },
      (error: unknown) => {
        const refusal = asReplyError(error)
        if (refusal === undefined) {
          this.pending--
          end.failed(flight, error as Error, wasNotSent(error))
        } else {
          this.#heardReply(refusal)
          end.answered(flight, [refusal])
        }
      },
    )
  }

  /** Calls once, when it was opened, or could not be, or was lost. */
  whenTurned(call: () => void): void {
    this.#onceTurned.push(call)
  }

  /** Answers to commands of our own, such as the layout's; error replies are values. Whatever the breaker says. */
  async ask(commands: readonly (readonly Argument[])[]): Promise<readonly unknown[]> {
    const connection = this.#connection
    if (connection === undefined || !connection.isOpen) throw this.denied ?? new Error(`${this.name} is not connected`)
    return Promise.all(
      commands.map(async (command) => {
        this.pending++
        try {
          const reply = await connection.send(command, false)
          this.#heardReply()
          return plainReply(reply)
        } catch (error) {
          const refusal = asReplyError(error)
          if (refusal === undefined) {
            this.pending--
            throw error
          }
          this.#heardReply()
          return refusal
        }
      }),
    )
  }

  /** A deadline has passed, and nothing at all was heard since the call was written. */
  stalled(because: string): void {
    if (this.#connection === undefined) return
    // Whatever is behind a long wait will not be answered either.
    if (this.#terms.blocking) this.#drop(new Error(because))
    else this.#trip(because)
  }

  /** It is said to be gone: whoever is alive answers, and nothing comes of it. */
  doubt(because: string): void {
    const connection = this.#connection
    if (connection === undefined || this.#isDoubted || this.#breaker.state !== 'closed') return
    const { heard } = this
    this.#isDoubted = true
    this.#ping(connection)
    this.#clock.after(doubtMs, () => {
      this.#isDoubted = false
      if (this.#connection === connection && this.heard === heard) this.#trip(`${because}, and it does not answer`)
    })
  }

  /** Called a few times a second: probes, pings, and gives up what is silent. `stalled`: we ourselves stood still. */
  pulse(now: number, stalled: boolean): void {
    const connection = this.#connection
    if (connection === undefined || !connection.isOpen) return
    if (this.heard !== this.#heardSeen || stalled) {
      this.#heardSeen = this.heard
      this.#quietSince = now
      this.#pingSentAt = undefined
      return
    }
    if (this.#terms.blocking && this.pending > 0 && this.#pingSentAt === undefined) return
    if (this.#pingSentAt !== undefined && now - this.#pingSentAt >= silentMs) {
      this.#drop(new Error(`nothing was heard for ${Math.round(now - this.#quietSince)} ms`))
      return
    }
    if (isProbeFailed(this.#breaker, now)) this.#trip('it does not answer a PING')
    if (isProbeDue(this.#breaker, now)) {
      this.#setBreaker(probe(this.#breaker, now, reconnectBackoff.toMs))
      this.#ping(connection)
    } else if (now - this.#quietSince >= quietMs && this.#pingSentAt === undefined) {
      this.#pingSentAt = now
      this.#ping(connection)
    }
  }

  close(because: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopRetry?.()
    this.#stopRetry = undefined
    this.#forget(because)?.close()
    this.#attempt?.close()
    for (const call of this.#onceTurned.splice(0)) call()
  }

  get #bestProtocol(): Protocol {
    return this.#terms.track.length > 0 ? 'tracking' : 'plain'
  }

  #connect(): void {
    this.#stopRetry = undefined
    const now = this.#clock.monotonic()
    if (this.#protocol !== this.#bestProtocol && now - this.#protocolSince > protocolAgainMs) {
      this.#protocol = this.#bestProtocol
    }
    const protocol = this.#protocol
    const readonly = this.#terms.cluster && this.role === 'replica'
    const terms = { ...this.#terms, address: this.address, readonly, listen: this.role === 'primary' }
    const connection: Connection = new Connection(terms, protocol, {
      lost: (error) => {
        if (this.#connection === connection) this.#drop(error)
      },
      changed: (keys) => {
        this.heard++
        if (this.#connection === connection) this.#hear.changed(keys)
      },
    })
    this.#attempt = connection
    const role = this.role
    connection
      .open(this.#clock, protocol)
      .then(() => this.#greet(connection, role))
      .then(
        () => {
          this.#attempt = undefined
          if (this.#closed || !connection.isOpen) connection.close()
          if (!this.#closed) this.#opened(connection, role)
        },
        (error: unknown) => {
          this.#attempt = undefined
          connection.close()
          if (!this.#closed) this.#notOpened(error, protocol)
        },
      )
  }

  /** What must be known of the node before it is used. */
  async #greet(connection: Connection, role: Role): Promise<void> {
    if (!this.#terms.checkRole || role !== 'primary') return
    const stop = this.#clock.after(this.#terms.withinMs, () => connection.close())
    try {
      const reply = await connection.send(['ROLE'], false)
      if (Array.isArray(reply) && reply[0] !== 'master') throw new Error('it says that it is not the primary')
    } catch (error) {
      // Where ROLE is not allowed, nothing is known, and READONLY will tell.
      if (asReplyError(error) === undefined) throw error
    } finally {
      stop()
    }
  }

  #opened(connection: Connection, role: Role): void {
    if (!connection.isOpen) {
      this.#notOpened(new Error('the connection was lost while it was opened'), this.#protocol)
      return
    }
    this.#connection = connection
    this.#failures = 0
    this.denied = undefined
    this.#heardSeen = this.heard
    this.#quietSince = this.#clock.monotonic()
    this.#pingSentAt = undefined
    this.#isDeaf = false
    if (this.#protocol === 'tracking' && role === 'primary') this.#beginLink()
    this.#setBreaker(closedBreaker)
    this.ready = true
    const meanwhile = this.role
    if (meanwhile !== role) {
      this.role = role
      this.become(meanwhile)
    }
    this.#askZone()
    this.#turned(`${this.name} is connected`)
  }

  #notOpened(error: unknown, protocol: Protocol): void {
    const refusal = asReplyError(error)
    const word = refusal?.word ?? ''
    if (
      refusal !== undefined &&
      word !== 'WRONGPASS' &&
      word !== 'LOADING' &&
      word !== 'NOAUTH' &&
      protocol !== 'old'
    ) {
      // It lets us in, and refuses part of the greeting: ask for less.
      this.#protocol = protocol === 'tracking' ? 'plain' : 'old'
      this.#protocolSince = this.#clock.monotonic()
      if (protocol === 'tracking') this.#tellUntracked(refusal)
      this.#connect()
      return
    }
    const denied = word === 'WRONGPASS' || word === 'NOAUTH' || word === 'NOPERM' ? refusal : undefined
    if (denied !== undefined) {
      if (this.denied?.message !== denied.message) this.#hear.refused(deniedBy(this.name, denied), denied.message)
      this.denied = denied
    }
    const because = error instanceof Error && error.message !== '' ? error.message : `cannot connect (${codeOf(error)})`
    this.#trip(because)
    this.#retryLater(denied === undefined ? undefined : deniedPauseMs)
    this.#turned(because)
  }

  #retryLater(ms = pauseMs(this.#failures++, reconnectBackoff, this.#clock.random())): void {
    this.#stopRetry = this.#clock.after(ms, () => {
      this.#stopRetry = undefined
      this.#connect()
    })
  }

  /** The connection is of no use any more. */
  #drop(error: Error): void {
    const because = error.message === '' ? `the connection was lost (${codeOf(error)})` : error.message
    const connection = this.#forget(because)
    if (connection === undefined) return
    this.#trip(because)
    // Closed last: all that waits is rejected, and must find the breaker open.
    connection.close()
    this.#retryLater()
    this.#turned(because)
  }

  #forget(because: string): Connection | undefined {
    const connection = this.#connection
    this.#connection = undefined
    this.ready = false
    this.#endLink(because)
    return connection
  }

  #heardReply(refusal?: ReplyError): void {
    this.pending--
    this.heard++
    // Who is alive and still reads its files is of no use yet.
    if (refusal !== undefined && isUnready(refusal)) return
    if (this.#breaker.state !== 'closed' && this.#connection?.isOpen === true) {
      this.#setBreaker(closedBreaker)
      this.ready = !this.#isDeaf
      this.#turned(`${this.name} answers`)
    }
  }

  #trip(because: string): void {
    this.ready = false
    const now = this.#clock.monotonic()
    this.#setBreaker(trip(this.#breaker, now, because, this.#clock.random()))
    // Whoever waits here may find another copy, or must not wait.
    if (this.#connection !== undefined) this.#turned(because)
  }

  #setBreaker(next: Breaker): void {
    const before = this.#breaker.state
    this.#breaker = next
    if (next.state !== before) {
      this.#hear.breaker(this.name, next.state, next.state === 'closed' ? 'it answers' : next.because)
    }
  }

  #turned(because: string): void {
    for (const call of this.#onceTurned.splice(0)) call()
    this.#hear.turned(this, because)
  }

  #askZone(): void {
    if (!this.#terms.zones || this.zone !== null) return
    this.ask([['INFO', 'server']]).then(
      ([info]) => {
        this.zone = /^availability_zone:(.+?)\r?$/m.exec(String(info))?.[1] ?? null
      },
      () => {},
    )
  }

  #beginLink(): void {
    this.#link = new Life(this.name, true)
    this.#hear.linked(this.#link)
  }

  #endLink(because: string): void {
    const link = this.#link
    this.#link = this.#deaf
    if (!link.live) return
    link.live = false
    this.#hear.unlinked(link, because)
  }

  #ping(connection: Connection): void {
    const sentAt = this.#clock.monotonic()
    this.pending++
    connection.send(['PING'], false).then(
      () => {
        this.#heardReply()
        this.#measured(sentAt)
      },
      (error: unknown) => {
        const refusal = asReplyError(error)
        if (refusal === undefined) this.pending--
        else this.#heardReply(refusal)
      },
    )
  }

  /** A command whose reply nobody needs. */
  #tell(connection: Connection, command: readonly string[]): void {
    this.pending++
    connection.send(command, false).then(
      () => this.#heardReply(),
      (error: unknown) => {
        if (asReplyError(error) === undefined) this.pending--
        else this.#heardReply()
      },
    )
  }

  #measured(sentAt: number): void {
    const ms = this.#clock.monotonic() - sentAt
    this.latencyMs = this.latencyMs === undefined ? ms : this.latencyMs * 0.8 + ms * 0.2
  }

  #tellUntracked(refusal: ReplyError): void {
    if (this.#toldUntracked) return
    this.#toldUntracked = true
    const { name } = this
    const error = new CacheError(
      'DENIED',
      `${name} does not tell of changed keys: ${refusal.message}. Entries live until their ttl; allow CLIENT TRACKING`,
      { node: name, said: refusal.message },
      refusal,
    )
    this.#hear.refused(error, refusal.message)
  }

  #writeMany(flight: Flight, connection: Connection, asking: boolean): void {
    const { call, end } = flight
    const { commands } = call
    const bytes = call.bytes === true
    const replies: unknown[] = Array.from({ length: commands.length })
    let left = 0
    let loss: Error | undefined
    const settle = (): void => {
      if (--left > 0) return
      if (loss === undefined) end.answered(flight, replies)
      else end.failed(flight, loss, wasNotSent(loss))
    }
    const send = (at: number, args: readonly Argument[]): void => {
      left++
      this.pending++
      connection.send(args, bytes).then(
        (reply) => {
          this.#heardReply()
          if (at >= 0) replies[at] = plainReply(reply)
          settle()
        },
        (error: unknown) => {
          const refusal = asReplyError(error)
          if (refusal === undefined) {
            this.pending--
            loss ??= error as Error
          } else {
            this.#heardReply(refusal)
            if (at >= 0) replies[at] = refusal
          }
          settle()
        },
      )
    }
    // Among several commands a missing script would be noticed when the ones before it are done.
    if (commands.length > 1) {
      for (const command of commands) {
        if (!('script' in command)) continue
        const { sha, lua } = command.script
        if (connection.scripts.has(sha) && !flight.inFull) continue
        connection.scripts.add(sha)
        send(-1, ['SCRIPT', 'LOAD', lua])
      }
    }
    let inTransaction = false
    for (const [at, command] of commands.entries()) {
      // Inside a transaction the word still holds, and would be queued as a command of it.
      if (asking && !inTransaction) send(-1, ['ASKING'])
      const word = nameOf(command)
      if (word === 'MULTI') inTransaction = true
      if (word === 'EXEC' || word === 'DISCARD') inTransaction = false
      send(at, argumentsOf(command, flight.inFull && commands.length === 1))
    }
  }
}

function argumentsOf(command: Command, inFull: boolean): readonly Argument[] {
  if (!('script' in command)) return command
  const { script, keys, args } = command
  const start = inFull ? ['EVAL', script.lua] : ['EVALSHA', script.sha]
  return [...start, `${keys.length}`, ...keys, ...args]
}

export function nameOfAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
}
