/**
 * A change of persistence on running engines, without a moment in which a crash costs more than before and after.
 *
 * The file of a node never comes first: an engine that is told to read an append-only file that is not there starts
 * empty. So the engine is changed live, the new files are waited for, and what is written last is the config file, by
 * `planConfigure`, which leaves a node alone until this is over.
 *
 * - to a log (`aof`, `hybrid`): an old log is deleted, the log is turned on, the engine writes its first one in the
 *   background. Until that is done it starts from its snapshot, as before.
 * - to snapshots (`rdb`): a snapshot is taken while the log goes on. When it is good, the save points are set, the log is
 *   turned off and its files are deleted, in one action. The snapshot comes before the save points because an engine
 *   with save points refuses all writes once a snapshot has failed.
 * - to `none`: the log is turned off and deleted, and so is the snapshot.
 *
 * Nothing is remembered: which step is next is read from what the engine says and which files are there. `planStart`
 * reads the same facts, so a crash between any two steps starts from the file that has the data.
 *
 * Where only some copies write (`persistOn`), who shall begin and who may end is in `persist-on.ts`; a copy that begins with
 * snapshots takes the first one at once, because its primary writes on until that is there.
 *
 * What makes a child copy memory is begun on one node of a host at a time, replicas before their primary, and only where
 * there is memory for it.
 */
