/**
 * The engine over a layout: finds the node of a call, follows it when it moves, and tries again inside the deadline
 * what surely was not done.
 *
 * What is kept true: a call is on at most one connection at a time; a write that may have been done is sent again only
 * if that does no harm; every call ends by its deadline; nobody waits for a node that is left alone unless they said
 * that they are patient.
 */
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Hints } from '../hints.ts'
import { askWithin } from './asking.ts'
import { pauseMs } from './backoff.ts'
import type { Breaker } from './breaker.ts'
import { Deadlines } from './deadlines.ts'
import {
  type Answer,
  type Call,
  type Engine,
  type EngineEvents,
  type Link,
  type NodeState,
  ReplyError,
  type Subscription,
} from './engine.ts'
import {
  closedError,
  deniedBy,
  describe,
  indeterminate,
  notAllowed,
  outOfTime,
  refusedError,
  unavailable,
} from './failures.ts'
import { Flight, type FlightEnd } from './flight.ts'
import { EngineNode, type NodeHearing, type NodeTerms, type Role } from './node.ts'
import { Placement } from './placement.ts'
import { isUnready, judge, nothingDone } from './replies.ts'
import { type Said, weighSaid } from './said.ts'
import { whyNotShared } from './shared-connection.ts'
import { slotOf } from './slots.ts'
import { type Listening, Subscriber } from './subscriber.ts'
import type { Address, Ask, Layout, Topology } from './topology.ts'

export interface RouterTerms {
  /** Whether keys belong to slots. */
  readonly clustered: boolean
  /** For `from: 'zone'`. */
  readonly zone?: string | undefined
  readonly node: Omit<NodeTerms, 'cluster' | 'blocking' | 'checkRole'>
  /** Ask a node that takes writes whether it does, whenever a connection was opened. */
  readonly checkRole: boolean
}

export interface RouterPorts {
  readonly clock: Clock
  /** Made with the way to ask nodes, over connections that are there anyway. */
  readonly topology: (ports: { readonly ask: Ask; readonly trouble: (error: Error) => void }) => Topology
  /** Who may know sooner. */
  readonly hints?: Hints | undefined
}

type Listeners = { readonly [E in keyof EngineEvents]: Set<EngineEvents[E]> }

const retryBackoff = { fromMs: 2, toMs: 128 }
const pulseMs = 100
/** A pulse that is this late means that our own event loop stood still. */
const pulseLateMs = 200
/** How long anybody waits for the first word about where the keys are, who is not patient. */
const firstLayoutMs = 300
/** Redirects that are followed at once: more in a row are nodes that disagree, and want a pause. */
const redirectsAtOnce = 3

export class Router implements Engine, FlightEnd, NodeHearing {
  readonly #terms: RouterTerms
  readonly #clock: Clock
  readonly #deadlines: Deadlines
  readonly #topology: Topology
  readonly #parent: Router | undefined
  readonly #placement: Placement
  readonly #lanes = new Map<string, Router>()
  readonly #listeners: Listeners
  readonly #startedAt: number
  /** Calls that wait for a node or for word of one. */
  #parked = new Set<Flight>()
  /** Calls that pause before their next try. */
  readonly #pausing = new Map<Flight, () => void>()
  /** What nodes refuse us, in their words: the same from all of them is one trouble. */
  readonly #refusals = new Set<string>()
  #subscriber: Subscriber | undefined
  #stopPulse: (() => void) | undefined
  #stopHints: (() => void) | undefined
  #pulseDueAt = 0
  #wakes = false
  #closed = false

