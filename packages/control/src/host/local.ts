import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type {
  Action,
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  Envelope,
  FaultEnvelope,
  Job,
  NodePlace,
  SentinelPlace,
} from '@holdfast/core'
import {
  admit,
  followsItself,
  HoldfastError,
  nodePaths,
  parseDisk,
  parseInfo,
  parseReplication,
  proxyId,
  readConfigText,
} from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import type { ProxyProgram } from '../binary/proxy.ts'
import type { Clock } from '../clock.ts'
import { EngineLink } from '../engine/link.ts'
import { Access, closeSessions, wordAfter } from './access.ts'
import type { NodeMemory } from './agent-memory.ts'
import { AgentMemory, blankNode } from './agent-memory.ts'
import { fetchFile } from './backup/fetch.ts'
import type { Watch } from './backup/hash-file.ts'
import { Jobs } from './backup/jobs.ts'
import { partOf } from './backup/paths.ts'
import { clearRestore, hasRestoreFiles, placedRestore, placeFetched } from './backup/place.ts'
import { sealBackup } from './backup/seal.ts'
import { tidy } from './backup/shelf.ts'
import { takeSnapshot } from './backup/snapshot.ts'
import { verifyBackup } from './backup/verify.ts'
import { changeEngine } from './change-engine.ts'
import { readDataFiles, readOwnClaim } from './data-files.ts'
import { removeNode, startEngine, tailOfLog } from './engine-process.ts'
import type { EngineExit, HostPort } from './host.ts'
import { LocalProxy } from './local-proxy.ts'
import { LocalSentinel } from './local-sentinel.ts'
import { memoryLeft } from './memory-left.ts'
import type { EngineSaid } from './node-record.ts'
import { recordOf } from './node-record.ts'
import { Supervised } from './supervised.ts'

/** How often the agent looks after its own engines: their records are what is left when one dies. */
const recordEveryMs = 250
/** How often it reads back the directives that Holdfast owns. */
const configEveryMs = 2000
/** How often its records go to disk while nobody changes role: what a controller that dies leaves to the next. */
const saveEveryMs = 2000
/** Distinguishes what this process writes from what one before it has left. */
const writer = randomBytes(4).toString('hex')

export interface LocalHostOptions {
  readonly id: string
  readonly clock: Clock
  readonly binary: (deployment: string) => Promise<EngineBinary>
  readonly proxyProgram: () => Promise<ProxyProgram>
  /** Where the agent keeps what it must not forget. */
  readonly memoryDir: string
  readonly nodeDir: (deployment: string, node: string) => string
  /** The agent's own user on the engines of a deployment. */
  readonly admin: (deployment: string) => { readonly username: string; readonly password: string }
  /** The names of the directives to read back. */
  readonly ownedDirectives: (deployment: string) => readonly string[]
}

/** The agent of the machine that the controller runs on: a function call away, behind the port of a remote one. */
export class LocalHost implements HostPort {
  readonly id: string
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #engines = new Map<string, LocalEngine>()
  readonly #sentinels = new Map<string, LocalSentinel>()
  readonly #proxies = new Map<string, LocalProxy>()
  readonly #savedAt = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #exitListener: (exit: EngineExit) => void = () => {}
  #jobListener: (deployment: string) => void = () => {}

  constructor(options: LocalHostOptions) {
    this.id = options.id
    this.#options = options
    this.#memory = new AgentMemory(options.memoryDir)
    this.#timer = setInterval(() => void this.#recordAll(), recordEveryMs)
    this.#timer.unref()
  }

  now(): number {
    return this.#options.clock.now()
  }

  onExit(listener: (exit: EngineExit) => void): void {
    this.#exitListener = listener
  }

  onJobEnd(listener: (deployment: string) => void): void {
    this.#jobListener = listener
  }

