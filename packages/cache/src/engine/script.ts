import { createHash } from 'node:crypto'
import type { Argument } from './engine.ts'

/** The part of an engine that a script of ours needs; what the memory engine gives its JavaScript form. */
export interface ScriptWorld {
  /** Runs a command inside the script. Throws a ReplyError as `redis.call` does. Strings of replies are bytes. */
  call(...command: Argument[]): unknown
  /** `redis.call('TIME')` as milliseconds since 1970. */
  nowMs(): number
}

/** A script, sent by its digest and loaded where it is missing. */
export interface Script {
  /** A word for people and for traces. */
  readonly name: string
  readonly lua: string
  readonly sha: string
  /** The same in JavaScript, for the engine in memory; the contract suite runs both. */
  readonly inMemory: (world: ScriptWorld, keys: readonly string[], args: readonly Buffer[]) => unknown
}

export function defineScript({ name, lua, inMemory }: Omit<Script, 'sha'>): Script {
  return { name, lua, inMemory, sha: createHash('sha1').update(lua).digest('hex') }
}
