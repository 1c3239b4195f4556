/**
 * Changes told by messages, where the engine itself cannot tell of them: no tracking behind a proxy, or an
 * application's own connection.
 *
 * Each process publishes what it has changed on one channel, after its write, and listens to all others. Pub/Sub loses
 * messages whenever a connection is lost, and nobody says so; therefore messages are numbered by sender, a heartbeat a
 * second tells the last number, and our own heartbeat must come back to us. Any gap, any silence of a sender or of
 * ourselves ends the link, and what came over it is compared before it is used again.
 *
 * What this cannot see: a change by somebody who does not publish, expiry and eviction, and a sender that was never
 * heard because the engine's own nodes are cut off from each other.
 */
import type { Clock } from '../clock.ts'
import type { Answer, Call, Engine, EngineEvents, Link, Subscription } from './engine.ts'
import { follow, printSaid, readSaid, type Said } from './sequence.ts'

export interface MessageTerms {
  /** The same for all processes of one cache, and for nobody else. */
  readonly channel: string
  readonly clock: Clock
  /** This process, as nobody else is called: chosen by chance at each start. */
  readonly sender: string
}

const heartbeatMs = 1000
/** So long may a sender be silent, ourselves too. Two heartbeats and a half. */
const silenceMs = 2500
/** After subscribing: until then every living sender was heard once, and is no surprise any more. */
const settleMs = 1100
const publishWithinMs = 1000
const keysPerMessage = 200
const messagesPerCall = 16
/** Changes that could not be published yet. More are given up, and their number with them: receivers see the gap. */
const mostKeysWaiting = 10_000
const mostSenders = 10_000

interface MessageLink extends Link {
  live: boolean
}

export function withMessages(engine: Engine, terms: MessageTerms): Engine & { tell(keys: readonly string[]): void } {
  return new MessageEngine(engine, terms)
}

class MessageEngine implements Engine {
  readonly #engine: Engine
  readonly #terms: MessageTerms
  readonly #deadLink: Link = { node: 'messages', live: false }
  readonly #changed = new Set<EngineEvents['changed']>()
  readonly #linked = new Set<EngineEvents['linked']>()
  readonly #unlinked = new Set<EngineEvents['unlinked']>()
  /** The events that are ours; the others are the engine's. */
  readonly #listeners: ReadonlyMap<keyof EngineEvents, Set<unknown>> = new Map<keyof EngineEvents, Set<unknown>>([
    ['changed', this.#changed],
    ['linked', this.#linked],
    ['unlinked', this.#unlinked],
  ])
  /** What each other sender last said, and when. */
  readonly #senders = new Map<string, { last: number | undefined; heardAt: number }>()
  readonly #stopListening: (() => void)[]
  #link: MessageLink | undefined
  #subscription: Subscription | undefined
  /** Since when the channel is listened to without a known gap; null while it is not. */
  #listeningSince: number | null = null
  /** When our own voice last came back; what was said before the last gap does not count. */
  #echoAt = Number.NEGATIVE_INFINITY
  #seq = 0
  #waiting = new Set<string>()
  /** Numbered and not yet published. */
  #unpublished: Said[] = []
  #publishing = false
  #failures = 0
  #cancelBeat = (): void => {}
  #cancelRetry = (): void => {}
  #cancelSubscribe = (): void => {}
  #cancelSettle = (): void => {}
  #closed = false

  constructor(engine: Engine, terms: MessageTerms) {
    this.#engine = engine
    this.#terms = terms
    const end = (because: string): void => this.#end(because)
    this.#stopListening = [
      engine.on('moved', end),
      // A connection that was lost may have come back to another node, with other data.
      engine.on('breaker', (_node, state, because) => state === 'open' && end(because)),
    ]
    void this.#subscribe(0)
    this.#beat()
  }

