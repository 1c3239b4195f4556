/**
 * An engine of class `durable` that Holdfast did not start is held (`durability.ts`): it gives its data to no copy. It is
 * let go once that costs nothing that was acknowledged: a replica at once, a primary when no living copy has another
 * history than it, which that copy would throw away for it.
 */
import { isDurable, letGo, saysHeld } from '../durability.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { unproven } from './failover.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'
import { changeView, isApartFrom, isStrict } from './view-change.ts'

export function planLetGo(input: PlanInput): Step {
  const { picture, spec } = input
  if (!isDurable(spec)) return idle
  return join(picture.shards.flatMap((shard) => shard.nodes.map((node) => letGoOf(node, shard, input))))
}

function letGoOf(node: NodePicture, shard: ShardPicture, { picture, spec, document, files }: PlanInput): Step {
  const rendered = files.get(node.id)
  if (node.facts === null || rendered === undefined || !saysHeld(node.agent?.config)) return idle
  const told = `${node.id} was started by somebody else`
  const others = shard.nodes.filter((other) => other !== node)
  if (node.facts.role === 'primary' && isStrict(spec, document)) {
    const apart = others.filter((other) => (other.facts?.keys ?? 0) > 0 && isApartFrom(other, node))
    const unseen = others.filter((other) => other.facts === null && !other.gone)
    if (unseen.length > 0)
      return wait(`${told} as a primary: held until ${unseen.map(({ id }) => id).join(', ')} answers`, 250)
    if (apart.length > 0) {
      const view = changeView(shard, node, picture)
      const objections = view.kind === 'unproven' ? view.objections : []
      return wait(
        unproven(
          `${told} as a primary, without what ${apart.map(({ id }) => id).join(', ')} has`,
          objections,
          spec.name,
        ),
      )
    }
    if (node.facts.keys === 0 && others.some((other) => other.gone)) {
      return wait(`${told} as a primary without a key: held until its copies run`, 250)
    }
  }
  return act(`${told}: letting it go`, [{ kind: 'configure', node: node.id, set: letGo, files: rendered }])
}
