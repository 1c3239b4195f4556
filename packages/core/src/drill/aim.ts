/**
 * On whom a fault would fall, and whether it may. Decided here, from what was seen; nothing is done. A fault is ordered
 * only where every precondition is met, and each says what was found, so that a refusal can be acted upon.
 */
import type { Spec } from '../spec.ts'
import type { NodeStatus, SentinelStatus, ShardStatus, Status } from '../status.ts'
import { formatDuration } from '../units.ts'
import { describeFault } from './describe-fault.ts'
import type { FaultOrder, FaultPreview, FaultSeen, FaultTarget, FaultWish, Precondition } from './fault.ts'
import { faultTable } from './fault.ts'
import type { MachineSeen } from './machine-allows.ts'
import { machineAllows } from './machine-allows.ts'

/** Another deployment, which a fault of a whole host would fall on as well. */
export interface Neighbour {
  readonly name: string
  readonly hosts: readonly string[]
  readonly drills: boolean
}

export interface AimInput {
  readonly wish: FaultWish
  readonly status: Status
  readonly spec: Spec
  /** The fault of this deployment that lasts; null: none. */
  readonly underway: FaultSeen | null
  /** The drill that has this deployment to itself; null: none. `since` is wall clock, ms since 1970. */
  readonly lock: { readonly id: string; readonly since: number } | null
  /** What each host of its own, and the controller's, allows, by the host's id. One that did not answer is not in it. */
  readonly machines: ReadonlyMap<string, MachineSeen>
  /** The addresses of the machine that a drill and its clients run on. */
  readonly own: readonly string[]
  readonly neighbours: readonly Neighbour[]
  /** The id of the fault, if it is ordered. */
  readonly id: string
  /** Which shard in sync is hit first where several could be: any whole number, 0 is the first. */
  readonly pick: number
  /** Wall clock, ms since 1970: for the sentences. */
  readonly now: number
}

/** A drill is over in minutes: whatever lasts longer is an outage that somebody arranged. */
export const faultMsMax = 600_000
const faultMsMin = 100

export function previewFault(input: AimInput): FaultPreview {
  const { wish, status, id } = input
  const { forMs: usualMs, costs, heals } = faultTable[wish.fault]
  const forMs = usualMs === 0 ? 0 : (wish.forMs ?? usualMs)
  const aimed = aim(input)
  const preconditions = [
    isLabelled(input),
    isReady(status),
    ...aimed.problems,
    ...areInSync(aimed.targets, status),
    holdsLease(status),
    isAlone(input),
    isUnlocked(input),
    lasts(forMs, usualMs === 0),
    ...machineAllows(input, aimed.targets),
  ]
  const isAllowed = preconditions.every(({ met }) => met)
  const targets = [...aimed.targets.flatMap(asTarget), ...(aimed.sentinels ?? []).flatMap(asSentinelTarget)]
  const because = describeFault(wish.fault, targets, forMs)
  const order: FaultOrder = { id, deployment: status.name, fault: wish.fault, forMs, targets, because }
  return { order: isAllowed ? order : null, preconditions, costs, heals }
}

interface Aimed {
  readonly targets: readonly NodeStatus[]
  readonly sentinels?: readonly SentinelStatus[]
  /** What was found of the targets themselves; each that is not met stands against the fault. */
  readonly problems: readonly Precondition[]
}

function aim(input: AimInput): Aimed {
  const { wish, status } = input
  const kind = faultTable[wish.fault].aim
  switch (kind) {
    case 'a primary':
      return chosen(choose(primariesOf(status), input), 1, input)
    case 'two primaries':
      return chosen(choose(primariesOf(status), input), 2, input)
    case 'a replica':
      return chosen(choose(replicasOf(status), input), 1, input)
    case 'all nodes':
      return { targets: status.nodes, problems: [...everywhere(wish), ...missingPids(status.nodes)] }
    case 'a Sentinel':
      return chosenSentinel(input)
    case 'a host':
      return chosenHost(input)
    case 'all clients':
      return { targets: [], problems: everywhere(wish) }
    case 'the controller':
      return { targets: [], problems: everywhere(wish) }
    default:
      return kind satisfies never
  }
}

/** The node that was named first, then those of shards that are in sync, from the picked one on. */
function choose(fitting: readonly NodeStatus[], { wish, status, pick }: AimInput): NodeStatus[] {
  const inSync = fitting.filter(({ shard }) => shardTrouble(shard, status) === null)
  const from = inSync.length === 0 ? 0 : ((pick % inSync.length) + inSync.length) % inSync.length
  const turned = [...inSync.slice(from), ...inSync.slice(0, from)]
  if (wish.node === null) return onePerShard(turned)
  const named = fitting.filter(({ id }) => id === wish.node)
  return named.length === 0 ? [] : onePerShard([...named, ...turned])
}

