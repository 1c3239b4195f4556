import { isDeepStrictEqual } from 'node:util'
import type {
  Document,
  NodePlace,
  PlaceWish,
  SentinelPlace,
  Spec,
  SpecChange,
  SpecText,
  Status,
  TakeOffPreview,
  Wanted,
} from '@holdfast/core'
import {
  busPortOf,
  certificatesDue,
  describeSize,
  describeSpecChange,
  HoldfastError,
  hostProxy,
  judgeSpecChange,
  layOut,
  localHostId,
  maskSecrets,
  misplacedIn,
  missingCopies,
  newSecrets,
  nextOpening,
  objectionToHostsLeft,
  operationFor,
  parseMaintenanceWindow,
  parseSpec,
  placeSentinels,
  previewTakeOff,
  proxyId,
  refuseChanges,
  refusedAdopted,
  replaced,
  secretsFor,
  shortOfCores,
  takenOff,
  usesTls,
  withOperations,
} from '@holdfast/core'
import type { Clock } from './clock.ts'
import { findPlaces } from './free-places.ts'
import { claimPort } from './host/engine-process.ts'
import type { HostPlatform } from './hosts/desk.ts'
import type { VacancyDesk } from './hosts/vacancies.ts'
import { newPassword } from './new-password.ts'
import { certify, refuseUncovered } from './pki/engine-certificates.ts'
import type { Programs } from './programs.ts'
import type { NodeDir } from './render-files.ts'
import { renderFiles } from './render-files.ts'
import type { Applied, ApplyTerms, PlanPreview, WantedOptions } from './server/platform.ts'
import type { History, Store } from './store/store.ts'
import { proxyPortsOf, refuseTakenPorts } from './taken-ports.ts'

export interface SpecDeskOptions {
  readonly nodeDir: NodeDir
  /** Which hosts have joined. */
  readonly hostDesk: HostPlatform
  readonly vacancies: Pick<VacancyDesk, 'of'>
  readonly store: Store
  readonly history: History
  readonly clock: Clock
  readonly programs: Programs
  readonly openFilesMax: number
  readonly document: (name: string) => Document
  readonly isAdopted: (name: string) => boolean
  /** How a deployment is now, as far as it can be seen. */
  readonly seen: (name: string) => Promise<Status | undefined>
  readonly wake: (name: string) => void
}

/** What people want of a deployment, by its spec: judged here, and written down. The loops do the rest. */
export class SpecDesk {
  readonly #options: SpecDeskOptions

  constructor(options: SpecDeskOptions) {
    this.#options = options
  }

