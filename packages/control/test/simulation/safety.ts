/*
 * What must never be true of a deployment, judged from the outside: these functions see the memory cluster itself and
 * not what a controller believes of it. Each answers sentences; none means that all is well.
 */
import type { Plan, ViewEntry } from '@holdfast/core'
import { countSlots, formatSlots, hasSlot, missingSlots, slotCountTotal, subtractSlots } from '@holdfast/core'
import type { Accepted, MemoryCluster } from './memory/memory-cluster.ts'
import type { MemoryNode, Promotion } from './memory/node.ts'
import { confOf, isServing, ownsSlots, viewOf } from './memory/node.ts'
import { isHeld, mayWrite } from './memory/replication.ts'

export interface SafetyLimits {
  readonly maxLagBytes: number
  readonly lossAfterMs: number
  /** After this many failed starts a copy counts as one that does not come back. */
  readonly hopelessStarts: number
  /** How long two nodes may take writes of one shard at once. */
  readonly doubleWritersMs: number
  /** For how long a host that is cut off from all may take writes that nobody else has. */
  readonly leaseLossMs: number
  readonly writeEveryMs: number
}

export const defaultLimits: SafetyLimits = {
  maxLagBytes: 1024 ** 2,
  lossAfterMs: 30_000,
  hopelessStarts: 3,
  doubleWritersMs: Number.POSITIVE_INFINITY,
  leaseLossMs: 0,
  writeEveryMs: 100,
}

/** Never an empty or stale primary while a fuller copy survives. What others elected or started is their own doing. */
export function judgePromotion(promotion: Promotion, limits: SafetyLimits): string[] {
  const { how, node, shard, outdated, missing } = promotion
  if (how === 'own election' || how === 'started by a stranger' || outdated) return []
  return missing.flatMap((ahead) => {
    // What a host still took that was cut off from all, until it fenced itself: with class `cache` that is the price.
    if (ahead.isFenced && ahead.writes.length * limits.writeEveryMs <= limits.leaseLossMs) return []
    const inexcusable = how === 'switchover' ? ahead.writes.length > 0 : ahead.recordedBytes > limits.maxLagBytes
    const waited = ahead.state === 'down' && ahead.downMs >= limits.lossAfterMs
    const hopeless = ahead.state === 'down' && ahead.startsFailed >= limits.hopelessStarts
    if (!inexcusable || waited || hopeless) return []
    return [
      `${node} became primary of ${shard} (${how}) without ${ahead.writes.length} acknowledged writes that ${ahead.node} (${ahead.state}) has`,
    ]
  })
}

/** Never two planned risks in one turn. A repair is no risk: its shard is broken already. */
export function judgePlan(cluster: MemoryCluster, plan: Plan): string[] {
  const shards = new Set<string>()
  for (const action of plan.actions) {
    const node = cluster.nodes.find(({ place }) => place.id === action.node)
    if (node === undefined) continue
    const isRisk =
      action.kind === 'stop' ||
      (action.kind === 'failover' && action.mode === 'switchover') ||
      (action.kind === 'fence' && isServing(node, cluster.now()))
    if (isRisk) shards.add(node.place.shard)
  }
  const promoting = plan.actions.filter((action) => action.kind === 'failover')
  return [
    ...(shards.size > 1 ? [`planned risks to ${[...shards].join(' and ')} in one turn: ${plan.because}`] : []),
    ...(promoting.length > 1 ? [`${promoting.length} failovers in one turn: ${plan.because}`] : []),
  ]
}

