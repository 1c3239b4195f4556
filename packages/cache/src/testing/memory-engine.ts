import type { Answer, Call, Engine, EngineEvents, Message, NodeState, Subscription } from '../engine/engine.ts'
import { slotCount, slotOf } from '../engine/slots.ts'
import { CacheError } from '../errors.ts'
import { Faults, Wire } from './faults.ts'
import { MemoryLine } from './memory-line.ts'
import type { MemoryServer } from './memory-server.ts'

type Listeners = { readonly [E in keyof EngineEvents]: Set<EngineEvents[E]> }

/** The engine in memory, as one process sees it. Its replies, errors and what it tells are those of a real one. */
export class MemoryEngine implements Engine {
  readonly server: MemoryServer
  /** What a test lets go wrong. */
  readonly faults: Faults
  readonly #wire: Wire
  readonly #lines: readonly MemoryLine[]
  readonly #lanes: Map<string, MemoryEngine>
  readonly #subscriptions = new Set<MemorySubscription>()
  readonly #listeners: Listeners = {
    changed: new Set(),
    linked: new Set(),
    unlinked: new Set(),
    breaker: new Set(),
    moved: new Set(),
    trouble: new Set(),
  }
  #isClosed = false

  constructor(server: MemoryServer, track: readonly string[], of?: { wire: Wire; lanes: Map<string, MemoryEngine> }) {
    this.server = server
    this.#wire = of?.wire ?? new Wire()
    this.#lanes = of?.lanes ?? new Map()
    this.#lines = server.nodes.map(
      (node) => new MemoryLine(node, { clock: server.clock, wire: this.#wire, track, events: this.#hear() }),
    )
    this.faults = new Faults({
      nodes: server.nodes,
      wire: this.#wire,
      cutLinks: (shard) => this.#linesOf(shard).forEach((line) => line.cut('the link was cut')),
      mendLinks: (shard) => this.#linesOf(shard).forEach((line) => line.mend()),
      acknowledge: (replicas) => server.acknowledge(replicas),
    })
    // Whoever opened this has not had the chance to listen yet.
    queueMicrotask(() => {
      for (const { link } of this.#lines) if (link.live) this.#tell('linked', link)
    })
  }

  async send(call: Call): Promise<Answer> {
    if (this.#isClosed) throw new CacheError('CLOSED', 'the engine was closed')
    if (call.commands.length === 0) throw new CacheError('INVALID', 'a call has at least one command')
    if (call.deadlineAt <= this.server.clock.monotonic()) {
      throw new CacheError('UNAVAILABLE', 'the deadline had passed before the call was sent')
    }
    const failure = this.#wire.takeFailure()
    if (failure !== undefined) throw failure
    const line = this.#lineOf(call.key)
    if (call.from !== 'replica') return line.send(call)
    if (this.server.replicas === 0) throw new CacheError('UNAVAILABLE', `${line.nodeName} has no replica`)
    const { replies } = await line.send(call)
    // A copy tells of nothing here, so what it answered is not to be kept.
    return { replies, role: 'replica', link: { node: line.nodeName.replace(':', '-replica:'), live: false } }
  }

  group(keys: readonly string[]): readonly (readonly number[])[] {
    const groups = new Map<number, number[]>()
    keys.forEach((key, index) => {
      const slot = this.#lines.length === 1 ? 0 : slotOf(key)
      const group = groups.get(slot)
      if (group === undefined) groups.set(slot, [index])
      else group.push(index)
    })
    return [...groups.values()]
  }

  lane(purpose: string): MemoryEngine {
    if (this.#isClosed) throw new CacheError('CLOSED', 'the engine was closed')
    const found = this.#lanes.get(purpose)
    if (found !== undefined) return found
    const lane = new MemoryEngine(this.server, [], { wire: this.#wire, lanes: this.#lanes })
    this.#lanes.set(purpose, lane)
    return lane
  }

  async subscribe(
    channels: readonly string[],
    hear: { message(message: Message): void; gap(because: string): void },
  ): Promise<Subscription> {
    if (this.#isClosed) throw new CacheError('CLOSED', 'the engine was closed')
    const subscription = new MemorySubscription(this.server, channels, hear, () =>
      this.#subscriptions.delete(subscription),
    )
    this.#subscriptions.add(subscription)
    if (this.#lines[0]?.isConnected === true) subscription.open()
    return subscription
  }

  nodes(): readonly NodeState[] {
    return this.#lines.map((line) => ({
      node: line.nodeName,
      role: line.isConnected ? 'primary' : 'unknown',
      zone: null,
      breaker: line.isConnected ? 'closed' : 'open',
      connected: line.isConnected,
      pending: line.pending,
    }))
  }

  primaryKeys(): readonly string[] {
    if (this.#lines.length === 1) return ['0']
    const keys = new Map<number, string>()
    for (let tried = 0; keys.size < this.#lines.length; tried++) {
      const key = `{${tried}}`
      const shard = this.#shardOf(key)
      if (!keys.has(shard)) keys.set(shard, key)
    }
    return this.#lines.map((_, shard) => keys.get(shard) ?? '')
  }

  /** There is nothing to look for: the memory engine knows. */
  hint(_because: string): void {}

  on<E extends keyof EngineEvents>(event: E, listener: EngineEvents[E]): () => void {
    this.#listeners[event].add(listener)
    return () => {
      this.#listeners[event].delete(listener)
    }
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes.values()) lane.#closeNow()
    this.#closeNow()
  }

  #closeNow(): void {
    this.#isClosed = true
    for (const line of this.#lines) line.close()
    for (const subscription of this.#subscriptions) void subscription.close()
  }

  #hear() {
    return {
      changed: (keys: readonly string[] | null) => this.#tell('changed', keys),
      linked: (link: Answer['link']) => this.#tell('linked', link),
      unlinked: (link: Answer['link'], because: string) => this.#tell('unlinked', link, because),
      lost: (node: string, because: string) => {
        this.#tell('breaker', node, 'open', because)
        for (const subscription of this.#subscriptions) subscription.lose(because)
      },
      back: (node: string) => {
        this.#tell('breaker', node, 'closed', `${node} is back`)
        for (const subscription of this.#subscriptions) subscription.open()
      },
      moved: (because: string) => this.#tell('moved', because),
    }
  }

  #tell<E extends keyof EngineEvents>(event: E, ...facts: Parameters<EngineEvents[E]>): void {
    for (const listener of this.#listeners[event])
      (listener as (...facts: Parameters<EngineEvents[E]>) => void)(...facts)
  }

  #shardOf(key: string): number {
    const shards = this.#lines.length
    const slot = slotOf(key)
    return this.#lines.findLastIndex((_, shard) => Math.floor((shard * slotCount) / shards) <= slot)
  }

  #lineOf(key: string | null): MemoryLine {
    const shard = key === null ? this.#lines.findIndex((line) => line.isConnected) : this.#shardOf(key)
    return this.#lines[Math.max(0, shard)] as MemoryLine
  }

  #linesOf(shard: number | undefined): readonly MemoryLine[] {
    return shard === undefined ? this.#lines : this.#lines.slice(shard, shard + 1)
  }
}

/** Hears its channels over the connection to the first node; what is said while that is away is missed, and said so. */
class MemorySubscription implements Subscription {
  readonly #server: MemoryServer
  readonly #channels: readonly string[]
  readonly #hear: { message(message: Message): void; gap(because: string): void }
  readonly #onClose: () => void
  #stops: (() => void)[] = []
  #hasGap = false
  #isClosed = false

  constructor(
    server: MemoryServer,
    channels: readonly string[],
    hear: { message(message: Message): void; gap(because: string): void },
    onClose: () => void,
  ) {
    this.#server = server
    this.#channels = channels
    this.#hear = hear
    this.#onClose = onClose
  }

  open(): void {
    if (this.#isClosed || this.#stops.length > 0) return
    this.#stops = this.#channels.map((channel) =>
      this.#server.listen(channel, (text) =>
        queueMicrotask(() => {
          if (!this.#isClosed) this.#hear.message({ channel, text })
        }),
      ),
    )
    // Told again: from here on nothing is missed, and it is time to look what was.
    if (this.#hasGap) this.#hear.gap('channels are listened to again')
    this.#hasGap = false
  }

  lose(because: string): void {
    if (this.#stops.length === 0) return
    this.#stop()
    this.#hasGap = true
    this.#hear.gap(because)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stop()
    this.#onClose()
  }

  #stop(): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
  }
}
