/** What the hosts of a home have room for: asked of their agents, less what all deployments have there. */
import type { Document, HostFacts, HostLoad, Spec, Vacancy } from '@holdfast/core'
import { parseSpec, roomsFor } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { proxyPortsOf } from '../taken-ports.ts'
import { awayAfterMs, type Fleet } from './fleet.ts'

export interface VacancyOptions {
  readonly fleet: Pick<Fleet, 'greet' | 'isHere'>
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
  /** When a host did not answer: while one is lost this is asked at each turn, and must not wait for it each time. */
  readonly #silentAt = new Map<string, number>()

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
    const wasSilent = clock.now() - (this.#silentAt.get(host) ?? Number.NEGATIVE_INFINITY) < awayAfterMs
    const isHere = fleet.isHere(host, clock.now())
    const greeting = wasSilent && !isHere ? undefined : await fleet.greet(host).catch(() => undefined)
    if (greeting?.facts !== undefined) this.#facts.set(host, greeting.facts)
    if (greeting === undefined && !wasSilent) this.#silentAt.set(host, clock.now())
    return { isHere: greeting !== undefined || isHere, facts: this.#facts.get(host) ?? null }
  }
}

const portsOf = ({ nodes, sentinels = [], spec }: Document): number[] => [
  ...[...nodes, ...sentinels].map(({ port }) => port),
  ...proxyPortsOf(parseSpec(spec)),
]
