/**
 * An agent's watch over itself: whom it hears, and whether its engines may still take writes. It asks its peers three
 * times a second, hears its controllers as often, and judges ten times a second; what it judges by is pure
 * (`agent-fence.ts`).
 */
import type { AgentTerms, AliveAnswered, Hearing, Hold, Peer } from '@holdfast/core'
import { judgeFence } from '@holdfast/core'
import type { Log } from '../log.ts'
import type { Echo } from './ask-alive.ts'

/** Where a controller does not say. */
const leaseAfterMsDefault = 1500
const judgeEveryMs = 100
const askEveryMs = 300
/** A gap between two judgements this much longer than meant: the agent was not awake. */
const stalledMs = 700

/** Whose engines are fenced. */
export interface Fenceable {
  /** The name of this host. */
  readonly id: string
  /** The highest epoch that it has obeyed. */
  epoch(deployment: string): number
  fence(deployment: string, reason: string): void
}

export interface SelfFenceOptions {
  readonly host: Fenceable
  readonly terms: ReadonlyMap<string, AgentTerms>
  readonly ask: (peer: Peer) => Promise<Echo>
  /** Monotonic, and it goes on while the machine is suspended. */
  readonly now: () => number
  readonly boot: string
  readonly log: Log
  /** Runs something again and again, until what it answers is called. Default: by this process's timer. */
  readonly repeat?: (run: () => void, everyMs: number) => () => void
}

export class SelfFence {
  readonly #options: SelfFenceOptions
  readonly #since: number
  readonly #end: () => void
  /** When a peer was asked what it has answered. */
  readonly #answered = new Map<string, number>()
  /** When a host was last known to be there at all: it answered, it refused, or it asked. Never earlier than `#answered`. */
  readonly #contact = new Map<string, number>()
  /** Up to when the controller of a deployment has heard this agent. */
  readonly #held = new Map<string, number>()
  /** Since when it was told of a deployment, and of a host of one: before that it has lost neither. */
  readonly #toldOf = new Map<string, number>()
  readonly #toldOfPeer = new Map<string, number>()
  readonly #asking = new Set<string>()
  /** The deployments for which this host is alone now. */
  readonly #alone = new Set<string>()
  #awakeSince: number
  #judgedAt: number
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: SelfFenceOptions) {
    this.#options = options
    this.#since = options.now()
    this.#awakeSince = this.#since
    this.#judgedAt = this.#since
    const { repeat = byTimer } = options
    this.#end = repeat(() => this.#tick(), judgeEveryMs)
  }

  /** Another host's agent asks whether this one is there. */
  askedBy(name: string): AliveAnswered {
    const now = this.#options.now()
    this.#contact.set(name, now)
    return this.#answer(now)
  }

  /** A controller has heard this agent. What it says of an earlier boot, or in an epoch that is over, counts for nothing. */
  heldBy({ boot, heard, epochs }: Hold): AliveAnswered {
    const now = this.#options.now()
    if (boot === this.#options.boot && heard <= now) {
      for (const [deployment, epoch] of Object.entries(epochs)) {
        if (!this.#options.terms.has(deployment) || epoch < this.#options.host.epoch(deployment)) continue
        this.#held.set(deployment, Math.max(heard, this.#held.get(deployment) ?? heard))
      }
    }
    return this.#answer(now)
  }

  hearing(): Hearing {
    const now = this.#options.now()
    return {
      listensForMs: now - this.#since,
      isAlone: this.#alone.size > 0,
      heardAgoMs: Object.fromEntries([...this.#contact].map(([name, at]) => [name, now - at])),
    }
  }

  close(): void {
    this.#end()
  }

  #answer(now: number): AliveAnswered {
    return { boot: this.#options.boot, now }
  }

  #tick(): void {
    const now = this.#options.now()
    if (now - this.#judgedAt > stalledMs) this.#awakeSince = now
    this.#judgedAt = now
    this.#note(now)
    if (now - this.#askedAt >= askEveryMs) {
      this.#askedAt = now
      for (const peer of this.#peers()) void this.#ask(peer, now)
    }
    for (const [deployment, terms] of this.#options.terms) this.#judge(deployment, terms, now)
  }

  /** Whom nobody spoke of before may have been reached until now. */
  #note(now: number): void {
    for (const deployment of this.#options.terms.keys()) {
      if (!this.#toldOf.has(deployment)) this.#toldOf.set(deployment, now)
    }
    for (const { name } of this.#peers()) {
      if (this.#toldOfPeer.has(name)) continue
      this.#toldOfPeer.set(name, now)
      this.#contact.set(name, now)
    }
  }

  /** Of all deployments together, each once. */
  #peers(): Iterable<Peer> {
    const peers = [...this.#options.terms.values()].flatMap((terms) => this.#othersIn(terms))
    return new Map(peers.map((peer) => [peer.name, peer])).values()
  }

  #othersIn({ hosts = [] }: AgentTerms): Peer[] {
    return hosts.filter(({ name }) => name !== this.#options.host.id)
  }

  async #ask(peer: Peer, askedAt: number): Promise<void> {
    const { name } = peer
    if (this.#asking.has(name)) return
    this.#asking.add(name)
    const echo = await this.#options.ask(peer).catch((): Echo => 'silence')
    this.#asking.delete(name)
    if (echo === 'silence') return
    this.#contact.set(name, this.#options.now())
    if (echo === 'heard') this.#answered.set(name, askedAt)
  }

  #judge(deployment: string, terms: AgentTerms, now: number): void {
    const { host, log } = this.#options
    const reason = judgeFence({
      controllerAt: this.#held.get(deployment) ?? this.#toldOf.get(deployment) ?? now,
      peersAt: this.#othersIn(terms).map(({ name }) => this.#answered.get(name) ?? this.#toldOfPeer.get(name) ?? now),
      awakeSince: this.#awakeSince,
      now,
      leaseAfterMs: terms.leaseAfterMs ?? leaseAfterMsDefault,
    })
    if (reason === null) {
      this.#alone.delete(deployment)
      return
    }
    this.#alone.add(deployment)
    try {
      host.fence(deployment, reason)
    } catch (error) {
      log.error({ deployment, err: error }, 'fence not written')
    }
  }
}

function byTimer(run: () => void, everyMs: number): () => void {
  const timer = setInterval(run, everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
