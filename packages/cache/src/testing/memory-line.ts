import type { Clock } from '../clock.ts'
import { type Answer, type Call, type Link, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { Wire } from './faults.ts'
import type { Blocked } from './memory-keyspace.ts'
import type { MemoryNode, NodeListener } from './memory-node.ts'
import { MemorySession } from './memory-session.ts'
import { type Reply, render } from './reply.ts'

class MemoryLink implements Link {
  readonly node: string
  live: boolean

  constructor(node: string, live: boolean) {
    this.node = node
    this.live = live
  }
}

/** What an engine hears of its connections. */
export interface LineEvents {
  changed(keys: readonly string[] | null): void
  linked(link: Link): void
  unlinked(link: Link, because: string): void
  lost(node: string, because: string): void
  back(node: string): void
  moved(because: string): void
}

interface Job {
  readonly call: Call
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  isSettled: boolean
  /** Whether the node has it, so that a write may have been done. */
  isSent: boolean
  cancelTimer: (() => void) | undefined
}

const mostWaiting = 10_000

/**
 * One connection to one node: calls are done one behind the other, and their answers arrive in the same order as what
 * is told of changes.
 */
export class MemoryLine implements NodeListener {
  readonly #node: MemoryNode
  readonly #clock: Clock
  readonly #wire: Wire
  readonly #prefixes: readonly string[]
  readonly #events: LineEvents
  #link: MemoryLink
  /** Sent or about to be, in order. */
  readonly #jobs: Job[] = []
  /** What waits for the node to be back. */
  readonly #patient = new Set<Job>()
  /** Answered, and the answer is under way. */
  readonly #underWay = new Set<Job>()
  /** Refused for lack of memory, and tried again in a moment. */
  readonly #pausing = new Set<Job>()
  /** Changes to be told at the end of this turn; null: all keys. */
  #news: string[] | null = []
  #newsIsDue = false
  #pumpIsDue = false
  /** Ends the wait of the command that blocks this line. */
  #unblock: (() => void) | undefined
  /** When the last thing that is under way arrives: nothing overtakes. */
  #arrivesAt = 0
  readonly #cancels = new Set<() => void>()

  constructor(node: MemoryNode, ports: { clock: Clock; wire: Wire; track: readonly string[]; events: LineEvents }) {
    this.#node = node
    this.#clock = ports.clock
    this.#wire = ports.wire
    this.#prefixes = ports.track
    this.#events = ports.events
    this.#link = new MemoryLink(node.name, node.state !== 'dead' && ports.track.length > 0)
    node.listeners.add(this)
  }

  get link(): Link {
    return this.#link
  }

  get nodeName(): string {
    return this.#node.name
  }

  get isConnected(): boolean {
    return this.#node.state !== 'dead'
  }

  get pending(): number {
    return this.#all().length
  }

  send(call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#enter({ call, resolve, reject, isSettled: false, isSent: false, cancelTimer: undefined })
    })
  }

  cut(because: string): void {
    if (!this.#link.live) return
    this.#news = []
    this.#link.live = false
    this.#events.unlinked(this.#link, because)
  }

  mend(): void {
    if (this.#link.live || this.#prefixes.length === 0 || this.#node.state === 'dead') return
    this.#link = new MemoryLink(this.#node.name, true)
    this.#events.linked(this.#link)
  }

  close(): void {
    this.#node.listeners.delete(this)
    this.#link.live = false
    this.#stop()
    const error = new CacheError('CLOSED', 'the engine was closed')
    for (const job of this.#all()) this.#settle(job, error)
    this.#forgetJobs()
    this.#patient.clear()
  }

  tell(key: string | null): void {
    if (!this.#link.live) return
    if (key !== null && !this.#prefixes.some((prefix) => key.startsWith(prefix))) return
    if (key === null) this.#news = null
    else this.#news?.push(key)
    if (this.#newsIsDue) return
    this.#newsIsDue = true
    queueMicrotask(() => this.#tellNews())
  }

  died(because: string): void {
    const interrupted = this.#all().filter((job) => !this.#patient.has(job))
    this.#forgetJobs()
    this.#stop()
    this.cut(because)
    this.#events.lost(this.#link.node, because)
    for (const job of interrupted) this.#interrupted(job, because)
  }

  revived(): void {
    this.#events.back(this.#node.name)
    if (this.#prefixes.length === 0) this.#link = new MemoryLink(this.#node.name, false)
    this.mend()
    this.#wakePatient()
  }

  thawed(): void {
    this.#pumpSoon()
  }

  replaced(because: string): void {
    this.died(because)
    this.#events.moved(because)
    this.revived()
  }

  #enter(job: Job): void {
    if (this.#node.state === 'dead') {
      const because = `${this.#node.name} is away`
      if (job.call.patient !== true) this.#settle(job, new CacheError('UNAVAILABLE', because))
      else if (this.#patient.size >= mostWaiting) {
        this.#settle(job, new CacheError('UNAVAILABLE', `${because}, and too many wait for it`))
      } else {
        this.#patient.add(job)
        this.#arm(job)
      }
      return
    }
    this.#jobs.push(job)
    this.#pumpSoon()
  }

  #wakePatient(): void {
    const jobs = [...this.#patient]
    this.#patient.clear()
    for (const job of jobs) if (!job.isSettled) this.#enter(job)
  }

  #pumpSoon(): void {
    if (this.#pumpIsDue) return
    this.#pumpIsDue = true
    queueMicrotask(() => {
      this.#pumpIsDue = false
      this.#pump()
    })
  }

  #pump(): void {
    for (const job of this.#jobs) job.isSent = true
    if (this.#node.state === 'frozen') {
      for (const job of this.#jobs) this.#arm(job)
      return
    }
    while (this.#unblock === undefined && this.#node.state === 'up') {
      const job = this.#jobs[0]
      if (job === undefined) return
      // What was told before this read arrives before its answer.
      this.#tellNews()
      this.#perform(job, new MemorySession(this.#node, this, job.call.commands))
    }
    // Those behind a command that blocks wait with it.
    for (const job of this.#jobs) this.#arm(job)
  }

  #perform(job: Job, session: MemorySession): void {
    let blocked: Blocked | undefined
    try {
      blocked = session.run()
    } catch (error) {
      this.#jobs.shift()
      const message = error instanceof Error ? error.message : String(error)
      this.#settle(job, new CacheError('INVALID', message, {}, error))
      return
    }
    this.#node.lookAgain()
    if (blocked === undefined) {
      this.#jobs.shift()
      this.#arrive(job, session.replies)
    } else this.#block(job, session, blocked)
  }

  #block(job: Job, session: MemorySession, blocked: Blocked): void {
    const goOn = (reply: Reply): void => {
      this.#unblock?.()
      session.replies.push(reply)
      this.#perform(job, session)
      this.#pump()
    }
    const look = (): void => {
      const reply = blocked.look()
      if (reply !== undefined) goOn(reply)
    }
    const stopLooking = this.#node.onChange(look)
    const stopTimer =
      blocked.withinMs === null ? undefined : this.#clock.after(blocked.withinMs, () => goOn(blocked.otherwise()))
    this.#unblock = () => {
      stopLooking()
      stopTimer?.()
      this.#unblock = undefined
    }
    this.#arm(job)
  }

  #arrive(job: Job, replies: readonly Reply[]): void {
    const { commands, kind, bytes = false } = job.call
    const [only] = replies
    const isOutOfMemory = commands.length === 1 && only instanceof ReplyError && only.word === 'OOM'
    if (isOutOfMemory && kind === 'write') return this.#tryAgainLater(job, only)
    if (this.#wire.takeLostReply()) return this.#interrupted(job, 'the answer was lost')
    const link = this.#link
    this.#underWay.add(job)
    this.#deliver(() => {
      this.#underWay.delete(job)
      if (commands.length === 1 && only instanceof ReplyError) this.#settle(job, refusal(only))
      else this.#settle(job, { replies: replies.map((reply) => render(reply, bytes)), role: 'primary', link })
    })
    if (!job.isSettled) this.#arm(job)
  }

  #tryAgainLater(job: Job, reply: ReplyError): void {
    const left = job.call.deadlineAt - this.#clock.monotonic()
    if (left <= 0) return this.#settle(job, new CacheError('UNAVAILABLE', reply.message, {}, reply))
    job.isSent = false
    this.#pausing.add(job)
    this.#after(Math.min(left, 10), () => {
      this.#pausing.delete(job)
      if (!job.isSettled) this.#enter(job)
    })
  }

  /** The connection went away under a call whose answer had not come. */
  #interrupted(job: Job, because: string): void {
    if (job.isSettled) return
    const { kind, idempotent = false, patient = false } = job.call
    if (kind === 'write' && job.isSent && !idempotent) return this.#settle(job, indeterminate(because))
    if (this.#node.state !== 'dead' || patient) return this.#enter(job)
    this.#settle(job, kind === 'write' && job.isSent ? indeterminate(because) : new CacheError('UNAVAILABLE', because))
  }

  /** Over the way to here, in order and as late as the faults say. */
  #deliver(arrive: () => void): void {
    const now = this.#clock.monotonic()
    this.#arrivesAt = Math.max(this.#arrivesAt, now + this.#wire.delayMs)
    if (this.#arrivesAt <= now) arrive()
    else this.#after(this.#arrivesAt - now, arrive)
  }

  #tellNews(): void {
    if (!this.#newsIsDue) return
    this.#newsIsDue = false
    const news = this.#news
    this.#news = []
    if (!this.#link.live || news?.length === 0) return
    const link = this.#link
    this.#deliver(() => {
      if (link.live) this.#events.changed(news)
    })
  }

  #after(ms: number, call: () => void): void {
    const cancel = this.#clock.after(ms, () => {
      this.#cancels.delete(cancel)
      call()
    })
    this.#cancels.add(cancel)
  }

  #arm(job: Job): void {
    if (job.cancelTimer !== undefined || job.isSettled) return
    job.cancelTimer = this.#clock.after(job.call.deadlineAt - this.#clock.monotonic(), () => this.#expire(job))
  }

  #expire(job: Job): void {
    const isPerhapsDone = job.call.kind === 'write' && job.isSent
    const because = `${this.#node.name} did not answer in time`
    this.#settle(job, isPerhapsDone ? indeterminate(because) : new CacheError('UNAVAILABLE', because))
    this.#patient.delete(job)
    this.#underWay.delete(job)
    // Nobody waits for what blocks the others any more.
    if (this.#unblock !== undefined && this.#jobs[0] === job) {
      this.#unblock()
      this.#jobs.shift()
      this.#pumpSoon()
    }
  }

  #settle(job: Job, outcome: Answer | Error): void {
    job.cancelTimer?.()
    job.cancelTimer = undefined
    if (job.isSettled) return
    job.isSettled = true
    if (outcome instanceof Error) job.reject(outcome)
    else job.resolve(outcome)
  }

  #all(): Job[] {
    return [...this.#jobs, ...this.#underWay, ...this.#pausing, ...this.#patient]
  }

  #forgetJobs(): void {
    this.#jobs.length = 0
    this.#underWay.clear()
    this.#pausing.clear()
  }

  #stop(): void {
    this.#unblock?.()
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
    this.#arrivesAt = 0
    this.#news = []
  }
}

function indeterminate(because: string): CacheError {
  return new CacheError('INDETERMINATE', `the write may have been done: ${because}`)
}

function refusal(reply: ReplyError): CacheError {
  return new CacheError('REFUSED', `the engine refused: ${reply.message}`, {}, reply)
}
