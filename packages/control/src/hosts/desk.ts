/** The hosts of a home as people see and ask for them. */
import type { Document, HostFacts, HostFinding, TakeOffPreview } from '@holdfast/core'
import { HoldfastError, judgeHost, parseSpec } from '@holdfast/core'
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

/** What it means to let a host go. */
export interface Removal {
  /** Each deployment that has something there, or names it, and what becomes of that; in words. */
  readonly deployments: readonly { readonly name: string; readonly lines: readonly string[] }[]
  /** What speaks against it; null: nothing. */
  readonly objection: string | null
}

export interface HostPlatform {
  /** By their names. */
  list(): readonly JoinedHost[]
  /** Asks its agent. Throws NOT_FOUND. */
  look(name: string): Promise<HostLooked>
  /** A token by which this host may join, once and within the hour. Throws USAGE where no door is open. */
  invite(labels: HostLabels): Promise<string>
  /** What letting it go would do. Changes nothing. Throws NOT_FOUND. */
  previewRemoval(name: string): Promise<Removal>
  /**
   * Takes it off every spec that names it: what it carries moves to the others. Throws NOT_FOUND, and REFUSED_UNSAFE with
   * what speaks against it; then no spec was changed.
   */
  empty(name: string, actor: string): Promise<void>
  /** It belongs to this home no more. Throws NOT_FOUND, and REFUSED_UNSAFE while it carries something, or a spec names it. */
  remove(name: string): Promise<void>
}

export interface HostDeskOptions {
  readonly register: HostRegister
  readonly fleet: Fleet
  readonly clock: Clock
  /** The doors of this controller and its authority; undefined where it has no address. */
  readonly door: () => { readonly urls: readonly string[]; readonly authority: string } | undefined
  readonly documents: () => readonly Document[]
  /** Takes a host off the spec of a deployment. */
  readonly specs: {
    previewTakeOff(deployment: string, host: string): Promise<TakeOffPreview>
    takeOff(deployment: string, host: string, actor: string): Promise<unknown>
  }
  /** Where the members of etcd are, such as `https://10.0.0.1:2379`; none where the home has a file. */
  readonly etcd: () => Promise<readonly string[]>
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

  async previewRemoval(name: string): Promise<Removal> {
    const host = this.#options.register.host(name)
    if (host === undefined) throw new HoldfastError('NOT_FOUND', `there is no host ${name.slice(0, 40)}`)
    const seen: { name: string; lines: readonly string[] }[] = []
    for (const deployment of this.#about(name)) {
      const { lines, objection } = await this.#options.specs.previewTakeOff(deployment, name)
      if (objection !== null) return { deployments: [], objection }
      seen.push({ name: deployment, lines })
    }
    const members = (await this.#options.etcd()).filter((url) => new URL(url).hostname === host.address)
    const etcd = members.map((url) => ({
      name: 'etcd',
      lines: [`the member at ${url} ends with the agent of ${name}: a majority of the others has to go on without it`],
    }))
    return { deployments: [...seen, ...etcd], objection: null }
  }

  async empty(name: string, actor: string): Promise<void> {
    const { objection } = await this.previewRemoval(name)
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { host: name })
    for (const deployment of this.#naming(name)) await this.#options.specs.takeOff(deployment, name, actor)
  }

  async remove(name: string): Promise<void> {
    const carried = this.#carriedBy(name)
    if (carried.length > 0) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        `${name} carries ${carried.join('; ')}: "holdfast remove-host ${name}" moves that to other hosts first`,
        { host: name },
      )
    }
    const [naming] = this.#naming(name)
    if (naming !== undefined) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        `${naming} names ${name} among its hosts: "holdfast remove-host ${name}" takes it off`,
        { host: name, deployment: naming },
      )
    }
    await this.#options.register.remove(name)
  }

  /** The deployments whose spec names it. */
  #naming(host: string): string[] {
    return this.#options
      .documents()
      .filter(({ spec }) => parseSpec(spec).hosts.some(({ name }) => name === host))
      .map(({ name }) => name)
  }

  /** Those and the ones that still have something there. */
  #about(host: string): string[] {
    const carrying = this.#options.documents().filter((document) => placesOn(host, document).length > 0)
    return [...new Set([...this.#naming(host), ...carrying.map(({ name }) => name)])]
  }

  #carriedBy(host: string): string[] {
    return this.#options.documents().flatMap((document) => {
      const ids = placesOn(host, document)
      return ids.length === 0 ? [] : [`${document.name}: ${ids.join(', ')}`]
    })
  }
}

const placesOn = (host: string, { nodes, sentinels = [] }: Document): string[] =>
  [...nodes, ...sentinels].filter((place) => place.host === host).map(({ id }) => id)
