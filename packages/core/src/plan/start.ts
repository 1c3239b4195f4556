/**
 * Which missing engines to start, and which must stay down for now.
 *
 * An empty or older engine must never become primary of a shard that has data: its replicas would copy the emptiness
 * within a second. So a dead primary waits until its shard's promotion is settled and then comes back as a replica;
 * and where every copy of a shard is down, the freshest one by the agents' records starts first and the others stay
 * down until it answers, because replication ids and offsets prove nothing after a restart from files.
 */
import type { Action, PlanNote } from '../action.ts'
import { isDurable, isHeldInFile, letGoOf } from '../durability.ts'
import type { ProcessSeen, StartHistory } from '../observed.ts'
import { filesOf, logsWrites } from '../persist-on.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { names } from '../sentinel-picture.ts'
import { formatDuration } from '../units.ts'
import { failoverCandidate, hasHistoryOf, isCopyOf, judgeReplicas, lastAsked } from './candidate.ts'
import { canRestartInPlace, freshestFile, hasCopy, isLeftover } from './copy.ts'
import { unproven } from './failover.ts'
import { mayHoldData } from './last-copy.ts'
import { isUnderWay } from './promotion.ts'
import { resettle } from './relocate.ts'
import { wasSettled } from './restore.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { changeView, isStrict } from './view-change.ts'

const backoffFirstMs = 500
const backoffMaxMs = 30_000

export function planStart(input: PlanInput): Step {
  return join(input.picture.shards.map((shard) => startShard(shard, input)))
}

function startShard(shard: ShardPicture, input: PlanInput): Step {
  const gone = shard.nodes.filter((node) => node.gone)
  if (gone.length === 0) return idle
  if (shard.slotless) return join(gone.map((node) => startNew(node, shard, input)))
  const born = shard.born || wasSettled(input.document)
  if (!born) return join(gone.map((node) => startNew(node, shard, input)))
  if (gone.length === shard.nodes.length || onlyFilesAreLeft(shard, input)) return startFreshest(shard, input)
  // A durable copy that was stopped to go is of the shard until another has all that it had.
  const stay = gone.filter((node) => node.place.leaving?.owes === undefined || node === shard.primary)
  return join(stay.map((node) => startBeside(node, shard, input)))
}

/** Of a shard that never had data. Without a Cluster, the first copy is its primary, and the others follow it. */
function startNew(node: NodePicture, shard: ShardPicture, input: PlanInput): Step {
  const [first] = shard.nodes
  const follow = input.spec.topology === 'sentinel' && first !== node ? first : undefined
  return startNode(node, 'it is not running', input, [], follow)
}

/** A missing node whose shard has a living copy. */
function startBeside(node: NodePicture, shard: ShardPicture, input: PlanInput): Step {
  const { primary } = shard
  const isWatched = input.spec.topology === 'sentinel'
  if (isWatched && isUnderWay(input.picture)) return wait(`${node.id} stays down while the Sentinels fail over`, 20)
  if (primary !== null && primary !== node && primary.life === 'alive') {
    // A client that is told of its address meanwhile would find a replica there, and stay, as a writer.
    const misled = input.picture.sentinels.filter(({ watch }) => names(watch, node))
    if (misled.length > 0) {
      return wait(`${node.id} stays down while ${misled.map(({ id }) => id).join(', ')} names it as the primary`, 20)
    }
    if (isWatched && primary.facts?.role !== 'primary')
      return wait(`${node.id} stays down while nobody is primary`, 100)
    return startNode(node, `${primary.id} is primary of ${shard.id}`, input, [], isWatched ? primary : undefined)
  }
  if (primary === node) {
    const lastSeen = node.agent?.record?.at ?? Number.NEGATIVE_INFINITY
    if (lastAsked(shard, node.engineId, lastSeen, input.picture.at) !== undefined) return idle
    if (hasHeir(shard, node, input)) return idle
    if (!canRestartInPlace(node, input.spec)) return idle
    const why = judgeReplicas(shard, node, input.spec).flatMap(({ objection }) => objection ?? [])
    const told = why.length === 0 ? '' : ` (${why.join(', ')})`
    return startNode(node, `nobody may take over ${shard.id}${told} and its own data survives`, input)
  }
  if (primary === null && !isWatched && isBlank(node, input))
    return startNode(node, 'it holds nothing, and claims nothing', input)
  const reason = primary === null ? `nobody is known to own ${shard.id}` : `${primary.id} (primary) does not answer`
  return wait(`${node.id} stays down while ${reason}`)
}

