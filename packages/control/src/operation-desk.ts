import type {
  BackupWish,
  Document,
  EngineBuild,
  NodePlace,
  Operation,
  OperationPreview,
  OperationWish,
  Pause,
  RestoreWish,
  Spec,
  SpecText,
  Status,
} from '@holdfast/core'
import {
  admitNext,
  describeOperation,
  ended,
  HoldfastError,
  isDurable,
  isUnfinished,
  noWayBack,
  obstacleToFollowing,
  operationFor,
  parseSpec,
  placesOfShards,
  previewOperation,
  scaleChange,
  transferFor,
  whatStays,
  withOperations,
} from '@holdfast/core'
import type { Clock } from './clock.ts'
import { findPlaces } from './free-places.ts'
import type { VacancyDesk } from './hosts/vacancies.ts'
import { newPassword } from './new-password.ts'
import type { UpgradePreview, UpgradeWish } from './server/platform.ts'
import type { History, Store } from './store/store.ts'

/** How often an edit is made again after somebody else saved between its reading and its saving. */
const triesMax = 5

export interface OperationDeskOptions {
  readonly store: Store
  readonly vacancies: Pick<VacancyDesk, 'of'>
  readonly history: History
  readonly clock: Clock
  readonly status: (name: string) => Status | undefined
  readonly wake: (name: string) => void
  /** What a deployment runs; undefined until it is known. */
  readonly engineOf: (name: string) => EngineBuild | undefined
  /** The engine that a spec asks for, found or fetched. */
  readonly findEngine: (spec: Spec) => Promise<EngineBuild>
}

/** What people ask of a deployment beside its spec: operations, a pause, a drained node. It edits the document alone. */
export class OperationDesk {
  readonly #options: OperationDeskOptions

  constructor(options: OperationDeskOptions) {
    this.#options = options
  }

  preview(name: string, wish: OperationWish): OperationPreview {
    const { spec } = this.#load(name)
    const status = this.#options.status(name)
    if (status === undefined) return { lines: [], objection: `nobody has looked at ${name} yet: try again in a second` }
    return previewOperation(wish, status, parseSpec(spec))
  }

