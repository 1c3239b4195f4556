import {
  type AutoscaleAnswer,
  decideScale,
  describeLedger,
  type EventDraft,
  ended,
  type FaultPreview,
  type FaultSeen,
  type FaultWish,
  faultTable,
  HoldfastError,
  type HoldfastEvent,
  type Incident,
  type Ledger,
  type Operation,
  type OperationPreview,
  type OperationWish,
  operationFor,
  type Pause,
  parseSpec,
  policyOf,
  previewRebalance,
  type RebalancePreview,
  type RebalanceWish,
  type SpecText,
  type Status,
  transferFor,
} from '@holdfast/core'
import type { HostPlatform, JoinedHost } from '../../src/hosts/desk.ts'
import type {
  AdoptedNow,
  AdoptWish,
  Applied,
  BackupAsked,
  BackupPlatform,
  BackupsListed,
  PlanPreview,
  Platform,
  RestoreAsked,
  UpgradePreview,
  UpgradeWish,
  WantedOptions,
} from '../../src/server/platform.ts'
import type { History } from '../../src/store/store.ts'
import { TopologyFeed } from '../../src/topology-feed.ts'

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

/** Nowhere to keep files: there are no backups. */
class MemoryBackups implements BackupPlatform {
  list(): BackupsListed {
    return { at: null, directory: '/backups/shop', backups: [], elsewhere: [] }
  }

  async ask(name: string, { id, to }: BackupAsked, actor: string): Promise<Operation> {
    return transferFor({ kind: 'backup', id, subject: name, directory: to ?? '/backups/shop', keep: 7 }, actor, 1)
  }

  read(from: string): never {
    throw noBackup(from)
  }

  previewRestore(_name: string, from: string): Promise<never> {
    return Promise.reject(noBackup(from))
  }

  restore(_name: string, { from }: RestoreAsked): Promise<never> {
    return Promise.reject(noBackup(from))
  }
}

class MemoryHosts implements HostPlatform {
  readonly invited: string[] = []

  list(): readonly JoinedHost[] {
    return []
  }

  look(name: string): Promise<never> {
    return Promise.reject(new HoldfastError('NOT_FOUND', `there is no host ${name}`))
  }

  invite({ name }: { readonly name: string }): Promise<string> {
    this.invited.push(name)
    return Promise.resolve(`hfj_${name}`)
  }

  previewRemoval(name: string): Promise<never> {
    return Promise.reject(new HoldfastError('NOT_FOUND', `there is no host ${name}`))
  }

  empty(name: string): Promise<never> {
    return this.previewRemoval(name)
  }

  remove(name: string): Promise<void> {
    return Promise.reject(new HoldfastError('NOT_FOUND', `there is no host ${name}`))
  }
}

const noBackup = (from: string): HoldfastError =>
  new HoldfastError('BACKUP_UNREADABLE', `there is no backup at ${from}`)

/** A platform without engines: what it is told is what it shows. */
export class MemoryPlatform implements Platform {
  readonly events = new MemoryHistory()
  readonly backups = new MemoryBackups()
  readonly topology = new TopologyFeed()
  readonly hosts = new MemoryHosts()
  readonly wanted: { name: string; wanted: string; options: WantedOptions; actor: string }[] = []
  readonly injected: { wish: FaultWish; actor: string }[] = []
  readonly #faults: FaultSeen[] = []
  readonly #specs = new Map<string, { spec: SpecText; revision: number }>()
  readonly #statuses = new Map<string, Status>()
  readonly #listeners = new Set<(status: Status) => void>()