  constructor(terms: RouterTerms, ports: RouterPorts, parent?: Router) {
    this.#terms = terms
    this.#clock = ports.clock
    this.#parent = parent
    this.#deadlines = parent === undefined ? new Deadlines(ports.clock) : parent.#deadlines
    this.#listeners = parent === undefined ? noListeners() : parent.#listeners
    this.#placement = new Placement({
      clustered: terms.clustered,
      zone: terms.zone,
      makeNode: (address, role) => this.#makeNode(address, role),
    })
    this.#startedAt = ports.clock.monotonic()
    this.#topology = ports.topology({
      ask: (address, commands, withinMs) => this.#ask(address, commands, withinMs),
      trouble: (error) => this.#trouble(error),
    })
    this.#topology.onChange((layout, because) => this.#follow(layout, because))
    if (this.#topology.layout !== undefined) this.#follow(this.#topology.layout, 'the first look')
    if (parent === undefined) this.#armPulse()
    this.#stopHints = ports.hints?.(
      (because, said) => (said === undefined ? this.hint(because) : this.#hear(said, because)),
      (error) => this.#trouble(error),
    )
  }

  send(call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(closedError())
        return
      }
      const invalid = whyNotShared(call.commands)
      if (invalid !== undefined) {
        reject(invalid)
        return
      }
      const slot = this.#terms.clustered && call.key !== null ? slotOf(call.key) : -1
      const flight = new Flight(call, slot, this, resolve, reject)
      this.#deadlines.add(flight)
      // One that is too late already expires at the next tick, and leaves no trace in the engine.
      if (flight.deadlineAt > this.#deadlines.now) this.#dispatch(flight)
    })
  }

  group(keys: readonly string[]): readonly (readonly number[])[] {
    if (!this.#terms.clustered) return keys.length === 0 ? [] : [keys.map((_, index) => index)]
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
    if (this.#parent !== undefined) return this.#parent.lane(purpose)
    if (this.#closed) throw closedError()
    const known = this.#lanes.get(purpose)
    if (known !== undefined) return known
    const node = { ...this.#terms.node, track: [] }
    const lane = new Router({ ...this.#terms, node }, { clock: this.#clock, topology: () => this.#shared() }, this)
    this.#lanes.set(purpose, lane)
    return lane
  }

  subscribe(channels: readonly string[], hear: Listening): Promise<Subscription> {
    if (this.#closed) return Promise.reject(closedError())
    if (this.#parent !== undefined) return this.#parent.subscribe(channels, hear)
    this.#subscriber ??= new Subscriber({
      clock: this.#clock,
      terms: { ...this.#terms.node, track: [] },
      candidates: () => this.#placement.living(),
    })
    return this.#subscriber.subscribe(channels, hear)
  }

  nodes(): readonly NodeState[] {
    return this.#placement.states()
  }

  primaryKeys(): readonly string[] {
    return this.#placement.primaryKeys
  }

  hint(because: string): void {
    this.#topology.suspect(because)
  }

  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void {
    const listeners: Set<EngineEvents[E]> = this.#listeners[event]
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#stopPulse?.()
    this.#stopHints?.()
    if (this.#parent === undefined) this.#topology.close()
    else this.#parent.#forget(this)
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()))
    await this.#subscriber?.close()
    for (const cancel of this.#pausing.values()) cancel()
    for (const flight of [...this.#parked, ...this.#pausing.keys()]) this.#reject(flight, closedError())
    this.#parked.clear()
    this.#pausing.clear()
    for (const node of this.#placement.nodes) node.close('the engine was closed')
    if (this.#parent === undefined) this.#deadlines.close()
  }

  /** A lane that was closed by itself: the same purpose gets a new one. */
  #forget(lane: Router): void {
    for (const [purpose, known] of this.#lanes) if (known === lane) this.#lanes.delete(purpose)
  }

  // What a flight tells.

  answered(flight: Flight, replies: readonly unknown[]): void {
    flight.sent = false
    if (flight.done) return
    if (replies.length === 1) {
      const [reply] = replies
      if (reply instanceof ReplyError) this.#refused(flight, reply, true, replies)
      else this.#resolve(flight, replies)
      return
    }
    const refusal = firstThatMatters(replies, flight)
    if (refusal === undefined) this.#resolve(flight, replies)
    else {
      const undone = nothingDone(flight.call.commands, replies, (reply) => reply instanceof ReplyError)
      this.#refused(flight, refusal, undone, replies)
    }
  }

  failed(flight: Flight, error: Error, notSent: boolean): void {
    flight.sent = false
    if (flight.done) return
    if (error instanceof TypeError) {
      this.#reject(flight, new CacheError('INVALID', `a command is made of strings and Buffers: ${error.message}`))
      return
    }
    if (this.#closed) {
      this.#reject(flight, closedError())
      return
    }
    flight.last = error
    const { call } = flight
    if (call.kind === 'write' && !notSent) {
      flight.uncertain = true
      if (call.idempotent !== true) {
        this.#reject(flight, indeterminate(flight))
        return
      }
    }
    // The breaker of that node is open by now: whoever is not patient finds another copy, or none.
    this.#later(flight)
  }

  expired(flight: Flight, lateMs: number): void {
    if (flight.done) return
    this.#parked.delete(flight)
    this.#pausing.get(flight)?.()
    this.#pausing.delete(flight)
    const { node, call } = flight
    if (flight.sent && node !== null) {
      if (call.kind === 'write') flight.uncertain = true
      const waitedMs = this.#deadlines.now - flight.sentAt
      // Others were answered meanwhile: slow, not silent. If we stood still ourselves, it says nothing.
      const longEnough = Math.max(silenceThatCountsMs, 3 * (node.latencyMs ?? 0))
      if (node.heard === flight.heardBefore && lateMs === 0 && waitedMs >= longEnough) {
        node.stalled(`it did not answer ${describe(call)} or anything else within ${Math.round(waitedMs)} ms`)
      }
    }
    // Tried until the end, and it was still reading its files: others need not wait as long for the same answer.
    if (node !== null && flight.last instanceof ReplyError && isUnready(flight.last)) {
      node.stalled(`it says ${flight.last.word}`)
    }
    this.#reject(flight, outOfTime(flight))
  }

  // What a node tells.

  changed(keys: readonly string[] | null): void {
    for (const listener of this.#listeners.changed) listener(keys)
  }

  linked(link: Link): void {
    for (const listener of this.#listeners.linked) listener(link)
  }

  unlinked(link: Link, because: string): void {
    for (const listener of this.#listeners.unlinked) listener(link, because)
  }

  breaker(node: string, state: Breaker['state'], because: string): void {
    // A lane's connection to the same node is not the node.
    if (this.#parent !== undefined) return
    for (const listener of this.#listeners.breaker) listener(node, state, because)
  }

  refused(error: Error, said: string): void {
    // A lane hears the same as the connections with the data.
    if (this.#parent !== undefined || this.#refusals.has(said)) return
    this.#refusals.add(said)
    this.#trouble(error)
  }

  #trouble(error: Error): void {
    for (const listener of this.#listeners.trouble) listener(error)
  }

  turned(node: EngineNode, because: string): void {
    if (this.#closed) return
    if (!node.ready) this.#topology.suspect(`${node.name}: ${because}`)
    this.#wake()
  }

  // Where a call goes.

  #dispatch(flight: Flight): void {
    const { call } = flight
    const place = this.#placement.placeOf(flight.slot)
    if (place === undefined) {
      this.#unplaced(flight)
      return
    }
    const from = call.from
    const node = from === undefined || from === 'primary' ? place.primary : this.#placement.choose(place, from)
    if (node?.ready === true) this.#write(flight, node, false)
    else this.#notReady(flight, node)
  }

  #write(flight: Flight, node: EngineNode, asking: boolean): void {
    if (node.pending >= this.#terms.node.maxPending) {
      const { maxPending } = this.#terms.node
      const message = `${node.name} has ${maxPending} commands waiting already: nothing was sent`
      this.#reject(flight, new CacheError('UNAVAILABLE', message, { node: node.name, maxPending }))
      return
    }
    node.write(flight, asking)
  }

  #unplaced(flight: Flight): void {
    const { layout, nodes } = this.#placement
    const because = layout === undefined ? 'nobody has told yet where the keys are' : `slot ${flight.slot} has no node`
    this.#topology.suspect(because)
    const denied = layout === undefined ? [...nodes].find((node) => node.denied !== undefined) : undefined
    const isEarly = layout === undefined && this.#clock.monotonic() < this.#startedAt + firstLayoutMs
    if (denied?.denied !== undefined) this.#reject(flight, deniedBy(denied.name, denied.denied))
    else if (flight.call.patient === true || isEarly) this.#park(flight)
    else {
      flight.last ??= new Error(because)
      this.#reject(flight, unavailable(flight))
    }
  }

  #notReady(flight: Flight, node: EngineNode | null): void {
    const patient = flight.call.patient === true
    if (node === null) {
      const because = 'there is no such copy just now'
      // It may have come since the last look: one that was away is not in a layout of that time.
      this.#topology.suspect(because)
      flight.last ??= new Error(because)
      if (patient) this.#park(flight)
      else this.#reject(flight, unavailable(flight))
      return
    }
    node.open()
    if (node.denied !== undefined) this.#reject(flight, deniedBy(node.name, node.denied))
    else if (node.breaker.state === 'closed' || patient) this.#park(flight)
    else {
      flight.last = new Error(`${node.name} is left alone: ${node.breaker.because}`, { cause: flight.last })
      this.#reject(flight, unavailable(flight))
    }
  }

  #park(flight: Flight): void {
    if (this.#parked.size + this.#pausing.size >= this.#terms.node.maxPending) {
      flight.last = new Error(`${this.#terms.node.maxPending} calls wait already`)
      this.#reject(flight, unavailable(flight))
      return
    }
    this.#parked.add(flight)
  }

  /** Those who wait look again, all at once and after everything that goes with the news. */
  #wake(): void {
    if (this.#wakes || this.#parked.size === 0) return
    this.#wakes = true
    queueMicrotask(() => {
      this.#wakes = false
      const waiting = this.#parked
      this.#parked = new Set()
      for (const flight of waiting) if (!flight.done) this.#dispatch(flight)
    })
  }

  // What becomes of a call.

  #refused(flight: Flight, refusal: ReplyError, undone: boolean, replies: readonly unknown[]): void {
    const { call, node } = flight
    const verdict = judge(refusal, (node as EngineNode).address)
    flight.last = refusal
    if (verdict.kind === 'denied' && replies.length === 1) {
      this.#reject(flight, notAllowed((node as EngineNode).name, call, refusal))
      return
    }
    if (verdict.kind === 'final' || verdict.kind === 'denied') {
      if (replies.length === 1) this.#reject(flight, refusedError((node as EngineNode).name, call, refusal))
      else this.#resolve(flight, replies)
      return
    }
    if (!undone && call.kind === 'write' && call.idempotent !== true) {
      flight.uncertain = true
      this.#reject(flight, indeterminate(flight))
      return
    }
    if (verdict.kind === 'no-script') {
      // The second time it is sent in full, and cannot be missing.
      flight.inFull = true
      this.#writeTo(flight, node as EngineNode, false)
    } else if (verdict.kind === 'redirect') this.#redirect(flight, verdict)
    else {
      if (verdict.suspect) this.#topology.suspect(`${(node as EngineNode).name} says ${refusal.word}`)
      this.#later(flight)
    }
  }

  #redirect(flight: Flight, { to, asking }: { readonly to: Address; readonly asking: boolean }): void {
    if (!asking) this.#topology.suspect('a slot has moved')
    flight.redirects++
    const copies = flight.call.from
    // Only the primary's word counts for a copy: another one is found by the layout.
    if (flight.redirects > redirectsAtOnce || (copies !== undefined && copies !== 'primary')) this.#later(flight)
    else this.#writeTo(flight, this.#placement.nodeAt(to, 'primary'), asking)
  }

  #writeTo(flight: Flight, node: EngineNode, asking: boolean): void {
    if (node.ready) this.#write(flight, node, asking)
    else {
      node.open()
      this.#later(flight)
    }
  }

  /** Tries again after a pause; if the deadline comes first, so be it. */
  #later(flight: Flight): void {
    if (this.#parked.size + this.#pausing.size >= this.#terms.node.maxPending) {
      this.#reject(flight, outOfTime(flight))
      return
    }
    const cancel = this.#clock.after(pauseMs(flight.tries++, retryBackoff, this.#clock.random()), () => {
      this.#pausing.delete(flight)
      if (!flight.done) this.#dispatch(flight)
    })
    this.#pausing.set(flight, cancel)
  }

  #resolve(flight: Flight, replies: readonly unknown[]): void {
    flight.done = true
    this.#deadlines.remove(flight)
    flight.resolve({ replies, role: flight.role, link: flight.link as Link })
  }

  #reject(flight: Flight, error: CacheError): void {
    flight.done = true
    this.#deadlines.remove(flight)
    flight.reject(error)
  }

  // Which nodes there are.

  #hear(said: readonly Said[], because: string): void {
    const layout = this.#placement.layout
    if (this.#closed || layout === undefined) return
    const { ask, open, doubt, strange } = weighSaid(said, layout)
    for (const address of doubt) this.#placement.nodeAt(address, 'primary').doubt(because)
    for (const address of open) this.#placement.nodeAt(address, 'replica').open()
    this.#topology.consult(ask, because)
    if (strange) this.#topology.suspect(because)
  }

  #follow(layout: Layout, because: string): void {
    if (this.#closed) return
    this.#placement.follow(layout, because)
    // Changes are told only over connections that are there.
    if (this.#terms.node.track.length > 0) for (const { primary } of this.#placement.places) primary?.open()
    this.#subscriber?.look(because)
    if (this.#parent === undefined) for (const listener of this.#listeners.moved) listener(because)
    this.#wake()
  }

  #makeNode(address: Address, role: Role): EngineNode {
    const { clustered: cluster, checkRole } = this.#terms
    const terms = { ...this.#terms.node, cluster, checkRole, blocking: this.#parent !== undefined }
    return new EngineNode(address, role, terms, { clock: this.#clock, deadlines: this.#deadlines, hear: this })
  }

  /** Over the connection that is there or will be needed; it goes when the layout does not have the node. */
  #ask(address: Address, commands: Parameters<Ask>[1], withinMs: number): Promise<readonly unknown[]> {
    if (this.#closed) return Promise.reject(closedError())
    // As a replica: whether it takes writes is what it will be asked.
    return askWithin(this.#placement.nodeAt(address, 'replica'), commands, { withinMs, clock: this.#clock })
  }

  /** The topology as a lane sees it: the same, and not the lane's to close. */
  #shared(): Topology {
    const topology = this.#topology
    return {
      get layout() {
        return topology.layout
      },
      suspect: (because) => topology.suspect(because),
      consult: (whom, because) => topology.consult(whom, because),
      onChange: (listener) => topology.onChange(listener),
      close() {},
    }
  }

  #armPulse(): void {
    this.#pulseDueAt = this.#clock.monotonic() + pulseMs
    this.#stopPulse = this.#clock.after(pulseMs, () => {
      const now = this.#clock.monotonic()
      const stalled = now - this.#pulseDueAt > pulseLateMs
      this.#pulse(now, stalled)
      for (const lane of this.#lanes.values()) lane.#pulse(now, stalled)
      if (!this.#closed) this.#armPulse()
    })
  }

  #pulse(now: number, stalled: boolean): void {
    for (const node of this.#placement.nodes) node.pulse(now, stalled)
    for (const { primary } of this.#placement.places) {
      if (primary !== null && primary.breaker.state !== 'closed') this.#topology.suspect(`${primary.name} is away`)
    }
    // Those who wait for the first layout do so only for a while.
    if (this.#placement.layout === undefined && now - this.#startedAt >= firstLayoutMs) this.#wake()
  }
}

/** A node with less than this much time cannot be called silent. */
const silenceThatCountsMs = 20

/** Of several replies, the one that decides: a redirect or a passing state before what is final. */
function firstThatMatters(replies: readonly unknown[], flight: Flight): ReplyError | undefined {
  const node = flight.node as EngineNode
  const refusals = replies.filter((reply) => reply instanceof ReplyError)
  return refusals.find((reply) => {
    const { kind } = judge(reply, node.address)
    return kind !== 'final' && kind !== 'denied'
  })
}

function noListeners(): Listeners {
  return {
    changed: new Set(),
    linked: new Set(),
    unlinked: new Set(),
    breaker: new Set(),
    moved: new Set(),
    trouble: new Set(),
  }
}
