/** How a deployment is that somebody else runs: the same picture and status as for ours, with what cannot be known left open. */
import type { Endpoint } from '../action.ts'
import type { Document } from '../document.ts'
import type { EventKind } from '../event.ts'
import type { NodeSeen, Observed, Seen } from '../observed.ts'
import { parseSpec } from '../parse-spec.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { addressOf, primaryIdOf, readPicture } from '../picture.ts'
import type { Readiness } from '../readiness.ts'
import { copiesInSync, judgeReadiness } from '../readiness.ts'
import { formatSlots } from '../slots.ts'
import type { Spec } from '../spec.ts'
import type { NodeStatus, Status } from '../status.ts'
import { describeChanges, statusOf } from '../status-of.ts'
import { formatBytes, formatDuration, formatInstant } from '../units.ts'
import type { Adoption } from './adoption.ts'
import { foreignNodesMax } from './foreign-layout.ts'

export interface ForeignStatusInput {
  readonly adoption: Adoption
  readonly observed: Observed
  readonly controllerId: string
  /** Wall clock at the moment of `observed.at`. */
  readonly wallNow: number
}

export function foreignStatus({ adoption, observed, controllerId, wallNow }: ForeignStatusInput): Status {
  const spec = specToReadBy(adoption)
  const picture = readPicture(adoption.nodes, knownByOurNames(adoption, observed), spec, idAmong(observed))
  const readiness = judgeForeign(picture, wallNow)
  const status = statusOf({
    document: documentToReadBy(adoption),
    spec,
    picture,
    plan: { actions: [], because: readiness.because, notes: [], lookAgainMs: null },
    controller: { id: controllerId, epoch: 0, lease: 'none' },
    engine: null,
    wallNow,
  })
  return {
    ...status,
    ready: readiness.ready,
    copiesInSync: picture.shards.length === 0 ? 0 : copiesInSync(picture),
    lossWindow: foreignLoss(picture, status),
    users: [],
    adopted: {
      by: adoption.by,
      at: adoption.at,
      from: adoption.seeds.map(addressOf),
      versions: [...new Set(picture.nodes.flatMap(({ facts }) => facts?.version ?? []))].sort(),
    },
  }
}

/** What a picture is read by. Of all that a spec says it needs the topology alone. */
const specToReadBy = ({ name, topology }: Adoption): Spec => parseSpec({ name, topology })

/** Never saved, and never planned from: a status is told in the words of a document. */
const documentToReadBy = ({ name, nodes, sentinels }: Adoption): Document => ({
  apiVersion: 1,
  name,
  revision: 0,
  specRevision: 0,
  settledRevision: 0,
  spec: {},
  wanted: 'up',
  nodes,
  sentinels,
  operations: [],
  scale: { shards: 0, setBy: 'nobody' },
  secrets: {},
  acceptDataLoss: false,
  purge: false,
})

/** Of a node that does not answer the others know the id. */
const idAmong =
  ({ nodes }: Observed) =>
  ({ address, port }: Endpoint): string | null => {
    const entries = nodes.flatMap(({ engine }) => (engine.kind === 'answered' ? engine.facts.view.entries : []))
    return entries.find((entry) => entry.address === address && entry.port === port)?.engineId ?? null
  }

/**
 * A replica may call its primary by a name that we do not know it by. Of one history, and linked, it follows the only
 * primary of that history.
 */
function knownByOurNames({ topology, nodes }: Adoption, observed: Observed): Observed {
  if (topology === 'cluster') return observed
  const known = new Set(nodes.map(({ id }) => id))
  const primaryOf = (replid: string): NodeSeen | undefined =>
    observed.nodes.find(
      ({ engine }) => engine.kind === 'answered' && engine.facts.role === 'primary' && engine.facts.replid === replid,
    )
  const renamed = (node: NodeSeen): NodeSeen => {
    if (node.engine.kind !== 'answered') return node
    const { link, replid } = node.engine.facts
    if (link === null || known.has(addressOf({ address: link.primaryAddress, port: link.primaryPort }))) return node
    const primary = link.state === 'up' ? primaryOf(replid) : undefined
    if (primary === undefined) return node
    const facts = {
      ...node.engine.facts,
      link: { ...link, primaryAddress: primary.address, primaryPort: primary.port },
    }
    return { ...node, engine: { ...node.engine, facts } }
  }
  return { ...observed, nodes: observed.nodes.map(renamed) }
}

