/**
 * Calls that have no source behind them: sessions, counters, limiters, streams. Nobody can load what the engine lost, so
 * they wait longer than reads through the cache, are never swallowed, and where nobody can say whether a write was done
 * they say exactly that.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { type Duration, durationMs } from '../duration.ts'
import type { Answer, Argument, Command, Engine } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type {
  CommandOptions,
  Direct,
  DirectCallOptions,
  DirectCalls,
  DirectWriteOptions,
  IncrementOptions,
  ScriptOptions,
  SetOptions,
  Told,
  TransactionOptions,
} from './calls.ts'
import { openChannel } from './channel.ts'
import { blocksFor, checkArgument, checkCommand, effectOf, wordOf } from './commands.ts'
import { checkOperation, type TagNames, tagNames } from './names.ts'
import * as operations from './operations.ts'
import { Sending } from './sending.ts'
import { type DirectOptions, directSettings } from './settings.ts'
import { inMulti, mayBeRepeated, repliesOfExec } from './transaction.ts'

export interface DirectPorts {
  readonly engine: Engine
  readonly clock: Clock
  /** What all keys begin with, such as `shop:d:/`. Without braces. */
  readonly prefix: string
  readonly options?: DirectOptions
}

export function openDirect({ engine, clock, prefix, options }: DirectPorts): DirectCalls {
  const settings = directSettings(options)
  const sending = new Sending(engine, clock, settings)
  const newOperation = operationIds()
  return {
    on: (tag) => new DirectOnTag(sending, tagNames(prefix, tag), newOperation, settings.rememberMs),
    channel: (name) =>
      openChannel({ engine, name: prefix + name, deadlineAt: () => clock.monotonic() + settings.withinMs }),
    get waiting() {
      return sending.waiting
    },
  }
}

/** Never the same in two processes, whatever clock and chance a test hands in. */
function operationIds(): () => string {
  const start = randomBytes(12).toString('base64url')
  let count = 0
  return () => `${start}.${(count++).toString(36)}`
}

const incrementScript: operations.ScriptDefinition = {
  name: 'increment',
  lua: `
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if ARGV[2] ~= '0' and redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count`,
  inMemory(world, [key = ''], [by, ttlMs]) {
    const count = world.call('INCRBY', key, by as Buffer)
    if (String(ttlMs) !== '0' && Number(world.call('PTTL', key)) < 0) world.call('PEXPIRE', key, ttlMs as Buffer)
    return count
  },
}

/** Commands that have no key and go to any node of the tag. */
const keyless = new Set(['PING', 'TIME', 'ECHO', 'DBSIZE', 'PUBLISH'])

class DirectOnTag implements Direct {
  readonly #sending: Sending
  readonly #names: TagNames
  readonly #newOperation: () => string
  readonly #rememberMs: number

  constructor(sending: Sending, names: TagNames, newOperation: () => string, rememberMs: number) {
    this.#sending = sending
    this.#names = names
    this.#newOperation = newOperation
    this.#rememberMs = rememberMs
  }

  get tag(): string {
    return this.#names.tag
  }

  key(name: string): string {
    return this.#names.key(name)
  }

  async get(name: string, options: DirectCallOptions = {}): Promise<string | undefined> {
    return (await this.call<string | null>(['GET', this.key(name)], options)) ?? undefined
  }

  async getJson<T = unknown>(name: string, options?: DirectCallOptions): Promise<T | undefined> {
    const text = await this.get(name, options)
    if (text === undefined) return undefined
    try {
      return JSON.parse(text) as T
    } catch {
      throw new CacheError('UNENCODABLE', `what stands under ${name} is no JSON: read it with get()`, { name })
    }
  }

  async set(name: string, text: string, { ttl, when, ...options }: SetOptions = {}): Promise<boolean> {
    if (typeof text !== 'string') {
      throw new CacheError('INVALID', 'set() takes a string; for anything else there is setJson()', { name })
    }
    const end = ttl === undefined ? [] : ['PX', lifeMs(ttl)]
    const condition = when === undefined ? [] : [when === 'absent' ? 'NX' : 'XX']
    return (await this.call(['SET', this.key(name), text, ...end, ...condition], options)) !== null
  }

  async setJson(name: string, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.set(name, jsonOf(name, value), options)
  }

  async delete(name: string, options: DirectWriteOptions = {}): Promise<void> {
    await this.call(['DEL', this.key(name)], options)
  }

  async expire(name: string, ttl: Duration, options: DirectWriteOptions = {}): Promise<boolean> {
    return (await this.call(['PEXPIRE', this.key(name), lifeMs(ttl)], options)) === 1
  }

  async increment(name: string, by = 1, { ttl, ...options }: IncrementOptions = {}): Promise<number> {
    if (!Number.isSafeInteger(by)) throw new CacheError('INVALID', 'a counter grows by a whole number', { name })
    return this.script<number>(incrementScript, [name], [by, ttl === undefined ? 0 : lifeMs(ttl)], options)
  }

