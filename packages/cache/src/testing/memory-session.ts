import { type Argument, type Command, ReplyError } from '../engine/engine.ts'
import { Blocked } from './memory-keyspace.ts'
import type { MemoryNode, NodeListener } from './memory-node.ts'
import type { Reply } from './reply.ts'

const isScript = (command: Command): command is Exclude<Command, readonly Argument[]> => 'script' in command

/**
 * The commands of one call, one behind the other. What blocks stops it; it goes on from there when there is an answer.
 * A transaction begins and ends within the call: a connection that is shared must not be left in one.
 */
export class MemorySession {
  readonly replies: Reply[] = []
  readonly #node: MemoryNode
  readonly #from: NodeListener
  readonly #commands: readonly Command[]
  #queued: Command[] | null = null
  /** Whether a command was refused when it was queued, so that nothing of the transaction may run. */
  #spoiled = false

  constructor(node: MemoryNode, from: NodeListener, commands: readonly Command[]) {
    this.#node = node
    this.#from = from
    this.#commands = commands
  }

  /** Undefined when all are answered. */
  run(): Blocked | undefined {
    for (;;) {
      const command = this.#commands[this.replies.length]
      if (command === undefined && this.#queued !== null) {
        throw new Error('a transaction ends within the call in which it begins: EXEC or DISCARD is missing')
      }
      if (command === undefined) return undefined
      const reply = this.#answer(command)
      if (reply instanceof Blocked) return reply
      this.replies.push(reply)
    }
  }

  #answer(command: Command): Reply | Blocked {
    const name = isScript(command) ? '' : String(command[0]).toUpperCase()
    if (name === 'MULTI') {
      if (this.#queued !== null) return new ReplyError('ERR MULTI calls can not be nested')
      this.#queued = []
      this.#spoiled = false
      return 'OK'
    }
    if (name === 'EXEC' || name === 'DISCARD') return this.#end(name)
    if (this.#queued === null) return this.#execute(command)
    const objection = isScript(command) ? undefined : this.#node.store.objectionTo(command)
    this.#spoiled ||= objection !== undefined
    this.#queued.push(command)
    return objection ?? 'QUEUED'
  }

  #end(name: 'EXEC' | 'DISCARD'): Reply {
    const queued = this.#queued
    this.#queued = null
    if (queued === null) return new ReplyError(`ERR ${name} without MULTI`)
    if (name === 'DISCARD') return 'OK'
    if (this.#spoiled) return new ReplyError('EXECABORT Transaction discarded because of previous errors.')
    return queued.map((command) => {
      const reply = this.#execute(command)
      return reply instanceof Blocked ? reply.otherwise() : reply
    })
  }

  #execute(command: Command): Reply | Blocked {
    const { store } = this.#node
    if (isScript(command)) {
      return this.#node.runFor(null, () => store.runScript(command.script, command.keys, command.args))
    }
    return this.#node.runFor(this.#from, () => store.run(command))
  }
}
