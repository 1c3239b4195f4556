import type { Document, EventDraft, HoldfastEvent } from '@holdfast/core'
import { conflict } from './conflict.ts'
import { eventsAtOnce, eventsKept } from './event-limits.ts'
import { nextLease } from './lease.ts'
import type { History, Lease, LeaseClaim, Settings, Store } from './store.ts'

/**
 * The store of the simulation: the same contract, in memory. Two controllers of one simulated machine share it. What
 * goes in and comes out is copied, so that nobody holds the stored value itself, as with a file.
 */
export class MemoryStore implements Store {
  readonly isShared: boolean
  readonly leaseMs: number
  readonly settings: Settings = new MemorySettings()
  readonly #documents = new Map<string, { revision: number; document: Document | null }>()
  readonly #leases = new Map<string, Lease>()

  constructor({ isShared = false, leaseMs = 6000 }: { isShared?: boolean; leaseMs?: number } = {}) {
    this.isShared = isShared
    this.leaseMs = leaseMs
  }

  names(): string[] {
    return [...this.#documents].flatMap(([name, { document }]) => (document === null ? [] : [name])).sort()
  }

  load(name: string): Document | undefined {
    const document = this.#documents.get(name)?.document
    return document === undefined || document === null ? undefined : structuredClone(document)
  }

  async save(document: Document): Promise<Document> {
    const stored = this.#documents.get(document.name)
    const matches = document.revision === 0 ? !stored?.document : stored?.document?.revision === document.revision
    if (!matches) throw conflict(document.name, document.revision)
    const revision = (stored?.revision ?? 0) + 1
    const saved = { ...structuredClone(document), revision }
    this.#documents.set(document.name, { revision, document: saved })
    return structuredClone(saved)
  }

  async remove(name: string): Promise<void> {
    const stored = this.#documents.get(name)
    if (stored?.document) this.#documents.set(name, { revision: stored.revision + 1, document: null })
  }

  async lease(name: string, claim: LeaseClaim): Promise<Lease> {
    const found = this.#leases.get(name)
    const lease = nextLease(found && { ...found, released: found.holder === '' }, claim)
    if (lease.holder === claim.holder) this.#leases.set(name, lease)
    return lease
  }

  async release(name: string, holder: string): Promise<void> {
    const found = this.#leases.get(name)
    if (found?.holder === holder) this.#leases.set(name, { ...found, holder: '', until: 0 })
  }

  onChange(): () => void {
    return () => undefined
  }

  close(): void {
    // Another controller may still use it: what is in memory has nothing to close.
  }
}

class MemorySettings implements Settings {
  readonly #values = new Map<string, string>()

  get(key: string): string | undefined {
    return this.#values.get(key)
  }

  keys(prefix: string): string[] {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort()
  }

  async swap(key: string, before: string | undefined, after: string | undefined): Promise<boolean> {
    if (this.#values.get(key) !== before) return false
    if (after === undefined) this.#values.delete(key)
    else this.#values.set(key, after)
    return true
  }
}

export class MemoryHistory implements History {
  readonly #eventsMax: number
  readonly #events: HoldfastEvent[] = []
  readonly #listeners = new Set<(event: HoldfastEvent) => void>()
  #seq = 0

  constructor({ eventsMax = eventsKept }: { eventsMax?: number } = {}) {
    this.#eventsMax = eventsMax
  }

  append(draft: EventDraft): HoldfastEvent {
    const event = { seq: ++this.#seq, ...draft }
    this.#events.push(event)
    if (this.#events.length > this.#eventsMax) this.#events.shift()
    for (const listener of this.#listeners) listener(event)
    return event
  }

  since(seq: number, { deployment, limit = eventsAtOnce }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    return this.#of(deployment)
      .filter((event) => event.seq > seq)
      .slice(0, limit)
  }

  latest({ deployment, limit = eventsAtOnce }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    const events = this.#of(deployment)
    return events.slice(Math.max(0, events.length - limit))
  }

  subscribe(listener: (event: HoldfastEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#listeners.clear()
  }

  #of(deployment: string | undefined): readonly HoldfastEvent[] {
    return deployment === undefined ? this.#events : this.#events.filter((event) => event.deployment === deployment)
  }
}
