import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Action, AgentNodeSeen, Fence, NodeJob, NodePlace } from '@holdfast/core'
import {
  followsItself,
  HoldfastError,
  logsInParts,
  nodePaths,
  parseDisk,
  parseInfo,
  parseReplication,
  readConfigText,
} from '@holdfast/core'
import { boundLog } from '../bounded-log.ts'
import { EngineLink } from '../engine/link.ts'
import { Access, closeSessions, wordAfter } from './access.ts'
import type { AgentMemory, NodeMemory } from './agent-memory.ts'
import { blankNode } from './agent-memory.ts'
import type { Watch } from './backup/hash-file.ts'
import type { JobResult } from './backup/jobs.ts'
import { Jobs } from './backup/jobs.ts'
import { clearRestore, placeFetched, RestoreFiles } from './backup/place.ts'
import { receivePiece } from './backup/receive.ts'
import { work } from './backup/work.ts'
import type { Admin } from './change-engine.ts'
import { changeEngine } from './change-engine.ts'
import { DataDirectory } from './data-files.ts'
import { logPath, removeNode, startEngine, tailOfLog } from './engine-process.ts'
import { fenceDirective, fenceFile, fenceValue, liftFile, withoutFence } from './fence-file.ts'
import { readAuthority } from './identity-files.ts'
import { LastRead } from './last-read.ts'
import type { LocalHostOptions } from './local.ts'
import { memoryLeft } from './memory-left.ts'
import { moveSlots } from './move/move.ts'
import type { EngineSaid } from './node-record.ts'
import { recordOf } from './node-record.ts'
import { Settings } from './settings.ts'
import { Supervised } from './supervised.ts'

/** Longer than an engine that is not busy takes, and shorter than the time between two attempts may grow. */
const fenceWithinMs = 500