  async ask(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    const known = this.#load(name).operations.find(({ id }) => id === wish.id)
    if (known !== undefined) return known
    const { objection } = this.preview(name, wish)
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { name, ...wish })
    const operation = operationFor(wish, actor, this.#now())
    const rotated = operation.kind === 'rotate' ? operation.users : []
    await this.#edit(name, (document) => ({
      ...document,
      operations: withOperations(document.operations, [operation]),
      secrets: admitNext(document.secrets, rotated, newPassword),
    }))
    this.#record(name, operation.subject, `${describeOperation(operation)}: ${operation.because}`, actor, operation.id)
    return operation
  }

  /** The same for what needs new nodes: free places for them are found first. */
  async askForNodes(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    for (let tries = 1; ; tries++) {
      const document = this.#load(name)
      if (document.operations.some(({ id }) => id === wish.id)) return this.ask(name, wish, actor)
      const { objection } = this.preview(name, wish)
      if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { name, ...wish })
      const found =
        wish.kind === 'scale'
          ? await this.#shardsFor(wish, document)
          : { places: await this.#placesFor(wish, document) }
      // Somebody else may have been given the same number meanwhile.
      if (this.#load(name).revision === document.revision || tries >= triesMax) {
        return this.ask(name, { ...wish, ...found }, actor)
      }
    }
  }

  /** One in each shard that it is about, or where a node is replaced in that node's alone. */
  async #placesFor({ subject, surge = false, kind }: OperationWish, document: Document): Promise<NodePlace[]> {
    if (kind !== 'replace' && !surge) return []
    const nodes = document.nodes.filter(({ leaving, spare }) => leaving === undefined && spare !== true)
    const about = nodes.filter(({ id, shard }) => [id, shard, document.name].includes(subject))
    const shards = [...new Set(about.map(({ shard }) => shard))]
    const wishes = shards.map((shard) => ({ shard }))
    const spec = parseSpec(document.spec)
    return findPlaces(document, spec, wishes, await this.#options.vacancies.of(spec))
  }

  /** The shards that come, with all their copies, and those that go. */
  async #shardsFor(
    { shards = 0 }: OperationWish,
    document: Document,
  ): Promise<Pick<OperationWish, 'places' | 'going'>> {
    const status = this.#options.status(document.name)
    if (status === undefined) return {}
    const spec = parseSpec(document.spec)
    const { coming, going } = scaleChange(
      shards,
      status,
      spec,
      document.nodes.map(({ shard }) => shard),
    )
    const wishes = placesOfShards(coming, spec)
    if (wishes.length === 0) return { places: [], going }
    return { places: await findPlaces(document, spec, wishes, await this.#options.vacancies.of(spec)), going }
  }

  async previewUpgrade(name: string, engine: SpecText): Promise<UpgradePreview> {
    const document = this.#load(name)
    const { flavor, version } = await this.#options.findEngine(parseSpec({ ...document.spec, engine }))
    const target: EngineBuild = { flavor, version }
    const preview = this.preview(name, { kind: 'upgrade', id: 'preview', subject: name, engine: target })
    const from = this.#options.engineOf(name)
    if (from === undefined) return { ...preview, engine: target, objection: `it is not known yet what ${name} runs` }
    const head = `${name} runs ${from.flavor} ${from.version}, and would run ${flavor} ${version}`
    const obstacle = isWayBack(document, target) ? null : obstacleToFollowing(target, from)
    const refused = obstacle === null ? null : `${head}; but ${obstacle}. Nothing was changed`
    return { engine: target, lines: [head, ...preview.lines], objection: preview.objection ?? refused }
  }

  /** The spec and the operation are saved together: an engine that dies in between starts as what is wanted. */
  async upgrade(
    name: string,
    { id, engine, surge = false, notBefore = null }: UpgradeWish,
    actor: string,
  ): Promise<Operation> {
    const known = this.#load(name).operations.find((one) => one.id === id)
    if (known !== undefined) return known
    const { engine: target, objection } = await this.previewUpgrade(name, engine)
    const before = this.#options.engineOf(name)
    const cameFrom = before === undefined ? null : { flavor: before.flavor, version: before.version }
    if (objection !== null) throw new HoldfastError('REFUSED_UNSAFE', objection, { name, engine: target })
    const reason = `${target.flavor} ${target.version}`
    const places = await this.#placesFor({ kind: 'upgrade', id, subject: name, surge }, this.#load(name))
    const told = { engine: target, cameFrom, reason, places }
    // Until it begins, an engine that dies starts as what it was.
    const later = notBefore === null ? {} : { notBefore, specEngine: engine }
    const wish: OperationWish = { kind: 'upgrade', id, subject: name, ...told, ...later }
    const operation = operationFor(wish, actor, this.#now())
    await this.#edit(name, (document) => ({
      ...document,
      ...(notBefore === null ? { spec: { ...document.spec, engine }, specRevision: document.specRevision + 1 } : {}),
      operations: withOperations(document.operations, [operation]),
    }))
    this.#record(name, name, `${describeOperation(operation)} to ${reason}: ${operation.because}`, actor, id)
    return operation
  }

  /** What takes more than a preview to be judged, and was. `prepare` is what else is wanted from then on. */
  async askTransfer(
    name: string,
    wish: BackupWish | RestoreWish,
    actor: string,
    prepare: (document: Document) => Document = (document) => document,
  ): Promise<Operation> {
    const known = this.#load(name).operations.find(({ id }) => id === wish.id)
    if (known !== undefined) return known
    const operation = transferFor(wish, actor, this.#now())
    await this.#edit(name, (document) => {
      const prepared = prepare(document)
      return { ...prepared, operations: withOperations(prepared.operations, [operation]) }
    })
    this.#record(name, operation.subject, `${describeOperation(operation)}: ${operation.because}`, actor, operation.id)
    return operation
  }

  async cancel(name: string, id: string, actor: string): Promise<Operation> {
    const known = this.#find(name, id)
    if (!isUnfinished(known)) return known
    if (known.kind === 'restore' && known.stage === 'replacing') {
      throw new HoldfastError('REFUSED_UNSAFE', `${describeOperation(known)} cannot be cancelled: ${noWayBack}.`, {
        name,
        id,
      })
    }
    const old = this.#load(name).nodes.find(({ id: node }) => known.kind === 'replace' && node === known.subject)
    if (known.kind === 'replace' && old?.leaving !== undefined) {
      const told = `${describeOperation(known)} cannot be cancelled: another node is in its place, and ${known.subject} leaves`
      throw new HoldfastError('REFUSED_UNSAFE', `${told}. Replace that one if you want another.`, {
        name,
        id,
      })
    }
    const left = known.kind === 'scale' ? `. ${whatStays(known)}` : ''
    const because = `${describeOperation(known)} was cancelled by ${actor}; it was: ${known.because}${left}`
    const cancelled = ended(known, 'cancelled', because, this.#now())
    await this.#edit(name, (document) => ({
      ...document,
      operations: withOperations(document.operations, [cancelled]),
    }))
    this.#record(name, known.subject, because, actor, id)
    return cancelled
  }

  async pause(name: string, { because, until }: Pick<Pause, 'because' | 'until'>, actor: string): Promise<void> {
    const at = this.#now()
    await this.#edit(name, (document) => ({ ...document, paused: { by: actor, at, until, because } }))
    const end = until === null ? 'until somebody resumes' : `until ${new Date(until).toISOString()}`
    this.#record(name, name, `paused ${end}: ${because}. Nothing is healed meanwhile`, actor)
  }

  async resume(name: string, actor: string): Promise<void> {
    if (this.#load(name).paused == null) return
    await this.#edit(name, (document) => ({ ...document, paused: null }))
    this.#record(name, name, 'resumed: the controller acts again', actor)
  }

  async drain(name: string, node: string, drained: boolean, actor: string): Promise<void> {
    const { nodes } = this.#load(name)
    if (!nodes.some(({ id }) => id === node)) {
      const all = nodes.map(({ id }) => id).join(', ')
      throw new HoldfastError('NOT_FOUND', `there is no ${node.slice(0, 80)} in ${name}: its nodes are ${all}`, {
        name,
      })
    }
    await this.#edit(name, (document) => ({
      ...document,
      nodes: document.nodes.map((place) => (place.id === node ? { ...place, drained } : place)),
    }))
    this.#record(
      name,
      node,
      drained ? `${node} is drained: it shall hold no primary` : `${node} may hold a primary again`,
      actor,
    )
  }

  async degrade(name: string, shard: string, because: string | null, actor: string): Promise<void> {
    const { nodes, spec } = this.#load(name)
    const shards = [...new Set(nodes.map((place) => place.shard))]
    if (!shards.includes(shard)) {
      const known = `there is no ${shard.slice(0, 80)} in ${name}: its shards are ${shards.join(', ')}`
      throw new HoldfastError('NOT_FOUND', known, { name })
    }
    if (!isDurable(parseSpec(spec))) {
      const why = `${name} is of durability cache: its primaries take writes without a copy anyway`
      throw new HoldfastError('REFUSED_UNSAFE', why, { name, shard })
    }
    await this.#edit(name, (document) => {
      const { [shard]: _, ...others } = document.degraded ?? {}
      const degraded = because === null ? others : { ...others, [shard]: { by: actor, at: this.#now(), because } }
      return { ...document, degraded }
    })
    const told =
      because === null
        ? `${shard} takes no write without a copy again, once two are in sync`
        : `${shard} may take writes that no copy has: ${because}`
    this.#record(name, shard, told, actor)
  }

  #find(name: string, id: string): Operation {
    const found = this.#load(name).operations.find((one) => one.id === id)
    if (found !== undefined) return found
    throw new HoldfastError('NOT_FOUND', `there is no operation ${id.slice(0, 80)} of ${name}`, {
      name,
      id: id.slice(0, 80),
    })
  }

  #load(name: string): Document {
    const document = this.#options.store.load(name)
    if (document !== undefined) return document
    throw new HoldfastError('NOT_FOUND', `there is no deployment ${name}`, { name })
  }

  async #edit(name: string, change: (document: Document) => Document): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#options.store.save(change(this.#load(name)))
        break
      } catch (error) {
        const isConflict = error instanceof HoldfastError && error.code === 'SPEC_CONFLICT'
        if (!isConflict || tries >= triesMax) throw error
      }
    }
    this.#options.wake(name)
  }

  #record(deployment: string, subject: string, because: string, actor: string, cause: string | null = null): void {
    this.#options.history.append({
      epoch: 0,
      at: this.#now(),
      deployment,
      kind: 'operation',
      subject,
      because,
      cause,
      actor,
    })
  }

  #now(): number {
    return Math.round(this.#options.clock.wall())
  }
}

/** An upgrade that stopped may be taken back: those that it did not come to still are what they were. */
function isWayBack({ operations }: Document, target: EngineBuild): boolean {
  const last = operations.filter(({ kind }) => kind === 'upgrade').at(-1)
  if (last?.kind !== 'upgrade' || last.state === 'done') return false
  return last.cameFrom?.flavor === target.flavor && last.cameFrom.version === target.version
}
