import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type {
  Action,
  AgentNodeSeen,
  Envelope,
  FaultEnvelope,
  Job,
  NodePlace,
  NodeRecord,
  ProcessSeen,
} from '@holdfast/core'
import { admit, HoldfastError, nodePaths, parseDisk, parseInfo, parseReplication, readConfigText } from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import type { Clock } from '../clock.ts'
import { EngineLink } from '../engine/link.ts'
import { processesIn, readProcess, signalExactly } from '../proc.ts'
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
import { memoryLeft } from './memory-left.ts'

/** How often the agent looks after its own engines: their records are what is left when one dies. */
const recordEveryMs = 250
/** How often it reads back the directives that Holdfast owns. */
const configEveryMs = 2000
/** How often its records go to disk while nobody changes role: what a controller that dies leaves to the next. */
const saveEveryMs = 2000
/** Distinguishes what this process writes from what one before it has left. */
const writer = randomBytes(4).toString('hex')
/** An engine that ran this long before it ended did start; what ended it was something else. */
const startedAfterMs = 3000

export interface LocalHostOptions {
  readonly id: string
  readonly clock: Clock
  readonly binary: (deployment: string) => Promise<EngineBinary>
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

  async act(envelope: Envelope): Promise<void> {
    const { deployment, action } = envelope
    const gate = this.enter(envelope)
    const engine = this.#engines.get(`${deployment}/${action.node}`)
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

  async #recordAll(): Promise<void> {
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
  readonly #onExit: (pid: number) => void
  readonly #jobs: Jobs
  #config: Record<string, string> | null = null
  #configAt = Number.NEGATIVE_INFINITY
  #usersDigestNow: string | null = null
  #written: Record<string, string> | null = null
  #freeMemoryBytes: number | null = null
  #cpu: { pid: number; ms: number; roseAt: number } | null = null
  #diedAt: number | null = null
  #startedAt: number | null = null
  #stopping = false
  #roleChanged = false
  #adoptedInto: NodeMemory | null = null

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
    this.#onExit = listeners.exit
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
    const { username, password } = options.admin(deployment)
    this.#link = new EngineLink({ address, port, username, password, name: 'holdfast-agent' }, () =>
      this.#noticeClosed(),
    )
  }

  look(): AgentNodeSeen {
    const memory = this.#node()
    const { claimsSlots: _, ...files } = readDataFiles(this.#dataDir)
    return {
      process: this.#lookAtProcess(),
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
        return this.#fence(action.pid, action.startTime)
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
        return changeEngine(action, this.#guarded(gate), this.#surroundings())
      case 'load-users':
        await changeEngine(action, this.#guarded(gate), this.#surroundings())
        this.#node().usersDigest = null
        return
      case 'save':
      case 'begin-log':
        this.#node().saveAskedAt = this.#options.clock.now()
        return this.#changeConfig(action, gate)
      case 'configure':
      case 'end-log':
        return this.#changeConfig(action, gate)
      default:
        return changeEngine(action, this.#guarded(gate), this.#surroundings())
    }
  }

  /** What was read back is old as soon as something is set, also where only a part of it was. */
  async #changeConfig(action: Parameters<typeof changeEngine>[0], gate: () => void): Promise<void> {
    try {
      await changeEngine(action, this.#guarded(gate), this.#surroundings())
    } finally {
      this.#config = null
      this.#configAt = Number.NEGATIVE_INFINITY
      this.#written = null
    }
  }

  /** Notes what the engine is now, so that it is known when it is no more. */
  async record(): Promise<void> {
    if (this.#lookAtProcess().state === 'absent') return
    try {
      const [text, disk] = await this.#link.pipeline([
        ['INFO', 'replication'],
        ['INFO', 'persistence'],
      ])
      // Somebody else may have started it again, as supervisors do: it answers, and its known process is gone.
      if (this.#lookAtProcess().state === 'dead') this.#adopt(this.#node())
      // An answer may still be read after its engine has died: it is of before then, and not of now.
      if (this.#lookAtProcess().state !== 'running') return
      const at = this.#options.clock.now()
      this.#keep({ ...parseReplication(parseInfo(String(text))), ...parseDisk(parseInfo(String(disk))) }, at)
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
    this.#link.close()
  }

  get #nodeDir(): string {
    return this.#options.nodeDir(this.deployment, this.#place.id)
  }

  get #dataDir(): string {
    return nodePaths(this.#nodeDir).data
  }

  #node(): NodeMemory {
    const memory = this.#memory.node(this.deployment, this.#place.id)
    // What was read anew from disk may not know the process that was adopted before.
    if (this.#adoptedInto !== memory) {
      this.#adoptedInto = memory
      this.#written = null
      this.#adopt(memory)
    }
    return memory
  }

  /** An engine that was started and not written down before a crash is found by its working directory. */
  #adopt(memory: NodeMemory): void {
    const known = memory.process === null ? undefined : readProcess(memory.process.pid)
    if (known !== undefined && known.startTime === memory.process?.startTime) return
    const [found] = processesIn(this.#dataDir)
    if (found !== undefined) this.#begin(memory, { pid: found.pid, startTime: found.startTime })
  }

  /** From now on the node is this process, which has just read its files, and knows nothing of what was asked before. */
  #begin(memory: NodeMemory, process: NonNullable<NodeMemory['process']>): void {
    memory.process = process
    memory.usersDigest = null
    memory.failoverAsked = null
    this.#written = null
    memory.given = this.#readWritten()
    memory.saveAskedAt = null
    this.#config = null
    this.#configAt = Number.NEGATIVE_INFINITY
    this.#usersDigestNow = null
  }

  #keep(facts: ReturnType<typeof parseReplication> & { readonly logs: boolean }, at: number): void {
    const memory = this.#node()
    const { claim, claimsSlots } = readOwnClaim(this.#dataDir)
    const before = memory.record
    // What a link was before a wipe says nothing of the engine that came after it.
    const sameEngine = before?.engineId === claim?.engineId ? before : null
    const isLinked = facts.link?.state === 'up'
    const record: NodeRecord = {
      engineId: claim?.engineId ?? before?.engineId ?? '',
      role: facts.role,
      ownedSlots: claimsSlots || before?.ownedSlots === true,
      configEpoch: claim?.configEpoch ?? before?.configEpoch ?? 0,
      replid: facts.replid,
      offset: facts.offset,
      link: facts.link?.state ?? null,
      logs: facts.logs,
      linkUpAt: isLinked ? at : facts.role === 'primary' ? null : (sameEngine?.linkUpAt ?? null),
      linkDownSince: isLinked || facts.role === 'primary' ? null : (sameEngine?.linkDownSince ?? at),
      at,
    }
    if (before?.role !== record.role || before.replid !== record.replid) this.#roleChanged = true
    if (memory.starts.failures > 0) memory.starts = { failures: 0, lastAt: memory.starts.lastAt, lastError: null }
    memory.record = record
  }

  async #readBack(at: number): Promise<void> {
    const names = this.#options.ownedDirectives(this.deployment)
    // Nobody has said yet what to read: nothing read is not the same as nothing different.
    if (names.length === 0) return
    const replies = await this.#link.pipeline([...names.map((name) => ['CONFIG', 'GET', name]), ['ACL', 'LIST']])
    const users = replies.pop()
    this.#config = Object.fromEntries(replies.flatMap((reply) => [pairOf(reply)]).filter(([name]) => name !== ''))
    this.#usersDigestNow = createHash('sha256').update(JSON.stringify(users)).digest('hex')
    this.#node().usersDigest ??= this.#usersDigestNow
    this.#configAt = at
    const { process } = this.#node()
    this.#freeMemoryBytes = process === null ? null : memoryLeft(process.pid)
  }

  /** Its config file, which only this agent writes. */
  #readWritten(): Record<string, string> | null {
    try {
      this.#written ??= readConfigText(readFileSync(nodePaths(this.#nodeDir).config, 'utf8'))
    } catch {
      return null
    }
    return this.#written
  }

  #take(directives: Readonly<Record<string, string>>): void {
    const memory = this.#node()
    if (memory.given == null || Object.keys(directives).length === 0) return
    memory.given = { ...memory.given, ...directives }
    this.#memory.save(this.deployment, true)
  }

  #lookAtProcess(): ProcessSeen {
    const memory = this.#node()
    if (memory.process === null) return { state: 'absent' }
    const { pid, startTime } = memory.process
    const facts = readProcess(pid)
    const now = this.#options.clock.now()
    const isIt = facts !== undefined && facts.startTime === startTime
    const isOver = !isIt || facts.state === 'Z' || facts.state === 'X'
    if (isOver || facts.killPending) {
      if (isOver && this.#stopping) {
        memory.process = null
        this.#stopping = false
        return { state: 'absent' }
      }
      this.#diedAt ??= now
      return { state: 'dead', since: this.#diedAt, pid, lingering: !isOver }
    }
    this.#diedAt = null
    if (this.#cpu?.pid !== pid || facts.cpuMs > this.#cpu.ms) this.#cpu = { pid, ms: facts.cpuMs, roseAt: now }
    return {
      state: 'running',
      pid,
      startTime,
      stopped: facts.state === 'T' || facts.state === 't',
      cpuMs: facts.cpuMs,
      cpuRoseAt: this.#cpu.roseAt,
    }
  }

  async #start(action: Extract<Action, { kind: 'start' }>, gate: () => void): Promise<void> {
    const before = this.#lookAtProcess()
    if (before.state === 'running' || (before.state === 'dead' && before.lingering)) return
    const memory = this.#node()
    const binary = await this.#options.binary(this.deployment)
    gate()
    this.#stopping = false
    this.#startedAt = this.#options.clock.now()
    try {
      const child = await startEngine({ binary, place: this.#place, nodeDir: this.#nodeDir, action, gate })
      this.#begin(memory, { pid: child.pid, startTime: readProcess(child.pid)?.startTime ?? 0 })
      child.onExit(() => this.#noticeExit(child.pid))
      this.#memory.save(this.deployment, true)
    } catch (error) {
      this.#noteFailure(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  async #stop(save: boolean, gate: () => void): Promise<void> {
    if (this.#stopping || this.#lookAtProcess().state !== 'running') return
    // One that does not listen yet would lose the word, and nobody would say it again.
    await this.#link.command(['PING']).catch((error: unknown) => {
      if (error instanceof HoldfastError && error.code === 'UNREACHABLE_ENGINE') throw error
    })
    gate()
    this.#stopping = true
    // The engine ends without an answer; what counts is that its process is gone, which the next look shows.
    this.#link.command(['SHUTDOWN', save ? 'SAVE' : 'NOSAVE'], 30_000).catch(() => {
      if (this.#link.isOpen) this.#stopping = false
    })
  }

  #fence(pid: number, startTime: number): void {
    this.#node().fencedAt = this.#options.clock.now()
    this.#memory.save(this.deployment, true)
    signalExactly({ pid, startTime }, 'SIGKILL')
  }

  #noticeExit(pid: number): void {
    this.#link.close()
    const ranMs = this.#options.clock.now() - (this.#startedAt ?? Number.NEGATIVE_INFINITY)
    const answered = (this.#node().record?.at ?? Number.NEGATIVE_INFINITY) >= (this.#startedAt ?? 0)
    if (ranMs < startedAfterMs && !answered && !this.#stopping) this.#noteFailure(tailOfLog(this.#nodeDir))
    this.#onExit(pid)
  }

  /** An adopted engine is not our child; its closed connection is the first sign of its end. */
  #noticeClosed(): void {
    const process = this.#node().process
    if (process !== null && this.#lookAtProcess().state === 'dead') this.#onExit(process.pid)
  }

  #noteFailure(lastError: string): void {
    const memory = this.#node()
    memory.starts = { failures: memory.starts.failures + 1, lastAt: this.#options.clock.now(), lastError }
    this.#memory.save(this.deployment, false)
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
    return (args, withinMs) => {
      gate()
      return this.#link.command(args, withinMs)
    }
  }

  #surroundings() {
    const { admin } = this.#options
    return {
      nodeDir: this.#nodeDir,
      admin: admin(this.deployment),
      taken: (directives: Readonly<Record<string, string>>) => this.#take(directives),
    }
  }
}

/** `CONFIG GET name` answers a list of one pair, or nothing where the engine has no such directive. */
function pairOf(reply: unknown): [string, string] {
  const [name, value] = Array.isArray(reply) ? reply : []
  return [String(name ?? ''), String(value ?? '')]
}
