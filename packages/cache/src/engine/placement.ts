/** Which nodes there are, and which of them has a slot or a copy of it: the layout, with nodes in place of addresses. */
import type { NodeState, ReadFrom } from './engine.ts'
import { type EngineNode, nameOfAddress, type Role } from './node.ts'
import { keyInside, slotCount } from './slots.ts'
import type { Address, Layout } from './topology.ts'

/** One shard. */
export interface Place {
  readonly primary: EngineNode | null
  readonly replicas: readonly EngineNode[]
  readonly slots: readonly (readonly [from: number, to: number])[]
}

export interface PlacementTerms {
  /** Whether keys belong to slots. */
  readonly clustered: boolean
  /** Where this process runs. */
  readonly zone: string | undefined
  readonly makeNode: (address: Address, role: Role) => EngineNode
}

export class Placement {
  readonly #terms: PlacementTerms
  readonly #nodes = new Map<string, EngineNode>()
  #layout: Layout | undefined
  #places: readonly Place[] = []
  /** Slot to index in `#places`, plus one; 0 for a slot that nobody has. */
  readonly #placeOfSlot: Uint16Array
  #primaryKeys: readonly string[] | undefined
  /** Whose turn it is where any will do. */
  #turn = 0

  constructor(terms: PlacementTerms) {
    this.#terms = terms
    this.#placeOfSlot = new Uint16Array(terms.clustered ? slotCount : 0)
  }

  get layout(): Layout | undefined {
    return this.#layout
  }

  get places(): readonly Place[] {
    return this.#places
  }

  /** Also those that are asked and are not part of the layout. */
  get nodes(): Iterable<EngineNode> {
    return this.#nodes.values()
  }

  /** Keys of their slots, one for each primary. */
  get primaryKeys(): readonly string[] {
    if (!this.#terms.clustered) return ['0']
    this.#primaryKeys ??= this.#places.flatMap(({ slots }) => keyInside(slots) ?? [])
    return this.#primaryKeys
  }

  /** The shard of a slot; of slot -1 any, best one that can be used. */
  placeOf(slot: number): Place | undefined {
    if (slot !== -1) return this.#places[(this.#placeOfSlot[slot] ?? 0) - 1]
    const count = this.#places.length
    if (count <= 1) return this.#places[0]
    for (let tries = 0; tries < count; tries++) {
      const place = this.#places[this.#turn++ % count]
      if (place?.primary?.ready === true) return place
    }
    return this.#places[this.#turn % count]
  }

  /** The copy to ask: one that is ready, if there is any. Those that are not are opened. */
  choose({ primary, replicas }: Place, from: Exclude<ReadFrom, 'primary'>): EngineNode | null {
    const candidates = from === 'replica' || primary === null ? replicas : [primary, ...replicas]
    let best: EngineNode | null = null
    const start = this.#turn++
    for (let at = 0; at < candidates.length; at++) {
      const node = candidates[(start + at) % candidates.length] as EngineNode
      if (node.ready) {
        if (best === null || !best.ready || this.#isBetter(node, best, from)) best = node
        continue
      }
      node.open()
      // One that is being opened is worth waiting for, one that is left alone is not.
      if (best === null || (!best.ready && best.breaker.state !== 'closed')) best = node
    }
    return best
  }

  #isBetter(node: EngineNode, than: EngineNode, from: Exclude<ReadFrom, 'primary'>): boolean {
    if (from === 'replica') return false
    const { zone } = this.#terms
    if (from === 'zone' && zone !== undefined && (node.zone === zone) !== (than.zone === zone))
      return node.zone === zone
    // One that was never measured is tried: otherwise it would never be.
    return (node.latencyMs ?? 0) < (than.latencyMs ?? 0)
  }

  nodeAt(address: Address, role: Role): EngineNode {
    const name = nameOfAddress(address)
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const node = this.#terms.makeNode(address, role)
    this.#nodes.set(name, node)
    return node
  }

  /** Takes the layout over. Nodes that have lost slots begin new links, those that are not part of it are closed. */
  follow(layout: Layout, because: string): void {
    const before = this.#owners()
    const wanted = new Set<string>()
    const placedAt = (address: Address, role: Role): EngineNode => {
      wanted.add(nameOfAddress(address))
      const node = this.nodeAt(address, role)
      node.become(role)
      return node
    }
    this.#layout = layout
    this.#places = layout.shards.map(({ primary, replicas, slots }) => ({
      primary: primary === null ? null : placedAt(primary, 'primary'),
      replicas: replicas.map((address) => placedAt(address, 'replica')),
      slots,
    }))
    this.#primaryKeys = undefined
    this.#placeOfSlot.fill(0)
    for (const [at, { slots }] of this.#places.entries()) {
      for (const [from, to] of slots) this.#placeOfSlot.fill(at + 1, from, to + 1)
    }
    const after = this.#owners()
    const former = new Set(before.filter((owner, slot) => after[slot] !== owner))
    // What they told of is told by somebody else from here on.
    for (const owner of former) owner?.renewLink(because)
    for (const [name, node] of this.#nodes) {
      if (wanted.has(name)) continue
      this.#nodes.delete(name)
      node.close(`it is not part of the layout any more: ${because}`)
    }
  }

  /** Who takes the writes of each slot. */
  #owners(): readonly (EngineNode | null)[] {
    if (!this.#terms.clustered) return [this.#places[0]?.primary ?? null]
    return Array.from(this.#placeOfSlot, (place) => this.#places[place - 1]?.primary ?? null)
  }

  /** Those that can be reached, primaries first. */
  living(): readonly Address[] {
    const nodes = this.#places.flatMap(({ primary, replicas }) =>
      primary === null ? replicas : [primary, ...replicas],
    )
    return nodes
      .filter((node) => node.breaker.state === 'closed')
      .toSorted((a, b) => Number(a.role === 'replica') - Number(b.role === 'replica'))
      .map((node) => node.address)
  }

  states(): readonly NodeState[] {
    const states = new Map<string, NodeState>()
    for (const { primary, replicas } of this.#places) {
      for (const node of primary === null ? replicas : [primary, ...replicas]) {
        states.set(node.name, node.state(node.role))
      }
    }
    for (const node of this.#nodes.values()) {
      if (!states.has(node.name)) states.set(node.name, node.state('unknown'))
    }
    return [...states.values()]
  }
}
