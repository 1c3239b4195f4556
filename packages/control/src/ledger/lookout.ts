/**
 * Looks at one shard, by writing to it again and again, one write at a time. All it tells are stretches of time in which
 * the shard could be written to, or could not.
 *
 * A write that takes longer than is ordinary could not be done until it was: its whole time counts. So does all time
 * from a write that failed to the next that did not. Between two writes that went well, nothing is held against the
 * shard. Time in which this process itself stood still, or was not there, is told in no way: nobody looked.
 */
import type { Look } from '@holdfast/core'
import { formatDuration } from '@holdfast/core'
import type { Clock } from '../clock.ts'

/** How often, while all is well, and while it is not. */
const everyMs = 500
const againMs = 100
/** What a write may take before it counts as not done yet: longer than a busy machine stumbles. */
const ordinaryMs = 100
/** The same while something is known to have happened: then what takes longer than a round trip has its reason. */
const alertMs = 10
/** For how long something that happened explains a slow write. */
const alertForMs = 2000
/** How often a write that still waits is told of. */
const tellEveryMs = 500
/** A timer this much late: the process stood still. */
const lateMs = 1000
/** Timers run before sockets are read: the answer may lie there already. */
const graceMs = 2

export interface LookoutOptions {
  readonly shard: string
  readonly clock: Clock
  /** One write. Rejects when it could not be done within its deadline. */
  readonly write: () => Promise<void>
  /** `reason`: why it could not be written to, as far as anybody said; worth nothing where it could. */
  readonly onLook: (look: Look, reason: string) => void
}

interface Call {
  outcome: 'done' | { readonly reason: string } | undefined
  /** Never rejects. */
  done: Promise<void>
}

export class Lookout {
  readonly #options: LookoutOptions
  #stopped = false
  /** Up to when everything is told, or belongs to nobody; monotonic. */
  #until: number
  /** Where the last look ended, by the wall clock. */
  #toldTo = Number.NEGATIVE_INFINITY
  #alertUntil = Number.NEGATIVE_INFINITY
  #alerted = false
  #isOut = false
  #woken = new AbortController()

  constructor(options: LookoutOptions) {
    this.#options = options
    this.#until = options.clock.now()
  }

  /** Looks until it is stopped. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const isOver = await this.#look()
      // The moment when it is over is worth knowing exactly: the next write says so.
      if (!isOver) await this.#rest(this.#isOut ? againMs : everyMs)
    }
  }

  /** Something happened: look now, and closely. */
  alert(): void {
    this.#alertUntil = this.#options.clock.now() + alertForMs
    this.#alerted = true
    this.#woken.abort()
  }

  stop(): void {
    this.#stopped = true
    this.#woken.abort()
  }

  /** One write. Answers whether it ended an outage. */
  async #look(): Promise<boolean> {
    const { clock } = this.#options
    this.#alerted = false
    let since = clock.now()
    if (since - this.#until > everyMs + lateMs) this.#until = since
    const call = this.#call()
    // As long as this process did not run, the answer may have been there, and was not read.
    let patientSince = since
    let due = since + this.#ordinary()
    for (;;) {
      const lateBy = await this.#waitFor(call, due)
      patientSince += Math.max(0, lateBy)
      if (lateBy > lateMs) patientSince = since = this.#until = clock.now()
      if (call.outcome !== undefined || this.#stopped) break
      const isOut = clock.now() - patientSince >= this.#ordinary()
      if (isOut) this.#tellOut(since, `nobody has answered a write for ${formatDuration(clock.now() - since)}`)
      due = isOut ? clock.now() + tellEveryMs : patientSince + this.#ordinary()
    }
    return call.outcome !== undefined && !this.#stopped && this.#conclude(since, call.outcome)
  }

  #call(): Call {
    const call: Call = { outcome: undefined, done: Promise.resolve() }
    call.done = this.#options.write().then(
      () => void (call.outcome = 'done'),
      (error: unknown) => void (call.outcome = { reason: error instanceof Error ? error.message : String(error) }),
    )
    return call
  }

  #conclude(since: number, outcome: 'done' | { readonly reason: string }): boolean {
    if (outcome !== 'done') {
      this.#tellOut(since, outcome.reason)
      return false
    }
    const wasOut = this.#isOut
    this.#tell(!wasOut, `a write took ${formatDuration(this.#options.clock.now() - since)}`)
    this.#isOut = false
    return wasOut
  }

  #ordinary(): number {
    return this.#options.clock.now() < this.#alertUntil ? alertMs : ordinaryMs
  }

  /** Waits for the answer, at most until `due`. Answers by how much this process came too late to that. */
  async #waitFor(call: Call, due: number): Promise<number> {
    const { clock } = this.#options
    const woken = new AbortController()
    this.#woken = woken
    void call.done.then(() => woken.abort('answered'))
    await clock.sleep(Math.max(0, due - clock.now()), woken.signal)
    const lateBy = clock.now() - due
    if (call.outcome === undefined) await Promise.race([call.done, clock.sleep(graceMs)])
    return lateBy
  }

  async #rest(ms: number): Promise<void> {
    if (this.#stopped || this.#alerted) return
    this.#woken = new AbortController()
    await this.#options.clock.sleep(ms, this.#woken.signal)
  }

  /** The write that began at `startedAt` is not done, and may have been the first of them. */
  #tellOut(startedAt: number, reason: string): void {
    if (!this.#isOut) this.#tell(true, '', startedAt)
    this.#isOut = true
    this.#tell(false, reason)
  }

  #tell(writable: boolean, reason: string, to = this.#options.clock.now()): void {
    const { clock, shard, onLook } = this.#options
    // By the wall clock for people, and as long as the other clock says: the wall clock may be set meanwhile.
    const end = Math.round(clock.wall() - (clock.now() - to))
    const begin = end - Math.round(to - this.#until)
    // Both are rounded: a millisecond must not be told twice.
    const from = Math.abs(begin - this.#toldTo) <= 1 ? this.#toldTo : begin
    this.#until = to
    if (end <= from) return
    this.#toldTo = end
    onLook({ shard, from, to: end, writable }, reason)
  }
}
