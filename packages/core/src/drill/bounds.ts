/**
 * What may be expected of a deployment under each fault, and why: the only place where a drill's verdict takes its
 * figures from. Where nothing can be promised, the reason is all there is.
 */
import { leaseMarginMs } from '../away.ts'
import { hasNativeFallback, isDurable } from '../durability.ts'
import type { Spec } from '../spec.ts'
import { formatBytes, formatDuration } from '../units.ts'
import type { FaultName } from './fault.ts'
import { cuts } from './fault.ts'
import type { ClientKind } from './operation.ts'

export type PromisingSpec = Pick<
  Spec,
  'replicasPerShard' | 'persistence' | 'timeouts' | 'failover' | 'memory' | 'use' | 'durability'
>

/** Which acknowledged writes may be lost: none, those of the last moments before the fault, or any. */
export interface LossBound {
  readonly may: 'none' | 'the last ones' | 'any'
  /** With `the last ones`: acknowledged so long before the fault, ms. */
  readonly withinMs: number
  /** And so long after it, ms, while nobody hears that it is not the primary any more. Default: 0. */
  readonly afterMs?: number
  readonly because: string
}

export function lossBound(fault: FaultName, client: ClientKind, spec: PromisingSpec): LossBound {
  if (fault === 'kill-all') return lossOfAll(spec)
  if (!takesPrimary(fault)) return none('no primary is taken away')
  if (client === 'durable') return none('what it calls done, a replica has: one fault does not take both')
  if (spec.replicasPerShard === 0) return lossOfAll(spec)
  if (fault === 'cut-peers' || fault === 'deafen-host' || fault === 'mute-host') {
    const afterMs = leaseMsOf(spec)
    return {
      may: 'the last ones',
      withinMs: spec.failover.maxLag.time,
      afterMs,
      because: `clients reach a primary that nobody else does until its host fences itself, ${formatDuration(afterMs)} of writes at most (timeouts.leaseAfter, and a second)`,
    }
  }
  const { bytes, time } = spec.failover.maxLag
  return {
    may: 'the last ones',
    withinMs: time,
    because: `replication is asynchronous: what the replica lacked may be lost, at most ${formatDuration(time)} or ${formatBytes(bytes)} of writes (failover.maxLag)`,
  }
}

/** While its disk is slow, an engine holds back what it appends, for two seconds at the longest. */
const heldBackMs = 2000

function lossOfAll({ persistence }: PromisingSpec): LossBound {
  switch (persistence) {
    case 'aof':
    case 'hybrid':
      return {
        may: 'the last ones',
        withinMs: heldBackMs,
        because: `the files have all but what an engine held back while the disk was slow, at most ${formatDuration(heldBackMs)} of writes (persistence: ${persistence})`,
      }
    case 'rdb':
      return { may: 'any', withinMs: 0, because: 'only what the last snapshot has is kept (persistence: rdb)' }
    case 'none':
      return { may: 'any', withinMs: 0, because: 'nothing is kept without a file (persistence: none)' }
    default:
      return persistence satisfies never
  }
}

const none = (because: string): LossBound => ({ may: 'none', withinMs: 0, because })

/** How long a host that is alone may go on acknowledging writes. */
const leaseMsOf = ({ timeouts }: PromisingSpec): number => timeouts.leaseAfter + leaseMarginMs

/** How long writes may stand still; null: that is not promised, and only told. */
export interface TimeBound {
  readonly ms: number | null
  readonly because: string
}

/** On a machine that others use too, a pause of this length needs no fault. */
const noiseMs = 1000
/** Five hundred clients sign in at once, and each engine looks at one after the other. */
const stormMs = 2000
/** Noticing a death, electing, and the client's way to the new primary; each takes tens of ms. */
const promotedMs = 1000
/** Beside its timeouts, what the engines' own vote takes. */
const votedMs = 3000

export interface FaultCircumstances {
  readonly lastedMs: number
  /** A frozen engine of this shard was killed lately, so the next one is not (SAFETY: once in ten minutes). */
  readonly fenceSpent: boolean
}