  async apply(
    input: unknown,
    baseRevision: number | null,
    actor: string,
    terms: ApplyTerms = { acceptEviction: false },
  ): Promise<Applied> {
    const spec = parseSpec(input)
    if (this.#options.isAdopted(spec.name)) throw refusedAdopted(spec.name)
    this.#refuseStrangers(spec)
    const text = input as SpecText
    const before = this.#options.store.load(spec.name)
    if (baseRevision !== null && baseRevision !== (before?.specRevision ?? 0)) {
      throw new HoldfastError(
        'SPEC_CONFLICT',
        `${spec.name} is at revision ${before?.specRevision ?? 0}, not ${baseRevision}: somebody else changed it. Read it again.`,
        { name: spec.name, revision: before?.specRevision ?? 0 },
      )
    }
    this.#refuseOwnMachine(spec)
    if (before === undefined) return this.#create(spec, text, actor)
    const changes = await this.#changes(before, spec, terms)
    refuseChanges(spec.name, changes)
    const gone = takenOff(parseSpec(before.spec), spec)
    await this.#refuseTakeOff(gone, before, spec)
    refuseUncovered(spec, certificatesDue({ ...before, certificates: undefined }, spec, 0))
    if (isDeepStrictEqual(before.spec, text)) return { name: spec.name, revision: before.specRevision, changed: false }
    await this.#prepareProxy(spec, parseSpec(before.spec))
    const places = await this.#placesFor(missingCopies(before, spec), before, spec)
    const grown = replaced(
      before,
      places.map((place) => ({ id: place.id, place })),
    )
    const secrets = secretsFor(spec, before.secrets, newPassword)
    const nodes = grown.nodes.map((place) => movedOff(place, gone, takenOff(spec, parseSpec(before.spec))))
    const edited = { ...grown, nodes, spec: text, specRevision: before.specRevision + 1, secrets }
    const saved = await this.#options.store.save(
      withRestart(edited, changes, {
        actor,
        notBefore: this.#restartAt(spec),
        now: Math.round(this.#options.clock.wall()),
      }),
    )
    const told = changes.length === 0 ? 'the same in other words' : changes.map(describeSpecChange).join(', ')
    this.#record(spec.name, `spec revision ${saved.specRevision}: ${told}`, actor)
    this.#options.wake(spec.name)
    return { name: spec.name, revision: saved.specRevision, changed: true }
  }

  async plan(input: unknown, terms: ApplyTerms = { acceptEviction: false }): Promise<PlanPreview> {
    const spec = parseSpec(input)
    if (this.#options.isAdopted(spec.name)) throw refusedAdopted(spec.name)
    this.#refuseStrangers(spec)
    const before = this.#options.store.load(spec.name)
    const edits = before === undefined ? [] : await this.#changes(before, spec, terms)
    refuseChanges(spec.name, edits)
    if (before !== undefined) await this.#refuseTakeOff(takenOff(parseSpec(before.spec), spec), before, spec)
    const document = before ?? (await this.#newDocument(spec, input as SpecText))
    const { nodeDir, openFilesMax, programs } = this.#options
    const engine = await programs.engineFor(spec)
    const { files } = renderFiles({ ...document, spec: input as SpecText }, spec, { nodeDir, engine, openFilesMax })
    const { loads } = await this.#options.vacancies.of(spec)
    const changes =
      before === undefined
        ? [...layoutInWords(document), ...misplacedIn(document.nodes, spec), ...shortOfCores(document.nodes, loads)]
        : edits.map(describeSpecChange)
    const because =
      before === undefined
        ? `${spec.name} does not exist yet: ${describeSize(spec)} would be started`
        : summaryOf(edits, this.#restartAt(spec))
    const masked = [...files].map(([node, { config }]) => [node, maskSecrets(config)])
    return { name: spec.name, isNew: before === undefined, changes, edits, because, files: Object.fromEntries(masked) }
  }

  /** What it would mean to take a host off its spec, and what speaks against it. */
  async previewTakeOff(name: string, host: string): Promise<TakeOffPreview> {
    const status = await this.#options.seen(name)
    if (status === undefined) return { lines: [], objection: `nobody has looked at ${name} yet: try again in a second` }
    const preview = previewTakeOff(host, status)
    if (preview.objection !== null) return preview
    try {
      const document = this.#options.document(name)
      const [before, after] = [parseSpec(document.spec), parseSpec(withoutHost(document.spec, host))]
      refuseChanges(name, await this.#changes(document, after, { acceptEviction: false }))
      await this.#refuseTakeOff(takenOff(before, after), document, after)
      return preview
    } catch (error) {
      if (error instanceof HoldfastError) return { lines: [], objection: error.message }
      throw error
    }
  }

  /** A host goes from its spec, and what it carries moves to the others. Throws what `apply` does. */
  takeOff(name: string, host: string, actor: string): Promise<Applied> {
    const { spec, specRevision } = this.#options.document(name)
    return this.apply(withoutHost(spec, host), specRevision, actor)
  }

  /** Throws REFUSED_UNSAFE where something would be lost, and REFUSED_PLACEMENT where the hosts left have no room. */
  async #refuseTakeOff(gone: readonly string[], document: Document, spec: Spec): Promise<void> {
    if (gone.length === 0) return
    const { name } = spec
    const status = await this.#options.seen(name)
    const tooFew = objectionToHostsLeft(spec)
    for (const host of gone) {
      const unseen = 'nobody has looked at it yet: try again in a second'
      const objection = tooFew ?? (status === undefined ? unseen : previewTakeOff(host, status).objection)
      if (objection === null) continue
      throw new HoldfastError('REFUSED_UNSAFE', `${host} is not taken off ${name}: ${objection}.`, { name, host })
    }
    const staying = { ...document, nodes: document.nodes.filter(({ host }) => !gone.includes(host)) }
    await this.#placesFor(missingCopies(staying, spec), staying, spec)
  }

  async #placesFor(wishes: readonly PlaceWish[], document: Document, spec: Spec): Promise<NodePlace[]> {
    return wishes.length === 0 ? [] : findPlaces(document, spec, wishes, await this.#options.vacancies.of(spec))
  }

  /** What an edit means, by what the nodes use now. Nobody asks them where that does not matter. */
  async #changes(before: Document, after: Spec, { acceptEviction }: ApplyTerms): Promise<SpecChange[]> {
    const old = parseSpec(before.spec)
    const shrinks = after.memory.maxPerNode < old.memory.maxPerNode
    const status = shrinks ? await this.#options.seen(old.name) : undefined
    const used = (status?.nodes ?? []).map(({ id, memoryBytes }) => ({ id, memoryBytes }))
    return judgeSpecChange(old, after, { used, acceptEviction, shards: before.scale.shards })
  }

  /** When a restart that may wait begins at the earliest, ms since 1970; null: at once. */
  #restartAt({ maintenanceWindow }: Spec): number | null {
    const window = maintenanceWindow === null ? undefined : parseMaintenanceWindow(maintenanceWindow)
    if (window === undefined) return null
    const now = Math.round(this.#options.clock.wall())
    const opens = nextOpening(window, now)
    return opens === now ? null : opens
  }

  async setWanted(
    name: string,
    wanted: Wanted,
    { purge, acceptDataLoss }: WantedOptions,
    actor: string,
  ): Promise<void> {
    const document = this.#options.document(name)
    const goes = wanted === 'down' && purge
    await this.#options.store.save({
      ...document,
      wanted,
      purge: goes,
      acceptDataLoss: acceptDataLoss && wanted === 'up',
    })
    const how = goes ? ', and its data shall go' : acceptDataLoss ? ', even where a shard has no copy left' : ''
    this.#record(name, `${name} shall be ${wanted}${how}`, actor)
    this.#options.wake(name)
  }

  /** Each controller would start engines of its own, and none would see the others'. */
  #refuseOwnMachine({ name, hosts }: Spec): void {
    if (!this.#options.store.isShared || hosts.length > 0) return
    throw new HoldfastError(
      'SPEC_INVALID',
      `${name} names no hosts, and this home has several controllers, for each of which "this machine" is another one: name hosts that have joined ("holdfast hosts" lists them)`,
      { name },
    )
  }

  async #create(spec: Spec, text: SpecText, actor: string): Promise<Applied> {
    const document = await this.#newDocument(spec, text)
    const places = [...document.nodes, ...(document.sentinels ?? [])]
    refuseTakenPorts(
      this.#options.store,
      spec.name,
      places.map(({ port }) => port),
    )
    for (const { host, address, port, id } of places) {
      // What another machine has in use, its agent says when it starts the engine.
      if (host !== localHostId) continue
      const ports = spec.topology === 'cluster' ? [port, busPortOf(port)] : [port]
      for (const one of ports) await claimPort(address, one, id)
    }
    // Found before anything is promised: without an engine there is nothing to create.
    await this.#options.programs.engineFor(spec)
    await this.#prepareProxy(spec)
    await this.#options.store.save(document)
    this.#record(spec.name, `${spec.name} created: ${describeSize(spec)}`, actor)
    this.#options.wake(spec.name)
    return { name: spec.name, revision: 1, changed: true }
  }

