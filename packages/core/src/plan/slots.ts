/** Slots that nobody owns, and slots that somebody left half moved. */
import type { Action } from '../action.ts'
import { hearsayOwner } from '../ownership.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import type { SlotRange } from '../slots.ts'
import { formatSlots } from '../slots.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join } from './step.ts'

export function planSlots(input: PlanInput): Step {
  const { picture } = input
  // A node that was not heard may be the owner: only when all were heard is a slot really without one.
  if (picture.nodes.some((node) => node.facts === null)) return idle
  return join([giveUnowned(picture), ...picture.nodes.flatMap((node) => mendOpenSlots(node, picture))])
}

/** A slot without owner goes back to whom the others still name, else to the owner of the slot before it. */
function giveUnowned(picture: Picture): Step {
  if (picture.owners.length === 0) return idle
  const takers = new Map<NodePicture, SlotRange[]>()
  for (const range of picture.unowned) {
    const shard = shardNamed(picture, hearsayOwner(picture.views, range[0])) ?? shardBefore(picture, range[0])
    if (shard?.primary != null) takers.set(shard.primary, [...(takers.get(shard.primary) ?? []), range])
  }
  const actions = [...takers].map(
    ([node, slots]): Action => ({ kind: 'give-slots', node: node.id, slots, epoch: null }),
  )
  if (actions.length === 0) return idle
  return act(
    `nobody owns slots ${formatSlots(picture.unowned)}: giving them to ${[...takers.keys()].map(({ id }) => id).join(', ')}`,
    actions,
  )
}

function mendOpenSlots(node: NodePicture, picture: Picture): Step[] {
  return (node.facts?.view.open ?? []).map(({ slot, direction, peer, keys }) => {
    const other = shardNamed(picture, peer)?.primary ?? undefined
    if (direction === 'migrating') {
      // The target may have been replaced by its replica since; the keys go to whoever owns that shard now.
      if (other?.facts == null || other === node) return close(node, slot, 'its target is not there')
      if (isImporting(other, slot) || keys === 0) return finish(node, other, slot)
      return close(node, slot, `${other.id} does not import it`)
    }
    const owner = ownerOf(picture, slot)
    if (owner === undefined || owner === node) return close(node, slot, 'it is here already')
    if (owner.facts?.view.open.some((open) => open.slot === slot) === true) return idle
    return keys === 0 ? close(node, slot, `${owner.id} has it and no key has moved`) : finish(owner, node, slot)
  })
}

const close = (node: NodePicture, slot: number, because: string): Step =>
  act(`slot ${slot} was left open on ${node.id} and ${because}: closing it`, [
    { kind: 'close-slot', node: node.id, slot },
  ])

function finish(from: NodePicture, to: NodePicture, slot: number): Step {
  const target = { address: to.place.address, port: to.place.port }
  return act(`slot ${slot} was left half moved from ${from.id} to ${to.id}: finishing the move`, [
    { kind: 'finish-move', node: from.id, slot, target, targetId: to.engineId as string },
  ])
}

const isImporting = (node: NodePicture, slot: number): boolean =>
  node.facts?.view.open.some((open) => open.slot === slot && open.direction === 'importing') === true

function shardNamed(picture: Picture, engineId: string | undefined): ShardPicture | undefined {
  return picture.shards.find((shard) => shard.nodes.some((node) => node.engineId === engineId))
}

function shardBefore(picture: Picture, slot: number): ShardPicture | undefined {
  const before = picture.shards.filter((shard) => shard.slots.some(([from]) => from <= slot))
  const nearest = [...before].sort((a, b) => endBefore(b, slot) - endBefore(a, slot))[0]
  return nearest ?? picture.shards.find((shard) => shard.slots.length > 0)
}

const endBefore = (shard: ShardPicture, slot: number): number =>
  Math.max(...shard.slots.filter(([from]) => from <= slot).map(([, to]) => to))

function ownerOf(picture: Picture, slot: number): NodePicture | undefined {
  const claim = picture.owners.find(({ slots }) => slots.some(([from, to]) => from <= slot && slot <= to))
  return picture.nodes.find((node) => node.engineId === claim?.engineId)
}
