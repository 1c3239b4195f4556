/**
 * More shards, or fewer. Those that come are placed, started and met first, without a slot; when all is in sync it is decided
 * once, and saved, who shall have which slots, and from then on slots are moved until it is so (`moving.ts`). Those that
 * go share nothing out any more, keep their replicas until their last slot is elsewhere, and then leave (`empty-shards.ts`).
 *
 * There is no step to remember: who is there, who has which slot and who is forgotten is read from the engines each turn.
 * Given up before the first slot has moved, what came leaves again; after that, slots stay where they are.
 */
import type { NodePlace } from '../document.ts'
import type { Assignment, Scale } from '../operation.ts'
import { ended, waitsForMs } from '../operation.ts'
import { keepsFailing } from '../persist-on.ts'
import type { Picture } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { assignSlots } from '../rebalance/assign.ts'
import { movesBetween } from '../rebalance/moves.ts'
import type { ShardLoad } from '../rebalance/projection.ts'
import { objectionToFewer } from '../scale-in.ts'
import { countSlots } from '../slots.ts'
import { formatDuration } from '../units.ts'
import { unmark } from './empty-shards.ts'
import { describeStaying, moveTowards, staying } from './moving.ts'
import type { PlanInput, Step } from './step.ts'
import { record, wait } from './step.ts'

const pollMs = 50

export function planScale(operation: Scale, input: PlanInput): Step {
  if (operation.state === 'asked') return begin(operation, input)
  const inVain = whyInVain(operation, input)
  if (inVain !== null)
    return record(ended(operation, 'failed', `${toldOf(operation)} is given up: ${inVain}`, input.wallNow))
  return operation.wanted === null ? decide(operation, input) : bringAbout(operation, operation.wanted, input)
}

/** Of one that is given up now. */
export function whatStays({ state, wanted, places }: Scale): string {
  if (state === 'asked') return 'Nothing had begun'
  if (wanted !== null) return 'Slots stay where they are by now, and shards that have none leave'
  return places.length === 0 ? 'No slot had moved' : 'No slot had moved: what came leaves again'
}

const toldOf = ({ subject, shards }: Scale): string => `scaling ${subject} to ${shards} shards`

function begin(operation: Scale, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const told = toldOf(operation)
  const readiness = judgeReadiness(picture)
  if (readiness.ready !== 'yes') return wait(`${told} waits until ${document.name} is ready: ${readiness.because}`, 100)
  const objection = objectionNow(operation, input)
  if (objection !== null) return record(ended(operation, 'failed', `${told} does not begin: ${objection}`, wallNow))
  const because = inWords(operation)
  const begun: Scale = { ...operation, state: 'running', beganAt: wallNow, because }
  const places = operation.places.map((place) => ({ id: place.id, place: { ...place, slotless: true } }))
  return { ...record(begun), places, scale: { shards: operation.shards, setBy: operation.requestedBy } }
}

/** What has changed since it was asked for. */
function objectionNow({ shards, places, going, acceptEviction }: Scale, { picture, spec }: PlanInput): string | null {
  const gone = going.find((id) => !picture.shards.some((shard) => shard.id === id))
  if (gone !== undefined) return `there is no ${gone} any more`
  const left = picture.shards.length + shardsOf(places).length - going.length
  if (left !== shards) return `it would have ${left} shards by now: ask for it again`
  if (going.length === 0) return null
  const loads = picture.shards.map(
    ({ id, primary, slots }): ShardLoad => ({
      id,
      slots: countSlots(slots),
      usedBytes: primary?.facts?.memoryBytes ?? null,
      maxBytes: spec.memory.maxPerNode,
      cpuRatio: null,
    }),
  )
  return objectionToFewer(loads, going, spec, acceptEviction)
}

const shardsOf = (places: readonly NodePlace[]): string[] => [...new Set(places.map(({ shard }) => shard))]