  /** A host that has not joined, or not under this address, could never be asked for anything. */
  #refuseStrangers({ hosts }: Spec): void {
    if (hosts.length === 0) return
    const joined = this.#options.hostDesk.list()
    const unknown = hosts.filter(({ name }) => !joined.some((one) => one.name === name)).map(({ name }) => name)
    if (unknown.length === 0) return
    const known = joined.length === 0 ? 'none has' : `only ${joined.map(({ name }) => name).join(', ')}`
    throw new HoldfastError(
      'NOT_FOUND',
      `hosts: ${unknown.join(', ')} ${unknown.length === 1 ? 'has' : 'have'} not joined, ${known}: make a token with "holdfast token --host ${unknown[0]}"`,
      { hosts: unknown },
    )
  }

  async #newDocument(spec: Spec, text: SpecText): Promise<Document> {
    const document: Document = {
      apiVersion: 1,
      name: spec.name,
      revision: 0,
      specRevision: 1,
      settledRevision: 0,
      spec: text,
      wanted: 'up',
      nodes: layOut(spec, (await this.#options.vacancies.of(spec)).rooms),
      sentinels: placeSentinels(spec),
      operations: [],
      scale: { shards: spec.shards, setBy: 'spec' },
      secrets: secretsFor(spec, newSecrets(newPassword), newPassword),
      acceptDataLoss: false,
      purge: false,
    }
    if (!usesTls(spec)) return document
    const now = Math.round(this.#options.clock.wall())
    const due = certificatesDue(document, spec, now)
    refuseUncovered(spec, due)
    return { ...document, ...(await certify(document, due, spec, now)) }
  }

  /** The program is found, and its ports are free, before anything is promised. */
  async #prepareProxy(spec: Spec, before?: Spec): Promise<void> {
    const ports = proxyPortsOf(spec)
    if (ports.length === 0) return
    const had = before === undefined ? [] : proxyPortsOf(before)
    const fresh = ports.filter((port) => !had.includes(port))
    refuseTakenPorts(this.#options.store, spec.name, fresh)
    const { host, address } = hostProxy(spec)
    if (host === localHostId) for (const port of fresh) await claimPort(address, port, proxyId)
    await this.#options.programs.proxy()
  }

  #record(deployment: string, because: string, actor: string): void {
    const at = Math.round(this.#options.clock.wall())
    this.#options.history.append({
      epoch: 0,
      at,
      deployment,
      kind: 'spec',
      subject: deployment,
      because,
      cause: null,
      actor,
    })
  }
}

