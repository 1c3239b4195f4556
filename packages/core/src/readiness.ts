/**
 * Ready means: every node answers; all agree on who owns which slot and who follows whom; every replica's link is up;
 * the quorum can vote. `cluster_state:ok` alone is not ready: a failover asked for 2 s after creation was denied because
 * the voters had not heard of the replica yet.
 */
import type { ViewEntry } from './observed.ts'
import type { Picture, ShardPicture } from './picture.ts'
import { addressOf, everyCopy, primaryIdOf } from './picture.ts'
import { names } from './sentinel-picture.ts'
import type { SlotRange } from './slots.ts'
import { countSlots, formatSlots, hasSlot, slotCountTotal, subtractSlots } from './slots.ts'
import { upstreamsOf } from './upstream.ts'

export interface Readiness {
  readonly ready: 'yes' | 'no' | 'unknown'
  /** What is missing, or what is there. */
  readonly because: string
}

export function judgeReadiness(picture: Picture): Readiness {
  const proxies = picture.proxy?.place == null ? [] : [{ id: picture.proxy.place.id, life: picture.proxy.life }]
  const unseen = [...everyCopy(picture), ...picture.sentinels, ...proxies].filter(({ life }) => life === 'away')
  if (unseen.length > 0) return { ready: 'unknown', because: `cannot see ${idsOf(unseen)}` }
  const joined = picture.topology === 'cluster' ? [...slotGaps(picture), ...disagreements(picture)] : oddRoles(picture)
  const missing = [
    ...silentNodes(picture),
    ...joined,
    ...chainTrouble(picture),
    ...badLinks(picture),
    ...sentinelTrouble(picture),
    ...proxyTrouble(picture),
  ]
  if (missing.length > 0) return { ready: 'no', because: missing.slice(0, 3).join('; ') }
  return { ready: 'yes', because: inWords(picture) }
}

function inWords({ topology, nodes, chained, shards, sentinels }: Picture): string {
  const all = `${nodes.length} of ${nodes.length} nodes in sync${chained.length === 0 ? '' : ` and ${chained.length} chained behind them`}`
  switch (topology) {
    case 'cluster':
      return `${shards.length} shards, ${all}`
    case 'sentinel':
      return `${all}, ${sentinels.length} Sentinels agree on ${shards[0]?.primary?.id}`
    case 'standalone':
      return 'one engine, without a copy: it is away while it is restarted'
    default:
      return topology satisfies never
  }
}

/** Without a Cluster each engine says itself what it is, and whom it follows. */
function oddRoles({ shards }: Picture): string[] {
  return shards.flatMap(({ id, primary, nodes }) => {
    if (primary?.facts == null) return [`${id} has no living primary`]
    if (primary.facts.role !== 'primary') return [`${primary.id} is no primary, it follows ${primary.follows}`]
    return nodes.flatMap((node) => {
      if (node === primary || node.facts === null || primaryIdOf(node) === primary.engineId) return []
      return [`${node.id} does not follow ${primary.id}`]
    })
  })
}

/** Who is chained follows whom it shall. */
function chainTrouble(picture: Picture): string[] {
  const upstreams = upstreamsOf(picture)
  return picture.chained.flatMap(({ id, facts, follows }) => {
    if (facts === null) return []
    if (facts.role !== 'replica') return [`${id} is chained, and says to be a primary`]
    const upstream = upstreams.get(id)
    return upstream === undefined || follows === upstream.engineId ? [] : [`${id} does not follow ${upstream.id}`]
  })
}

/** The fewest living copies in sync that any shard has, its primary included. One without slots has no data to be copied. */
export function copiesInSync({ shards }: Picture): number {
  const withData = shards.filter(({ slotless }) => slotless !== true)
  return Math.min(...(withData.length === 0 ? shards : withData).map(inSync))
}

function inSync(shard: ShardPicture): number {
  if (shard.primary?.facts == null) return 0
  const { engineId } = shard.primary
  return 1 + shard.nodes.filter((node) => node.facts?.link?.state === 'up' && primaryIdOf(node) === engineId).length
}

const idsOf = (nodes: readonly { readonly id: string }[]): string => nodes.map(({ id }) => id).join(', ')

function silentNodes(picture: Picture): string[] {
  return everyCopy(picture)
    .filter((node) => node.facts === null)
    .map((node) => `${node.id} is ${node.life}`)
}

function slotGaps(picture: Picture): string[] {
  if (picture.owners.length === 0) return ['no slots are given out yet']
  const problems = picture.unowned.length > 0 ? [`nobody owns slots ${formatSlots(picture.unowned)}`] : []
  const orphans = picture.shards.filter((shard) => shard.primary !== null && shard.primary.facts === null)
  return [...problems, ...orphans.map((shard) => `${shard.id} has no living primary`)]
}

/**
 * What each node sees must be what all see: the same members, healthy and linked, with the same slots and primaries. Of
 * slots on their way they hear one after the other.
 */
