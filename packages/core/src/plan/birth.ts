/**
 * The first slots of a new deployment. A shard that ever owned slots is never given any here: after that an empty
 * engine as primary would be a loss, not a beginning.
 */
import type { Action } from '../action.ts'
import { slotsOf } from '../backup/manifest.ts'
import type { EngineFacts } from '../observed.ts'
import type { Restore } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { evenSlots, formatSlots, subtractSlots } from '../slots.ts'
import { fileOf, replacing } from './restore.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

export function planBirth({ picture, document }: PlanInput): Step {
  const restore = replacing(document)
  if (restore !== null) return planRebirth(restore, picture)
  if (document.settledRevision > 0) return idle
  const ranges = evenSlots(picture.shards.length)
  const actions = picture.shards.flatMap((shard): Action[] => {
    const range = ranges[shard.index]
    const first = firstPrimary(shard)
    if (shard.born || range === undefined || first?.facts == null) return []
    // A copy that nobody sees may know of slots that the shard had.
    if (shard.nodes.some((node) => node.agent === null)) return []
    const epoch = isAlone(first.facts) ? shard.index + 1 : null
    return [{ kind: 'give-slots', node: first.id, slots: [range], epoch }]
  })
  if (actions.length === 0) return idle
  const told = actions.flatMap((action) => (action.kind === 'give-slots' ? formatSlots(action.slots) : []))
  return act(`a new deployment: giving out slots ${told.join(' and ')}`, actions)
}

/**
 * A deployment that begins from a backup. Each shard gets the slots that its file has the keys of; an engine that loads
 * keys takes their slots by itself, so these are the rest. One that came up without what it should have loaded gets none.
 */
function planRebirth(restore: Restore, { shards, owners }: Picture): Step {
  const taken = owners.flatMap(({ slots }) => slots)
  const steps = shards.map((shard): Step => {
    const file = fileOf(restore, shard.id)
    const node = shard.primary ?? firstPrimary(shard)
    if (file === undefined || node?.facts?.role !== 'primary') return idle
    const missing = subtractSlots(slotsOf(file), taken)
    if (missing.length === 0) return idle
    // Keys with a time to live may all have ended since.
    const mustHaveKeys = file.keys !== null && file.ttls !== null && file.keys > file.ttls
    if (mustHaveKeys && node.facts.keys === 0) {
      return wait(`${node.id} came up without the ${file.keys} keys that it was to load: ${shard.id} gets no slots`)
    }
    const epoch = isAlone(node.facts) ? shard.index + 1 : null
    return act(`restored: giving slots ${formatSlots(missing)} to ${node.id}`, [
      { kind: 'give-slots', node: node.id, slots: missing, epoch },
    ])
  })
  return join(steps)
}

/**
 * A node takes a chosen epoch only while it knows nobody. Distinct epochs from the start spare the engines the rounds in
 * which they would have to settle a collision.
 */
const isAlone = ({ view }: EngineFacts): boolean => view.entries.length === 1 && view.entries[0]?.configEpoch === 0

/** The first copy in the layout, so that ports read as people expect, if it answers. */
function firstPrimary(shard: ShardPicture): NodePicture | undefined {
  const first = shard.nodes[0]
  return first?.facts?.role === 'primary' ? first : undefined
}