/** What an action must not do to the world as it is when it arrives there. */
export function judgeAction(cluster: MemoryCluster, { action, epoch, from, host }: Accepted): string[] {
  const before = cluster.accepted.filter((one) => one.host === host).at(-2)
  const stale =
    before !== undefined && before.epoch > epoch ? [`${from} acted in epoch ${epoch} after ${before.epoch}`] : []
  const node = cluster.node(action.node)
  if (action.kind === 'fence') return [...stale, ...judgeFence(cluster, node, action.pid)]
  if (action.kind !== 'failover' || action.mode === 'switchover') return stale
  const followed = node.conf?.follows ?? null
  const primary = followed === null ? undefined : cluster.nodes.find((other) => other.conf?.id === followed)
  if (primary?.process == null) return stale
  // One that a stranger started takes no write, and gives none away.
  if (isHeld(primary)) return stale
  // One that is fenced takes no write either, until whoever knows of the promotion lets it.
  if (primary.fence !== null) return stale
  // What a stranger started without its data is not the primary that the replica followed.
  if (primary.data.length === 0 && node.data.length > 0) return stale
  // The majority's verdict is the other ground on which the primary's consent may be skipped.
  const failing = node.conf?.peers.get(confOf(primary).id)?.health === 'fail'
  return failing && action.mode === 'force'
    ? stale
    : [...stale, `${action.mode} asked of ${node.place.id} while its primary ${primary.place.id} lives`]
}

/** A thaw may cross the kill on its way, so an engine that woke this moment is excused. */
function judgeFence(cluster: MemoryCluster, node: MemoryNode, pid: number): string[] {
  const { process } = node
  if (process === null || process.pid !== pid || process.stopped || process.stalled) return []
  const awakeMs = cluster.now() - process.awakeSince
  return process.busyUntil > cluster.now() || awakeMs > 500 ? [`${node.place.id} was killed while it was alive`] : []
}

/** Never two primaries for one slot in one epoch. */
export function judgeEpochs(cluster: MemoryCluster): string[] {
  const primaries = cluster.nodes.filter((node) => ownsSlots(node) && isServing(node, cluster.now()))
  return primaries.flatMap((a, index) =>
    primaries.slice(index + 1).flatMap((b) => {
      if (confOf(a).configEpoch !== confOf(b).configEpoch) return []
      const shared = countSlots(confOf(a).slots) - countSlots(subtractSlots(confOf(a).slots, confOf(b).slots))
      return shared === 0 ? [] : [`${a.place.id} and ${b.place.id} own ${shared} slots in one epoch`]
    }),
  )
}

/** The shards that more than one node would take a write for now. */
export function doubleWriters(cluster: MemoryCluster): string[] {
  return cluster.shards.flatMap((shard) => {
    const slot = cluster.probeSlotOf(shard)
    const writers = cluster.nodes.filter((node) => {
      if (!ownsSlots(node) || !isServing(node, cluster.now()) || !hasSlot(confOf(node).slots, slot)) return false
      return node.process?.clusterOk === true && mayWrite(cluster, node)
    })
    return writers.length > 1 ? [`${writers.map(({ place }) => place.id).join(' and ')} take writes of ${shard}`] : []
  })
}

/** Acknowledged writes that the shard's primary does not have, and that no known promotion or lost disk explains. */
export function judgeLoss(cluster: MemoryCluster): string[] {
  const excused = new Set([
    ...cluster.destroyed,
    ...cluster.promotions.flatMap(({ missing }) => missing.flatMap(({ writes }) => writes)),
  ])
  return cluster.shards.flatMap((shard) => {
    const owner = cluster.ownerOf(shard)
    if (owner === undefined) return []
    const has = new Set(owner.data.writes.slice(0, owner.data.length))
    const lost = cluster.acknowledged.flatMap((write, number) =>
      write.counts && write.shard === shard && !has.has(number) && !excused.has(number) ? [number] : [],
    )
    return lost.length === 0 ? [] : [`${lost.length} acknowledged writes of ${shard} are gone, the first is ${lost[0]}`]
  })
}

/** With class `durable` nothing explains the loss of a write that a copy had acknowledged, as long as one of them lives. */
export function judgeDurability(cluster: MemoryCluster): string[] {
  return cluster.shards.flatMap((shard) => {
    const owner = cluster.ownerOf(shard)
    if (owner === undefined) return []
    const has = new Set(owner.data.writes.slice(0, owner.data.length))
    const lost = cluster.acknowledged.flatMap((write, number) =>
      write.counts && write.shard === shard && !has.has(number) ? [number] : [],
    )
    return lost.length === 0 ? [] : [`${lost.length} durable writes of ${shard} are gone, the first is ${lost[0]}`]
  })
}

