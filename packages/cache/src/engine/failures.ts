/** How a call ends that was not answered. Sentences name the node and the command, never a key or a value. */
import { CacheError } from '../errors.ts'
import type { Call, ReplyError } from './engine.ts'
import type { Flight } from './flight.ts'
import { nameOf } from './replies.ts'

/** The command's word, never its arguments. */
export function describe({ commands }: Call): string {
  const [first] = commands
  if (first === undefined) return 'nothing'
  const word = 'script' in first ? `the script ${first.script.name}` : nameOf(first)
  return commands.length === 1 ? word : `${word} and ${commands.length - 1} more`
}

/** Nothing was done, unless an earlier try may have been. */
export function unavailable(flight: Flight): CacheError {
  if (flight.uncertain) return indeterminate(flight)
  const { node, command, because } = factsOf(flight)
  return new CacheError('UNAVAILABLE', `${node} did not do ${command}: ${because}`, { node, command }, flight.last)
}

export function indeterminate(flight: Flight): CacheError {
  const { node, command, because } = factsOf(flight)
  const message = `${node} may or may not have done ${command}: ${because}. Look, or ask again with the same operation id`
  return new CacheError('INDETERMINATE', message, { node, command }, flight.last)
}

export function outOfTime(flight: Flight): CacheError {
  flight.last ??= new Error('nobody answered before the deadline')
  return unavailable(flight)
}

function factsOf(flight: Flight): { readonly node: string; readonly command: string; readonly because: string } {
  const because = flight.last?.message ?? 'no reason is known'
  return { node: flight.node?.name ?? 'the engine', command: describe(flight.call), because }
}

export function refusedError(node: string, call: Call, refusal: ReplyError): CacheError {
  const command = describe(call)
  return new CacheError('REFUSED', `${node} refused ${command}: ${refusal.message}`, { node, command }, refusal)
}

/** A command that our user may not use. */
export function notAllowed(node: string, call: Call, refusal: ReplyError): CacheError {
  const command = describe(call)
  const message = `${node} does not allow ${command}: ${refusal.message}. Mend the user, its password or its ACL`
  return new CacheError('DENIED', message, { node, command }, refusal)
}

/** A node that we may not use at all. */
export function deniedBy(node: string, refusal: ReplyError): CacheError {
  const message = `${node} does not let us in: ${refusal.message}. Mend the user, its password or its ACL`
  return new CacheError('DENIED', message, { node }, refusal)
}

export function closedError(): CacheError {
  return new CacheError('CLOSED', 'the engine was closed')
}
