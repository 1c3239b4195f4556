/**
 * The engine over a connection that somebody else made and looks after. Finding nodes, following them and reconnecting
 * are that client's; what is added here are deadlines, one breaker for the whole client, retries of what surely was not
 * done, and errors by what the caller should do.
 */
import { type Clock, systemClock } from '../../clock.ts'
import { CacheError } from '../../errors.ts'
import { pauseMs } from '../backoff.ts'
import { type Breaker, closedBreaker, isProbeDue, probe, trip } from '../breaker.ts'
import type { Answer, Argument, Call, Engine, EngineEvents, Link, Message, NodeState, Subscription } from '../engine.ts'
import { ReplyError } from '../engine.ts'
import { judge, nothingDone } from '../replies.ts'
import { keyInside, slotOf } from '../slots.ts'

export interface Hear {
  readonly message: (message: Message) => void
  readonly gap: (because: string) => void
}

/** What both kinds of clients can do, in one shape. */
export interface Foreign {
  /** For people: the client's name. */
  readonly name: string
  readonly ready: boolean
  readonly clustered: boolean
  /** Replies in order, error replies as values; rejects only when the connection failed. Several stay together. */
  send(commands: readonly (readonly Argument[])[], how: ForeignCall): Promise<readonly unknown[]>
  /** Whether a call of that kind may reach a replica, as the client is configured. */
  mayReachReplica(call: Pick<ForeignCall, 'isRead' | 'nearby'>): boolean
  /** Who has each slot, by any name; null where there are no slots. */
  owners(): readonly (string | undefined)[] | null
  /** Another one like it, connecting; undefined where the client cannot make any. */
  duplicate(): Foreign | undefined
  /** Only on one that is used for nothing else. */
  subscribe(channels: readonly string[], hear: Hear): Promise<void>
  /** Ends the connection without waiting for anything. */
  destroy(): void
}

export interface ForeignCall {
  readonly key: string | null
  readonly bytes: boolean
  readonly isRead: boolean
  /** The caller does not need the primary. */
  readonly nearby: boolean
}

export interface ForeignPorts {
  /** Time and chance; for tests. Default: the system's. */
  readonly clock?: Clock | undefined
}

const retryBackoff = { fromMs: 2, toMs: 128 }
const probeWithinMs = 300
const connectWithinMs = 2000
/** Less waiting than that says nothing about a node. */
const silenceThatCountsMs = 50
/** A timer that is so late means that our own event loop stood still. */
const ownStallMs = 30
const mostPending = 10_000
/** What clients say when they have not even tried to write. */
const unsent = /isn't writeable|client is (?:closed|offline)|Connection is closed before/i

type Outcome =
  | { readonly kind: 'replies'; readonly replies: readonly unknown[] }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'late' }

export function engineOverForeign(client: Foreign, { clock = systemClock }: ForeignPorts): Engine {
  return new ForeignEngine(client, clock, false)
}

class ForeignEngine implements Engine {
  readonly tracks = false
  readonly #client: Foreign
  readonly #clock: Clock
  /** Whether the connection is ours to close: a lane's is, the application's is not. */
  readonly #owned: boolean
  readonly #link: Link
  readonly #lanes = new Map<string, Engine>()
  readonly #subscriptions = new Set<Subscription>()
  readonly #breakerListeners = new Set<EngineEvents['breaker']>()
  readonly #troubleListeners = new Set<EngineEvents['trouble']>()
  /** Told when the engine is closed or the breaker changes: whoever pauses looks again. */
  readonly #pausing = new Set<() => void>()
  #breaker: Breaker = closedBreaker
  #cancelProbe = (): void => {}
  #wasReady = false
  /** How many answers came so far: silence is when it does not grow. */
  #heard = 0
  #pending = 0
  #lastTrouble = ''
  #closed = false

  constructor(client: Foreign, clock: Clock, owned: boolean) {
    this.#client = client
    this.#clock = clock
    this.#owned = owned
    this.#link = { node: client.name, live: false }
  }

