/**
 * The first slots of a new deployment. A shard that ever owned slots is never given any here: after that an empty
 * engine as primary would be a loss, not a beginning.
 */
import type { Action } from '../action.ts'
import type { NodePicture, ShardPicture } from '../picture.ts'
import { evenSlots, formatSlots } from '../slots.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

export function planBirth({ picture, document }: PlanInput): Step {
  if (document.settledRevision > 0) return idle
  const ranges = evenSlots(picture.shards.length)
  const actions = picture.shards.flatMap((shard): Action[] => {
    const range = ranges[shard.index]
    const first = firstPrimary(shard)
    if (shard.born || range === undefined || first?.facts == null) return []
    // A copy that nobody sees may know of slots that the shard had.
    if (shard.nodes.some((node) => node.agent === null)) return []
    // A node takes a chosen epoch only while it knows nobody. Distinct epochs from the start spare the engines the
    // rounds in which they would have to settle a collision.
    const alone = first.facts.view.entries.length === 1 && first.facts.view.entries[0]?.configEpoch === 0
    return [{ kind: 'give-slots', node: first.id, slots: [range], epoch: alone ? shard.index + 1 : null }]
  })
  if (actions.length === 0) return idle
  const told = actions.flatMap((action) => (action.kind === 'give-slots' ? formatSlots(action.slots) : []))
  return act(`a new deployment: giving out slots ${told.join(' and ')}`, actions)
}

/** The first copy in the layout, so that ports read as people expect, if it answers. */
function firstPrimary(shard: ShardPicture): NodePicture | undefined {
  const first = shard.nodes[0]
  return first?.facts?.role === 'primary' ? first : undefined
}
