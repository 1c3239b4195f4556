/**
 * A rolling restart: every process of the subject is replaced by another one, replicas first, and a primary only after
 * it has handed its shard over. One process at a time, and the next only when everything is ready again.
 *
 * Which processes are to go is decided and saved when it begins. From then on it is read from the machine who of them is
 * still there, so that a controller which comes after this one goes on, and a process that died meanwhile and came back
 * need not go once more. Sentinels run the same program: after an upgrade of the engines they are replaced too, one by one,
 * and last, because what a newer one has written to its file no older one has to read. At the first surprise it stops and says so: a node that does not come back, a primary that
 * changed without us, a copy that does not take over. Nothing is forced.
 */
import type { Restart, RestartStep } from '../operation.ts'
import { ended } from '../operation.ts'
import { keepsFailing, logsWrites } from '../persist-on.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { formatDuration } from '../units.ts'
import type { PlanInput, Step } from './step.ts'
import { act, record, wait } from './step.ts'
import { attemptMs, heirFor, sinceAsked, triesMax } from './switchover.ts'

/** How long the deployment may take to be ready again while nothing loads or syncs. */
const recoverWithinMs = 120_000
const pollMs = 20

export function planRestart(operation: Restart, input: PlanInput): Step {
  return operation.state === 'asked' ? begin(operation, input) : goOn(operation, input)
}

/** The nodes that a restart of this subject is about: all, a shard's, or one. */
function nodesOfSubject(subject: string, name: string, picture: Picture): readonly NodePicture[] {
  return everyEngine(picture).filter((node) => subject === name || node.shard === subject || node.id === subject)
}

/** Also those that stand by: one of them may be needed tomorrow. What is chained goes before whom it follows. */
const everyEngine = ({ nodes, chained, spares }: Picture): readonly NodePicture[] => [...spares, ...chained, ...nodes]

function begin(operation: Restart, input: PlanInput): Step {
  const { picture, spec, document, wallNow } = input
  const told = toldOf(operation)
  const nodes = nodesOfSubject(operation.subject, document.name, picture)
  const lent = (operation.places ?? []).map((place) => ({ id: place.id, place: { ...place, lentTo: operation.id } }))
  if (nodes.length === 0)
    return record(ended(operation, 'failed', `there is no ${operation.subject} any more`, wallNow))
  const alone = picture.shards.find(
    (shard) => shard.nodes.length === 1 && nodes.includes(shard.nodes[0] as NodePicture),
  )
  if (alone !== undefined && spec.persistence === 'none') {
    const because = `${alone.id} has one copy and no persistence: a restart would lose its data. Add a replica, or turn persistence on`
    return record(ended(operation, 'failed', because, wallNow))
  }
  const readiness = judgeReadiness(picture)
  if (readiness.ready !== 'yes') return wait(`${told} waits until ${document.name} is ready: ${readiness.because}`, 100)
  const other = specEngineOf(operation) === null ? undefined : nodes.find((node) => isOther(node, operation))
  if (other !== undefined) {
    const because = `${told} was asked for while ${document.name} ran ${operation.cameFrom?.version}, and ${other.id} runs ${other.facts?.version}: ask for it again`
    return record(ended(operation, 'failed', because, wallNow))
  }
  const processes = nodes.flatMap((node) => {
    const process = processOf(node)
    return process === null || isRight(node, operation) ? [] : [[node.id, process] as const]
  })
  const after = lent.length === 0 ? '' : `, once ${lent.map(({ id }) => id).join(', ')} have copies of their shards`
  const because = `${told}: ${processes.length} engines, one at a time (${operation.reason})${after}`
  const begun: Restart = {
    ...operation,
    state: 'running',
    specEngine: null,
    processes: Object.fromEntries(processes),
    primaries: primariesOf(picture),
    beganAt: wallNow,
    because,
  }
  const engine = specEngineOf(operation)
  const begins = engine === null ? record(begun) : { ...record(begun), engine }
  return lent.length === 0 ? begins : { ...begins, places: lent }
}

