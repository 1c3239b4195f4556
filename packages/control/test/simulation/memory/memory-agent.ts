import type { AgentTerms, NodePlace, Peer } from '@holdfast/core'
import type { Echo } from '../../../src/agent/ask-alive.ts'
import { SelfFence } from '../../../src/agent/self-fence.ts'
import type { MemoryCluster } from './memory-cluster.ts'

/** The machine that all controllers of a simulation are on: a way of its own leads from it to every host. */
export const controllerSite = 'controllers'

const silent = () => undefined

/** How long a question takes where nothing answers it. */
const silenceMs = 280

/** The agent of one of several hosts: the real watch over itself, in a world of memory. */
export class MemoryAgent {
  readonly id: string
  readonly watch: SelfFence
  readonly #cluster: MemoryCluster
  #frozenUntil = 0

  constructor(cluster: MemoryCluster, id: string, leaseAfterMs: number, agents: ReadonlyMap<string, MemoryAgent>) {
    this.#cluster = cluster
    this.id = id
    const names = [...new Set(cluster.nodes.map(({ place }) => place.host))]
    const hosts = names.map((name) => ({ name, address: name, port: 7600 }))
    const terms: AgentTerms = { engine: {}, admin: { username: '', password: '' }, owned: [], hosts, leaseAfterMs }
    this.watch = new SelfFence({
      host: { id, epoch: () => cluster.epochs.get(id) ?? 0, fence: (_deployment, reason) => this.#fence(reason) },
      terms: new Map([[cluster.deployment, terms]]),
      ask: (peer) => this.#ask(peer, agents),
      now: () => cluster.now(),
      boot: 'boot-1',
      log: { debug: silent, info: silent, warn: silent, error: silent },
      repeat: (run, everyMs) => this.#repeat(run, everyMs),
    })
  }

  /** As somebody on another machine finds it. */
  answers(from: string): boolean {
    return this.#cluster.connects(from, this.id) && !this.isFrozen
  }

  get isFrozen(): boolean {
    return this.#cluster.now() < this.#frozenUntil
  }

  freeze(forMs: number): void {
    this.#frozenUntil = this.#cluster.now() + forMs
  }

  /** What is asked may arrive where its answer does not. */
  async #ask({ name }: Peer, agents: ReadonlyMap<string, MemoryAgent>): Promise<Echo> {
    const cluster = this.#cluster
    const peer = agents.get(name)
    const arrives = cluster.carries(this.id, name)
    if (peer !== undefined && arrives && !peer.isFrozen) peer.watch.askedBy(this.id)
    const isConnected = arrives && cluster.carries(name, this.id)
    await cluster.clock.sleep(isConnected && peer?.isFrozen === false ? 1 : silenceMs)
    if (!isConnected) return 'silence'
    return peer?.isFrozen === false ? 'heard' : 'reached'
  }

  #fence(reason: string): void {
    const cluster = this.#cluster
    const epoch = cluster.epochs.get(this.id) ?? 0
    for (const node of cluster.nodes.filter(({ place }) => place.host === this.id)) {
      node.fence ??= { epoch, reason, at: cluster.now() }
    }
  }

  #repeat(run: () => void, everyMs: number): () => void {
    let isOver = false
    const next = (): void => {
      if (isOver) return
      if (!this.isFrozen) run()
      this.#cluster.later(everyMs, next)
    }
    this.#cluster.later(everyMs, next)
    return () => (isOver = true)
  }
}

/** One on each of so many hosts, in the order of the alphabet; no two copies of a shard on one, as far as there are enough. */
export function spread(places: readonly NodePlace[], hosts: number): NodePlace[] {
  const seen = new Map<string, number>()
  return places.map((place) => {
    const copy = seen.get(place.shard) ?? 0
    seen.set(place.shard, copy + 1)
    const shard = Number(place.shard.replace('shard-', '')) - 1
    return { ...place, host: String.fromCharCode(97 + ((shard + copy) % hosts)) }
  })
}
