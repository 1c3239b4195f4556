import { hearClaim } from './claims.ts'
import type { Conf, MemoryNode, Peer, World } from './node.ts'
import { busReaches, confOf, isConnected, isServing, newPeer, noteKnowledge, noteMembers, ownsSlots } from './node.ts'

/*
 * The cluster bus. Each node keeps a view of its own and repairs it by pings to some of the others; a header tells
 * what the sender is, its gossip tells whom it knows and whom it suspects. A suspicion becomes a verdict when a
 * majority of the primaries with slots shares it.
 */

/** A primary that just started does not say that all is well in its first two seconds. */
const writableDelayMs = 2000
/** How likely a node pings one given other in one tick of 100 ms: half of them heard of within 200 ms. */
const pingChance = 0.35
const banMs = 60_000

export function tickGossip(world: World, node: MemoryNode): void {
  const conf = confOf(node)
  const now = world.now()
  for (const peer of conf.peers.values()) {
    if (peer.handshakeSince !== null) shakeHands(world, node, peer)
    else if (peer.port !== 0) ping(world, node, peer)
  }
  for (const peer of conf.peers.values()) if (peer.health === 'fail?') convict(world, node, peer)
  for (const [id, until] of conf.banned) if (until <= now) conf.banned.delete(id)
  updateClusterState(world, node)
}

function ping(world: World, node: MemoryNode, peer: Peer): void {
  const now = world.now()
  if (peer.pingSentAt === 0) {
    if (!world.random.chance(pingChance) && now - peer.pongAt < world.nodeTimeoutMs / 2) return
    peer.pingSentAt = now
  }
  const other = world.at(peer.port)
  setLinked(node, peer, other?.process != null && isConnected(node, other))
  if (other !== undefined && busReaches(node, other, now)) {
    if (confOf(other).id !== peer.id) {
      loseAddress(node, peer)
      return
    }
    if (!world.random.chance(world.busLoss)) {
      exchange(world, node, other, peer)
      return
    }
  }
  if (peer.health === 'ok' && now - peer.pingSentAt > world.nodeTimeoutMs) {
    peer.health = 'fail?'
    noteKnowledge(node)
  }
}

/** Somebody else answers at that address: the entry stays, without a place, and nobody pings or convicts it. */
function loseAddress(node: MemoryNode, peer: Peer): void {
  peer.address = ''
  peer.port = 0
  peer.linked = false
  noteKnowledge(node)
}

function setLinked(node: MemoryNode, peer: Peer, linked: boolean): void {
  if (peer.linked === linked) return
  peer.linked = linked
  noteKnowledge(node)
}

/** Ping and pong. A node that does not know the sender answers, and takes nothing in. */
function exchange(world: World, node: MemoryNode, other: MemoryNode, peer: Peer): void {
  const now = world.now()
  peer.pingSentAt = 0
  peer.pongAt = now
  if (peer.health !== 'ok') forgive(world, node, peer)
  hear(world, other, node)
  // The answer is written after the question was read, and the question may have changed who either of them is.
  const still = confOf(node).peers.get(peer.id)
  if (still !== undefined) hearFrom(world, node, other, still)
}

function hear(world: World, node: MemoryNode, sender: MemoryNode): void {
  const peer = confOf(node).peers.get(confOf(sender).id)
  if (peer !== undefined) hearFrom(world, node, sender, peer)
}

function hearFrom(world: World, node: MemoryNode, sender: MemoryNode, peer: Peer): void {
  hearClaim(world, node, sender, peer)
  hearMembers(world, node, sender, peer)
}

/** The gossip section: whom the sender knows, and whom it suspects. */
function hearMembers(world: World, node: MemoryNode, sender: MemoryNode, from: Peer): void {
  const conf = confOf(node)
  const said = confOf(sender)
  const news = from.heardMembers !== said.members || from.heardMembersAgainst !== conf.members || conf.banned.size > 0
  for (const told of said.peers.values()) {
    if (told.health === 'ok' && !news) {
      const known = conf.peers.get(told.id)
      if (known !== undefined && known.reports.size > 0) known.reports.delete(said.id)
      continue
    }
    if (told.id === conf.id || told.handshakeSince !== null || told.port === 0) continue
    const known = conf.peers.get(told.id)
    if (known === undefined) {
      if (!conf.banned.has(told.id)) introduce(world, node, told)
    } else if (told.health === 'ok') known.reports.delete(said.id)
    else if (ownsSlots(sender)) known.reports.set(said.id, world.now())
  }
  from.heardMembers = said.members
  from.heardMembersAgainst = conf.members
}

function introduce(world: World, node: MemoryNode, told: Peer): void {
  const peer = newPeer(told.id, told.address, told.port, world.now())
  peer.role = told.role
  confOf(node).peers.set(peer.id, peer)
  noteMembers(node)
}

