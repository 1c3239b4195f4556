/** Whose the time of an outage was: until it was known, until somebody else was primary, until the client wrote again. */
import type { HoldfastEvent } from '../event.ts'
import type { ClientKind, DrillOperation } from './operation.ts'

export interface Share {
  readonly shard: string
  readonly to: string
  /** The controller's sentence with which it asked; null where nobody asked. */
  readonly because: string | null
  /** From the fault until the promotion was asked for, ms; null where nobody asked: the engines voted among themselves. */
  readonly detectionMs: number | null
  /** From then, or from the fault where nobody asked, until the shard was seen to have a primary, or was written to again. */
  readonly promotionMs: number
  /** From then until the first acknowledgement of each client; 0 where it was sooner than the controller saw it. */
  readonly clientMs: Readonly<Partial<Record<ClientKind, number>>>
}

export interface ShareInput {
  readonly faultAt: number
  /** Who is primary of a shard since the fault, the first change of each. */
  readonly promoted: readonly { readonly shard: string; readonly to: string }[]
  readonly events: readonly HoldfastEvent[]
  readonly operations: readonly DrillOperation[]
}

export function sharesOf({ faultAt, promoted, events, operations }: ShareInput): Share[] {
  const since = events.filter(({ at }) => at >= faultAt)
  return promoted.flatMap(({ shard, to }) => {
    const seen = since.find(({ kind, subject, because }) => {
      return kind === 'shard' && subject === shard && because.startsWith(`${to} `)
    })
    if (seen === undefined) return []
    const asked = since.find((event) => event.at <= seen.at && isAsking(event, to))
    const primaryAt = asked === undefined ? Math.min(seen.at, endOfSilence(operations, shard, faultAt)) : seen.at
    return [
      {
        shard,
        to,
        because: since.find(({ seq }) => String(seq) === asked?.cause)?.because ?? null,
        detectionMs: asked === undefined ? null : asked.at - faultAt,
        promotionMs: primaryAt - (asked?.at ?? faultAt),
        clientMs: clientShares(operations, shard, asked?.at ?? primaryAt, primaryAt),
      },
    ]
  })
}

/** The replica itself is asked, or, where Sentinels watch, one of them. */
const isAsking = ({ kind, subject, action }: HoldfastEvent, to: string): boolean =>
  kind === 'action' && (subject === to || action === 'ask-sentinel')

/**
 * Where the engines voted by themselves, the controller may have been away and look late. Then the shard had its primary
 * no later than somebody was acknowledged after the longest silence of all clients together.
 */
function endOfSilence(operations: readonly DrillOperation[], shard: string, faultAt: number): number {
  const acked = operations.filter((one) => one.shard === shard && one.outcome === 'ok' && one.endedAt >= faultAt)
  const marks = acked.map(({ endedAt }) => endedAt).sort((a, b) => a - b)
  let [before, longestMs, end] = [faultAt, 0, Number.POSITIVE_INFINITY]
  for (const at of marks) {
    if (at - before > longestMs) [longestMs, end] = [at - before, at]
    before = at
  }
  return end
}

/** The new primary can answer before the controller has looked again, so the first acknowledgement after the asking counts. */
function clientShares(operations: readonly DrillOperation[], shard: string, askedAt: number, seenAt: number) {
  const first: Partial<Record<ClientKind, number>> = {}
  for (const { client, shard: its, outcome, endedAt } of operations) {
    if (its !== shard || outcome !== 'ok' || endedAt < askedAt) continue
    first[client] = Math.min(first[client] ?? Number.POSITIVE_INFINITY, Math.max(0, endedAt - seenAt))
  }
  return first
}
