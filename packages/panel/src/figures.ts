import type { NodeStatus, Status } from '@holdfast/core'

/** A sum over nodes, and how many of them did not say. */
export interface Sum {
  readonly known: number
  readonly unknown: number
}

export function sum(nodes: readonly NodeStatus[], pick: (node: NodeStatus) => number | null): Sum {
  const values = nodes.map(pick)
  return {
    known: values.reduce((total: number, value) => total + (value ?? 0), 0),
    unknown: values.filter((value) => value === null).length,
  }
}

/** Replicas repeat what their primary does: adding them up would count each write twice. */
export const primariesOf = (status: Status): NodeStatus[] => {
  const ids = new Set(status.shards.map((shard) => shard.primary))
  return status.nodes.filter((node) => ids.has(node.id))
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export const formatCount = (value: number): string => whole.format(value)

const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
/** A failover takes tens of milliseconds: in the log they are shown. */
const exactly = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
})
const dayMs = 24 * 3_600_000

/** Times of today as 14:02:31, or 14:02:31.046; older ones with their day. */
export function formatTime(at: number, now: number, precision: 's' | 'ms' = 's'): string {
  if (Math.abs(now - at) >= dayMs) return dayAndTime.format(at)
  return (precision === 'ms' ? exactly : timeOfDay).format(at)
}
