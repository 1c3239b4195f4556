import { usersOf } from './acl.ts'
import type { Plan } from './action.ts'
import { firstToEnd } from './certificates.ts'
import type { Document } from './document.ts'
import { pauseAt } from './document.ts'
import { durableLimit, durablePromise, isDurable } from './durability.ts'
import type { EventKind } from './event.ts'
import type { HostTrouble } from './host-trouble.ts'
import { diskLoss } from './loss-window.ts'
import type { NodePicture, Picture, ShardPicture } from './picture.ts'
import { addressOf, everyCopy } from './picture.ts'
import { pendingRestart } from './plan/configure.ts'
import type { PlanInput } from './plan/step.ts'
import { writeGuardOf } from './plan/write-guard.ts'
import { copiesInSync, judgeReadiness } from './readiness.ts'
import type { SentinelPicture } from './sentinel-picture.ts'
import { names } from './sentinel-picture.ts'
import type { Spec } from './spec.ts'
import { usesTls } from './spec.ts'
import type {
  AsideStatus,
  HostStatus,
  NodeState,
  NodeStatus,
  ProxyStatus,
  SentinelStatus,
  ShardStatus,
  Status,
  TlsStatus,
} from './status.ts'
import { formatBytes } from './units.ts'

export interface StatusInput {
  readonly document: Document
  readonly spec: Spec
  readonly picture: Picture
  readonly plan: Plan
  readonly controller: Status['controller']
  readonly engine: Status['engine']
  /** What is rendered for the nodes; left out where nothing could be. */
  readonly files?: PlanInput['files']
  readonly owned?: PlanInput['owned']
  /** What goes wrong with a machine. Default: nothing is known of any. */
  readonly troublesOn?: (host: string) => readonly HostTrouble[]
  /** Wall clock at the moment of `picture.at`. */
  readonly wallNow: number
}

function tlsStatus(document: Document, spec: Spec): TlsStatus {
  const first = firstToEnd(document)
  const { id = null, endsAt = null, renewAt = null } = first ?? {}
  return { firstToEnd: id, endsAt, renewAt, supplied: spec.security.certificate !== null }
}

/** The public answer to "how is it", from one turn's picture and plan. */
export function statusOf(input: StatusInput): Status {
  const { document, spec, picture, plan, controller, engine, wallNow } = input
  const readiness = judgeReadiness(picture)
  return {
    apiVersion: 1,
    name: document.name,
    displayName: spec.displayName === '' ? document.name : spec.displayName,
    topology: spec.topology,
    wanted: document.wanted,
    observedAt: Math.round(wallNow),
    specRevision: document.specRevision,
    settledRevision: document.settledRevision,
    ready: document.wanted === 'down' ? 'no' : readiness.ready,
    because: plan.because,
    copiesInSync: copiesInSync(picture),
    lossWindow: lossWindowOf(picture, spec, document),
    controller,
    engine,
    shards: picture.shards.map((shard) => shardStatus(shard, input)),
    scale: document.scale,
    sentinels: picture.sentinels.map((sentinel) => sentinelStatus(sentinel, picture, document)),
    proxy: proxyStatus(picture, document),
    nodes: everyCopy(picture).map((node) => nodeStatus(node, input)),
    ...asideOf(picture, document),
    ...hostsOf(input),
    operations: document.operations,
    ...(usesTls(spec) ? { tls: tlsStatus(document, spec) } : {}),
    users: usersOf(spec),
    paused: pauseAt(document, wallNow),
  }
}

/** Those alone with which something is wrong. */
function hostsOf({ document, picture, troublesOn = () => [] }: StatusInput): Pick<Status, 'hosts'> {
  const having = new Set([...document.nodes, ...(document.sentinels ?? [])].map(({ host }) => host))
  const hosts = [...having].sort().flatMap((id): HostStatus[] => {
    const troubles = troublesOn(id)
    const seen = picture.hosts.get(id)
    const isWell = seen === undefined || seen.reach === 'here'
    if (isWell && troubles.length === 0) return []
    return [{ id, ...(isWell ? {} : { reach: seen.reach, because: seen.because }), troubles }]
  })
  return hosts.length === 0 ? {} : { hosts }
}