const onePerShard = (nodes: readonly NodeStatus[]): NodeStatus[] =>
  nodes.filter((node, index) => nodes.findIndex(({ shard }) => shard === node.shard) === index)

function chosen(candidates: readonly NodeStatus[], count: number, { wish, status }: AimInput): Aimed {
  const targets = candidates.slice(0, count)
  if (targets.length === count) return { targets, problems: missingPids(targets) }
  return { targets: [], problems: [{ met: false, because: nobodyFits(wish, status) }] }
}

function chosenSentinel({ wish, status, pick }: AimInput): Aimed {
  const { sentinels } = status
  const none = (because: string): Aimed => ({ targets: [], problems: [{ met: false, because }] })
  if (sentinels.length === 0)
    return none(`${status.name} has no Sentinels: its topology is ${status.topology}, and ${wish.fault} needs one`)
  const one =
    wish.node === null
      ? sentinels[Math.abs(pick) % sentinels.length]
      : sentinels.find(({ id }) => id === wish.node?.slice(0, 40))
  if (one === undefined) {
    const ids = sentinels.map(({ id }) => id).join(', ')
    return none(`${status.name} has no Sentinel ${wish.node?.slice(0, 40)}: it has ${ids}`)
  }
  return { targets: [], sentinels: [one], problems: missingPids([one]) }
}

/** All that the deployment has on the host of a primary, or of the node that was named. */
function chosenHost(input: AimInput): Aimed {
  const { wish, status, spec } = input
  if (spec.hosts.length === 0) {
    const because = `${status.name} runs on the machine of its controller alone, and ${wish.fault} needs hosts that have joined`
    return { targets: [], problems: [{ met: false, because }] }
  }
  const candidates = choose(wish.node === null ? primariesOf(status) : status.nodes, input)
  const one = candidates.find(({ host }) => wish.node !== null || !input.own.includes(host)) ?? candidates[0]
  if (one === undefined) return { targets: [], problems: [{ met: false, because: nobodyFits(wish, status) }] }
  const targets = status.nodes.filter(({ hostId }) => hostId === one.hostId)
  const sentinels = wish.fault === 'kill-host' ? status.sentinels.filter(({ hostId }) => hostId === one.hostId) : []
  return { targets, sentinels, problems: [...missingPids([...targets, ...sentinels]), sharesHost(one.hostId, input)] }
}

function sharesHost(hostId: string, { neighbours }: AimInput): Precondition {
  const others = neighbours.filter(({ hosts, drills }) => hosts.includes(hostId) && !drills).map(({ name }) => name)
  if (others.length === 0)
    return { met: true, because: `host ${hostId} carries nothing that is not labelled for drills` }
  return {
    met: false,
    because: `host ${hostId} also carries ${others.join(', ')}, not labelled for drills: name a node on another host`,
  }
}

function nobodyFits({ fault, node }: FaultWish, status: Status): string {
  const { aim: kind } = faultTable[fault]
  const known = status.nodes.find(({ id }) => id === node)
  if (node !== null && known === undefined) {
    return `${status.name} has no node ${node.slice(0, 40)}: it has ${status.nodes.map(({ id }) => id).join(', ')}`
  }
  const isNamedWrong =
    known !== undefined && !kind.endsWith(known.role) && !(kind === 'two primaries' && known.role === 'primary')
  if (isNamedWrong)
    return `${known.id} is ${articleOf(known.role)}: ${fault} falls on ${kind}, name another node or none`
  return `${fault} needs ${kind} in sync, and there is none: wait until "holdfast status ${status.name}" says ready`
}

const articleOf = (role: NodeStatus['role']): string => (role === 'unknown' ? 'of no known role' : `a ${role}`)

/** The nodes that own slots now, in the order of their shards. */
const primariesOf = (status: Status): NodeStatus[] =>
  status.shards.flatMap(({ primary }) => status.nodes.filter(({ id, role }) => id === primary && role === 'primary'))

const replicasOf = (status: Status): NodeStatus[] =>
  status.shards.flatMap(({ replicas }) =>
    status.nodes.filter(({ id, role }) => replicas.includes(id) && role === 'replica'),
  )

const everywhere = ({ fault, node }: FaultWish): Precondition[] =>
  node === null ? [] : [{ met: false, because: `${fault} falls on ${faultTable[fault].aim}: name no node with it` }]

