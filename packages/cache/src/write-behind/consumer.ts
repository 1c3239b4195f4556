/**
 * Saves what is queued: takes what is due from the partitions that this process owns, saves it in one go, and settles
 * each key by the version that was saved. One batch at a time, so a key is never in two saves of one process.
 *
 * Nothing leaves the queue before the store has committed it. A death in between means that the next owner saves the
 * same versions again, and the store's guard makes that nothing. A frozen process that wakes up finds its lease over by
 * its own clock before it saves; if it was frozen inside a save, the guard again. The guard has one trap: a store that
 * is ahead of the queue would drop acknowledged writes for good, which can only be after an engine lost its memory of
 * versions. The store's answer shows it, and the write gets a version above it.
 */
import type { Clock } from '../clock.ts'
import type { Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { askPartitions } from './ask.ts'
import type { Events } from './events.ts'
import type { Leases } from './leases.ts'
import type { Losses } from './losses.ts'
import type { Partition } from './partitions.ts'
import { pauseMs, saveBatch } from './saving.ts'
import type { WriteBehindSettings } from './settings.ts'
import { settleCommand, settledOf, type Verdict } from './settle-script.ts'
import type { Sink, Taken } from './sink.ts'
import { takeDue } from './taking.ts'

export interface ConsumerPorts {
  readonly engine: Engine
  readonly clock: Clock
  readonly events: Events
  readonly losses: Losses
  readonly leases: Pick<Leases, 'owned' | 'signal' | 'token' | 'lose'>
  readonly sink: Pick<Sink<unknown>, 'save' | 'answers'>
  readonly settings: WriteBehindSettings
}

interface Job extends Taken {
  readonly partition: Partition
  /** The version that the store held after the save. */
  stored?: number
}

/** A verdict, and what is told once the engine has taken it: a newer write may have come meanwhile. */
interface Decided {
  readonly verdict: Verdict
  readonly told?: () => void
}

type Decisions = ReadonlyMap<Partition, Decided[]>

/** How long the engine may take for a look or a verdict. What fails is done again at the next turn. */
const askMs = 2000

export class Consumer {
  readonly #ports: ConsumerPorts
  readonly #closing = new AbortController()
  /** Saves in a row of which nothing came. */
  #awayTries = 0
  #running: Promise<void> = Promise.resolve()
  #wake: () => void = () => undefined
  #hurried = false
  #stopped = false
  /** How old the oldest write of the latest save was when the store took it; 0 before the first. */
  lagMs = 0

  constructor(ports: ConsumerPorts) {
    this.#ports = ports
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Somebody waits for the queue to be empty. A store that is away is not asked more often for that. */
  hurry(): void {
    if (this.#awayTries > 0) return
    this.#hurried = true
    this.#wake()
  }

  /** The batch in hand is finished if it is done in time, else given up: others will save it. */
  async close(withinMs: number): Promise<void> {
    const { clock } = this.#ports
    this.#stopped = true
    this.#wake()
    const message = 'the write-behind is closed'
    const cancel = clock.after(withinMs, () => this.#closing.abort(new CacheError('CLOSED', message)))
    await this.#running
    cancel()
  }

  async #run(): Promise<void> {
    const { settings, events } = this.#ports
    while (!this.#stopped) {
      let waitMs = settings.everyMs
      try {
        const turn = await this.#turn()
        waitMs = turn === 'idle' ? settings.everyMs : turn.againInMs
      } catch (error) {
        events.tell('trouble', { error, what: 'a turn of saving failed' })
      }
      if (this.#hurried) waitMs = Math.min(waitMs, 5)
      this.#hurried = false
      if (!this.#stopped && waitMs > 0) await this.#pause(waitMs)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  async #turn(): Promise<'idle' | { readonly againInMs: number }> {
    const { engine, clock, leases, losses, settings } = this.#ports
    const owned = leases.owned()
    if (owned.length === 0) return 'idle'
    const deadlineAt = clock.monotonic() + askMs
    const found = await takeDue(engine, owned, { batch: settings.batch, deadlineAt })
    const jobs: Job[] = []
    const decisions = new Map<Partition, Decided[]>()
    for (const { partition, taken, vanished, token } of found) {
      if (token !== leases.token(partition)) {
        if (token !== undefined) leases.lose(partition, 'somebody else has it')
        continue
      }
      jobs.push(...taken.map((entry) => ({ ...entry, partition })))
      decisions.set(
        partition,
        vanished.map((key) => ({
          verdict: { key, version: 0, kind: 'vanished' },
          told: () => losses.missing(partition.number, 1, key),
        })),
      )
    }
    if (jobs.length === 0 && [...decisions.values()].every((some) => some.length === 0)) return 'idle'
    const againInMs = jobs.length === 0 ? settings.everyMs : await this.#save(jobs, decisions)
    await this.#settle(decisions)
    return { againInMs }
  }

  /** Saves, and writes down what became of each. Answers after how long the next turn makes sense. */
  async #save(jobs: readonly Job[], decisions: Decisions): Promise<number> {
    const { clock, events, sink, settings } = this.#ports
    const startedAt = clock.monotonic()
    const ports = {
      save: (part: readonly Job[]) => this.#savePart(part),
      answers: (job: Job) => sink.answers(job, this.#closing.signal),
    }
    const careful = this.#awayTries > 0
    const random = (): number => clock.random()
    const { stored, blamed, away } = await saveBatch(jobs, ports, { careful, random })
    for (const job of stored) decisions.get(job.partition)?.push(this.#stored(job))
    for (const { entry, error } of blamed) decisions.get(entry.partition)?.push(this.#failed(entry, error))
    if (stored.length > 0) {
      this.#awayTries = 0
      const oldest = Math.min(...stored.map(({ version }) => version))
      this.lagMs = Math.max(0, Math.round(clock.now() - oldest / 1000))
      events.tell('written', { keys: stored.length, ms: clock.monotonic() - startedAt, lagMs: this.lagMs })
    }
    if (away === undefined) return jobs.length >= settings.batch / 2 ? 0 : settings.everyMs
    if (this.#stopped || isOurs(away.error)) return settings.everyMs
    const inMs = pauseMs(this.#awayTries++, { from: settings.retryFromMs, upTo: settings.retryUpToMs }, clock.random())
    events.tell('retry', { keys: jobs.length - stored.length - blamed.length, inMs, error: away.error })
    return inMs
  }

  /** The last look before the store is touched: what is no longer ours is left to whoever has it. */
  async #savePart(part: readonly Job[]): Promise<void> {
    const { leases, sink } = this.#ports
    const signals = part.map(({ partition }) => leases.signal(partition))
    const foreign = part.find((_, index) => signals[index] === undefined)
    if (foreign !== undefined) {
      leases.lose(foreign.partition, 'the lease ended before the save began')
      throw new CacheError('ABORTED', `partition ${foreign.partition.number} is not ours any more`)
    }
    const known = signals.filter((signal) => signal !== undefined)
    const versions = await sink.save(part, AbortSignal.any([this.#closing.signal, ...new Set(known)]))
    for (const [index, job] of part.entries()) job.stored = versions[index] ?? job.version
  }

  #stored({ key, version, stored: storeVersion = version }: Job): Decided {
    if (storeVersion === version) return { verdict: { key, version, kind: 'stored' } }
    const told = (): void => this.#ports.events.tell('behind', { key, version, storeVersion })
    return { verdict: { key, version, kind: 'behind', storeVersion }, told }
  }

  #failed({ key, version, tries }: Job, error: unknown): Decided {
    const { clock, events, settings } = this.#ports
    if (tries + 1 >= settings.tries || settings.permanent(error)) {
      const message = String(error instanceof Error ? error.message : error).slice(0, 500)
      const told = (): void => events.tell('parked', { key, version, tries: tries + 1, error })
      return { verdict: { key, version, kind: 'parked', error: message }, told }
    }
    const inMs = pauseMs(tries, { from: settings.retryFromMs, upTo: settings.retryUpToMs }, clock.random())
    const told = (): void => events.tell('retry', { key, keys: 1, inMs, error })
    return { verdict: { key, version, kind: 'failed', againInMs: inMs }, told }
  }

  /** What cannot be told to the engine is found in the queue again, and saved again, which changes nothing. */
  async #settle(decisions: Decisions): Promise<void> {
    const { engine, clock, events, settings } = this.#ports
    const told = [...decisions].filter(([, some]) => some.length > 0)
    const answers = await askPartitions(
      engine,
      told.map(([partition, some]) => ({
        partition,
        commands: [
          settleCommand(
            partition,
            some.map(({ verdict }) => verdict),
            settings.keepMs,
          ),
        ],
      })),
      { deadlineAt: clock.monotonic() + askMs, kind: 'write' },
    )
    for (const [index, [, some]] of told.entries()) {
      const answer = answers[index]
      if (answer instanceof CacheError) {
        events.tell('trouble', {
          error: answer,
          what: 'what was saved could not be taken off the queue, and is saved again',
        })
        continue
      }
      const words = settledOf(answer?.[0])
      for (const [at, decided] of some.entries()) if (words[at] === 'done') decided.told?.()
    }
  }
}

/** Not the store's failure but ours: the lease ended, or we are closing. */
const isOurs = (error: unknown): boolean =>
  error instanceof CacheError && (error.code === 'ABORTED' || error.code === 'CLOSED')
