/** The latest topology of each deployment, and who wants to hear of the next. */
import { createHash } from 'node:crypto'
import type { Plan, Status, Topology } from '@holdfast/core'
import { topologyOf, withChange } from '@holdfast/core'
import type { ToldTopology, TopologySource } from './server/platform.ts'

export class TopologyFeed implements TopologySource {
  readonly #told = new Map<string, ToldTopology>()
  readonly #listeners = new Map<string, Set<(told: ToldTopology) => void>>()

  /** A look is over. */
  seen(status: Status): void {
    this.#tell(topologyOf(status, this.#told.get(status.name)?.topology))
  }

  /** Somebody is being asked to become a primary, `at` ms since 1970: told before it is known what comes of it. */
  asked(name: string, { actions }: Plan, at: number): void {
    const known = this.#told.get(name)
    if (known === undefined) return
    let topology = known.topology
    for (const action of actions) {
      if (action.kind !== 'failover') continue
      const kind = action.mode === 'switchover' ? 'switchover' : 'failover'
      topology = withChange(topology, { kind, to: action.node, since: at })
    }
    if (topology !== known.topology) this.#tell(topology)
  }

  forget(name: string): void {
    this.#told.delete(name)
  }

  latest(name: string): ToldTopology | undefined {
    return this.#told.get(name)
  }

  subscribe(name: string, listener: (told: ToldTopology) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name)
    }
  }

  /** What says the same as before is no news. */
  #tell(topology: Topology): void {
    const text = JSON.stringify(topology)
    const before = this.#told.get(topology.name)
    if (before?.text === text) return
    const told = { id: createHash('sha256').update(text).digest('base64url').slice(0, 22), text, topology }
    this.#told.set(topology.name, told)
    for (const listener of this.#listeners.get(topology.name) ?? []) listener(told)
  }
}