/** What is not as it should be once everything has settled: the outside's own idea of "ready". */
export function unsettled(cluster: MemoryCluster): string[] {
  const now = cluster.now()
  const members = cluster.layout().map((place) => ({ place, node: cluster.node(place.id) }))
  const silent = members.filter(({ node }) => !isServing(node, now)).map(({ place }) => `${place.id} does not serve`)
  if (silent.length > 0) return silent
  const shards = new Map(members.map(({ place, node }) => [node, place.shard]))
  return [...slotProblems(shards), ...members.flatMap(({ node }) => nodeProblems(cluster, node, shards))]
}

/** Who belongs to the deployment, and to which shard. */
type Shards = ReadonlyMap<MemoryNode, string>

/** Whoever of a shard has slots; of one that has none by intent, whom the others follow. */
function primaryOf(shard: string, shards: Shards): MemoryNode | undefined {
  const members = [...shards].flatMap(([node, of]) => (of === shard ? [node] : []))
  const followed = members.filter((node) => members.some((other) => other.conf?.follows === node.conf?.id))
  return members.find(ownsSlots) ?? followed[0] ?? members[0]
}

function slotProblems(shards: Shards): string[] {
  const owned = [...shards.keys()].flatMap((node) => confOf(node).slots)
  const missing = missingSlots(owned)
  if (missing.length > 0) return [`nobody owns slots ${formatSlots(missing)}`]
  return countSlots(owned) === slotCountTotal ? [] : ['slots are owned twice']
}

function nodeProblems(cluster: MemoryCluster, node: MemoryNode, shards: Shards): string[] {
  const { id } = node.place
  const shard = shards.get(node) ?? ''
  const conf = confOf(node)
  const owner = primaryOf(shard, shards)
  if (owner === undefined) return [`nobody owns ${shard}`]
  if (!ownsSlots(owner) && cluster.layout().every((place) => place.shard !== shard || place.slotless !== true)) {
    return [`${shard} has no slots`]
  }
  const problems: string[] = []
  if (node === owner ? conf.role !== 'primary' : conf.follows !== confOf(owner).id) {
    problems.push(`${id} is no copy of ${owner.place.id}`)
  }
  if (conf.role === 'replica' && node.process?.link?.state !== 'up') problems.push(`${id} has no link`)
  if (node.process?.clusterOk !== true) problems.push(`${id} does not accept writes`)
  if (conf.open.length > 0) problems.push(`${id} has an open slot`)
  const { entries } = viewOf(node)
  if (entries.length !== shards.size) problems.push(`${id} knows ${entries.length} nodes`)
  for (const entry of entries) {
    const other = [...shards.keys()].find((candidate) => candidate.conf?.id === entry.engineId)
    if (other === undefined) problems.push(`${id} knows a stranger`)
    else if (entry.health !== 'ok' || entry.handshake) problems.push(`${id} sees ${other.place.id} as ${entry.health}`)
    else problems.push(...differences(cluster, id, entry, other))
  }
  return problems
}

/** Where a node's idea of another is not what that one says of itself. */
function differences(cluster: MemoryCluster, viewer: string, entry: ViewEntry, other: MemoryNode): string[] {
  const conf = confOf(other)
  const name = (engineId: string | null) =>
    cluster.nodes.find((node) => node.conf?.id === engineId)?.place.id ?? (engineId === null ? 'nobody' : 'a stranger')
  const seen = `${entry.role} ${formatSlots(entry.slots)} following ${name(entry.follows)}`
  const is = `${conf.role} ${formatSlots(conf.slots)} following ${name(conf.follows)}`
  return seen === is ? [] : [`${viewer} sees ${other.place.id} as ${seen}, and it is ${is}`]
}