function inWords({ subject, shards, places, going }: Scale): string {
  const coming = shardsOf(places)
  const what = [
    ...(coming.length === 0 ? [] : [`${coming.join(', ')} ${coming.length === 1 ? 'comes' : 'come'}`]),
    ...(going.length === 0 ? [] : [`${going.join(', ')} ${going.length === 1 ? 'goes' : 'go'}`]),
  ]
  return `${subject} is scaled to ${shards} shards: ${what.join(', ')}`
}

/** Nothing has moved yet, so all that has come may leave again. */
function whyInVain({ places, wanted, beganAt }: Scale, { picture, document, wallNow }: PlanInput): string | null {
  if (wanted !== null) return null
  const lost = places.find(({ id }) => !document.nodes.some((node) => node.id === id && node.leaving === undefined))
  if (lost !== undefined) return `${lost.id}, which was to come to ${lost.shard}, is gone`
  const failing = picture.nodes.find(
    (node) => node.gone && keepsFailing(node) && places.some(({ id }) => id === node.id),
  )
  if (failing !== undefined) {
    return `${failing.id} of ${failing.shard} does not start (${failing.agent?.starts.lastError ?? 'no reason given'})`
  }
  const lasted = wallNow - (beganAt ?? wallNow)
  return lasted < waitsForMs ? null : `not ready after ${formatDuration(lasted)}: ${judgeReadiness(picture).because}`
}

/** Everything that comes is in sync: who shall have which slots is decided once. */
function decide(operation: Scale, { picture }: PlanInput): Step {
  const told = toldOf(operation)
  const readiness = judgeReadiness(picture)
  if (readiness.ready !== 'yes') return wait(`${told}: ${readiness.because}`, pollMs)
  const { going } = operation
  const owned = new Map(picture.shards.map(({ id, slots }) => [id, slots]))
  const weights = new Map(picture.shards.map(({ id }) => [id, going.includes(id) ? 0 : 1]))
  const wanted: Assignment = Object.fromEntries(assignSlots({ owned, weights }))
  const moves = movesBetween(owned, new Map(Object.entries(wanted)))
  const slotsToMove = moves.reduce((sum, { count }) => sum + count, 0)
  const leaving = picture.shards.flatMap(({ id, nodes }) => (going.includes(id) ? nodes : []))
  return {
    ...record({ ...operation, wanted, slotsToMove, because: `${told}: ${slotsToMove} slots move` }),
    places: leaving.map(({ id, place }) => ({ id, place: { ...place, slotless: true } })),
  }
}

function bringAbout(operation: Scale, wanted: Assignment, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const told = toldOf(operation)
  const moving = moveTowards(wanted, operation, input)
  if (moving !== null && 'actions' in moving) return { ...moving, because: `${told}: ${moving.because}` }
  const stuck = moving?.because ?? whyNotEmpty(operation, picture)
  if (stuck !== null) {
    const because = `${told} stopped: ${stuck}. What has moved stays where it is`
    return record(ended(operation, 'failed', because, wallNow))
  }
  const arrived = picture.nodes.filter(
    ({ shard, place }) => place.slotless === true && !operation.going.includes(shard) && wanted[shard] !== undefined,
  )
  if (arrived.length > 0) {
    const ids = [...new Set(arrived.map(({ shard }) => shard))].join(', ')
    return { ...record({ ...operation, because: `${told}: ${ids} has its slots` }), places: unmark(arrived) }
  }
  const here = document.nodes.filter(
    ({ shard, leaving }) => operation.going.includes(shard) && (leaving?.forgottenAt ?? null) === null,
  )
  if (here.length > 0) return wait(`${told}: ${here.map(({ id }) => id).join(', ')} leave`, pollMs)
  const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
  return record(ended(operation, 'done', `${inWords(operation)}: done in ${took}`, wallNow))
}

/** A slot whose key is too big to move keeps its shard. */
function whyNotEmpty({ id, going }: Scale, picture: Picture): string | null {
  const kept = picture.shards.find((shard) => going.includes(shard.id) && shard.slots.length > 0)
  return kept === undefined ? null : `${kept.id} has to stay${describeStaying(staying(id, picture))}`
}
