/** What the machines that a fault falls on must allow, as their agents found it. */
import { localHostId } from '../placement/hosting.ts'
import type { NodeStatus } from '../status.ts'
import { formatBytes } from '../units.ts'
import type { AimInput } from './aim.ts'
import type { Precondition } from './fault.ts'

/** What a machine allows, as its agent found it. */
export interface MachineSeen {
  /** The nodes' directories are on a file system that may be filled up. */
  readonly disk: Precondition
  /** Writes to disk can be throttled. */
  readonly throttle: Precondition
  /** The controller of this home is a process that may be killed, and started again. */
  readonly controller: Precondition
  /** Nobody can be made to reach this host. Absent: its agent knows no such fault. */
  readonly cut?: Precondition
}

/** Above this, filling a node up takes longer than a fault may take to begin. */
const fillBytesMax = 2 * 1024 ** 3

export function machineAllows({ wish, spec, machines, own }: AimInput, targets: readonly NodeStatus[]): Precondition[] {
  const hosts = [...new Set(targets.map(({ hostId }) => hostId))]
  const allows = (hostId: string, what: keyof MachineSeen): Precondition => allowedOn(hostId, machines, what)
  switch (wish.fault) {
    case 'disk-full':
      return hosts.map((hostId) => allows(hostId, 'disk'))
    case 'slow-disk':
      return hosts.map((hostId) => allows(hostId, 'throttle'))
    case 'memory-full':
      return targets.map(canBeFilled)
    case 'kill-controller':
      return [allows(localHostId, 'controller')]
    case 'cut-host':
    case 'cut-peers':
    case 'deafen-host':
    case 'mute-host':
    case 'flap':
    case 'slow-link':
      return [...hosts.map((hostId) => allows(hostId, 'cut')), isElsewhere(targets, own)]
    case 'unattended':
      return [spec.hosts.length > 0 ? notAtOnce : allows(localHostId, 'controller')]
    default:
      return []
  }
}

/** A machine that is cut off tells nobody what it measured. */
function isElsewhere(targets: readonly NodeStatus[], own: readonly string[]): Precondition {
  const here = targets.find(({ host }) => own.includes(host))
  if (here === undefined) return { met: true, because: 'the drill runs on another machine' }
  return { met: false, because: `host ${here.hostId} is the machine of this controller: name a node on another host` }
}

const notAtOnce: Precondition = {
  met: false,
  because:
    'controller and primary are on two hosts, and no order reaches the second once the controller is dead: take kill-controller',
}

function allowedOn(hostId: string, machines: AimInput['machines'], what: keyof MachineSeen): Precondition {
  const seen = machines.get(hostId)?.[what]
  if (seen === undefined) {
    return { met: false, because: `the agent of ${hostId} does not say what its machine allows: see "holdfast hosts"` }
  }
  return hostId === localHostId ? seen : { ...seen, because: `host ${hostId}: ${seen.because}` }
}

function canBeFilled({ id, memoryMaxBytes }: NodeStatus): Precondition {
  if (memoryMaxBytes === null || memoryMaxBytes === 0) {
    return { met: false, because: `the maxmemory of ${id} is not known, so nobody knows when it is full` }
  }
  const size = formatBytes(memoryMaxBytes)
  if (memoryMaxBytes <= fillBytesMax) return { met: true, because: `${id} holds ${size} and can be filled` }
  return {
    met: false,
    because: `${id} holds ${size}: only up to ${formatBytes(fillBytesMax)} can be filled within a drill`,
  }
}
