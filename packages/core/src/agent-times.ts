/**
 * An agent tells times of its own monotonic clock, which began when its machine did. What it says is told anew here in
 * times of another clock that is `byMs` ahead of it, so that no rule has to know which machine a time is of.
 */
import type { AgentNodeSeen, AgentProxySeen, AgentSentinelSeen, NodeRecord, ProcessSeen, Seen } from './observed.ts'

type Shift = (time: number) => number

export function shiftNode(seen: AgentNodeSeen, byMs: number): AgentNodeSeen {
  const shift = shiftBy(byMs)
  const { record, access } = seen
  return {
    ...seen,
    process: shiftProcess(seen.process, shift),
    record: record === null ? null : shiftRecord(record, shift),
    ...shiftCommon(seen, shift),
    saveAskedAt: orNull(seen.saveAskedAt, shift),
    ...(seen.fence == null ? {} : { fence: { ...seen.fence, at: orNull(seen.fence.at, shift) } }),
    ...(access === undefined ? {} : { access: shiftAccess(access, shift) }),
  }
}

export function shiftSentinel(seen: AgentSentinelSeen, byMs: number): AgentSentinelSeen {
  const shift = shiftBy(byMs)
  return {
    ...seen,
    process: shiftProcess(seen.process, shift),
    ...shiftCommon(seen, shift),
    resetAt: orNull(seen.resetAt, shift),
    ...(seen.access === undefined ? {} : { access: shiftAccess(seen.access, shift) }),
  }
}

export function shiftProxy(seen: AgentProxySeen, byMs: number): AgentProxySeen {
  const shift = shiftBy(byMs)
  return {
    ...seen,
    process: shiftProcess(seen.process, shift),
    starts: { ...seen.starts, lastAt: orNull(seen.starts.lastAt, shift) },
    fencedAt: orNull(seen.fencedAt, shift),
    answer: shiftSeen(seen.answer, shift),
  }
}

const shiftBy =
  (byMs: number): Shift =>
  (time) =>
    time + byMs

const orNull = (time: number | null, shift: Shift): number | null => (time === null ? null : shift(time))

const shiftCommon = (
  { starts, fencedAt, failoverAsked }: Pick<AgentNodeSeen, 'starts' | 'fencedAt' | 'failoverAsked'>,
  shift: Shift,
) => ({
  starts: { ...starts, lastAt: orNull(starts.lastAt, shift) },
  fencedAt: orNull(fencedAt, shift),
  failoverAsked: failoverAsked === null ? null : { ...failoverAsked, at: shift(failoverAsked.at) },
})

function shiftProcess(process: ProcessSeen, shift: Shift): ProcessSeen {
  switch (process.state) {
    case 'absent':
      return process
    case 'dead':
      return { ...process, since: shift(process.since) }
    case 'running':
      return { ...process, cpuRoseAt: shift(process.cpuRoseAt) }
    default:
      return process satisfies never
  }
}

const shiftRecord = (record: NodeRecord, shift: Shift): NodeRecord => ({
  ...record,
  at: shift(record.at),
  linkUpAt: orNull(record.linkUpAt, shift),
  linkDownSince: orNull(record.linkDownSince, shift),
})

type Access = NonNullable<AgentNodeSeen['access']>

const shiftAccess = (access: Access, shift: Shift): Access => ({
  ...access,
  signInGivenAt: orNull(access.signInGivenAt, shift),
  linkRenewedAt: orNull(access.linkRenewedAt, shift),
  closing: access.closing === null ? null : { ...access.closing, at: shift(access.closing.at) },
})

function shiftSeen<Facts>(seen: Seen<Facts>, shift: Shift): Seen<Facts> {
  switch (seen.kind) {
    case 'answered':
      return {
        ...seen,
        at: shift(seen.at),
        ...(seen.askedAt === undefined ? {} : { askedAt: shift(seen.askedAt) }),
      }
    case 'silent':
      return { ...seen, since: shift(seen.since) }
    case 'loading':
    case 'busy':
    case 'refused':
      return { ...seen, at: shift(seen.at) }
    case 'unknown':
      return seen
    default:
      return seen satisfies never
  }
}
