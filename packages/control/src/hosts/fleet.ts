/** The machines that engines run on, each by the door to its agent: this one, and those that have joined. */
import type { AgentGreeting } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { FaultHost } from '../host/faults/fault-host.ts'
import type { HostPort } from '../host/host.ts'
import type { EnrolledHost, HostRegister } from './register.ts'

/** Without a word for so long it is said to be away; agents say one each second at least. */
export const awayAfterMs = 3000

/** A host behind its agent, as far as it was heard lately. */
export interface FarHost extends HostPort {
  readonly faults: FaultHost
  /** When it was last heard, by this process's clock; -Infinity: never yet. */
  readonly heardAt: number
  /** Who it says it is, and what its machine is now. Throws UNREACHABLE_AGENT. */
  greet(): Promise<AgentGreeting>
  close(): void
}

export class Fleet {
  /** Live: who joins is in it from then on. */
  readonly hosts: Map<string, HostPort>
  readonly #far = new Map<string, { readonly key: string; readonly host: FarHost }>()
  readonly #register: HostRegister
  readonly #reach: (host: EnrolledHost) => FarHost
  #enrolled: readonly EnrolledHost[] = []
  #listener: (host: HostPort) => void = () => {}

  constructor(local: HostPort, register: HostRegister, reach: (host: EnrolledHost) => FarHost) {
    this.hosts = new Map([[local.id, local]])
    this.#register = register
    this.#reach = reach
    register.onChange(() => this.refresh())
  }

  /**
   * Calls back for each that is here, and that comes from now on. Nobody is reached before: whoever listens is what an agent
   * asks of at once.
   */
  onHost(listener: (host: HostPort) => void): void {
    this.#listener = listener
    for (const host of this.hosts.values()) listener(host)
    this.refresh()
  }

  /** Who has joined, as it was read last. */
  get enrolled(): readonly EnrolledHost[] {
    return this.#enrolled
  }

  /** Whether its agent is heard: by `now` of our clock it has said a word in the last three seconds. */
  isHere(name: string, now: number): boolean {
    return now - (this.#far.get(name)?.host.heardAt ?? Number.NEGATIVE_INFINITY) < awayAfterMs
  }

  /** Undefined: it has not joined. */
  faultsOf(name: string): FaultHost | undefined {
    return this.#far.get(name)?.host.faults
  }

  /** What its agent says of itself and its machine, now. Throws NOT_FOUND, and UNREACHABLE_AGENT. */
  async greet(name: string): Promise<AgentGreeting> {
    const far = this.#far.get(name)
    if (far === undefined) throw new HoldfastError('NOT_FOUND', `there is no host ${name.slice(0, 40)}`)
    return far.host.greet()
  }

  /** Reads again who has joined: an agent that has moved is reached anew. */
  refresh(): void {
    this.#enrolled = this.#register.hosts()
    const wanted = new Map(this.#enrolled.map((host) => [host.name, host]))
    for (const [name, { key, host }] of this.#far) {
      const now = wanted.get(name)
      if (now !== undefined && keyOf(now) === key) continue
      host.close()
      this.#far.delete(name)
      this.hosts.delete(name)
    }
    for (const [name, enrolled] of wanted) {
      if (this.#far.has(name)) continue
      const host = this.#reach(enrolled)
      this.#far.set(name, { key: keyOf(enrolled), host })
      this.hosts.set(name, host)
      this.#listener(host)
    }
  }

  close(): void {
    for (const { host } of this.#far.values()) host.close()
  }
}

const keyOf = ({ address, port, joinedAt }: EnrolledHost): string => `${address} ${port} ${joinedAt}`