/** Somebody takes over, or is about to. */
const hasHeir = (shard: ShardPicture, dead: NodePicture, { spec, document, picture }: PlanInput): boolean =>
  isStrict(spec, document)
    ? changeView(shard, dead, picture).kind !== 'unproven'
    : failoverCandidate(shard, dead, spec) !== undefined

/** All copies of a shard are down. What still runs of it, if anything, answers and holds none. */
function startFreshest(shard: ShardPicture, input: PlanInput): Step {
  const gone = shard.nodes
    .filter((node) => node.gone)
    .sort(input.spec.topology === 'cluster' ? fresherFirst : laterFirst(shard))
  const copies = gone.filter((node) => hasCopy(node, input.spec))
  const freshest = copies.find((node) => !isLeftover(node)) ?? copies[0]
  if (freshest !== undefined) {
    if (shard.nodes.length === 1) return startOnly(freshest, input)
    // What its copies acknowledged, the primary had too; of a copy alone, and by a record, nobody knows what it lacks.
    if (isStrict(input.spec, input.document) && !wasPrimary(freshest)) {
      return wait(unproven(`all copies of ${shard.id} are down`, lostPrimaryFiles(gone, freshest), input.spec.name))
    }
    return startNode(freshest, `all copies of ${shard.id} are down and it is the freshest`, input)
  }
  return startEmpty(gone[0] as NodePicture, shard, input)
}

const lostPrimaryFiles = (gone: readonly NodePicture[], freshest: NodePicture): string[] =>
  gone.filter(wasPrimary).map(({ id }) => `${id} was primary and has no data any more, ${freshest.id} was a replica`)

/** There is no other copy, so what its files lack is lost. */
function startOnly(node: NodePicture, input: PlanInput): Step {
  if (logsWrites(input.spec)) return startNode(node, 'it is not running, and its files have every write', input)
  const because = 'it is not running, and its files have what its last snapshot had'
  const note = { kind: 'loss', subject: node.shard, because: `possible loss: ${node.id} starts from its last snapshot` }
  return startNode(node, because, input, [note as PlanNote])
}

/** Whether all that still runs of a shard answers, and holds nothing of what it had. */
function onlyFilesAreLeft(shard: ShardPicture, input: PlanInput): boolean {
  const { primary } = shard
  const living = shard.nodes.filter((node) => !node.gone)
  if (primary === null) {
    const isClaimed = shard.nodes.some((node) => node.gone && !isBlank(node, input))
    return isClaimed && living.every((node) => node.facts?.keys === 0)
  }
  if (!primary.gone || canRestartInPlace(primary, input.spec)) return false
  const lastSeen = primary.agent?.record?.at ?? Number.NEGATIVE_INFINITY
  if (lastAsked(shard, primary.engineId, lastSeen, input.picture.at) !== undefined) return false
  return living.every((node) => holdsNothingOf(node, primary))
}

/** A former primary that has not heard of its successor is no replica, and has data all the same. */
function holdsNothingOf(node: NodePicture, primary: NodePicture): boolean {
  if (node.facts === null || hasHistoryOf(node, primary)) return false
  return node.facts.role === 'replica' ? !isCopyOf(node, primary) : node.facts.keys === 0
}

/** It owns nothing until it is given something; with a claim to slots it would come back as an empty primary. */
const isBlank = (node: NodePicture, { spec }: PlanInput): boolean =>
  !hasCopy(node, spec) && node.agent?.files.claim?.role !== 'primary'

/** The last resort, for a cache alone or by a person's word: the loss is said as such. */
function startEmpty(node: NodePicture, shard: ShardPicture, input: PlanInput): Step {
  const { spec, document } = input
  const chained = mayHoldData(input)
  if (chained.length > 0) {
    const ids = chained.map(({ id }) => id).join(', ')
    return wait(`${shard.id} has no copy left but what is chained: waiting for ${ids} to answer`, 100)
  }
  if ((!isDurable(spec) && spec.use === 'cache') || document.acceptDataLoss) {
    const because = `${shard.id} has no copy left: it starts empty`
    const note = { kind: 'loss', subject: shard.id, because: `data lost: ${because}` } as const
    return startNode(node, because, input, [note])
  }
  return wait(
    `${shard.id} has no copy left and ${isDurable(spec) ? 'durability is durable' : `use is ${spec.use}`}: restore its files, or accept the loss with --accept-data-loss`,
  )
}

