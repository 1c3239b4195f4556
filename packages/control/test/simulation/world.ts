/*
 * A deployment on a memory cluster, with writers, faults and controllers, all from one seed. The controllers are
 * whatever turns (see `Turner`); the world drives time, hurts engines and controllers by a schedule, and writes down
 * whatever must never have been.
 */
import type { NodePlace, Plan, Spec } from '@holdfast/core'
import { isDurable, layOut, parseSpec } from '@holdfast/core'
import type { Scheduled } from './bad-day.ts'
import type { MakeTurner } from './controller.ts'
import { SimulatedController } from './controller.ts'
import type { Fault } from './memory/faults.ts'
import { inject } from './memory/faults.ts'
import { MemoryAgent, spread } from './memory/memory-agent.ts'
import { MemoryCluster } from './memory/memory-cluster.ts'
import { Random } from './memory/random.ts'
import type { SafetyLimits } from './safety.ts'
import {
  defaultLimits,
  doubleWriters,
  judgeAction,
  judgeDurability,
  judgeEpochs,
  judgeLoss,
  judgePlan,
  judgePromotion,
  unsettled,
} from './safety.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly makeTurner: MakeTurner
  readonly spec?: Readonly<Record<string, unknown>>
  readonly ownedDirectives?: readonly string[]
  /** One write to each shard this often; 0: nobody writes. */
  readonly writeEveryMs?: number
  /** Large writes make a second of lag matter: with 10 a second, 100 000 bytes each are 1 MB. */
  readonly writeBytes?: number
  readonly limits?: Partial<SafetyLimits>
  /** Where nodes may come to later. Default: nowhere. */
  readonly moreNodes?: readonly NodePlace[]
  /** Over how many hosts the nodes are spread, each with an agent of its own; by their names where the spec says where each is. Default: all are on one. */
  readonly hosts?: number | readonly string[]
  /** Who belongs to the deployment now. Default: those of the spec. */
  readonly layout?: () => readonly NodePlace[]
  /** Slots that are written to beside one of each shard, by a name for each. */
  readonly probes?: Readonly<Record<string, number>>
}

export interface Settled {
  readonly turns: number
  readonly ms: number
}

/** How often the whole is judged while nothing particular happens. */
const judgeEveryMs = 100

export class Simulation {
  readonly seed: number
  readonly spec: Spec
  readonly nodes: readonly NodePlace[]
  readonly cluster: MemoryCluster
  /** For schedules; apart from the cluster's own chance, so that one more fault does not change everything else. */
  readonly random: Random
  readonly controllers: SimulatedController[] = []
  /** Of several hosts, by their names; none where all is on one. */
  readonly agents = new Map<string, MemoryAgent>()
  /** What must never have been, each once, with its time. */
  readonly violations: string[] = []
  /** The last sentences of the controllers, for whoever reads a failed seed. */
  readonly story: string[] = []
  readonly #makeTurner: MakeTurner
  readonly #limits: SafetyLimits
  readonly #lastTold = new Map<string, string>()
  readonly #double = new Map<string, number>()
  #turns = 0
  #promotionsJudged = 0