function goOn(operation: Restart, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const stop = (why: string): Step => {
    const { done, all } = progressOf(operation, picture)
    const because = `${toldOf(operation)} stopped after ${done} of ${all}: ${why}`
    return record(ended(operation, 'failed', because, wallNow))
  }
  const broken = [...everyCopy(picture), ...picture.sentinels].find((one) => one.gone && keepsFailing(one))
  if (broken !== undefined) {
    return stop(`${broken.id} does not start (${broken.agent?.starts.lastError ?? 'no reason given'})`)
  }
  const other = everyCopy(picture).find(
    (node) =>
      node.facts !== null && wasReplaced(operation, node) && !isRight(node, operation) && operation.engine !== null,
  )
  if (other !== undefined) return stop(`${other.id} came back as ${other.facts?.version}`)
  const { step } = operation
  const handedOver = step?.kind === 'hand-over' ? settleHandOver(operation, step, input, stop) : undefined
  if (handedOver !== undefined) return handedOver
  const usurped = picture.shards.find(
    ({ id, primary }) =>
      primary !== null && operation.primaries[id] !== undefined && primary.id !== operation.primaries[id],
  )
  if (usurped !== undefined) {
    const was = operation.primaries[usurped.id]
    return stop(`${usurped.primary?.id} became primary of ${usurped.id} in place of ${was}, and not by this restart`)
  }
  const readiness = judgeReadiness(picture)
  if (readiness.ready !== 'yes') {
    const isMoving = everyCopy(picture).some(
      ({ life, facts }) => life === 'loading' || facts?.link?.state === 'syncing',
    )
    const since = wallNow - (step?.at ?? operation.beganAt ?? wallNow)
    if (!isMoving && since > recoverWithinMs) {
      return stop(
        `${document.name} is not ready ${formatDuration(since)} after ${step?.node ?? 'it began'}: ${readiness.because}`,
      )
    }
    return wait(`${toldOf(operation)}: ${readiness.because}`, pollMs)
  }
  return next(operation, input, stop)
}

/** Everything is ready: the next process goes, or the last one has gone. */
function next(operation: Restart, input: PlanInput, stop: (why: string) => Step): Step {
  const { picture, spec, wallNow } = input
  const old = everyEngine(picture).filter((node) => isOld(operation, node))
  const { done, all } = progressOf(operation, picture)
  const aside = old.find((node) => picture.spares.includes(node) || picture.chained.includes(node))
  if (aside !== undefined) {
    const what = aside.place.chained === true ? 'is chained' : 'stands by'
    const because = `restarting ${aside.id} (${done + 1} of ${all}), which ${what}`
    return act(because, [{ kind: 'stop', node: aside.id, save: false }])
  }
  const shard = picture.shards.find(({ nodes }) => nodes.some((node) => old.includes(node)))
  if (shard === undefined) return replaceSentinel(operation, input) ?? over(operation, all, input)
  const replica = old.find((node) => node.shard === shard.id && node !== shard.primary)
  // Its own files are complete when it stops, if every write goes to them; else a snapshot is taken first.
  const save = !logsWrites(spec) && spec.persistence !== 'none'
  const goes = replica ?? (shard.nodes.length === 1 ? shard.primary : null)
  if (goes !== null) {
    const alone = goes === shard.primary ? ', the only copy of its shard: writes wait until it is back' : ''
    const because = `restarting ${goes.id} (${done + 1} of ${all})${alone}`
    const stepped: RestartStep = { kind: 'stop', node: goes.id, at: wallNow, tries: 1 }
    const actions = [{ kind: 'stop', node: goes.id, save: save && goes === shard.primary } as const]
    return { ...act(because, actions), operations: [{ ...operation, step: stepped, because }] }
  }
  const heir = heirFor(shard)
  if (heir === undefined) return stop(`no copy of ${shard.id} can take over from ${shard.primary?.id}`)
  return handOver(operation, shard, heir, 1, wallNow)
}

function over(operation: Restart, all: number, { picture, wallNow }: PlanInput): Step {
  const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
  const { length } = operation.engine === null ? [] : picture.sentinels
  const engines = `${all} engines${length === 0 ? '' : ` and ${length} Sentinels`}`
  return record(ended(operation, 'done', `${toldOf(operation)}: ${engines} restarted in ${took}`, wallNow))
}

