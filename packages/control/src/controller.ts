/** All deployments of one home: their loops, and the edits of what is wanted that people and programs make. */
import type {
  AgentTerms,
  AutoscaleAnswer,
  Document,
  FaultPreview,
  FaultSeen,
  FaultWish,
  HostTrouble,
  Ledger,
  Operation,
  OperationPreview,
  OperationWish,
  Pause,
  Peer,
  RebalancePreview,
  RebalanceWish,
  SpecText,
  Status,
  TakeOffPreview,
  UserAccess,
  Wanted,
} from '@holdfast/core'
import { authorityOf, engineUsers, HoldfastError, parseSpec, refusedAdopted, usersOf } from '@holdfast/core'
import { AdoptionDesk } from './adopted/desk.ts'
import { BackupDesk } from './backup-desk.ts'
import type { EngineBinary } from './binary/engine-binary.ts'
import type { Clock } from './clock.ts'
import type { EnginePort, SentinelPort } from './engine/engine.ts'
import type { Reach } from './engine/reach.ts'
import type { Credentials } from './engine/reader.ts'
import type { SlotQuestion, SlotsRead } from './engine/slot-reader.ts'
import { FaultDesk } from './fault-desk.ts'
import type { Shelf } from './host/backup/local-shelf.ts'
import type { FaultHost } from './host/faults/fault-host.ts'
import type { HostPort } from './host/host.ts'
import type { HostPlatform } from './hosts/desk.ts'
import type { VacancyDesk } from './hosts/vacancies.ts'
import type { Bookkeeper } from './ledger/bookkeeper.ts'
import type { Log } from './log.ts'
import { OperationDesk } from './operation-desk.ts'
import { certify, SuppliedFiles } from './pki/engine-certificates.ts'
import type { Programs } from './programs.ts'
import { RebalanceDesk } from './rebalance-desk.ts'
import { DeploymentLoop } from './reconcile.ts'
import type { NodeDir } from './render-files.ts'
import { renderFiles } from './render-files.ts'
import { ScaleDesk } from './scale-desk.ts'
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
import { SpecDesk } from './spec-desk.ts'
import type { Home } from './store/home.ts'
import type { History, HomeStore } from './store/store.ts'
import { TopologyFeed } from './topology-feed.ts'

/** How long a node may take to answer somebody who never asked it before. */
const firstAnswerWithinMs = 2000

export interface ControllerOptions {
  readonly id: string
  readonly home: Home
  readonly store: HomeStore
  /** Where a connection may lead that a caller of the API asked for. */
  readonly reach: Reach
  readonly history: History
  readonly clock: Clock
  readonly log: Log
  /** Live: a host that joins is in it from then on, and heard once it is said (`hear`). */
  readonly hosts: ReadonlyMap<string, HostPort>
  readonly hostDesk: HostPlatform
  /** Where there is room for one more node. */
  readonly vacancies: VacancyDesk
  /** What goes wrong with a machine. */
  readonly troublesOn: (host: string) => readonly HostTrouble[]
  /** The hosts that have joined, as their agents are reached. */
  readonly enrolled: () => readonly Peer[]
  /** The faults of a host, this machine among them; undefined: it has not joined. */
  readonly faults: (hostId: string) => FaultHost | undefined
  readonly books: Bookkeeper
  readonly shelf: Shelf
  readonly enginesFor: (terms: Credentials & { clustered: boolean }) => EnginePort
  readonly sentinelsFor: (terms: Credentials & { masterName: string }) => SentinelPort
  readonly readSlots: (question: SlotQuestion, credentials: Credentials) => Promise<SlotsRead>
  readonly programs: Programs
  readonly nodeDir: NodeDir
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
  readonly topology = new TopologyFeed()
  readonly hosts: HostPlatform
  readonly #options: ControllerOptions
  readonly #loops = new Map<string, Kept>()
  readonly #listeners = new Set<(status: Status) => void>()
  readonly #faults: FaultDesk
  readonly #specs: SpecDesk
  readonly #operations: OperationDesk
  readonly #scale: ScaleDesk
  readonly #rebalance: RebalanceDesk
  readonly #adopted: AdoptionDesk
  #running = false
  /** Stops hearing of what other controllers have changed. */
  #deaf: () => void = () => undefined

