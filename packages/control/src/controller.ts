/** All deployments of one home: their loops, and the edits of what is wanted that people and programs make. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type {
  Document,
  EngineUser,
  FaultPreview,
  FaultSeen,
  FaultWish,
  Ledger,
  NodeFiles,
  Operation,
  OperationPreview,
  OperationWish,
  Pause,
  SentinelPlace,
  Spec,
  SpecChange,
  SpecText,
  Status,
  Wanted,
} from '@holdfast/core'
import {
  busPortOf,
  describeSize,
  describeSpecChange,
  engineUsers,
  HoldfastError,
  judgeSpecChange,
  layOut,
  localHostId,
  maskSecrets,
  missingCopies,
  newSecrets,
  nextOpening,
  operationFor,
  ownedDirectives,
  parseMaintenanceWindow,
  parseSpec,
  placeProxy,
  placeSentinels,
  proxyId,
  refuseChanges,
  refusedAdopted,
  renderConfig,
  renderProxy,
  renderSentinel,
  renderSentinelUsers,
  renderUsers,
  replaced,
  secretsFor,
  usersOf,
  withOperations,
} from '@holdfast/core'
import { AdoptionDesk } from './adopted/desk.ts'
import { BackupDesk } from './backup-desk.ts'
import type { EngineBinary } from './binary/engine-binary.ts'
import type { ProxyProgram } from './binary/proxy.ts'
import type { Clock } from './clock.ts'
import type { EnginePort, SentinelPort } from './engine/engine.ts'
import { FaultDesk } from './fault-desk.ts'
import { findPlaces } from './free-places.ts'
import { claimPort } from './host/engine-process.ts'
import type { FaultHost } from './host/faults/fault-host.ts'
import type { HostPort } from './host/host.ts'
import type { Bookkeeper } from './ledger/bookkeeper.ts'
import type { Log } from './log.ts'
import { newPassword } from './new-password.ts'
import { OperationDesk } from './operation-desk.ts'
import type { Rendered } from './reconcile.ts'
import { DeploymentLoop } from './reconcile.ts'
import type {
  AdoptedNow,
  AdoptWish,
  Applied,
  ApplyTerms,
  PlanPreview,
  Platform,
  UpgradePreview,
  UpgradeWish,
  WantedOptions,
} from './server/platform.ts'
import type { Home } from './store/home.ts'
import type { AdoptionStore, History, Store } from './store/store.ts'

/** How long a node may take to answer somebody who never asked it before. */
const firstAnswerWithinMs = 2000

export interface ControllerOptions {
  readonly id: string
  readonly home: Home
  readonly store: Store
  readonly adoptions: AdoptionStore
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  readonly hosts: ReadonlyMap<string, HostPort>
  /** The faults of this machine. */
  readonly faults: FaultHost
  readonly books: Bookkeeper
  readonly enginesFor: (terms: { username: string; password: () => string; clustered: boolean }) => EnginePort
  readonly sentinelsFor: (terms: { username: string; password: () => string; masterName: string }) => SentinelPort
  readonly findBinary: (spec: Spec) => Promise<EngineBinary>
  readonly findProxy: () => Promise<ProxyProgram>
  readonly openFilesMax: number
}

/** A deployment that is kept up, and the connections by which it is seen. */
interface Kept {
  readonly loop: DeploymentLoop
  readonly eyes: readonly { close(): void }[]
  readonly done: Promise<void>
}

export class Controller implements Platform {
  readonly backups: BackupDesk
  readonly events: History
  readonly #options: ControllerOptions
  readonly #loops = new Map<string, Kept>()
  /** The engine that was found for each deployment, and for which wish. */
  readonly #binaries = new Map<string, { wanted: string; binary: EngineBinary }>()
  readonly #listeners = new Set<(status: Status) => void>()
  readonly #faults: FaultDesk
  readonly #operations: OperationDesk
  readonly #adopted: AdoptionDesk
  #proxyProgram: Promise<ProxyProgram> | undefined
  #running = false

