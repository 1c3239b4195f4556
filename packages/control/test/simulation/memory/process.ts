import { readConfigText } from '@holdfast/core'
import { noAccess } from './access.ts'
import { cloneCopy, emptyCopy } from './data.ts'
import type { MemoryNode, Process, World } from './node.ts'
import { newConf, noteKnowledge, ownsSlots } from './node.ts'
import { newStream, replicasAttachedTo } from './replication.ts'

/*
 * A process from its start to its end: some ms until it listens, a while in which it loads, then it serves. What it
 * knew and did not write down goes with it.
 */

const loadMsPerWrite = 0.02
/** What an engine with nothing to do uses of a core. */
const idleCpuShare = 0.01
/** The operating system counts CPU time in these. */
const cpuTickMs = 10

/** A directive that no engine knows, as a person may write it. */
const unknownDirective = /^no-such-directive\b/m

export function startProcess(
  world: World,
  node: MemoryNode,
  /** Where the data is, if not where the config says. */
  load: 'rdb' | 'aof' | null,
  how: 'start' | 'started by a stranger' = 'start',
  /** What its command line overrules in its file. */
  instead: Readonly<Record<string, string>> = {},
): void {
  const now = world.now()
  const process = newProcess(world, now, node.version)
  node.process = process
  node.config = { ...parseDirectives(node.configFile), ...instead }
  if (load !== null) {
    const word = load === 'aof' ? 'yes' : 'no'
    node.config['appendonly'] = word
    node.configFile = `${node.configFile}\nappendonly ${word}`
  }
  node.savedAt = null
  node.given = readConfigText(node.configFile)
  node.users = node.usersFile
  node.access = { ...noAccess(), file: node.access.file, process: node.access.file }
  const error = startError(node)
  if (error !== null) {
    world.later(30, () => {
      if (node.process !== process) return
      noteFailedStart(world, node, error)
      endProcess(world, node)
    })
    return
  }
  world.later(world.random.between(20, 90), () => {
    if (node.process !== process) return
    loadData(node)
    process.phase = 'loading'
    world.later(1 + node.data.length * loadMsPerWrite, () => {
      if (node.process === process) serve(world, node, process, how)
    })
  })
}

export function noteFailedStart(world: World, node: MemoryNode, lastError: string): void {
  node.starts = { failures: node.starts.failures + 1, lastAt: world.now(), lastError }
}

function newProcess(world: World, now: number, version: string): Process {
  return {
    pid: world.nextPid(),
    startTime: Math.floor(now / cpuTickMs),
    version,
    phase: 'starting',
    stopped: false,
    stalled: false,
    busyUntil: 0,
    saysBusy: false,
    cpuMs: 0,
    cpuAt: now,
    cpuRoseAt: now,
    quietSince: 0,
    awakeSince: now,
    stream: newStream(world),
    link: null,
    clusterOk: false,
    minorityAt: Number.NEGATIVE_INFINITY,
    servingSince: now,
    manual: null,
    writesPausedUntil: 0,
    voteAskedAt: Number.NEGATIVE_INFINITY,
    voteSent: false,
    stopAsked: null,
  }
}

function startError(node: MemoryNode): string | null {
  if (unknownDirective.test(node.configFile)) {
    return "*** FATAL CONFIG FILE ERROR *** 'no-such-directive' Bad directive or wrong number of arguments"
  }
  if (node.weather.startFailures === 0) return null
  node.weather.startFailures--
  return node.weather.startError
}

/** AOF first, where it is on; else the snapshot. A node that was told to use an AOF it does not have starts empty. */
function loadData(node: MemoryNode): void {
  const usesAof = node.config['appendonly'] !== 'no'
  if (usesAof) {
    if (!node.aofOnDisk) node.data = emptyCopy()
    node.aofOnDisk = true
  } else {
    node.data = node.rdb === null ? emptyCopy() : cloneCopy(node.rdb)
  }
}

