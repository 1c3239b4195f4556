/**
 * The agent of one machine as a process: it keeps the engines of this machine in its eye, and does what the controllers of
 * its home ask. It decides nothing by itself. Engines outlive it, and the next one finds them.
 */
import { join } from 'node:path'
import type { AgentTerms } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { Logger } from 'pino'
import { AliveAsker } from '../agent/ask-alive.ts'
import type { Credentials } from '../agent/mutual-tls.ts'
import { secureTerms } from '../agent/mutual-tls.ts'
import { SelfFence } from '../agent/self-fence.ts'
import { buildAgent } from '../agent/server.ts'
import type { EngineBinary, WantedEngine } from '../binary/engine-binary.ts'
import { findEtcd } from '../binary/etcd.ts'
import { engineWorld, findEngine } from '../binary/find.ts'
import { findProxy } from '../binary/proxy.ts'
import { systemClock } from '../clock.ts'
import { FactsReader } from '../host/facts.ts'
import type { HostMember } from '../host/faults/fault-file.ts'
import { LocalFaults } from '../host/faults/local-faults.ts'
import { LocalHost } from '../host/local.ts'
import { readProcess } from '../proc.ts'
import { refusedListening } from '../server/listen.ts'
import type { EtcdSeat } from '../store/etcd/member.ts'
import { EtcdMember } from '../store/etcd/member.ts'
import type { Home } from '../store/home.ts'
import { suspendClock } from '../suspend-clock.ts'
import type { Where } from './join.ts'
import { renewMembership } from './join.ts'
import type { Membership } from './membership.ts'
import { writeMembership } from './membership.ts'

/** How often a controller hears from it: also how far behind the time for a new certificate may be. */
const tellEveryMs = 86_400_000
/** A controller that was not there is asked again this soon. */
const againMs = 10_000

export interface AgentOptions {
  readonly home: Home
  readonly membership: Membership
  readonly where: Where
  /** The members of etcd, of which this host carries one. Default: it carries none. */
  readonly etcd?: { readonly seats: readonly EtcdSeat[]; readonly isBirth: boolean } | undefined
  readonly log: Logger
  readonly progress: (line: string) => void
}

export interface RunningAgent {
  /** Lets go of everything; the engines run on. */
  close(): Promise<void>
}

export async function runAgent(options: AgentOptions): Promise<RunningAgent> {
  const { home, membership, where, log, progress } = options
  const terms = new Map<string, AgentTerms>()
  const world = engineWorld(home.path, progress)
  const engines = new Engines((wanted) => findEngine(wanted, world))
  const host = new LocalHost({
    id: membership.host,
    clock: systemClock,
    binary: (deployment) => engines.of(termsOf(terms, deployment)),
    proxyProgram: () => findProxy(world),
    memoryDir: home.agent,
    nodeDir: (deployment, node) => home.node(deployment, node),
    admin: (deployment) => termsOf(terms, deployment).admin,
    ownedDirectives: (deployment) => terms.get(deployment)?.owned ?? [],
  })
  const shown: Shown = { now: membership }
  const faults = new LocalFaults({
    clock: systemClock,
    home: home.path,
    directory: join(home.agent, 'faults'),
    nodeDir: (deployment, node) => home.node(deployment, node),
    enter: (envelope) => host.enter(envelope),
    binary: (deployment) => engines.of(termsOf(terms, deployment)),
    secrets: (deployment) => {
      const { username, password } = termsOf(terms, deployment).admin
      return { [username]: password }
    },
    member: (deployment) => memberAmong(termsOf(terms, deployment), where, shown.now),
    log,
  })
  const facts = new FactsReader({ clock: systemClock, directory: home.path })
  const asker = new AliveAsker(() => shown.now)
  const watch = new SelfFence({
    host,
    terms,
    ask: (peer) => asker.ask(peer),
    now: suspendClock,
    boot: systemClock.boot,
    log,
  })
  const app = buildAgent({
    host,
    faults,
    clock: systemClock,
    boot: systemClock.boot,
    deployments: where.deployments,
    credentials: membership,
    terms,
    watch,
    facts: () => facts.read(),
    log,
  })
  await listen(app, where)
  void faults.run()
  const over = new AbortController()
  const etcd = memberOf(options, () => shown.now)
  void etcd?.run()
  const renewing = keepRenewed(options, over.signal, (fresh) => {
    shown.now = fresh
    const server = app.server as unknown as { setSecureContext(terms: object): void }
    server.setSecureContext(secureTerms(fresh))
    etcd?.renew()
  })
  return {
    close: async () => {
      over.abort()
      faults.close()
      etcd?.close()
      await renewing
      watch.close()
      asker.close()
      await app.close()
      host.close()
    },
  }
}

