/**
 * Who belongs to a deployment that somebody else runs, by the word of those who answer: CLUSTER NODES, the Sentinels, or
 * INFO. A node is called by its address, which is how whoever runs it knows it; a shard keeps its name for as long as
 * any of its nodes stays, so that a failover does not rename it.
 *
 * Where nobody answers, nothing is known, and all stays as it was.
 */
import type { Endpoint } from '../action.ts'
import type { NodePlace, SentinelPlace } from '../document.ts'
import type { ClusterView, EngineFacts, NodeSeen, Observed, SentinelWatch, ViewEntry } from '../observed.ts'
import { slotOwners } from '../ownership.ts'
import { addressOf } from '../picture.ts'
import type { Adoption } from './adoption.ts'

/** More than any Cluster should have; what is above is not watched, and that is said. */
export const foreignNodesMax = 300

export interface ForeignLayout {
  readonly nodes: readonly NodePlace[]
  readonly sentinels: readonly SentinelPlace[]
}

/** Host of all that is none of ours. */
export const foreignHost = 'elsewhere'

export const foreignPlace = ({ address, port }: Endpoint, shard: string): NodePlace => ({
  id: addressOf({ address, port }),
  shard,
  host: foreignHost,
  address,
  port,
})

export const sentinelPlace = ({ address, port }: Endpoint): SentinelPlace => ({
  id: `sentinel ${addressOf({ address, port })}`,
  host: foreignHost,
  address,
  port,
})

/** The layout as it is from now on. */
export function layOutForeign(adoption: Adoption, observed: Observed): ForeignLayout {
  const { nodes, sentinels } = adoption
  switch (adoption.topology) {
    case 'cluster':
      return { nodes: nameShards(clusterGroups(observed), nodes), sentinels: [] }
    case 'sentinel':
      return layOutWatched(adoption, observed)
    case 'standalone':
      return { nodes: replicatedNodes(adoption, observed), sentinels }
    default:
      return adoption.topology satisfies never
  }
}

interface Group {
  readonly members: readonly Endpoint[]
  /** Its primary owns slots: without any it is no shard, such as a former primary that has died. */
  readonly serves: boolean
}

/** Primary first; owners by their lowest slot, primaries without slots after them. */
function clusterGroups(observed: Observed): Group[] {
  const views = observed.nodes.flatMap((node) => {
    const view = factsOf(node)?.view
    return view === undefined || view.entries.length === 0 ? [] : [named(view, node)]
  })
  // One that was thrown out and answers knows only itself; it says nothing of the others.
  const serving = views.filter(({ entries }) => entries.some(({ slots }) => slots.length > 0))
  const heard = serving.length === 0 ? views : serving
  const byId = new Map<string, ViewEntry>()
  for (const view of heard) {
    for (const entry of view.entries) {
      const known = byId.get(entry.engineId)
      const speaksForItself = entry.engineId === view.me
      if (entry.handshake || entry.address === '' || entry.port === 0) continue
      if (known === undefined || speaksForItself) byId.set(entry.engineId, entry)
    }
  }
  const { owners } = slotOwners(heard)
  const lowest = new Map(owners.map(({ engineId, slots }) => [engineId, Math.min(...slots.map(([from]) => from))]))
  const groups = new Map<string, ViewEntry[]>()
  for (const entry of byId.values()) {
    const root = rootOf(entry, byId)
    groups.set(root, [...(groups.get(root) ?? []), entry])
  }
  const order = (root: string): number => lowest.get(root) ?? Number.MAX_SAFE_INTEGER
  return [...groups]
    .sort(([a], [b]) => order(a) - order(b) || (a < b ? -1 : 1))
    .map(([root, members]) => ({
      members: members.sort((a, b) => Number(b.engineId === root) - Number(a.engineId === root)),
      serves: lowest.has(root),
    }))
}

/** A node that never heard its own address says none of itself, and was found at one. */
const named = (view: ClusterView, { address, port }: Endpoint): ClusterView => ({
  ...view,
  entries: view.entries.map((entry) =>
    entry.engineId === view.me && entry.address === '' ? { ...entry, address, port } : entry,
  ),
})

/** A replica may follow another replica; whoever follows somebody unknown is the first of its own. */
function rootOf(entry: ViewEntry, byId: ReadonlyMap<string, ViewEntry>): string {
  let at = entry
  for (let steps = 0; steps < 10; steps++) {
    const next = at.follows === null ? undefined : byId.get(at.follows)
    if (next === undefined) return at.engineId
    at = next
  }
  return at.engineId
}

/**
 * A group takes the name that most of its nodes had; where two would, the one with more of them. What serves no slots
 * stays where it was last, and is of no shard where it never was of one.
 */
function nameShards(groups: readonly Group[], before: readonly NodePlace[]): readonly NodePlace[] {
  if (groups.length === 0) return before
  const shardOf = new Map(before.map(({ id, shard }) => [id, shard]))
  const formerly = ({ members }: Group): string[] =>
    members.map((endpoint) => shardOf.get(addressOf(endpoint)) ?? '').filter((shard) => shard !== '')
  const names = namesOf(
    groups.filter(({ serves }) => serves),
    formerly,
  )
  return groups
    .flatMap((group) => {
      const shard = names.get(group) ?? formerly(group)[0] ?? ''
      return group.members.map((endpoint) => foreignPlace(endpoint, shard))
    })
    .slice(0, foreignNodesMax)
}

