import { type Argument, ReplyError } from '../engine/engine.ts'
import type { Script } from '../engine/script.ts'
import { consumerGroupCommands } from './memory-consumer-groups.ts'
import { hashCommands } from './memory-hashes.ts'
import { keyCommands } from './memory-keys.ts'
import { Blocked, type CommandTable, Keyspace, type KeyspaceOptions, type MemoryCommand } from './memory-keyspace.ts'
import { listCommands, setCommands } from './memory-lists-and-sets.ts'
import { sortedSetCommands } from './memory-sorted-sets.ts'
import { streamReadCommands } from './memory-stream-reads.ts'
import { streamCommands } from './memory-streams.ts'
import { stringCommands } from './memory-strings.ts'
import { forScript, fromScript, type Reply } from './reply.ts'

const commandsOnValues: CommandTable = {
  ...keyCommands,
  ...stringCommands,
  ...hashCommands,
  ...listCommands,
  ...setCommands,
  ...sortedSetCommands,
  ...streamCommands,
  ...streamReadCommands,
  ...consumerGroupCommands,
}

export interface MemoryStoreOptions extends KeyspaceOptions {
  /** Whether commands that need more memory are refused. */
  readonly isFull: () => boolean
  /** Whether the keys live here, and together; an error reply if not. */
  readonly objection: (keys: readonly Buffer[]) => ReplyError | undefined
  /** What the node answers about itself. */
  readonly ownCommands: CommandTable
}

/** The data of one node and what can be done to it: commands on values, and scripts over them. */
export class MemoryStore {
  readonly keyspace: Keyspace
  readonly #options: MemoryStoreOptions

  constructor(options: MemoryStoreOptions) {
    this.#options = options
    this.keyspace = new Keyspace(options)
  }

  /** What is wrong with a command before it is run: nobody knows it, or it lacks arguments. */
  objectionTo(command: readonly Argument[]): ReplyError | undefined {
    const found = this.#find(command)
    return found instanceof ReplyError ? found : undefined
  }

  /** Error replies are values here, so that those behind it in a transaction still run. */
  run(command: readonly Argument[]): Reply | Blocked {
    this.keyspace.tick()
    return this.#run(command)
  }

  #run(command: readonly Argument[]): Reply | Blocked {
    const found = this.#find(command)
    if (found instanceof ReplyError) return found
    const args = command.slice(1).map(bytesOf)
    const objection = this.#options.objection(found.keys(args))
    if (objection !== undefined) return objection
    if (found.grows === true && this.#options.isFull()) {
      return new ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
    }
    try {
      return found.run(this.keyspace, args)
    } catch (error) {
      if (error instanceof ReplyError) return error
      throw error
    }
  }

  /** Nothing else happens in between, and time stands still, as for a script in Lua. */
  runScript(script: Script, keys: readonly string[], args: readonly Argument[]): Reply {
    const notHere = this.#options.objection(keys.map((key) => Buffer.from(key)))
    if (notHere !== undefined) return notHere
    this.keyspace.tick()
    const world = {
      nowMs: () => this.keyspace.now(),
      call: (...command: Argument[]): unknown => {
        const objection = this.objectionTo(command)
        if (objection?.message.startsWith('ERR wrong number')) {
          throw new ReplyError('ERR Wrong number of args calling Redis command from script')
        }
        const reply = this.#run(command)
        if (reply instanceof ReplyError) throw reply
        return forScript(reply instanceof Blocked ? reply.otherwise() : reply)
      },
    }
    try {
      return fromScript(script.inMemory(world, keys, args.map(bytesOf)))
    } catch (error) {
      if (error instanceof ReplyError) return error
      return new ReplyError(`ERR script ${script.name}: ${String(error)}`, { cause: error })
    }
  }

  #find(command: readonly Argument[]): MemoryCommand | ReplyError {
    const name = String(command[0] ?? '')
    const upper = name.toUpperCase()
    const found = Object.hasOwn(this.#options.ownCommands, upper)
      ? this.#options.ownCommands[upper]
      : Object.hasOwn(commandsOnValues, upper)
        ? commandsOnValues[upper]
        : undefined
    if (found === undefined) return new ReplyError(`ERR unknown command '${name}': the memory engine does not have it`)
    const fits = found.arity < 0 ? command.length >= -found.arity : command.length === found.arity
    return fits ? found : new ReplyError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`)
  }
}

function bytesOf(argument: Argument): Buffer {
  if (typeof argument !== 'string' && !Buffer.isBuffer(argument)) {
    throw new TypeError('a command is made of strings and Buffers')
  }
  return Buffer.from(argument)
}
