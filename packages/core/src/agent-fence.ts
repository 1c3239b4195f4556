/**
 * When an agent fences itself: its engines take no writes from then on, reads go on.
 *
 * A host that is cut off from everybody cannot know whether its primaries were succeeded, so it stops them before anybody
 * may succeed them. It is the other half of the lease by which a controller acts on a host that nobody reaches
 * (`away.ts`), and both halves count from the same moments: what an agent counts as heard is never later than what the
 * other end counts. So it dates an answer by when it asked, and a controller's word by the moment that this word confirms.
 */
import { HoldfastError } from './error.ts'
import { formatDuration } from './units.ts'

/** A host of the same deployment, as its agent is reached. */
export interface Peer {
  readonly name: string
  readonly address: string
  readonly port: number
}

/** All times are of one monotonic clock, ms. */
export interface FenceSight {
  /** The last moment at which this agent is known to have been heard by the controller that holds the lease. */
  readonly controllerAt: number
  /** Of each other host of the deployment: when it was asked what it has answered. */
  readonly peersAt: readonly number[]
  /** Since when this agent has asked and listened without a pause of its own. */
  readonly awakeSince: number
  readonly now: number
  readonly leaseAfterMs: number
}

/** How long an agent that was not awake asks around before it judges: it has lost nobody while it did not listen. */
export const wakingMs = 300

/** Why this agent has to fence itself; null where it has not. */
export function judgeFence({ controllerAt, peersAt, awakeSince, now, leaseAfterMs }: FenceSight): string | null {
  const isHeard = (at: number): boolean => now - at < leaseAfterMs
  if (peersAt.length === 0 || isHeard(controllerAt) || now - awakeSince < wakingMs) return null
  const heard = peersAt.filter(isHeard).length
  if ((heard + 1) * 2 > peersAt.length + 1) return null
  const since = formatDuration(now - controllerAt)
  return `no controller for ${since}, and ${heard} of ${peersAt.length} other hosts answer`
}

/** A fence as its agent keeps it. */
export interface Fence {
  /** The highest epoch that the agent had obeyed by then: only a higher one lifts it. */
  readonly epoch: number
  readonly reason: string
  /** When its engine took it, by the agent's clock; null: it has not answered yet, and may still take a write. */
  readonly at: number | null
}

/** Whoever acted when it was set may not know of it. Throws REFUSED_STALE_EPOCH. */
export function refuseOldLift(node: string, fence: Fence | null | undefined, controllerEpoch: number): void {
  if (fence == null || controllerEpoch > fence.epoch) return
  throw new HoldfastError(
    'REFUSED_STALE_EPOCH',
    `${node} was fenced in epoch ${fence.epoch}, and epoch ${controllerEpoch} is not newer: not lifted`,
    { node, controllerEpoch, highestEpoch: fence.epoch },
  )
}
