import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FaultNetwork, FaultNode, FaultOrder, FaultSeen, FaultTarget } from '@holdfast/core'
import type { ProcessId } from '../../proc.ts'
import { bootId, readProcess } from '../../proc.ts'
import { writeAtomically } from '../../write-file.ts'

/** A target whose process was found to be the engine of its node, and is known exactly. */
export type FoundTarget = FaultTarget & ProcessId & { readonly nodeDir: string; readonly cgroup: string | null }

/** A host among others, as its agent knows it. */
export interface HostMember {
  readonly agent: ProcessId & { readonly address: string; readonly port: number }
  /** Addresses of the other hosts of the deployment, and of the controllers. */
  readonly peers: readonly string[]
  readonly controllers: readonly string[]
  /** Where agents listen, its own too. */
  readonly agentPorts: readonly number[]
}

/** Where a fault happens: what injecting and healing need beside the order. No secrets. */
export interface FaultScene {
  readonly home: string
  readonly deploymentDir: string
  readonly targets: readonly FoundTarget[]
  /** Every node of the deployment. */
  readonly nodes: readonly FaultNode[]
  readonly network: FaultNetwork
  /** The agent of this host and who is around it; null: the deployment is on the machine of its controller alone. */
  readonly member: HostMember | null
  /** The controller that heals, and where its panel listens. */
  readonly controller: (ProcessId & { readonly port: number }) | null
  /** The engine's program. */
  readonly engine: { readonly server: string; readonly env: Readonly<Record<string, string>> }
}

/** What is written down of a fault before it is injected: enough to heal it without whoever asked for it. */
export interface FaultRecord {
  readonly order: FaultOrder
  readonly scene: FaultScene
  readonly keeper: ProcessId
  readonly bootId: string
  /** Wall clock, ms since 1970. */
  readonly injectedAt: number
  readonly healsAt: number
  readonly healedAt: number | null
  readonly trouble: string | null
}

/** What injuries are given. */
export interface FaultCase {
  readonly order: FaultOrder
  readonly scene: FaultScene
  /** Passwords of the engine's users. */
  readonly secrets: Readonly<Record<string, string>>
}

/** A fault that this process keeps, and that begins at `at` (wall clock, ms since 1970). */
export function recordOf({ order, scene }: FaultCase, at: number): FaultRecord {
  const injectedAt = Math.round(at)
  const keeper = { pid: process.pid, startTime: readProcess(process.pid)?.startTime ?? 0 }
  const healsAt = injectedAt + order.forMs
  return { order, scene, keeper, bootId: bootId(), injectedAt, healsAt, healedAt: null, trouble: null }
}

export const faultPath = (directory: string, id: string): string => join(directory, `${id}.json`)

/** A whole record or none, for its owner alone, on disk when this returns. */
export function writeFault(path: string, record: FaultRecord): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeAtomically(path, JSON.stringify(record))
}

/** Every fault that is written down, the newest first. */
export function readFaults(directory: string): FaultRecord[] {
  return idsIn(directory)
    .flatMap((id) => readFault(faultPath(directory, id)) ?? [])
    .sort((a, b) => b.injectedAt - a.injectedAt)
}

/** Undefined where there is none. */
export function readFault(path: string): FaultRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as FaultRecord
  } catch {
    return undefined
  }
}

function idsIn(directory: string): string[] {
  try {
    return readdirSync(directory).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []))
  } catch {
    return []
  }
}

export function seenFault({ order, injectedAt, healsAt, healedAt, trouble }: FaultRecord): FaultSeen {
  const { id, deployment, fault, because, targets } = order
  return {
    id,
    deployment,
    fault,
    because,
    targets: targets.map((target) => target.id),
    injectedAt,
    healsAt,
    healedAt,
    trouble,
  }
}