/** The next Sentinel that is not what the engines are; undefined where all are. */
function replaceSentinel(operation: Restart, { picture, wallNow }: PlanInput): Step | undefined {
  if (operation.engine === null) return undefined
  const { version } = operation.engine
  const unread = picture.sentinels.find(({ agent }) => agent?.access?.version === null)
  if (unread !== undefined) return wait(`${toldOf(operation)}: what ${unread.id} runs is read`, pollMs)
  const old = picture.sentinels.find(({ agent }) => (agent?.access?.version ?? version) !== version)
  if (old === undefined) return undefined
  const because = `restarting ${old.id}, which still is ${old.agent?.access?.version}`
  const step: RestartStep = { kind: 'stop', node: old.id, at: wallNow, tries: 1 }
  const actions = [{ kind: 'stop', node: old.id, save: false } as const]
  return { ...act(because, actions), operations: [{ ...operation, step, because }] }
}

function handOver(operation: Restart, shard: ShardPicture, heir: NodePicture, tries: number, wallNow: number): Step {
  const because = `${shard.primary?.id} hands ${shard.id} over to ${heir.id}, before it is restarted`
  const step: RestartStep = { kind: 'hand-over', node: heir.id, at: wallNow, tries }
  return {
    ...act(because, [{ kind: 'failover', node: heir.id, mode: 'switchover' }]),
    operations: [{ ...operation, step, because }],
  }
}

/** What became of the hand-over that was asked for; undefined once there is none under way. */
function settleHandOver(
  operation: Restart,
  step: RestartStep,
  { picture, wallNow }: PlanInput,
  stop: (why: string) => Step,
): Step | undefined {
  const heir = picture.nodes.find(({ id }) => id === step.node)
  const shard = picture.shards.find(({ id }) => id === heir?.shard)
  if (heir === undefined || shard === undefined) return stop(`${step.node} is gone`)
  if (shard.primary === heir) {
    if (operation.primaries[shard.id] === heir.id) return undefined
    const because = `${heir.id} is primary of ${shard.id}, was ${operation.primaries[shard.id]}: handed over`
    return record({ ...operation, primaries: { ...operation.primaries, [shard.id]: heir.id }, because })
  }
  if (shard.primary !== null && shard.primary.id !== operation.primaries[shard.id]) return undefined
  if (heir.gone || shard.primary?.gone === true) return stop(`${shard.id} lost a copy while it was handed over`)
  if (sinceAsked(heir, picture) < attemptMs) return wait(`${heir.id} takes over ${shard.id}`, pollMs)
  // Silent is not dead: nobody is asked again before both answer, or the time to be ready again is over.
  if (heir.facts === null || shard.primary?.facts == null) return undefined
  if (step.tries >= triesMax) {
    return stop(`${heir.id} did not become primary of ${shard.id} though it was asked ${triesMax} times`)
  }
  return handOver(operation, shard, heir, step.tries + 1, wallNow)
}

function progressOf({ processes }: Restart, picture: Picture): { done: number; all: number } {
  const all = Object.keys(processes ?? {}).length
  const old = everyEngine(picture).filter(
    (node) => processes?.[node.id] !== undefined && processes[node.id] === processOf(node),
  )
  return { done: all - old.length, all }
}

const isOld = ({ processes }: Restart, node: NodePicture): boolean =>
  processes?.[node.id] !== undefined && processes[node.id] === processOf(node)

/** It was to go, and is another process now. */
const wasReplaced = ({ processes }: Restart, node: NodePicture): boolean =>
  processes?.[node.id] !== undefined && processOf(node) !== null && processes[node.id] !== processOf(node)

/** With an upgrade: whether it is what it shall be already. */
const isRight = ({ facts }: NodePicture, { engine }: Restart): boolean =>
  engine !== null && facts?.version === engine.version

/** The engine that the spec shall name, where an upgrade was put off. */
const specEngineOf = ({ specEngine }: Restart) => specEngine ?? null

/** It became another one since the upgrade was asked for and judged, and is not what it shall be. */
const isOther = (node: NodePicture, operation: Restart): boolean =>
  !isRight(node, operation) && operation.cameFrom !== null && node.facts?.version !== operation.cameFrom.version

const toldOf = ({ kind, subject, engine }: Restart): string =>
  `${kind} of ${subject}${engine === null ? '' : ` to ${engine.flavor} ${engine.version}`}`

/** The identity of a node's process, as its agent knows it; null where none runs. */
function processOf({ agent }: NodePicture): string | null {
  const process = agent?.process
  return process?.state === 'running' ? `${process.pid}:${process.startTime}` : null
}

const primariesOf = (picture: Picture): Record<string, string> =>
  Object.fromEntries(picture.shards.flatMap(({ id, primary }) => (primary === null ? [] : [[id, primary.id]])))
