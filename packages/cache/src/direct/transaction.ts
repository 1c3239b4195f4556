/**
 * Commands that are run together, with nothing of anybody else in between, or not at all.
 *
 * Where each of them may be repeated they go as MULTI and EXEC. Else they go as one script, which is as indivisible, and
 * remembers its operation.
 */
import { type Argument, type Command, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import { effectOf, wordOf } from './commands.ts'

export const mayBeRepeated = (commands: readonly (readonly Argument[])[]): boolean =>
  commands.every((command) => effectOf(command).kind !== 'once')

export const inMulti = (commands: readonly (readonly Argument[])[]): readonly Command[] => [
  ['MULTI'],
  ...commands,
  ['EXEC'],
]

/** The replies that EXEC brought, or REFUSED with the command that kept the others from being run. */
export function repliesOfExec(
  commands: readonly (readonly Argument[])[],
  replies: readonly unknown[],
): readonly unknown[] {
  const done = replies.at(-1)
  if (Array.isArray(done)) return done
  const at = replies.slice(1, -1).findIndex((reply) => reply instanceof Error)
  const because = at === -1 ? done : replies[at + 1]
  throw notRun(because instanceof Error ? because : new ReplyError('EXECABORT nothing was run'), commands[at])
}

/** Nothing of the transaction was done. */
export function notRun(cause: Error, command?: readonly Argument[]): CacheError {
  const what = command === undefined ? '' : ` for its ${wordOf(command)}`
  return new CacheError('REFUSED', `nothing of the transaction was run${what}: ${cause.message}`, {}, cause)
}
