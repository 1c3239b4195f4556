import type { AgentNodeSeen, AgentProxySeen, AgentSentinelSeen, Envelope, NodePlace, ProcessSeen } from '@holdfast/core'
import { admit, HoldfastError, readConfigText } from '@holdfast/core'
import type { EngineExit, HostPort } from '../../../src/host/host.ts'
import { accessSeen } from './access.ts'
import { perform } from './actions.ts'
import type { MemoryCluster } from './memory-cluster.ts'
import type { MemoryNode } from './node.ts'
import { accountCpu } from './process.ts'

/** The agent, as one controller reaches it. All of them reach the same agent, which keeps the highest epoch. */
export class MemoryHost implements HostPort {
  readonly id: string
  readonly #cluster: MemoryCluster
  readonly #caller: string

  constructor(cluster: MemoryCluster, caller = 'controller') {
    this.#cluster = cluster
    this.#caller = caller
    this.id = cluster.hostId
  }

  now(): number {
    return this.#cluster.now()
  }

  look(_deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    if (!this.#answers()) return Promise.reject(this.#unreachable())
    return Promise.resolve(
      new Map(nodes.map((place) => [place.id, nodeSeen(this.#cluster.node(place.id), this.#cluster.now())])),
    )
  }

  /** There are none in its world. */
  lookAtSentinels(): Promise<ReadonlyMap<string, AgentSentinelSeen>> {
    return Promise.resolve(new Map())
  }

  /** There is none either. */
  lookAtProxy(): Promise<AgentProxySeen | null> {
    return Promise.resolve(null)
  }

  act(envelope: Envelope): Promise<void> {
    const cluster = this.#cluster
    const { requestLoss, replyLoss } = cluster.hostWeather
    if (!this.#answers() || cluster.random.chance(requestLoss)) return Promise.reject(this.#unreachable())
    try {
      this.#accept(envelope)
      perform(cluster, cluster.node(envelope.action.node), envelope.action)
    } catch (error) {
      return Promise.reject(error)
    }
    return cluster.random.chance(replyLoss) ? Promise.reject(this.#unreachable()) : Promise.resolve()
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#cluster.onExit(listener)
  }

  /** The memory cluster has no long works: there are no files in it to take. */
  onJobEnd(): void {}

  #accept(envelope: Envelope): void {
    const cluster = this.#cluster
    const now = cluster.now()
    admit(envelope, cluster.epochHighest, now)
    cluster.epochHighest = envelope.controllerEpoch
    const accepted = { at: now, epoch: envelope.controllerEpoch, action: envelope.action, from: this.#caller }
    cluster.accepted.push(accepted)
    cluster.onAccepted(accepted)
  }

  #answers(): boolean {
    return this.#cluster.now() >= this.#cluster.hostWeather.silentUntil
  }

  #unreachable(): HoldfastError {
    return new HoldfastError('UNREACHABLE_ENGINE', `the agent of ${this.id} does not answer`, { host: this.id })
  }
}

function nodeSeen(node: MemoryNode, now: number): AgentNodeSeen {
  const { config, usersNow, usersLoaded } = node.readBack
  return {
    process: processSeen(node, now),
    files: {
      aof: node.aofOnDisk,
      rdb: node.rdb !== null,
      rdbNewer: false,
      claim:
        node.conf === null || !node.confOnDisk
          ? null
          : { engineId: node.conf.id, role: node.conf.role, configEpoch: node.conf.configEpoch },
    },
    record: node.record,
    starts: node.starts,
    fencedAt: node.fencedAt,
    failoverAsked: node.failoverAsked,
    config,
    usersMatch: usersNow === null || usersLoaded === null ? null : usersNow === usersLoaded,
    written: directivesIn(node),
    given: node.given,
    saveAskedAt: null,
    freeMemoryBytes: null,
    access: accessSeen(node),
  }
}

/** Read once for as long as the file stays as it is. */
function directivesIn(node: MemoryNode): Readonly<Record<string, string>> {
  const known = read.get(node)
  if (known?.text === node.configFile) return known.directives
  const directives = readConfigText(node.configFile)
  read.set(node, { text: node.configFile, directives })
  return directives
}

const read = new WeakMap<MemoryNode, { readonly text: string; readonly directives: Readonly<Record<string, string>> }>()

function processSeen(node: MemoryNode, now: number): ProcessSeen {
  const { process, lastExit } = node
  if (process === null) return lastExit === null ? { state: 'absent' } : { state: 'dead', ...lastExit }
  accountCpu(process, now)
  return {
    state: 'running',
    pid: process.pid,
    startTime: process.startTime,
    stopped: process.stopped,
    cpuMs: process.cpuMs,
    cpuRoseAt: process.cpuRoseAt,
  }
}