/** What changed between two looks, in words: the event log's view of the nodes and shards. */
export function describeChanges(
  before: Status | undefined,
  after: Status,
): { kind: EventKind; subject: string; because: string }[] {
  const changes: { kind: EventKind; subject: string; because: string }[] = []
  for (const node of after.nodes) {
    const was = before?.nodes.find(({ id }) => id === node.id)
    changes.push(...fenceChanges(was, node))
    if (was === undefined || was.state === node.state) continue
    if (isPassing(was.state, node.state)) continue
    changes.push({ kind: 'node', subject: node.id, because: `${node.id} is ${node.state}, was ${was.state}` })
  }
  for (const sentinel of after.sentinels) {
    const was = before?.sentinels.find(({ id }) => id === sentinel.id)
    if (was === undefined || was.state === sentinel.state || isPassing(was.state, sentinel.state)) continue
    changes.push({
      kind: 'node',
      subject: sentinel.id,
      because: `${sentinel.id} is ${sentinel.state}, was ${was.state}`,
    })
  }
  changes.push(...troubleChanges(before?.hosts ?? [], after.hosts ?? []))
  changes.push(...proxyChanges(before?.proxy ?? null, after.proxy))
  for (const shard of after.shards) {
    const was = before?.shards.find(({ id }) => id === shard.id)
    if (was === undefined || was.primary === shard.primary || shard.primary === null) continue
    const from = was.primary === null ? 'nobody' : was.primary
    changes.push({
      kind: 'shard',
      subject: shard.id,
      because: `${shard.primary} is primary of ${shard.id}, was ${from}`,
    })
  }
  if (before !== undefined && before.ready !== after.ready) {
    changes.push({
      kind: 'ready',
      subject: after.name,
      because: `ready: ${after.ready}, was ${before.ready} (${after.because})`,
    })
  }
  return changes
}

/** Each trouble is told of when it begins, and when it is over. */
function troubleChanges(was: readonly HostStatus[], is: readonly HostStatus[]): ReturnType<typeof describeChanges> {
  const among = (list: readonly HostStatus[]) =>
    list.flatMap(({ id, troubles }) => troubles.map((trouble) => ({ id, ...trouble })))
  const [old, now] = [among(was), among(is)]
  type Told = (typeof now)[number]
  const fresh = (some: readonly Told[], than: readonly Told[]) =>
    some.filter(({ id, about }) => !than.some((other) => other.id === id && other.about === about))
  return [
    ...fresh(now, old).map(({ id, because, todo }) => ({
      subject: id,
      because: `${id}: ${because}. ${capital(todo)}`,
    })),
    ...fresh(old, now).map(({ id, about }) => ({ subject: id, because: `${id}: ${overIn[about]}` })),
  ].map((change) => ({ kind: 'host' as const, ...change }))
}

