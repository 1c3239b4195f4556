/** The hosts of a home as people see and ask for them. */
import type { Document, HostFacts, HostFinding } from '@holdfast/core'
import { HoldfastError, judgeHost } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { Fleet } from './fleet.ts'
import type { EnrolledHost, HostLabels, HostRegister } from './register.ts'
import { printJoinToken } from './token.ts'

export interface JoinedHost extends EnrolledHost {
  /** Whether its agent is heard. */
  readonly state: 'here' | 'away'
  /** What it has of deployments: `shop: node-1, node-4`. */
  readonly carries: readonly string[]
}

/** One of them, with what its machine is at this moment. */
export interface HostLooked extends JoinedHost {
  /** null: its agent does not answer, and nobody knows. */
  readonly facts: HostFacts | null
  /** What of it will hurt engines, and how to mend it. */
  readonly findings: readonly HostFinding[]
}

export interface HostPlatform {
  /** By their names. */
  list(): readonly JoinedHost[]
  /** Asks its agent. Throws NOT_FOUND. */
  look(name: string): Promise<HostLooked>
  /** A token by which this host may join, once and within the hour. Throws USAGE where no door is open. */
  invite(labels: HostLabels): Promise<string>
  /** It belongs to this home no more. Throws NOT_FOUND, and REFUSED_UNSAFE while it carries something. */
  remove(name: string): Promise<void>
}

export interface HostDeskOptions {
  readonly register: HostRegister
  readonly fleet: Fleet
  readonly clock: Clock
  /** The doors of this controller and its authority; undefined where it has no address. */
  readonly door: () => { readonly urls: readonly string[]; readonly authority: string } | undefined
  readonly documents: () => readonly Document[]
}

export class HostDesk implements HostPlatform {
  readonly #options: HostDeskOptions

  constructor(options: HostDeskOptions) {
    this.#options = options
  }

  list(): readonly JoinedHost[] {
    const { register, fleet, clock } = this.#options
    return register.hosts().map((host) => {
      const isHere = fleet.isHere(host.name, clock.now())
      return { ...host, state: isHere ? 'here' : 'away', carries: this.#carriedBy(host.name) }
    })
  }

  async look(name: string): Promise<HostLooked> {
    const joined = this.list().find((host) => host.name === name)
    if (joined === undefined) throw new HoldfastError('NOT_FOUND', `there is no host ${name.slice(0, 40)}`)
    const { fleet, clock } = this.#options
    const askedAt = clock.wall()
    try {
      const { facts = null } = await fleet.greet(name)
      if (facts === null) return { ...joined, facts, findings: [] }
      // Half of the time that the answer took was its way back.
      return { ...joined, facts, findings: judgeHost(facts, (askedAt + clock.wall()) / 2) }
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'UNREACHABLE_AGENT') {
        return { ...joined, state: 'away', facts: null, findings: [] }
      }
      throw error
    }
  }

  async invite(labels: HostLabels): Promise<string> {
    const door = this.#options.door()
    if (door === undefined) {
      throw new HoldfastError(
        'USAGE',
        'no machine can reach this controller: start it with "holdfast serve --address ADDRESS", the one by which the others reach this machine',
      )
    }
    const secret = await this.#options.register.invite(labels)
    return printJoinToken({ ...door, urls: [...door.urls], host: labels.name, secret })
  }

  async remove(name: string): Promise<void> {
    const carried = this.#carriedBy(name)
    if (carried.length > 0) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        `${name} carries ${carried.join('; ')}: replace these nodes first, or take the deployments down`,
        { host: name },
      )
    }
    await this.#options.register.remove(name)
  }

  #carriedBy(host: string): string[] {
    return this.#options.documents().flatMap(({ name, nodes, sentinels = [] }) => {
      const ids = [...nodes, ...sentinels].filter((place) => place.host === host).map(({ id }) => id)
      return ids.length === 0 ? [] : [`${name}: ${ids.join(', ')}`]
    })
  }
}