import type { Action } from '../action.ts'
import { hasItsFiles, keepersOf, keepsFailing, ownedOf, writesOnSome } from '../persist-on.ts'
import type { NodePicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { lacksHeadroom } from '../save-headroom.ts'
import { formatDuration } from '../units.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

/** A snapshot older than this is taken again before the log is ended. */
const freshSeconds = 120
/** How soon a save that failed is tried again. */
const againMs = 30_000
/** How soon to look whether a save is done. */
const lookMs = 250

interface Wanted {
  readonly appendonly: string
  readonly save: string
}

/** Whether a node is on its way from one persistence to another; until it is there, its config file must not say so. */
export function changesPersistence(node: NodePicture, input: Pick<PlanInput, 'picture' | 'owned'>): boolean {
  const wanted = wantedOf(node, input)
  const appendonly = node.agent?.config?.['appendonly']
  if (wanted === null || node.agent === null || appendonly === undefined) return false
  if (appendonly !== wanted.appendonly) return true
  if (wanted.appendonly === 'no') return node.agent.files.aof
  return isFirstLog(node)
}

export function planPersistence(input: PlanInput): Step {
  const { picture } = input
  const unsaved = withoutFirstSnapshot(input)
  const changing = everyCopy(picture).filter(
    (node) => node.facts !== null && (changesPersistence(node, input) || unsaved.includes(node)),
  )
  const stale = everyCopy(picture).filter((node) => holdsOldSnapshot(node, input))
  if (changing.length === 0 && stale.length === 0) return idle
  const { ready, because } = judgeReadiness(picture)
  if (ready !== 'yes') return replaceWriter(changing, input, because)
  const mayGo = changing.filter((node) => node.facts?.role === 'replica' || !hasChangingReplica(node, changing))
  const hosts = new Map<string, NodePicture[]>()
  for (const node of mayGo) hosts.set(node.place.host, [...(hosts.get(node.place.host) ?? []), node])
  const steps = [...hosts.values()].map((nodes) => changeOne([...nodes].sort(replicasFirst), input))
  const drops = stale.map((node) =>
    act(`${node.id} has a snapshot from before, and keeps nothing: deleting it`, [
      { kind: 'drop-files', node: node.id, what: 'rdb' },
    ]),
  )
  return join([...steps, ...drops])
}

/**
 * While the deployment is not ready nothing is begun, but for this: with `persistOn`, another copy takes the place of a
 * writer that does not come back, which may take until somebody replaces it.
 */
function replaceWriter(changing: readonly NodePicture[], input: PlanInput, because: string): Step {
  const { picture, spec } = input
  const isHopeless = picture.nodes.every((node) => node.facts !== null || (node.gone && keepsFailing(node)))
  const heirs = changing.filter((node) => node.facts?.link?.state === 'up' && !picture.memoryOnly.has(node.id))
  if (writesOnSome(spec) && isHopeless && heirs.length > 0) return changeOne([...heirs].sort(replicasFirst), input)
  return changing.length === 0 ? idle : wait(`persistence is changed once all is well: ${because}`)
}

/** The next step of the first node of a host that has one. */
function changeOne(nodes: readonly NodePicture[], input: PlanInput): Step {
  const waits: Step[] = []
  for (const node of nodes) {
    const step = changeNode(node, input)
    if (step.actions.length > 0) return step
    waits.push(step)
  }
  return waits[0] ?? idle
}

function changeNode(node: NodePicture, input: PlanInput): Step {
  const wanted = wantedOf(node, input) as Wanted
  if (wanted.appendonly === 'yes') return beginLog(node, input)
  return changesPersistence(node, input) ? endLog(node, wanted, input) : takeFirst(node, input)
}

function beginLog(node: NodePicture, input: PlanInput): Step {
  const { agent, facts } = node
  if (agent === null || facts === null) return idle
  if (agent.config?.['appendonly'] === 'yes') {
    const trouble = facts.disk.rewriteOk ? '' : ', after one that failed'
    return wait(`${node.id} writes its first append-only file${trouble}`, lookMs)
  }
  const drop: Action = { kind: 'drop-files', node: node.id, what: 'aof' }
  if (agent.files.aof) return act(`${node.id} has an append-only file from before: deleting it`, [drop])
  const because = `${node.id} shall log its writes: beginning its append-only file`
  return beginSave(node, input, { kind: 'begin-log', node: node.id }, because)
}

function takeFirst(node: NodePicture, input: PlanInput): Step {
  if (node.facts?.disk.saving === true) return wait(`${node.id} takes a snapshot`, lookMs)
  const because = `${node.id} shall keep snapshots for its shard: taking the first`
  return beginSave(node, input, { kind: 'save', node: node.id }, because)
}

function endLog(node: NodePicture, { save }: Wanted, input: PlanInput): Step {
  const { agent, facts } = node
  if (agent === null || facts === null) return idle
  if (agent.config?.['appendonly'] === 'no') {
    const drop: Action = { kind: 'drop-files', node: node.id, what: 'aof' }
    return act(`${node.id} has an append-only file from before: deleting it`, [drop])
  }
  const end: Action = { kind: 'end-log', node: node.id, save }
  if (save === '') return act(`${node.id} shall keep nothing: ending its append-only file`, [end])
  const { saving, saveOk, savedAgoSeconds } = facts.disk
  if (saving) return wait(`${node.id} takes a snapshot`, lookMs)
  if (saveOk && agent.files.rdb && savedAgoSeconds !== null && savedAgoSeconds <= freshSeconds) {
    return act(`${node.id} has a snapshot: ending its append-only file`, [end])
  }
  const because = `${node.id} shall keep snapshots alone: taking the first`
  return beginSave(node, input, { kind: 'save', node: node.id }, because)
}

/** What makes a child copy memory: one on a host, where there is room, and not again at once where it failed. */
function beginSave(node: NodePicture, { picture }: PlanInput, action: Action, because: string): Step {
  const { agent, facts } = node
  if (agent === null || facts === null) return idle
  const busy = everyCopy(picture).find((other) => other.place.host === node.place.host && isSaving(other))
  if (busy !== undefined) return wait(`${node.id} waits until ${busy.id} has saved`, lookMs)
  const lack = lacksHeadroom({ usedBytes: facts.memoryBytes, freeBytes: agent.freeMemoryBytes })
  if (lack !== null) return wait(`persistence of ${node.id} is not changed yet: ${lack}`)
  const restMs = againMs - (picture.at - (agent.saveAskedAt ?? Number.NEGATIVE_INFINITY))
  const failed = action.kind === 'save' ? !facts.disk.saveOk : !facts.disk.rewriteOk
  if (failed && restMs > 0) {
    return wait(`a save of ${node.id} failed (see its log): trying again in ${formatDuration(restMs)}`, restMs)
  }
  return act(because, [action])
}

/** The engine has turned its log on, and the file of the node does not say so yet: the first log is being written. */
function isFirstLog({ agent, facts }: NodePicture): boolean {
  if (agent === null || facts === null || agent.written === null) return false
  return agent.written['appendonly'] !== 'yes' && (facts.disk.rewriting || !agent.files.aof)
}

/** Copies that have their save points, and write for a shard of which nobody has the files yet. */
function withoutFirstSnapshot({ picture, spec }: PlanInput): readonly NodePicture[] {
  if (!writesOnSome(spec) || spec.persistence !== 'rdb') return []
  return picture.shards.flatMap((shard) =>
    keepersOf(shard, spec).filter(
      (node) => (node.agent?.config?.['save'] ?? '') !== '' && !hasItsFiles(node, shard, spec),
    ),
  )
}

/** Without persistence, a snapshot is of use only while a replica is synced with it. */
function holdsOldSnapshot(node: NodePicture, input: PlanInput): boolean {
  const { agent, facts } = node
  const wanted = wantedOf(node, input)
  if (agent === null || facts === null || wanted?.appendonly !== 'no' || wanted.save !== '') return false
  const keepsNothing = agent.config?.['appendonly'] === 'no' && agent.config['save'] === ''
  // A backup takes it as soon as it is written.
  const isTaken = (agent.jobs ?? []).some(({ kind, state }) => kind === 'snapshot' && state === 'running')
  return (
    keepsNothing && agent.files.rdb && !isTaken && !facts.disk.saving && facts.replicas.every(({ online }) => online)
  )
}

function wantedOf(node: NodePicture, input: Pick<PlanInput, 'picture' | 'owned'>): Wanted | null {
  const { appendonly, save } = ownedOf(node, input)
  return appendonly === undefined || save === undefined ? null : { appendonly, save }
}

const isSaving = ({ facts }: NodePicture): boolean => facts?.disk.saving === true || facts?.disk.rewriting === true

const hasChangingReplica = (primary: NodePicture, changing: readonly NodePicture[]): boolean =>
  changing.some((node) => node.shard === primary.shard && node.facts?.role === 'replica')

function replicasFirst(a: NodePicture, b: NodePicture): number {
  const isPrimary = (node: NodePicture): number => Number(node.facts?.role === 'primary')
  return isPrimary(a) - isPrimary(b) || (a.id < b.id ? -1 : 1)
}