  /** What the loop would do after a look. */
  show(status: Status): void {
    this.#statuses.set(status.name, status)
    if (!this.#specs.has(status.name)) this.#specs.set(status.name, { spec: { name: status.name }, revision: 1 })
    this.topology.seen(status)
    for (const listener of this.#listeners) listener(status)
  }

  get watchers(): number {
    return this.#listeners.size
  }

  names(): string[] {
    return [...this.#specs.keys(), ...this.adopted]
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
    return { name, isNew: !this.#specs.has(name), changes: [], edits: [], because: 'nothing to do', files: {} }
  }

  async setWanted(name: string, wanted: 'up' | 'down', options: WantedOptions, actor: string): Promise<void> {
    if (options.purge && wanted === 'up') throw new HoldfastError('REFUSED_UNSAFE', 'purge goes with down')
    this.wanted.push({ name, wanted, options, actor })
  }

  readonly operations: Operation[] = []
  readonly pauses: { name: string; pause: Pick<Pause, 'because' | 'until'> | null; actor: string }[] = []
  readonly drains: { name: string; node: string; drained: boolean; actor: string }[] = []
  readonly degraded: { name: string; shard: string; because: string | null; actor: string }[] = []
  readonly adopted = new Set<string>()

  previewOperation(_name: string, { subject }: OperationWish): OperationPreview {
    const objection = subject === 'shard-9' ? 'there is no shard-9' : null
    return { lines: [`${subject} would change`], objection }
  }

  askForNodes(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    const by = { id: 'node-7', shard: 'shard-1', host: 'local', address: '127.0.0.1', port: 7007 }
    return this.askOperation(name, { ...wish, places: [by] }, actor)
  }

  async askOperation(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    const { objection } = this.previewOperation(name, wish)
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection)
    const known = this.operations.find(({ id }) => id === wish.id)
    if (known !== undefined) return known
    const operation = operationFor(wish, actor, 1_750_000_000_000)
    this.operations.push(operation)
    return operation
  }

  async previewRebalance(name: string, wish: RebalanceWish): Promise<RebalancePreview> {
    const owned = new Map((this.#statuses.get(name)?.shards ?? []).map(({ id, slots }) => [id, slots]))
    return previewRebalance({ ...wish, owned, contents: null, mover: 'classic' })
  }

  async previewUpgrade(name: string): Promise<UpgradePreview> {
    return {
      engine: { flavor: 'valkey', version: '8.0.1' },
      lines: [`${name} would run valkey 8.0.1`],
      objection: null,
    }
  }

  async upgrade(name: string, { id }: UpgradeWish, actor: string): Promise<Operation> {
    return this.askOperation(name, { kind: 'upgrade', id, subject: name }, actor)
  }

  async cancelOperation(_name: string, id: string, actor: string): Promise<Operation> {
    const known = this.operations.find((one) => one.id === id)
    if (known === undefined) throw new HoldfastError('NOT_FOUND', `there is no operation ${id}`)
    return ended(known, 'cancelled', `cancelled by ${actor}`, 1_750_000_001_000)
  }

  async pause(name: string, pause: Pick<Pause, 'because' | 'until'>, actor: string): Promise<void> {
    this.pauses.push({ name, pause, actor })
  }

  async resume(name: string, actor: string): Promise<void> {
    this.pauses.push({ name, pause: null, actor })
  }

  isAdopted(name: string): boolean {
    return this.adopted.has(name)
  }

  async adopt({ url, name = 'theirs' }: AdoptWish, actor: string): Promise<AdoptedNow> {
    this.adopted.add(name)
    return { name, because: `${name} is adopted from ${new URL(url).host} by ${actor}` }
  }

  async forget(name: string): Promise<void> {
    const isKnown = this.adopted.delete(name) || this.#specs.delete(name)
    this.#statuses.delete(name)
    if (!isKnown) throw new HoldfastError('NOT_FOUND', `there is no adopted deployment ${name}`)
  }

  async setDegraded(name: string, shard: string, because: string | null, actor: string): Promise<void> {
    this.degraded.push({ name, shard, because, actor })
  }

  async setDrained(name: string, node: string, drained: boolean, actor: string): Promise<void> {
    this.drains.push({ name, node, drained, actor })
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async previewFault(name: string, wish: FaultWish): Promise<FaultPreview> {
    const { costs, heals } = faultTable[wish.fault]
    const met = wish.onProduction === name
    return { order: null, preconditions: [{ met, because: `${name} is not labelled for drills` }], costs, heals }
  }

  async injectFault(name: string, wish: FaultWish, actor: string): Promise<FaultSeen> {
    if (wish.onProduction !== name) throw new HoldfastError('REFUSED_DRILL', `${name} is not labelled for drills`)
    this.injected.push({ wish, actor })
    const id = `f-${this.injected.length}`
    const times = { injectedAt: 1_750_000_000_000, healsAt: 1_750_000_020_000, healedAt: null, trouble: null }
    const fault = { id, deployment: name, fault: wish.fault, because: wish.fault, targets: ['node-1'], ...times }
    this.#faults.unshift(fault)
    return fault
  }

  async healFault(name: string, id: string): Promise<FaultSeen> {
    const fault = this.#faults.find((one) => one.deployment === name && one.id === id)
    if (fault === undefined) throw new HoldfastError('NOT_FOUND', `there is no fault ${id}`)
    return { ...fault, healedAt: fault.injectedAt + 1000 }
  }

  async faults(name: string): Promise<readonly FaultSeen[]> {
    return this.#faults.filter(({ deployment }) => deployment === name)
  }

  /** The incidents that it was given, as far as they had not ended by then. */
  readonly incidents: Incident[] = []

  async autoscale(name: string): Promise<AutoscaleAnswer> {
    const policy = policyOf(parseSpec({ name }))
    const state = { now: 0, shards: 3, frozen: null, lastActionEndedAt: null, noRoom: null }
    return { deployment: name, autoscale: 'off', policy, decision: decideScale(policy, [], state), samples: [] }
  }

  ledger(name: string, since: number): Ledger {
    const incidents = this.incidents.filter(({ endedAt }) => endedAt === null || endedAt >= since)
    const availability = { observedMs: 86_400_000, notWritableMs: 61, ratio: 1 - 61 / 86_400_000 }
    const shards = { 'shard-1': availability, 'shard-2': { observedMs: 0, notWritableMs: 0, ratio: null } }
    const because = describeLedger(availability, incidents)
    return { deployment: name, since, until: Date.now(), because, availability, shards, incidents }
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
