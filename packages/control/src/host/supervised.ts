import type { ProcessSeen } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { ProcessId } from '../proc.ts'
import { isKillPending, isRunning, processesIn, readProcess, signalExactly } from '../proc.ts'
import type { AgentMemory, NodeMemory } from './agent-memory.ts'

/** One that ran this long before it ended did start; what ended it was something else. */
const startedAfterMs = 3000

export interface SupervisedOptions {
  readonly deployment: string
  readonly id: string
  readonly dataDir: string
  readonly clock: Clock
  readonly memory: AgentMemory
  /** What it is from now on is another process than before. */
  readonly onBegin: (memory: NodeMemory) => void
  readonly onExit: (pid: number) => void
  /** What it said before it ended. */
  readonly lastWords: () => string
}

/** One process of this machine: which it is, whether it lives, and what is remembered of it. */
export class Supervised {
  readonly #options: SupervisedOptions
  #cpu: { pid: number; ms: number; roseAt: number } | null = null
  #diedAt: number | null = null
  #startedAt: number | null = null
  #adoptedInto: NodeMemory | null = null
  /** It was told to end, so its end is no death. */
  stopping = false

  constructor(options: SupervisedOptions) {
    this.#options = options
  }

  get memory(): NodeMemory {
    const { deployment, id, memory } = this.#options
    const known = memory.node(deployment, id)
    // What was read anew from disk may not know the process that was adopted before.
    if (this.#adoptedInto !== known) {
      this.#adoptedInto = known
      this.adopt()
    }
    return known
  }

  /** One that was started and not written down before a crash is found by its working directory. */
  adopt(): void {
    const { memory } = this
    const known = memory.process === null ? undefined : readProcess(memory.process.pid)
    if (known !== undefined && known.startTime === memory.process?.startTime) return
    const [found] = processesIn(this.#options.dataDir)
    if (found !== undefined) this.begin({ pid: found.pid, startTime: found.startTime })
  }

  /** From now on it is this process, which has just read its files, and knows nothing of what was asked before. */
  begin(process: NonNullable<NodeMemory['process']>): void {
    const { memory } = this
    memory.process = process
    memory.usersDigest = null
    memory.failoverAsked = null
    memory.signInGivenAt = null
    memory.linkRenewedAt = null
    memory.closing = null
    this.#options.onBegin(memory)
  }

  look(): ProcessSeen {
    const { memory } = this
    if (memory.process === null) return { state: 'absent' }
    const { pid, startTime } = memory.process
    const facts = readProcess(pid)
    const now = this.#options.clock.now()
    const isIt = facts !== undefined && facts.startTime === startTime
    const isOver = !isIt || facts.state === 'Z' || facts.state === 'X'
    if (isOver || facts.killPending) {
      if (isOver && this.stopping) {
        memory.process = null
        this.stopping = false
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

  /** Whether it runs, where it answers: if the known process is gone, it is the one that works in its directory now. */
  runs(): boolean {
    if (this.#lives()) return true
    if (this.look().state !== 'dead') return false
    this.adopt()
    return this.look().state === 'running'
  }

  /** Less is read for this than for a look: what else the kernel says of a process is nobody's question four times a second. */
  #lives(): boolean {
    const { process } = this.memory
    return process !== null && isRunning(process) && !isKillPending(process.pid)
  }

  /** Whether it could be started now: nothing of it runs, and nothing of it lingers. */
  mayStart(): boolean {
    const { state } = this.look()
    return state === 'absent' || (state === 'dead' && !this.#lingers())
  }

  /** It is about to be started. */
  starting(): void {
    this.stopping = false
    this.#startedAt = this.#options.clock.now()
  }

  /** It was started, as a child of this process. */
  started(pid: number): void {
    const { deployment, memory } = this.#options
    this.begin({ pid, startTime: readProcess(pid)?.startTime ?? 0 })
    memory.save(deployment, true)
  }

  /** SIGKILL to exactly this process, which is frozen. */
  fence(pid: number, startTime: number): void {
    const { deployment, memory, clock } = this.#options
    this.memory.fencedAt = clock.now()
    memory.save(deployment, true)
    this.kill({ pid, startTime })
  }

  /** The same, and no more: nothing is remembered of it. */
  kill({ pid, startTime }: ProcessId): void {
    signalExactly({ pid, startTime }, 'SIGKILL')
  }

  /** A child has ended; one that never answered, and soon, has failed to start. */
  noticeExit(pid: number, answeredAt: number): void {
    const { clock, lastWords, onExit } = this.#options
    const ranMs = clock.now() - (this.#startedAt ?? Number.NEGATIVE_INFINITY)
    const answered = answeredAt >= (this.#startedAt ?? 0)
    if (ranMs < startedAfterMs && !answered && !this.stopping) this.noteFailure(lastWords())
    // From now on it is dead: whoever is asked after this answers without it.
    this.look()
    onExit(pid)
  }

  /** An adopted process is not our child; its closed connection is the first sign of its end. */
  noticeClosed(): void {
    const { process } = this.memory
    if (process !== null && this.look().state === 'dead') this.#options.onExit(process.pid)
  }

  noteFailure(lastError: string): void {
    const { clock, deployment, memory } = this.#options
    const { starts } = this.memory
    this.memory.starts = { failures: starts.failures + 1, lastAt: clock.now(), lastError }
    memory.save(deployment, false)
  }

  noteAnswer(): void {
    const { starts } = this.memory
    if (starts.failures > 0) this.memory.starts = { failures: 0, lastAt: starts.lastAt, lastError: null }
  }

  #lingers(): boolean {
    const seen = this.look()
    return seen.state === 'dead' && seen.lingering
  }
}
