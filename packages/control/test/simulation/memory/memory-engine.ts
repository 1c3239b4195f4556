import type { AttachedReplica, EngineFacts, EngineSeen, NodePlace, ReplicaLink } from '@holdfast/core'
import type { EnginePort } from '../../../src/engine/engine.ts'
import type { MemoryCluster } from './memory-cluster.ts'
import type { MemoryNode, Process } from './node.ts'
import { confOf, isAwake, viewOf } from './node.ts'
import { primaryNodeOf, replicasAttachedTo } from './replication.ts'

/** Between looks a node is asked this often whether it is there, so a freeze is noticed about then. */
const heartbeatMs = 200

export interface MemoryEngineOptions {
  /** How long a look waits for a node that answered last time. 0: not at all, and time need not move. */
  readonly deadlineMs?: number
  /** The machine that it asks from. Default: one that is cut off from nobody. */
  readonly site?: string
}

/** One observer of the engines. Each controller has its own, since silence is what one observer hears. */
export class MemoryEngine implements EnginePort {
  readonly #cluster: MemoryCluster
  readonly #deadlineMs: number
  readonly #site: string
  /** The oldest question that a node has not answered. */
  readonly #askedAt = new Map<string, number>()
  readonly #listeners: (() => void)[] = []
  readonly #onChange = () => {
    for (const listener of this.#listeners) listener()
  }
  /** Since when this observer is awake: silence before that proves nothing. */
  #awakeSince = Number.NEGATIVE_INFINITY

  constructor(cluster: MemoryCluster, options: MemoryEngineOptions = {}) {
    this.#cluster = cluster
    this.#deadlineMs = options.deadlineMs ?? 0
    this.#site = options.site ?? ''
    cluster.onChange(this.#onChange)
  }

  async look(nodes: readonly NodePlace[], signal: AbortSignal): Promise<ReadonlyMap<string, EngineSeen>> {
    const asked = this.#cluster.now()
    const patienceMs = Math.max(0, ...nodes.map((place) => this.#patienceFor(this.#cluster.node(place.id))))
    if (patienceMs > 0) await this.#cluster.clock.sleep(patienceMs, signal)
    return new Map(nodes.map((place) => [place.id, this.#ask(this.#cluster.node(place.id), asked)]))
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** The observer was paused and goes on: what looks like silence starts to count only now. */
  excuseSilence(): void {
    this.#awakeSince = this.#cluster.now()
  }

  close(): void {
    this.#cluster.offChange(this.#onChange)
  }

  /** A node that is silent already is not waited for. */
  #patienceFor(node: MemoryNode): number {
    if (this.#deadlineMs === 0 || this.#askedAt.has(node.place.id) || node.process === null) return 0
    if (node.weather.parted.has(this.#site)) return this.#deadlineMs
    if (!isAwake(node.process, this.#cluster.now())) return node.process.phase === 'serving' ? this.#deadlineMs : 0
    return Math.min(node.weather.slowMs, this.#deadlineMs)
  }

  #ask(node: MemoryNode, asked: number): EngineSeen {
    const now = this.#cluster.now()
    const { process, place, weather } = node
    const silent = (): EngineSeen => {
      const noticed = process === null || process.quietSince === 0 ? asked : process.quietSince + heartbeatMs
      const since = this.#askedAt.get(place.id) ?? Math.min(asked, noticed)
      this.#askedAt.set(place.id, since)
      return { kind: 'silent', since: Math.max(since, this.#awakeSince) }
    }
    if (weather.parted.has(this.#site)) return silent()
    // The port of a killed process that waits for its disk still takes connections.
    if (process === null && node.lastExit?.lingering) return silent()
    if (process === null || process.phase === 'starting') {
      this.#askedAt.delete(place.id)
      return { kind: 'refused', at: now, reason: 'ECONNREFUSED' }
    }
    if (process.stopped || process.stalled) return silent()
    if (process.busyUntil > now) {
      if (!process.saysBusy) return silent()
      this.#askedAt.delete(place.id)
      return { kind: 'busy', at: now }
    }
    if (process.phase === 'loading') {
      this.#askedAt.delete(place.id)
      return { kind: 'loading', at: now }
    }
    const slow = node.weather.slowMs
    if (slow > this.#deadlineMs && now - (this.#askedAt.get(place.id) ?? now) < slow) return silent()
    this.#askedAt.delete(place.id)
    return { kind: 'answered', at: now, askedAt: now, facts: factsOf(this.#cluster, node, process) }
  }
}

function factsOf(cluster: MemoryCluster, node: MemoryNode, process: Process): EngineFacts {
  const conf = confOf(node)
  const now = cluster.now()
  return {
    engineId: conf.id,
    version: process.version,
    role: conf.role,
    replid: process.stream.replid,
    replidBefore: process.stream.replidBefore,
    offsetBefore: process.stream.offsetBefore < 0 ? null : process.stream.offsetBefore,
    offset: process.stream.offset,
    link: conf.role === 'replica' ? linkOf(cluster, node, process) : null,
    replicas: conf.role === 'primary' ? replicasAttachedTo(cluster, node).map((it) => attached(it, now)) : [],
    disk: {
      logs: node.config['appendonly'] !== 'no',
      logOk: true,
      rewriting: false,
      rewriteOk: true,
      saving: false,
      saveOk: true,
      savedAgoSeconds: node.savedAt === null ? null : Math.floor((now - node.savedAt) / 1000),
    },
    clusterOk: process.clusterOk,
    view: viewOf(node),
    memoryBytes: 2_000_000 + node.data.length * cluster.writeBytes,
    memoryMaxBytes: 268_435_456,
    opsPerSecond: 0,
    clients: 1,
    keys: node.data.length,
    uptimeSeconds: Math.floor((now - process.servingSince) / 1000),
  }
}

function linkOf(cluster: MemoryCluster, node: MemoryNode, process: Process): ReplicaLink {
  const { link } = process
  const state = link?.state ?? 'down'
  const downMs = state === 'down' ? cluster.now() - (link?.since ?? process.servingSince) : 0
  const primary = primaryNodeOf(cluster, node)?.place
  return {
    state,
    downSeconds: Math.floor(downMs / 1000),
    primaryAddress: primary?.address ?? '',
    primaryPort: primary?.port ?? 0,
    priority: 100,
  }
}

/** A replica that lags still acknowledges, late offsets each second; a frozen one goes quiet. */
function attached(replica: MemoryNode, now: number): AttachedReplica {
  const process = replica.process
  const quiet = process !== null && !isAwake(process, now)
  return {
    port: replica.place.port,
    online: process?.link?.state === 'up',
    offset: process?.stream.offset ?? 0,
    ackAgeSeconds: quiet ? Math.floor((now - process.quietSince) / 1000) : 0,
  }
}
