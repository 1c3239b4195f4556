import { saysHeld } from '@holdfast/core'
import { letsReplicate } from './access.ts'
import type { Copy } from './data.ts'
import { cloneCopy, emptyCopy } from './data.ts'
import type { Link, MemoryNode, Stream, World } from './node.ts'
import { confOf, isConnected, isServing, noteClaim } from './node.ts'

/*
 * Replication as the data sees it: a partial resync where the replication ids and offsets allow one, else a full one
 * that throws the replica's copy away in its second half. That is how emptiness spreads, and why an interrupted first
 * sync leaves nothing to promote.
 */

/** How often a replica without a link dials its primary. */
const redialMs = 1000
const fullSyncMs = 300

export const newStream = (world: World): Stream => ({
  replid: world.random.id(),
  replidBefore: '0'.repeat(40),
  offsetBefore: -1,
  offset: 0,
})

export function becomeReplica(world: World, node: MemoryNode, primaryId: string): void {
  const conf = confOf(node)
  if (conf.role === 'replica' && conf.follows === primaryId) return
  conf.role = 'replica'
  conf.follows = primaryId
  conf.slots = []
  conf.open = []
  noteClaim(node)
  if (node.process === null) return
  node.process.manual = null
  node.process.link = newLink(world.now())
}

export const newLink = (now: number): Link => ({
  state: 'down',
  since: now,
  peerPid: 0,
  nextTryAt: now,
  loadAt: 0,
  syncedAt: 0,
  mustFullSync: false,
})

/** A replica that was promoted goes on under a new replication id; its siblings may continue from the old one. */
export function continueAsPrimary(world: World, node: MemoryNode): void {
  const process = node.process
  if (process === null) return
  process.link = null
  process.stream = {
    replid: world.random.id(),
    replidBefore: process.stream.replid,
    offsetBefore: process.stream.offset,
    offset: process.stream.offset,
  }
}

/** The node that this replica's nodes.conf leads to, dead or alive. */
export function primaryNodeOf(world: World, node: MemoryNode): MemoryNode | undefined {
  const conf = node.conf
  if (conf === null || conf.follows === null) return undefined
  const peer = conf.peers.get(conf.follows)
  return peer === undefined ? undefined : world.at(peer.port)
}

/** The replicas whose link ends at this very process. */
export function replicasAttachedTo(world: World, node: MemoryNode): MemoryNode[] {
  const process = node.process
  if (process === null) return []
  return world.nodes.filter((other) => {
    const link = other.process?.link
    return link !== null && link !== undefined && link.state !== 'down' && link.peerPid === process.pid
  })
}

export function tickReplication(world: World, node: MemoryNode): void {
  const process = node.process
  if (process === null) return
  const now = world.now()
  if (confOf(node).role === 'primary') {
    process.link = null
    return
  }
  process.link ??= newLink(now)
  const link = process.link
  const primary = primaryNodeOf(world, node)
  if (link.state !== 'down' && !holds(node, link, primary)) {
    // What a broken sync leaves is no copy to continue from.
    if (link.state === 'syncing') link.mustFullSync ||= now >= link.loadAt
    link.state = 'down'
    link.since = now
    link.nextTryAt = now + redialMs
  }
  if (link.state === 'down' && now >= link.nextTryAt) dial(world, node, link, primary)
  if (link.state === 'syncing' && primary?.process) loadSnapshot(world, node, link, primary)
  if (link.state === 'up' && primary !== undefined) applyStream(world, node, primary)
}

/** A connection stays while both processes live, frozen ones too; only a cut or an end breaks it. */
function holds(node: MemoryNode, link: Link, primary: MemoryNode | undefined): boolean {
  return (
    primary?.process?.pid === link.peerPid &&
    primary.conf?.id === node.conf?.follows &&
    !node.weather.linkCut &&
    isConnected(node, primary)
  )
}

function dial(world: World, node: MemoryNode, link: Link, primary: MemoryNode | undefined): void {
  const now = world.now()
  link.nextTryAt = now + redialMs
  if (primary === undefined || !isServing(primary, now) || primary.process === null || node.process === null) return
  if (!letsReplicate(primary, node)) return
  link.peerPid = primary.process.pid
  if (!holds(node, link, primary)) return
  // A replica without a link of its own turns the dialler away.
  if (primary.conf?.role === 'replica' && primary.process.link?.state !== 'up') return
  if (!link.mustFullSync && canContinue(node.process.stream, primary.process.stream)) {
    node.process.stream.replid = primary.process.stream.replid
    node.data.writes = primary.data.writes
    link.state = 'up'
    link.since = now
    return
  }
  // It waits for a snapshot that does not begin, and keeps what it has.
  if (isHeld(primary)) return
  link.state = 'syncing'
  link.since = now
  link.loadAt = now + fullSyncMs / 2
  link.syncedAt = now + fullSyncMs
}

/** It runs as its file alone says, with durability `durable`. */
export const isHeld = ({ config }: MemoryNode): boolean => saysHeld(config)

/** Whether enough copies acknowledge what this primary writes, by its own `min-replicas-to-write`, which a fence puts out of reach. */
export function mayWrite(world: World, primary: MemoryNode): boolean {
  const wanted = Number(primary.config['min-replicas-to-write'] ?? 0)
  const lagMs = 1000 * Number(primary.config['min-replicas-max-lag'] ?? 10)
  const acking = replicasAttachedTo(world, primary).filter(({ process }) => {
    const quietSince = process?.quietSince ?? 0
    return process?.link?.state === 'up' && (quietSince === 0 || world.now() - quietSince <= lagMs)
  })
  return primary.fence === null && acking.length >= wanted
}

function canContinue(mine: Stream, theirs: Stream): boolean {
  if (mine.replid === theirs.replid) return mine.offset <= theirs.offset
  return mine.replid === theirs.replidBefore && mine.offset <= theirs.offsetBefore
}

function loadSnapshot(world: World, node: MemoryNode, link: Link, primary: MemoryNode): void {
  const now = world.now()
  const process = node.process
  if (process === null || primary.process === null || now < link.loadAt) return
  if (now < link.syncedAt) {
    if (!link.mustFullSync) {
      node.data = emptyCopy()
      process.stream.offset = 0
      link.mustFullSync = true
    }
    return
  }
  node.data = cloneCopy(primary.data)
  node.aofOnDisk ||= node.config['appendonly'] !== 'no'
  process.stream = { ...newStream(world), replid: primary.process.stream.replid, offset: primary.process.stream.offset }
  link.state = 'up'
  link.since = now
  link.mustFullSync = false
}

/** Copies what the primary has and this replica has not. The primary may be frozen: then there is nothing new. */
export function applyStream(world: World, node: MemoryNode, primary: MemoryNode): void {
  const process = node.process
  if (process?.link?.state !== 'up' || primary.process === null) return
  if (node.weather.lagging || !isServing(node, world.now())) return
  const from: Copy = primary.data
  node.data.writes = from.writes
  node.data.length = from.length
  process.stream.offset = primary.process.stream.offset
}

/** Bytes that this replica is behind the process it is attached to. */
export const bytesBehind = (node: MemoryNode, primary: MemoryNode): number =>
  (primary.process?.stream.offset ?? 0) - (node.process?.stream.offset ?? 0)
