/**
 * Nodes that are more than the spec wants, or that were lent to an operation which is over. One goes at a time, while
 * everything is ready, and never a primary: such a one hands its shard over first (`drain.ts`).
 */
import type { NodePlace, PlaceChange } from '../document.ts'
import { numberIn } from '../document.ts'
import { isUnfinished } from '../operation.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import { copiesOfShard } from '../spec.ts'
import { isLentInVain } from './drain.ts'
import type { PlanInput, Step } from './step.ts'
import { idle, replan, wait } from './step.ts'

export function planSurplus(input: PlanInput): Step {
  const { picture, document } = input
  const open = document.operations.filter(isUnfinished)
  if (open.some(({ state }) => state === 'running')) return idle
  const next = picture.shards.flatMap((shard) => leaverOf(shard, input) ?? [])[0]
  if (next === undefined) return idle
  const { node, because } = next
  const going = picture.leaving.find(({ place }) => place.leaving?.forgottenAt === null)
  if (going !== undefined) return wait(`${node.id} leaves after ${going.id}`)
  const { ready, because: why } = judgeReadiness(picture)
  if (ready !== 'yes') return wait(`${node.id} (${because}) leaves once all else is ready: ${why}`)
  return replan(`${node.id} leaves ${node.shard}: ${because}`, [leave(node.place, because)])
}

/** From now on it goes. */
export const leave = (place: NodePlace, because: string): PlaceChange => ({
  id: place.id,
  place: { ...place, leaving: { because, forgottenAt: null } },
})

/** Who of a shard is to go next: what was lent in vain, then the last that came. */
function leaverOf(
  { id, nodes, primary }: ShardPicture,
  { spec, document }: PlanInput,
): { readonly node: NodePicture; readonly because: string } | undefined {
  const others = nodes.filter((node) => node !== primary)
  const lent = others.find((node) => isLentInVain(node.place, document))
  if (lent !== undefined) return { node: lent, because: 'what it was needed for is over' }
  const wanted = copiesOfShard(spec, numberIn(id))
  const own = nodes.filter(({ place }) => place.lentTo === undefined && place.leaving === undefined)
  if (own.length <= wanted) return undefined
  const [last] = own.filter((node) => others.includes(node)).sort((one, other) => numberIn(other.id) - numberIn(one.id))
  const because = `the spec wants ${wanted} ${wanted === 1 ? 'copy' : 'copies'} of ${id}`
  return last && { node: last, because }
}
