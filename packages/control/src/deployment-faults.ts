/**
 * The faults of a deployment, on whichever of its hosts they are. One that falls on several is ordered from each of them
 * in the same moment, and told of as one. A host that cannot be asked is believed as it spoke last.
 */
import type { FaultOrder, FaultSeen, MachineSeen } from '@holdfast/core'
import { faultTable, HoldfastError, joinFaults, localHostId, partsOf } from '@holdfast/core'
import type { FaultHost, SceneKnown } from './host/faults/fault-host.ts'

/** What was seen is older by then. Longer than for an action: the fault has a process to start. */
const injectWithinMs = 20_000

/** What the controller knows of a deployment, and where each node is. */
export interface SceneOverHosts extends SceneKnown {
  readonly nodes: readonly (SceneKnown['nodes'][number] & { readonly hostId: string })[]
}

export class DeploymentFaults {
  readonly #hostOf: (hostId: string) => FaultHost | undefined
  /** The hosts of a deployment. */
  readonly #hostsOf: (deployment: string) => readonly string[]
  readonly #lastSeen = new Map<string, readonly FaultSeen[]>()

  constructor(hostOf: (hostId: string) => FaultHost | undefined, hostsOf: (deployment: string) => readonly string[]) {
    this.#hostOf = hostOf
    this.#hostsOf = hostsOf
  }

  /** By host; one that does not answer is not in it. */
  async machines(name: string, known: SceneOverHosts): Promise<ReadonlyMap<string, MachineSeen>> {
    const asked = this.#whereabouts(name).map(async (hostId) => {
      const here = { ...known, nodes: known.nodes.filter((node) => node.hostId === hostId) }
      const seen = await this.#hostOf(hostId)
        ?.machine(name, here)
        .catch(() => undefined)
      return seen === undefined ? [] : [[hostId, seen] as const]
    })
    return new Map((await Promise.all(asked)).flat())
  }

  /** Throws what a host refuses with; what has begun on others by then is healed again, where it can be. */
  async inject(order: FaultOrder, controllerEpoch: number, known: SceneOverHosts): Promise<FaultSeen> {
    const { deployment } = order
    const parts = partsOf(order, known.nodes[0]?.hostId ?? localHostId)
    const hosts = parts.map(({ hostId }) => this.#reachable(hostId))
    const ordered = await Promise.allSettled(
      hosts.map((host, index) => {
        const envelope = { deployment, controllerEpoch, notAfter: host.now() + injectWithinMs }
        return host.inject({ ...envelope, order: parts[index]?.order ?? order }, known)
      }),
    )
    // Some faults take the way to their host along, before anybody could look.
    for (const [index, one] of ordered.entries()) {
      const key = keyOf(deployment, parts[index]?.hostId ?? '')
      if (one.status === 'fulfilled') this.#lastSeen.set(key, [one.value, ...(this.#lastSeen.get(key) ?? [])])
    }
    const refused = ordered.find((one) => one.status === 'rejected')
    const [fault] = joinFaults(ordered.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
    if (refused === undefined && fault !== undefined) return fault
    if (fault === undefined) throw refused?.reason
    if (faultTable[order.fault].forMs > 0) await this.heal(deployment, order.id)
    const done = `${order.fault} was done to ${fault.targets.join(', ')} alone`
    throw new HoldfastError('REFUSED_DRILL', `${done}: ${messageOf(refused?.reason)}`, { deployment }, refused?.reason)
  }

  /** Throws NOT_FOUND, and UNREACHABLE_AGENT where a host that has a part of it does not answer. */
  async heal(name: string, id: string): Promise<FaultSeen> {
    await this.seen(name)
    const hosts = this.#whereabouts(name).filter((hostId) =>
      this.#lastSeen.get(keyOf(name, hostId))?.some((fault) => fault.id === id),
    )
    const [fault] = joinFaults(await Promise.all(hosts.map((hostId) => this.#reachable(hostId).heal(name, id))))
    if (fault !== undefined) return fault
    throw new HoldfastError('NOT_FOUND', `there is no fault ${id.slice(0, 80)}`, { id: id.slice(0, 80) })
  }

  async seen(name: string): Promise<readonly FaultSeen[]> {
    return joinFaults((await Promise.all(this.#whereabouts(name).map((hostId) => this.#seenOn(hostId, name)))).flat())
  }

  async #seenOn(hostId: string, name: string): Promise<readonly FaultSeen[]> {
    const key = keyOf(name, hostId)
    try {
      const seen = (await this.#hostOf(hostId)?.seen(name)) ?? []
      this.#lastSeen.set(key, seen)
      return seen
    } catch {
      return this.#lastSeen.get(key) ?? []
    }
  }

  /** Its own hosts, and this machine, whose controller may be killed. */
  #whereabouts(name: string): readonly string[] {
    return [...new Set([...this.#hostsOf(name), localHostId])]
  }

  #reachable(hostId: string): FaultHost {
    const host = this.#hostOf(hostId)
    if (host !== undefined) return host
    throw new HoldfastError('NOT_FOUND', `host ${hostId} has not joined this home`, { host: hostId })
  }
}

const keyOf = (deployment: string, hostId: string): string => `${deployment}/${hostId}`

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