export function timeBound(
  fault: FaultName,
  client: ClientKind,
  spec: PromisingSpec,
  { lastedMs, fenceSpent }: FaultCircumstances,
): TimeBound {
  if (client === 'durable' && takesCopy(fault) && spec.replicasPerShard < 2) {
    return untold('with one replica a shard, a durable write waits until the other copy is back')
  }
  if (waitsForController(fault, spec, fenceSpent)) {
    return untold(
      'nobody but a controller promotes (durability: durable), and none is there to do so, or it has no proof',
    )
  }
  const { node, frozenAfter } = spec.timeouts
  if (takesPrimary(fault) && fault !== 'busy' && spec.replicasPerShard === 0) {
    return untold('without a replica the shard waits for its primary to be started and to load its file')
  }
  switch (fault) {
    case 'kill-primary':
    case 'kill-two':
    case 'bounce':
      return bound(promotedMs, 'the agent sees the process end, and a replica in sync is promoted at once')
    case 'freeze':
      if (fenceSpent) return bound(2 * node + votedMs, notAgain)
      return bound(frozenAfter + promotedMs, 'a freeze is proven after timeouts.frozenAfter, then it is as a death')
    case 'busy':
      if (promotesAlone(spec)) return bound(lastedMs + promotedMs, 'a busy primary is left alone until the script ends')
      return bound(
        Math.min(lastedMs, 2 * node + votedMs) + promotedMs,
        "a busy primary is left alone until the script ends, or the engines' own failover comes first",
      )
    case 'unattended':
      return bound(
        2 * node + votedMs,
        "without a controller only the engines' own failover is left: twice timeouts.node and a vote",
      )
    case 'kill-host':
    case 'cut-peers':
    case 'deafen-host':
    case 'mute-host':
      return bound(
        2 * node + votedMs,
        'nobody says that the primary is dead: the engines agree on it, after timeouts.node',
      )
    case 'cut-host':
      return bound(
        leaseMsOf(spec) + promotedMs,
        'a host that nobody reaches has lost its write lease, then it is as a death',
      )
    case 'flap':
      return untold('a host that is reached again and again is not lost, and calls wait for the next time')
    case 'slow-link':
      return untold('writes wait for the link')
    case 'kill-agent':
    case 'freeze-agent':
      return bound(noiseMs, 'engines go on without their agent; a longer pause is more than noise')
    case 'kill-replica':
    case 'kill-sentinel':
    case 'kill-controller':
      return bound(noiseMs, 'no primary is touched; a longer pause is more than noise')
    case 'storm':
      return bound(stormMs, 'the engines live; all clients sign in at the same moment, and no more')
    case 'memory-full':
      return spec.memory.policy === 'noeviction'
        ? untold('with memory.policy noeviction a full engine refuses writes, and says so')
        : bound(noiseMs, 'a full engine evicts and goes on')
    case 'kill-all':
      return untold('how long the files take to load depends on their size')
    case 'disk-full':
      return untold('an engine refuses writes while its file cannot be written, and says so')
    case 'slow-disk':
      return untold('writes wait for the disk')
    default:
      return fault satisfies never
  }
}

/** Whether nobody but Holdfast promotes. */
const promotesAlone = (spec: PromisingSpec): boolean => isDurable(spec) && !hasNativeFallback(spec)

/** A primary that nobody takes away, and nobody follows, until a controller comes, or it wakes up. */
const waitsForController = (fault: FaultName, spec: PromisingSpec, fenceSpent: boolean): boolean =>
  promotesAlone(spec) && (unproven.includes(fault) || (fault === 'freeze' && fenceSpent))

/** A controller has no proof of them while they last, or there is none. */
const unproven: readonly FaultName[] = ['unattended', 'kill-host', 'cut-peers', 'deafen-host', 'mute-host']

const notAgain =
  "a frozen engine of this shard was killed less than ten minutes ago and the next one is not: the engines' own failover is left"

const bound = (ms: number, because: string): TimeBound => ({ ms, because })
const untold = (because: string): TimeBound => ({ ms: null, because })

/** Somebody else may be primary afterwards. */
function takesPrimary(fault: FaultName): boolean {
  const faults: readonly FaultName[] = [
    'kill-primary',
    'kill-two',
    'kill-all',
    'freeze',
    'busy',
    'bounce',
    'unattended',
  ]
  return [...faults, 'kill-host', ...cuts].includes(fault)
}

/** A shard has one copy less for a while. */
const takesCopy = (fault: FaultName): boolean => takesPrimary(fault) || fault === 'kill-replica'