/** What those who answer say for certain comes first; then whom nobody could ask. */
export function judgeForeign(picture: Picture, wallNow: number): Readiness {
  const trouble = picture.topology === 'cluster' ? clusterTrouble(picture) : watchedTrouble(picture)
  if (trouble.length > 0) return { ready: 'no', because: inShort(trouble) }
  const all = [...picture.nodes, ...picture.sentinels]
  const unseen = all
    .filter(({ life }) => life === 'away')
    .map(({ id, seen }) => `${id} ${whyUnseen(seen, picture.at, wallNow)}`)
  if (unseen.length > 0 || all.length === 0) return { ready: 'unknown', because: `cannot see ${inShort(unseen)}` }
  if (picture.topology === 'sentinel') return judgeReadiness(picture)
  const apart = [...silent(picture), ...linkTrouble(picture)]
  if (apart.length > 0) return { ready: 'no', because: inShort(apart) }
  return { ready: 'yes', because: inWords(picture) }
}

function inShort(all: readonly string[]): string {
  const more = all.length > 3 ? `; and ${all.length - 3} more` : ''
  return `${all.slice(0, 3).join('; ')}${more}`
}

function inWords({ topology, shards, nodes }: Picture): string {
  const cut = nodes.length >= foreignNodesMax ? `; only ${foreignNodesMax} nodes are watched` : ''
  const copies = nodes.length === 1 ? 'one engine, without a copy' : `${nodes.length} of ${nodes.length} nodes in sync`
  return topology === 'cluster' ? `${shards.length} shards, ${copies}${cut}` : `${copies}${cut}`
}

function whyUnseen({ engine }: { readonly engine: Seen<unknown> }, now: number, wallNow: number): string {
  if (engine.kind !== 'refused') return 'yet'
  return `since ${formatInstant(Math.round(wallNow - (now - engine.at)))} (${engine.reason})`
}

function clusterTrouble(picture: Picture): string[] {
  const answering = picture.nodes.filter(({ facts }) => facts !== null && facts.view.entries.length > 0)
  if (answering.length === 0) return []
  const failed = picture.nodes.flatMap((node) => {
    const flagged = answering.filter(({ facts }) =>
      facts?.view.entries.some((entry) => entry.health === 'fail' && isThisNode(entry, node)),
    )
    return flagged.length === 0 ? [] : [`${node.id} has failed, say ${flagged.length} of ${answering.length}`]
  })
  const gaps = picture.unowned.length === 0 ? [] : [`nobody owns slots ${formatSlots(picture.unowned)}`]
  const closed = answering.filter(({ facts }) => facts?.clusterOk === false).map(({ id }) => `${id} takes no writes`)
  const alone = answering.flatMap(({ id, facts }) => {
    const missing = picture.nodes.filter((node) => !facts?.view.entries.some((entry) => isThisNode(entry, node)))
    return missing.length === 0 || missing.some((node) => node.id === id)
      ? []
      : [`${id} does not know ${missing[0]?.id}`]
  })
  return [...failed, ...gaps, ...closed, ...alone]
}

const isThisNode = (
  entry: { readonly engineId: string; readonly address: string; readonly port: number },
  { engineId, id }: NodePicture,
): boolean => (engineId === null ? addressOf(entry) === id : entry.engineId === engineId)

/** What more than half of the Sentinels say of a node that they watch. */
function watchedTrouble({ sentinels, nodes }: Picture): string[] {
  const watching = sentinels.flatMap(({ watch }) => watch ?? [])
  return nodes.flatMap(({ id, facts }) => {
    if (facts !== null) return []
    const down = watching.filter(({ primary, flags, replicas }) => {
      if (addressOf(primary) === id) return flags.includes('s_down') || flags.includes('o_down')
      return replicas.some((one) => addressOf(one) === id && one.flags.includes('s_down'))
    })
    return down.length * 2 > watching.length
      ? [`${id} is down, say ${down.length} of ${watching.length} Sentinels`]
      : []
  })
}

