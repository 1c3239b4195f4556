/**
 * Shards that have no slots and shall have none: what was drained, and what came for a scaling that is over before it got
 * any. They leave by themselves, so that whatever stops a scaling, nothing of it stays behind. Replicas go first; the
 * primary follows once all have forgotten them, everybody has heard that its slots are elsewhere, and it holds no key.
 *
 * A shard that has got its slots is like any other from then on, and loses its mark.
 */
import type { Document, PlaceChange } from '../document.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, join, replan, wait } from './step.ts'

export function planEmptyShards(input: PlanInput): Step {
  const { picture, document } = input
  if (picture.topology !== 'cluster') return idle
  const kept = picture.shards.filter((shard) => isMarked(shard) && shard.slots.length > 0 && !isScaled(shard, document))
  const steps = [...emptyShards(input).map((shard) => empty(shard, picture)), ...kept.map(keep)]
  return steps.length > 0 ? join(steps) : recount(input)
}

/** Those that are to leave, or are leaving. */
export const emptyShards = ({ picture, document }: Pick<PlanInput, 'picture' | 'document'>): ShardPicture[] =>
  picture.shards.filter((shard) => shard.slotless === true && !isComing(shard, document))

const isMarked = ({ nodes }: ShardPicture): boolean => nodes.some(({ place }) => place.slotless === true)

const running = ({ operations }: Document) =>
  operations.flatMap((one) => (one.kind === 'scale' && one.state === 'running' ? [one] : []))

/** It comes, and waits for its slots. */
const isComing = ({ id }: ShardPicture, document: Document): boolean =>
  running(document).some(({ places }) => places.some(({ shard }) => shard === id))

const isScaled = (shard: ShardPicture, document: Document): boolean =>
  isComing(shard, document) || running(document).some(({ going }) => going.includes(shard.id))

const keep = ({ id, nodes, slots }: ShardPicture): Step =>
  replan(`${id} has slots and stays`, slots.length === 0 ? [] : unmark(nodes))

/** They are nodes of a shard like any other. */
export const unmark = (nodes: readonly NodePicture[]): PlaceChange[] =>
  nodes.map(({ id, place: marked }) => {
    const { slotless: _, ...place } = marked
    return { id, place }
  })

/** They leave, and owe nobody anything, of whatever durability they are: nothing that is acknowledged is with them. */
const leaveAll = (nodes: readonly NodePicture[], because: string): Step =>
  replan(
    `${nodes.map(({ id }) => id).join(', ')} ${nodes.length === 1 ? 'leaves' : 'leave'}: ${because}`,
    nodes.map(({ id, place }) => ({ id, place: { ...place, leaving: { because, forgottenAt: null } } })),
  )

function empty(shard: ShardPicture, picture: Picture): Step {
  const { id, primary, nodes } = shard
  if (primary === null) return idle
  const ids = new Set(nodes.map(({ engineId }) => engineId))
  const unaware = picture.nodes.filter(({ facts }) =>
    facts?.view.entries.some(({ engineId, slots }) => ids.has(engineId) && slots.length > 0),
  )
  if (unaware.length > 0) return wait(`${id} leaves once ${idsOf(unaware)} has heard that its slots are elsewhere`, 50)
  if (primary.facts === null) return wait(`${id} leaves once ${primary.id} answers, and holds no key`, 100)
  const { keys } = primary.facts
  if (keys > 0) return wait(`${id} has no slots, and ${primary.id} still holds ${keys} keys: it stays`, 250)
  const replicas = nodes.filter((node) => node !== primary)
  if (replicas.length > 0) return leaveAll(replicas, `${id} has no slots and no keys`)
  const before = picture.leaving.filter(({ shard: of, place }) => of === id && place.leaving?.forgottenAt === null)
  if (before.length > 0) return wait(`${primary.id} leaves ${id} after ${idsOf(before)}`, 50)
  return leaveAll([primary], `${id} has no slots and no keys`)
}

/** What was wished counts until it is given up: then there shall be as many shards as there are. */
function recount({ picture, document }: PlanInput): Step {
  const { shards, setBy } = document.scale
  const { length } = picture.shards
  if (length === shards || document.settledRevision === 0 || running(document).length > 0) return idle
  const because = `${document.name} has ${length} shards, and not ${shards}: it stays so`
  return { ...idle, because, lookAgainMs: 0, scale: { shards: length, setBy } }
}

const idsOf = (nodes: readonly NodePicture[]): string => nodes.map(({ id }) => id).join(', ')
