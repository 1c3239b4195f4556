import { normalizeSlots } from '@holdfast/core'
import { intersectSlots } from './claims.ts'
import { broadcast } from './gossip.ts'
import type { MemoryNode, Peer, Promotion, World } from './node.ts'
import { busReaches, confOf, isServing, noteClaim } from './node.ts'
import { applyStream, bytesBehind, continueAsPrimary, primaryNodeOf } from './replication.ts'

/*
 * How a replica becomes a primary. It asks once, in an epoch of its own; a voter gives one vote an epoch, and one a
 * shard in twice the node timeout. A replica that did not win does not ask again before four times the node timeout,
 * however often it is told to. A takeover asks nobody.
 */

/** How long the engine tries a failover that it was asked for. */
export const manualFailoverMs = 5000

export function tickElection(world: World, node: MemoryNode): void {
  const process = node.process
  const conf = confOf(node)
  if (process === null) return
  const now = world.now()
  if (process.manual !== null && (conf.role === 'primary' || now > process.manual.until)) process.manual = null
  const primary = conf.follows === null ? undefined : conf.peers.get(conf.follows)
  if (conf.role !== 'replica' || primary === undefined || primary.slots.length === 0) return
  const manual = process.manual !== null && (process.manual.mode !== 'switchover' || isHandedOver(world, node))
  if (!manual && (primary.health !== 'fail' || !world.nativeFailover || isTooOld(world, node))) return
  const askTimeoutMs = Math.max(2 * world.nodeTimeoutMs, 2000)
  if (now - process.voteAskedAt > 2 * askTimeoutMs) {
    const rank = world.nodes.filter((other) => isAheadOf(other, node)).length
    process.voteAskedAt = manual ? now : now + 500 + world.random.between(0, 499) + rank * 1000
    process.voteSent = false
  }
  if (now < process.voteAskedAt || process.voteSent || now - process.voteAskedAt > askTimeoutMs) return
  askForVotes(world, node, primary, manual)
}

/** A replica that lost its link long ago does not stand for election. */
function isTooOld(world: World, node: MemoryNode): boolean {
  const link = node.process?.link
  if (link?.state !== 'down') return false
  return world.now() - link.since > 10_000 + 10 * world.nodeTimeoutMs
}

function isAheadOf(other: MemoryNode, node: MemoryNode): boolean {
  if (other === node || other.conf?.role !== 'replica' || other.conf.follows !== node.conf?.follows) return false
  return (other.process?.stream.offset ?? 0) > (node.process?.stream.offset ?? 0)
}

/** The primary pauses its writes, and the replica waits until it has them all. */
function isHandedOver(world: World, node: MemoryNode): boolean {
  const primary = primaryNodeOf(world, node)
  const process = node.process
  if (primary?.process == null || process?.manual == null || !busReaches(node, primary, world.now())) return false
  primary.process.writesPausedUntil = process.manual.until
  if (process.link?.state !== 'up') return false
  applyStream(world, node, primary)
  return bytesBehind(node, primary) === 0
}

function askForVotes(world: World, node: MemoryNode, primary: Peer, forced: boolean): void {
  const process = node.process
  const conf = confOf(node)
  if (process === null) return
  conf.currentEpoch++
  noteClaim(node)
  process.voteSent = true
  let electorate = 0
  let votes = 0
  for (const peer of conf.peers.values()) {
    if (peer.role !== 'primary' || peer.slots.length === 0 || peer.handshakeSince !== null) continue
    electorate++
    const voter = world.at(peer.port)
    if (voter?.conf?.id !== peer.id || !busReaches(node, voter, world.now())) continue
    if (world.random.chance(world.busLoss)) continue
    if (grantsVote(world, voter, node, primary, forced)) votes++
  }
  if (votes < Math.floor(electorate / 2) + 1) return
  conf.configEpoch = conf.currentEpoch
  const mode = process.manual?.mode
  promote(world, node, mode === 'force' || mode === 'switchover' ? mode : 'own election')
}

function grantsVote(world: World, voter: MemoryNode, asker: MemoryNode, primary: Peer, forced: boolean): boolean {
  const conf = confOf(voter)
  const asked = confOf(asker)
  const known = conf.peers.get(asked.id)
  if (conf.role !== 'primary' || conf.slots.length === 0 || known === undefined) return false
  if (asked.currentEpoch < conf.currentEpoch || conf.lastVoteEpoch === asked.currentEpoch) return false
  conf.currentEpoch = asked.currentEpoch
  const theirs = known.role === 'replica' && known.follows !== null ? conf.peers.get(known.follows) : undefined
  if (theirs === undefined || (theirs.health !== 'fail' && !forced)) return false
  if (world.now() - theirs.votedAt < 2 * world.nodeTimeoutMs) return false
  for (const owner of [conf, ...conf.peers.values()]) {
    if (owner.configEpoch > primary.configEpoch && intersectSlots(owner.slots, primary.slots).length > 0) return false
  }
  conf.lastVoteEpoch = asked.currentEpoch
  theirs.votedAt = world.now()
  noteClaim(voter)
  return true
}

/** An epoch above all that this node knows, without asking anybody. */
export function takeOver(world: World, node: MemoryNode): void {
  const conf = confOf(node)
  const highest = Math.max(conf.currentEpoch, ...[...conf.peers.values()].map((peer) => peer.configEpoch))
  conf.currentEpoch = highest + 1
  conf.configEpoch = conf.currentEpoch
  promote(world, node, 'takeover')
}

function promote(world: World, node: MemoryNode, how: Promotion['how']): void {
  const conf = confOf(node)
  const former = conf.follows === null ? undefined : conf.peers.get(conf.follows)
  conf.role = 'primary'
  conf.follows = null
  if (former !== undefined) {
    conf.slots = normalizeSlots([...conf.slots, ...former.slots])
    former.slots = []
  }
  continueAsPrimary(world, node)
  if (node.process !== null) {
    node.process.manual = null
    node.process.voteAskedAt = Number.NEGATIVE_INFINITY
    node.process.voteSent = false
  }
  noteClaim(node)
  world.promoted(node, how)
  broadcast(world, node)
}

/** Why an engine would refuse this failover, or null. */
export function failoverRefusal(world: World, node: MemoryNode, forced: boolean): string | null {
  const conf = confOf(node)
  if (conf.role === 'primary') return 'You should send CLUSTER FAILOVER to a replica'
  const primary = conf.follows === null ? undefined : conf.peers.get(conf.follows)
  if (primary === undefined) return "I'm a replica but my master is unknown to me"
  const engine = world.at(primary.port)
  const linked = engine !== undefined && engine.conf?.id === primary.id && isServing(engine, world.now())
  if (!forced && (primary.health === 'fail' || !linked)) {
    return 'Master is down or failed, please use CLUSTER FAILOVER FORCE'
  }
  return null
}