  constructor(options: SimulationOptions) {
    this.seed = options.seed
    this.spec = parseSpec({ name: 'shop', ...options.spec })
    this.nodes = typeof options.hosts === 'number' ? spread(layOut(this.spec), options.hosts) : layOut(this.spec)
    this.random = new Random(options.seed ^ 0x5eed)
    this.#makeTurner = options.makeTurner
    this.#limits = {
      ...defaultLimits,
      maxLagBytes: this.spec.failover.maxLag.bytes,
      lossAfterMs: this.spec.failover.lossAfter,
      ...options.limits,
    }
    this.cluster = new MemoryCluster({
      seed: options.seed,
      nodes: [...this.nodes, ...(options.moreNodes ?? [])],
      layout: options.layout ?? (() => this.nodes),
      nodeTimeoutMs: this.spec.timeouts.node,
      writeBytes: options.writeBytes ?? 100_000,
      nativeFailover: !isDurable(this.spec),
      durableWrites: isDurable(this.spec),
      ...(options.probes === undefined ? {} : { probes: options.probes }),
      ...(options.ownedDirectives === undefined ? {} : { ownedDirectives: options.ownedDirectives }),
    })
    const hosts = typeof options.hosts === 'number' ? this.nodes.map(({ host }) => host) : (options.hosts ?? [])
    for (const host of new Set(hosts)) {
      this.agents.set(host, new MemoryAgent(this.cluster, host, this.spec.timeouts.leaseAfter, this.agents))
    }
    this.cluster.onAccepted = (accepted) => this.#note(judgeAction(this.cluster, accepted))
    this.#every(judgeEveryMs, () => this.#judge())
    const { writeEveryMs = 100 } = options
    if (writeEveryMs > 0)
      this.#every(writeEveryMs, () => this.cluster.shards.forEach((shard) => this.cluster.write(shard)))
  }

  /** Turns of all controllers so far. */
  get turns(): number {
    return this.#turns
  }

  addController(): SimulatedController {
    const id = `controller-${this.controllers.length + 1}`
    const onTurn = (by: SimulatedController, plan: Plan): void => this.#onTurn(by, plan)
    const controller = new SimulatedController(id, this.cluster, this.#makeTurner, onTurn, this.agents)
    this.controllers.push(controller)
    return controller
  }

  inject(fault: Fault): void {
    this.#tell('fault', JSON.stringify(fault))
    inject(this.cluster, fault)
  }

  advance(ms: number): Promise<void> {
    return this.cluster.clock.advance(ms)
  }

  /** Kills one of those that run; its supervisor starts another one. */
  replaceController(): void {
    const running = this.controllers.filter(({ state }) => state !== 'killed')
    if (running.length === 0) return
    const victim = this.random.pick(running)
    this.#tell('fault', `${victim.id} is killed`)
    victim.kill()
    if (running.length === 1) this.addController()
  }

  /** Lives through a schedule whose times count from now. */
  async live(schedule: readonly Scheduled[]): Promise<void> {
    const began = this.cluster.now()
    for (const { at, fault } of schedule) {
      await this.advance(Math.max(0, began + at - this.cluster.now()))
      switch (fault.kind) {
        case 'kill-controller':
          this.replaceController()
          break
        case 'pause-controller':
          this.#pauseController(fault.forMs)
          break
        case 'add-controller':
          this.#tell('fault', 'another controller starts')
          this.addController()
          break
        default:
          this.inject(fault)
      }
    }
  }

  /**
   * Lets time pass until everything is as it should be and stays so for a second. Throws what is wrong where that takes
   * more turns than allowed.
   */
  async settle({ withinTurns, withinMs = 600_000 }: { withinTurns: number; withinMs?: number }): Promise<Settled> {
    const [firstTurn, began] = [this.#turns, this.cluster.now()]
    for (;;) {
      const problems = unsettled(this.cluster)
      const [turns, ms] = [this.#turns - firstTurn, this.cluster.now() - began]
      if (problems.length === 0) {
        await this.advance(1000)
        if (unsettled(this.cluster).length === 0) {
          this.#note(isDurable(this.spec) ? judgeDurability(this.cluster) : judgeLoss(this.cluster))
          return { turns, ms }
        }
      }
      if (turns > withinTurns || ms > withinMs) {
        throw new Error(`not settled after ${turns} turns and ${ms} ms: ${problems.join('; ')}\n${this.tellStory()}`)
      }
      await this.advance(50)
    }
  }

  /** The seed first: it brings everything back. */
  tellStory(last = 40): string {
    return [`SEED=${this.seed}`, ...this.violations, ...this.story.slice(-last)].join('\n')
  }

  close(): void {
    for (const controller of this.controllers) controller.kill()
  }

  #onTurn(controller: SimulatedController, plan: Plan): void {
    this.#turns++
    this.#tell(controller.id, plan.because)
    this.#note(judgePlan(this.cluster, plan))
  }

  #pauseController(forMs: number): void {
    const running = this.controllers.filter(({ state }) => state === 'running')
    if (running.length === 0) return
    const victim = this.random.pick(running)
    this.#tell('fault', `${victim.id} is paused for ${forMs} ms`)
    victim.pause()
    this.cluster.later(forMs, () => victim.resume())
  }

  #judge(): void {
    this.#note(judgeEpochs(this.cluster))
    this.#judgeWriters()
    const { promotions } = this.cluster
    for (const promotion of promotions.slice(this.#promotionsJudged))
      this.#note(judgePromotion(promotion, this.#limits))
    this.#promotionsJudged = promotions.length
  }

  /** A promoted node takes writes from the moment on that the others have heard of it, and the old one until it has. */
  #judgeWriters(): void {
    const now = this.cluster.now()
    const found = new Set(doubleWriters(this.cluster))
    for (const known of this.#double.keys()) if (!found.has(known)) this.#double.delete(known)
    for (const one of found) {
      const since = this.#double.get(one) ?? now
      this.#double.set(one, since)
      if (now - since >= this.#limits.doubleWritersMs) this.#note([`${one} for ${now - since} ms`])
    }
  }

  #note(violations: readonly string[]): void {
    for (const violation of violations) {
      if (this.violations.some((known) => known.endsWith(violation))) continue
      this.violations.push(`${this.#seconds()} VIOLATION ${violation}`)
      this.#tell('VIOLATION', violation)
    }
  }

  #tell(who: string, what: string): void {
    // A sentence that differs in its times only is the same sentence.
    const shape = what.replaceAll(/[\d.]+ (ms|s|min|h)\b/g, '…')
    if (this.#lastTold.get(who) === shape) return
    this.#lastTold.set(who, shape)
    this.story.push(`${this.#seconds()} ${who}: ${what}`)
    if (this.story.length > 2000) this.story.splice(0, 1000)
  }

  #seconds(): string {
    return `${((this.cluster.now() - 1_000_000) / 1000).toFixed(3)} s`
  }

  #every(ms: number, run: () => void): void {
    this.cluster.later(ms, () => {
      run()
      this.#every(ms, run)
    })
  }
}