/** The verdict: our own suspicion and that of enough primaries. Told to everybody at once. */
function convict(world: World, node: MemoryNode, peer: Peer): void {
  const conf = confOf(node)
  const now = world.now()
  for (const [id, at] of peer.reports) if (now - at > 2 * world.nodeTimeoutMs) peer.reports.delete(id)
  const sharing = peer.reports.size + (ownsSlots(node) ? 1 : 0)
  if (sharing < quorumOf(conf)) return
  markFailed(world, node, peer)
  for (const other of conf.peers.values()) {
    const engine = other === peer || other.port === 0 ? undefined : world.at(other.port)
    if (engine?.conf?.id !== other.id || !busReaches(node, engine, now)) continue
    const known = confOf(engine).peers.get(peer.id)
    if (known !== undefined && known.health !== 'fail') markFailed(world, engine, known)
  }
}

function markFailed(world: World, node: MemoryNode, peer: Peer): void {
  peer.health = 'fail'
  peer.failedAt = world.now()
  noteKnowledge(node)
  updateClusterState(world, node)
}

/** It answers again. A primary whose slots nobody took is taken back after a while, everybody else at once. */
function forgive(world: World, node: MemoryNode, peer: Peer): void {
  const wasPrimary = peer.role === 'primary' && peer.slots.length > 0
  if (peer.health === 'fail' && wasPrimary && world.now() - peer.failedAt <= 2 * world.nodeTimeoutMs) return
  peer.health = 'ok'
  noteKnowledge(node)
}

/** Being introduced takes a ping under a made-up id, and one back. */
function shakeHands(world: World, node: MemoryNode, stranger: Peer): void {
  const conf = confOf(node)
  const now = world.now()
  const started = stranger.handshakeSince ?? now
  if (now - started > Math.max(world.nodeTimeoutMs, 1000)) {
    conf.peers.delete(stranger.id)
    noteMembers(node)
    return
  }
  const other = world.at(stranger.port)
  if (other === undefined || !busReaches(node, other, now) || world.random.chance(world.busLoss)) return
  const theirs = confOf(other)
  conf.peers.delete(stranger.id)
  noteMembers(node)
  if (theirs.id === conf.id) return
  const known = conf.peers.get(theirs.id)
  if (known !== undefined) {
    known.address = stranger.address
    known.port = stranger.port
  } else {
    const peer = newPeer(theirs.id, stranger.address, stranger.port, now)
    peer.role = theirs.role
    peer.linked = true
    conf.peers.set(peer.id, peer)
  }
  if (!theirs.peers.has(conf.id)) meet(world, other, node.place.address, node.place.port)
}

/** `CLUSTER MEET`. */
export function meet(world: World, node: MemoryNode, address: string, port: number): void {
  const conf = confOf(node)
  for (const peer of conf.peers.values()) if (peer.handshakeSince !== null && peer.port === port) return
  const stranger = newPeer(world.random.id(), address, port, world.now())
  stranger.handshakeSince = world.now()
  conf.peers.set(stranger.id, stranger)
  noteMembers(node)
}

/** `CLUSTER FORGET`: for a minute nobody's gossip brings it back. */
export function forget(world: World, node: MemoryNode, id: string): void {
  const conf = confOf(node)
  if (!conf.peers.delete(id)) return
  for (const peer of conf.peers.values()) if (peer.follows === id) peer.follows = null
  for (const peer of conf.peers.values()) peer.reports.delete(id)
  conf.banned.set(id, world.now() + banMs)
  noteMembers(node)
}

/** A change of its own that a node does not leave to the next ping. */
export function broadcast(world: World, node: MemoryNode): void {
  for (const peer of confOf(node).peers.values()) {
    const other = peer.port === 0 ? undefined : world.at(peer.port)
    if (other?.conf?.id !== peer.id || !busReaches(node, other, world.now())) continue
    if (world.random.chance(world.busLoss)) continue
    hear(world, other, node)
    updateClusterState(world, other)
  }
  updateClusterState(world, node)
}

function quorumOf(conf: Conf): number {
  let size = conf.role === 'primary' && conf.slots.length > 0 ? 1 : 0
  for (const peer of conf.peers.values()) if (peer.role === 'primary' && peer.slots.length > 0) size++
  return Math.floor(size / 2) + 1
}

/** `cluster_state`: whether this node sees a majority, and has seen it for long enough. */
function updateClusterState(world: World, node: MemoryNode): void {
  const process = node.process
  if (process === null || !isServing(node, world.now())) return
  const conf = confOf(node)
  const now = world.now()
  const isPrimary = conf.role === 'primary'
  if (isPrimary && !process.clusterOk && now - process.servingSince < writableDelayMs) return
  let reachable = isPrimary && conf.slots.length > 0 ? 1 : 0
  for (const peer of conf.peers.values()) {
    if (peer.role === 'primary' && peer.slots.length > 0 && peer.health === 'ok') reachable++
  }
  if (reachable < quorumOf(conf)) {
    process.minorityAt = now
    process.clusterOk = false
    return
  }
  const rejoinMs = Math.min(5000, Math.max(500, world.nodeTimeoutMs))
  if (isPrimary && !process.clusterOk && now - process.minorityAt < rejoinMs) return
  process.clusterOk = true
}
