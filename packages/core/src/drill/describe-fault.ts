import { formatDuration } from '../units.ts'
import type { FaultTarget, FaultWish } from './fault.ts'

/** The sentence for the event log: what, on whom, for how long. */
export function describeFault(fault: FaultWish['fault'], targets: readonly FaultTarget[], forMs: number): string {
  const all = targets.map(({ id, role, shard }) => (shard === null ? id : `${id} (${role} of ${shard})`)).join(' and ')
  const whom = targets.length > 2 ? `all ${targets.length} nodes` : all
  const lasting = `, for ${formatDuration(forMs)}`
  const hostId = targets[0]?.hostId ?? ''
  const ids = targets.map(({ id }) => id).join(', ')
  switch (fault) {
    case 'kill-primary':
    case 'kill-replica':
    case 'kill-two':
    case 'kill-all':
    case 'kill-sentinel':
      return `SIGKILL to ${whom}`
    case 'freeze':
      return `SIGSTOP to ${whom}${lasting}`
    case 'busy':
      return `a script that does not end on ${whom}${lasting}`
    case 'bounce':
      return `SIGKILL to ${whom}, and somebody else starts it again without its data`
    case 'memory-full':
      return `${whom} is filled up to its maxmemory${lasting}`
    case 'disk-full':
      return `the file system of ${whom} is filled to the last block${lasting}`
    case 'slow-disk':
      return `the writes of ${whom} to disk are throttled${lasting}`
    case 'kill-controller':
      return `SIGKILL to the controller, nobody heals${lasting}`
    case 'unattended':
      return `SIGKILL to the controller and to ${whom}, nobody heals${lasting}`
    case 'kill-agent':
      return `SIGKILL to the agent of host ${hostId}${lasting}`
    case 'freeze-agent':
      return `SIGSTOP to the agent of host ${hostId}${lasting}`
    case 'kill-host':
      return `SIGKILL to all on host ${hostId}: ${ids}, and its agent${lasting}`
    case 'cut-host':
      return `nobody reaches host ${hostId} (${ids})${lasting}`
    case 'cut-peers':
      return `other hosts do not reach host ${hostId} (${ids}), and clients do${lasting}`
    case 'deafen-host':
      return `host ${hostId} (${ids}) hears no other host, and clients reach it${lasting}`
    case 'mute-host':
      return `no other host hears host ${hostId} (${ids}), and clients reach it${lasting}`
    case 'flap':
      return `nobody reaches host ${hostId} (${ids}), again and again${lasting}`
    case 'slow-link':
      return `the link of host ${hostId} (${ids}) passes 64 kB a second${lasting}`
    case 'storm':
      return `every client is cut off, and 500 more connect at once${lasting}`
    default:
      return fault satisfies never
  }
}
