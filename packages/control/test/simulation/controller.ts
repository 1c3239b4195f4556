import type { AgentNodeSeen, EngineSeen, Envelope, NodePlace, PartAsked, Plan } from '@holdfast/core'
import type { Clock } from '../../src/clock.ts'
import type { EnginePort } from '../../src/engine/engine.ts'
import type { EngineExit, HostPort } from '../../src/host/host.ts'
import type { MemoryAgent } from './memory/memory-agent.ts'
import { controllerSite } from './memory/memory-agent.ts'
import type { MemoryCluster } from './memory/memory-cluster.ts'
import { MemoryEngine } from './memory/memory-engine.ts'
import { MemoryHost } from './memory/memory-host.ts'

/** What a simulated controller sees the world through: the same ports as a real one, and it can be stopped dead. */
export interface Seat {
  readonly id: string
  readonly clock: Clock
  readonly engines: EnginePort
  readonly hosts: ReadonlyMap<string, HostPort>
}

/** The seam: whatever turns. The deployment loop is one, and so is a script of a few lines. */
export interface Turner {
  /** One turn: look, plan, act. Undefined: there was nothing to plan. */
  turn(): Promise<Plan | undefined>
  /** When it wants its next turn, by the clock. */
  readonly nextTurnAt: number
  /** The epoch in which it acts; null while it holds no lease. */
  readonly epoch?: number | null
  /** Something happened: the next turn is now. */
  wake(): void
}

export type MakeTurner = (seat: Seat) => Turner

/** An agent answers within this many ms. */
const answerMsMax = 3
const lookDeadlineMs = 300
const holdEveryMs = 300

/**
 * A controller process: its turns run as one task on the hand clock. Paused, it stands still wherever it is, in the
 * middle of a turn too; killed, it stands still for ever.
 */
export class SimulatedController {
  readonly id: string
  readonly #cluster: MemoryCluster
  readonly #engines: MemoryEngine
  readonly #turner: Turner
  readonly #onTurn: (controller: SimulatedController, plan: Plan) => void
  #state: 'running' | 'paused' | 'killed' = 'running'
  #waiting: (() => void)[] = []
  #rest = new AbortController()
  turns = 0

  constructor(
    id: string,
    cluster: MemoryCluster,
    makeTurner: MakeTurner,
    onTurn: (controller: SimulatedController, plan: Plan) => void,
    agents: ReadonlyMap<string, MemoryAgent> = new Map(),
  ) {
    this.id = id
    this.#cluster = cluster
    this.#onTurn = onTurn
    this.#engines = new MemoryEngine(cluster, { deadlineMs: lookDeadlineMs, site: controllerSite })
    const behind =
      agents.size === 0
        ? [new MemoryHost(cluster, id)]
        : [...agents.values()].map((agent) => new MemoryHost(cluster, id, agent))
    const hosts = behind.map((host) => new GatedHost(host, cluster, () => this.#awake()))
    const clock: Clock = {
      now: () => cluster.now(),
      boot: cluster.clock.boot,
      wall: () => cluster.clock.wall(),
      sleep: async (ms, signal) => {
        await cluster.clock.sleep(ms, signal)
        await this.#awake()
      },
    }
    const engines = new GatedEngines(this.#engines, () => this.#awake())
    this.#turner = makeTurner({ id, clock, engines, hosts: new Map(hosts.map((host) => [host.id, host])) })
    this.#engines.onChange(() => this.#rest.abort())
    for (const agent of agents.values()) this.#hold(agent)
    for (const host of hosts)
      host.onExit(() => {
        if (this.#state !== 'running') return
        this.#turner.wake()
        this.#rest.abort()
      })
    void this.#run()
  }

  get state(): 'running' | 'paused' | 'killed' {
    return this.#state
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.#engines.excuseSilence()
    const waiting = this.#waiting
    this.#waiting = []
    for (const go of waiting) go()
    this.#cluster.clock.woke()
  }

  kill(): void {
    this.#state = 'killed'
    this.#waiting = []
    this.#engines.close()
  }

  /** What a controller says to an agent beside its turns: that it has heard it, and holds the lease. */
  #hold(agent: MemoryAgent): void {
    const cluster = this.#cluster
    let heard = Number.NEGATIVE_INFINITY
    const say = (): void => {
      if (this.#state === 'killed') return
      cluster.later(holdEveryMs, say)
      if (this.#state !== 'running' || agent.isFrozen || !cluster.carries(controllerSite, agent.id)) return
      const { epoch = null } = this.#turner
      const epochs = epoch === null ? {} : { [cluster.deployment]: epoch }
      const answer = agent.watch.heldBy({ boot: 'boot-1', heard, epochs })
      if (cluster.carries(agent.id, controllerSite)) heard = answer.now
    }
    say()
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#awake()
      this.#rest = new AbortController()
      const plan = await this.#turner.turn()
      this.turns++
      if (plan !== undefined) this.#onTurn(this, plan)
      const restMs = this.#turner.nextTurnAt - this.#cluster.now()
      // Even a turn that wants the next one at once lets the others breathe.
      await this.#cluster.clock.sleep(Math.max(1, restMs), this.#rest.signal)
    }
  }

  /** Resolves while this process runs; a paused one waits here, and a killed one for ever. */
  #awake(): Promise<void> {
    if (this.#state === 'running') return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

class GatedEngines implements EnginePort {
  readonly #engines: MemoryEngine
  readonly #awake: () => Promise<void>

  constructor(engines: MemoryEngine, awake: () => Promise<void>) {
    this.#engines = engines
    this.#awake = awake
  }

  async look(nodes: readonly NodePlace[], signal: AbortSignal): Promise<ReadonlyMap<string, EngineSeen>> {
    await this.#awake()
    const seen = await this.#engines.look(nodes, signal)
    await this.#awake()
    return seen
  }

  onChange(listener: () => void): void {
    this.#engines.onChange(listener)
  }

  close(): void {
    this.#engines.close()
  }
}

/** A message to the agent takes a moment each way, and a paused controller may be paused in that moment. */
class GatedHost implements HostPort {
  readonly id: string
  readonly #host: MemoryHost
  readonly #cluster: MemoryCluster
  readonly #awake: () => Promise<void>

  constructor(host: MemoryHost, cluster: MemoryCluster, awake: () => Promise<void>) {
    this.id = host.id
    this.#host = host
    this.#cluster = cluster
    this.#awake = awake
  }

  now(): number {
    return this.#host.now()
  }

  async look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    await this.#awake()
    const seen = await this.#host.look(deployment, nodes)
    await this.#awake()
    return seen
  }

  sight(): ReturnType<MemoryHost['sight']> {
    return this.#host.sight()
  }

  lookAtSentinels(): ReturnType<HostPort['lookAtSentinels']> {
    return this.#host.lookAtSentinels()
  }

  lookAtProxy(): ReturnType<HostPort['lookAtProxy']> {
    return this.#host.lookAtProxy()
  }

  readPart(asked: PartAsked): ReturnType<HostPort['readPart']> {
    return this.#host.readPart(asked)
  }

  async act(envelope: Envelope): Promise<void> {
    await this.#cluster.clock.sleep(this.#cluster.random.between(0, answerMsMax))
    await this.#awake()
    await this.#host.act(envelope)
    await this.#awake()
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#host.onExit(listener)
  }

  onJobEnd(): void {
    this.#host.onJobEnd()
  }
}
