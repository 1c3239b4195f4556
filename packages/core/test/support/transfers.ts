/* A backup and a restore under way, and what the agents tell of them. */
import type { Backup, JobSeen, Restore } from '../../src/index.ts'
import { transferFor } from '../../src/index.ts'
import { aManifest } from '../backup/a-manifest.ts'
import type { Break } from './deployment.ts'
import { agentOf } from './deployment.ts'

const evenly = { 'shard-1': [[0, 5460]], 'shard-2': [[5461, 10922]], 'shard-3': [[10923, 16383]] } as const

export const aBackup = (change: Partial<Backup> = {}): Backup => ({
  ...(transferFor(
    { kind: 'backup', id: 'b1', subject: 'shop', directory: '/backups/shop', keep: 7 },
    'admin',
    1,
  ) as Backup),
  state: 'running',
  beganAt: 1,
  slots: evenly,
  ...change,
})

export const aRestore = (change: Partial<Restore> = {}): Restore => ({
  ...(transferFor(
    { kind: 'restore', id: 'r1', subject: 'shop', from: '/backups/shop/b1', files: aManifest().files, trial: false },
    'admin',
    1,
  ) as Restore),
  state: 'running',
  beganAt: 1,
  ...change,
})

export const withJob =
  (node: string, id: string, state: JobSeen['state'], because: string | null = null): Break =>
  (world) => {
    const agent = agentOf(world, node)
    const kind = id.endsWith('seal') ? 'seal' : 'snapshot'
    agent.jobs = [...(agent.jobs ?? []), { id, kind, state, bytes: 1, because }]
  }

export const withShelfJob =
  (id: string, state: JobSeen['state'], because: string | null = null): Break =>
  ({ observed }) => {
    const kind = (/^\w+\/(\w+)/.exec(id)?.[1] ?? 'seal') as JobSeen['kind']
    const { at, jobs } = observed.shelf ?? { at: null, jobs: [] }
    observed.shelf = { at, jobs: [...jobs, { id, kind, state, bytes: 1, because }] }
  }

/** What a restore has done to a node. */
export const withPlaced =
  (node: string, placed: string | null, hasFiles = true): Break =>
  (world) => {
    agentOf(world, node).restore = { placed, hasFiles }
  }
