/** The one file that builds the real things and passes them on. */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Document, Spec, SpecText } from '@holdfast/core'
import { engineUsers, HoldfastError, localHostId, markSecret, parseSpec, roleOn } from '@holdfast/core'
import { RemoteHost } from './agent/remote-host.ts'
import { engineWorld, findEngineFor } from './binary/find.ts'
import { findProxy } from './binary/proxy.ts'
import { systemClock } from './clock.ts'
import { Controller } from './controller.ts'
import { reachFor } from './engine/reach.ts'
import { Sentinels } from './engine/sentinels.ts'
import { readSlots } from './engine/slot-reader.ts'
import { ValkeyEngines } from './engine/valkey.ts'
import { LocalShelf } from './host/backup/local-shelf.ts'
import { FactsReader } from './host/facts.ts'
import { LocalFaults } from './host/faults/local-faults.ts'
import { LocalHost } from './host/local.ts'
import { HostDesk } from './hosts/desk.ts'
import { Fleet } from './hosts/fleet.ts'
import { nobodysGate, openGate } from './hosts/gate.ts'
import { HostRegister } from './hosts/register.ts'
import { TroubleWatch } from './hosts/trouble-watch.ts'
import { VacancyDesk } from './hosts/vacancies.ts'
import { Bookkeeper } from './ledger/bookkeeper.ts'
import { openProbeClient } from './ledger/client.ts'
import { logAt } from './log-file.ts'
import { bootId, readProcess } from './proc.ts'
import { Programs } from './programs.ts'
import { buildApp } from './server/app.ts'
import { generatePassword, hashPassword } from './server/auth/password.ts'
import type { DemoDoor } from './server/demo-door.ts'
import { listenHere } from './server/listen.ts'
import type { Outside } from './server/outside.ts'
import { openOutside } from './server/outside.ts'
import type { OutsidePlace } from './server/outside-place.ts'
import { Access } from './store/access.ts'
import { readController, readDeadController, removeController, writeController } from './store/controller-file.ts'
import type { EtcdPlace } from './store/etcd/place.ts'
import type { Home } from './store/home.ts'
import { chooseEtcd, etcdEndpoints, openStore } from './store/open-store.ts'
import { SqliteAudit } from './store/sqlite-audit.ts'
import { SqliteHistory } from './store/sqlite-history.ts'
import type { HomeStore, Store } from './store/store.ts'

export { measureDeployment } from './engine/measure.ts'

export const adminName = 'admin'
const adminHashKey = 'adminHash'

export interface RunningController {
  readonly controller: Controller
  readonly url: string
  /** For other machines; undefined: this machine alone is answered. */
  readonly outside: string | undefined
  readonly token: string
  /** The administrator's password, if this start made it: it is not kept anywhere. */
  readonly newPassword: string | undefined
  /** Lets go of everything; the engines run on. */
  close(): Promise<void>
}

export interface StartOptions {
  readonly home: Home
  readonly progress: (line: string) => void
  /** Whether it acts, or only answers questions about a home that no controller keeps. */
  readonly acts: boolean
  /** Act on this deployment alone, for a command that is about no other. Default: on all. */
  readonly on?: string
  /** Undefined: the default port, or another where that is in use. */
  readonly port?: number | undefined
  /** The etcd that this home shares with other controllers, from now on. Default: as it was last time. */
  readonly etcd?: EtcdPlace | undefined
  /** By which other machines reach this one: a door is open there for those that shall join. Default: as it was last time. */
  readonly address?: string | undefined
  readonly joinPort?: number | undefined
  /** Where the panel and the API are for other machines, too; `off`: nowhere from now on. Default: as it was last time. */
  readonly outside?: OutsidePlace | 'off' | undefined
  /** The demonstration that its server shows; asked at each request. Default: none. */
  readonly demo?: () => DemoDoor | undefined
}

