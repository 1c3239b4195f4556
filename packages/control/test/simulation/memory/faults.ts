import type { SlotRange } from '@holdfast/core'
import { hasSlot, subtractSlots } from '@holdfast/core'
import { deleteFiles } from './files.ts'
import { forget } from './gossip.ts'
import type { MemoryCluster } from './memory-cluster.ts'
import { confOf, isServing, noteClaim, noteKnowledge, ownsSlots } from './node.ts'
import { accountCpu, killProcess, setBusy, startProcess } from './process.ts'
import { becomeReplica } from './replication.ts'

/** One thing that goes wrong, as data: a schedule of these and a seed is a whole bad day. */
export type Fault =
  | { readonly kind: 'kill'; readonly nodes: readonly string[] }
  | { readonly kind: 'freeze'; readonly node: string }
  /** Waits for its disk: not stopped, uses no CPU, and a SIGKILL takes effect only at the thaw. */
  | { readonly kind: 'stall'; readonly node: string }
  | { readonly kind: 'thaw'; readonly node: string }
  | { readonly kind: 'busy'; readonly node: string; readonly forMs: number; readonly saysBusy: boolean }
  | { readonly kind: 'slow'; readonly node: string; readonly ms: number }
  | { readonly kind: 'cut-link'; readonly node: string }
  | { readonly kind: 'mend-link'; readonly node: string }
  | { readonly kind: 'lag'; readonly node: string }
  | { readonly kind: 'catch-up'; readonly node: string }
  | { readonly kind: 'isolate'; readonly node: string }
  | { readonly kind: 'rejoin'; readonly node: string }
  /** Deletes files. `data` leaves nodes.conf: such an engine starts empty and believes it owns its slots. */
  | { readonly kind: 'wipe'; readonly node: string; readonly what: 'all' | 'data' }
  /** Somebody who knows nothing of clusters starts what is down, with whatever its directory has. */
  | { readonly kind: 'supervise'; readonly node: string }
  | { readonly kind: 'break-starts'; readonly node: string; readonly times: number; readonly error: string }
  | { readonly kind: 'take-port'; readonly node: string }
  | { readonly kind: 'free-port'; readonly node: string }
  | { readonly kind: 'forget'; readonly by: readonly string[]; readonly node: string }
  | { readonly kind: 'unassign'; readonly slots: readonly SlotRange[] }
  /** A move that somebody began from the slot's owner, and left. */
  | { readonly kind: 'open-slot'; readonly slot: number; readonly to: string }
  | { readonly kind: 'misfollow'; readonly node: string; readonly primary: string }
  | { readonly kind: 'drift'; readonly node: string; readonly set: Readonly<Record<string, string>> }
  | { readonly kind: 'users'; readonly node: string }
  | { readonly kind: 'agent-silent'; readonly forMs: number }
  /** Nothing that one machine sends arrives at another, until it is mended. */
  | { readonly kind: 'cut' | 'mend'; readonly from: string; readonly to: string }
  | {
      readonly kind: 'messages'
      readonly requestLoss: number
      readonly replyLoss: number
      readonly exitLoss: number
      readonly busLoss: number
    }

