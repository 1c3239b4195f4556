/** Slots that nobody owns, and slots that somebody left half moved. */
import type { Action } from '../action.ts'
import { hearsayOwner } from '../ownership.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import type { SlotRange } from '../slots.ts'
import { evenSlots, formatSlots, hasSlot, normalizeSlots } from '../slots.ts'
import { isHomeless } from './homecoming.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join } from './step.ts'

/** Slots of former primaries that are brought home in one turn. */
const slotsHomeAtOnce = 20

export function planSlots(input: PlanInput): Step {
  const { picture } = input
  // A node that was not heard may be the owner: only when all were heard is a slot really without one.
  if (picture.nodes.some((node) => node.facts === null)) return idle
  return join([
    giveUnowned(picture),
    ...oncePerSlot(picture.nodes.flatMap((node) => mendOpenSlots(node, picture))),
    ...picture.shards.map((shard) => bringHome(shard, picture)),
  ])
}

/**
 * A slot without owner goes back to whom the others still name; else to the shard that has none at all, which lost
 * every copy and begins anew; else to the owner of the slot before it.
 */
function giveUnowned(picture: Picture): Step {
  if (picture.owners.length === 0) return idle
  const takers = new Map<NodePicture, SlotRange[]>()
  for (const range of picture.unowned.flatMap((gap) => cutAt(gap, boundaries(picture)))) {
    const named = shardNamed(picture, hearsayOwner(picture.views, range[0]))
    const shard = named ?? emptyShardAt(picture, range[0]) ?? shardBefore(picture, range[0])
    const taker = shard?.primary ?? shard?.nodes.find((node) => node.facts?.role === 'primary')
    if (taker !== undefined) takers.set(taker, [...(takers.get(taker) ?? []), range])
  }
  const actions = [...takers].map(
    ([node, slots]): Action => ({
      kind: 'give-slots',
      node: node.id,
      slots: normalizeSlots(slots),
      epoch: null,
    }),
  )
  if (actions.length === 0) return idle
  return act(
    `nobody owns slots ${formatSlots(picture.unowned)}: giving them to ${[...takers.keys()].map(({ id }) => id).join(', ')}`,
    actions,
  )
}

/** Where one owner's slots may end and another's begin: a gap over several shards is given to each of them. */
function boundaries({ views, shards }: Picture): number[] {
  const told = views.flatMap((view) => view.entries.flatMap(({ slots }) => slots))
  return [...told, ...evenSlots(shards.length)].flatMap(([from, to]) => [from, to + 1])
}

function cutAt([from, to]: SlotRange, cuts: readonly number[]): SlotRange[] {
  const starts = [...new Set([from, ...cuts.filter((cut) => cut > from && cut <= to)])].sort((a, b) => a - b)
  return starts.map((start, index): SlotRange => [start, (starts[index + 1] ?? to + 1) - 1])
}

/** Open on several nodes at once, a slot is mended on one of them in a turn. */
function oncePerSlot(steps: readonly Step[]): Step[] {
  const touched = new Set<number>()
  return steps.filter(({ actions }) => {
    const slots = actions.flatMap((action) => ('slot' in action ? [action.slot] : []))
    if (slots.some((slot) => touched.has(slot))) return false
    for (const slot of slots) touched.add(slot)
    return true
  })
}

function mendOpenSlots(node: NodePicture, picture: Picture): Step[] {
  return (node.facts?.view.open ?? []).map(({ slot, direction, peer, keys }) => {
    if (hasSlot(picture.moving, slot)) return idle
    const other = shardNamed(picture, peer)?.primary ?? undefined
    if (direction === 'migrating') {
      if (ownerOf(picture, slot) !== node) return close(node, slot, 'the slot is not its own')
      // The target may have been replaced by its replica since; the keys go to whoever owns that shard now.
      if (other?.facts == null || other === node) return close(node, slot, 'its target is not there')
      const isReplaced = other.engineId !== peer
      if (isReplaced || isImporting(other, slot) || keys === 0) return finish(node, other, slot)
      return close(node, slot, `${other.id} does not import it`)
    }
    const owner = ownerOf(picture, slot)
    if (owner === undefined || owner === node) return close(node, slot, 'it is here already')
    // Its agent may be at work on it, for all that anybody hears.
    if (isOpen(owner, slot) || owner.agent === null) return idle
    return keys === 0 ? close(node, slot, `${owner.id} has it and no key has moved`) : finish(owner, node, slot)
  })
}

/**
 * Slots of a shard on a node that is not its primary: a former primary kept them because the promoted replica had not
 * heard of them. They go to the primary, with their keys, some a turn.
 */
function bringHome(shard: ShardPicture, picture: Picture): Step {
  const { primary } = shard
  // Where a shard has no owner, what looks like a stray may be all that is left of it.
  if (primary === null || picture.shards.some(isHomeless)) return idle
  const strays = picture.owners.flatMap(({ engineId, slots }) => {
    const holder = shard.nodes.find((node) => node !== primary && node.engineId === engineId)
    return holder === undefined ? [] : slots.map((range) => ({ holder, range }))
  })
  return join(
    strays
      .flatMap(({ holder, range: [from, to] }) =>
        Array.from({ length: to - from + 1 }, (_, index) => ({ holder, slot: from + index })),
      )
      .filter(({ holder, slot }) => !isOpen(holder, slot) && !isOpen(primary, slot))
      .slice(0, slotsHomeAtOnce)
      .map(({ holder, slot }) => move(`slot ${slot} of ${shard.id} is on ${holder.id}`, holder, primary, slot)),
  )
}

const close = (node: NodePicture, slot: number, because: string): Step =>
  act(`slot ${slot} was left open on ${node.id} and ${because}: closing it`, [
    { kind: 'close-slot', node: node.id, slot },
  ])

const finish = (from: NodePicture, to: NodePicture, slot: number): Step =>
  move(`slot ${slot} was left half moved from ${from.id}`, from, to, slot)

function move(because: string, from: NodePicture, to: NodePicture, slot: number): Step {
  const target = { address: to.place.address, port: to.place.port }
  return act(`${because}: moving it to ${to.id}`, [
    { kind: 'finish-move', node: from.id, slot, target, targetId: to.engineId as string },
  ])
}

const isOpen = (node: NodePicture, slot: number): boolean =>
  node.facts?.view.open.some((open) => open.slot === slot) === true

const isImporting = (node: NodePicture, slot: number): boolean =>
  node.facts?.view.open.some((open) => open.slot === slot && open.direction === 'importing') === true

function shardNamed(picture: Picture, engineId: string | undefined): ShardPicture | undefined {
  return picture.shards.find((shard) => shard.nodes.some((node) => node.engineId === engineId))
}

/**
 * A shard that owns nothing at all, and not by intent: the one whose even share this slot is; else the first, since after
 * slots were moved the shares are others.
 */
function emptyShardAt(picture: Picture, slot: number): ShardPicture | undefined {
  const index = evenSlots(picture.shards.length).findIndex((range) => hasSlot([range], slot))
  const empty = picture.shards.filter(
    ({ slots, nodes }) => slots.length === 0 && !nodes.some(({ place }) => place.slotless === true),
  )
  return empty.find((shard) => shard.index === index) ?? empty[0]
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
