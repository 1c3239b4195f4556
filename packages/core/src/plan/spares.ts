/**
 * Warm standbys. A spare runs, empty and alone: nobody knows it, so it is in nobody's way and can win no election. It takes
 * the place of a node that does not come back; starting that one where it was, with its data, is always tried first.
 */
import type { Action, NodeFiles } from '../action.ts'
import type { PlaceChange } from '../document.ts'
import { numberIn } from '../document.ts'
import { keepsFailing } from '../persist-on.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { isTakenOff, spreadOf } from '../placement/hosting.ts'
import { copiesOfShard } from '../spec.ts'
import { formatDuration } from '../units.ts'
import { isLostForGood } from './lost-copy.ts'
import { resettle } from './relocate.ts'
import { restOf } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, replan, wait } from './step.ts'

/** A killed process that a stalled disk keeps for so long is not awaited. */
const lingersForMs = 30_000

export function planSpares(input: PlanInput): Step {
  const helped = input.picture.shards.flatMap((shard) => help(shard, input) ?? [])
  return helped[0] ?? join(input.picture.spares.map((spare) => keepUp(spare, input)))
}

/** A spare comes to a shard that lacks a copy. One in a turn, so that none is promised twice. */
function help(shard: ShardPicture, input: PlanInput): Step | undefined {
  const { picture, spec } = input
  // A shard without slots has no data to keep: who comes with it in vain goes with it.
  if (shard.slotless) return undefined
  const own = shard.nodes.filter(({ place }) => place.lentTo === undefined && place.leaving === undefined)
  const hopeless = own.filter((node) => isHopeless(node, picture.at) || isLostForGood(node, input))
  const lacking = copiesOfShard(spec, numberIn(shard.id)) - (own.length - hopeless.length)
  const [lost] = hopeless
  if (lost === undefined || lacking <= 0) return undefined
  const told = `${lost.id} does not come back (${whyNot(lost)})`
  if (shard.primary?.facts?.role !== 'primary')
    return wait(`${told}, and ${shard.id} has no living primary to copy from`)
  const spare = spareFor(shard, input)
  // Another is made, where the host is the matter (`remake.ts`).
  if (spare === undefined && isLostForGood(lost, input)) return undefined
  if (spare === undefined) return picture.spares.length === 0 ? undefined : wait(`${told}, and no spare is fit`)
  const { spare: _, ...place } = spare.place
  const change: PlaceChange = { id: spare.id, place: { ...place, shard: shard.id } }
  return replan(`${told}: ${spare.id} takes its place in ${shard.id}`, [change])
}

/** One that answers, is empty, stays where it is, and is on no host with a copy of the shard, where copies shall be apart. */
export const spareFor = ({ nodes }: ShardPicture, { picture, spec }: PlanInput): NodePicture | undefined =>
  picture.spares.find(
    ({ facts, place }) =>
      facts?.keys === 0 &&
      !isTakenOff(place, spec) &&
      (spreadOf(spec) === 'none' || !nodes.some((node) => node.place.host === place.host)),
  )

function isHopeless(node: NodePicture, now: number): boolean {
  const process = node.agent?.process
  const lingers = process?.state === 'dead' && process.lingering && now - process.since > lingersForMs
  return node.gone && (keepsFailing(node) || lingers)
}

function whyNot({ agent, life, place }: NodePicture): string {
  const { process, starts } = agent ?? {}
  if (life === 'away') return `its host ${place.host} is lost`
  if (process?.state === 'dead' && process.lingering) return `killed, and not gone for ${formatDuration(lingersForMs)}`
  return starts?.lastError ?? 'no reason given'
}

function keepUp(spare: NodePicture, { picture, files, spec }: PlanInput): Step {
  const { id, gone, agent } = spare
  const rendered = files.get(id)
  if (!gone || rendered === undefined) return idle
  const elsewhere = resettle(spare, spec)
  if (elsewhere !== null) return elsewhere
  return restOf(id, agent, picture.at) ?? act(`starting ${id}: it stands by`, [startAlone(id, rendered, spec.topology)])
}

const startAlone = (node: string, files: NodeFiles, topology: string): Action => ({
  kind: 'start',
  node,
  files,
  ...(topology === 'cluster' ? {} : { unclustered: true }),
})