const silent = ({ nodes }: Picture): string[] =>
  nodes.filter(({ facts }) => facts === null).map(({ id, life }) => `${id} is ${life}`)

function linkTrouble({ topology, shards, nodes }: Picture): string[] {
  const links = nodes.flatMap(({ id, facts }) => {
    if (facts?.role !== 'replica') return []
    if (facts.link?.state === 'syncing') return [`${id} is syncing`]
    return facts.link?.state === 'up' ? [] : [`${id} has lost its link`]
  })
  if (topology === 'cluster') return links
  const roles = shards.flatMap(({ primary, nodes: members }) => {
    if (primary?.facts?.role !== 'primary') return ['nobody who answers is the primary']
    const ids = new Set(members.map(({ engineId }) => engineId))
    return members
      .filter((node) => node !== primary && !ids.has(primaryIdOf(node)))
      .map(({ id }) => `${id} does not follow ${primary.id}`)
  })
  return [...links, ...roles]
}

/** What can be told from outside. How often a log reaches the disk is a setting, and settings are not read. */
function foreignLoss({ shards }: Picture, { nodes }: Status): string {
  const primaries = shards.flatMap(({ primary }) => primary?.facts ?? [])
  if (primaries.length < shards.length || shards.length === 0) return 'unknown: not every primary answers'
  const lags = shards.map(({ id }) =>
    nodes.filter(({ shard, lag }) => shard === id && lag !== null).map(({ lag }) => lag ?? 0),
  )
  const worst = Math.max(...lags.map((some) => (some.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...some))))
  const death = Number.isFinite(worst)
    ? `death of a primary: what its replica does not have yet (${formatBytes(worst)} now)`
    : 'death of a primary: what is not on its disk, where no replica in sync was seen'
  const saved = primaries.map(({ disk }) => disk.savedAgoSeconds)
  const oldest = saved.every((one) => one !== null) ? Math.max(...saved.map((one) => one ?? 0)) : null
  const since = oldest === null ? 'everything' : `all since the last snapshot (${formatDuration(oldest * 1000)} ago)`
  const power = primaries.every(({ disk }) => disk.logs)
    ? 'what its log has not brought to the disk yet, which is not known from outside'
    : since
  return `${death}; power failure: ${power}`
}

/** What changed between two looks, with the nodes that came and went, and why one cannot be seen. */
export function describeForeignChanges(
  before: Status | undefined,
  after: Status,
  observed: Observed,
): { kind: EventKind; subject: string; because: string }[] {
  if (before === undefined) return []
  const had = new Set(idsOf(before))
  const has = new Set(idsOf(after))
  const node = (subject: string, because: string) => ({ kind: 'node' as const, subject, because })
  const came = [...has]
    .filter((id) => !had.has(id))
    .map((id) => node(id, `${id} belongs to it now${partOf(after, id)}`))
  const went = [...had].filter((id) => !has.has(id)).map((id) => node(id, `${id} does not belong to it any more`))
  const reasons = new Map(
    [...observed.nodes, ...(observed.sentinels ?? [])].flatMap(({ id, engine }): [string, string][] =>
      engine.kind === 'refused' ? [[id, engine.reason]] : [],
    ),
  )
  const changed = describeChanges(before, after).map((change) => {
    const reason = change.kind === 'node' ? reasons.get(change.subject) : undefined
    return reason === undefined ? change : { ...change, because: `${change.because} (${reason})` }
  })
  return [...came, ...went, ...changed]
}

const idsOf = ({ nodes, sentinels }: Status): string[] => [...nodes, ...sentinels].map(({ id }) => id)

const partOf = ({ nodes }: Status, id: string): string => {
  const found: NodeStatus | undefined = nodes.find((node) => node.id === id)
  return found === undefined ? '' : `: ${found.role} of ${found.shard}`
}
