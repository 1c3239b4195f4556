/** What an error reply asks of the caller. */
import type { Command, ReplyError } from './engine.ts'
import type { Address } from './topology.ts'

export type Verdict =
  /** Another node has the slot, for good or (`asking`) for this command. */
  | { readonly kind: 'redirect'; readonly to: Address; readonly asking: boolean }
  /** Nothing was done, and the same will succeed in a moment; `suspect`: the layout may be wrong. */
  | { readonly kind: 'again'; readonly suspect: boolean }
  | { readonly kind: 'no-script' }
  | { readonly kind: 'denied' }
  /** Time will not change it. */
  | { readonly kind: 'final' }

const transient = new Set([
  'TRYAGAIN',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'READONLY',
  'NOREPLICAS',
  'BUSY',
  'OOM',
  'MISCONF',
  'UNBLOCKED',
])
/** NOREPLICAS: a primary that is cut off from its copies may have been succeeded, and has not heard of it. */
const layoutMayBeWrong = new Set(['CLUSTERDOWN', 'MASTERDOWN', 'READONLY', 'NOREPLICAS', 'UNBLOCKED'])
const denials = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM'])

/** What engines before 7 put before the reply that ended a script. */
const fromScript = /@user_script: ?\d+: -?([A-Z]+) /

export function judge(error: ReplyError, asked: Address): Verdict {
  const word = error.word
  if (word === 'MOVED' || word === 'ASK') {
    const to = addressIn(error.message, asked)
    return to === undefined ? { kind: 'again', suspect: true } : { kind: 'redirect', to, asking: word === 'ASK' }
  }
  if (word === 'NOSCRIPT') return { kind: 'no-script' }
  if (denials.has(word)) return { kind: 'denied' }
  const inner = word === 'ERR' ? (fromScript.exec(error.message)?.[1] ?? word) : word
  return transient.has(inner) ? { kind: 'again', suspect: layoutMayBeWrong.has(inner) } : { kind: 'final' }
}

/** `MOVED 3999 127.0.0.1:6381`; without a host, or with `?`, it is the host that was asked. */
function addressIn(message: string, asked: Address): Address | undefined {
  const place = message.split(' ')[2] ?? ''
  const colon = place.lastIndexOf(':')
  const port = Number(place.slice(colon + 1))
  if (colon === -1 || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  const host = place.slice(0, colon)
  return { host: host === '' || host === '?' ? asked.host : host, port }
}

/** What changes nothing by itself, and may be done twice. */
const harmless = new Set(['MULTI', 'WAIT', 'WAITAOF', 'PING', 'DISCARD', 'TIME', 'ECHO'])

/** Whether none of several commands changed anything, by their replies: then all of them may be sent again. */
export function nothingDone(commands: readonly Command[], replies: readonly unknown[], isError: IsError): boolean {
  let inTransaction = false
  return commands.every((command, at) => {
    const reply = replies[at]
    const word = nameOf(command)
    if (word === 'MULTI') inTransaction = true
    if (word === 'EXEC' || word === 'DISCARD') inTransaction = false
    return isError(reply) || harmless.has(word) || (inTransaction && reply === 'QUEUED')
  })
}

type IsError = (reply: unknown) => boolean

/** The command's word in capitals; scripts have none. */
export function nameOf(command: Command): string {
  return 'script' in command ? '' : String(command[0]).toUpperCase()
}

/** Whether a node says that it cannot serve for a while, and not only that command. */
export function isUnready({ word }: ReplyError): boolean {
  return word === 'LOADING' || word === 'MASTERDOWN'
}