/** One engine of this machine: its process, its directory, and the agent's own connection to it. */
export class LocalEngine {
  readonly deployment: string
  readonly #place: NodePlace
  readonly #options: LocalHostOptions
  readonly #memory: AgentMemory
  readonly #link: EngineLink
  readonly #jobs: Jobs<NodeJob>
  readonly #restore: RestoreFiles
  readonly #settings = new Settings()
  readonly #access: Access
  readonly #data: DataDirectory
  /** Its config file, which this agent writes, and where Sentinels are, the engine itself. */
  readonly #file: LastRead<Written>
  #freeMemoryBytes: number | null = null
  readonly #process: Supervised
  #roleChanged = false
  #fencing = false

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
    this.#data = new DataDirectory(this.#dataDir)
    this.#file = new LastRead(nodePaths(this.#nodeDir).config, readWritten, notWritten)
    this.#restore = new RestoreFiles(this.#nodeDir)
    this.#process = new Supervised({
      deployment,
      id: place.id,
      dataDir: this.#dataDir,
      clock: options.clock,
      memory,
      onBegin: (anew) => this.#beginAnew(anew),
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
    const authority = (): string | null => readAuthority(this.#nodeDir)
    this.#link = new EngineLink({ address, port, username, password, authority, name: 'holdfast-agent' }, () =>
      this.#process.noticeClosed(),
    )
  }

  /** A process stays where it was started; the next one may listen elsewhere. */
  mayBeAt({ address, port }: NodePlace): boolean {
    const isThere = this.#place.address === address && this.#place.port === port
    return isThere || this.#process.look().state === 'running'
  }

  look(): AgentNodeSeen {
    const memory = this.#node()
    const { usersDigest } = this.#settings
    const files = { ...this.#data.files(), claim: this.#data.own().claim }
    const { directives, signsInWith } = this.#file.value
    return {
      process: this.#process.look(),
      files,
      record: memory.record,
      starts: memory.starts,
      fencedAt: memory.fencedAt,
      fence: memory.fence ?? null,
      failoverAsked: memory.failoverAsked,
      config: this.#configUnfenced(),
      usersMatch: usersDigest === null || memory.usersDigest === null ? null : usersDigest === memory.usersDigest,
      written: directives,
      given: memory.given ?? null,
      saveAskedAt: memory.saveAskedAt ?? null,
      freeMemoryBytes: this.#freeMemoryBytes,
      jobs: this.#jobs.seen(),
      access: this.#access.seen(memory, signsInWith),
      restore: this.#restore.seen(),
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
      case 'fence-writes':
        throw new HoldfastError('USAGE', `${this.#place.id} is fenced by its host`)
      case 'lift-fence':
        return this.#lift(gate)
      case 'purge':
        removeNode(this.#nodeDir)
        this.#link.close()
        Object.assign(this.#node(), blankNode())
        return this.#memory.save(this.deployment, true)
      case 'work':
        return this.#jobs.begin(action.job as NodeJob, stillOurs)
      case 'end-work':
        return this.#jobs.end(action.job)
      case 'place':
        return this.#placeFetched(action, gate)
      case 'receive':
        return receivePiece(action, this.#nodeDir)
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
      case 'finish-move':
        return this.#finishMove(action, gate)
      case 'save':
      case 'begin-log':
        this.#node().saveAskedAt = this.#options.clock.now()
        return this.#changeConfig(action, gate)
      case 'configure':
        await this.#changeConfig(this.#keepFence(action), gate)
        if (this.fenced !== null) fenceFile(this.#nodeDir)
        return
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
    this.#settings.forgetUsers()
  }

  async #closeSessions(action: Extract<Action, { kind: 'close-sessions' }>, gate: () => void): Promise<void> {
    gate()
    // Our own session is as old as the others.
    this.#link.close()
    const memory = this.#node()
    memory.closing = await closeSessions(this.#link, action, memory.closing, () => this.#options.clock.now())
    this.#memory.save(this.deployment, false)
  }

  /** Whatever its keys take: it has begun already. */
  async #finishMove({ slot, ...to }: Extract<Action, { kind: 'finish-move' }>, gate: () => void): Promise<void> {
    const order = { ...to, slots: [[slot, slot]], mover: 'classic', bytesPerSecond: null, mends: true } as const
    const from = { endpoint: this.#place, admin: this.#admin, clock: this.#options.clock }
    await moveSlots({ ...order, keyBytesMax: Number.POSITIVE_INFINITY }, from, { guard: gate, progress: () => {} })
  }

  /** What was read back is old as soon as something is set, also where only a part of it was. */
  async #changeConfig(action: Parameters<typeof changeEngine>[0], gate: () => void): Promise<void> {
    try {
      await changeEngine(action, this.#guarded(gate), this.#surroundings(gate))
    } finally {
      this.#settings.forgetConfig()
    }
  }

  /** From now on it takes no writes, also one that is started later, until a command of a newer epoch lifts it. */
  async fence(epoch: number, reason: string): Promise<void> {
    const memory = this.#node()
    if (memory.fence == null) {
      const before = this.#settings.config?.[fenceDirective] ?? this.#file.value.directives?.[fenceDirective] ?? '0'
      memory.fence = { epoch, reason, at: null, before }
      this.#memory.save(this.deployment, true)
    }
    await this.#holdFence()
  }

  get fenced(): Fence | null {
    return this.#node().fence ?? null
  }

  /** Said again and again: an engine may have been busy, or somebody has started it anew. */
  async #holdFence(): Promise<void> {
    if (this.#fencing || this.#node().fence == null) return
    this.#fencing = true
    try {
      fenceFile(this.#nodeDir)
      await this.#link.command(['CONFIG', 'SET', fenceDirective, fenceValue], fenceWithinMs)
      this.#noteHeld()
    } catch {
      // It does not answer: what cannot be told to take no writes is told again at the next look.
    } finally {
      this.#fencing = false
    }
  }

  #noteHeld(): void {
    const memory = this.#node()
    if (memory.fence == null || memory.fence.at !== null) return
    memory.fence = { ...memory.fence, at: this.#options.clock.now() }
    this.#memory.save(this.deployment, true)
  }

  async #lift(gate: () => void): Promise<void> {
    const memory = this.#node()
    const { fence = null } = memory
    if (fence === null) return
    gate()
    memory.fence = null
    try {
      await this.#link.command(['CONFIG', 'SET', fenceDirective, fence.before])
    } catch (error) {
      memory.fence = fence
      throw error
    }
    liftFile(this.#nodeDir)
    this.#settings.forgetConfig()
    this.#memory.save(this.deployment, true)
  }

  /** A fence is no drift: what is told of the directive is what it is without. */
  #configUnfenced(): Readonly<Record<string, string>> | null {
    const { config } = this.#settings
    const { fence } = this.#node()
    return fence == null || config?.[fenceDirective] === undefined
      ? config
      : { ...config, [fenceDirective]: fence.before }
  }

  /** What is set meanwhile holds from when the fence is lifted. */
  #keepFence(action: Extract<Action, { kind: 'configure' }>): Extract<Action, { kind: 'configure' }> {
    const memory = this.#node()
    if (memory.fence == null) return action
    const { [fenceDirective]: before = memory.fence.before, ...set } = action.set
    memory.fence = { ...memory.fence, before }
    this.#memory.save(this.deployment, true)
    return { ...action, set }
  }

  /** Notes what the engine is now, so that it is known when it is no more. */
  async record(): Promise<void> {
    if (this.#node().process === null) return
    await this.#holdFence()
    try {
      const [text, disk] = await this.#link.pipeline([
        ['INFO', 'replication'],
        ['INFO', 'persistence'],
      ])
      // Somebody else may have started it again, as supervisors do: it answers, and its known process is gone.
      // An answer may still be read after its engine has died: it is of before then, and not of now.
      if (!this.#process.runs()) return
      const at = this.#options.clock.now()
      const facts = { ...parseReplication(parseInfo(String(text))), ...parseDisk(parseInfo(String(disk))) }
      // What the one before it had is all that is known of what must not be lost.
      if (!followsItself(this.#place, facts.link)) this.#keep(facts, at)
      if (this.#settings.isDue(at)) await this.#readBack(at)
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
    memory.given = this.#file.value.directives
    memory.saveAskedAt = null
    this.#settings.forgetConfig()
    this.#reread()
    this.#access.beginAnew()
  }

  #keep(facts: EngineSaid, at: number): void {
    const memory = this.#node()
    const before = memory.record
    const record = recordOf(before, { ...facts, ...this.#data.own() }, at)
    if (before?.role !== record.role || before.replid !== record.replid) this.#roleChanged = true
    this.#process.noteAnswer()
    memory.record = record
  }

  async #readBack(at: number): Promise<void> {
    const names = this.#options.ownedDirectives(this.deployment)
    // Nobody has said yet what to read: nothing read is not the same as nothing different.
    if (names.length === 0) return
    const { users, server, signsInWith } = await this.#settings.read(this.#link, names, at)
    this.#access.note(users, signsInWith, server)
    this.#node().usersDigest ??= this.#settings.usersDigest
    const { process } = this.#node()
    this.#freeMemoryBytes = process === null ? null : memoryLeft(process.pid)
    boundLog(logPath(this.#nodeDir))
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
    const { fence } = this.#node()
    const instead = fence == null ? action.instead : { ...action.instead, [fenceDirective]: fenceValue }
    const request = { ...action, ...(instead === undefined ? {} : { instead }) }
    try {
      const child = await startEngine({ binary, place: this.#place, nodeDir: this.#nodeDir, action: request, gate })
      this.#process.started(child.pid)
      if (fence != null) fenceFile(this.#nodeDir)
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

  async #work(job: NodeJob, watch: Watch): Promise<string | JobResult> {
    const { binary, clock, memoryDir } = this.#options
    const at = {
      endpoint: this.#place,
      admin: this.#admin,
      node: this.#place.id,
      nodeDir: this.#nodeDir,
      dataDir: this.#dataDir,
      scratch: join(memoryDir, 'trial', this.deployment),
      binary: await binary(this.deployment),
      clock,
      command: this.#guarded(watch.guard),
      lastWords: () => tailOfLog(this.#nodeDir),
    }
    return work(job, at, watch)
  }

  /** From now on the node is as new: what was known of it was of the data that it had. */
  async #placeFetched({ restore, bytes, logs }: Extract<Action, { kind: 'place' }>, gate: () => void): Promise<void> {
    const binary = await this.#options.binary(this.deployment)
    gate()
    placeFetched({
      node: this.#place.id,
      nodeDir: this.#nodeDir,
      dataDir: this.#dataDir,
      restore,
      bytes,
      asLog: logs && logsInParts(binary),
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

  get #admin(): Admin {
    return { ...this.#options.admin(this.deployment), authority: () => readAuthority(this.#nodeDir) }
  }

  #surroundings(gate: () => void) {
    return {
      nodeDir: this.#nodeDir,
      admin: this.#admin,
      taken: (directives: Readonly<Record<string, string>>) => this.#take(directives),
      gate,
    }
  }
}

/** What a config file says. */
interface Written {
  /** Without those that hold a secret. Null: there is no file. */
  readonly directives: Record<string, string> | null
  /** The password by which the engine signs in to its primary. */
  readonly signsInWith: string | null
}

const notWritten: Written = { directives: null, signsInWith: null }

function readWritten(path: string): Written {
  const text = withoutFence(readFileSync(path, 'utf8'))
  return { directives: readConfigText(text), signsInWith: wordAfter(text, 'masterauth') }
}