  /** Tells the others that these keys were changed, when this is over. Never waits, never throws. */
  tell(keys: readonly string[]): void {
    if (this.#closed || keys.length === 0) return
    for (const key of keys) this.#waiting.add(key)
    if (this.#waiting.size > mostKeysWaiting) {
      this.#waiting.clear()
      this.#seq++
    }
    if (!this.#publishing) void this.#publish()
  }

  async send(call: Call): Promise<Answer> {
    // The link of the moment when it was asked: a gap between question and answer makes the answer doubtful.
    const link = this.#link ?? this.#deadLink
    const { replies, role } = await this.#engine.send(call)
    return { replies, role, link: role === 'primary' ? link : this.#deadLink }
  }

  group(keys: readonly string[]): readonly (readonly number[])[] {
    return this.#engine.group(keys)
  }

  lane(purpose: string): Engine {
    return this.#engine.lane(purpose)
  }

  subscribe(...args: Parameters<Engine['subscribe']>): Promise<Subscription> {
    return this.#engine.subscribe(...args)
  }

  nodes(): ReturnType<Engine['nodes']> {
    return this.#engine.nodes()
  }

  primaryKeys(): readonly string[] {
    return this.#engine.primaryKeys()
  }

  hint(because: string): void {
    this.#engine.hint(because)
  }

  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined) return this.#engine.on(event, listener)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#cancelBeat()
      this.#cancelRetry()
      this.#cancelSubscribe()
      this.#cancelSettle()
      for (const stop of this.#stopListening) stop()
      this.#end('the cache was closed')
      await this.#say([{ sender: this.#terms.sender, seq: this.#seq, keys: 'bye' }], 100)
      await this.#subscription?.close().catch(() => {})
    }
    await this.#engine.close()
  }

  /** Each second: says that we are there, and looks for those who are not any more. */
  #beat(): void {
    const { clock } = this.#terms
    this.#cancelBeat = clock.after(heartbeatMs, () => this.#beat())
    const now = clock.monotonic()
    for (const [name, { heardAt }] of this.#senders) {
      if (now - heardAt < silenceMs) continue
      this.#senders.delete(name)
      this.#renew(`${name} fell silent`)
    }
    if (this.#link !== undefined && now - this.#echoAt > silenceMs) this.#end('our own messages do not come back')
    this.#sayWeAreThere()
  }

  /** The number of our last change; not while there are numbers that nobody can have heard. */
  #sayWeAreThere(): void {
    if (this.#closed || this.#unpublished.length > 0 || this.#waiting.size > 0) return
    void this.#say([{ sender: this.#terms.sender, seq: this.#seq, keys: [] }], publishWithinMs)
  }

  /** The channel is listened to from here on. Our own voice after a while shows that it works, and begins the link. */
  #settle(): void {
    if (this.#closed) return
    this.#listeningSince = this.#terms.clock.monotonic()
    this.#cancelSettle()
    this.#cancelSettle = this.#terms.clock.after(settleMs, () => this.#sayWeAreThere())
  }

  async #publish(): Promise<void> {
    this.#publishing = true
    // What else is told in this turn of the loop goes along.
    await Promise.resolve()
    while (!this.#closed && (this.#waiting.size > 0 || this.#unpublished.length > 0)) {
      this.#numberWaiting()
      const batch = this.#unpublished.slice(0, messagesPerCall)
      // One call after the other: a message that overtakes another would look like a gap.
      // oxlint-disable-next-line no-await-in-loop
      if (await this.#say(batch, publishWithinMs)) {
        this.#failures = 0
        this.#unpublished.splice(0, batch.length)
      } else {
        // oxlint-disable-next-line no-await-in-loop
        await this.#pause(Math.min(1000, 50 * 2 ** this.#failures++))
      }
    }
    this.#publishing = false
  }

  /** Gives numbers to what waits, unless enough is numbered already: then it goes on gathering. */
  #numberWaiting(): void {
    if (this.#unpublished.length >= messagesPerCall) return
    const keys = [...this.#waiting]
    this.#waiting = new Set()
    const { sender } = this.#terms
    for (let from = 0; from < keys.length; from += keysPerMessage) {
      this.#unpublished.push({ sender, seq: ++this.#seq, keys: keys.slice(from, from + keysPerMessage) })
    }
  }

  /** Whether all were published for sure. Never rejects. */
  async #say(messages: readonly Said[], withinMs: number): Promise<boolean> {
    const { channel, clock } = this.#terms
    const commands = messages.map((message) => ['PUBLISH', channel, printSaid(message)] as const)
    const deadlineAt = clock.monotonic() + withinMs
    try {
      // What is published twice is heard twice, and does no harm. Always over the same node: over two of them one
      // message would overtake another.
      const call = { commands, key: channel, deadlineAt, kind: 'write', idempotent: true } as const
      const { replies } = await this.#engine.send(call)
      return !replies.some((reply) => reply instanceof Error)
    } catch {
      return false
    }
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.#terms
    return new Promise((resolve) => {
      const cancel = clock.after(ms * (0.5 + clock.random() / 2), resolve)
      this.#cancelRetry = () => {
        cancel()
        resolve()
      }
    })
  }

  async #subscribe(failures: number): Promise<void> {
    const { channel, clock } = this.#terms
    try {
      const subscription = await this.#engine.subscribe([channel], {
        message: ({ text }) => this.#hear(text),
        gap: (because) => {
          this.#end(because)
          this.#settle()
        },
      })
      if (this.#closed) {
        await subscription.close()
        return
      }
      this.#subscription = subscription
      this.#settle()
    } catch {
      if (this.#closed) return
      const pauseMs = Math.min(1000, 50 * 2 ** failures)
      this.#cancelSubscribe = clock.after(pauseMs, () => void this.#subscribe(Math.min(failures + 1, 5)))
    }
  }

  #hear(text: string): void {
    if (this.#closed) return
    const said = readSaid(text)
    if (said === undefined) return
    const now = this.#terms.clock.monotonic()
    if (said.sender === this.#terms.sender) {
      this.#echo(now)
      return
    }
    const { last, keys, gap } = follow(this.#senders.get(said.sender)?.last, said)
    if (last === undefined) this.#senders.delete(said.sender)
    else if (this.#senders.size < mostSenders || this.#senders.has(said.sender)) {
      this.#senders.set(said.sender, { last, heardAt: now })
    }
    if (gap) this.#renew(`messages of ${said.sender} are missing`)
    if (keys.length > 0) for (const listener of this.#changed) listener(keys)
  }

  /** Our own voice: the channel works from end to end. Live once all others had the time to be heard. */
  #echo(now: number): void {
    this.#echoAt = now
    if (this.#link !== undefined || this.#listeningSince === null || now - this.#listeningSince < settleMs) return
    this.#begin()
  }

  #begin(): void {
    const link: MessageLink = { node: 'messages', live: true }
    this.#link = link
    for (const listener of this.#linked) listener(link)
  }

  /** Something was missed, once: what is told from here on is whole again. */
  #renew(because: string): void {
    if (this.#link === undefined) return
    this.#end(because)
    this.#begin()
  }

  #end(because: string): void {
    const link = this.#link
    this.#link = undefined
    if (link === undefined) return
    link.live = false
    for (const listener of this.#unlinked) listener(link, because)
  }
}
