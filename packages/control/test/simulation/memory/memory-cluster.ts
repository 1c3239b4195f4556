import type { Envelope, NodePlace } from '@holdfast/core'
import { evenSlots, hasSlot, shardsOf } from '@holdfast/core'
import type { EngineExit } from '../../../src/host/host.ts'
import { tickWorks } from './actions.ts'
import { appendWrite, writesMissing } from './data.ts'
import { tickElection } from './election.ts'
import { tickGossip } from './gossip.ts'
import { HandClock } from './hand-clock.ts'
import type { CopyAhead, MemoryNode, Promotion, World } from './node.ts'
import { confOf, isServing, newNode, ownsSlots, viewOf } from './node.ts'
import { shutDown } from './process.ts'
import { Random } from './random.ts'
import { applyStream, mayWrite, replicasAttachedTo, tickReplication } from './replication.ts'

/*
 * Engines, their agents and their host as one small program: it stands behind the same ports as the real ones and
 * passes the same contract suite. Everything that happens comes from the seed and the hand clock.
 */

export interface MemoryClusterOptions {
  readonly seed: number
  readonly nodes: readonly NodePlace[]
  readonly clock?: HandClock
  readonly deployment?: string
  readonly hostId?: string
  readonly nodeTimeoutMs?: number
  /** Size of one write on the replication stream. Larger ones make a lagging replica lag by more. */
  readonly writeBytes?: number
  /** Whether the engine fails over by itself underneath. */
  readonly nativeFailover?: boolean
  /** Whether clients take a write for done only once a replica has it. */
  readonly durableWrites?: boolean
  /** The directives that the agent reads back. Default: all that the config file names. */
  readonly ownedDirectives?: readonly string[]
  /** Who belongs to the deployment now, and to which shard. Default: all nodes, where they were placed. */
  readonly layout?: () => readonly NodePlace[]
  /** Slots that are written to and judged beside one of each shard, by a name for each. */
  readonly probes?: Readonly<Record<string, number>>
}

/** An envelope that the host accepted, and when. */
export interface Accepted {
  readonly at: number
  readonly epoch: number
  readonly action: Envelope['action']
  readonly from: string
  readonly host: string
}

export interface AcknowledgedWrite {
  readonly shard: string
  readonly at: number
  /** Whether its client was told that it is done. */
  readonly counts: boolean
}

/** Ways in which a message between a controller and the agent can fail. */
export interface HostWeather {
  /** Chances in [0, 1] that a request does not arrive, that its answer does not, that an exit is not told. */
  requestLoss: number
  replyLoss: number
  exitLoss: number
  /** Until when the agent answers nothing at all. */
  silentUntil: number
}

const cronMs = 100
/** How often the agent notes what its engines are, and reads back their config. */
const recordMs = 500
const readBackMs = 2000

export class MemoryCluster implements World {
  readonly clock: HandClock
  readonly random: Random
  readonly deployment: string
  readonly hostId: string
  readonly nodeTimeoutMs: number
  readonly writeBytes: number
  readonly nativeFailover: boolean
  readonly durableWrites: boolean
  readonly nodes: readonly MemoryNode[]
  readonly hostWeather: HostWeather = { requestLoss: 0, replyLoss: 0, exitLoss: 0, silentUntil: 0 }
  busLoss = 0
  /** The highest epoch that each agent accepted: on its disk in the real world. */
  readonly epochs = new Map<string, number>()
  /** Ways between machines that carry nothing, as `from>to`. */
  readonly #cuts = new Set<string>()
  readonly accepted: Accepted[] = []
  readonly promotions: Promotion[] = []
  /** Writes that went with the last copy that had them, by a fault. */
  readonly destroyed: number[] = []
  /** By write number, all that a primary ever acknowledged. */
  readonly acknowledged: AcknowledgedWrite[] = []
  /** What an earlier promotion gave up: a later one is not to blame for it again. */
  readonly #writtenOff = new Set<number>()
  readonly #owned: readonly string[] | undefined
  /** Who belongs to the deployment now, and to which shard. */
  readonly layout: () => readonly NodePlace[]
  readonly #byId: ReadonlyMap<string, MemoryNode>
  readonly #byPort: ReadonlyMap<number, MemoryNode>
  readonly #probeSlots: ReadonlyMap<string, number>
  /** Told of every accepted envelope before it is run, by those who judge. */
  onAccepted: (accepted: Accepted) => void = () => {}
  readonly #exitListeners = new Set<(exit: EngineExit) => void>()
  readonly #changeListeners = new Set<(node: MemoryNode) => void>()
  #pids = 1000

