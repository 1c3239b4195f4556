/**
 * An engine that is held by its file, and that Holdfast did not start (`durability.ts`), gives its data to no copy. It is
 * let go once that costs nothing: a replica at once, a primary when no copy has more than it, which that copy would throw
 * away for it.
 */
import { isHeldInFile, letGoOf, saysHeld } from '../durability.ts'
import { filesOf, keepsFailing } from '../persist-on.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { hasCopy, isLeftover } from './copy.ts'
import { heirOfEmptied, isHeldBehind, keepsSnapshots } from './emptied.ts'
import { unproven } from './failover.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { changeView, isApartFrom, isStrict } from './view-change.ts'

export function planLetGo(input: PlanInput): Step {
  const { picture, spec } = input
  if (!isHeldInFile(spec)) return idle
  return join(picture.shards.flatMap((shard) => shard.nodes.map((node) => letGo(node, shard, input))))
}

function letGo(node: NodePicture, shard: ShardPicture, input: PlanInput): Step {
  const { spec, document } = input
  const rendered = filesOf(node, input)
  if (node.facts === null || rendered === undefined || !saysHeld(node.agent?.config)) return idle
  const told = `${node.id} was started by somebody else`
  if (node.facts.role === 'primary' && shard.slotless !== true) {
    const reason = isStrict(spec, document) ? whyHeldDurable(node, shard, input) : whyHeldBehind(node, shard, input)
    if (reason !== null) return wait(`${told} as a primary${reason}`, 250)
  }
  return act(`${told}: letting it go`, [{ kind: 'configure', node: node.id, set: letGoOf(spec), files: rendered }])
}

function whyHeldDurable(node: NodePicture, shard: ShardPicture, { picture, spec }: PlanInput): string | null {
  const others = shard.nodes.filter((other) => other !== node)
  const apart = others.filter((other) => (other.facts?.keys ?? 0) > 0 && isApartFrom(other, node))
  const unseen = others.filter((other) => other.facts === null && !other.gone)
  if (unseen.length > 0) return `: held until ${idsOf(unseen)} answers`
  if (apart.length > 0) {
    const view = changeView(shard, node, picture)
    const objections = view.kind === 'unproven' ? view.objections : []
    return unproven(`, without what ${idsOf(apart)} has`, objections, spec.name)
  }
  return node.facts?.keys === 0 && others.some((other) => other.gone)
    ? ' without a key: held until its copies run'
    : null
}

/** With neither a log nor a key it has nothing that its copies need, and whoever has anything of the shard has more. */
function whyHeldBehind(node: NodePicture, shard: ShardPicture, { picture, spec }: PlanInput): string | null {
  const heir = heirOfEmptied(shard, picture)
  if (heir !== undefined) return ` without its data: held until ${heir.id} has taken over`
  if (!isHeldBehind(node) && node.facts?.keys !== 0) return null
  const awaited = shard.nodes.filter((other) => {
    if (other === node || other.facts !== null) return false
    if (!other.gone) return true
    const isHopeless = keepsSnapshots(node) && keepsFailing(other)
    return hasCopy(other, spec) && !isLeftover(other) && !isHopeless
  })
  return awaited.length === 0 ? null : ` without its data: held until ${idsOf(awaited)} answers`
}

const idsOf = (nodes: readonly NodePicture[]): string => nodes.map(({ id }) => id).join(', ')
