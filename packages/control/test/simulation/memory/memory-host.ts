import type {
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  Envelope,
  HearingSeen,
  NodePlace,
  PartAsked,
  ProcessSeen,
} from '@holdfast/core'
import { admit, HoldfastError, readConfigText, refuseOldLift } from '@holdfast/core'
import type { EngineExit, HostPort, HostSight } from '../../../src/host/host.ts'
import { accessSeen } from './access.ts'
import { perform } from './actions.ts'
import type { MemoryAgent } from './memory-agent.ts'
import { controllerSite } from './memory-agent.ts'
import type { MemoryCluster } from './memory-cluster.ts'
import { jobsSeen } from './moves.ts'
import type { MemoryNode } from './node.ts'
import { accountCpu } from './process.ts'

/** The agent, as one controller reaches it. All of them reach the same agent, which keeps the highest epoch. */
export class MemoryHost implements HostPort {
  readonly id: string
  readonly #cluster: MemoryCluster
  readonly #caller: string
  readonly #agent: MemoryAgent | undefined
  #heardAt: number
  #hearing: HearingSeen | null = null

  constructor(cluster: MemoryCluster, caller = 'controller', agent?: MemoryAgent) {
    this.#cluster = cluster
    this.#caller = caller
    this.#agent = agent
    this.id = agent?.id ?? cluster.hostId
    this.#heardAt = cluster.now()
  }

  now(): number {
    return this.#cluster.now()
  }

  look(_deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    if (!this.#answers()) return Promise.reject(this.#unreachable())
    this.#hear()
    for (const place of nodes) this.#cluster.settle(place)
    return Promise.resolve(
      new Map(nodes.map((place) => [place.id, nodeSeen(this.#cluster.node(place.id), this.#cluster.now())])),
    )
  }

  sight(): HostSight | undefined {
    return this.#agent === undefined ? undefined : { heardAt: this.#heardAt, hearing: this.#hearing }
  }

  /** The agent has answered. */
  #hear(): void {
    const now = this.#cluster.now()
    this.#heardAt = now
    if (this.#agent === undefined) return
    const { listensForMs, heardAgoMs, isAlone } = this.#agent.watch.hearing()
    const contacts = Object.fromEntries(Object.entries(heardAgoMs).map(([name, agoMs]) => [name, now - agoMs]))
    this.#hearing = { since: now - listensForMs, contacts, isAlone }
  }

  /** There are none in its world. */
  lookAtSentinels(): Promise<ReadonlyMap<string, AgentSentinelSeen>> {
    return Promise.resolve(new Map())
  }

  /** There is none either. */
  lookAtProxy(): Promise<AgentProxySeen | null> {
    return Promise.resolve(null)
  }

  /** There are no files in it either. */
  readPart({ node, shard }: PartAsked): Promise<never> {
    return Promise.reject(new HoldfastError('BACKUP_DAMAGED', `${node} has no snapshot of ${shard}`))
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
    const { action, controllerEpoch } = envelope
    if (action.kind === 'lift-fence') refuseOldLift(action.node, cluster.node(action.node).fence, controllerEpoch)
    admit(envelope, cluster.epochs.get(this.id) ?? 0, now)
    cluster.epochs.set(this.id, controllerEpoch)
    const accepted = { at: now, epoch: controllerEpoch, action, from: this.#caller, host: this.id }
    cluster.accepted.push(accepted)
    cluster.onAccepted(accepted)
  }

  #answers(): boolean {
    if (this.#cluster.now() < this.#cluster.hostWeather.silentUntil) return false
    return this.#agent === undefined || this.#agent.answers(controllerSite)
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
    fence: node.fence,
    failoverAsked: node.failoverAsked,
    config,
    usersMatch: usersNow === null || usersLoaded === null ? null : usersNow === usersLoaded,
    written: directivesIn(node),
    given: node.given,
    saveAskedAt: null,
    freeMemoryBytes: null,
    access: accessSeen(node),
    jobs: jobsSeen(node),
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
