/**
 * A backup: a snapshot of every shard, taken one at a time on a host, then the manifest, then a trial.
 *
 * All of it is long work of the agents. How far it came is read from them each turn, and they read it from the disk, so
 * nothing is lost with a controller: what is whole is not taken again, what was interrupted is begun anew. What is kept in
 * the operation is which slots each shard had when it began; should slots move meanwhile, the files would not fit
 * together, and it stops.
 */
import type { Action } from '../action.ts'
import type { Job, JobSeen } from '../backup/job.ts'
import { withoutSecrets } from '../backup/manifest.ts'
import type { Backup } from '../operation.ts'
import { ended } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { lacksHeadroom } from '../save-headroom.ts'
import { formatSlots } from '../slots.ts'
import { formatDuration } from '../units.ts'
import type { PlanInput, Step } from './step.ts'
import { act, record, wait } from './step.ts'
import { objectionToHeir } from './switchover.ts'

const pollMs = 50

export function planBackup(operation: Backup, input: PlanInput): Step {
  return operation.state === 'asked' ? begin(operation, input) : goOn(operation, input)
}

function begin(operation: Backup, { picture, document, wallNow }: PlanInput): Step {
  const readiness = judgeReadiness(picture)
  if (readiness.ready !== 'yes') return wait(`backup of ${document.name} waits: ${readiness.because}`, 250)
  const slots = Object.fromEntries(picture.shards.map((shard) => [shard.id, shard.slots]))
  const because = `backup ${operation.id}: a snapshot of each of ${picture.shards.length} shards, to ${operation.directory}`
  return record({ ...operation, state: 'running', slots, beganAt: wallNow, because })
}

function goOn(operation: Backup, input: PlanInput): Step {
  const { picture, wallNow } = input
  const jobs = jobsOf(operation.id, picture)
  const failed = jobs.find(({ seen }) => seen.state === 'failed')
  if (failed !== undefined) return stop(operation, failed.seen.because ?? 'no reason given', wallNow)
  const done = new Map(jobs.flatMap(({ seen }) => (seen.state === 'done' ? [[seen.id, seen.because ?? '']] : [])))
  const said = (step: string): string | undefined => done.get(jobId(operation.id, step))
  const sealed = said('seal')
  if (sealed === undefined) {
    const missing = picture.shards.filter(({ id }) => said(id) === undefined)
    return missing.length > 0
      ? snapshots(operation, missing, jobs, input)
      : order(operation, sealOf(operation, input), jobs, input)
  }
  const verdict = said('verify')
  if (verdict === undefined) return order(operation, verifyOf(operation), jobs, input)
  if (verdict.startsWith('broken')) return stop(operation, `it cannot be restored, ${verdict}`, wallNow)
  const { keep, directory, id } = operation
  if (keep !== null && said('tidy') === undefined) {
    return order(operation, { kind: 'tidy', id: jobId(id, 'tidy'), directory, keep }, jobs, input)
  }
  const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
  return record(ended(operation, 'done', `backup ${sealed}, in ${took}; ${verdict}`, wallNow))
}

function snapshots(
  operation: Backup,
  missing: readonly ShardPicture[],
  jobs: readonly HostJob[],
  input: PlanInput,
): Step {
  const { picture, spec, wallNow } = input
  const running = jobs.filter(({ seen }) => seen.state === 'running')
  const busy = new Set(running.map(({ node }) => node.place.host))
  const actions: Action[] = []
  const told: string[] = []
  for (const shard of missing) {
    const wanted = formatSlots(operation.slots?.[shard.id] ?? [])
    if (shard.primary !== null && formatSlots(shard.slots) !== wanted) {
      return stop(
        operation,
        `slots of ${shard.id} moved while it ran: it has ${formatSlots(shard.slots)}, and had ${wanted}`,
        wallNow,
      )
    }
    const source = sourceOf(shard)
    // One fork on a machine at a time: each costs memory for what is written meanwhile, and all of the disk.
    if (source === undefined || busy.has(source.place.host)) continue
    const lack = lackOf(source)
    if (lack !== null)
      return stop(operation, `${source.id}: ${lack}. Free some there, or take it when less is written`, wallNow)
    busy.add(source.place.host)
    const role = source === shard.primary ? 'primary' : 'replica'
    actions.push({
      kind: 'work',
      node: source.id,
      job: {
        kind: 'snapshot',
        id: jobId(operation.id, shard.id),
        directory: operation.directory,
        backup: operation.id,
        shard: shard.id,
        slots: operation.slots?.[shard.id] ?? [],
        role,
        mayKeep: spec.persistence !== 'none' && !picture.memoryOnly.has(source.id),
      },
    })
    told.push(`${shard.id} from ${source.id}${role === 'primary' ? ', its primary: it has no copy in sync' : ''}`)
  }
  if (actions.length > 0) return act(`backup ${operation.id}: ${told.join(', ')}`, actions)
  if (running.length > 0)
    return wait(`backup ${operation.id}: ${running.map(({ seen }) => stepOf(seen)).join(', ')} under way`, pollMs)
  return wait(`backup ${operation.id} waits: ${missing.map(({ id }) => id).join(', ')} has no copy in sync`, 250)
}