function serve(world: World, node: MemoryNode, process: Process, how: 'start' | 'started by a stranger'): void {
  const now = world.now()
  process.phase = 'serving'
  process.servingSince = now
  node.conf ??= newConf(world.random.id())
  const conf = node.conf
  for (const peer of conf.peers.values()) {
    if (peer.handshakeSince !== null) conf.peers.delete(peer.id)
    if (peer.health === 'fail?') peer.health = 'ok'
    peer.failedAt = now
    peer.pingSentAt = 0
    peer.pongAt = now
    peer.votedAt = Number.NEGATIVE_INFINITY
    peer.linked = false
    peer.reports.clear()
  }
  conf.banned.clear()
  conf.members++
  noteKnowledge(node)
  if (ownsSlots(node)) world.promoted(node, how)
}

/** `SHUTDOWN`: it writes what it was asked to write and goes; its agent knows that this was meant. */
export function shutDown(world: World, node: MemoryNode, save: boolean): void {
  if (save) node.rdb = cloneCopy(node.data)
  endProcess(world, node)
  node.lastExit = null
}

/** SIGKILL. A process that waits for its disk is dead only when the disk answers. */
export function killProcess(world: World, node: MemoryNode): void {
  if (node.process === null) return
  const stalled = node.process.stalled
  endProcess(world, node)
  if (stalled && node.lastExit !== null) node.lastExit.lingering = true
}

function endProcess(world: World, node: MemoryNode): void {
  const process = node.process
  if (process === null) return
  for (const replica of replicasAttachedTo(world, node)) {
    const link = replica.process?.link
    if (link == null || replica.process?.stopped) continue
    link.mustFullSync ||= link.state === 'syncing' && world.now() >= link.loadAt
    link.state = 'down'
    link.since = world.now()
    link.nextTryAt = world.now() + 1000
  }
  node.process = null
  node.lastExit = { pid: process.pid, since: world.now(), lingering: false }
  if (!node.confOnDisk) node.conf = null
  const keepsAof = node.config['appendonly'] !== 'no'
  if (!keepsAof || !node.aofOnDisk) {
    const kept = !keepsAof && node.rdb !== null ? cloneCopy(node.rdb) : emptyCopy()
    world.destroying(node)
    node.data = kept
  }
  world.exited(node, process.pid)
}

/** Brings the CPU account up to now; to be called before anything that changes how the process uses it. */
export function accountCpu(process: Process, now: number): void {
  const busyMs = Math.max(0, Math.min(now, process.busyUntil) - process.cpuAt)
  const idleMs = now - process.cpuAt - busyMs
  if (!process.stopped && !process.stalled && idleMs + busyMs > 0) {
    const before = Math.floor(process.cpuMs / cpuTickMs)
    process.cpuMs += busyMs + idleMs * idleCpuShare
    const after = Math.floor(process.cpuMs / cpuTickMs)
    if (after > before) {
      const share = busyMs > 0 && now <= process.busyUntil ? 1 : idleCpuShare
      process.cpuRoseAt = Math.max(process.cpuAt, now - (process.cpuMs - after * cpuTickMs) / share)
    }
  }
  process.cpuAt = now
}

export function setBusy(process: Process, now: number, forMs: number, saysBusy: boolean): void {
  accountCpu(process, now)
  process.busyUntil = now + forMs
  process.saysBusy = saysBusy
}

const severalLines = new Set(['save', 'client-output-buffer-limit'])

/** `directive value…` lines as the engine would answer them to CONFIG GET. */
function parseDirectives(config: string): Record<string, string> {
  const directives: Record<string, string> = {}
  for (const line of config.split('\n')) {
    const [name, ...value] = line.trim().split(/\s+/)
    if (name === undefined || name === '' || name.startsWith('#')) continue
    const words = value.join(' ').replace(/^"(.*)"$/, '$1')
    // Directives of several lines are printed as one; of all others the last line counts.
    directives[name] = severalLines.has(name) && name in directives ? `${directives[name]} ${words}` : words
  }
  return directives
}