export function startNode(
  node: NodePicture,
  because: string,
  input: PlanInput,
  notes: readonly PlanNote[] = [],
  follow?: NodePicture,
): Step {
  const rest = restOf(node.id, node.agent, input.picture.at)
  if (rest !== null && node.agent?.process.state === 'dead' && node.agent.process.lingering) return rest
  const elsewhere = resettle(node, input.spec)
  if (elsewhere !== null) return elsewhere
  if (rest !== null) return rest
  const files = filesOf(node, input)
  if (files === undefined) return idle
  const action: Action = {
    kind: 'start',
    node: node.id,
    files,
    ...loadFrom(node, input),
    ...(input.spec.topology === 'cluster' ? {} : { unclustered: true }),
    ...(isHeldInFile(input.spec) ? { instead: letGoOf(input.spec) } : {}),
    ...(follow === undefined ? {} : { follow: { address: follow.place.address, port: follow.place.port } }),
  }
  return act(`starting ${node.id}: ${because}`, [action], notes)
}

/** Where the data is in the file of another persistence than it shall have, it is loaded from there, and changed live. */
function loadFrom(node: NodePicture, { spec, picture }: PlanInput): { loadRdb?: true; loadAof?: true } {
  const freshest = freshestFile(node)
  const logs = logsWrites(spec) && !picture.memoryOnly.has(node.id)
  if (freshest === 'rdb' && logs) return { loadRdb: true }
  return freshest === 'aof' && !logs ? { loadAof: true } : {}
}

/** What keeps a process from being started now; null where nothing does. */
export function restOf(
  id: string,
  agent: { readonly process: ProcessSeen; readonly starts: StartHistory } | null,
  now: number,
): Step | null {
  const { process, starts } = agent ?? {}
  if (process?.state === 'dead' && process.lingering) {
    return wait(`${id} is killed and not gone yet: its directory stays reserved`)
  }
  const restMs = backoffMs(starts?.failures ?? 0) - (now - (starts?.lastAt ?? Number.NEGATIVE_INFINITY))
  if (restMs <= 0) return null
  const times = starts?.failures === 1 ? 'once' : `${starts?.failures} times`
  const said = starts?.lastError ?? 'no reason given'
  return wait(`${id} failed to start ${times} (${said}): trying again in ${formatDuration(restMs)}`, restMs)
}

/** 500 ms, 1 s, 2 s … up to half a minute: an engine that cannot start must not eat the machine. */
export function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(backoffMaxMs, backoffFirstMs * 2 ** (failures - 1))
}

/**
 * The later config epoch has the later history; within one history the primary has at least what its replicas have;
 * among replicas the higher offset wins.
 */
function fresherFirst(a: NodePicture, b: NodePicture): number {
  return (
    epochOf(b) - epochOf(a) ||
    Number(wasPrimary(b)) - Number(wasPrimary(a)) ||
    (b.agent?.record?.offset ?? 0) - (a.agent?.record?.offset ?? 0) ||
    (a.id < b.id ? -1 : 1)
  )
}

/**
 * Engines have no epochs of their own outside a Cluster. Whom the Sentinels name is the one; without their word, whoever
 * was primary, and of several the one that was seen last.
 */
const laterFirst =
  ({ primary }: ShardPicture) =>
  (a: NodePicture, b: NodePicture): number =>
    Number(b === primary) - Number(a === primary) ||
    Number(wasPrimary(b)) - Number(wasPrimary(a)) ||
    (b.agent?.record?.at ?? 0) - (a.agent?.record?.at ?? 0) ||
    (b.agent?.record?.offset ?? 0) - (a.agent?.record?.offset ?? 0) ||
    (a.id < b.id ? -1 : 1)

const epochOf = (node: NodePicture): number =>
  Math.max(node.agent?.record?.configEpoch ?? 0, node.agent?.files.claim?.configEpoch ?? 0)

const wasPrimary = (node: NodePicture): boolean =>
  node.agent?.record?.role === 'primary' || node.agent?.files.claim?.role === 'primary'
