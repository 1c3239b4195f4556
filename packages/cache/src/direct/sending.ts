import type { Clock } from '../clock.ts'
import { type Answer, type Call, type Command, type Engine, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { DirectCallOptions, DirectWriteOptions } from './calls.ts'
import { GroupCommit } from './durable.ts'
import { isReused, type Operation } from './operations.ts'
import { type DirectSettings, type DurableSettings, deadlineMs, durableSettings } from './settings.ts'
import { notRun } from './transaction.ts'
import { Waiting } from './waiting.ts'

/**
 * What may be done when nobody answered: `repeatable`, twice is once; an operation, which the engine remembers; `unknown`,
 * nothing, for commands that wait and can therefore not be remembered.
 */
export type Again = Operation | 'repeatable' | 'unknown'

export interface Sent {
  readonly commands: readonly Command[]
  /** A key of the slot. */
  readonly key: string
  readonly bytes?: boolean | undefined
  readonly lane?: string | undefined
  /** How long the command itself waits, beside the deadline. */
  readonly blocksMs?: number | undefined
}

/** Sends what the tags of one cache ask for: under one bound, each with its deadline, and never with its fate swallowed. */
export class Sending {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #settings: DirectSettings
  readonly #waiting: Waiting
  readonly #commits: GroupCommit

  constructor(engine: Engine, clock: Clock, settings: DirectSettings) {
    this.#engine = engine
    this.#clock = clock
    this.#settings = settings
    this.#waiting = new Waiting(settings.maxWaiting)
    this.#commits = new GroupCommit(engine)
  }

  get waiting(): number {
    return this.#waiting.count
  }

  durable({ durable }: DirectWriteOptions): DurableSettings | null {
    return durable === undefined ? this.#settings.durable : durableSettings(durable)
  }

  read(sent: Sent, options: DirectCallOptions & { readonly readReplica?: boolean }): Promise<Answer> {
    const from = options.readReplica === true ? 'replica' : 'primary'
    return this.#waiting.during(() =>
      this.#on(sent.lane).send({ ...this.#terms(sent, options), commands: sent.commands, kind: 'read', from }),
    )
  }

  /** The replies of the commands. An error reply to a lone command is thrown. */
  async write(sent: Sent, again: Again, options: DirectWriteOptions): Promise<readonly unknown[]> {
    const durable = this.durable(options)
    try {
      const terms = this.#terms(sent, options)
      const replies = await this.#waiting.during(async () => {
        const [command] = sent.commands
        if (durable !== null && typeof again === 'object' && command !== undefined) {
          return [await this.#commits.write({ ...terms, command, durable })]
        }
        const call: Call = { ...terms, commands: sent.commands, kind: 'write', idempotent: again !== 'unknown' }
        return (await this.#on(sent.lane).send(call)).replies
      })
      // In front of a WAIT an error is a value; alone the engine has thrown it already.
      const [only] = replies
      if (replies.length === 1 && only instanceof Error) {
        throw new CacheError('REFUSED', `the engine refused it: ${only.message}`, {}, only)
      }
      return replies
    } catch (error) {
      throw explained(error, again)
    }
  }

  #terms({ key, bytes = false, blocksMs = 0 }: Sent, { within, patient }: DirectCallOptions) {
    const withinMs = within === undefined ? this.#settings.withinMs : deadlineMs(within)
    const deadlineAt = this.#clock.monotonic() + withinMs + blocksMs
    return { key, bytes, deadlineAt, patient: patient ?? this.#settings.patient }
  }

  #on(lane: string | undefined): Engine {
    return lane === undefined ? this.#engine : this.#engine.lane(lane)
  }
}

/** The error in the words of these calls: with what the caller may do now. */
function explained(error: unknown, again: Again): unknown {
  if (!(error instanceof CacheError)) return error
  if (error.code === 'INDETERMINATE') {
    const facts = typeof again === 'object' ? { ...error.facts, operation: again.id } : error.facts
    return new CacheError('INDETERMINATE', `${error.message}; ${advice(again)}`, facts, error)
  }
  if (error.code === 'REFUSED' && error.cause instanceof ReplyError) {
    if (error.cause.word === 'EXECABORT') return notRun(error.cause)
    if (isReused(error.cause)) {
      const facts = typeof again === 'object' ? { operation: again.id } : {}
      const what = 'this operation id was used for another write: an id belongs to one write, with the same arguments'
      return new CacheError('INVALID', what, facts, error.cause)
    }
  }
  return error
}

function advice(again: Again): string {
  if (again === 'repeatable') return 'it may be done again: twice is once'
  if (again === 'unknown') return 'look whether it was done before you do it again'
  return `ask again with operation: '${again.id}', and it is done once`
}
