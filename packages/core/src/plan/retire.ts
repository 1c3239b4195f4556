/**
 * How a node goes for good: it is stopped first, or it would introduce itself again; then all forget it in one turn, since
 * one that still knew it would tell the others. An engine takes nobody back for a minute after it has forgotten him. So
 * the node is watched for longer than that, and forgotten once more if somebody brings it back. Its files go last.
 */
import { numberIn, placeNode, spareWish } from '../document.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { addressOf } from '../picture.ts'
import { isTakenOff } from '../placement/hosting.ts'
import { formatDuration } from '../units.ts'
import { lostSince } from './lost-copy.ts'
import { part } from './part.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, replan, wait } from './step.ts'

/** The engines' own ban is 60 s. */
const watchedForMs = 75_000

export function planRetire(input: PlanInput): Step {
  const parting = input.picture.nodes.filter(({ place }) => place.leaving?.owes !== undefined)
  const steps = [
    ...parting.map((node) => (hasStopped(node) ? part(node, input) : stopLeaver(node, input))),
    ...input.picture.leaving.map((node) => retire(node, input)),
  ]
  // All that a lost host had comes back at once, and is stopped one after the other.
  return steps.find(({ actions }) => actions.length > 0) ?? join(steps)
}

/** It runs no more, or its host does not answer. */
export const hasStopped = (node: NodePicture): boolean =>
  node.life === 'away' || (node.gone && !(node.agent?.process.state === 'dead' && node.agent.process.lingering))

function retire(node: NodePicture, input: PlanInput): Step {
  const { place, id } = node
  const { leaving } = place
  if (leaving === undefined) return idle
  if (!hasStopped(node)) return stopLeaver(node, input)
  const knowing = whoKnows(node, input.picture)
  if (knowing.length > 0) {
    const told = `${knowing.join(', ')} still ${knowing.length === 1 ? 'knows' : 'know'} it`
    if (leaving.forgottenAt === null) return wait(`${id} leaves: ${told}`, 50)
    return noted(node, null, `${knowing.join(', ')} brought ${id} back: forgetting it again`)
  }
  // Who was not heard may know it still, and bring it back to the others.
  const unheard = [...input.picture.nodes, ...input.picture.sentinels].filter(
    (other) => other.facts === null && !isLostWith(node, other.place.host, input.picture),
  )
  if (unheard.length > 0) return wait(`${id} leaves: ${unheard.map((one) => one.id).join(', ')} may still know it`)
  if (leaving.forgottenAt === null) {
    return noted(node, input, `all have forgotten ${id}`)
  }
  const { watchedFrom } = leaving
  if (watchedFrom?.boot !== input.boot) return noted(node, input, `${id} is watched anew: this host was started since`)
  const restMs = watchedFrom.at + watchedForMs - input.picture.at
  if (restMs > 0) {
    return wait(`${id} has left: watching ${formatDuration(restMs)} more that nobody brings it back`, restMs)
  }
  return removeIt(node, input)
}

/** What is lost together with it comes back together with it, and is heard before its files go. */
const isLostWith = (node: NodePicture, host: string, picture: Picture): boolean =>
  host === node.place.host && lostSince(node, picture) !== null

function stopLeaver(node: NodePicture, { picture }: PlanInput): Step {
  const { id, life, agent, place } = node
  const because = place.leaving?.because ?? ''
  const process = agent?.process
  if (life === 'frozen' && process?.state === 'running') {
    const { pid, startTime } = process
    return act(`${id} leaves and is frozen: killing it`, [{ kind: 'fence', node: id, pid, startTime }])
  }
  const rest = picture.shards.find((shard) => shard.id === node.shard)
  if (rest !== undefined && rest.slotless !== true && rest.primary?.facts?.role !== 'primary') {
    return wait(`${id} stays until ${node.shard} has a living primary`, 100)
  }
  // Elected in that moment, it hands over before it goes.
  if (picture.shards.some(({ primary }) => primary === node)) return idle
  // One that does not answer now is asked when it does.
  if (!['alive', 'loading', 'starting'].includes(life)) return wait(`${id} leaves and is ${life}: not stopped yet`, 100)
  return act(`${id} leaves (${because}): stopping it`, [{ kind: 'stop', node: id, save: false }])
}

/** Nodes that have it in their view of the cluster, and Sentinels that count it among the replicas. */
function whoKnows({ place, calledAt }: NodePicture, { nodes, sentinels }: Picture): string[] {
  const where = addressOf(place)
  return [
    ...nodes.filter(({ facts }) => facts?.view.entries.some((entry) => calledAt.has(addressOf(entry)))),
    ...sentinels.filter(({ watch }) => watch?.replicas.some((replica) => addressOf(replica) === where)),
  ].map(({ id }) => id)
}

/** Forgotten by all, as of this look; null: by not all. */
const noted = ({ id, place }: NodePicture, since: PlanInput | null, because: string): Step => {
  const watched =
    since === null
      ? { forgottenAt: null }
      : { forgottenAt: since.wallNow, watchedFrom: { at: since.picture.at, boot: since.boot } }
  const leaving = { because: place.leaving?.because ?? '', ...watched }
  return replan(because, [{ id, place: { ...place, leaving } }])
}

function removeIt(node: NodePicture, { spec, picture }: PlanInput): Step {
  const { id, life, agent, place } = node
  // Nobody waits for a machine that was taken off; what is on its disk is that of a stranger by then.
  if (isTakenOff(place, spec) && lostSince(node, picture) !== null) {
    return replan(`${id} is gone for good; its files are on ${place.host}, which is lost and was taken off`, [
      { id, place: null },
    ])
  }
  if (life === 'away' || agent === null) {
    return wait(`${id} has left, and its host ${place.host} does not answer: its files are removed when it does`)
  }
  const { aof, rdb, claim } = agent.files
  if (aof || rdb || claim !== null || agent.record !== null) {
    return act(`${id} has left for good: removing its files`, [{ kind: 'purge', node: id }])
  }
  // The engine was the matter, or its data, and not the place: what stood by is in use, so this stands by from now on.
  if (picture.spares.length < spec.spares && place.spare !== true && !isTakenOff(place, spec)) {
    return replan(`${id} begins anew, and stands by`, [{ id, place: placeNode(numberIn(id), spareWish, place, spec) }])
  }
  return replan(`${id} is gone for good`, [{ id, place: null }])
}
