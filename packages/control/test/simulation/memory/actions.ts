import type { Action, NodeFiles, SlotRange } from '@holdfast/core'
import { HoldfastError, normalizeSlots, subtractSlots } from '@holdfast/core'
import { sha256 } from './access.ts'
import { intersectSlots, takeClaimedSlots } from './claims.ts'
import { cloneCopy } from './data.ts'
import { failoverRefusal, manualFailoverMs, takeOver } from './election.ts'
import { deleteFiles } from './files.ts'
import { broadcast, forget, meet } from './gossip.ts'
import { beginMove, tickMoves } from './moves.ts'
import type { MemoryNode, World } from './node.ts'
import { confOf, isServing, noteClaim, noteKnowledge, nothingRead } from './node.ts'
import { killProcess, noteFailedStart, shutDown, startProcess } from './process.ts'
import { becomeReplica, newLink } from './replication.ts'

/* What an agent does beside its engines, with the engine's own refusals. */

function refuse(node: MemoryNode, reason: string): never {
  throw new HoldfastError('ENGINE_REFUSED', `${node.place.id} refused: ${reason}`, { node: node.place.id })
}

/** A frozen or dead engine takes no command. */
function wantAnswering(world: World, node: MemoryNode): void {
  if (isServing(node, world.now())) return
  throw new HoldfastError('UNREACHABLE_ENGINE', `${node.place.id} does not answer`, { node: node.place.id })
}

export function perform(world: World, node: MemoryNode, action: Action): void {
  switch (action.kind) {
    case 'start':
      return start(world, node, action)
    case 'stop':
      return stop(world, node, action.save)
    case 'fence':
      return fence(world, node, action)
    case 'fence-writes':
      wantAnswering(world, node)
      node.fence ??= { epoch: 0, reason: action.reason, at: world.now() }
      return
    case 'lift-fence':
      wantAnswering(world, node)
      node.fence = null
      return
    case 'purge':
      deleteFiles(world, node)
      node.record = null
      return
    case 'work':
      if (action.job.kind !== 'move') throw new Error(`the memory cluster has no files for "${action.job.kind}"`)
      return beginMove(node, action.job)
    case 'end-work':
      node.moves.delete(action.job)
      return
    case 'place':
    case 'receive':
    case 'clear-restore':
      throw new Error(`the memory cluster has no files for "${action.kind}"`)
    default:
      // The agent notes that it asked before it knows what comes of it.
      if (action.kind === 'failover') node.failoverAsked = { at: world.now(), mode: action.mode }
      wantAnswering(world, node)
      return tellEngine(world, node, action)
  }
}

type EngineAction = Exclude<
  Action,
  {
    kind:
      | 'start'
      | 'stop'
      | 'fence'
      | 'fence-writes'
      | 'lift-fence'
      | 'purge'
      | 'work'
      | 'end-work'
      | 'place'
      | 'receive'
      | 'clear-restore'
  }
>

function tellEngine(world: World, node: MemoryNode, action: EngineAction): void {
  switch (action.kind) {
    case 'failover':
      return failover(world, node, action)
    case 'give-slots':
      return giveSlots(node, action)
    case 'meet':
      for (const peer of action.peers) meet(world, node, peer.address, peer.port)
      return
    case 'follow':
      return follow(world, node, action.primary)
    case 'forget':
      return forgetAll(world, node, action.engineIds)
    case 'close-slot':
      return closeSlot(node, action.slot)
    case 'finish-move':
      return finishMove(world, node, action)
    case 'configure':
      Object.assign(node.config, action.set)
      node.given = { ...node.given, ...action.set }
      writeConfig(node, action.files)
      return changed(node)
    case 'save':
      node.rdb = cloneCopy(node.data)
      node.savedAt = world.now()
      return
    case 'begin-log':
      node.config['appendonly'] = 'yes'
      node.aofOnDisk = true
      return changed(node)
    case 'end-log':
      node.config['save'] = action.save
      node.config['appendonly'] = 'no'
      node.aofOnDisk = false
      return changed(node)
    case 'drop-files':
      if (action.what === 'rdb') node.rdb = null
      else node.aofOnDisk = false
      return
    case 'load-users':
      node.usersFile = action.files.users
      node.users = action.files.users
      Object.assign(node.readBack, { usersNow: null, usersLoaded: null, at: Number.NEGATIVE_INFINITY })
      return
    case 'sign-in': {
      const hash = sha256(action.password)
      Object.assign(node.access, { file: hash, process: hash, givenAt: world.now() })
      return
    }
    case 'renew-link':
      node.access.linkRenewedAt = world.now()
      if (node.process !== null && confOf(node).role === 'replica') node.process.link = newLink(world.now())
      return
    case 'close-sessions':
      node.access.closing = { rotation: action.rotation, at: world.now(), closed: 0, left: 0 }
      return
    case 'replicate':
    case 'promote':
    case 'set-priority':
    case 'ask-sentinel':
    case 'watch':
    case 'set-sentinel':
    case 'unwatch':
    case 'reset-sentinel':
      throw new Error(`${action.kind} has no place in a Cluster`)
    case 'reload':
    case 'point':
      throw new Error('there are no proxies in this world')
    default:
      return action satisfies never
  }
}

function writeConfig(node: MemoryNode, { config, signsInWith, engineVersion }: NodeFiles): void {
  node.configFile = config
  node.access.file = signsInWith ?? null
  node.version = engineVersion ?? node.version
}