function memberOf(
  { home, membership, etcd, log, progress }: AgentOptions,
  held: () => Credentials,
): EtcdMember | undefined {
  if (etcd === undefined) return undefined
  return new EtcdMember({
    ...etcd,
    directory: join(home.agent, 'etcd'),
    name: membership.host,
    credentials: held,
    program: () => findEtcd(engineWorld(home.path, progress)),
    clock: systemClock,
    log,
  })
}

function termsOf(terms: ReadonlyMap<string, AgentTerms>, deployment: string): AgentTerms {
  const known = terms.get(deployment)
  if (known !== undefined) return known
  throw new HoldfastError('NOT_FOUND', `no controller has told this agent of ${deployment} yet`, { missing: 'terms' })
}

/** This host among those of a deployment, for faults that are between them. */
function memberAmong({ hosts = [] }: AgentTerms, { address, port }: Where, { doors }: Membership): HostMember {
  const others = hosts.filter((host) => host.address !== address)
  return {
    agent: { pid: process.pid, startTime: readProcess(process.pid)?.startTime ?? 0, address, port },
    peers: others.map((host) => host.address),
    controllers: doors.map((door) => new URL(door).hostname.replace(/^\[|\]$/g, '')),
    agentPorts: [port, ...others.map((host) => host.port)],
  }
}

/** What this agent shows to others: another one after each renewal. */
interface Shown {
  now: Membership & Credentials
}

/** Programs that were found, by what was wished for. One that was not found is looked for again. */
class Engines {
  readonly #find: (wanted: WantedEngine) => Promise<EngineBinary>
  readonly #found = new Map<string, Promise<EngineBinary>>()

  constructor(find: (wanted: WantedEngine) => Promise<EngineBinary>) {
    this.#find = find
  }

  of({ engine }: AgentTerms): Promise<EngineBinary> {
    const key = JSON.stringify(engine)
    const found =
      this.#found.get(key) ??
      this.#find(engine as unknown as WantedEngine).catch((error: unknown) => {
        this.#found.delete(key)
        throw error
      })
    this.#found.set(key, found)
    return found
  }
}

async function listen(app: ReturnType<typeof buildAgent>, { address, port }: Where): Promise<void> {
  try {
    await app.listen({ host: address, port })
  } catch (error) {
    const flags = { portFlag: '--port', addressFlag: '--address' }
    throw refusedListening({ address, port, what: 'the agent', ...flags }, error)
  }
}

/**
 * Tells the home where this machine is, and hears where its controllers are: as soon as one answers, and then every day, so
 * that a controller that came later is known long before the one by which this machine joined is gone. Its certificate is
 * made anew on the way once a third of its time is left. An agent without a controller goes on: it is asked again.
 */
async function keepRenewed(
  { home, membership, where, log, progress }: AgentOptions,
  over: AbortSignal,
  onRenewed: (fresh: Membership) => void,
): Promise<void> {
  let held = membership
  while (!over.aborted) {
    let restMs = tellEveryMs
    try {
      held = await renewMembership(held, where, systemClock.wall())
      writeMembership(home, held)
      onRenewed(held)
    } catch (error) {
      log.warn({ err: error }, 'no controller has renewed the certificate')
      if (error instanceof HoldfastError && error.code === 'AUTH_FORBIDDEN') progress(error.message)
      restMs = againMs
    }
    await systemClock.sleep(restMs, over)
  }
}
