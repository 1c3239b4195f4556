/**
 * Takes writes to the engine and answers when they are safe.
 *
 * Writes of one moment travel together: to each node one call, their scripts and behind them one `WAIT` that covers them
 * all, on the lane that durable writes alone use. While a call is under way the next writes gather, so that under load
 * one `WAIT` covers many and a slow copy does not multiply.
 *
 * A call may be sent again as a whole by the engine's own retries: the operations in it are known the second time, and
 * still written a little, so that the `WAIT` behind them counts on whichever connection it comes over.
 */
import type { Clock } from '../clock.ts'
import { type Argument, type Command, type Engine, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { type Acceptance, acceptance, acceptKeys, acceptScript } from './accept-script.ts'
import { cacheErrorOf, refusal } from './ask.ts'
import { newId } from './ids.ts'
import type { Losses } from './losses.ts'
import type { Partition, Partitions } from './partitions.ts'
import type { WriteBehindSettings } from './settings.ts'

export interface WriterPorts {
  /** The lane of durable writes. */
  readonly engine: Engine
  readonly clock: Clock
  readonly settings: WriteBehindSettings
  readonly partitions: Partitions
  readonly losses: Losses
}

/** Undefined bytes remove the key. */
export interface Write {
  readonly key: string
  readonly value: { readonly bytes: Buffer; readonly codec: number } | undefined
  readonly operation: string
}

interface Waiting extends Write {
  readonly partition: Partition
  readonly deadlineAt: number
  /** Whether it may be in the engine already. */
  sent: boolean
  readonly settle: (result: { readonly version: number } | CacheError) => void
}

/** Writes to one node, or where the engine knows no better, to one partition. */
interface Line {
  readonly waiting: Set<Waiting>
  busy: boolean
}

const batchMax = 500
const graceMs = 50
const roomAgainMs = { from: 10, upTo: 200 }

export class Writer {
  readonly #ports: WriterPorts
  #lines = new Map<number, Line>()
  #lineOf: readonly number[] = []
  #waiting = 0
  #closed = false
  readonly #name: string
  #born = 0

  constructor(ports: WriterPorts) {
    this.#ports = ports
    this.#name = newId(ports.clock)
    this.regroup()
  }

  /** The nodes have changed: which partitions travel together is found out again. */
  regroup(): void {
    const { engine, partitions } = this.#ports
    const lineOf: number[] = []
    for (const [line, indexes] of engine.group(partitions.all.map(({ state }) => state)).entries()) {
      for (const index of indexes) lineOf[index] = line
    }
    const waiting = [...this.#lines.values()].flatMap((line) => [...line.waiting])
    for (const line of this.#lines.values()) line.waiting.clear()
    this.#lines = new Map()
    this.#lineOf = lineOf
    for (const write of waiting) this.#queue(write)
  }

  /** Answers the version, or throws: INDETERMINATE with the operation if it may have been done. */
  write(write: Write): Promise<{ readonly version: number }> {
    const { clock, settings, partitions } = this.#ports
    if (this.#closed) return Promise.reject(new CacheError('CLOSED', 'the write-behind is closed'))
    if (this.#waiting >= settings.maxWaiting) {
      const message = `${this.#waiting} writes wait for the engine already: try again later, or raise maxWaiting`
      return Promise.reject(new CacheError('OVERLOADED', message, { waiting: this.#waiting }))
    }
    return new Promise((resolve, reject) => {
      this.#waiting++
      let settled = false
      const settle: Waiting['settle'] = (result) => {
        if (settled) return
        settled = true
        this.#waiting--
        cancel()
        this.#lineAt(waiting.partition).waiting.delete(waiting)
        if (result instanceof CacheError) reject(result)
        else resolve(result)
      }
      const waiting: Waiting = {
        ...write,
        partition: partitions.of(write.key),
        deadlineAt: clock.monotonic() + settings.deadlineMs,
        sent: false,
        settle,
      }
      const end = (): void => settle(tooLate(waiting, settings.deadlineMs))
      let cancel = clock.after(settings.deadlineMs, () => {
        if (!waiting.sent) return end()
        // The engine answers by the same deadline, and knows better whether anything was done.
        cancel = clock.after(graceMs, end)
      })
      this.#queue(waiting)
    })
  }

  /** Takes no more. What is under way is answered. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#waiting > 0) await new Promise<void>((resolve) => this.#ports.clock.after(5, resolve))
  }

  #lineAt(partition: Partition): Line {
    const number = this.#lineOf[partition.number] ?? 0
    const found = this.#lines.get(number) ?? { waiting: new Set(), busy: false }
    this.#lines.set(number, found)
    return found
  }

  #queue(write: Waiting): void {
    const line = this.#lineAt(write.partition)
    line.waiting.add(write)
    // The rest of this tick may bring more for the same call.
    if (!line.busy) queueMicrotask(() => this.#start(line))
  }

  #start(line: Line): void {
    if (line.busy || line.waiting.size === 0) return
    line.busy = true
    const writes = [...line.waiting].slice(0, batchMax)
    for (const write of writes) {
      line.waiting.delete(write)
      write.sent = true
    }
    void this.#send(writes)
      // An answer that is not understood says nothing of what was done.
      .catch((error: unknown) => {
        const unknown = new CacheError('INDETERMINATE', 'the engine answered something else than it should', {}, error)
        for (const write of writes) write.settle(about(write, unknown))
      })
      .finally(() => {
        line.busy = false
        this.#start(line)
      })
  }

  /** Every write hears for itself. */
  async #send(writes: readonly Waiting[]): Promise<void> {
    const { engine, clock, settings, losses } = this.#ports
    const { durable } = settings
    const deadlineAt = Math.max(...writes.map((write) => write.deadlineAt))
    const waitMs =
      durable === null ? 0 : Math.max(1, Math.min(durable.withinMs, Math.floor(deadlineAt - clock.monotonic())))
    const wait = durable === null ? [] : [['WAIT', `${durable.copies}`, `${waitMs}`]]
    const promised = writes.map(({ partition }) => losses.acknowledged(partition.number))
    let replies: readonly unknown[]
    try {
      const commands = [...writes.map((write) => this.#command(write)), ...wait]
      const key = writes[0]?.partition.state ?? null
      const answer = await engine.send({ commands, key, deadlineAt, kind: 'write', idempotent: true, patient: true })
      replies = answer.replies
    } catch (error) {
      for (const write of writes) write.settle(about(write, cacheErrorOf(error)))
      return
    }
    const copies = durable === null ? 0 : Number(replies[writes.length])
    for (const [index, write] of writes.entries()) {
      const reply = replies[index]
      if (reply instanceof ReplyError) write.settle(about(write, refusal(reply)))
      else this.#answer(write, acceptance(reply), promised[index] ?? 0, copies)
    }
  }

  #answer(write: Waiting, accepted: Acceptance, promised: number, copies: number): void {
    const { settings, losses, clock } = this.#ports
    const { number } = write.partition
    losses.saw(number, { life: accepted.life, last: accepted.before, unsaved: accepted.unsaved }, promised)
    if (accepted.status === 'full') {
      write.sent = false
      const pauseMs = roomAgainMs.from + clock.random() * (roomAgainMs.upTo - roomAgainMs.from)
      clock.after(pauseMs, () => {
        if (clock.monotonic() < write.deadlineAt) this.#queue(write)
      })
      return
    }
    const wanted = settings.durable?.copies ?? 0
    if (!(copies >= wanted)) {
      write.settle(
        about(
          write,
          new CacheError(
            'INDETERMINATE',
            `only ${copies} of ${wanted} copies have it so far: ask again with the same operation, or look`,
            { wanted, got: copies },
          ),
        ),
      )
      return
    }
    losses.acknowledge(number, accepted.version)
    write.settle({ version: accepted.version })
  }

  #command({ partition, key, value, operation }: Waiting): Command {
    const { settings } = this.#ports
    const args: Argument[] = [
      key,
      operation,
      value === undefined ? '1' : '0',
      value?.bytes ?? '',
      `${value?.codec ?? 0}`,
      `${settings.maxQueued}`,
      // A name of its own each time: the next life of a partition must not be called like the one before.
      `${this.#name}.${this.#born++}`,
      `${settings.rememberMs}`,
    ]
    return { script: acceptScript, keys: acceptKeys(partition, key), args }
  }
}

function tooLate(write: Waiting, deadlineMs: number): CacheError {
  return about(
    write,
    write.sent
      ? new CacheError(
          'INDETERMINATE',
          `no acknowledgement within ${deadlineMs} ms: ask again with the same operation, or look`,
        )
      : new CacheError('UNAVAILABLE', `no room within ${deadlineMs} ms: the engine or the store does not keep up`),
  )
}

/** The same error with what the caller needs for a retry. */
function about({ operation, key }: Write, { code, message, facts, cause }: CacheError): CacheError {
  return new CacheError(code, message, { ...facts, operation, key }, cause)
}