  call<T = unknown>(command: Given, options: CommandOptions & { readonly meta: true }): Promise<Told<T>>
  call<T = unknown>(command: Given, options?: CommandOptions): Promise<T>
  async call(given: Given, options: CommandOptions = {}): Promise<unknown> {
    const command = checkCommand(given)
    const word = wordOf(command)
    const effect = effectOf(command).kind
    const kind = options.kind ?? (effect === 'read' ? 'read' : 'write')
    const blocksMs = blocksFor(command)
    if (blocksMs !== undefined && options.lane === undefined) {
      const what = `${word} keeps its connection waiting: say lane: 'NAME' for one of its own`
      throw new CacheError('INVALID', what, { command: word })
    }
    const keys = options.keys ?? this.#names.keysAmong(command)
    if (keys.length === 0 && options.keys === undefined && !keyless.has(word)) {
      const what = `${word} has no key of ${this.tag}: name keys by key('...'), or say keys`
      throw new CacheError('INVALID', what, { command: word })
    }
    const sent = { key: keys[0] ?? this.#names.operationKey(''), bytes: options.bytes, lane: options.lane, blocksMs }
    if (kind === 'read') {
      const answer = await this.#sending.read({ ...sent, commands: [command] }, options)
      return options.meta === true ? told(answer) : answer.replies[0]
    }
    if (options.readReplica === true || options.meta === true) {
      const what = `${word} is a write: readReplica and meta are for reads (say kind: 'read' if it is one)`
      throw new CacheError('INVALID', what, { command: word })
    }
    const repeatable = options.repeatable ?? effect === 'repeatable'
    // A script does not wait, so a command that does is sent as it is.
    if (blocksMs !== undefined) {
      if (!repeatable && this.#sending.durable(options) !== null) {
        throw new CacheError('INVALID', `${word} waits, and what waits cannot be durable`, { command: word })
      }
      const again = repeatable ? 'repeatable' : 'unknown'
      return (await this.#sending.write({ ...sent, commands: [command] }, again, { ...options, durable: false }))[0]
    }
    if (!this.#mustBeOnce(options, repeatable)) {
      return (await this.#sending.write({ ...sent, commands: [command] }, 'repeatable', options))[0]
    }
    const operation = this.#operation(options)
    const commands = [operations.sendCommandOnce(operation, command, keys)]
    return (await this.#sending.write({ ...sent, commands }, operation, options))[0]
  }

  async transaction<T extends readonly unknown[] = readonly unknown[]>(
    given: readonly Given[],
    options: TransactionOptions = {},
  ): Promise<T> {
    const commands = given.map(checkCommand)
    const keys = options.keys ?? [...new Set(commands.flatMap((command) => this.#names.keysAmong(command)))]
    const [key] = keys
    if (key === undefined) {
      const what = `no key of ${this.tag} in this transaction: name keys by key('...'), or say keys`
      throw new CacheError('INVALID', what, { commands: commands.length })
    }
    if (!this.#mustBeOnce(options, mayBeRepeated(commands))) {
      const replies = await this.#sending.write({ commands: inMulti(commands), key }, 'repeatable', options)
      return repliesOfExec(commands, replies) as T
    }
    const operation = this.#operation(options)
    const command = operations.sendCommandsOnce(operation, commands, keys)
    const [pairs] = await this.#sending.write({ commands: [command], key }, operation, options)
    return operations.repliesOfCommands(pairs) as T
  }

  async script<T = unknown>(
    definition: operations.ScriptDefinition,
    names: readonly string[],
    given: readonly (Argument | number)[] = [],
    options: ScriptOptions = {},
  ): Promise<T> {
    const keys = names.map((name) => this.key(name))
    const args = given.map((arg, at) => checkArgument(arg, definition.name, at))
    const sent = { key: keys[0] ?? this.#names.operationKey(''), bytes: options.bytes }
    const plain = (): Command => ({ script: operations.plainScript(definition), keys, args })
    if (options.kind === 'read') {
      return (await this.#sending.read({ ...sent, commands: [plain()] }, options)).replies[0] as T
    }
    if (!this.#mustBeOnce(options, options.repeatable ?? false)) {
      return (await this.#sending.write({ ...sent, commands: [plain()] }, 'repeatable', options))[0] as T
    }
    const operation = this.#operation(options)
    const commands = [operations.sendScriptOnce(operation, definition, keys, args)]
    return (await this.#sending.write({ ...sent, commands }, operation, options))[0] as T
  }

  /** A durable write has to leave a trace each time it is sent, and the memory of operations is one. */
  #mustBeOnce(options: DirectWriteOptions, repeatable: boolean): boolean {
    return !repeatable || options.operation !== undefined || this.#sending.durable(options) !== null
  }

  #operation({ operation }: DirectWriteOptions): operations.Operation {
    const id = operation === undefined ? this.#newOperation() : checkOperation(operation)
    const key = this.#names.operationKey(id)
    return { id, givenByCaller: operation !== undefined, key, rememberMs: this.#rememberMs }
  }
}

type Given = readonly (Argument | number)[]

const told = ({ replies, role, link }: Answer): Told<unknown> => ({ value: replies[0], role, node: link.node })

function jsonOf(name: string, value: unknown): string {
  let cause: unknown
  try {
    const text = JSON.stringify(value) as string | undefined
    if (text !== undefined) return text
  } catch (error) {
    cause = error
  }
  throw new CacheError('UNENCODABLE', `the value for ${name} has no JSON form`, { name }, cause)
}

function lifeMs(ttl: Duration): number {
  const ms = durationMs(ttl, 'ttl')
  if (ms >= 1) return ms
  throw new CacheError('INVALID', 'ttl is at least a millisecond; to remove a key there is delete()', { what: 'ttl' })
}
