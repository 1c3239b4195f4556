import type { SlotRange } from '@holdfast/core'
import { countSlots, normalizeSlots, subtractSlots } from '@holdfast/core'
import { emptyCopy } from './data.ts'
import type { MemoryNode, Peer, World } from './node.ts'
import { confOf, noteClaim, noteKnowledge } from './node.ts'
import { becomeReplica } from './replication.ts'

/*
 * Who owns which slot, as one node comes to believe it. Nobody agrees on ownership in advance: whoever claims a slot
 * with the higher config epoch has it, and a node that hears an outdated claim answers with the newer one. So an old
 * primary that comes back learns that it was replaced, and follows the one that took its last slot.
 */

export const intersectSlots = (a: readonly SlotRange[], b: readonly SlotRange[]): SlotRange[] =>
  subtractSlots(a, subtractSlots(a, b))

/** Takes in what `sender` says of its role, its epoch and its slots. */
export function hearClaim(world: World, node: MemoryNode, sender: MemoryNode, peer: Peer): void {
  const conf = confOf(node)
  const said = confOf(sender)
  if (peer.heardClaim === said.claim && peer.heardClaimAgainst === conf.knowledge) return
  // Hearing may change the sender: what it says after that is still to be heard.
  const heard = said.claim
  if (said.currentEpoch > conf.currentEpoch) {
    conf.currentEpoch = said.currentEpoch
    noteClaim(node)
  }
  if (said.role === 'primary') {
    if (peer.role !== 'primary' || peer.follows !== null) {
      peer.role = 'primary'
      peer.follows = null
      noteKnowledge(node)
    }
    if (said.configEpoch > peer.configEpoch) {
      peer.configEpoch = said.configEpoch
      noteKnowledge(node)
    }
    resolveCollision(node, sender)
    takeClaimedSlots(world, node, peer, said.slots)
    correctSender(world, node, sender)
  } else {
    hearReplica(world, node, sender, peer)
  }
  peer.heardClaim = heard
  peer.heardClaimAgainst = conf.knowledge
}

function hearReplica(world: World, node: MemoryNode, sender: MemoryNode, peer: Peer): void {
  const conf = confOf(node)
  const said = confOf(sender)
  if (peer.role !== 'replica') {
    peer.role = 'replica'
    peer.slots = []
    noteKnowledge(node)
  }
  // A primary that this node has not heard of yet stays unknown: asked for a vote, it would refuse.
  const known = said.follows === conf.id || (said.follows !== null && conf.peers.has(said.follows))
  if (known && peer.follows !== said.follows) {
    peer.follows = said.follows
    noteKnowledge(node)
  }
  // Our primary turned into somebody's replica: follow the one that it follows, not a chain.
  if (conf.follows === said.id && said.follows !== null && said.follows !== conf.id && known) {
    becomeReplica(world, node, said.follows)
  }
}

/** Two primaries with one epoch: the one with the smaller id takes a new one. */
function resolveCollision(node: MemoryNode, sender: MemoryNode): void {
  const conf = confOf(node)
  const said = confOf(sender)
  if (conf.role !== 'primary' || said.configEpoch !== conf.configEpoch || said.id <= conf.id) return
  conf.currentEpoch++
  conf.configEpoch = conf.currentEpoch
  noteClaim(node)
}

/** The slots of a claim go to the claimer, except those whose owner has a higher epoch. */
export function takeClaimedSlots(world: World, node: MemoryNode, claimer: Peer, claimed: readonly SlotRange[]): void {
  const conf = confOf(node)
  const importing = conf.open.filter((open) => open.direction === 'importing')
  let wanted = subtractSlots(
    subtractSlots(claimed, claimer.slots),
    importing.map(({ slot }): SlotRange => [slot, slot]),
  )
  if (wanted.length === 0) return
  const primaryId = conf.role === 'primary' ? conf.id : conf.follows
  const owners: { id: string; configEpoch: number; slots: SlotRange[] }[] = [conf, ...conf.peers.values()]
  let lostByOurs = 0
  for (const owner of owners) {
    if (owner === claimer || owner.slots.length === 0) continue
    const both = intersectSlots(owner.slots, wanted)
    if (both.length === 0) continue
    if (owner.configEpoch >= claimer.configEpoch) {
      wanted = subtractSlots(wanted, both)
      continue
    }
    owner.slots = subtractSlots(owner.slots, both)
    if (owner.id === primaryId) lostByOurs += countSlots(both)
    if (owner === conf) {
      conf.open = conf.open.filter(({ slot }) => intersectSlots([[slot, slot]], both).length === 0)
      noteClaim(node)
    }
  }
  if (wanted.length === 0) return
  claimer.slots = normalizeSlots([...claimer.slots, ...wanted])
  noteKnowledge(node)
  const ours = owners.find((owner) => owner.id === primaryId)
  // Without replica migration the engine follows only a node that has nothing but what it took from us.
  if (lostByOurs > 0 && ours?.slots.length === 0 && countSlots(claimed) === lostByOurs) {
    becomeReplica(world, node, claimer.id)
  } else if (lostByOurs > 0 && conf.role === 'primary' && conf.slots.length === 0) {
    // A primary deletes the keys of slots that it lost to somebody whom it does not follow.
    world.destroying(node)
    node.data = emptyCopy()
  }
}

/** The engine's UPDATE message: a sender whose claim is outdated hears of the newer owner. */
function correctSender(world: World, node: MemoryNode, sender: MemoryNode): void {
  const conf = confOf(node)
  const said = confOf(sender)
  if (said.slots.length === 0) return
  const owners: { id: string; configEpoch: number; slots: SlotRange[] }[] = [conf, ...conf.peers.values()]
  for (const owner of owners) {
    if (owner.id === said.id || owner.configEpoch <= said.configEpoch) continue
    if (intersectSlots(owner.slots, said.slots).length === 0) continue
    const known = said.peers.get(owner.id)
    if (known === undefined || known.configEpoch >= owner.configEpoch) continue
    known.role = 'primary'
    known.follows = null
    known.configEpoch = owner.configEpoch
    noteKnowledge(sender)
    takeClaimedSlots(world, sender, known, owner.slots)
  }
}
