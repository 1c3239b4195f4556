/**
 * The agent of another machine, behind the same port as the one of this machine. What it says in times of its own clock is
 * told in times of ours; what it does not say in time is not known.
 */
import { createInterface } from 'node:readline'
import type {
  AgentGreeting,
  AgentNews,
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  AgentTerms,
  AliveAnswered,
  Envelope,
  Hearing,
  HearingSeen,
  Hold,
  LookAnswered,
  LookAsked,
  NodePlace,
  PartAsked,
  SentinelPlace,
} from '@holdfast/core'
import { HoldfastError, orderHeader, shiftNode, shiftProxy, shiftSentinel } from '@holdfast/core'
import type { FaultHost } from '../host/faults/fault-host.ts'
import type { EngineExit, HostPort, HostSight } from '../host/host.ts'
import type { LineOptions } from './line.ts'
import { AgentLine } from './line.ts'
import { RemoteFaults } from './remote-faults.ts'
import { digestOf, toJson } from './server.ts'

/** A turn waits for every look: one that is not answered by then is as good as none. */
const lookWithinMs = 400
/** The next one after that, until it answers again. */
const lookAgainWithinMs = 100
const actWithinMs = 30_000
const partWithinMs = 10_000
/** An agent tells once a second at least that it is there. */
const newsWithinMs = 3000
const listenAgainMs = 500
/** Clocks of two machines drift apart by far less than this share of the time. */
const driftMax = 0.001
/** Often enough that two may be lost before an agent thinks itself alone. */
const holdEveryMs = 300
const holdWithinMs = 300

export interface RemoteHostOptions extends LineOptions {
  readonly terms: (deployment: string) => AgentTerms
  /** The deployments that this controller holds the lease of, and in which epochs. */
  readonly epochs: () => Readonly<Record<string, number>>
}

export class RemoteHost implements HostPort {
  readonly id: string
  readonly faults: FaultHost
  readonly #options: RemoteHostOptions
  readonly #line: AgentLine
  /** How far its clock is behind ours, ms, and in which of its boots that is so. */
  #clock: { readonly behindMs: number; readonly boot: string; readonly at: number } | undefined
  #isAway = false
  readonly #since: number
  #hearing: HearingSeen | null = null
  /** What its agent's own clock said last. */
  #heard: AliveAnswered = { boot: '', now: 0 }
  #exitListener: (exit: EngineExit) => void = () => {}
  #jobListener: (deployment: string) => void = () => {}

