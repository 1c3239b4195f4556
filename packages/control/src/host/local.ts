import { existsSync } from 'node:fs'
import type {
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  Envelope,
  FaultEnvelope,
  NodePlace,
  PartAsked,
  SentinelPlace,
} from '@holdfast/core'
import { admit, HoldfastError, proxyId, refuseOldLift } from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import type { Program } from '../binary/program.ts'
import type { Clock } from '../clock.ts'
import { AgentMemory } from './agent-memory.ts'
import { readPiece } from './backup/part.ts'
import type { EngineExit, HostPort } from './host.ts'
import { LocalEngine } from './local-engine.ts'
import { LocalProxy } from './local-proxy.ts'
import { LocalSentinel } from './local-sentinel.ts'

/** How often the agent looks after its own engines: their records are what is left when one dies. */
const recordEveryMs = 250
/** How often its records go to disk while nobody changes role: what a controller that dies leaves to the next. */
const saveEveryMs = 2000

export interface LocalHostOptions {
  readonly id: string
  readonly clock: Clock
  readonly binary: (deployment: string) => Promise<EngineBinary>
  readonly proxyProgram: () => Promise<Program>
  /** Where the agent keeps what it must not forget. */
  readonly memoryDir: string
  readonly nodeDir: (deployment: string, node: string) => string
  /** The agent's own user on the engines of a deployment. */
  readonly admin: (deployment: string) => { readonly username: string; readonly password: string }
  /** The names of the directives to read back. */
  readonly ownedDirectives: (deployment: string) => readonly string[]
}

/** The agent of the machine that the controller runs on: a function call away, behind the port of a remote one. */
export class LocalHost implements HostPort {
  readonly id: string
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #engines = new Map<string, LocalEngine>()
  readonly #sentinels = new Map<string, LocalSentinel>()
  readonly #proxies = new Map<string, LocalProxy>()
  readonly #savedAt = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #exitListener: (exit: EngineExit) => void = () => {}
  #jobListener: (deployment: string) => void = () => {}

  constructor(options: LocalHostOptions) {
    this.id = options.id
    this.#options = options
    this.#memory = new AgentMemory(options.memoryDir)
    this.#timer = setInterval(() => void this.#recordAll(), recordEveryMs)
    this.#timer.unref()
  }

  now(): number {
    return this.#options.clock.now()
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#exitListener = listener
  }

  onJobEnd(listener: (deployment: string) => void): void {
    this.#jobListener = listener
  }

  look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    return Promise.resolve(new Map(nodes.map((node) => [node.id, this.#engineOf(deployment, node).look()])))
  }

  lookAtSentinels(
    deployment: string,
    sentinels: readonly SentinelPlace[],
  ): Promise<ReadonlyMap<string, AgentSentinelSeen>> {
    return Promise.resolve(new Map(sentinels.map((place) => [place.id, this.#sentinelOf(deployment, place).look()])))
  }

  lookAtProxy(deployment: string, wanted: boolean): Promise<AgentProxySeen | null> {
    const isThere = wanted || existsSync(this.#options.nodeDir(deployment, proxyId))
    return Promise.resolve(isThere ? this.#proxyOf(deployment).look() : null)
  }

  async act(envelope: Envelope): Promise<void> {
    const { deployment, controllerEpoch, action } = envelope
    const key = `${deployment}/${action.node}`
    if (action.kind === 'lift-fence') refuseOldLift(action.node, this.#engines.get(key)?.fenced, controllerEpoch)
    const gate = this.enter(envelope)
    if (action.kind === 'fence-writes') return this.#engines.get(key)?.fence(controllerEpoch, action.reason)
    const engine = this.#engines.get(key) ?? this.#sentinels.get(key) ?? this.#proxies.get(key)
    if (engine === undefined) {
      throw new HoldfastError('NOT_FOUND', `${action.node} of ${deployment} is not placed on ${this.id}`)
    }
    await engine.act(action, gate, () => this.#refuseOutdated(envelope))
  }

  readPart(asked: PartAsked): Promise<Uint8Array> {
    return readPiece(asked, this.#options.nodeDir(asked.deployment, asked.node))
  }

  /**
   * Obeys the epoch of an order from now on, or refuses the order. Answers the gate that is asked again before every
   * command of it: a process may be paused between any two of them.
   */
  enter(envelope: Envelope | FaultEnvelope): () => void {
    const { deployment, controllerEpoch } = envelope
    const gate = (): void => admit(envelope, this.#memory.epoch(deployment), this.now())
    gate()
    this.#memory.obey(deployment, controllerEpoch)
    return gate
  }

  /** The highest epoch that was obeyed here. */
  epoch(deployment: string): number {
    return this.#memory.epoch(deployment)
  }

  /** This host is alone: what it has of a deployment takes no writes from now on. */
  fence(deployment: string, reason: string): void {
    const epoch = this.epoch(deployment)
    for (const engine of this.#engines.values()) if (engine.deployment === deployment) void engine.fence(epoch, reason)
  }

  /** Lets go of the engines: they run on. */
  close(): void {
    clearInterval(this.#timer)
    for (const engine of this.#engines.values()) engine.close()
    for (const sentinel of this.#sentinels.values()) sentinel.close()
  }

  /** What is under way for long outlives its order's time, but not its controller's epoch. */
  #refuseOutdated(envelope: Envelope): void {
    admit({ ...envelope, notAfter: Number.POSITIVE_INFINITY }, this.#memory.epoch(envelope.deployment), this.now())
  }

  #engineOf(deployment: string, place: NodePlace): LocalEngine {
    const key = `${deployment}/${place.id}`
    const known = this.#engines.get(key)
    if (known?.mayBeAt(place) === true) return known
    known?.close()
    const engine = new LocalEngine(deployment, place, this.#options, this.#memory, {
      exit: (pid) => this.#exitListener({ deployment, node: place.id, pid }),
      jobEnd: () => this.#jobListener(deployment),
    })
    this.#engines.set(key, engine)
    return engine
  }

  #sentinelOf(deployment: string, place: SentinelPlace): LocalSentinel {
    const key = `${deployment}/${place.id}`
    const known = this.#sentinels.get(key)
    if (known !== undefined) return known
    const sentinel = new LocalSentinel(deployment, place, this.#options, this.#memory, (pid) =>
      this.#exitListener({ deployment, node: place.id, pid }),
    )
    this.#sentinels.set(key, sentinel)
    return sentinel
  }

  #proxyOf(deployment: string): LocalProxy {
    const key = `${deployment}/${proxyId}`
    const known = this.#proxies.get(key)
    if (known !== undefined) return known
    const proxy = new LocalProxy(deployment, this.#options, this.#memory, (pid) =>
      this.#exitListener({ deployment, node: proxyId, pid }),
    )
    this.#proxies.set(key, proxy)
    return proxy
  }

  async #recordAll(): Promise<void> {
    void Promise.all([...this.#proxies.values()].map((proxy) => proxy.record()))
    await Promise.all([...this.#sentinels.values()].map((sentinel) => sentinel.record()))
    const engines = [...this.#engines.values()]
    await Promise.all(engines.map((engine) => engine.record()))
    for (const deployment of new Set(engines.map((engine) => engine.deployment))) {
      const changed = engines.filter((engine) => engine.deployment === deployment && engine.takeRoleChange())
      if (changed.length === 0 && this.now() - (this.#savedAt.get(deployment) ?? 0) < saveEveryMs) continue
      this.#memory.save(deployment, changed.length > 0)
      this.#savedAt.set(deployment, this.now())
    }
  }
}
