/**
 * A backup: a snapshot of every shard, taken one at a time on a host, then the manifest, then a trial.
 *
 * All of it is long work. How far it came is read each turn from agents and shelf, and they read it from the disk, so
 * nothing is lost with a controller: what is whole is not taken again, what was interrupted is begun anew. What is kept in
 * the operation is which slots each shard had when it began; should slots move meanwhile, the files would not fit
 * together, and it stops.
 *
 * A snapshot on this machine is put on the shelf as it is taken. One on another host stays there, beside its node's data,
 * until the shelf has collected it. A host that is lost before that has lost its snapshot, and another copy takes one.
 */
import type { Action } from '../action.ts'
import type { Job, JobSeen, ShelfJob } from '../backup/job.ts'
import { shelfId } from '../backup/job.ts'
import { withoutSecrets } from '../backup/manifest.ts'
import type { Backup } from '../operation.ts'
import { ended } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { everyCopy, lostHostOf } from '../picture.ts'
import { localHostId } from '../placement/hosting.ts'
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
  const works = worksOf(operation.id, picture)
  const failed = failureOf(works)
  if (failed !== null) return stop(operation, failed, wallNow)
  const done = new Map(works.shelf.flatMap(({ id, state, because }) => (state === 'done' ? [[id, because ?? '']] : [])))
  const said = (step: string): string | undefined => done.get(jobId(operation.id, step))
  const sealed = said('seal')
  if (sealed === undefined) {
    const missing = picture.shards.filter(({ id }) => !isShelved(operation, id, works))
    return missing.length > 0
      ? gather(operation, missing, works, input)
      : order(operation, sealOf(operation, input), works)
  }
  const verdict = said('verify')
  if (verdict === undefined) return order(operation, verifyOf(operation), works)
  if (verdict.startsWith('broken')) return stop(operation, `it cannot be restored, ${verdict}`, wallNow)
  const { keep, directory, id } = operation
  if (keep !== null && said('tidy') === undefined) {
    return order(operation, { kind: 'tidy', id: jobId(id, 'tidy'), directory, keep }, works)
  }
  const { at } = picture.shelf
  const where = at === null ? sealed : `on ${at}, ${sealed}`
  const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
  return record(ended({ ...operation, at }, 'done', `backup ${where}, in ${took}; ${verdict}`, wallNow))
}

/** Whether the file of a shard is where the backup will be. */
const isShelved = (operation: Backup, shard: string, works: Works): boolean =>
  isDone(works.shelf, collectId(operation, shard)) || takenFrom(operation, shard, works)?.place.host === localHostId

/** The node whose agent has the whole snapshot of a shard. */
const takenFrom = (operation: Backup, shard: string, { nodes }: Works): NodePicture | undefined =>
  nodes.find(({ seen }) => seen.id === jobId(operation.id, shard) && seen.state === 'done')?.node

/** Takes what is not taken, and collects what is: each host is busy with its own. */
function gather(operation: Backup, missing: readonly ShardPicture[], works: Works, input: PlanInput): Step {
  const collecting = works.shelf.find(({ state }) => state === 'running')
  const untaken = missing.filter(
    ({ id }) => collecting?.id !== collectId(operation, id) && takenFrom(operation, id, works) === undefined,
  )
  const snapshots = takeSnapshots(operation, untaken, works, input)
  if (!Array.isArray(snapshots)) return snapshots
  const orders = [...snapshots, ...(collecting === undefined ? collectNext(operation, missing, works) : [])]
  if (orders.length > 0) {
    const told = orders.map((one) => one.told).join(', ')
    return act(
      `backup ${operation.id}: ${told}`,
      orders.map(({ action }) => action),
    )
  }
  const running = [...works.nodes.map(({ seen }) => seen), ...works.shelf].filter(({ state }) => state === 'running')
  if (running.length > 0) return wait(`backup ${operation.id}: ${running.map(stepOf).join(', ')} under way`, pollMs)
  return wait(`backup ${operation.id} waits: ${missing.map(({ id }) => id).join(', ')} has no copy in sync`, 250)
}

interface Order {
  readonly told: string
  readonly action: Action
}

