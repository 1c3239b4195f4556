/**
 * Faults, as the controller keeps them: aimed at what it sees, ordered from the agents under its epoch, and told in the
 * event log, when they begin and when they are over.
 */
import { randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import type { FaultPreview, FaultSeen, FaultWish, Neighbour, Spec, Status } from '@holdfast/core'
import { busPortOf, faultTable, formatDuration, HoldfastError, localHostId, previewFault } from '@holdfast/core'
import type { Clock } from './clock.ts'
import type { SceneOverHosts } from './deployment-faults.ts'
import { DeploymentFaults } from './deployment-faults.ts'
import type { FaultHost } from './host/faults/fault-host.ts'
import type { Log } from './log.ts'
import { readController } from './store/controller-file.ts'
import { readDrillLock } from './store/drill-lock.ts'
import type { Home } from './store/home.ts'
import type { History } from './store/store.ts'

/** How often it looks whether a fault is over. */
const lookEveryMs = 500
/** Where none lasts: each look costs the agents of its hosts something, for as long as the deployment lives. */
const restMs = 5000
/** What ended longer ago is no news to a controller that has just started. */
const newsMs = 600_000

export interface FaultDeskOptions {
  readonly controllerId: string
  readonly home: Home
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  readonly faults: (hostId: string) => FaultHost | undefined
  readonly names: () => string[]
  readonly status: (name: string) => Status | undefined
  readonly spec: (name: string) => Spec
}

interface News {
  /** By which it is known whether it was told. */
  readonly what: string
  /** Wall clock, ms since 1970: when it happened. */
  readonly at: number
  readonly because: string
}

export class FaultDesk {
  readonly #options: FaultDeskOptions
  readonly #faults: DeploymentFaults
  /** Deployments of which a fault is just being injected. */
  readonly #injecting = new Set<string>()
  /** Sentences that are in the log already: a fault's id, and `id healed`. By deployment, read from the log at first. */
  readonly #told = new Map<string, Set<string>>()
  /** Who heals which fault right now: the look round may notice it first, and tells it in his name. */
  readonly #healedBy = new Map<string, string>()
  /** Until when the hosts of a deployment are not asked: none of its faults lasts. */
  readonly #restsUntil = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined

  constructor(options: FaultDeskOptions) {
    this.#options = options
    this.#faults = new DeploymentFaults(options.faults, (name) => hostsOf(options.spec(name)))
  }

  /** Begins to look after the faults of this home. */
  run(): void {
    this.#timer = setInterval(() => {
      this.#looking ??= this.look().finally(() => {
        this.#looking = undefined
      })
    }, lookEveryMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async preview(name: string, wish: FaultWish): Promise<FaultPreview> {
    const { clock, home, spec } = this.#options
    const status = this.#statusOf(name)
    const seen = await this.seen(name)
    return previewFault({
      wish,
      status,
      spec: spec(name),
      underway: seen.find(({ healedAt }) => healedAt === null) ?? null,
      lock: readDrillLock(home, name) ?? null,
      machines: await this.#faults.machines(name, this.#known(status)),
      own: ownAddresses(),
      neighbours: this.#neighbours(name),
      id: `f-${randomBytes(4).toString('hex')}`,
      pick: 0,
      now: clock.wall(),
    })
  }

  async inject(name: string, wish: FaultWish, actor: string): Promise<FaultSeen> {
    const { order, preconditions } = await this.preview(name, wish)
    const unmet = preconditions.filter(({ met }) => !met).map(({ because }) => because)
    if (this.#injecting.has(name)) unmet.push('another fault is just being injected: wait until it is there')
    if (order === null || unmet.length > 0) {
      throw new HoldfastError('REFUSED_DRILL', `no ${wish.fault} on ${name}: ${unmet.join('; ')}`, { name, unmet })
    }
    const status = this.#statusOf(name)
    this.#injecting.add(name)
    try {
      const fault = await this.#faults.inject(order, status.controller.epoch, this.#known(status))
      this.#tellBegun(fault, actor)
      return fault
    } finally {
      this.#restsUntil.delete(name)
      this.#injecting.delete(name)
    }
  }

  async heal(name: string, id: string, actor: string): Promise<FaultSeen> {
    this.#healedBy.set(id, actor)
    try {
      const fault = await this.#faults.heal(name, id)
      if (fault.healedAt === null) {
        throw new HoldfastError('DRILL_FAILED', `not healed: ${fault.because}: ${fault.trouble ?? 'it goes on'}`, {
          name,
          id,
          trouble: fault.trouble,
        })
      }
      this.#tellHealed(fault, actor)
      return fault
    } finally {
      this.#healedBy.delete(id)
    }
  }

  seen(name: string): Promise<readonly FaultSeen[]> {
    return this.#faults.seen(name)
  }

  /** Tells what has become of the faults, also of those that healed while no controller was there. */
  async look(): Promise<void> {
    try {
      for (const name of this.#options.names()) await this.#lookAfter(name)
    } catch (error) {
      this.#options.log.error({ err: error }, 'faults not looked after')
    }
  }

  async #lookAfter(name: string): Promise<void> {
    if (this.#options.status(name)?.controller.lease !== 'held' || this.#injecting.has(name)) return
    const { clock } = this.#options
    if (clock.now() < (this.#restsUntil.get(name) ?? Number.NEGATIVE_INFINITY)) return
    const seen = await this.seen(name)
    if (seen.every(({ healedAt }) => healedAt !== null)) this.#restsUntil.set(name, clock.now() + restMs)
    this.#passOverOld(seen)
    for (const fault of seen) {
      this.#tellBegun(fault)
      if (fault.healedAt !== null) this.#tellHealed(fault, this.#healedBy.get(fault.id))
    }
  }

  #tellBegun(fault: FaultSeen, actor?: string): void {
    this.#tell(fault, { what: fault.id, at: fault.injectedAt, because: fault.because }, actor)
  }

  #tellHealed(fault: FaultSeen, actor?: string): void {
    // What is over at once has no end of its own: Holdfast mends it, and says so.
    if (faultTable[fault.fault].forMs === 0 || fault.healedAt === null) return
    const lasted = formatDuration(fault.healedAt - fault.injectedAt)
    const because = `healed after ${lasted}: ${fault.because}`
    this.#tell(fault, { what: `${fault.id} healed`, at: fault.healedAt, because }, actor)
  }

  /** Once, whoever notices it first. */
  #tell(fault: FaultSeen, news: News, actor = `controller ${this.#options.controllerId}`): void {
    const { history, log, status } = this.#options
    const { what, at, because } = news
    const { deployment, id, targets } = fault
    const told = this.#toldOf(deployment)
    if (told.has(what)) return
    told.add(what)
    const epoch = status(deployment)?.controller.epoch ?? 0
    const subject = targets[0] ?? deployment
    try {
      history.append({ epoch, at: Math.round(at), deployment, kind: 'drill', subject, because, cause: id, actor })
    } catch (error) {
      // On a full disk, above all, which a fault may have filled: it is told as soon as it can be.
      told.delete(what)
      log.error({ deployment, because, err: error }, 'event not written')
    }
  }

  /** An earlier controller may have told it: what it told is in the log. */
  #toldOf(name: string): Set<string> {
    const known = this.#told.get(name)
    if (known !== undefined) return known
    const drills = this.#options.history
      .latest({ deployment: name, limit: 1000 })
      .filter(({ kind }) => kind === 'drill')
    const told = new Set(
      drills.map(({ cause, because }) => (because.startsWith('healed') ? `${cause} healed` : String(cause))),
    )
    this.#told.set(name, told)
    return told
  }

  /** A log that is full of other things since then does not make an old fault news. */
  #passOverOld(seen: readonly FaultSeen[]): void {
    const recently = this.#options.clock.wall() - newsMs
    for (const { deployment, id, healedAt } of seen) {
      if (healedAt !== null && healedAt < recently) this.#toldOf(deployment).add(id).add(`${id} healed`)
    }
  }

  #statusOf(name: string): Status {
    const status = this.#options.status(name)
    if (status !== undefined) return status
    throw new HoldfastError('UNREACHABLE_ENGINE', `nobody has looked at ${name} yet: try again in a second`, { name })
  }

  #neighbours(name: string): Neighbour[] {
    const { names, spec, status } = this.#options
    return names().flatMap((other) => {
      const nodes = other === name ? [] : (status(other)?.nodes ?? [])
      return nodes.length === 0
        ? []
        : [{ name: other, hosts: nodes.map(({ hostId }) => hostId), drills: spec(other).drills }]
    })
  }

  #known({ nodes, sentinels, topology }: Status): SceneOverHosts {
    const controller = readController(this.#options.home)
    return {
      nodes: nodes.map(({ id, shard, hostId, host, port }) => ({ id, shard, hostId, host, port })),
      network: {
        clients: [...nodes, ...sentinels].map(({ port }) => port),
        engines: topology === 'cluster' ? nodes.map(({ port }) => busPortOf(port)) : [],
        drilledFrom: ownAddresses(),
      },
      controller:
        controller === undefined
          ? null
          : { pid: controller.pid, startTime: controller.startTime, port: Number(new URL(controller.url).port) },
    }
  }
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((some = []) => some.map(({ address }) => address))

const hostsOf = ({ hosts }: Spec): readonly string[] =>
  hosts.length === 0 ? [localHostId] : hosts.map(({ name }) => name)