  constructor(options: MemoryClusterOptions) {
    this.clock = options.clock ?? new HandClock()
    this.random = new Random(options.seed)
    this.deployment = options.deployment ?? 'shop'
    this.hostId = options.hostId ?? 'local'
    this.nodeTimeoutMs = options.nodeTimeoutMs ?? 5000
    this.writeBytes = options.writeBytes ?? 100
    this.nativeFailover = options.nativeFailover ?? true
    this.durableWrites = options.durableWrites ?? false
    this.nodes = options.nodes.map(newNode)
    this.#owned = options.ownedDirectives
    this.layout = options.layout ?? (() => options.nodes)
    this.#byId = new Map(this.nodes.map((node) => [node.place.id, node]))
    this.#byPort = new Map(this.nodes.map((node) => [node.place.port, node]))
    const shards = shardsOf(options.nodes)
    const middles = evenSlots(shards.length).map(
      ([from, to], index) => [shards[index]?.id ?? '', (from + to) >> 1] as const,
    )
    this.#probeSlots = new Map([...middles, ...Object.entries(options.probes ?? {})])
    for (const node of this.nodes) this.#tickFrom(node, this.now() + this.random.between(0, cronMs - 1))
    this.#recordFrom(this.now() + this.random.between(0, recordMs - 1))
  }

  now(): number {
    return this.clock.now()
  }

  later(ms: number, run: () => void): void {
    this.clock.at(this.now() + ms, run)
  }

  at(port: number): MemoryNode | undefined {
    return this.#byPort.get(port)
  }

  nextPid(): number {
    return ++this.#pids
  }

  node(id: string): MemoryNode {
    const node = this.#byId.get(id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#exitListeners.add(listener)
  }

  onChange(listener: (node: MemoryNode) => void): void {
    this.#changeListeners.add(listener)
  }

  offChange(listener: (node: MemoryNode) => void): void {
    this.#changeListeners.delete(listener)
  }

  /** What one machine sends arrives at another. */
  carries(from: string, to: string): boolean {
    return !this.#cuts.has(`${from}>${to}`)
  }