function changed(node: MemoryNode): void {
  node.readBack.config = null
  node.readBack.at = Number.NEGATIVE_INFINITY
}

function start(world: World, node: MemoryNode, action: Extract<Action, { kind: 'start' }>): void {
  if (node.process !== null || node.lastExit?.lingering) return
  writeConfig(node, action.files)
  node.usersFile = action.files.users
  node.failoverAsked = null
  node.readBack = nothingRead()
  if (node.weather.portTaken) {
    const error = `port ${node.place.port} is in use`
    noteFailedStart(world, node, error)
    throw new HoldfastError('HOST_PORT_IN_USE', error, { node: node.place.id })
  }
  const load = action.loadRdb === true ? 'rdb' : action.loadAof === true ? 'aof' : null
  startProcess(world, node, load, 'start', action.instead)
}

/** A frozen or busy engine hears it when it is awake again. */
function stop(world: World, node: MemoryNode, save: boolean): void {
  if (node.process === null) return
  if (isServing(node, world.now())) shutDown(world, node, save)
  else node.process.stopAsked = { save }
}

function fence(world: World, node: MemoryNode, action: Extract<Action, { kind: 'fence' }>): void {
  node.fencedAt = world.now()
  if (node.process?.pid !== action.pid || node.process.startTime !== action.startTime) return
  killProcess(world, node)
}

function failover(world: World, node: MemoryNode, action: Extract<Action, { kind: 'failover' }>): void {
  const refusal = failoverRefusal(world, node, action.mode !== 'switchover')
  if (refusal !== null) refuse(node, refusal)
  if (action.mode === 'takeover') takeOver(world, node)
  else if (node.process !== null) node.process.manual = { mode: action.mode, until: world.now() + manualFailoverMs }
}

function giveSlots(node: MemoryNode, action: Extract<Action, { kind: 'give-slots' }>): void {
  const conf = confOf(node)
  // Only a node that knows nobody takes an epoch, and only its first; the agent goes on without.
  if (action.epoch !== null && conf.peers.size === 0 && conf.configEpoch === 0) {
    conf.configEpoch = action.epoch
    conf.currentEpoch = Math.max(conf.currentEpoch, action.epoch)
    noteClaim(node)
  }
  for (const owner of [conf, ...conf.peers.values()]) {
    const [busy] = intersectSlots(owner.slots, action.slots)
    if (busy !== undefined) refuse(node, `Slot ${busy[0]} is already busy`)
  }
  conf.slots = normalizeSlots([...conf.slots, ...action.slots])
  noteClaim(node)
}

function follow(world: World, node: MemoryNode, primaryId: string): void {
  const conf = confOf(node)
  const primary = conf.peers.get(primaryId)
  if (primaryId === conf.id) refuse(node, "Can't replicate myself")
  if (primary === undefined || primary.handshakeSince !== null) refuse(node, `Unknown node ${primaryId}`)
  else if (primary.role === 'replica') refuse(node, 'I can only replicate a master, not a replica.')
  if (conf.role === 'primary' && (conf.slots.length > 0 || node.data.length > 0)) {
    refuse(node, 'To set a master the node must be empty and without assigned slots.')
  }
  becomeReplica(world, node, primaryId)
}

function forgetAll(world: World, node: MemoryNode, ids: readonly string[]): void {
  const conf = confOf(node)
  if (ids.includes(conf.id)) refuse(node, "I tried hard but I can't forget myself...")
  if (conf.role === 'replica' && conf.follows !== null && ids.includes(conf.follows)) {
    refuse(node, "Can't forget my master!")
  }
  for (const id of ids) forget(world, node, id)
}

function closeSlot(node: MemoryNode, slot: number): void {
  const conf = confOf(node)
  if (conf.role === 'replica') refuse(node, 'You can use SETSLOT only with masters.')
  conf.open = conf.open.filter((open) => open.slot !== slot)
  noteKnowledge(node)
}

/** What the agent's works have done since the last time. */
export const tickWorks = (world: World, node: MemoryNode): void =>
  tickMoves(world, node, {
    move: (slot, { target, targetId }) => {
      wantAnswering(world, node)
      finishMove(world, node, { kind: 'finish-move', node: node.place.id, slot, target, targetId })
    },
  })

/** The slot changes hands under a new epoch of its new owner, who hears of it first. */
function finishMove(world: World, node: MemoryNode, action: Extract<Action, { kind: 'finish-move' }>): void {
  const target = world.at(action.target.port)
  const known = confOf(node).peers.get(action.targetId)
  if (target === undefined || known === undefined || target.conf?.id !== action.targetId) {
    return refuse(node, `Unknown node ${action.targetId}`)
  }
  wantAnswering(world, target)
  const theirs = target.conf
  const moved: SlotRange[] = [[action.slot, action.slot]]
  for (const end of [target, node]) {
    confOf(end).open = confOf(end).open.filter(({ slot }) => slot !== action.slot)
  }
  world.moveKeys(action.slot, node, target)
  theirs.currentEpoch = Math.max(theirs.currentEpoch, confOf(node).currentEpoch) + 1
  theirs.configEpoch = theirs.currentEpoch
  for (const peer of theirs.peers.values()) peer.slots = subtractSlots(peer.slots, moved)
  theirs.slots = normalizeSlots([...theirs.slots, ...moved])
  noteClaim(target)
  known.configEpoch = theirs.configEpoch
  takeClaimedSlots(world, node, known, [...known.slots, ...moved])
  noteClaim(node)
  broadcast(world, target)
}
