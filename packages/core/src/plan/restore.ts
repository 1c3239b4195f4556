/**
 * A restore, in two stages.
 *
 * *Fetching*: each shard's first node gets its file beside its data, sent by the shelf where it is on another host, and
 * compares the checksum. Nothing is touched, the deployment goes on, and a backup that is damaged ends it here.
 *
 * *Replacing*: that all is fetched is saved as a decision, and from then on the data that was there is given up. Every
 * engine stops; only when the last one is gone, every node's data is put aside and the fetched file, or nothing, takes its
 * place. From then on it is a deployment as new: the ordinary rules start it, each first node from its file, and join
 * it together, with the slots of the manifest in place of even shares. What could stand in the way of that, that
 * it was as specified once and must never start empty again, does not count between the decision and its end.
 */
import type { Action } from '../action.ts'
import type { Job } from '../backup/job.ts'
import { shelfId } from '../backup/job.ts'
import type { BackupFile } from '../backup/manifest.ts'
import type { Document } from '../document.ts'
import type { Restore } from '../operation.ts'
import { ended } from '../operation.ts'
import { logsWrites } from '../persist-on.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { localHostId } from '../placement/hosting.ts'
import { judgeReadiness } from '../readiness.ts'
import { formatDuration } from '../units.ts'
import { failureOf, isDone, jobId, worksOf } from './backup.ts'
import { changesPersistence } from './persistence.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, record, wait } from './step.ts'

const pollMs = 50

/** The restore that has begun to replace the data, and is not done. */
export function replacing({ operations }: Pick<Document, 'operations'>): Restore | null {
  const found = operations.find((one) => one.kind === 'restore' && one.state === 'running' && one.stage === 'replacing')
  return found?.kind === 'restore' ? found : null
}

/** Whether it was once as specified, with the data that it has now: from then on nothing starts empty unasked. */
export const wasSettled = (document: Document): boolean => document.settledRevision > 0 && replacing(document) === null

export function planRestore(operation: Restore, input: PlanInput): Step {
  if (operation.stage === 'replacing') return finish(operation, input)
  if (operation.state === 'asked') {
    const because = `restore from ${operation.from}: fetching ${operation.files.length} files, nothing is touched yet`
    return record({ ...operation, state: 'running', beganAt: input.wallNow, because })
  }
  return fetch(operation, input)
}

function fetch(operation: Restore, { picture, wallNow }: PlanInput): Step {
  const told = `restore from ${operation.from}`
  const works = worksOf(operation.id, picture)
  const failed = failureOf(works)
  if (failed !== null) return record(ended(operation, 'failed', `${told} refused: ${failed}`, wallNow))
  const fetched = works.nodes.map(({ seen }) => seen)
  const missing = picture.shards.filter(({ id }) => !isDone(fetched, jobId(operation.id, id)))
  const [shard] = missing
  if (shard === undefined) {
    const because = `${told}: all is fetched and whole, the data is replaced now`
    return record({ ...operation, stage: 'replacing', because })
  }
  if ([...fetched, ...works.shelf].some(({ state }) => state === 'running')) return wait(`${told}: fetching`, pollMs)
  const [node, file] = [shard.nodes[0], fileOf(operation, shard.id)]
  if (node === undefined || node.agent === null || file === undefined)
    return wait(`${told} waits: the agent of ${node?.id ?? shard.id} does not answer`, 250)
  const { id, from, trial } = operation
  const isHere = node.place.host === localHostId
  const sendId = jobId(id, `send-${shard.id}`)
  if (isHere || isDone(works.shelf, sendId)) {
    const job: Job = { kind: 'fetch', id: jobId(id, shard.id), restore: id, from: isHere ? from : null, file, trial }
    return act(`${told}: fetching the file of ${shard.id}`, [{ kind: 'work', node: node.id, job }])
  }
  const { host } = node.place
  const job: Job = { kind: 'send', id: sendId, restore: id, from, file, host, node: node.id }
  return act(`${told}: sending the file of ${shard.id} to ${host}`, [{ kind: 'work', node: shelfId, job }])
}

/** Before every other rule: nothing starts while the data is being replaced. Idle once every node has its own. */
export function planReplace(operation: Restore, { picture, spec }: PlanInput): Step {
  const unplaced = everyCopy(picture).filter((node) => node.agent?.restore?.placed !== operation.id)
  if (unplaced.length === 0) return idle
  const told = `restore from ${operation.from}`
  const unseen = unplaced.filter(({ agent }) => agent === null)
  if (unseen.length > 0) return wait(`${told} waits: the agent of ${idsOf(unseen)} does not answer`, 250)
  const running = everyCopy(picture).filter((node) => !node.gone || isLingering(node))
  if (running.length > 0) return stopAll(told, running)
  return act(
    `${told}: every engine is stopped, putting the data aside`,
    unplaced.map((node): Action => {
      const file = isFirst(node, picture.shards) ? fileOf(operation, node.shard) : undefined
      const logs = logsWrites(spec) && !picture.memoryOnly.has(node.id)
      return { kind: 'place', node: node.id, restore: operation.id, bytes: file?.bytes ?? null, logs }
    }),
  )
}

/** What they hold is given up: nothing has to be saved, and nobody has to hand over. */
function stopAll(told: string, running: readonly NodePicture[]): Step {
  const askable = running.filter(({ life }) => ['alive', 'loading', 'starting'].includes(life))
  if (askable.length === 0) return wait(`${told}: ${idsOf(running)} shall stop and cannot be asked`, 250)
  // Replicas first, or they would elect one of themselves.
  const replicas = askable.filter(({ facts }) => facts?.role === 'replica')
  const next = replicas.length > 0 ? replicas : askable
  return act(
    `${told}: stopping ${idsOf(next)}`,
    next.map((node): Action => ({ kind: 'stop', node: node.id, save: false })),
  )
}

/** Everything has been placed and started: done once it is as specified. */
function finish(operation: Restore, input: PlanInput): Step {
  const { picture, wallNow } = input
  const told = `restore from ${operation.from}`
  const { ready, because } = judgeReadiness(picture)
  if (ready !== 'yes') return wait(`${told}: ${because}`, pollMs)
  if (everyCopy(picture).some(({ agent }) => agent?.config == null))
    return wait(`${told}: reading the settings back`, pollMs)
  // Until the last log is written, what is acknowledged is on no disk, and the data that was there stays.
  const unlogged = everyCopy(picture).filter((node) => changesPersistence(node, input))
  if (unlogged.length > 0) return wait(`${told}: ${idsOf(unlogged)} has still to begin its files`, pollMs)
  const keys = picture.shards.reduce((sum, { primary }) => sum + (primary?.facts?.keys ?? 0), 0)
  const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
  return record(ended(operation, 'done', `restored from ${operation.from} in ${took}: ${keys} keys`, wallNow))
}

export const fileOf = ({ files }: Restore, shard: string): BackupFile | undefined =>
  files.find((file) => file.shard === shard)

const isFirst = (node: NodePicture, shards: readonly ShardPicture[]): boolean =>
  shards.some(({ nodes }) => nodes[0] === node)

const isLingering = ({ agent }: NodePicture): boolean => agent?.process.state === 'dead' && agent.process.lingering

const idsOf = (nodes: readonly NodePicture[]): string => nodes.map(({ id }) => id).join(', ')