const missingPids = (nodes: readonly Pick<NodeStatus, 'id' | 'pid'>[]): Precondition[] =>
  nodes
    .filter(({ pid }) => pid === null)
    .map(({ id }) => ({ met: false, because: `no process of ${id} is known: wait until it runs` }))

function isLabelled({ wish, status, spec }: AimInput): Precondition {
  if (spec.drills) return { met: true, because: `${status.name} is labelled for drills` }
  if (wish.onProduction === status.name) {
    return { met: true, because: `${status.name} is not labelled for drills, and was named for this one` }
  }
  return {
    met: false,
    because: `${status.name} is not labelled for drills: set "drills: yes" in its spec, or say --yes-on-production ${status.name}`,
  }
}

function isReady({ name, wanted, ready, because }: Status): Precondition {
  if (wanted === 'down') return { met: false, because: `${name} shall be down: bring it up with "holdfast up ${name}"` }
  if (ready === 'yes') return { met: true, because: `${name} is ready: ${because}` }
  return { met: false, because: `${name} is not ready (${because}): wait until it is` }
}

/** Every shard that is touched has all its copies, so that what a fault costs is what the fault costs. */
function areInSync(targets: readonly NodeStatus[], status: Status): Precondition[] {
  const touched = [...new Set(targets.map(({ shard }) => shard))]
  return touched.map((shard) => {
    const trouble = shardTrouble(shard, status)
    if (trouble !== null) return { met: false, because: `${trouble}: wait until ${shard} is in sync` }
    const copies = status.nodes.filter((node) => node.shard === shard).length
    return copies === 1
      ? { met: true, because: `${shard} has no second copy: it is away until its only process is there again` }
      : { met: true, because: `${shard} has ${copies} copies in sync` }
  })
}

function shardTrouble(id: string, status: Status): string | null {
  const shard = status.shards.find((one): one is ShardStatus => one.id === id)
  if (shard === undefined || shard.primary === null) return `${id} has no primary`
  const members = status.nodes.filter((node) => node.shard === id)
  const ill = members.find(({ state }) => state !== 'ok')
  if (ill !== undefined) return `${ill.id} is ${ill.state}`
  const cut = members.find((node) => node.id !== shard.primary && node.link !== 'up')
  return cut === undefined ? null : `${cut.id} is not in sync with ${shard.primary}`
}

function holdsLease({ name, controller }: Status): Precondition {
  if (controller.lease === 'held')
    return { met: true, because: `a controller heals ${name}, in epoch ${controller.epoch}` }
  return {
    met: false,
    because:
      controller.lease === 'lost'
        ? `another controller (${controller.id}) keeps ${name}: ask that one`
        : `no controller heals ${name}: start one with "holdfast serve"`,
  }
}

function isAlone({ underway, status, now }: AimInput): Precondition {
  if (underway === null) return { met: true, because: 'no other fault lasts' }
  const { id, because, injectedAt } = underway
  return {
    met: false,
    because: `a fault lasts since ${formatDuration(now - injectedAt)}: ${because}. Wait, or stop it: "holdfast drill ${status.name} --stop" (${id})`,
  }
}

function isUnlocked({ wish, lock, status, now }: AimInput): Precondition {
  if (lock === null) return { met: true, because: 'no other drill runs' }
  if (lock.id === wish.drill) return { met: true, because: `it is part of drill ${lock.id}` }
  return {
    met: false,
    because: `drill ${lock.id} has ${status.name} to itself since ${formatDuration(now - lock.since)}: wait until it is over, or end it`,
  }
}

function lasts(forMs: number, isOverAtOnce: boolean): Precondition {
  if (isOverAtOnce) return { met: true, because: 'it is over at once' }
  if (Number.isFinite(forMs) && forMs >= faultMsMin && forMs <= faultMsMax) {
    return { met: true, because: `it heals by itself after ${formatDuration(forMs)}` }
  }
  const limits = `${formatDuration(faultMsMin)} to ${formatDuration(faultMsMax)}`
  return { met: false, because: `a fault lasts from ${limits}: say another length` }
}

const asTarget = ({ id, shard, role, hostId, host, port, pid }: NodeStatus): FaultTarget[] =>
  pid === null ? [] : [{ id, shard, role, hostId, host, port, pid }]

const asSentinelTarget = ({ id, hostId, host, port, pid }: SentinelStatus): FaultTarget[] =>
  pid === null ? [] : [{ id, shard: null, role: 'sentinel', hostId, host, port, pid }]
