/** Starts only what can keep its promise, and goes on looking whether it still can. */
import type { Clock } from '../clock.ts'
import type { Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { cacheErrorOf } from './ask.ts'
import type { Events } from './events.ts'
import { judge, readKeeping, refusalOf } from './preconditions.ts'
import type { WriteBehindSettings } from './settings.ts'

export interface GuardPorts {
  readonly engine: Engine
  readonly clock: Clock
  readonly events: Events
  readonly settings: WriteBehindSettings
  /** The key that remembers in how many partitions the keys are. */
  readonly partitionsKey: string
}

const lookAgainMs = 30_000
const afterMoveMs = 500
const tryAgainMs = 500

export class Guard {
  readonly #ports: GuardPorts
  /** Why nothing is taken at the moment. */
  #refusing: CacheError | undefined
  #started = false
  #closed = false
  #cancel: () => void = () => undefined
  readonly ready: Promise<void>

  constructor(ports: GuardPorts) {
    this.#ports = ports
    this.ready = this.#start()
    // Callers are told when they write; the promise itself may have no listener.
    this.ready.catch(() => undefined)
  }

  /** Returns when a write may be taken, and throws why not. */
  async pass(): Promise<void> {
    if (!this.#started) await this.#startedInTime()
    if (this.#refusing !== undefined) throw this.#refusing
  }

  /** The nodes have changed: another one may be set otherwise. */
  moved(): void {
    if (this.#started) this.#lookIn(afterMoveMs)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  async #start(): Promise<void> {
    const { clock, events } = this.#ports
    for (;;) {
      if (this.#closed) throw new CacheError('CLOSED', 'the write-behind was closed before it had started')
      try {
        await this.#look(true)
        await this.#agreeOnPartitions()
        break
      } catch (error) {
        const cause = cacheErrorOf(error)
        if (!cause.retry) throw cause
        events.tell('trouble', { error: cause, what: 'the engine could not be looked at before the start' })
      }
      await new Promise<void>((resolve) => (this.#cancel = stopper(clock.after(tryAgainMs, resolve), resolve)))
    }
    this.#started = true
    this.#lookIn(lookAgainMs)
  }

  /** `starting`: afterwards a replica that is away is the business of `WAIT`, which refuses for itself. */
  async #look(starting: boolean): Promise<void> {
    const { engine, clock, events, settings } = this.#ports
    if (settings.lossy) return
    const keeping = await readKeeping(engine, clock, settings.deadlineMs)
    const judgement = judge(keeping, { durable: starting ? settings.durable : null })
    const refusal = refusalOf(judgement, settings)
    if (starting && refusal !== undefined) throw refusal
    if (starting && judgement.weak.length > 0) {
      events.tell('unsafe', { refusing: false, error: new CacheError('INVALID', judgement.weak.join('; ')) })
    }
    if (refusal !== undefined && this.#refusing === undefined) events.tell('unsafe', { refusing: true, error: refusal })
    this.#refusing = refusal
  }

  #lookIn(ms: number): void {
    const { clock, events } = this.#ports
    this.#cancel()
    if (this.#closed) return
    this.#cancel = clock.after(ms, () => {
      this.#look(false)
        .catch((error: unknown) => events.tell('trouble', { error, what: 'the engine could not be looked at again' }))
        .finally(() => this.#lookIn(this.#refusing === undefined ? lookAgainMs : tryAgainMs * 10))
    })
  }

  /** Two processes that cut the keys differently would have one key in two queues, with no order between them. */
  async #agreeOnPartitions(): Promise<void> {
    const { engine, clock, settings, partitionsKey } = this.#ports
    const commands = [
      ['SET', partitionsKey, `${settings.partitions}`, 'NX'],
      ['GET', partitionsKey],
    ]
    const deadlineAt = clock.monotonic() + settings.deadlineMs
    const answer = await engine.send({
      commands,
      key: partitionsKey,
      deadlineAt,
      kind: 'write',
      idempotent: true,
      patient: true,
    })
    const there = String(answer.replies[1])
    if (there !== `${settings.partitions}`) {
      const message =
        `partitions is ${settings.partitions} here and ${there} in the engine: say the same in all processes; ` +
        `to change it, flush, stop them all, and delete ${partitionsKey}`
      throw new CacheError('INVALID', message, { what: 'partitions', here: settings.partitions, there })
    }
  }

  async #startedInTime(): Promise<void> {
    const { clock, settings } = this.#ports
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      const message = `the engine could not be looked at within ${settings.deadlineMs} ms`
      cancel = clock.after(settings.deadlineMs, () => reject(new CacheError('UNAVAILABLE', message)))
    })
    try {
      await Promise.race([this.ready, late])
    } finally {
      cancel()
    }
  }
}

/** Ends a pause early: the timer is cancelled and whoever waits goes on. */
function stopper(cancel: () => void, goOn: () => void): () => void {
  return () => {
    cancel()
    goOn()
  }
}