  constructor(options: ControllerOptions) {
    this.#options = options
    this.events = options.history
    this.#faults = new FaultDesk({
      ...options,
      controllerId: options.id,
      names: () => options.store.names(),
      status: (name) => this.status(name),
      spec: (name) => parseSpec(this.#documentOf(name).spec),
    })
    this.#operations = new OperationDesk({
      ...options,
      status: (name) => this.status(name),
      wake: (name) => this.#wake(name),
      engineOf: (name) => this.#binaries.get(name)?.binary,
      findEngine: (spec) => this.#options.findBinary(spec),
    })
    this.backups = new BackupDesk({
      ...options,
      operations: this.#operations,
      names: () => options.store.names(),
      document: (name) => this.#documentOf(name),
      status: (name) => this.status(name),
      binary: (name) => this.binaryOf(name),
    })
    this.#adopted = new AdoptionDesk({
      ...options,
      controllerId: options.id,
      onStatus: (status) => this.#publish(status),
      documents: () => options.store.names().flatMap((name) => options.store.load(name) ?? []),
    })
    for (const host of options.hosts.values()) {
      host.onJobEnd((deployment) => this.#loops.get(deployment)?.loop.wake())
      host.onExit((exit) => {
        this.#loops.get(exit.deployment)?.loop.wake()
        options.books.exited(exit)
      })
    }
  }

  /** Begins to keep up what is in the store, or one deployment of it alone. */
  run(only?: string): void {
    this.#running = true
    for (const name of this.#options.store.names()) if (only === undefined || name === only) this.#loopOf(name)
    this.#adopted.run(only)
    this.#faults.run()
    this.backups.run(only)
  }

  /** Stops the loops and gives the leases back. The engines run on. */
  async stop(): Promise<void> {
    this.#running = false
    this.backups.stop()
    await this.#faults.stop()
    await this.#adopted.stop()
    const loops = [...this.#loops.values()]
    for (const { loop } of loops) loop.stop()
    await Promise.all(loops.map(({ done }) => done))
    for (const { loop, eyes } of loops) {
      loop.release()
      for (const eye of eyes) eye.close()
    }
    this.#loops.clear()
  }

  /** All that is shown: what Holdfast runs, and what it only watches. */
  names(): string[] {
    return [...this.#options.store.names(), ...this.#adopted.names()].sort()
  }

  status(name: string): Status | undefined {
    return this.#loops.get(name)?.loop.status ?? this.#adopted.status(name)
  }

  isAdopted(name: string): boolean {
    return this.#adopted.has(name)
  }

  adopt(wish: AdoptWish, actor: string): Promise<AdoptedNow> {
    return this.#adopted.adopt(wish, actor)
  }

  forget(name: string, actor: string): void {
    if (!this.isAdopted(name)) throw new HoldfastError('NOT_FOUND', `there is no adopted deployment ${name}`, { name })
    this.#adopted.forget(name, actor)
  }

  spec(name: string): { spec: SpecText; revision: number } | undefined {
    const document = this.#options.store.load(name)
    return document === undefined ? undefined : { spec: document.spec, revision: document.specRevision }
  }

  credentials(
    name: string,
    user: string = engineUsers.app,
  ): { readonly user: string; readonly password: string } | undefined {
    const document = this.#options.store.load(name)
    if (document === undefined) return undefined
    const theirs = usersOf(parseSpec(document.spec)).filter((one) => one === engineUsers.app || !isOurs(one))
    const password = theirs.includes(user) ? document.secrets[user] : undefined
    if (password !== undefined) return { user, password }
    const known = theirs.join(', ')
    throw new HoldfastError('NOT_FOUND', `${name} knows no password of a user ${user.slice(0, 80)}, only of ${known}`)
  }

  previewFault(name: string, wish: FaultWish): FaultPreview {
    return this.#faults.preview(name, wish)
  }

  injectFault(name: string, wish: FaultWish, actor: string): Promise<FaultSeen> {
    return this.#faults.inject(name, wish, actor)
  }

  healFault(name: string, id: string, actor: string): Promise<FaultSeen> {
    return this.#faults.heal(name, id, actor)
  }

  faults(name: string): readonly FaultSeen[] {
    return this.#faults.seen(name)
  }

  ledger(name: string, since: number): Ledger {
    this.#documentOf(name)
    return this.#options.books.read(name, since)
  }

  previewOperation(name: string, wish: OperationWish): OperationPreview {
    return this.#operations.preview(name, wish)
  }

  askOperation(name: string, wish: OperationWish, actor: string): Operation {
    return this.#operations.ask(name, wish, actor)
  }

  askForNodes(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    return this.#operations.askForNodes(name, wish, actor)
  }

  previewUpgrade(name: string, engine: SpecText): Promise<UpgradePreview> {
    return this.#operations.previewUpgrade(name, engine)
  }

  upgrade(name: string, wish: UpgradeWish, actor: string): Promise<Operation> {
    return this.#operations.upgrade(name, wish, actor)
  }

  cancelOperation(name: string, id: string, actor: string): Operation {
    return this.#operations.cancel(name, id, actor)
  }

  pause(name: string, pause: Pick<Pause, 'because' | 'until'>, actor: string): void {
    this.#operations.pause(name, pause, actor)
  }

  resume(name: string, actor: string): void {
    this.#operations.resume(name, actor)
  }

  setDrained(name: string, node: string, drained: boolean, actor: string): void {
    this.#operations.drain(name, node, drained, actor)
  }

  setDegraded(name: string, shard: string, because: string | null, actor: string): void {
    this.#operations.degrade(name, shard, because, actor)
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async apply(
    input: unknown,
    baseRevision: number | null,
    actor: string,
    terms: ApplyTerms = { acceptEviction: false },
  ): Promise<Applied> {
    const spec = parseSpec(input)
    if (this.isAdopted(spec.name)) throw refusedAdopted(spec.name)
    const text = input as SpecText
    const before = this.#options.store.load(spec.name)
    if (baseRevision !== null && baseRevision !== (before?.specRevision ?? 0)) {
      throw new HoldfastError(
        'SPEC_CONFLICT',
        `${spec.name} is at revision ${before?.specRevision ?? 0}, not ${baseRevision}: somebody else changed it. Read it again.`,
        { name: spec.name, revision: before?.specRevision ?? 0 },
      )
    }
    if (before === undefined) return this.#create(spec, text, actor)
    const changes = await this.#changes(before, spec, terms)
    refuseChanges(spec.name, changes)
    if (isDeepStrictEqual(before.spec, text)) return { name: spec.name, revision: before.specRevision, changed: false }
    await this.#prepareProxy(spec, parseSpec(before.spec))
    const places = await findPlaces(before, spec, missingCopies(before, spec), this.#options.store)
    const grown = replaced(
      before,
      places.map((place) => ({ id: place.id, place })),
    )
    const secrets = secretsFor(spec, before.secrets, newPassword)
    const edited = { ...grown, spec: text, specRevision: before.specRevision + 1, secrets }
    const saved = this.#options.store.save(
      withRestart(edited, changes, {
        actor,
        notBefore: this.#restartAt(spec),
        now: Math.round(this.#options.clock.wall()),
      }),
    )
    const told = changes.length === 0 ? 'the same in other words' : changes.map(describeSpecChange).join(', ')
    this.#record(spec.name, `spec revision ${saved.specRevision}: ${told}`, actor)
    this.#wake(spec.name)
    return { name: spec.name, revision: saved.specRevision, changed: true }
  }

  async plan(input: unknown, terms: ApplyTerms = { acceptEviction: false }): Promise<PlanPreview> {
    const spec = parseSpec(input)
    if (this.isAdopted(spec.name)) throw refusedAdopted(spec.name)
    const before = this.#options.store.load(spec.name)
    const edits = before === undefined ? [] : await this.#changes(before, spec, terms)
    refuseChanges(spec.name, edits)
    const document = before ?? this.#newDocument(spec, input as SpecText)
    const { files } = await this.#render({ ...document, spec: input as SpecText }, spec)
    const changes = before === undefined ? layoutInWords(document) : edits.map(describeSpecChange)
    const because =
      before === undefined
        ? `${spec.name} does not exist yet: ${describeSize(spec)} would be started`
        : summaryOf(edits, this.#restartAt(spec))
    const masked = [...files].map(([node, { config }]) => [node, maskSecrets(config)])
    return { name: spec.name, isNew: before === undefined, changes, edits, because, files: Object.fromEntries(masked) }
  }

  /** What an edit means, by what the nodes use now. Nobody asks them where that does not matter. */
  async #changes(before: Document, after: Spec, { acceptEviction }: ApplyTerms): Promise<SpecChange[]> {
    const old = parseSpec(before.spec)
    const shrinks = after.memory.maxPerNode < old.memory.maxPerNode
    const status = shrinks ? (this.#running ? this.status(old.name) : await this.look(old.name)) : undefined
    const used = (status?.nodes ?? []).map(({ id, memoryBytes }) => ({ id, memoryBytes }))
    return judgeSpecChange(old, after, { used, acceptEviction })
  }

  /** When a restart that may wait begins at the earliest, ms since 1970; null: at once. */
  #restartAt({ maintenanceWindow }: Spec): number | null {
    const window = maintenanceWindow === null ? undefined : parseMaintenanceWindow(maintenanceWindow)
    if (window === undefined) return null
    const now = Math.round(this.#options.clock.wall())
    const opens = nextOpening(window, now)
    return opens === now ? null : opens
  }

  setWanted(name: string, wanted: Wanted, { purge, acceptDataLoss }: WantedOptions, actor: string): void {
    const document = this.#documentOf(name)
    const goes = wanted === 'down' && purge
    this.#options.store.save({ ...document, wanted, purge: goes, acceptDataLoss: acceptDataLoss && wanted === 'up' })
    const how = goes ? ', and its data shall go' : acceptDataLoss ? ', even where a shard has no copy left' : ''
    this.#record(name, `${name} shall be ${wanted}${how}`, actor)
    this.#wake(name)
  }

  /**
   * One look without acting, for a home whose controller does not run. The connections are only being opened, so a
   * node that has not answered yet is given the time to: nobody looks a second time, as a loop would.
   */
  async look(name: string): Promise<Status | undefined> {
    if (this.isAdopted(name)) return this.#adopted.look(name)
    const { clock } = this.#options
    const { loop } = this.#loopOf(name)
    const deadline = clock.now() + firstAnswerWithinMs
    await loop.look()
    while (loop.status?.nodes.some(({ state }) => state === 'silent') === true && clock.now() < deadline) {
      await clock.sleep(50)
      await loop.look()
    }
    return loop.status
  }

  #documentOf(name: string): Document {
    const document = this.#options.store.load(name)
    if (document !== undefined) return document
    if (this.isAdopted(name)) throw refusedAdopted(name)
    throw new HoldfastError('NOT_FOUND', `there is no deployment ${name}`, { name })
  }

  async #create(spec: Spec, text: SpecText, actor: string): Promise<Applied> {
    const document = this.#newDocument(spec, text)
    this.#refuseTakenPorts(document)
    for (const { address, port, id } of [...document.nodes, ...(document.sentinels ?? [])]) {
      const ports = spec.topology === 'cluster' ? [port, busPortOf(port)] : [port]
      for (const one of ports) await claimPort(address, one, id)
    }
    // Found before anything is promised: without an engine there is nothing to create.
    await this.#binaryFor(spec)
    await this.#prepareProxy(spec)
    this.#options.store.save(document)
    this.#record(spec.name, `${spec.name} created: ${describeSize(spec)}`, actor)
    this.#wake(spec.name)
    return { name: spec.name, revision: 1, changed: true }
  }

  #newDocument(spec: Spec, text: SpecText): Document {
    return {
      apiVersion: 1,
      name: spec.name,
      revision: 0,
      specRevision: 1,
      settledRevision: 0,
      spec: text,
      wanted: 'up',
      nodes: layOut(spec),
      sentinels: placeSentinels(spec),
      operations: [],
      scale: { shards: spec.shards, setBy: 'spec' },
      secrets: secretsFor(spec, newSecrets(newPassword), newPassword),
      acceptDataLoss: false,
      purge: false,
    }
  }

  /** The program is found, and its ports are free, before anything is promised. */
  async #prepareProxy(spec: Spec, before?: Spec): Promise<void> {
    const ports = proxyPortsOf(spec)
    if (ports.length === 0) return
    const had = before === undefined ? [] : proxyPortsOf(before)
    const fresh = ports.filter((port) => !had.includes(port))
    this.#refuseTaken(spec.name, fresh)
    for (const port of fresh) await claimPort(spec.expose.bind, port, proxyId)
    await this.proxyProgram()
  }

  /** The program that runs the proxies of this home. One that could not be found is looked for again. */
  proxyProgram(): Promise<ProxyProgram> {
    this.#proxyProgram ??= this.#options.findProxy().catch((error: unknown) => {
      this.#proxyProgram = undefined
      throw error
    })
    return this.#proxyProgram
  }

  #refuseTakenPorts(document: Document): void {
    this.#refuseTaken(
      document.name,
      [...document.nodes, ...(document.sentinels ?? [])].map(({ port }) => port),
    )
  }

  #refuseTaken(mine: string, ports: readonly number[]): void {
    for (const name of this.#options.store.names().filter((other) => other !== mine)) {
      const other = this.#options.store.load(name)
      if (other === undefined) continue
      const { nodes, sentinels = [] } = other
      const theirs = [...[...nodes, ...sentinels].map(({ port }) => port), ...proxyPortsOf(parseSpec(other.spec))]
      const taken = ports.find((port) => theirs.includes(port))
      if (taken === undefined) continue
      throw new HoldfastError(
        'HOST_PORT_IN_USE',
        `port ${taken} belongs to ${name}: choose another expose.basePort for ${mine}`,
        { port: taken, deployment: name },
      )
    }
  }

  #loopOf(name: string): Kept {
    const known = this.#loops.get(name)
    if (known !== undefined) return known
    const { id, store, history, clock, log, hosts, enginesFor, sentinelsFor } = this.#options
    const document = this.#documentOf(name)
    const { topology } = parseSpec(document.spec)
    const reader = {
      username: engineUsers.probe,
      password: () => store.load(name)?.secrets[engineUsers.probe] ?? '',
    }
    const engines = enginesFor({ ...reader, clustered: topology === 'cluster' })
    const sentinels = topology === 'sentinel' ? sentinelsFor({ ...reader, masterName: name }) : undefined
    const loop = new DeploymentLoop({
      name,
      controllerId: id,
      store,
      history,
      clock,
      log,
      hosts,
      engines,
      ...(sentinels === undefined ? {} : { sentinels }),
      render: (saved, spec) => this.#render(saved, spec),
      engine: () => describeBinary(this.#binaries.get(name)?.binary),
      onStatus: (status) => this.#publish(status),
      onGone: () => {
        this.#drop(name)
        this.#options.books.forget(name)
      },
    })
    const eyes = sentinels === undefined ? [engines] : [engines, sentinels]
    const entry = { loop, eyes, done: this.#running ? loop.run() : Promise.resolve() }
    this.#loops.set(name, entry)
    return entry
  }

  #publish(status: Status): void {
    for (const listener of this.#listeners) listener(status)
  }

  #drop(name: string): void {
    const entry = this.#loops.get(name)
    entry?.loop.stop()
    for (const eye of entry?.eyes ?? []) eye.close()
    this.#loops.delete(name)
    this.#binaries.delete(name)
  }

  #wake(name: string): void {
    if (this.#running) this.#loopOf(name).loop.wake()
  }

  async #binaryFor(spec: Spec): Promise<EngineBinary> {
    const wanted = JSON.stringify(spec.engine)
    const known = this.#binaries.get(spec.name)
    if (known?.wanted === wanted) return known.binary
    const binary = await this.#options.findBinary(spec)
    this.#binaries.set(spec.name, { wanted, binary })
    return binary
  }

  ownedDirectives(name: string): readonly string[] {
    return this.#loops.get(name)?.loop.owned ?? []
  }

  /** The program that runs the engines of a deployment. */
  async binaryOf(name: string): Promise<EngineBinary> {
    const document = this.#documentOf(name)
    return this.#binaryFor(parseSpec(document.spec))
  }

  async #render(document: Document, spec: Spec): Promise<Rendered> {
    const { home, openFilesMax } = this.#options
    const engine = await this.#binaryFor(spec)
    const { secrets } = document
    const users = renderUsers({ spec, secrets, engine, sha256 })
    const signsInAs = (user: EngineUser): string => sha256(secrets[user] ?? '')
    const files = document.nodes.map((node): [string, NodeFiles] => {
      const dir = home.node(spec.name, node.id)
      const config = renderConfig({ spec, node, secrets, engine, dir, openFilesMax })
      return [
        node.id,
        { config, users, engineVersion: engine.version, signsInWith: signsInAs(engineUsers.replication) },
      ]
    })
    const isWatched = document.sentinels !== undefined && document.sentinels.length > 0
    const sentinelUsers = isWatched ? renderSentinelUsers({ spec, secrets, engine, sha256 }) : ''
    for (const place of document.sentinels ?? []) {
      const dir = home.node(spec.name, place.id)
      const config = renderSentinel({ spec, place, secrets, dir })
      files.push([
        place.id,
        { config, users: sentinelUsers, engineVersion: engine.version, signsInWith: signsInAs(engineUsers.sentinel) },
      ])
    }
    const proxy = placeProxy(spec)
    if (proxy !== null) files.push([proxy.id, { config: renderProxy({ spec, document, place: proxy }), users: '' }])
    return { files: new Map(files), owned: ownedDirectives(spec, { engine, openFilesMax }) }
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

const isOurs = (user: string): boolean => Object.values(engineUsers).some((one) => one === user)

const proxyPortsOf = (spec: Spec): number[] => {
  const { port, replicaPort } = placeProxy(spec) ?? {}
  return [port, replicaPort].filter((one) => one != null)
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const describeBinary = (binary: EngineBinary | undefined): Status['engine'] =>
  binary === undefined ? null : { flavor: binary.flavor, version: binary.version, path: binary.server }

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
    ...nodes.map((node) => `${node.id}: ${node.shard}, ${where(node)}`),
    ...sentinels.map((place) => `${place.id}: ${where(place)}`),
  ]
}