  /** Connections need both ways. */
  connects(one: string, other: string): boolean {
    return this.carries(one, other) && this.carries(other, one)
  }

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`)
    this.#part(from, to)
  }

  mend(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`)
    this.#part(from, to)
  }

  /** Where a node that has not come yet shall be: known only once a controller has said it. */
  settle(place: NodePlace): void {
    const node = this.node(place.id)
    if (node.process !== null || node.conf !== null || node.place.host === place.host) return
    node.place = place
    node.weather.parted.clear()
    const ways = [...this.#cuts].map((way) => way.split('>'))
    for (const [from = '', to = ''] of ways.filter((way) => way.includes(place.host)))
      node.weather.parted.add(from === place.host ? to : from)
  }

  #part(one: string, other: string): void {
    const connected = this.connects(one, other)
    for (const { place, weather } of this.nodes) {
      const beyond = place.host === one ? other : place.host === other ? one : undefined
      if (beyond === undefined) continue
      if (connected) weather.parted.delete(beyond)
      else weather.parted.add(beyond)
    }
  }

  exited(node: MemoryNode, pid: number): void {
    const lost = this.random.chance(this.hostWeather.exitLoss)
    this.later(this.random.between(1, 4), () => {
      this.changed(node)
      if (lost) return
      for (const listener of this.#exitListeners) listener({ deployment: this.deployment, node: node.place.id, pid })
    })
  }

  /** Tells whoever reads engines that something happened to this one. */
  changed(node: MemoryNode): void {
    for (const listener of this.#changeListeners) listener(node)
    this.clock.woke()
  }

  promoted(node: MemoryNode, how: Promotion['how']): void {
    const conf = confOf(node)
    const held = this.#heldBy(node)
    const shard = held[0] ?? node.place.shard
    const others = this.nodes.filter((other) => other !== node)
    const outdated = others.some((other) => held.some((one) => this.#outdoes(other, node, one)))
    const missing = others.flatMap((other) => this.#copyAhead(node, other, held))
    const at = this.now()
    this.promotions.push({ at, node: node.place.id, shard, how, epoch: conf.configEpoch, outdated, missing })
    if (!outdated) for (const write of missing.flatMap(({ writes }) => writes)) this.#writtenOff.add(write)
  }

  destroying(node: MemoryNode): void {
    const others = this.nodes.filter((other) => other !== node)
    let only = node.data.writes.slice(0, node.data.length)
    for (const other of others) only = writesMissing(other.data, { writes: only, length: only.length })
    this.destroyed.push(...only)
  }

  moveKeys(slot: number, from: MemoryNode, to: MemoryNode): void {
    const names = [...this.#probeSlots].flatMap(([name, at]) => (at === slot ? [name] : []))
    if (names.length === 0) return
    const isMoved = (write: number): boolean => names.includes(this.acknowledged[write]?.shard ?? '')
    const [stay, go] = [from, to].map(({ data }) => data.writes.slice(0, data.length)) as [number[], number[]]
    const moved = stay.filter(isMoved)
    this.#replaceData(to, [...go, ...moved])
    this.#replaceData(
      from,
      stay.filter((write) => !isMoved(write)),
    )
  }

  #replaceData(node: MemoryNode, writes: number[]): void {
    node.data = { writes, length: writes.length }
    if (node.process === null) return
    node.process.stream.offset += this.writeBytes
    for (const replica of replicasAttachedTo(this, node)) applyStream(this, replica, node)
  }

  /** Which of the slots that are written to a node owns, by their names. */
  #heldBy({ conf }: MemoryNode): string[] {
    return [...this.#probeSlots].flatMap(([name, slot]) => (conf !== null && hasSlot(conf.slots, slot) ? [name] : []))
  }

  probeSlotOf(shard: string): number {
    const slot = this.#probeSlots.get(shard)
    if (slot === undefined) throw new Error(`there is no shard ${shard}`)
    return slot
  }

  get shards(): string[] {
    return [...this.#probeSlots.keys()]
  }

  /** The living node to which a client that knows the newest slot map would write; undefined where there is none. */
  writablePrimaryOf(shard: string): MemoryNode | undefined {
    const owner = this.ownerOf(shard)
    if (owner?.process == null || !owner.process.clusterOk || owner.process.writesPausedUntil > this.now()) {
      return undefined
    }
    return owner
  }

  /** The answering node that owns the shard's probe slot in its own view, of the highest epoch. */
  ownerOf(shard: string): MemoryNode | undefined {
    const slot = this.probeSlotOf(shard)
    let owner: MemoryNode | undefined
    for (const node of this.nodes) {
      if (!ownsSlots(node) || !isServing(node, this.now()) || !hasSlot(confOf(node).slots, slot)) continue
      if (owner === undefined || confOf(node).configEpoch > confOf(owner).configEpoch) owner = node
    }
    return owner
  }

  /** One write of a client. Answers whether it was acknowledged. */
  write(shard: string): boolean {
    const primary = this.writablePrimaryOf(shard)
    if (primary?.process == null || !mayWrite(this, primary)) return false
    appendWrite(primary.data, this.acknowledged.length)
    primary.process.stream.offset += this.writeBytes
    const replicas = replicasAttachedTo(this, primary)
    for (const replica of replicas) applyStream(this, replica, primary)
    const isCopied = replicas.some(({ process }) => process?.stream.offset === primary.process?.stream.offset)
    const counts = isCopied || !this.durableWrites
    this.acknowledged.push({ shard, at: this.now(), counts })
    return counts
  }

  #tickFrom(node: MemoryNode, at: number): void {
    this.clock.at(at, () => {
      if (isServing(node, this.now())) {
        if (node.process?.stopAsked != null) shutDown(this, node, node.process.stopAsked.save)
      }
      tickWorks(this, node)
      if (isServing(node, this.now())) {
        tickGossip(this, node)
        tickReplication(this, node)
        tickElection(this, node)
      }
      this.#tickFrom(node, at + cronMs)
    })
  }

  #recordFrom(at: number): void {
    this.clock.at(at, () => {
      for (const node of this.nodes) if (isServing(node, this.now())) this.#record(node)
      this.#recordFrom(at + recordMs)
    })
  }

  #record(node: MemoryNode): void {
    const conf = confOf(node)
    const { process, record: before } = node
    const now = this.now()
    if (process === null) return
    const link = conf.role === 'replica' ? (process.link?.state ?? 'down') : null
    node.record = {
      // Read from nodes.conf, which somebody may have deleted.
      engineId: node.confOnDisk ? conf.id : (before?.engineId ?? ''),
      role: conf.role,
      ownedSlots: conf.slots.length > 0 || before?.ownedSlots === true,
      configEpoch: node.confOnDisk ? (viewOf(node).entries[0]?.configEpoch ?? 0) : (before?.configEpoch ?? 0),
      replid: process.stream.replid,
      offset: process.stream.offset,
      link,
      logs: node.config['appendonly'] !== 'no',
      linkUpAt: link === 'up' ? now : link === null ? null : (before?.linkUpAt ?? null),
      linkDownSince: link === 'up' || link === null ? null : (before?.linkDownSince ?? now),
      at: now,
    }
    if (node.starts.failures > 0) node.starts = { failures: 0, lastAt: node.starts.lastAt, lastError: null }
    if (now - node.readBack.at >= readBackMs) this.#readBack(node)
  }

  #readBack(node: MemoryNode): void {
    const { config, readBack, users } = node
    const names = this.#owned ?? Object.keys(config)
    readBack.config = Object.fromEntries(names.flatMap((name) => (name in config ? [[name, config[name] ?? '']] : [])))
    readBack.usersNow = users
    readBack.usersLoaded ??= users
    readBack.at = this.now()
  }

  #outdoes(other: MemoryNode, node: MemoryNode, shard: string): boolean {
    if (other.conf === null || node.conf === null || !ownsSlots(other)) return false
    return hasSlot(other.conf.slots, this.probeSlotOf(shard)) && other.conf.configEpoch > node.conf.configEpoch
  }

  #counts(write: number, held: readonly string[]): boolean {
    const { [write]: one } = this.acknowledged
    return one !== undefined && one.counts && held.includes(one.shard)
  }

  #copyAhead(node: MemoryNode, other: MemoryNode, held: readonly string[]): CopyAhead[] {
    const missing = writesMissing(node.data, other.data).filter(
      (write) => this.#counts(write, held) && !this.#writtenOff.has(write),
    )
    if (missing.length === 0) return []
    const now = this.now()
    const recordedAt = other.record?.at ?? Number.NEGATIVE_INFINITY
    const recorded = missing.filter((write) => (this.acknowledged[write]?.at ?? now) <= recordedAt)
    return [
      {
        node: other.place.id,
        writes: missing,
        recordedBytes: recorded.length * this.writeBytes,
        state: other.process === null ? 'down' : isServing(other, now) ? 'serving' : 'silent',
        isFenced: other.fence !== null,
        downMs: other.lastExit === null ? 0 : now - other.lastExit.since,
        startsFailed: other.starts.failures + other.weather.startFailures,
      },
    ]
  }
}
