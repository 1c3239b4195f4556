/**
 * A connection is shared by everybody in the process, so nobody may leave it in another state than it was: another
 * database, in the middle of a transaction, subscribed, or silent.
 */
import { CacheError } from '../errors.ts'
import type { Command } from './engine.ts'
import { nameOf } from './replies.ts'

const stateful =
  'AUTH HELLO SELECT RESET QUIT MONITOR WATCH UNWATCH ASKING READONLY READWRITE SYNC PSYNC ' +
  'SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE'
const ofTransactions = 'MULTI EXEC DISCARD'
const ofClients = new Set(['REPLY', 'TRACKING', 'CACHING', 'PAUSE', 'SETNAME', 'NO-EVICT'])

const words = [...stateful.split(' '), ...ofTransactions.split(' '), 'CLIENT']
/** Looked at for every command, so in the two ways of writing that people use. */
const delicate = new Set<unknown>([...words, ...words.map((word) => word.toLowerCase())])
const transaction = new Set(ofTransactions.split(' '))

/** Why the commands may not go over a connection that others use as well; undefined if they may. */
export function whyNotShared(commands: readonly Command[]): CacheError | undefined {
  const [first] = commands
  if (first === undefined) return new CacheError('INVALID', 'a call has at least one command')
  if (commands.length === 1) {
    return 'script' in first || !delicate.has(first[0]) ? undefined : whyNot(commands)
  }
  return whyNot(commands)
}

function whyNot(commands: readonly Command[]): CacheError | undefined {
  let inTransaction = false
  for (const command of commands) {
    const word = nameOf(command)
    const second = 'script' in command ? '' : String(command[1]).toUpperCase()
    if (transaction.has(word)) {
      if (inTransaction !== (word !== 'MULTI')) return refused(word, 'MULTI and EXEC belong into one call')
      inTransaction = word === 'MULTI'
    } else if (word === 'CLIENT' ? ofClients.has(second) : delicate.has(word)) {
      return refused(word, 'it would change a connection that others use as well')
    }
  }
  return inTransaction ? refused('MULTI', 'MULTI and EXEC belong into one call') : undefined
}

function refused(command: string, because: string): CacheError {
  return new CacheError('INVALID', `${command} cannot be sent like this: ${because}`, { command })
}