/** Starts the controller of a home in this process. Refuses a home that another one keeps. */
export async function startController(options: StartOptions): Promise<RunningController> {
  const { home, progress, acts, on, port, demo } = options
  if (acts) refuseSecondController(home)
  const boot = bootId()
  const id = `${process.pid}-${randomUUID().slice(0, 8)}`
  if (options.etcd !== undefined) await chooseEtcd(home, options.etcd, progress)
  const store = await openStore(home)
  const history = new SqliteHistory({ home })
  const access = new Access(store.settings)
  const audit = new SqliteAudit({ home })
  const log = logAt(home.log, { controller: id })
  const programs = new Programs({
    findEngine: (spec) => findEngineFor(spec, engineWorld(home.path, progress)),
    findProxy: () => findProxy(engineWorld(home.path, progress)),
  })
  const host = new LocalHost({
    id: localHostId,
    clock: systemClock,
    binary: (deployment) => controller.binaryOf(deployment),
    proxyProgram: () => programs.proxy(),
    memoryDir: home.agent,
    nodeDir: (deployment, node) => home.node(deployment, node),
    admin: (deployment) => ({
      username: engineUsers.admin,
      password: store.load(deployment)?.secrets[engineUsers.admin] ?? '',
    }),
    ownedDirectives: (deployment) => controller.ownedDirectives(deployment),
  })
  const register = new HostRegister(store.settings, systemClock)
  const gate = acts
    ? await openGate({ options, settings: store.settings, register, log, id })
    : await nobodysGate(store.settings, home, id)
  const fleet = new Fleet(host, register, ({ name, address, port: at }) => {
    if (gate === undefined) throw new Error('hosts have joined, and there is no authority')
    return new RemoteHost({
      id: name,
      address,
      port: at,
      clock: systemClock,
      credentials: () => gate.credentials.now,
      terms: (deployment) => controller.termsOf(deployment),
      epochs: () => controller.epochs(),
    })
  })
  const shelf = new LocalShelf({
    at: () => gate?.address ?? null,
    clock: systemClock,
    enter: (envelope) => host.enter(envelope),
    epoch: (deployment) => host.epoch(deployment),
    hosts: () => fleet.hosts,
    binary: (deployment) => controller.binaryOf(deployment),
    scratch: (deployment) => join(home.agent, 'trial', deployment),
  })
  const faults = new LocalFaults({
    clock: systemClock,
    home: home.path,
    directory: join(home.agent, 'faults'),
    nodeDir: (deployment, node) => home.node(deployment, node),
    enter: (envelope) => host.enter(envelope),
    binary: (deployment) => controller.binaryOf(deployment),
    secrets: (deployment) => {
      const { admin = '', app: application = '' } = store.load(deployment)?.secrets ?? {}
      return { [engineUsers.admin]: admin, [engineUsers.app]: application }
    },
    log,
  })
  const books = new Bookkeeper({
    controllerId: id,
    store: history.ledger,
    history,
    clock: systemClock,
    log,
    spec: (deployment) => parsedSpec(store, deployment),
    credentials: (deployment) => controller.probeAccess(deployment),
    openClient: openProbeClient,
  })
  const documents = (): Document[] => store.names().flatMap((name) => store.load(name) ?? [])
  const facts = new FactsReader({ clock: systemClock, directory: home.path })
  const troubles = new TroubleWatch({
    clock: systemClock,
    names: () => [localHostId, ...fleet.enrolled.map(({ name }) => name)],
    facts: async (name) => (name === localHostId ? facts.read() : (await fleet.greet(name)).facts),
  })
  const controller = new Controller({
    id,
    home,
    store,
    reach: reachFor({ allowed: () => access.targets() }),
    history,
    clock: systemClock,
    log,
    hosts: fleet.hosts,
    enrolled: () => fleet.enrolled,
    hostDesk: new HostDesk({
      register,
      fleet,
      clock: systemClock,
      door: () => gate?.door,
      documents,
      specs: {
        previewTakeOff: (deployment, name) => controller.previewTakeOff(deployment, name),
        takeOff: (deployment, name, actor) => controller.takeOff(deployment, name, actor),
      },
      etcd: () => etcdEndpoints(home),
    }),
    troublesOn: (name) => troubles.troublesOn(name),
    vacancies: new VacancyDesk({ fleet, clock: systemClock, documents }),
    nodeDir: ({ host: at, id: node }, deployment) =>
      at === localHostId ? home.node(deployment, node) : join(deploymentsOn(register, at), deployment, node),
    shelf,
    faults: (hostId) => (hostId === localHostId ? faults : fleet.faultsOf(hostId)),
    books,
    enginesFor: (terms) => new ValkeyEngines(systemClock, terms),
    readSlots,
    sentinelsFor: (terms) => new Sentinels(systemClock, terms),
    programs,
    openFilesMax: openFilesMax(),
  })
  fleet.onHost((one) => controller.hear(one))
  // Another controller may have let a host in.
  store.onChange((deployment) => void (deployment === undefined && fleet.refresh()))
  const token = markSecret(randomBytes(32).toString('base64url'))
  const app = buildApp({
    platform: controller,
    auth: { access, audit, bearerToken: token },
    clock: systemClock,
    panelDir: fileURLToPath(new URL('../public', import.meta.url)),
    log,
    ...(demo === undefined ? {} : { demo }),
  })
  let outside: Outside | undefined
  const close = async (): Promise<void> => {
    await controller.stop()
    troubles.close()
    await books.close()
    await outside?.close()
    await app.close()
    await gate?.close()
    faults.close()
    fleet.close()
    shelf.close()
    host.close()
    if (acts) removeController(home, id)
    history.close()
    audit.close()
    store.close()
    log.flush()
  }
  let url: string
  try {
    url = await listenHere(app, acts ? port : 0)
    if (acts) outside = await openOutside({ app, options, settings: store.settings, id, log })
  } catch (error) {
    await close()
    throw error
  }
  // Only now: a password that was made for a start that fails is one that nobody hears of.
  const newPassword = await administrator(store, acts)
  if (acts) {
    // A controller that was killed cannot give its leases back; its successor need not wait for them to run out.
    const former = readDeadController(home)
    for (const name of former === undefined ? [] : store.names()) await store.release(name, former?.id ?? '')
    const startTime = readProcess(process.pid)?.startTime ?? 0
    writeController(home, { id, pid: process.pid, startTime, bootId: boot, url, token, startedAt: Date.now() })
    books.run(controller)
    void troubles.run()
    controller.run(on)
    void faults.run()
  }
  return {
    controller,
    url,
    outside: outside?.url,
    token,
    newPassword,
    close,
  }
}