  constructor(options: ControllerOptions) {
    this.#options = options
    this.events = options.history
    this.hosts = options.hostDesk
    this.#faults = new FaultDesk({
      ...options,
      controllerId: options.id,
      names: () => options.store.names(),
      status: (name) => this.status(name),
      spec: (name) => parseSpec(this.#documentOf(name).spec),
    })
    this.#specs = new SpecDesk({
      ...options,
      document: (name) => this.#documentOf(name),
      isAdopted: (name) => this.isAdopted(name),
      seen: async (name) => (this.#running ? this.status(name) : this.look(name)),
      wake: (name) => this.#wake(name),
    })
    this.#operations = new OperationDesk({
      ...options,
      status: (name) => this.status(name),
      wake: (name) => this.#wake(name),
      engineOf: (name) => options.programs.engineOf(name),
      findEngine: (spec) => options.programs.find(spec),
    })
    this.#scale = new ScaleDesk({
      ...options,
      document: (name) => this.#documentOf(name),
      status: (name) => this.status(name),
      ask: (name, wish, actor) => this.askForNodes(name, wish, actor),
      tell: (name, because) =>
        options.history.append({
          epoch: 0,
          at: Math.round(options.clock.wall()),
          deployment: name,
          kind: 'operation',
          subject: name,
          because,
          cause: null,
          actor: 'autoscale',
        }),
    })
    this.#rebalance = new RebalanceDesk({
      ...options,
      status: (name) => this.status(name),
      engineOf: (name) => options.programs.engineOf(name),
      credentials: (name) => this.#probeOf(name),
    })
    this.backups = new BackupDesk({
      ...options,
      operations: this.#operations,
      names: () => options.store.names(),
      document: (name) => this.#documentOf(name),
      status: (name) => this.status(name),
      binary: (name) => this.binaryOf(name),
    })
    options.shelf.onJobEnd((name) => this.#loops.get(name)?.loop.wake())
    this.#adopted = new AdoptionDesk({
      ...options,
      adoptions: options.store.adoptions,
      controllerId: options.id,
      onStatus: (status) => this.#publish(status),
      documents: () => options.store.names().flatMap((name) => options.store.load(name) ?? []),
    })
  }

  /** Listens to a host: what ends there wakes the loop at once. */
  hear(host: HostPort): void {
    host.onJobEnd((deployment) => this.#loops.get(deployment)?.loop.wake())
    host.onExit((exit) => {
      this.#loops.get(exit.deployment)?.loop.wake()
      this.#options.books.exited(exit)
    })
  }

  /** Begins to keep up what is in the store, or one deployment of it alone. */
  run(only?: string): void {
    this.#running = true
    this.#deaf = this.#options.store.onChange((name) => {
      if (name === undefined) this.#adopted.refresh()
      else if (only === undefined || name === only) this.#changed(name)
    })
    for (const name of this.#options.store.names()) if (only === undefined || name === only) this.#loopOf(name)
    this.#adopted.run(only)
    this.#faults.run()
    this.backups.run(only)
  }

  /** Stops the loops and gives the leases back. The engines run on. */
  async stop(): Promise<void> {
    this.#running = false
    this.#deaf()
    this.backups.stop()
    await this.#faults.stop()
    await this.#adopted.stop()
    const loops = [...this.#loops.values()]
    for (const { loop } of loops) loop.stop()
    await Promise.all(loops.map(({ done }) => done))
    for (const { loop, eyes } of loops) {
      await loop.release()
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

  async forget(name: string, actor: string): Promise<void> {
    if (!this.isAdopted(name)) throw new HoldfastError('NOT_FOUND', `there is no adopted deployment ${name}`, { name })
    await this.#adopted.forget(name, actor)
    this.topology.forget(name)
  }

  spec(name: string): { spec: SpecText; revision: number } | undefined {
    const document = this.#options.store.load(name)
    return document === undefined ? undefined : { spec: document.spec, revision: document.specRevision }
  }

  credentials(name: string, user: string = engineUsers.app): UserAccess | undefined {
    const document = this.#options.store.load(name)
    if (document === undefined) return undefined
    const spec = parseSpec(document.spec)
    const theirs = usersOf(spec).filter((one) => one === engineUsers.app || !isOurs(one))
    const password = theirs.includes(user) ? document.secrets[user] : undefined
    if (password !== undefined) return { user, password, authority: authorityOf(document, spec) }
    const known = theirs.join(', ')
    throw new HoldfastError('NOT_FOUND', `${name} knows no password of a user ${user.slice(0, 80)}, only of ${known}`)
  }

  /** As whom the ledger's probe signs in: as the application does. Undefined: nothing is known of it yet. */
  probeAccess(name: string): UserAccess | undefined {
    const { loop } = this.#loops.get(name) ?? {}
    const password = loop?.secrets[engineUsers.app]
    if (loop === undefined || password === undefined) return undefined
    return { user: engineUsers.app, password, authority: loop.authority }
  }

  previewFault(name: string, wish: FaultWish): Promise<FaultPreview> {
    return this.#faults.preview(name, wish)
  }

  injectFault(name: string, wish: FaultWish, actor: string): Promise<FaultSeen> {
    return this.#faults.inject(name, wish, actor)
  }

  healFault(name: string, id: string, actor: string): Promise<FaultSeen> {
    return this.#faults.heal(name, id, actor)
  }

  faults(name: string): Promise<readonly FaultSeen[]> {
    return this.#faults.seen(name)
  }

  ledger(name: string, since: number): Ledger {
    this.#documentOf(name)
    return this.#options.books.read(name, since)
  }

  autoscale(name: string): Promise<AutoscaleAnswer> {
    return this.#scale.answer(name)
  }

  previewOperation(name: string, wish: OperationWish): OperationPreview {
    return this.#operations.preview(name, wish)
  }

  /** Slots are shared out by their number when that begins; by what is in them, here and now, where the engines can be asked. */
  async askOperation(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    const { kind, by = 'slots', weights = {} } = wish
    if (kind !== 'rebalance' || by === 'slots') return this.#operations.ask(name, wish, actor)
    const { wanted } = await this.previewRebalance(name, { by, weights: new Map(Object.entries(weights)) })
    return this.#operations.ask(name, { ...wish, wanted }, actor)
  }

  askForNodes(name: string, wish: OperationWish, actor: string): Promise<Operation> {
    return this.#operations.askForNodes(name, wish, actor)
  }

  async previewRebalance(name: string, wish: RebalanceWish): Promise<RebalancePreview> {
    this.#documentOf(name)
    return this.#rebalance.preview(name, wish)
  }

  previewUpgrade(name: string, engine: SpecText): Promise<UpgradePreview> {
    return this.#operations.previewUpgrade(name, engine)
  }

  upgrade(name: string, wish: UpgradeWish, actor: string): Promise<Operation> {
    return this.#operations.upgrade(name, wish, actor)
  }

  cancelOperation(name: string, id: string, actor: string): Promise<Operation> {
    return this.#operations.cancel(name, id, actor)
  }

  pause(name: string, pause: Pick<Pause, 'because' | 'until'>, actor: string): Promise<void> {
    return this.#operations.pause(name, pause, actor)
  }

  resume(name: string, actor: string): Promise<void> {
    return this.#operations.resume(name, actor)
  }

  setDrained(name: string, node: string, drained: boolean, actor: string): Promise<void> {
    return this.#operations.drain(name, node, drained, actor)
  }

  setDegraded(name: string, shard: string, because: string | null, actor: string): Promise<void> {
    return this.#operations.degrade(name, shard, because, actor)
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  apply(input: unknown, baseRevision: number | null, actor: string, terms?: ApplyTerms): Promise<Applied> {
    return this.#specs.apply(input, baseRevision, actor, terms)
  }

  plan(input: unknown, terms?: ApplyTerms): Promise<PlanPreview> {
    return this.#specs.plan(input, terms)
  }

  previewTakeOff(name: string, host: string): Promise<TakeOffPreview> {
    return this.#specs.previewTakeOff(name, host)
  }

  takeOff(name: string, host: string, actor: string): Promise<Applied> {
    return this.#specs.takeOff(name, host, actor)
  }

  setWanted(name: string, wanted: Wanted, options: WantedOptions, actor: string): Promise<void> {
    return this.#specs.setWanted(name, wanted, options, actor)
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

  #loopOf(name: string): Kept {
    const known = this.#loops.get(name)
    if (known !== undefined) return known
    const {
      id,
      nodeDir,
      store,
      history,
      clock,
      log,
      hosts,
      shelf,
      programs,
      openFilesMax,
      enginesFor,
      sentinelsFor,
      vacancies,
      troublesOn,
    } = this.#options
    const document = this.#documentOf(name)
    const { topology } = parseSpec(document.spec)
    const reader = this.#probeOf(name)
    const supplied = new SuppliedFiles()
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
      shelf,
      engines,
      ...(sentinels === undefined ? {} : { sentinels }),
      render: async (saved, spec) => {
        const engine = await programs.engineFor(spec)
        return renderFiles(saved, spec, { nodeDir, engine, openFilesMax })
      },
      troublesOn,
      vacancy: (spec) => vacancies.of(spec),
      supplied: (spec) => supplied.look(spec),
      certify: (saved, wishes, spec) => certify(saved, wishes, spec, clock.wall()),
      engine: () => programs.engineSeen(name),
      onPlan: (plan) => this.topology.asked(name, plan, Math.round(clock.wall())),
      onStatus: (status) => this.#publish(status),
      onLook: (picture, spec, acts) => this.#scale.saw(name, picture, spec, acts),
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

  /** Who may read, and nothing else. */
  #probeOf(name: string): Credentials {
    return {
      username: engineUsers.probe,
      password: () => this.#loops.get(name)?.loop.secrets[engineUsers.probe] ?? '',
      authority: () => this.#loops.get(name)?.loop.authority ?? null,
    }
  }

  #publish(status: Status): void {
    this.topology.seen(status)
    for (const listener of this.#listeners) listener(status)
  }

  #drop(name: string): void {
    const entry = this.#loops.get(name)
    entry?.loop.stop()
    for (const eye of entry?.eyes ?? []) eye.close()
    this.#loops.delete(name)
    this.topology.forget(name)
    this.#scale.forget(name)
    this.#options.programs.forget(name)
  }

  /** Another controller has saved it, removed it, or does not hold it any more. */
  #changed(name: string): void {
    if (this.#options.store.load(name) !== undefined) return this.#wake(name)
    this.#drop(name)
    this.#options.books.forget(name)
  }

  #wake(name: string): void {
    if (this.#running) this.#loopOf(name).loop.wake()
  }

  ownedDirectives(name: string): readonly string[] {
    return this.#loops.get(name)?.loop.owned ?? []
  }

  /** What the agent of another machine has to know of a deployment. */
  termsOf(name: string): AgentTerms {
    // Of its loop, which has read both for this turn already: every look at every host asks for them.
    const wanted = this.#loops.get(name)?.loop.wanted
    if (wanted === undefined) throw new HoldfastError('NOT_FOUND', `nobody has looked at ${name} yet`, { name })
    const { document, spec } = wanted
    const { engine, timeouts } = spec
    // The very version that was found here: two machines that each take what they have would run two.
    const found = this.#options.programs.engineOf(name)
    const exact = found === undefined || engine.path !== null ? {} : { flavor: found.flavor, version: found.version }
    return {
      engine: { ...engine, ...exact },
      admin: { username: engineUsers.admin, password: document.secrets[engineUsers.admin] ?? '' },
      owned: this.ownedDirectives(name),
      hosts: this.#hostsOf(document),
      leaseAfterMs: timeouts.leaseAfter,
    }
  }

  /** Those that have a part of a deployment, as their agents are reached. */
  #hostsOf({ nodes, sentinels = [] }: Document): Peer[] {
    const having = new Set([...nodes, ...sentinels].map(({ host }) => host))
    const joined = this.#options.enrolled().filter((host) => having.has(host.name))
    return joined.map(({ name: host, address, port }) => ({ name: host, address, port }))
  }

  /** The deployments that this controller acts for, and in which epochs. */
  epochs(): Readonly<Record<string, number>> {
    const held = [...this.#loops].flatMap(([name, { loop }]) =>
      loop.epoch === null ? [] : [[name, loop.epoch] as const],
    )
    return Object.fromEntries(held)
  }

  /** The program that runs the engines of a deployment. */
  async binaryOf(name: string): Promise<EngineBinary> {
    const document = this.#documentOf(name)
    return this.#options.programs.engineFor(parseSpec(document.spec))
  }
}

const isOurs = (user: string): boolean => Object.values(engineUsers).some((one) => one === user)
