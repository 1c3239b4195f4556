/**
 * The verdict: what the spec promises under this fault, each with the reason for its bound, and whether it was kept.
 * Losses are judged for every client, since an acknowledgement is the engine's word. Times are judged for our own
 * clients only: how long another client takes to find the new primary is its own.
 */
import { formatDuration } from '../units.ts'
import type { LossBound, PromisingSpec } from './bounds.ts'
import { lossBound, timeBound } from './bounds.ts'
import type { CheckResult, LostWrite } from './check.ts'
import type { FaultName } from './fault.ts'
import type { ClientKind } from './operation.ts'
import { clientKinds, drillClients } from './operation.ts'
import type { Outage } from './outage.ts'

export interface Promised {
  /** "Acknowledged writes of durable are kept". */
  readonly what: string
  /** Why that much may be expected, and not more. */
  readonly because: string
  readonly kept: boolean
  /** What was found, with the figures. */
  readonly found: string
}

export interface PromiseInput {
  readonly fault: FaultName
  readonly spec: PromisingSpec
  /** Wall clock, ms since 1970. */
  readonly faultAt: number
  readonly lastedMs: number
  readonly fenceSpent: boolean
  readonly check: CheckResult
  readonly outages: readonly Outage[]
  /** From the heal until it was ready, ms; null: it was not, as long as was waited. */
  readonly readyAfterMs: number | null
  readonly waitedMs: number
  /** What is missing in the record itself, such as a writer that died; null: nothing. */
  readonly gap: string | null
}

export interface Verdict {
  readonly kept: boolean
  readonly because: string
}

export function judge(input: PromiseInput): { readonly promises: readonly Promised[]; readonly verdict: Verdict } {
  const ran = clientKinds.filter((kind) => input.outages.some(({ client }) => client === kind))
  const own = ran.filter((client) => drillClients[client].isOurs)
  const promises = [
    wholeRecord(input),
    ...alike(ran, (client) => lossBound(input.fault, client, input.spec)).map(([bound, kinds]) =>
      noLoss(input, bound, kinds),
    ),
    ...evictions(input),
    ...own.flatMap((client) => timely(input, client)),
    ...(own.length === 0 ? [] : [truthful(input)]),
    equalCopies(input),
    readyAgain(input),
  ]
  const broken = promises.filter(({ kept }) => !kept)
  const worst = broken.map(({ what, found }) => `${what}: ${found}`).join('; ')
  const kept = `${count(input.check.lost.length, 'lost write')} of ${input.check.acknowledged} acknowledged, and every promise was kept`
  return { promises, verdict: { kept: broken.length === 0, because: broken.length === 0 ? kept : worst } }
}

/** Clients for which the same may be expected are told together. */
function alike(kinds: readonly ClientKind[], boundOf: (client: ClientKind) => LossBound): [LossBound, ClientKind[]][] {
  const groups = new Map<string, [LossBound, ClientKind[]]>()
  for (const kind of kinds) {
    const bound = boundOf(kind)
    const group = groups.get(bound.because)
    if (group === undefined) groups.set(bound.because, [bound, [kind]])
    else group[1].push(kind)
  }
  return [...groups.values()]
}

/** A record with holes proves nothing, and what was not read is not fine. */
function wholeRecord({ check, gap }: PromiseInput): Promised {
  const { acknowledged, unread, contradictions } = check
  const found = [
    ...(acknowledged === 0 ? ['no write was acknowledged at all'] : []),
    ...(unread.length === 0 ? [] : [`${count(unread.length, 'acknowledged key')} could not be read`]),
    ...(contradictions.length === 0 ? [] : [`${count(contradictions.length, 'key')} written by two operations`]),
    ...(gap === null ? [] : [gap]),
  ]
  return {
    what: 'every acknowledged write was read back',
    because: 'what nobody could read is neither kept nor lost',
    kept: found.length === 0,
    found: found.length === 0 ? `all ${acknowledged} of them` : found.join(', '),
  }
}

function noLoss(
  input: PromiseInput,
  { may, withinMs, afterMs = 0, because }: LossBound,
  clients: readonly ClientKind[],
): Promised {
  const lost = input.check.lost.filter(({ operation }) => clients.includes(operation.client))
  const outside = lost.filter((write) => may === 'none' || !isWithin(write, input, { withinMs, afterMs }))
  const own = input.outages.filter(({ client }) => clients.includes(client))
  const acknowledged = own.reduce((sum, one) => sum + one.acknowledged, 0)
  const who = clients.join(', ')
  const what = {
    none: `no acknowledged write is lost (${who})`,
    'the last ones': `only the last writes ${afterMs > 0 ? 'before the fault and the first after it' : 'before the fault'} may be lost (${who})`,
    any: `writes may be lost (${who})`,
  }[may]
  const late = `, ${outside.length} of them not among ${afterMs > 0 ? 'these' : `the last ${formatDuration(withinMs)}`}`
  return {
    what,
    because,
    kept: may === 'any' || outside.length === 0,
    found: `${lost.length} of ${acknowledged} lost${lost.length > 0 && may === 'the last ones' ? late : ''}`,
  }
}