  async send(call: Call): Promise<Answer> {
    if (this.#pending >= mostPending) throw this.#unavailable(call, `${mostPending} calls wait already`)
    this.#pending++
    try {
      return await this.#untilDone(call)
    } finally {
      this.#pending--
    }
  }

  group(keys: readonly string[]): readonly (readonly number[])[] {
    if (!this.#client.clustered) return keys.length === 0 ? [] : [keys.map((_, index) => index)]
    const groups = new Map<number, number[]>()
    for (const [index, key] of keys.entries()) {
      const slot = slotOf(key)
      const group = groups.get(slot)
      if (group === undefined) groups.set(slot, [index])
      else group.push(index)
    }
    return [...groups.values()]
  }

  lane(purpose: string): Engine {
    const known = this.#lanes.get(purpose)
    if (known !== undefined) return known
    const client = this.#client.duplicate()
    const lane = client === undefined ? this : new ForeignEngine(client, this.#clock, true)
    this.#lanes.set(purpose, lane)
    return lane
  }

  async subscribe(channels: readonly string[], hear: Parameters<Engine['subscribe']>[1]): Promise<Subscription> {
    if (this.#closed) throw closedError()
    const client = this.#client.duplicate()
    if (client === undefined) {
      throw new CacheError(
        'INVALID',
        `${this.#client.name} cannot be duplicated, and a subscription needs a connection`,
      )
    }
    const subscription: Subscription = {
      close: () => {
        this.#subscriptions.delete(subscription)
        client.destroy()
        return Promise.resolve()
      },
    }
    this.#subscriptions.add(subscription)
    try {
      await this.#comeUp(client)
      const message: Hear['message'] = (heard) => hear.message(heard)
      await client.subscribe(channels, { message, gap: (because) => hear.gap(because) })
    } catch (error) {
      await subscription.close()
      throw new CacheError('UNAVAILABLE', `${this.#client.name} cannot subscribe`, {}, error)
    }
    return subscription
  }

  nodes(): readonly NodeState[] {
    const { name, ready } = this.#client
    const breaker = this.#breaker.state
    return [{ node: name, role: 'unknown', zone: null, breaker, connected: ready, pending: this.#pending }]
  }

  primaryKeys(): readonly string[] {
    const owners = this.#client.owners()
    if (owners === null) return ['0']
    const slots = new Map<string, [number, number][]>()
    for (const [slot, owner] of owners.entries()) {
      if (owner !== undefined) slots.set(owner, [...(slots.get(owner)?.slice(0, 63) ?? []), [slot, slot]])
    }
    return [...slots.values()].flatMap((ranges) => keyInside(ranges) ?? [])
  }

  /** The client finds out by itself. */
  hint(): void {}

  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void {
    const listeners: Set<unknown> | undefined =
      event === 'breaker' ? this.#breakerListeners : event === 'trouble' ? this.#troubleListeners : undefined
    // Nobody tells of the other events: this connection is not tracked, and its client keeps its moves to itself.
    listeners?.add(listener)
    return () => listeners?.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelProbe()
    for (const wake of this.#pausing) wake()
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()))
    const lanes = [...this.#lanes.values()].filter((lane) => lane !== this)
    await Promise.all(lanes.map((lane) => lane.close()))
    if (this.#owned) this.#client.destroy()
  }

  /** Waits until a connection of ours is there: what is asked before may be refused. */
  async #comeUp(client: Foreign): Promise<void> {
    const deadlineAt = this.#clock.monotonic() + connectWithinMs
    while (!client.ready) {
      if (this.#closed) throw closedError()
      if (this.#clock.monotonic() >= deadlineAt) throw new Error(`no connection within ${connectWithinMs} ms`)
      // oxlint-disable-next-line no-await-in-loop
      await this.#pause(4, connectWithinMs)
    }
  }

  async #untilDone(call: Call): Promise<Answer> {
    if (call.from === 'replica' && !this.#client.mayReachReplica({ isRead: true, nearby: true })) {
      throw this.#unavailable(call, 'the client does not read from replicas')
    }
    let evalInFull = call.commands.length > 1
    let last: Error | undefined
    for (let tries = 0; ; tries++) {
      if (this.#closed) throw closedError()
      const leftMs = call.deadlineAt - this.#clock.monotonic()
      if (leftMs <= 0) throw this.#unavailable(call, 'the deadline has passed', last)
      const away = this.#whyAway()
      // oxlint-disable no-await-in-loop: each try waits for the one before
      if (away !== undefined) {
        if (this.#wasReady && this.#breaker.state === 'closed') this.#trip(away)
        if (call.patient !== true && this.#breaker.state !== 'closed') throw this.#unavailable(call, away, last)
        await this.#pause(Math.max(4, tries), leftMs)
        // A client that never came up may just be starting: the first callers wait, and nobody after them.
        if (call.deadlineAt <= this.#clock.monotonic() && this.#breaker.state === 'closed') this.#trip(away)
        continue
      }
      this.#wasReady = true
      const outcome = await this.#attempt(call, leftMs, evalInFull)
      if (this.#closed) throw closedError()
      if (outcome.kind === 'late') {
        throw call.kind === 'write'
          ? this.#indeterminate(call, last)
          : this.#unavailable(call, 'it did not answer in time', last)
      }
      if (outcome.kind === 'failed') {
        last = outcome.error
        const { error } = outcome
        if (error instanceof TypeError)
          throw new CacheError('INVALID', 'a command is made of strings and Buffers', {}, error)
        if (!this.#client.ready) this.#trip(`the connection failed: ${error.message}`)
        const mayBeDone = call.kind === 'write' && !unsent.test(error.message)
        if (mayBeDone && call.idempotent !== true) throw this.#indeterminate(call, error)
      } else {
        const verdict = this.#judge(call, outcome.replies)
        if (verdict === 'done') {
          const role = this.#client.mayReachReplica(howOf(call)) ? 'replica' : 'primary'
          return { replies: outcome.replies, role, link: this.#link }
        }
        if (verdict === 'in-full') {
          evalInFull = true
          continue
        }
        last = verdict
      }
      await this.#pause(tries, call.deadlineAt - this.#clock.monotonic())
      // oxlint-enable no-await-in-loop
    }
  }

  #whyAway(): string | undefined {
    if (this.#breaker.state !== 'closed') return this.#breaker.because
    return this.#client.ready ? undefined : 'it is not connected'
  }

  async #attempt(call: Call, leftMs: number, evalInFull: boolean): Promise<Outcome> {
    const commands = call.commands.map((command) => {
      if (!('script' in command)) return command
      const { script, keys, args } = command
      const head = evalInFull ? ['EVAL', script.lua] : ['EVALSHA', script.sha]
      return [...head, `${keys.length}`, ...keys, ...args]
    })
    const heardBefore = this.#heard
    const startedAt = this.#clock.monotonic()
    return new Promise((resolve) => {
      const cancel = this.#clock.after(leftMs, () => {
        const waitedMs = this.#clock.monotonic() - startedAt
        const stalledOurselves = waitedMs > leftMs + ownStallMs
        // Others were answered meanwhile: slow, not silent.
        if (this.#heard === heardBefore && waitedMs >= silenceThatCountsMs && !stalledOurselves) {
          this.#trip(`it answered nothing within ${Math.round(waitedMs)} ms`)
        }
        resolve({ kind: 'late' })
      })
      const failed = (error: unknown): void => {
        cancel()
        resolve({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) })
      }
      const answered = (replies: readonly unknown[]): void => {
        this.#heard++
        cancel()
        resolve({ kind: 'replies', replies })
      }
      try {
        this.#client.send(commands, howOf(call)).then(answered, failed)
      } catch (error) {
        failed(error)
      }
    })
  }

  /** What becomes of a call that was answered: it is done, or done again in another way, or later because of an error. */
  #judge(call: Call, replies: readonly unknown[]): 'done' | 'in-full' | ReplyError {
    const refusal = replies.find((reply) => reply instanceof ReplyError)
    if (refusal === undefined) {
      this.#lastTrouble = ''
      return 'done'
    }
    const verdict = judge(refusal, { host: '', port: 0 })
    const undone = nothingDone(call.commands, replies, (reply) => reply instanceof ReplyError)
    switch (verdict.kind) {
      case 'no-script':
        return undone && call.commands.length === 1 ? 'in-full' : 'done'
      case 'redirect':
      case 'again':
        return undone ? refusal : 'done'
      case 'denied':
        if (replies.length > 1) return 'done'
        throw this.#denied(refusal)
      case 'final':
        if (replies.length > 1) return 'done'
        throw new CacheError(
          'REFUSED',
          `${this.#client.name} refused: ${refusal.message}`,
          { word: refusal.word },
          refusal,
        )
      default:
        return verdict satisfies never
    }
  }

  #denied(refusal: ReplyError): CacheError {
    const message = `${this.#client.name} is not allowed to do this (${refusal.word}): mend user, password or ACL`
    const error = new CacheError('DENIED', message, { word: refusal.word }, refusal)
    if (this.#lastTrouble !== refusal.word) for (const listener of this.#troubleListeners) listener(error)
    this.#lastTrouble = refusal.word
    return error
  }

  #trip(because: string): void {
    if (this.#closed || this.#breaker.state === 'open') return
    const now = this.#clock.monotonic()
    const opened = trip(this.#breaker, now, because, this.#clock.random())
    this.#turn(opened, because)
    const waitMs = opened.state === 'closed' ? 0 : opened.until - now
    this.#cancelProbe = this.#clock.after(Math.max(1, waitMs), () => void this.#probe())
  }

  async #probe(): Promise<void> {
    const now = this.#clock.monotonic()
    if (!isProbeDue(this.#breaker, now)) {
      this.#cancelProbe = this.#clock.after(5, () => void this.#probe())
      return
    }
    this.#turn(probe(this.#breaker, now, probeWithinMs), 'a probe goes out')
    const ping: Call = { commands: [['PING']], key: null, deadlineAt: now + probeWithinMs, kind: 'read' }
    const outcome = this.#client.ready ? await this.#attempt(ping, probeWithinMs, false) : undefined
    if (this.#closed) return
    if (outcome?.kind === 'replies') this.#turn(closedBreaker, 'it answers')
    else this.#trip(this.#client.ready ? 'it does not answer' : 'it is not connected')
  }

  #turn(breaker: Breaker, because: string): void {
    this.#breaker = breaker
    for (const listener of this.#breakerListeners) listener(this.#client.name, breaker.state, because)
    if (breaker.state === 'closed') for (const wake of this.#pausing) wake()
  }

  #pause(tries: number, leftMs: number): Promise<void> {
    const ms = Math.min(Math.max(1, pauseMs(tries, retryBackoff, this.#clock.random())), Math.max(0, leftMs))
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel()
        this.#pausing.delete(wake)
        resolve()
      }
      const cancel = this.#clock.after(ms, wake)
      this.#pausing.add(wake)
    })
  }

  #unavailable(call: Call, because: string, cause?: Error): CacheError {
    const { name } = this.#client
    return new CacheError('UNAVAILABLE', `${name} did not do ${describe(call)}: ${because}`, { node: name }, cause)
  }

  #indeterminate(call: Call, cause?: Error): CacheError {
    const { name } = this.#client
    return new CacheError(
      'INDETERMINATE',
      `${name} may have done ${describe(call)}: nobody answered`,
      { node: name },
      cause,
    )
  }
}

/** Error replies as the port has them. A reply starts with a word in capitals; anything else is the client's own. */
export function replyErrorOf(error: unknown): ReplyError | undefined {
  if (error instanceof ReplyError) return error
  const isReply = error instanceof Error && /^[A-Z][A-Z0-9_]+(?: |$)/.test(error.message)
  return isReply ? new ReplyError(error.message) : undefined
}

function howOf({ key, bytes = false, kind, from = 'primary' }: Call): ForeignCall {
  return { key, bytes, isRead: kind === 'read', nearby: from !== 'primary' }
}

function describe({ commands: [first] }: Call): string {
  if (first === undefined) return 'nothing'
  return 'script' in first ? `the script ${first.script.name}` : String(first[0])
}

function closedError(): CacheError {
  return new CacheError('CLOSED', 'the cache was closed')
}