  constructor(options: RemoteHostOptions) {
    this.id = options.id
    this.#options = options
    this.#line = new AgentLine(options)
    this.faults = new RemoteFaults(this.#line, {
      clock: options.clock,
      now: () => this.now(),
      boot: () => this.#clock?.boot ?? '',
    })
    this.#since = options.clock.now()
    void this.#listen()
    void this.#hold()
  }

  /** As far as it is known: an agent that was never heard has no clock yet, and takes no orders. */
  now(): number {
    return this.#clock === undefined ? 0 : this.#options.clock.now() - this.#clock.behindMs
  }

  /** When it last said anything at all, by the clock of this process. */
  get heardAt(): number {
    return this.#line.heardAt
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#exitListener = listener
  }

  onJobEnd(listener: (deployment: string) => void): void {
    this.#jobListener = listener
  }

  async look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    const { answer, byMs } = await this.#look({ deployment, nodes })
    return new Map(Object.entries(answer.nodes).map(([id, seen]) => [id, shiftNode(seen, byMs)]))
  }

  async lookAtSentinels(
    deployment: string,
    sentinels: readonly SentinelPlace[],
  ): Promise<ReadonlyMap<string, AgentSentinelSeen>> {
    const { answer, byMs } = await this.#look({ deployment, sentinels })
    return new Map(Object.entries(answer.sentinels).map(([id, seen]) => [id, shiftSentinel(seen, byMs)]))
  }

  async lookAtProxy(deployment: string, wanted: boolean): Promise<AgentProxySeen | null> {
    const { answer, byMs } = await this.#look({ deployment, proxy: wanted })
    return answer.proxy === null ? null : shiftProxy(answer.proxy, byMs)
  }

  async act(envelope: Envelope): Promise<void> {
    const boot = this.#clock?.boot ?? ''
    const { action } = envelope
    const asked = { method: 'POST', path: '/v1/act', withinMs: actWithinMs } as const
    if (action.kind !== 'receive') return void (await this.#line.ask({ ...asked, body: { boot, envelope } }))
    const { piece, ...order } = action
    const header = toJson({ boot, envelope: { ...envelope, action: order } })
    await this.#line.ask({ ...asked, piece, headers: { [orderHeader]: header } })
  }

  readPart(body: PartAsked): Promise<Uint8Array> {
    return this.#line.read({ method: 'POST', path: '/v1/part', body, withinMs: partWithinMs })
  }

  /** Others may have heard it until this process began to listen. */
  sight(): HostSight {
    return { heardAt: Math.max(this.#since, this.#line.heardAt), hearing: this.#hearing }
  }

  /** Who it says it is. */
  greet(): Promise<AgentGreeting> {
    return this.#line.ask({ method: 'GET', path: '/v1/host', withinMs: lookWithinMs }) as Promise<AgentGreeting>
  }

  close(): void {
    this.#line.close()
  }

  async #look(wish: Partial<LookAsked> & { deployment: string }): Promise<{ answer: LookAnswered; byMs: number }> {
    const { clock, terms } = this.#options
    const mine = terms(wish.deployment)
    const body = { nodes: [], sentinels: [], proxy: null, ...wish, terms: digestOf(mine) }
    const withinMs = this.#isAway ? lookAgainWithinMs : lookWithinMs
    let askedAt = 0
    const ask = (): Promise<unknown> => {
      askedAt = clock.now()
      return this.#line.ask({ method: 'POST', path: '/v1/look', body, withinMs })
    }
    try {
      const answer = (await ask().catch(async (error: unknown) => {
        if (!(error instanceof HoldfastError) || error.facts['missing'] !== 'terms') throw error
        await this.#line.ask({ method: 'PUT', path: `/v1/terms/${wish.deployment}`, body: mine, withinMs })
        return ask()
      })) as LookAnswered
      this.#isAway = false
      const { hearing } = answer
      this.#hearing = hearing === undefined ? null : shiftHearing(hearing, clock.now())
      const byMs = this.#behind(answer, askedAt)
      return { answer, byMs }
    } catch (error) {
      this.#isAway = true
      throw error
    }
  }

  /**
   * How far its clock is behind ours. Each answer says it too large by the time that it took, so the smallest that was
   * heard is the truest, and what is asked of the agent still ends too early rather than too late. It is forgotten as fast
   * as two clocks could drift apart, and at once where it cannot be: the clock of a machine that was suspended stood still.
   */
  #behind({ boot, now: itsNow }: LookAnswered, askedAt: number): number {
    const now = this.#options.clock.now()
    const [atLeast, atMost] = [askedAt - itsNow, now - itsNow]
    const held = this.#clock
    const before = held?.boot === boot ? held.behindMs + (now - held.at) * driftMax : atMost
    const behindMs = before < atLeast ? atMost : Math.min(before, atMost)
    this.#clock = { behindMs, boot, at: now }
    return behindMs
  }

  /**
   * Tells the agent again and again that it was heard, so that it does not think itself alone: up to the moment that it
   * told last itself, since nobody knows whether what is said now arrives, or when.
   */
  async #hold(): Promise<void> {
    const { clock, epochs } = this.#options
    const signal = this.#line.over
    while (!signal.aborted) {
      const body: Hold = { boot: this.#heard.boot, heard: this.#heard.now, epochs: epochs() }
      try {
        const asked = { method: 'POST', path: '/v1/hold', body, withinMs: holdWithinMs } as const
        this.#heard = (await this.#line.ask(asked)) as AliveAnswered
      } catch {
        // It is away, or knows no such word: which the looks say.
      }
      await clock.sleep(holdEveryMs, signal)
    }
  }

  /** Hears of what ends, as long as this is open: looked for again where the connection is lost, or silent. */
  async #listen(): Promise<void> {
    const signal = this.#line.over
    while (!signal.aborted) {
      try {
        await this.#hear(signal)
      } catch {
        // The agent is away, which the looks say.
      }
      await this.#options.clock.sleep(listenAgainMs, signal)
    }
  }

  async #hear(over: AbortSignal): Promise<void> {
    const silence = new AbortController()
    const signal = AbortSignal.any([over, silence.signal])
    const answer = await this.#line.send({ method: 'GET', path: '/v1/news', withinMs: newsWithinMs }, signal)
    let timer = setTimeout(() => silence.abort(), newsWithinMs)
    try {
      for await (const line of createInterface({ input: answer })) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), newsWithinMs)
        this.#line.heard()
        this.#tell(JSON.parse(line) as AgentNews)
      }
    } finally {
      clearTimeout(timer)
      answer.destroy()
    }
  }

  #tell(news: AgentNews): void {
    if (news.kind === 'exit') {
      const { deployment, node, pid } = news
      this.#exitListener({ deployment, node, pid })
    }
    if (news.kind === 'job-end') this.#jobListener(news.deployment)
  }
}

/** Not earlier than it was: what is done about a host that nobody hears then comes too late rather than too early. */
const shiftHearing = ({ listensForMs, heardAgoMs, isAlone }: Hearing, at: number): HearingSeen => ({
  since: at - listensForMs,
  isAlone,
  contacts: Object.fromEntries(Object.entries(heardAgoMs).map(([name, agoMs]) => [name, at - agoMs])),
})