export function inject(cluster: MemoryCluster, fault: Fault): void {
  const now = cluster.now()
  switch (fault.kind) {
    case 'kill':
      for (const id of fault.nodes) killProcess(cluster, cluster.node(id))
      return
    case 'freeze':
    case 'stall':
    case 'thaw':
      return freeze(cluster, fault)
    case 'busy': {
      const node = cluster.node(fault.node)
      const { process } = node
      if (process === null) return
      setBusy(process, now, fault.forMs, fault.saysBusy)
      process.quietSince = now
      cluster.later(fault.forMs, () => {
        if (node.process !== process) return
        if (process.stopped || process.stalled || process.busyUntil > cluster.now()) return
        process.quietSince = 0
        process.awakeSince = cluster.now()
        cluster.changed(node)
      })
      return
    }
    case 'slow':
      cluster.node(fault.node).weather.slowMs = fault.ms
      return
    case 'cut-link':
    case 'mend-link':
      cluster.node(fault.node).weather.linkCut = fault.kind === 'cut-link'
      return
    case 'lag':
    case 'catch-up':
      cluster.node(fault.node).weather.lagging = fault.kind === 'lag'
      return
    case 'isolate':
    case 'rejoin':
      cluster.node(fault.node).weather.isolated = fault.kind === 'isolate'
      return
    case 'take-port':
    case 'free-port':
      cluster.node(fault.node).weather.portTaken = fault.kind === 'take-port'
      return
    case 'wipe':
      return deleteFiles(cluster, cluster.node(fault.node), fault.what)
    case 'supervise': {
      const node = cluster.node(fault.node)
      const isFree = node.process === null && node.lastExit?.lingering !== true && !node.weather.portTaken
      if (isFree && node.conf !== null) startProcess(cluster, node, null, 'started by a stranger')
      return
    }
    case 'break-starts': {
      const { weather } = cluster.node(fault.node)
      weather.startFailures = fault.times
      weather.startError = fault.error
      return
    }
    case 'agent-silent':
      cluster.hostWeather.silentUntil = now + fault.forMs
      return
    case 'cut':
      return cluster.cut(fault.from, fault.to)
    case 'mend':
      return cluster.mend(fault.from, fault.to)
    case 'messages': {
      const { requestLoss, replyLoss, exitLoss, busLoss } = fault
      Object.assign(cluster.hostWeather, { requestLoss, replyLoss, exitLoss })
      cluster.busLoss = busLoss
      return
    }
    default:
      return byHand(cluster, fault)
  }
}

type ByHand = Extract<Fault, { kind: 'forget' | 'unassign' | 'open-slot' | 'misfollow' | 'drift' | 'users' }>

/** What a person does to an engine behind our back. An engine that does not answer takes no command. */
function byHand(cluster: MemoryCluster, fault: ByHand): void {
  const now = cluster.now()
  const serving = cluster.nodes.filter((node) => isServing(node, now))
  const find = (id: string) => serving.find((node) => node.place.id === id)
  switch (fault.kind) {
    case 'forget': {
      const id = cluster.node(fault.node).conf?.id
      for (const by of fault.by) {
        const node = find(by)
        if (id !== undefined && node !== undefined && confOf(node).follows !== id) forget(cluster, node, id)
      }
      return
    }
    case 'unassign':
      // One that sleeps would come back with its claim, and own what was taken away from all others.
      if (serving.length < cluster.nodes.length) return
      for (const node of serving) {
        const conf = confOf(node)
        conf.slots = subtractSlots(conf.slots, fault.slots)
        for (const peer of conf.peers.values()) peer.slots = subtractSlots(peer.slots, fault.slots)
        noteClaim(node)
      }
      return
    case 'open-slot': {
      const slot = fault.slot
      const from = serving.find((node) => ownsSlots(node) && hasSlot(confOf(node).slots, slot))
      const to = find(fault.to)
      if (from === undefined || to === undefined || from === to || confOf(to).role !== 'primary') return
      confOf(from).open = [...confOf(from).open, { slot, direction: 'migrating', peer: confOf(to).id, keys: 1 }]
      confOf(to).open = [...confOf(to).open, { slot, direction: 'importing', peer: confOf(from).id, keys: 0 }]
      noteKnowledge(from)
      noteKnowledge(to)
      return
    }
    case 'misfollow': {
      const node = find(fault.node)
      const primaryId = cluster.node(fault.primary).conf?.id
      if (node === undefined || primaryId === undefined || confOf(node).role !== 'replica') return
      if (confOf(node).peers.get(primaryId)?.role === 'primary') becomeReplica(cluster, node, primaryId)
      return
    }
    case 'drift': {
      const node = find(fault.node)
      if (node !== undefined) Object.assign(node.config, fault.set)
      return
    }
    case 'users': {
      const node = find(fault.node)
      if (node !== undefined) node.users = `${node.usersFile}\n# changed by hand`
      return
    }
    default:
      return fault satisfies never
  }
}

function freeze(cluster: MemoryCluster, fault: Extract<Fault, { kind: 'freeze' | 'stall' | 'thaw' }>): void {
  const node = cluster.node(fault.node)
  const now = cluster.now()
  if (fault.kind === 'thaw' && node.lastExit !== null) node.lastExit.lingering = false
  const { process } = node
  if (process === null) return
  accountCpu(process, now)
  if (!process.stopped && !process.stalled) process.quietSince = now
  process.stopped = fault.kind === 'freeze'
  process.stalled = fault.kind === 'stall'
  if (fault.kind !== 'thaw') return
  process.quietSince = 0
  process.awakeSince = now
  cluster.changed(node)
}