function disagreements(picture: Picture): string[] {
  const expected = expectedView(picture)
  const problems: string[] = []
  for (const node of picture.nodes) {
    if (node.facts === null) continue
    const { entries, open } = node.facts.view
    const odd = entries.find((entry) => describeEntry(entry, picture.moving) !== expected.get(entry.engineId))
    const halfMoved = open.find(({ slot }) => !hasSlot(picture.moving, slot))
    if (entries.length !== picture.nodes.length) {
      problems.push(`${node.id} knows ${entries.length} of ${picture.nodes.length} nodes`)
    } else if (odd !== undefined) {
      const subject = picture.nodes.find((other) => other.engineId === odd.engineId)?.id ?? odd.engineId.slice(0, 8)
      problems.push(`${node.id} sees ${subject} differently`)
    } else if (halfMoved !== undefined) problems.push(`${node.id} has slot ${halfMoved.slot} half moved`)
    else if (!node.facts.clusterOk) problems.push(`${node.id} does not accept writes yet`)
  }
  return problems
}

function expectedView(picture: Picture): Map<string, string> {
  const expected = new Map<string, string>()
  for (const shard of picture.shards) {
    for (const node of shard.nodes) {
      if (node.engineId === null) continue
      const isPrimary = node === shard.primary
      const slots = picture.owners.find((claim) => claim.engineId === node.engineId)?.slots ?? []
      const settled = formatSlots(subtractSlots(slots, picture.moving))
      expected.set(node.engineId, `${isPrimary ? '-' : (shard.primary?.engineId ?? '?')} ok ${settled}`)
    }
  }
  return expected
}

function describeEntry(entry: ViewEntry, moving: readonly SlotRange[]): string {
  const health = entry.handshake || !entry.linked ? 'unlinked' : entry.health
  return `${entry.follows ?? '-'} ${health} ${formatSlots(subtractSlots(entry.slots, moving))}`
}

/** Each Sentinel watches the primary, knows all others and every replica, and could have a failover agreed on. */
function sentinelTrouble({ sentinels, nodes, shards }: Picture): string[] {
  const primary = shards[0]?.primary
  const ours = new Set(nodes.map(({ place }) => addressOf(place)))
  return sentinels.flatMap(({ id, life, facts, watch }) => {
    if (facts === null) return [`${id} is ${life}`]
    if (watch === null) return [`${id} watches nobody`]
    if (primary != null && !names(watch, primary)) return [`${id} names ${addressOf(watch.primary)} as the primary`]
    if (facts.tilt) return [`${id} distrusts its clock`]
    if (watch.flags.some((flag) => flag !== 'master')) return [`${id} says of the primary: ${watch.flags.join(', ')}`]
    if (watch.peers.length !== sentinels.length - 1) {
      return [`${id} knows ${watch.peers.length} of ${sentinels.length - 1} other Sentinels`]
    }
    // One that has left is forgotten by one Sentinel after the other, and nothing is wrong meanwhile.
    const replicas = watch.replicas.filter((replica) => ours.has(addressOf(replica)))
    if (replicas.length !== nodes.length - 1) {
      return [`${id} knows ${replicas.length} of ${nodes.length - 1} replicas`]
    }
    const unwell = replicas.find(({ flags }) => flags.some((flag) => flag !== 'slave'))
    if (unwell !== undefined) return [`${id} says of replica ${addressOf(unwell)}: ${unwell.flags.join(', ')}`]
    return watch.quorumOk ? [] : [`${id} sees no quorum`]
  })
}

/** Whoever knows only the proxy's address has no primary while the proxy has none. */
function proxyTrouble({ proxy, shards }: Picture): string[] {
  if (proxy?.place == null) return []
  if (proxy.facts === null) return [`the proxy is ${proxy.life === 'absent' ? 'not running' : proxy.life}`]
  const primary = shards[0]?.primary?.id ?? null
  if (proxy.facts.primary === primary) return []
  return [`the proxy leads to ${proxy.facts.primary ?? 'nobody'}, and ${primary ?? 'nobody'} is the primary`]
}

/** A link counts once its agent has seen it too: the agent's record is what a failover is decided by. */
function badLinks(picture: Picture): string[] {
  return everyCopy(picture).flatMap(({ id, facts, agent }) => {
    if (facts?.role !== 'replica') return []
    if (facts.link?.state === 'syncing') return [`${id} is syncing`]
    if (facts.link?.state !== 'up') return [`${id} has lost its link`]
    return agent === null || agent.record?.link === 'up' ? [] : [`${id} has just been linked`]
  })
}

/** All slots have an owner that answers. */
export const coversAllSlots = (picture: Picture): boolean =>
  picture.shards.reduce((sum, shard) => sum + (shard.primary?.facts == null ? 0 : countSlots(shard.slots)), 0) ===
  slotCountTotal