function namesOf(serving: readonly Group[], formerly: (group: Group) => readonly string[]): Map<Group, string> {
  const wishes = serving.flatMap((group, index) => {
    const had = formerly(group)
    return [...new Set(had)].map((shard) => ({ group, index, shard, count: had.filter((one) => one === shard).length }))
  })
  const names = new Map<Group, string>()
  const taken = new Set<string>()
  const give = (group: Group, shard: string): void => {
    if (names.has(group) || taken.has(shard)) return
    names.set(group, shard)
    taken.add(shard)
  }
  for (const { group, shard } of wishes.sort((a, b) => b.count - a.count || a.index - b.index)) give(group, shard)
  for (const group of serving) {
    for (let number = 1; !names.has(group); number++) give(group, `shard-${number}`)
  }
  return names
}

/** As the Sentinel with the latest failover says: it knows the primary, its replicas, and the other Sentinels. */
function layOutWatched({ nodes, sentinels }: Adoption, { sentinels: seen = [] }: Observed): ForeignLayout {
  const heard = seen.flatMap(({ address, port, engine }) => {
    const watch = engine.kind === 'answered' ? engine.facts.watch : null
    return watch === null ? [] : [{ address, port, watch }]
  })
  const latest = heard.reduce<SentinelWatch | null>(
    (best, { watch }) => (best === null || watch.configEpoch > best.configEpoch ? watch : best),
    null,
  )
  if (latest === null) return { nodes, sentinels }
  const places = unique([latest.primary, ...latest.replicas]).map((one) => foreignPlace(one, 'shard-1'))
  const peers = heard.flatMap(({ address, port, watch }) => [{ address, port }, ...watch.peers])
  return {
    nodes: places.slice(0, foreignNodesMax),
    sentinels: unique(peers).map(sentinelPlace).slice(0, foreignNodesMax),
  }
}

/** The nodes that were named, and whoever they follow or are followed by; the primary first. */
function replicatedNodes({ nodes, seeds }: Adoption, { nodes: seen }: Observed): readonly NodePlace[] {
  const answering = seen.flatMap((node) => {
    const facts = factsOf(node)
    return facts === null ? [] : [{ address: node.address, port: node.port, facts }]
  })
  if (answering.length === 0) return nodes
  const primaries = answering.filter(({ facts }) => facts.role === 'primary')
  const followed = answering.flatMap(({ facts: { link, replid } }) => {
    // It may know its primary by another name than we do.
    const isKnown = primaries.some(({ facts }) => facts.replid === replid)
    return link === null || isKnown ? [] : [{ address: link.primaryAddress, port: link.primaryPort }]
  })
  const attached = primaries.flatMap(({ facts }) => unnamed(facts, answering))
  // While nobody says to be the primary, whoever was it and does not answer is still called so.
  const isReplica = (id: string): boolean =>
    answering.some((one) => addressOf(one) === id && one.facts.role === 'replica')
  const former = primaries.length > 0 ? [] : nodes.slice(0, 1).filter(({ id }) => !isReplica(id))
  const all = unique([
    ...primaries,
    ...former,
    ...(primaries.length > 0 ? [] : followed),
    ...seeds,
    ...answering.filter(isSeedOrLinked(seeds)),
    ...followed,
    ...attached,
  ])
  return all.map((one) => foreignPlace(one, 'shard-1')).slice(0, foreignNodesMax)
}

type Answering = Endpoint & { readonly facts: EngineFacts }

const isSeedOrLinked =
  (seeds: readonly Endpoint[]) =>
  (node: Answering): boolean =>
    node.facts.link !== null || seeds.some((seed) => addressOf(seed) === addressOf(node))

/** The replicas of a primary, without those that are known by another name: of the same history, and at the same port. */
function unnamed(facts: EngineFacts, answering: readonly Answering[]): Endpoint[] {
  const attached = facts.replicas.flatMap(({ address = '', port }) => (address === '' ? [] : [{ address, port }]))
  const isAmong = (some: readonly Endpoint[], { address, port }: Endpoint): boolean =>
    some.some((one) => one.address === address && one.port === port)
  const copies = answering.filter((one) => one.facts.role === 'replica' && one.facts.replid === facts.replid)
  const others = copies.filter((one) => !isAmong(attached, one))
  return attached
    .filter((one) => !isAmong(copies, one))
    .filter(({ port }) => {
      const at = others.findIndex((one) => one.port === port)
      if (at >= 0) others.splice(at, 1)
      return at < 0
    })
}

const factsOf = ({ engine }: NodeSeen): EngineFacts | null => (engine.kind === 'answered' ? engine.facts : null)

const unique = (endpoints: readonly Endpoint[]): Endpoint[] => [
  ...new Map(endpoints.map(({ address, port }) => [addressOf({ address, port }), { address, port }])).values(),
]
