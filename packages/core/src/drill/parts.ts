/** A fault that falls on several hosts is ordered from each of them, and is one fault all the same. */
import { localHostId } from '../placement/hosting.ts'
import type { FaultOrder, FaultSeen } from './fault.ts'

export interface FaultPart {
  readonly hostId: string
  /** With the targets of this host alone. */
  readonly order: FaultOrder
}

/** What is ordered from whom. A fault without a target is done by the host `elsewise`. */
export function partsOf(order: FaultOrder, elsewise: string): FaultPart[] {
  const hosts = [...new Set(order.targets.map(({ hostId }) => hostId))]
  if (order.fault === 'kill-controller') return [{ hostId: localHostId, order }]
  if (hosts.length === 0) return [{ hostId: elsewise, order }]
  return hosts.map((hostId) => ({
    hostId,
    order: { ...order, targets: order.targets.filter((target) => target.hostId === hostId) },
  }))
}

/** What several hosts tell of their parts, as faults: the newest first. */
export function joinFaults(parts: readonly FaultSeen[]): FaultSeen[] {
  const joined = new Map<string, FaultSeen>()
  for (const part of parts) {
    const known = joined.get(part.id)
    joined.set(part.id, known === undefined ? part : join(known, part))
  }
  return [...joined.values()].sort((a, b) => b.injectedAt - a.injectedAt)
}

/** It began when its first part did, and is over when its last part is. */
const join = (one: FaultSeen, other: FaultSeen): FaultSeen => ({
  ...one,
  targets: [...one.targets, ...other.targets],
  injectedAt: Math.min(one.injectedAt, other.injectedAt),
  healsAt: Math.max(one.healsAt, other.healsAt),
  healedAt: one.healedAt === null || other.healedAt === null ? null : Math.max(one.healedAt, other.healedAt),
  trouble: one.trouble ?? other.trouble,
})