const overIn: Readonly<Record<HostTrouble['about'], string>> = {
  'disk read-only': 'the disk with the data can be written to again',
  'disk nearly full': 'there is room on the disk with the data again',
  memory: 'there is memory left again',
  clock: 'its clock goes as it should',
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** Of a node that is not seen nothing is known: its fence is neither set nor lifted. */
function fenceChanges(was: NodeStatus | undefined, is: NodeStatus): ReturnType<typeof describeChanges> {
  const news = (because: string) => [{ kind: 'node' as const, subject: is.id, because }]
  if (is.fence !== null && was?.fence?.epoch !== is.fence.epoch)
    return news(`${is.id} takes no writes: its host has fenced itself (${is.fence.reason})`)
  return was?.fence != null && is.fence === null && is.state === 'ok' ? news(`${is.id} may take writes again`) : []
}

function proxyChanges(was: ProxyStatus | null, is: ProxyStatus | null): ReturnType<typeof describeChanges> {
  if (was === null || is === null) return []
  const news = (because: string) => ({ kind: 'node' as const, subject: is.id, because })
  const told = was.state === is.state || isPassing(was.state, is.state) ? [] : [`is ${is.state}, was ${was.state}`]
  // While it is away nobody knows whom it points at, and that is no news of its own.
  if (is.primary !== null && was.primary !== is.primary)
    told.push(`leads to ${is.primary}, ${was.primary === null ? 'before to nobody' : `before to ${was.primary}`}`)
  return told.map((what) => news(`the ${is.id} ${what}`))
}

/** A start goes through these states within a second; only where it ends is news. */
const isPassing = (was: NodeState, is: NodeState): boolean =>
  (was === 'starting' && is === 'syncing') || (was === 'ok' && is === 'silent') || (was === 'silent' && is === 'ok')

function shardStatus(shard: ShardPicture, { picture, spec, document: { degraded } }: StatusInput): ShardStatus {
  const primary = shard.primary !== null && !shard.primary.gone ? shard.primary.id : null
  return {
    id: shard.id,
    slots: shard.slots,
    primary,
    replicas: shard.nodes.filter((node) => node.id !== primary).map(({ id }) => id),
    ...(picture.chained.length === 0 ? {} : { chained: picture.chained.map(({ id }) => id) }),
    ...(isDurable(spec)
      ? { guard: { minReplicas: writeGuardOf(shard.primary), degraded: degraded?.[shard.id] ?? null } }
      : {}),
  }
}

function nodeStatus(node: NodePicture, input: StatusInput): NodeStatus {
  const { picture, document, wallNow, files = new Map(), owned = {} } = input
  const { facts, agent, seen } = node
  const last = agent?.record ?? null
  const lookedAt = seen.engine.kind === 'answered' ? seen.engine.at : (last?.at ?? null)
  const ago = lookedAt === null ? null : picture.at - lookedAt
  return {
    id: node.id,
    engineId: node.engineId,
    hostId: node.place.host,
    shard: node.shard,
    host: node.place.address,
    port: node.place.port,
    role: facts?.role ?? last?.role ?? 'unknown',
    state: stateOf(node, document),
    ...(node.place.chained === true ? { upstream: upstreamOf(node, picture)?.id ?? null } : {}),
    epoch:
      facts?.view.entries.find((entry) => entry.engineId === facts.engineId)?.configEpoch ?? last?.configEpoch ?? null,
    offset: facts?.offset ?? last?.offset ?? null,
    replid: facts?.replid ?? last?.replid ?? null,
    link: facts?.link?.state ?? null,
    lag: lagOf(node, picture),
    ackAgeSeconds: ackAgeOf(node, picture),
    drained: node.place.drained === true,
    fence: agent?.fence == null ? null : { epoch: agent.fence.epoch, reason: agent.fence.reason },
    pid: agent?.process.state === 'running' ? agent.process.pid : null,
    startFailure: startFailureOf(node),
    pendingRestart: pendingRestart(node, { picture, files, owned }),
    seenAt: ago === null || !Number.isFinite(ago) || ago > wallNow ? null : Math.round(wallNow - ago),
    memoryBytes: facts?.memoryBytes ?? null,
    memoryMaxBytes: facts?.memoryMaxBytes ?? null,
    opsPerSecond: facts?.opsPerSecond ?? null,
    keys: facts?.keys ?? null,
    clients: facts?.clients ?? null,
  }
}

function sentinelStatus(
  { id, place, life, facts, watch, agent }: SentinelPicture,
  { nodes }: Picture,
  document: Document,
): SentinelStatus {
  const named = watch === null ? undefined : nodes.find((node) => names(watch, node))
  return {
    id,
    hostId: place.host,
    host: place.address,
    port: place.port,
    state: stateOf({ life, facts: null }, document),
    names: watch === null ? null : (named?.id ?? addressOf(watch.primary)),
    peers: watch?.peers.length ?? null,
    quorum: watch?.quorumOk ?? (facts === null ? null : false),
    epoch: watch?.configEpoch ?? null,
    pid: agent?.process.state === 'running' ? agent.process.pid : null,
  }
}

function asideOf({ leaving, spares }: Picture, document: Document): Pick<Status, 'aside'> {
  const aside = [...spares, ...leaving].map((node) => asideStatus(node, document))
  return aside.length === 0 ? {} : { aside }
}

function asideStatus(node: NodePicture, document: Document): AsideStatus {
  const { id, place, agent, life } = node
  const isLeaving = place.leaving !== undefined
  const { because = '', forgottenAt = null } = place.leaving ?? {}
  const fails = startFailureOf(node)
  const standsBy = fails === null ? 'stands by' : `does not start: ${fails.said}`
  return {
    id,
    hostId: place.host,
    host: place.address,
    port: place.port,
    role: isLeaving ? 'leaving' : 'spare',
    state: isLeaving && node.gone ? 'stopped' : stateOf({ life, facts: null }, document),
    pid: agent?.process.state === 'running' ? agent.process.pid : null,
    because: isLeaving
      ? `${because}: ${forgottenAt === null ? 'not forgotten by all yet' : 'forgotten by all, and watched'}`
      : standsBy,
  }
}

function proxyStatus({ proxy }: Picture, document: Document): ProxyStatus | null {
  if (proxy?.place == null) return null
  const { place, life, facts, agent } = proxy
  return {
    id: place.id,
    hostId: place.host,
    host: place.address,
    port: place.port,
    replicaPort: place.replicaPort,
    state: stateOf({ life, facts: null }, document),
    primary: facts?.primary ?? null,
    replicas: facts?.replicas ?? null,
    pid: agent?.process.state === 'running' ? agent.process.pid : null,
  }
}

function startFailureOf({ agent }: NodePicture): NodeStatus['startFailure'] {
  const starts = agent?.starts
  if (starts === undefined || starts.failures === 0) return null
  return { times: starts.failures, said: starts.lastError ?? 'no reason given' }
}

function stateOf(node: Pick<NodePicture, 'life' | 'facts'>, document: Document): NodeState {
  switch (node.life) {
    case 'alive':
      return node.facts?.role === 'replica' && node.facts.link?.state !== 'up' ? 'syncing' : 'ok'
    case 'loading':
    case 'starting':
      return 'starting'
    case 'dead':
      return 'dead'
    case 'absent':
      return document.wanted === 'down' ? 'stopped' : 'dead'
    case 'away':
      return 'unknown'
    default:
      return node.life
  }
}

/** Bytes behind the primary, as far as both were seen in this look. */
function lagOf(node: NodePicture, picture: Picture): number | null {
  const primary = picture.shards.find((shard) => shard.id === node.shard)?.primary
  if (primary?.facts == null || node.facts?.role !== 'replica') return null
  return primary.facts.replid === node.facts.replid ? Math.max(0, primary.facts.offset - node.facts.offset) : null
}

const upstreamOf = ({ follows }: NodePicture, { nodes }: Picture): NodePicture | undefined =>
  follows === null ? undefined : nodes.find(({ engineId }) => engineId === follows)

/** By the word of whom it follows: a replica that is cut off does not know it. */
function ackAgeOf(node: NodePicture, picture: Picture): number | null {
  if (node.facts?.role !== 'replica') return null
  const primary = picture.shards.find((shard) => shard.id === node.shard)?.primary
  const followed = node.place.chained === true ? upstreamOf(node, picture) : primary
  return followed?.facts?.replicas.find(({ port }) => port === node.place.port)?.ackAgeSeconds ?? null
}

function lossWindowOf(picture: Picture, spec: Spec, document: Document): string {
  if (spec.topology === 'standalone') return `no second copy: ${lossOfOnlyCopy(picture, spec)}`
  // The fullest copy of a shard would take over; the shard whose fullest copy lacks most decides.
  const lags = picture.shards.map(({ nodes }) => Math.min(...nodes.map((node) => lagOf(node, picture) ?? Infinity)))
  const worst = Math.max(...lags)
  const behind = Number.isFinite(worst) ? formatBytes(worst) : 'an unknown amount'
  if (isDurable(spec)) return durableLoss(picture, spec, document, behind)
  return `death of a primary: what its replica does not have yet (${behind} now); ${diskLoss(picture, spec)}`
}

/** What no single fault takes, and what that does not cover. */
function durableLoss(picture: Picture, spec: Spec, { degraded = {} }: Document, behind: string): string {
  const alone = Object.keys(degraded)
  return [
    `${durablePromise(spec)} (${behind} now)`,
    ...(alone.length === 0 ? [] : [`${alone.join(', ')}: degraded, writes that no copy has`]),
    durableLimit(spec) ?? [],
    diskLoss(picture, spec),
  ]
    .flat()
    .join('; ')
}

/**
 * A process hands its log to the kernel before it acknowledges, unless the disk is still busy with what it was handed
 * before: then it keeps up to two seconds of it in memory.
 */
function lossOfOnlyCopy(picture: Picture, spec: Spec): string {
  const logs = picture.nodes.every(({ facts }) => facts === null || facts.disk.logs)
  if (spec.persistence === 'none') return 'death of the process: everything'
  if (spec.persistence === 'rdb' || !logs) {
    return 'death of the process: all since the last snapshot; loss of the disk: everything'
  }
  const death = 'death of the process: nothing, or up to 2 s of writes while the disk is busy'
  return `${death}; ${diskLoss(picture, spec)}; loss of the disk: everything`
}