function takeSnapshots(
  operation: Backup,
  untaken: readonly ShardPicture[],
  works: Works,
  { picture, spec, wallNow }: PlanInput,
): Order[] | Step {
  const busy = new Set(works.nodes.flatMap(({ node, seen }) => (seen.state === 'running' ? [node.place.host] : [])))
  const orders: Order[] = []
  for (const shard of untaken) {
    const slots = operation.slots?.[shard.id] ?? []
    if (shard.primary !== null && formatSlots(shard.slots) !== formatSlots(slots)) {
      const moved = `it has ${formatSlots(shard.slots)}, and had ${formatSlots(slots)}`
      return stop(operation, `slots of ${shard.id} moved while it ran: ${moved}`, wallNow)
    }
    const source = sourceOf(shard, picture)
    // One fork on a machine at a time: each costs memory for what is written meanwhile, and all of the disk.
    if (source === undefined || busy.has(source.place.host)) continue
    const lack = lackOf(source)
    if (lack !== null)
      return stop(operation, `${source.id}: ${lack}. Free some there, or take it when less is written`, wallNow)
    busy.add(source.place.host)
    const role = source === shard.primary ? 'primary' : 'replica'
    const job: Job = {
      kind: 'snapshot',
      id: jobId(operation.id, shard.id),
      directory: isHere(source) ? operation.directory : null,
      backup: operation.id,
      shard: shard.id,
      slots,
      role,
      mayKeep: spec.persistence !== 'none' && !picture.memoryOnly.has(source.id),
    }
    const told = `${shard.id} from ${source.id}${role === 'primary' ? ', its primary: it has no copy in sync' : ''}`
    orders.push({ told, action: { kind: 'work', node: source.id, job } })
  }
  return orders
}

/** One at a time: they come by the same network, and to the same disk. */
function collectNext(operation: Backup, missing: readonly ShardPicture[], works: Works): Order[] {
  return missing
    .flatMap(({ id: shard }): Order[] => {
      const from = takenFrom(operation, shard, works)
      if (from === undefined) return []
      const { host } = from.place
      const id = collectId(operation, shard)
      const { directory, id: backup } = operation
      const job: ShelfJob = { kind: 'collect', id, directory, backup, shard, host, node: from.id }
      return [{ told: `collecting ${shard} from ${host}`, action: { kind: 'work', node: shelfId, job } }]
    })
    .slice(0, 1)
}

const isHere = ({ place }: NodePicture): boolean => place.host === localHostId

/**
 * The copy in sync that has most, of those whose host has the memory that a snapshot may take. The primary where no copy
 * lives at all, or only on hosts that are lost: a fork makes it slower for a moment, which a copy that is merely behind is
 * no reason for.
 */
function sourceOf(shard: ShardPicture, picture: Picture): NodePicture | undefined {
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
  const isLast = copies.every((node) => node.gone || lostHostOf(node, picture) !== null)
  return primary?.facts != null && primary.agent !== null && isLast ? primary : undefined
}

/** Why its host has not the memory for a snapshot; null where it has, or does not say. */
const lackOf = ({ facts, agent }: NodePicture): string | null =>
  facts === null ? null : lacksHeadroom({ usedBytes: facts.memoryBytes, freeBytes: agent?.freeMemoryBytes ?? null })

function sealOf(operation: Backup, { document, spec, picture }: PlanInput): ShelfJob {
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

const verifyOf = ({ id, directory }: Backup): ShelfJob => ({
  kind: 'verify',
  id: jobId(id, 'verify'),
  directory,
  backup: id,
})

/** One step that is about all shards, where they all are. */
function order(operation: Backup, job: ShelfJob, works: Works): Step {
  const told = `backup ${operation.id}: ${job.kind}`
  if (works.shelf.some(({ id, state }) => id === job.id && state === 'running'))
    return wait(`${told} under way`, pollMs)
  return act(told, [{ kind: 'work', node: shelfId, job }])
}

const stop = (operation: Backup, why: string, now: number): Step =>
  record(ended(operation, 'failed', `backup ${operation.id} failed: ${why}`, now))

interface HostJob {
  readonly node: NodePicture
  readonly seen: JobSeen
}

/** All that is known of the works of one operation. */
export interface Works {
  /** Beside the engines, as their agents tell. */
  readonly nodes: readonly HostJob[]
  readonly shelf: readonly JobSeen[]
}

export function worksOf(operation: string, picture: Picture): Works {
  const isOf = ({ id }: JobSeen): boolean => id.startsWith(`${operation}/`)
  const nodes = everyCopy(picture).flatMap((node) =>
    (node.agent?.jobs ?? []).filter(isOf).map((seen): HostJob => ({ node, seen })),
  )
  return { nodes, shelf: picture.shelf.jobs.filter(isOf) }
}

/** Why one of them failed, and where; null where none did. */
export function failureOf({ nodes, shelf }: Works): string | null {
  const far = nodes.find(({ seen }) => seen.state === 'failed')
  if (far !== undefined) {
    const because = far.seen.because ?? 'no reason given'
    return isHere(far.node) ? because : `${far.node.id} on host ${far.node.place.host}: ${because}`
  }
  const here = shelf.find(({ state }) => state === 'failed')
  return here === undefined ? null : (here.because ?? 'no reason given')
}

export const isDone = (jobs: readonly JobSeen[], id: string): boolean =>
  jobs.some((seen) => seen.id === id && seen.state === 'done')

export const jobId = (operation: string, step: string): string => `${operation}/${step}`

const collectId = ({ id }: Backup, shard: string): string => jobId(id, `collect-${shard}`)

const stepOf = ({ id }: JobSeen): string => id.slice(id.indexOf('/') + 1).replace(/^collect-/, 'collection of ')
