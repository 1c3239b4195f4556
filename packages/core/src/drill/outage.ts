/** For how long a client could not write, from the acknowledgements it got: nobody else's word counts. */
import type { ClientKind, DrillOperation } from './operation.ts'

/** Shorter than this it is the pace of the writer and the noise of a machine. */
export const gapShownMs = 100

export interface Outage {
  readonly client: ClientKind
  readonly shard: string
  readonly acknowledged: number
  readonly failed: number
  readonly indeterminate: number
  /** The longest time without an acknowledgement that ended after the fault, ms, and when it began. */
  readonly longestGapMs: number
  readonly longestGapAt: number | null
  /** All such times above 100 ms together. */
  readonly gapsMs: number
  /** The longest time without an acknowledgement before the fault: the noise of this machine. */
  readonly quietGapMs: number
}

export interface OutageWindow {
  /** When the fault fell, and when writing ended. Wall clock, ms since 1970. */
  readonly faultAt: number
  readonly until: number
}

interface Gap {
  readonly from: number
  readonly to: number
}

/** One line a client kind and shard, in the order in which they first wrote. */
export function outagesOf(operations: readonly DrillOperation[], { faultAt, until }: OutageWindow): Outage[] {
  const lines = new Map<string, DrillOperation[]>()
  for (const operation of operations) {
    const name = `${operation.client} ${operation.shard}`
    const line = lines.get(name)
    if (line === undefined) lines.set(name, [operation])
    else line.push(operation)
  }
  return [...lines.values()].map((line) => outageOf(line, { faultAt, until }))
}

function outageOf(line: readonly DrillOperation[], { faultAt, until }: OutageWindow): Outage {
  const [{ client, shard }] = line as readonly [DrillOperation]
  const gaps = gapsOf(line, faultAt, until)
  const after = gaps.filter(({ to }) => to > faultAt)
  const longest = after.reduce<Gap | null>((a, b) => (a === null || length(b) > length(a) ? b : a), null)
  return {
    client,
    shard,
    acknowledged: line.filter(({ outcome }) => outcome === 'ok').length,
    failed: line.filter(({ outcome }) => outcome === 'failed').length,
    indeterminate: line.filter(({ outcome }) => outcome === 'indeterminate').length,
    longestGapMs: longest === null ? 0 : length(longest),
    longestGapAt: longest?.from ?? null,
    gapsMs: after.map(length).reduce((sum, ms) => (ms > gapShownMs ? sum + ms : sum), 0),
    quietGapMs: gaps.filter(({ to }) => to <= faultAt).reduce((most, gap) => Math.max(most, length(gap)), 0),
  }
}

/** Between acknowledgements, the last one and the end of writing included. A client that had none before the fault waits since it fell. */
function gapsOf(line: readonly DrillOperation[], faultAt: number, until: number): Gap[] {
  const acked = line.filter(({ outcome }) => outcome === 'ok').map(({ endedAt }) => endedAt)
  const marks = [...acked, until].sort((a, b) => a - b)
  if ((marks[0] ?? 0) > faultAt) marks.unshift(faultAt)
  return marks.slice(1).map((to, index) => ({ from: marks[index] as number, to }))
}

const length = ({ from, to }: Gap): number => to - from