function deploymentsOn(register: HostRegister, name: string): string {
  const host = register.host(name)
  if (host !== undefined) return host.deployments
  throw new HoldfastError(
    'NOT_FOUND',
    `host ${name} has not joined this home: "holdfast token --host ${name}" lets it in`,
  )
}

function parsedSpec(store: Store, deployment: string): Spec | undefined {
  const document = store.load(deployment)
  return document === undefined ? undefined : parseSpec(document.spec)
}

/**
 * Two controllers of one home would only get in each other's way. One that is stopped by a signal does not count: it
 * cannot keep anything up, and should it wake, the agents refuse its epoch.
 */
function refuseSecondController(home: Home): void {
  const running = readController(home)
  if (running === undefined || running.stopped) return
  throw new HoldfastError(
    'HOST_HOME_IN_USE',
    `a controller (pid ${running.pid}, ${running.url}) keeps ${home.path} already: use it, or name another HOLDFAST_HOME`,
    { home: home.path, pid: running.pid, url: running.url },
  )
}

/** Makes the first administrator where there is none, and answers his password. */
async function administrator({ settings }: Pick<Store, 'settings'>, mayCreate: boolean): Promise<string | undefined> {
  const access = new Access(settings)
  if (access.users().some(({ grants }) => roleOn(grants, null) === 'admin')) return undefined
  const user = { name: adminName, grants: [{ role: 'admin', deployment: null }], createdAt: Date.now() } as const
  // Where Holdfast knew one administrator and no users, this is the hash of his password.
  const former = settings.get(adminHashKey)
  if (former !== undefined) await access.addUser({ ...user, hash: former })
  if (former !== undefined || !mayCreate) return undefined
  const password = generatePassword()
  // Where another controller was quicker, its password is the one that holds.
  const isMine = await access.addUser({ ...user, hash: await hashPassword(password) })
  return isMine ? password : undefined
}

/** Makes the administrator of a new home and answers the password; undefined where there is one already. */
export async function makeAdministrator(home: Home): Promise<string | undefined> {
  return withStore(home, (store) => administrator(store, true))
}

/** Everything in a home that is shown, also where no controller runs. */
export function savedNames(home: Home): Promise<string[]> {
  return withStore(home, async (store) => [...store.names(), ...store.adoptions.names()].sort())
}

/** What is wanted in a home, by name, also where no controller runs. */
export function savedSpecs(home: Home): Promise<ReadonlyMap<string, SpecText>> {
  return withStore(home, async (store) => new Map(store.names().map((name) => [name, store.load(name)?.spec ?? {}])))
}

async function withStore<T>(home: Home, work: (store: HomeStore) => Promise<T>): Promise<T> {
  const store = await openStore(home)
  try {
    return await work(store)
  } finally {
    store.close()
  }
}

/** The limit that engines inherit; an engine with less lowers its own `maxclients`. */
function openFilesMax(): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return soft === undefined || soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft)
}