/**
 * The copy in sync that has most, of those whose host has the memory that a snapshot may take. The primary where no copy lives at all: a fork makes it slower for a moment, which a
 * copy that is merely behind is no reason for.
 */
function sourceOf(shard: ShardPicture): NodePicture | undefined {
  const copies = shard.nodes.filter((node) => node !== shard.primary)
  const fit = copies.filter((node) => node.agent !== null && objectionToHeir(node, shard) === null)
  const best = [...fit].sort(
    (a, b) =>
      Number(lackOf(a) !== null) - Number(lackOf(b) !== null) ||
      (b.facts?.offset ?? 0) - (a.facts?.offset ?? 0) ||
      (a.id < b.id ? -1 : 1),
  )[0]
  if (best !== undefined) return best
  const { primary } = shard
  return primary?.facts != null && primary.agent !== null && copies.every((node) => node.gone) ? primary : undefined
}

/** Why its host has not the memory for a snapshot; null where it has, or does not say. */
const lackOf = ({ facts, agent }: NodePicture): string | null =>
  facts === null ? null : lacksHeadroom({ usedBytes: facts.memoryBytes, freeBytes: agent?.freeMemoryBytes ?? null })

function sealOf(operation: Backup, { document, spec, picture }: PlanInput): Job {
  return {
    kind: 'seal',
    id: jobId(operation.id, 'seal'),
    directory: operation.directory,
    backup: operation.id,
    shards: picture.shards.map(({ id }) => id),
    head: {
      id: operation.id,
      deployment: document.name,
      topology: spec.topology,
      requestedBy: operation.requestedBy,
      startedAt: operation.beganAt ?? operation.requestedAt,
      spec: withoutSecrets(document.spec),
    },
  }
}

const verifyOf = ({ id, directory }: Backup): Job => ({
  kind: 'verify',
  id: jobId(id, 'verify'),
  directory,
  backup: id,
})

/** One step that is about all shards, on whichever host answers. */
function order(operation: Backup, job: Job, jobs: readonly HostJob[], { picture }: PlanInput): Step {
  const step = job.kind
  const known = jobs.find(({ seen }) => seen.id === job.id)
  if (known?.seen.state === 'running') return wait(`backup ${operation.id}: ${step} under way`, pollMs)
  const node = known?.node ?? picture.nodes.find(({ agent }) => agent !== null)
  if (node === undefined || node.agent === null) return wait(`backup ${operation.id} waits: no agent answers`, 250)
  return act(`backup ${operation.id}: ${step}`, [{ kind: 'work', node: node.id, job }])
}

const stop = (operation: Backup, why: string, now: number): Step =>
  record(ended(operation, 'failed', `backup ${operation.id} failed: ${why}`, now))

export interface HostJob {
  readonly node: NodePicture
  readonly seen: JobSeen
}

/** What the agents know of the works of one operation. */
export const jobsOf = (operation: string, picture: Picture): readonly HostJob[] =>
  everyCopy(picture).flatMap((node) =>
    (node.agent?.jobs ?? []).flatMap((seen) => (seen.id.startsWith(`${operation}/`) ? [{ node, seen }] : [])),
  )

export const jobId = (operation: string, step: string): string => `${operation}/${step}`

const stepOf = ({ id }: JobSeen): string => id.slice(id.indexOf('/') + 1)