  look(deployment: string, nodes: readonly NodePlace[]): Promise<ReadonlyMap<string, AgentNodeSeen>> {
    return Promise.resolve(new Map(nodes.map((node) => [node.id, this.#engineOf(deployment, node).look()])))
  }

  lookAtSentinels(
    deployment: string,
    sentinels: readonly SentinelPlace[],
  ): Promise<ReadonlyMap<string, AgentSentinelSeen>> {
    return Promise.resolve(new Map(sentinels.map((place) => [place.id, this.#sentinelOf(deployment, place).look()])))
  }

  lookAtProxy(deployment: string, wanted: boolean): Promise<AgentProxySeen | null> {
    const isThere = wanted || existsSync(this.#options.nodeDir(deployment, proxyId))
    return Promise.resolve(isThere ? this.#proxyOf(deployment).look() : null)
  }

  async act(envelope: Envelope): Promise<void> {
    const { deployment, action } = envelope
    const gate = this.enter(envelope)
    const key = `${deployment}/${action.node}`
    const engine = this.#engines.get(key) ?? this.#sentinels.get(key) ?? this.#proxies.get(key)
    if (engine === undefined) {
      throw new HoldfastError('NOT_FOUND', `${action.node} of ${deployment} is not placed on ${this.id}`)
    }
    await engine.act(action, gate, () => this.#refuseOutdated(envelope))
  }

  /**
   * Obeys the epoch of an order from now on, or refuses the order. Answers the gate that is asked again before every
   * command of it: a process may be paused between any two of them.
   */
  enter(envelope: Envelope | FaultEnvelope): () => void {
    const { deployment, controllerEpoch } = envelope
    const gate = (): void => admit(envelope, this.#memory.epoch(deployment), this.now())
    gate()
    this.#memory.obey(deployment, controllerEpoch)
    return gate
  }

  /** Lets go of the engines: they run on. */
  close(): void {
    clearInterval(this.#timer)
    for (const engine of this.#engines.values()) engine.close()
    for (const sentinel of this.#sentinels.values()) sentinel.close()
  }

  /** What is under way for long outlives its order's time, but not its controller's epoch. */
  #refuseOutdated(envelope: Envelope): void {
    admit({ ...envelope, notAfter: Number.POSITIVE_INFINITY }, this.#memory.epoch(envelope.deployment), this.now())
  }

  #engineOf(deployment: string, place: NodePlace): LocalEngine {
    const key = `${deployment}/${place.id}`
    const known = this.#engines.get(key)
    if (known !== undefined) return known
    const engine = new LocalEngine(deployment, place, this.#options, this.#memory, {
      exit: (pid) => this.#exitListener({ deployment, node: place.id, pid }),
      jobEnd: () => this.#jobListener(deployment),
    })
    this.#engines.set(key, engine)
    return engine
  }

  #sentinelOf(deployment: string, place: SentinelPlace): LocalSentinel {
    const key = `${deployment}/${place.id}`
    const known = this.#sentinels.get(key)
    if (known !== undefined) return known
    const sentinel = new LocalSentinel(deployment, place, this.#options, this.#memory, (pid) =>
      this.#exitListener({ deployment, node: place.id, pid }),
    )
    this.#sentinels.set(key, sentinel)
    return sentinel
  }

  #proxyOf(deployment: string): LocalProxy {
    const key = `${deployment}/${proxyId}`
    const known = this.#proxies.get(key)
    if (known !== undefined) return known
    const proxy = new LocalProxy(deployment, this.#options, this.#memory, (pid) =>
      this.#exitListener({ deployment, node: proxyId, pid }),
    )
    this.#proxies.set(key, proxy)
    return proxy
  }

  async #recordAll(): Promise<void> {
    void Promise.all([...this.#proxies.values()].map((proxy) => proxy.record()))
    await Promise.all([...this.#sentinels.values()].map((sentinel) => sentinel.record()))
    const engines = [...this.#engines.values()]
    await Promise.all(engines.map((engine) => engine.record()))
    for (const deployment of new Set(engines.map((engine) => engine.deployment))) {
      const changed = engines.filter((engine) => engine.deployment === deployment && engine.takeRoleChange())
      if (changed.length === 0 && this.now() - (this.#savedAt.get(deployment) ?? 0) < saveEveryMs) continue
      this.#memory.save(deployment, changed.length > 0)
      this.#savedAt.set(deployment, this.now())
    }
  }
}

/** One engine of this machine: its process, its directory, and the agent's own connection to it. */
class LocalEngine {
  readonly deployment: string
  readonly #place: NodePlace
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #link: EngineLink
  readonly #jobs: Jobs
  #config: Record<string, string> | null = null
  #configAt = Number.NEGATIVE_INFINITY
  #usersDigestNow: string | null = null
  readonly #access: Access
  #written: { readonly mtimeMs: number; readonly text: Record<string, string> } | null = null
  #freeMemoryBytes: number | null = null
  readonly #process: Supervised
  #roleChanged = false

  constructor(
    deployment: string,
    place: NodePlace,
    options: LocalHostOptions,
    memory: AgentMemory,
    listeners: { readonly exit: (pid: number) => void; readonly jobEnd: () => void },
  ) {
    this.deployment = deployment
    this.#place = place
    this.#options = options
    this.#memory = memory
    this.#access = new Access(this.#nodeDir)
    this.#process = new Supervised({
      deployment,
      id: place.id,
      dataDir: this.#dataDir,
      clock: options.clock,
      memory,
      onBegin: (anew) => this.#beginAnew(anew),
      onReread: () => void (this.#written = null),
      onExit: listeners.exit,
      lastWords: () => tailOfLog(this.#nodeDir),
    })
    this.#jobs = new Jobs({
      memory: {
        read: () => this.#node().jobs ?? [],
        write: (jobs) => {
          this.#node().jobs = [...jobs]
          this.#memory.save(this.deployment, true)
        },
      },
      run: (job, watch) => this.#work(job, watch),
      onEnd: listeners.jobEnd,
    })
    const { address, port } = place
    const { username } = options.admin(deployment)
    const password = (): string => options.admin(deployment).password
    this.#link = new EngineLink({ address, port, username, password, name: 'holdfast-agent' }, () =>
      this.#process.noticeClosed(),
    )
  }

  look(): AgentNodeSeen {
    const memory = this.#node()
    const { claimsSlots: _, ...files } = readDataFiles(this.#dataDir)
    return {
      process: this.#process.look(),
      files,
      record: memory.record,
      starts: memory.starts,
      fencedAt: memory.fencedAt,
      failoverAsked: memory.failoverAsked,
      config: this.#config,
      usersMatch:
        this.#usersDigestNow === null || memory.usersDigest === null
          ? null
          : this.#usersDigestNow === memory.usersDigest,
      written: this.#readWritten(),
      given: memory.given ?? null,
      saveAskedAt: memory.saveAskedAt ?? null,
      freeMemoryBytes: this.#freeMemoryBytes,
      jobs: this.#jobs.seen(),
      access: this.#access.seen(memory, wordAfter(nodePaths(this.#nodeDir).config, 'masterauth')),
      restore: { placed: placedRestore(this.#nodeDir), hasFiles: hasRestoreFiles(this.#nodeDir) },
    }
  }

  /** `gate` refuses what comes too late, `stillOurs` only what another controller has taken over. */
  async act(action: Action, gate: () => void, stillOurs: () => void): Promise<void> {
    switch (action.kind) {
      case 'start':
        return this.#start(action, gate)
      case 'stop':
        return this.#stop(action.save, gate)
      case 'fence':
        // Of frozen engines a shard has one killed in ten minutes; one that somebody else has started is not among them.
        return action.stray === true ? this.#process.kill(action) : this.#process.fence(action.pid, action.startTime)
      case 'purge':
        removeNode(this.#nodeDir)
        this.#link.close()
        Object.assign(this.#node(), blankNode())
        return this.#memory.save(this.deployment, true)
      case 'work':
        return this.#jobs.begin(action.job, stillOurs)
      case 'end-work':
        return this.#jobs.end(action.job)
      case 'place':
        return this.#placeFetched(action)
      case 'clear-restore':
        return clearRestore(this.#nodeDir, this.#dataDir, action.dropSnapshot)
      case 'failover':
        this.#node().failoverAsked = { at: this.#options.clock.now(), mode: action.mode }
        this.#memory.save(this.deployment, false)
        return changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
      case 'load-users':
        await changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
        this.#node().usersDigest = null
        return this.#reread()
      case 'sign-in':
        // Written down first: a link that is renewed after that was made with it, whatever becomes of us.
        this.#node().signInGivenAt = this.#options.clock.now()
        this.#memory.save(this.deployment, true)
        await changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
        return this.#reread()
      case 'renew-link':
        await changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
        this.#node().linkRenewedAt = this.#options.clock.now()
        return this.#memory.save(this.deployment, true)
      case 'close-sessions':
        return this.#closeSessions(action, gate)
      case 'save':
      case 'begin-log':
        this.#node().saveAskedAt = this.#options.clock.now()
        return this.#changeConfig(action, gate)
      case 'configure':
      case 'end-log':
        return this.#changeConfig(action, gate)
      case 'ask-sentinel':
      case 'watch':
      case 'set-sentinel':
      case 'unwatch':
      case 'reset-sentinel':
        throw new HoldfastError('USAGE', `${this.#place.id} is no Sentinel`)
      default:
        return changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
    }
  }

  /** What was read of its users is old: the next look at them comes at once. */
  #reread(): void {
    this.#access.forget()
    this.#usersDigestNow = null
    this.#configAt = Number.NEGATIVE_INFINITY
  }

  async #closeSessions(action: Extract<Action, { kind: 'close-sessions' }>, gate: () => void): Promise<void> {
    gate()
    // Our own session is as old as the others.
    this.#link.close()
    const memory = this.#node()
    memory.closing = await closeSessions(this.#link, action, memory.closing, () => this.#options.clock.now())
    this.#memory.save(this.deployment, false)
  }

  /** What was read back is old as soon as something is set, also where only a part of it was. */
  async #changeConfig(action: Parameters<typeof changeEngine>[0], gate: () => void): Promise<void> {
    try {
      await changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
    } finally {
      this.#config = null
      this.#configAt = Number.NEGATIVE_INFINITY
      this.#written = null
    }
  }

  /** Notes what the engine is now, so that it is known when it is no more. */
  async record(): Promise<void> {
    if (this.#node().process === null) return
    try {
      const [text, disk] = await this.#link.pipeline([
        ['INFO', 'replication'],
        ['INFO', 'persistence'],
      ])
      // Somebody else may have started it again, as supervisors do: it answers, and its known process is gone.
      // An answer may still be read after its engine has died: it is of before then, and not of now.
      if (this.#process.lookAnew().state !== 'running') return
      const at = this.#options.clock.now()
      const facts = { ...parseReplication(parseInfo(String(text))), ...parseDisk(parseInfo(String(disk))) }
      // What the one before it had is all that is known of what must not be lost.
      if (!followsItself(this.#place, facts.link)) this.#keep(facts, at)
      if (at - this.#configAt >= configEveryMs) await this.#readBack(at)
    } catch {
      // It does not answer: the record keeps saying what it was when it last did.
    }
  }

  takeRoleChange(): boolean {
    const changed = this.#roleChanged
    this.#roleChanged = false
    return changed
  }

  close(): void {
    this.#jobs.close()
    this.#link.end()
  }

  get #nodeDir(): string {
    return this.#options.nodeDir(this.deployment, this.#place.id)
  }

  get #dataDir(): string {
    return nodePaths(this.#nodeDir).data
  }

  #node(): NodeMemory {
    return this.#process.memory
  }

  /** It is another process, which has just read its files. */
  #beginAnew(memory: NodeMemory): void {
    this.#written = null
    memory.given = this.#readWritten()
    memory.saveAskedAt = null
    this.#config = null
    this.#configAt = Number.NEGATIVE_INFINITY
    this.#usersDigestNow = null
    this.#access.forget()
  }

  #keep(facts: EngineSaid, at: number): void {
    const memory = this.#node()
    const before = memory.record
    const record = recordOf(before, { ...facts, ...readOwnClaim(this.#dataDir) }, at)
    if (before?.role !== record.role || before.replid !== record.replid) this.#roleChanged = true
    this.#process.noteAnswer()
    memory.record = record
  }

  async #readBack(at: number): Promise<void> {
    const names = this.#options.ownedDirectives(this.deployment)
    // Nobody has said yet what to read: nothing read is not the same as nothing different.
    if (names.length === 0) return
    const questions = [...names, 'masterauth'].map((name) => ['CONFIG', 'GET', name])
    const replies = await this.#link.pipeline([...questions, ['INFO', 'server'], ['ACL', 'LIST']])
    const [users, server] = [replies.pop(), replies.pop()]
    const [, signsInWith] = pairOf(replies.pop())
    this.#access.note(users, signsInWith, server)
    this.#config = Object.fromEntries(replies.flatMap((reply) => [pairOf(reply)]).filter(([name]) => name !== ''))
    this.#usersDigestNow = createHash('sha256').update(JSON.stringify(users)).digest('hex')
    this.#node().usersDigest ??= this.#usersDigestNow
    this.#configAt = at
    const { process } = this.#node()
    this.#freeMemoryBytes = process === null ? null : memoryLeft(process.pid)
  }

  /** Its config file, which this agent writes, and where Sentinels are, the engine itself. */
  #readWritten(): Record<string, string> | null {
    const { config } = nodePaths(this.#nodeDir)
    try {
      const { mtimeMs } = statSync(config)
      if (this.#written?.mtimeMs !== mtimeMs) {
        this.#written = { mtimeMs, text: readConfigText(readFileSync(config, 'utf8')) }
      }
    } catch {
      return null
    }
    return this.#written.text
  }

  #take(directives: Readonly<Record<string, string>>): void {
    const memory = this.#node()
    if (memory.given == null || Object.keys(directives).length === 0) return
    memory.given = { ...memory.given, ...directives }
    this.#memory.save(this.deployment, true)
  }

  async #start(action: Extract<Action, { kind: 'start' }>, gate: () => void): Promise<void> {
    if (!this.#process.mayStart()) return
    const binary = await this.#options.binary(this.deployment)
    gate()
    this.#process.starting()
    try {
      const child = await startEngine({ binary, place: this.#place, nodeDir: this.#nodeDir, action, gate })
      this.#process.started(child.pid)
      child.onExit(() => this.#noticeExit(child.pid))
    } catch (error) {
      this.#process.noteFailure(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  async #stop(save: boolean, gate: () => void): Promise<void> {
    if (this.#process.stopping || this.#process.look().state !== 'running') return
    // One that does not listen yet would lose the word, and nobody would say it again.
    await this.#link.command(['PING']).catch((error: unknown) => {
      if (error instanceof HoldfastError && error.code === 'UNREACHABLE_ENGINE') throw error
    })
    gate()
    this.#process.stopping = true
    // The engine ends without an answer; what counts is that its process is gone, which the next look shows.
    this.#link.command(['SHUTDOWN', save ? 'SAVE' : 'NOSAVE'], 30_000).catch(() => {
      if (this.#link.isOpen) this.#process.stopping = false
    })
  }

  #noticeExit(pid: number): void {
    this.#link.close()
    this.#process.noticeExit(pid, this.#node().record?.at ?? Number.NEGATIVE_INFINITY)
  }

  async #work(job: Job, watch: Watch): Promise<string> {
    const { clock } = this.#options
    const binary = await this.#options.binary(this.deployment)
    const scratch = join(this.#options.memoryDir, 'trial', this.deployment)
    switch (job.kind) {
      case 'snapshot': {
        const { flavor, version } = binary
        const place = {
          node: this.#place.id,
          dataDir: this.#dataDir,
          engine: { flavor, version },
          command: this.#guarded(watch.guard),
          lastWords: () => tailOfLog(this.#nodeDir),
          wallNow: () => clock.wall(),
          writer,
        }
        return takeSnapshot(job, place, watch)
      }
      case 'seal':
        return sealBackup(job, clock.wall())
      case 'verify': {
        const { verdict, because } = await verifyBackup(job, { binary, scratch }, clock, watch)
        return `${verdict}: ${because}`
      }
      case 'tidy':
        return tidy(job.directory, this.deployment, job.keep)
      case 'discard':
        rmSync(partOf(job.directory, job.backup), { recursive: true, force: true })
        return 'removed'
      case 'fetch':
        return fetchFile(job, { nodeDir: this.#nodeDir, binary, scratch, writer }, watch)
      default:
        return job satisfies never
    }
  }

  /** From now on the node is as new: what was known of it was of the data that it had. */
  #placeFetched({ restore, bytes }: Extract<Action, { kind: 'place' }>): void {
    placeFetched({
      node: this.#place.id,
      nodeDir: this.#nodeDir,
      dataDir: this.#dataDir,
      restore,
      bytes,
      forget: () => {
        const memory = this.#node()
        this.#link.close()
        Object.assign(memory, blankNode(), { jobs: memory.jobs ?? [] })
        this.#memory.save(this.deployment, true)
      },
    })
  }

  #guarded(gate: () => void): (args: readonly string[], withinMs?: number) => Promise<unknown> {
    // A refusal is a rejection, never an exception: some commands come from timers, long after their action.
    return async (args, withinMs) => {
      gate()
      return this.#link.command(args, withinMs)
    }
  }

  #surroundings(gate: () => void) {
    const { admin } = this.#options
    return {
      nodeDir: this.#nodeDir,
      admin: admin(this.deployment),
      taken: (directives: Readonly<Record<string, string>>) => this.#take(directives),
      gate,
    }
  }
}

/** `CONFIG GET name` answers a list of one pair, or nothing where the engine has no such directive. */
function pairOf(reply: unknown): [string, string] {
  const [name, value] = Array.isArray(reply) ? reply : []
  return [String(name ?? ''), String(value ?? '')]
}
