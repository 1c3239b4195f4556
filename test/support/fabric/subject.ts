/** What a fault falls on: engines that keep themselves up, or that Holdfast keeps up; seen alike. */
import type { ClientKind, DeploymentFacts, SlotRange, UserAccess } from '@holdfast/core'
import type { Copies } from '../../../packages/control/src/drill/read-back.ts'
import type { Host } from './fabric.ts'
import type { Command } from './keeper.ts'

/** In the order of the table, as it calls them. */
export const subjectNames = {
  'holdfast-durable': 'Holdfast, class durable',
  'holdfast-cache': 'Holdfast, class cache',
  cluster: 'the engine alone, Cluster',
  sentinel: 'the engine alone, Sentinel',
} as const

export type SubjectName = keyof typeof subjectNames

export interface Subject {
  readonly name: SubjectName
  /** Who writes to it. */
  readonly clients: readonly ClientKind[]
  /** As whom, and whom they believe. */
  readonly access: UserAccess
  /** Where clients begin. */
  where(): Promise<DeploymentFacts>
  /** Who has what now; rejects while its own members do not agree. */
  seen(): Promise<Seen>
  /** The primary that a fault falls on, once all of them are where they were placed. */
  hit(fall: Fall): Promise<HitEngine>
  /** Who keeps it up, by process; nobody where the engine is alone. */
  readonly agents: () => readonly KeepingProcess[]
  controllers(): Promise<readonly KeepingProcess[]>
  /** Which controller acts, by its id; rejects where none does. */
  acting(): Promise<string>
  /** Starts again what was killed and nobody else starts, as a machine does that comes back. */
  revive(): Promise<void>
  close(): Promise<void>
}

/** On whose host it falls: on one that carries no controller, or on that of the one that acts. */
export type Fall = 'beside the controllers' | 'with the controller'

export interface Seen extends Copies {
  readonly shards: readonly (Copies['shards'][number] & { readonly slots: readonly SlotRange[] })[]
}

export interface HitEngine {
  readonly host: Host
  readonly shard: string
  readonly pid: number
  readonly dataDir: string
  /** How somebody who knows nothing of the rest would start it again, in its namespace. */
  readonly start: Command
}

export interface KeepingProcess {
  readonly host: Host
  readonly pid: number
  /** It is the one that acts. */
  readonly acts: boolean
}
