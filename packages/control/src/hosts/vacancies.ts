/** What the hosts of a home have room for: asked of their agents, less what all deployments have there. */
import type { Document, HostFacts, HostLoad, Spec, Vacancy } from '@holdfast/core'
import { parseSpec, roomsFor } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { proxyPortsOf } from '../taken-ports.ts'
import type { Fleet } from './fleet.ts'

/** Without a word for so long nothing is placed there. */
const awayAfterMs = 3000

export interface VacancyOptions {
  readonly fleet: Pick<Fleet, 'greet' | 'heardAt'>
  readonly clock: Clock
  readonly documents: () => readonly Document[]
}

/** Where one more node of a deployment could go, and what is known of each of its hosts. */
export interface Vacancies extends Vacancy {
  readonly loads: readonly HostLoad[]
}

export class VacancyDesk {
  readonly #options: VacancyOptions
  /** A machine has the size that it had, while its agent is busy for a moment. */
  readonly #facts = new Map<string, HostFacts>()

  constructor(options: VacancyOptions) {
    this.#options = options
  }

  async of(spec: Spec): Promise<Vacancies> {
    const documents = this.#options.documents()
    const others = documents.filter(({ name }) => name !== spec.name)
    const carrying = documents.map((one) => ({
      nodes: one.nodes,
      maxPerNode: (one.name === spec.name ? spec : parseSpec(one.spec)).memory.maxPerNode,
    }))
    const loads = await Promise.all(
      spec.hosts.map(async ({ name }): Promise<HostLoad> => {
        const carried = carrying.flatMap(({ nodes, maxPerNode }) =>
          nodes.flatMap(({ host }) => (host === name ? [maxPerNode] : [])),
        )
        return { host: name, ...(await this.#ask(name)), carried }
      }),
    )
    return { rooms: roomsFor(spec, loads), taken: new Set(others.flatMap(portsOf)), loads }
  }

  async #ask(host: string): Promise<Pick<HostLoad, 'isHere' | 'facts'>> {
    const { fleet, clock } = this.#options
    const greeting = await fleet.greet(host).catch(() => undefined)
    if (greeting?.facts !== undefined) this.#facts.set(host, greeting.facts)
    const isHere = greeting !== undefined || clock.now() - fleet.heardAt(host) < awayAfterMs
    return { isHere, facts: this.#facts.get(host) ?? null }
  }
}

const portsOf = ({ nodes, sentinels = [], spec }: Document): number[] => [
  ...[...nodes, ...sentinels].map(({ port }) => port),
  ...proxyPortsOf(parseSpec(spec)),
]
