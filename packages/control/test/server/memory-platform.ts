import {
  type EventDraft,
  HoldfastError,
  type HoldfastEvent,
  parseSpec,
  type SpecText,
  type Status,
} from '@holdfast/core'
import type { Applied, PlanPreview, Platform, WantedOptions } from '../../src/server/platform.ts'
import type { History } from '../../src/store/store.ts'

/** The ordered log in an array. */
class MemoryHistory implements History {
  readonly #events: HoldfastEvent[] = []
  readonly #listeners = new Set<(event: HoldfastEvent) => void>()

  append(draft: EventDraft): HoldfastEvent {
    const event = { ...draft, seq: this.#events.length + 1 }
    this.#events.push(event)
    for (const listener of this.#listeners) listener(event)
    return event
  }

  since(seq: number, { deployment, limit = 1000 }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    return this.#of(deployment)
      .filter((event) => event.seq > seq)
      .slice(0, limit)
  }

  latest({ deployment, limit = 100 }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    return this.#of(deployment).slice(-limit)
  }

  subscribe(listener: (event: HoldfastEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  close(): void {
    this.#listeners.clear()
  }

  #of(deployment: string | undefined): HoldfastEvent[] {
    return this.#events.filter((event) => deployment === undefined || event.deployment === deployment)
  }
}

/** A platform without engines: what it is told is what it shows. */
export class MemoryPlatform implements Platform {
  readonly events = new MemoryHistory()
  readonly wanted: { name: string; wanted: string; options: WantedOptions; actor: string }[] = []
  readonly #specs = new Map<string, { spec: SpecText; revision: number }>()
  readonly #statuses = new Map<string, Status>()
  readonly #listeners = new Set<(status: Status) => void>()

  /** What the loop would do after a look. */
  show(status: Status): void {
    this.#statuses.set(status.name, status)
    if (!this.#specs.has(status.name)) this.#specs.set(status.name, { spec: { name: status.name }, revision: 1 })
    for (const listener of this.#listeners) listener(status)
  }

  forget(name: string): void {
    this.#specs.delete(name)
    this.#statuses.delete(name)
  }

  get watchers(): number {
    return this.#listeners.size
  }

  names(): string[] {
    return [...this.#specs.keys()]
  }

  status(name: string): Status | undefined {
    return this.#statuses.get(name)
  }

  spec(name: string): { spec: SpecText; revision: number } | undefined {
    return this.#specs.get(name)
  }

  async apply(input: unknown, baseRevision: number | null, actor: string): Promise<Applied> {
    const spec = parseSpec(input)
    const { name } = spec
    const before = this.#specs.get(name)?.revision ?? 0
    if (baseRevision !== null && baseRevision !== before) {
      throw new HoldfastError('SPEC_CONFLICT', `${name} is at revision ${before}, not ${baseRevision}`, { before })
    }
    this.#specs.set(name, { spec, revision: before + 1 })
    this.events.append(anEvent({ deployment: name, kind: 'spec', actor, because: `revision ${before + 1}` }))
    return { name, revision: before + 1, changed: true }
  }

  async plan(input: unknown): Promise<PlanPreview> {
    const { name } = parseSpec(input)
    if (name === 'broken') throw new TypeError('secret detail of the inside')
    return { name, isNew: !this.#specs.has(name), changes: [], because: 'nothing to do', files: {} }
  }

  setWanted(name: string, wanted: 'up' | 'down', options: WantedOptions, actor: string): void {
    if (options.purge && wanted === 'up') throw new HoldfastError('REFUSED_UNSAFE', 'purge goes with down')
    this.wanted.push({ name, wanted, options, actor })
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  credentials(name: string): { user: string; password: string } | undefined {
    return this.#specs.has(name) ? { user: 'app', password: 'canary-password' } : undefined
  }
}

export function anEvent(parts: Partial<EventDraft> = {}): EventDraft {
  return {
    epoch: 7,
    at: 1_750_000_000_000,
    deployment: 'shop',
    kind: 'turn',
    subject: 'shop',
    because: 'as specified',
    cause: null,
    actor: 'controller',
    ...parts,
  }
}