/**
 * A process goes on for a moment after the order to kill it was given. So the last moment is that of the client's last
 * acknowledgement before its own gap, where that began at the fault.
 */
function isWithin(
  { operation }: LostWrite,
  { faultAt, outages }: PromiseInput,
  { withinMs, afterMs }: { readonly withinMs: number; readonly afterMs: number },
): boolean {
  const own = outages.find(({ client, shard }) => client === operation.client && shard === operation.shard)
  const gapAt = own?.longestGapAt ?? faultAt
  const lastAt = gapAt > faultAt && gapAt < faultAt + orderedMs ? gapAt : faultAt
  return operation.endedAt >= lastAt - withinMs && operation.endedAt <= lastAt + afterMs
}

const orderedMs = 1000

function evictions({ check }: PromiseInput): Promised[] {
  return check.evicted.map(({ shard, missing, evicted, lostAtLeast }) => ({
    what: `what ${shard} lacks was evicted`,
    because: 'an evicted key looks like a lost one, so no more may be missing than was evicted (memory.policy)',
    kept: lostAtLeast === 0,
    found: `${missing} of the drill's keys are missing, ${evicted} keys were evicted`,
  }))
}

/** A call waits so long in the client before it fails. */
const patienceMs = 5000

function timely(input: PromiseInput, client: ClientKind): Promised[] {
  const { fault, spec, outages } = input
  const { ms, because } = timeBound(fault, client, spec, input)
  if (ms === null) return []
  const own = outages.filter((outage) => outage.client === client)
  const worst = own.reduce((a, b) => (b.longestGapMs > a.longestGapMs ? b : a))
  const quietMs = own.reduce((most, { quietGapMs }) => Math.max(most, quietGapMs), 0)
  const unhappy = own.reduce((sum, { failed, indeterminate }) => sum + failed + indeterminate, 0)
  const inTime: Promised = {
    what: `${client} writes again within ${formatDuration(ms)}`,
    because,
    // What the machine stands still for without a fault is not the fault's.
    kept: worst.longestGapMs <= ms + quietMs,
    found: `${formatDuration(worst.longestGapMs)} at most, in ${worst.shard}; without a fault ${formatDuration(quietMs)}`,
  }
  if (ms >= patienceMs) return [inTime]
  const noError: Promised = {
    what: `no call of ${client} fails`,
    because: `a call waits ${formatDuration(patienceMs)} and tries again, which is longer than this may take`,
    kept: unhappy === 0,
    found: `${unhappy} failed or were left undecided`,
  }
  return [inTime, noError]
}

function truthful({ check }: PromiseInput): Promised {
  const wrong = check.misjudged.filter(({ client }) => drillClients[client].isOurs).length
  return {
    what: 'what our clients call failed was not done',
    because: 'a caller must be able to believe it',
    kept: wrong === 0,
    found: wrong === 0 ? 'none of it is there' : `${wrong} of it there`,
  }
}

function equalCopies({ check, spec }: PromiseInput): Promised {
  const { differing, copiesRead } = check
  const unread = differing.filter(({ at }) => at === 'unread').length
  const found =
    differing.length === 0
      ? `${copiesRead} copies compared, none differs`
      : `${differing.length - unread} of ${copiesRead} copies differ, ${unread} could not be read`
  return {
    what: 'all copies are equal in the end',
    because: 'a replica that differs would lose data at the next failover',
    kept: differing.length === 0 && (copiesRead > 0 || spec.replicasPerShard === 0),
    found: copiesRead === 0 && spec.replicasPerShard > 0 ? 'no copy could be read' : found,
  }
}

function readyAgain({ readyAfterMs, waitedMs }: PromiseInput): Promised {
  return {
    what: 'the deployment is ready again, with all its copies',
    because: 'Holdfast mends what a fault has broken',
    kept: readyAfterMs !== null,
    found:
      readyAfterMs === null
        ? `not within ${formatDuration(waitedMs)} after the fault was healed`
        : readyAfterMs === 0
          ? 'it was so when the fault was healed'
          : `${formatDuration(readyAfterMs)} after the fault was healed`,
  }
}

/** "0 lost writes", "1 key". */
const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