/** The spec and the restart that it needs are saved together. One that has not begun, and is not due later, does for both. */
function withRestart(
  edited: Document,
  changes: readonly SpecChange[],
  { actor, notBefore, now }: { actor: string; notBefore: number | null; now: number },
): Document {
  const names = changes.filter(({ how }) => how === 'restart').map(({ path }) => path)
  const isAsked = edited.operations.some((one) => {
    const isOpen = one.kind === 'restart' && one.state === 'asked' && one.subject === edited.name
    return isOpen && (one.notBefore ?? now) <= (notBefore ?? now)
  })
  if (names.length === 0 || isAsked || edited.wanted === 'down') return edited
  const id = `spec-${edited.specRevision}`
  const wish = { kind: 'restart', id, subject: edited.name, reason: names.join(', '), notBefore } as const
  const operation = operationFor(wish, actor, now)
  return { ...edited, operations: withOperations(edited.operations, [operation]) }
}

/** What is on a host that goes shall hold no primary from now on; what is still on one that is put back may again. */
const movedOff = (place: NodePlace, gone: readonly string[], back: readonly string[]): NodePlace =>
  gone.includes(place.host) || back.includes(place.host) ? { ...place, drained: gone.includes(place.host) } : place

/** The same deployment, on its other hosts. */
function withoutHost(spec: SpecText, host: string): SpecText {
  const { hosts } = spec as { readonly hosts?: readonly { readonly name: string }[] }
  return { ...spec, hosts: (hosts ?? []).filter(({ name }) => name !== host) }
}

function summaryOf(edits: readonly SpecChange[], restartAt: number | null): string {
  if (edits.length === 0) return 'as specified: nothing would change'
  const head = `${edits.length} ${edits.length === 1 ? 'field' : 'fields'} would change`
  const restarts = edits.filter(({ how }) => how === 'restart').length
  if (restarts === 0) return `${head}, live and without a restart`
  const when = restartAt === null ? 'at once' : `in the maintenance window, from ${new Date(restartAt).toISOString()}`
  return `${head}, ${edits.length - restarts} live and ${restarts} with a rolling restart, ${when}`
}

function layoutInWords({ nodes, sentinels = [] }: Document): string[] {
  const where = ({ host, address, port }: SentinelPlace): string =>
    `${host === localHostId ? '' : `${host} `}${address}:${port}`
  return [
    ...nodes.map((node) => `${node.id}: ${node.shard}${node.chained === true ? ', chained' : ''}, ${where(node)}`),
    ...sentinels.map((place) => `${place.id}: ${where(place)}`),
  ]
}
