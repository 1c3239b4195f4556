/**
 * How many more engines a host has memory for, and whether it has a core for each. Everything that may ever be in an
 * engine's memory counts from the day on which it is placed: room that is lent twice is missing in the night in which both
 * need it.
 */
import type { NodePlace } from '../document.ts'
import type { HostFacts } from '../host-facts.ts'
import type { Spec } from '../spec.ts'
import { formatBytes } from '../units.ts'
import { roomsOf } from './hosting.ts'
import type { Room } from './spread.ts'

const mb = 1024 ** 2

/** Beside an engine's `maxmemory`: its replication backlog, the buffers of its clients, and the program itself. */
const besideBytes = 80 * mb
/** While an engine writes a snapshot it copies what is written to meanwhile: half of it, and on a host one at a time. */
const savedShare = 0.5
/** For the agent and the kernel. */
const reservedShare = 0.05
const reservedBytesMin = 128 * mb

/** A host as placement sees it. */
export interface HostLoad {
  readonly host: string
  /** Whether its agent is heard: where nobody listens, nothing can be started. */
  readonly isHere: boolean
  /** Null: its agent does not say, and then as much fits as anybody asks for. */
  readonly facts: Pick<HostFacts, 'cores' | 'memoryBytes' | 'limits'> | null
  /** The `maxmemory` of each engine that deployments of this home have there. */
  readonly carried: readonly number[]
}

/** Where data of this spec may go, and how many engines of it fit on each. */
export const roomsFor = (spec: Spec, loads: readonly HostLoad[]): Room[] =>
  roomsOf(spec).map((room) => {
    const load = loads.find(({ host }) => host === room.host)
    return load === undefined ? room : { ...room, ...roomOn(load, spec.memory.maxPerNode) }
  })

function roomOn({ host, isHere, facts, carried }: HostLoad, maxPerNode: number): Pick<Room, 'free' | 'full'> {
  if (!isHere) return { free: 0, full: `${host} does not answer` }
  const allowed = allowedBytes(facts)
  if (allowed === null) return { free: Number.POSITIVE_INFINITY }
  const reserved = Math.max(reservedBytesMin, allowed * reservedShare)
  const saving = savedShare * Math.max(maxPerNode, ...carried)
  const taken = carried.reduce((sum, bytes) => sum + bytes + besideBytes, 0)
  const each = maxPerNode + besideBytes
  const free = Math.max(0, Math.floor((allowed - reserved - saving - taken) / each))
  const its = carried.length === 1 ? 'the engine there takes' : `the ${carried.length} engines there take`
  const terms = [
    carried.length === 0 ? '' : `${its} ${formatBytes(taken)}`,
    `a snapshot ${formatBytes(saving)}`,
    `the system ${formatBytes(reserved)}`,
  ].filter((term) => term !== '')
  const full = `${host} has ${formatBytes(allowed)} of memory, of which ${terms.join(', ')}: one more engine takes ${formatBytes(each)}`
  return { free, full }
}

/** What the machine has, or what a control group leaves to its engines. */
function allowedBytes(facts: HostLoad['facts']): number | null {
  const known = [facts?.memoryBytes, facts?.limits.memoryBytes].filter((bytes) => bytes != null)
  return known.length === 0 ? null : Math.min(...known)
}

/** Hosts with fewer cores than engines, in words: an engine works on one core. `nodes`: of this deployment, as they would be. */
export function shortOfCores(nodes: readonly NodePlace[], loads: readonly HostLoad[]): string[] {
  return loads.flatMap(({ host, facts, carried }) => {
    const mine = nodes.filter((node) => node.host === host).length
    const engines = carried.length + mine
    const cores = facts === null ? null : Math.min(facts.cores, facts.limits.cores ?? facts.cores)
    if (cores === null || mine === 0 || engines <= cores) return []
    return [
      `${host} has ${cores} ${cores === 1 ? 'core' : 'cores'} for ${engines} engines: when all are busy, each has a part of one`,
    ]
  })
}
