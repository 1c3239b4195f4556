/**
 * Writes that the engine takes at once and the store gets a moment later, so that a slow or absent store slows nobody
 * down, and a key that is written a hundred times is saved once.
 *
 * The promise: what was acknowledged is not lost by the death of any one process or node, and the store ends up with the
 * latest acknowledged value of every key. It stands on three things. A value, its version and its place in the queue are
 * written by one script (`accept-script.ts`), and acknowledged when as many copies as wanted have them. Nothing leaves
 * the queue before the store has it (`consumer.ts`). And the store changes nothing when it is given a version that is
 * not newer than its own, so whatever is saved twice, late or by a zombie does no harm.
 */
import type { Clock } from '../clock.ts'
import type { Codec } from '../codec.ts'
import type { Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { checkKey } from '../keys.ts'
import type { Store } from '../store.ts'
import { askPartitions, cacheErrorOf } from './ask.ts'
import { Consumer } from './consumer.ts'
import { DeadLetters } from './dead-letters.ts'
import { Events, type WriteBehindEvents, type WriteBehindListener, type WriteBehindListeners } from './events.ts'
import { Guard } from './guard.ts'
import { newId } from './ids.ts'
import { Leases } from './leases.ts'
import { Losses } from './losses.ts'
import { type Partition, Partitions } from './partitions.ts'
import { type WriteBehindOptions, type WriteBehindSettings, withinMsOf, writeBehindSettings } from './settings.ts'
import { Sink } from './sink.ts'
import { scored } from './taking.ts'
import { type Write, Writer } from './writer.ts'

export interface WriteBehindPorts<T> {
  readonly engine: Engine
  readonly store: Store<T>
  /** First part of all names in the engine, such as `shop:w:`. One for each store, and without braces. */
  readonly prefix: string
  readonly codec: Codec
  readonly clock: Clock
  readonly options?: WriteBehindOptions
  readonly events?: WriteBehindListeners
}

export interface WriteBehind<T> {
  /** Resolves when the engine was found to keep what it is given; rejects with what is wrong and what to do. */
  readonly ready: Promise<void>
  /**
   * Resolves when the write is safe. Throws UNAVAILABLE or OVERLOADED when nothing was done, and INDETERMINATE when it may
   * have been: then ask again with the same `operation` (it is in the error's facts), which changes nothing twice.
   */
  set(key: string, value: T, options?: { readonly operation?: string }): Promise<{ readonly version: number }>
  /** Removes it, as safely: the store keeps a tombstone with the version, so that no older write brings it back. */
  delete(key: string, options?: { readonly operation?: string }): Promise<{ readonly version: number }>
  /**
   * What was written last, whether the store has it already or not. Throws UNAVAILABLE when the engine does not answer:
   * what the store has may be older then. With `allowStale` that is good enough.
   */
  get(key: string, options?: { readonly allowStale?: boolean }): Promise<T | undefined>
  /**
   * Resolves when the store has everything that was acknowledged before the call, by any process. What is put aside is not
   * waited for: `parked` says how many keys. UNAVAILABLE after `withinMs` (default 30 s).
   */
  flush(options?: { readonly withinMs?: number }): Promise<{ readonly parked: number }>
  /**
   * Takes no more writes, answers those under way, finishes the batch in hand within `withinMs` (default 5 s) and hands
   * its partitions over. What is queued stays in the engine for others, or for the next start: `flush` first where
   * there is none. The engine is not closed.
   */
  close(options?: { readonly withinMs?: number }): Promise<void>
  readonly deadLetters: Pick<DeadLetters, 'list' | 'replay' | 'discard'>
  stats(): Promise<WriteBehindStats>
  /** Answers how to stop listening. */
  on<E extends keyof WriteBehindEvents>(event: E, listener: WriteBehindListener<E>): () => void
}

export interface WriteBehindStats {
  /** Keys that the store does not have yet, without the parked ones. */
  readonly queued: number
  /** Those of them whose save failed and is tried again. */
  readonly retrying: number
  /** Keys put aside: the dead letters. */
  readonly parked: number
  /** For how long the oldest write has been waiting that nothing has gone wrong with yet; 0 if there is none. */
  readonly oldestMs: number
  /** How old the oldest write of this process's latest save was when the store took it. */
  readonly lagMs: number
  /** Partitions that this process saves. */
  readonly owned: number
}

export function openWriteBehind<T>(ports: WriteBehindPorts<T>): WriteBehind<T> {
  return new EngineWriteBehind(ports)
}

const flushLookMs = 20

class EngineWriteBehind<T> implements WriteBehind<T> {
  readonly deadLetters: DeadLetters
  readonly #ports: WriteBehindPorts<T>
  readonly #settings: WriteBehindSettings
  readonly #events = new Events()
  readonly #partitions: Partitions
  readonly #guard: Guard
  readonly #writer: Writer
  readonly #sink: Sink<T>
  readonly #leases: Leases
  readonly #consumer: Consumer
  readonly #stopListening: () => void
  readonly #ended = new AbortController()
  #consuming = false
  #closing: Promise<void> | undefined

  constructor(ports: WriteBehindPorts<T>) {
    const { engine, clock, codec, store, prefix } = ports
    if (prefix === '' || /[{}]/.test(prefix)) {
      throw new CacheError('INVALID', 'the prefix of a write-behind is not empty and has no braces', { what: 'prefix' })
    }
    this.#ports = ports
    const settings = writeBehindSettings(ports.options)
    this.#settings = settings
    const events = this.#events
    for (const [name, listener] of Object.entries(ports.events ?? {})) {
      events.on(name as keyof WriteBehindEvents, listener as (event: unknown) => void)
    }
    const partitions = new Partitions(prefix, settings.partitions)
    this.#partitions = partitions
    const losses = new Losses((loss) => events.tell('lost', loss))
    const lane = settings.durable === null ? engine : engine.lane('durable')
    this.#writer = new Writer({ engine: lane, clock, settings, partitions, losses })
    this.#sink = new Sink({ store, codec, clock, deadlineMs: settings.saveDeadlineMs })
    this.#leases = new Leases({
      engine,
      clock,
      events,
      losses,
      partitions,
      members: `${prefix}members`,
      owner: newId(clock),
      leaseMs: settings.leaseMs,
    })
    this.#consumer = new Consumer({ engine, clock, events, losses, leases: this.#leases, sink: this.#sink, settings })
    this.deadLetters = new DeadLetters({ engine, clock, partitions, deadlineMs: settings.deadlineMs })
    this.#guard = new Guard({ engine, clock, events, settings, partitionsKey: `${prefix}partitions` })
    this.#stopListening = engine.on('moved', () => {
      this.#writer.regroup()
      this.#guard.moved()
    })
    void this.#guard.ready.then(
      () => this.#consume(),
      () => undefined,
    )
  }

  get ready(): Promise<void> {
    return this.#guard.ready
  }

  async set(
    key: string,
    value: T,
    { operation }: { readonly operation?: string } = {},
  ): Promise<{ readonly version: number }> {
    const { codec } = this.#ports
    const checked = checkKey(key)
    if (value === undefined) throw new CacheError('INVALID', 'set needs a value: call delete to remove a key', { key })
    const bytes = codec.encode(value)
    const { maxValueBytes } = this.#settings
    if (bytes.length > maxValueBytes) {
      const message = `the value of ${JSON.stringify(key)} has ${bytes.length} bytes, and maxValueBytes is ${maxValueBytes}`
      throw new CacheError('TOO_LARGE', message, { key, bytes: bytes.length, maxValueBytes })
    }
    return this.#write({ key: checked, value: { bytes, codec: codec.id }, operation: this.#operation(operation) })
  }

  async delete(
    key: string,
    { operation }: { readonly operation?: string } = {},
  ): Promise<{ readonly version: number }> {
    return this.#write({ key: checkKey(key), value: undefined, operation: this.#operation(operation) })
  }

  async get(key: string, { allowStale = false }: { readonly allowStale?: boolean } = {}): Promise<T | undefined> {
    const { engine, clock } = this.#ports
    const entry = this.#partitions.of(checkKey(key)).entry(key)
    const commands = [['HMGET', entry, 'version', 'deleted', 'value', 'codec']]
    const deadlineAt = clock.monotonic() + this.#settings.deadlineMs
    try {
      const patient = !allowStale
      const { replies } = await engine.send({ commands, key: entry, deadlineAt, kind: 'read', bytes: true, patient })
      const [version, deleted, value, codec] = replies[0] as (Buffer | null)[]
      if (version !== null && version !== undefined) {
        return String(deleted) === '1' ? undefined : this.#decode(key, value, codec)
      }
    } catch (error) {
      if (!allowStale || !cacheErrorOf(error).retry) throw error
    }
    return this.#sink.load(key, this.#ended.signal)
  }

  on<E extends keyof WriteBehindEvents>(event: E, listener: WriteBehindListener<E>): () => void {
    return this.#events.on(event, listener)
  }

  async stats(): Promise<WriteBehindStats> {
    const seen = await this.#look(({ queue, later, parked }) => [
      ['TIME'],
      ['ZCARD', queue],
      ['ZCARD', later],
      ['ZCARD', parked],
      ['ZRANGE', queue, '0', '0', 'WITHSCORES'],
    ])
    let [queued, retrying, parked, oldestMs] = [0, 0, 0, 0]
    for (const [time, inQueue, later, aside, first] of seen) {
      queued += Number(inQueue) + Number(later)
      retrying += Number(later)
      parked += Number(aside)
      const [oldest] = scored(first)
      if (oldest !== undefined) oldestMs = Math.max(oldestMs, engineMs(time) - oldest.score)
    }
    return { queued, retrying, parked, oldestMs, lagMs: this.#consumer.lagMs, owned: this.#leases.owned().length }
  }

  async flush({ withinMs = 30_000 }: { readonly withinMs?: number } = {}): Promise<{ readonly parked: number }> {
    const { clock } = this.#ports
    const endsAt = clock.monotonic() + withinMsOf(withinMs)
    const startedAt = (await this.#look(() => [['TIME']])).map(([time]) => engineMs(time))
    for (;;) {
      this.#ended.signal.throwIfAborted()
      this.#consumer.hurry()
      const seen = await this.#look(({ number, queue, later, parked }) => [
        ['ZCOUNT', queue, '-inf', `${startedAt[number] ?? 0}`],
        ['ZCARD', later],
        ['ZCARD', parked],
      ])
      const left = seen.reduce((sum, [queued, later]) => sum + Number(queued) + Number(later), 0)
      const parked = seen.reduce((sum, [, , aside]) => sum + Number(aside), 0)
      if (left === 0) return { parked }
      if (clock.monotonic() >= endsAt) {
        const message = `${left} keys could not be saved within ${withinMs} ms: they are queued still`
        throw new CacheError('UNAVAILABLE', message, { left, parked, withinMs })
      }
      await new Promise<void>((resolve) => clock.after(flushLookMs, resolve))
    }
  }

  async close({ withinMs = 5000 }: { readonly withinMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(withinMsOf(withinMs))
    return this.#closing
  }

  async #close(withinMs: number): Promise<void> {
    this.#stopListening()
    this.#guard.close()
    await this.#guard.ready.catch(() => undefined)
    await this.#writer.close()
    if (this.#consuming) {
      await this.#consumer.close(withinMs)
      await this.#leases.close()
    }
    this.#ended.abort(new CacheError('CLOSED', 'the write-behind is closed'))
  }

  #consume(): void {
    if (!this.#settings.consume || this.#closing !== undefined) return
    this.#consuming = true
    this.#leases.start()
    void this.#leases.settled.then(() => this.#consumer.start())
  }

  async #write(write: Write): Promise<{ readonly version: number }> {
    if (this.#closing !== undefined) throw new CacheError('CLOSED', 'the write-behind is closed')
    await this.#guard.pass()
    return this.#writer.write(write)
  }

  #operation(operation: string | undefined): string {
    if (operation === undefined) return newId(this.#ports.clock)
    if (typeof operation !== 'string' || !/^[!-~]{1,200}$/.test(operation)) {
      throw new CacheError('INVALID', 'an operation is a name of 1 to 200 visible ASCII characters', {
        what: 'operation',
      })
    }
    return operation
  }

  #decode(key: string, value: Buffer | null | undefined, codec: Buffer | null | undefined): T {
    const own = this.#ports.codec
    if (value === null || value === undefined || String(codec) !== String(own.id)) {
      throw new CacheError(
        'INVALID',
        `the value was written by codec ${String(codec)}, and this process has ${own.id}`,
        { key },
      )
    }
    return own.decode(value) as T
  }

  /** The replies of every partition, in their order. */
  async #look(
    commandsOf: (partition: Partition) => readonly (readonly string[])[],
  ): Promise<readonly (readonly unknown[])[]> {
    const { engine, clock } = this.#ports
    const asked = this.#partitions.all.map((partition) => ({ partition, commands: commandsOf(partition) }))
    const deadlineAt = clock.monotonic() + this.#settings.deadlineMs
    const answers = await askPartitions(engine, asked, { deadlineAt, kind: 'read' })
    return answers.map((answer) => {
      if (answer instanceof CacheError) throw answer
      return answer
    })
  }
}

function engineMs(time: unknown): number {
  const [seconds, micros] = (time as Buffer[]).map((part) => Number(String(part)))
  return (seconds ?? 0) * 1000 + Math.floor((micros ?? 0) / 1000)
}
