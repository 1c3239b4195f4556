/**
 * What Sentinels say, read and weighed.
 *
 * Sentinels do not agree all the time: one was cut off and still names the primary of last week, one has just led a
 * failover and the others have not heard of it. Each answer carries the epoch of the configuration it tells of, and
 * every failover has a higher one than all before it, so the highest epoch is right, whoever says it and how few.
 */
import type { Argument } from './engine.ts'
import type { Address } from './topology.ts'

export interface SentinelAnswer {
  readonly primary: Address
  readonly epoch: number
  readonly replicas: readonly { readonly address: Address; readonly down: boolean }[]
  /** The other Sentinels that this one knows. */
  readonly sentinels: readonly Address[]
}

/** What the answers with the highest epoch come to. */
export interface Verdict {
  readonly epoch: number
  /** Who is the primary, most often named first. More than one only while Sentinels contradict each other in one epoch. */
  readonly candidates: readonly Address[]
  readonly replicas: readonly Address[]
  /** How many Sentinels have said so. */
  readonly votes: number
}

/**
 * The epoch is asked before the address: if a failover comes between the two, a new address with the epoch of the old
 * one loses against better answers, while an old address with the new epoch would win.
 */
export function sentinelQuestion(masterName: string): readonly (readonly Argument[])[] {
  return [
    ['SENTINEL', 'MASTER', masterName],
    ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName],
    ['SENTINEL', 'REPLICAS', masterName],
    ['SENTINEL', 'SENTINELS', masterName],
  ]
}

/** Undefined for anything that is no answer to the question above. */
export function readSentinelAnswer(replies: readonly unknown[]): SentinelAnswer | undefined {
  const [master, address, replicas, sentinels] = replies
  const epoch = Number(fieldsOf(master).get('config-epoch'))
  const primary = Array.isArray(address) ? addressOf(address[0], address[1]) : undefined
  if (primary === undefined || !Number.isSafeInteger(epoch) || epoch < 0) return undefined
  return {
    primary,
    epoch,
    replicas: listOf(replicas).map(({ address: at, flags }) => ({ address: at, down: /\b[so]_down\b/.test(flags) })),
    sentinels: listOf(sentinels).map((sentinel) => sentinel.address),
  }
}

/** The first error among the replies, such as "No such master with that name" or a wrong password. */
export function errorAmong(replies: readonly unknown[]): Error | undefined {
  return replies.find((reply) => reply instanceof Error)
}

export function weigh(answers: readonly SentinelAnswer[]): Verdict | undefined {
  const epoch = Math.max(...answers.map((answer) => answer.epoch))
  const best = answers.filter((answer) => answer.epoch === epoch)
  if (best.length === 0) return undefined
  const candidates = tally(best.map((answer) => answer.primary))
  const replicas = tally(best.flatMap((answer) => answer.replicas.map(({ address }) => address)))
  const down = tally(best.flatMap((answer) => answer.replicas.filter((replica) => replica.down).map((r) => r.address)))
  // One Sentinel that lost sight of a replica does not take it away. A link of the replica to its primary that is
  // broken does not either: when the primary is dead it is all that can be read.
  const up = [...replicas].filter(([name, { times }]) => (down.get(name)?.times ?? 0) * 2 <= times)
  return {
    epoch,
    candidates: [...candidates.values()].sort((a, b) => b.times - a.times).map(({ address }) => address),
    replicas: up.filter(([name]) => !candidates.has(name)).map(([, { address }]) => address),
    votes: best.length,
  }
}

export function nameOf({ host, port }: Address): string {
  return `${host}:${port}`
}

/** How often each address is there, in the order of their names, so that it does not depend on who answered first. */
function tally(
  addresses: readonly Address[],
): ReadonlyMap<string, { readonly address: Address; readonly times: number }> {
  const found = new Map<string, { readonly address: Address; readonly times: number }>()
  for (const address of addresses) {
    const name = nameOf(address)
    found.set(name, { address, times: (found.get(name)?.times ?? 0) + 1 })
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function listOf(reply: unknown): readonly { readonly address: Address; readonly flags: string }[] {
  if (!Array.isArray(reply)) return []
  return reply.flatMap((item) => {
    const fields = fieldsOf(item)
    const address = addressOf(fields.get('ip'), fields.get('port'))
    return address === undefined ? [] : [{ address, flags: String(fields.get('flags')) }]
  })
}

/** Announced host names stay names: they are resolved by whoever connects, again each time. */
function addressOf(host: unknown, port: unknown): Address | undefined {
  const number = Number(port)
  const isPort = Number.isInteger(number) && number > 0 && number <= 65_535
  return isPort && typeof host === 'string' && host !== '' ? { host, port: number } : undefined
}

/** A table of fields: names and values in turns with RESP 2; a map, which clients show in two ways, with RESP 3. */
function fieldsOf(reply: unknown): ReadonlyMap<string, unknown> {
  if (reply instanceof Map) return new Map([...reply].map(([name, value]) => [String(name), value]))
  if (!Array.isArray(reply)) {
    return new Map(typeof reply === 'object' && reply !== null ? Object.entries(reply) : [])
  }
  const fields = new Map<string, unknown>()
  for (let at = 0; at + 1 < reply.length; at += 2) fields.set(String(reply[at]), reply[at + 1])
  return fields
}
