/*
 * A deployment as the planner sees it: healthy, converged, ready. A test breaks exactly what matters to it:
 *
 *   aDeployment().with(dead('node-1'), linkDown('node-4')).plan()
 *
 * Nothing here moves: a break changes what was seen, and nobody reacts to it.
 */
import * as fc from 'fast-check'
import type {
  AgentNodeSeen,
  ClusterView,
  Document,
  EngineFacts,
  NodePlace,
  NodeSeen,
  Observed,
  Picture,
  Plan,
  PlanInput,
  Spec,
  SpecText,
  ViewEntry,
} from '../../src/index.ts'
import { evenSlots, layOut, parseSpec, planTurn, readPicture, shardsOf } from '../../src/index.ts'

/** What a break may change: all that was seen, and the document. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] extends object | null ? Draft<T[K]> : T[K] }

export interface World {
  readonly spec: Spec
  readonly document: Document
  readonly observed: Observed
}

export type Break = (world: Draft<World>) => void

export interface DeploymentOptions {
  readonly shards?: number
  readonly replicas?: number
  readonly spec?: SpecText
  /** Who is primary of a shard, where it is not the first of the layout. */
  readonly primaries?: Readonly<Record<string, string>>
  readonly document?: Partial<Document>
}

/** The moment of the look. */
export const now = 1_000_000
/** The same moment, as people's clocks say it. */
export const wallNow = 1_750_000_000_000
/** Of which boot of the machine `now` is. */
export const boot = 'boot-1'
/** When the agents last looked at their engines, before that. */
export const lastLook = now - 100
export const offset = 50_000

/** What we own, as rendered; enough to drift from. */
const owned = { 'maxmemory-samples': '10', appendonly: 'yes' }

export const engineIdOf = (node: string): string => `${node.replace('node-', '').padStart(2, '0')}${'f'.repeat(38)}`
export const pidOf = (node: string): number => 4000 + Number(node.replace('node-', ''))
export const replidOf = (shard: string): string => `${shard.replace('shard-', '').padStart(2, '0')}${'a'.repeat(38)}`
export const filesOf = (node: string) => ({ config: `port of ${node}`, users: `users of ${node}` })

export class Deployment implements World {
  readonly spec: Spec
  readonly document: Document
  readonly observed: Observed
  /** What it is and what happened to it, for a law that fails. */
  readonly told: readonly string[]

  constructor({ spec, document, observed }: World, told: readonly string[] = []) {
    this.spec = spec
    this.document = document
    this.observed = observed
    this.told = told
  }

  with(...breaks: readonly Break[]): Deployment {
    const world = structuredClone({ spec: this.spec, document: this.document, observed: this.observed })
    for (const change of breaks) change(world as Draft<World>)
    return new Deployment(world, this.told)
  }

  named(told: readonly string[]): Deployment {
    return new Deployment(this, told)
  }

  /** As a failing law prints it. */
  [fc.toStringMethod](): string {
    return this.told.join(', ')
  }

  picture(): Picture {
    return readPicture(this.document.nodes, this.observed, this.spec)
  }

  input(): PlanInput {
    const files = new Map(this.document.nodes.map(({ id }) => [id, filesOf(id)]))
    return { spec: this.spec, document: this.document, picture: this.picture(), wallNow, boot, files, owned }
  }

  plan(): Plan {
    return planTurn(this.input())
  }
}

/** Three primaries with a replica each, unless said otherwise: node-1 to node-3, and node-4 to node-6 behind them. */
export function aDeployment(options: DeploymentOptions = {}): Deployment {
  const spec = parseSpec({
    name: 'shop',
    shards: options.shards ?? 3,
    replicasPerShard: options.replicas ?? 1,
    ...options.spec,
  })
  const places = layOut(spec)
  const primaries = new Map(
    shardsOf(places).map(({ id, nodes }) => [id, options.primaries?.[id] ?? nodes[0]?.id ?? '']),
  )
  return new Deployment({
    spec,
    document: {
      apiVersion: 1,
      name: spec.name,
      revision: 3,
      specRevision: 1,
      settledRevision: 1,
      spec: { name: spec.name },
      wanted: 'up',
      nodes: places,
      operations: [],
      scale: { shards: spec.shards, setBy: 'spec' },
      secrets: {},
      acceptDataLoss: false,
      purge: false,
      ...options.document,
    },
    observed: { at: now, nodes: places.map((place) => healthy(place, places, primaries)) },
  })
}

/** The same deployment in the moment when all engines of a new deployment answer for the first time. */
export const aNewDeployment = (options: DeploymentOptions = {}): Deployment =>
  aDeployment({ ...options, document: { settledRevision: 0, ...options.document } }).with(unborn)

function healthy(place: NodePlace, places: readonly NodePlace[], primaries: ReadonlyMap<string, string>): NodeSeen {
  const isPrimary = primaries.get(place.shard) === place.id
  const epoch = shardNumber(place)
  const facts: EngineFacts = {
    engineId: engineIdOf(place.id),
    version: '7.0.15',
    role: isPrimary ? 'primary' : 'replica',
    replid: replidOf(place.shard),
    replidBefore: '0'.repeat(40),
    offsetBefore: null,
    offset,
    link: isPrimary
      ? null
      : {
          state: 'up',
          downSeconds: 0,
          primaryAddress: '127.0.0.1',
          primaryPort: primaryOf(place, places, primaries).port,
          priority: 100,
        },
    replicas: isPrimary
      ? places
          .filter((other) => other.shard === place.shard && other !== place)
          .map(({ port }) => ({ port, online: true, offset, ackAgeSeconds: 0 }))
      : [],
    disk: {
      logs: true,
      logOk: true,
      rewriting: false,
      rewriteOk: true,
      saving: false,
      saveOk: true,
      savedAgoSeconds: null,
    },
    clusterOk: true,
    view: {
      me: engineIdOf(place.id),
      entries: places.map((other) => entryOf(other, places, primaries)),
      open: [],
    },
    memoryBytes: 2_000_000,
    memoryMaxBytes: 268_435_456,
    opsPerSecond: 7,
    clients: 3,
    keys: 600,
    uptimeSeconds: 600,
  }
  const agent: AgentNodeSeen = {
    process: {
      state: 'running',
      pid: pidOf(place.id),
      startTime: 77,
      stopped: false,
      cpuMs: 900,
      cpuRoseAt: now,
    },
    files: {
      aof: true,
      rdb: false,
      rdbNewer: false,
      claim: { engineId: engineIdOf(place.id), role: isPrimary ? 'primary' : 'replica', configEpoch: epoch },
    },
    record: {
      engineId: engineIdOf(place.id),
      role: isPrimary ? 'primary' : 'replica',
      ownedSlots: isPrimary,
      configEpoch: epoch,
      replid: replidOf(place.shard),
      offset,
      link: isPrimary ? null : 'up',
      logs: null,
      linkUpAt: isPrimary ? null : lastLook,
      linkDownSince: null,
      at: lastLook,
    },
    starts: { failures: 0, lastAt: now - 600_000, lastError: null },
    fencedAt: null,
    failoverAsked: null,
    config: owned,
    usersMatch: true,
    written: null,
    given: null,
    saveAskedAt: null,
    freeMemoryBytes: null,
  }
  return { ...place, engine: { kind: 'answered', at: now, facts }, agent }
}

function entryOf(place: NodePlace, places: readonly NodePlace[], primaries: ReadonlyMap<string, string>): ViewEntry {
  const primary = primaryOf(place, places, primaries)
  const isPrimary = primary === place
  const share = evenSlots(primaries.size)[shardNumber(place) - 1]
  return {
    engineId: engineIdOf(place.id),
    address: place.address,
    port: place.port,
    role: isPrimary ? 'primary' : 'replica',
    follows: isPrimary ? null : engineIdOf(primary.id),
    health: 'ok',
    handshake: false,
    linked: true,
    configEpoch: shardNumber(place),
    slots: isPrimary && share !== undefined ? [share] : [],
  }
}

const shardNumber = ({ shard }: NodePlace): number => Number(shard.replace('shard-', ''))

function primaryOf(place: NodePlace, places: readonly NodePlace[], primaries: ReadonlyMap<string, string>): NodePlace {
  return places.find(({ id }) => id === primaries.get(place.shard)) as NodePlace
}

/* What a break reaches for. */

export function nodeOf(world: Draft<World>, id: string): Draft<NodeSeen> {
  const node = world.observed.nodes.find((seen) => seen.id === id)
  if (node === undefined) throw new Error(`there is no ${id} in this deployment`)
  return node
}

export function agentOf(world: Draft<World>, id: string): Draft<AgentNodeSeen> {
  const { agent } = nodeOf(world, id)
  if (agent === null) throw new Error(`the agent of ${id} does not answer`)
  return agent
}

export function factsOf(world: Draft<World>, id: string): Draft<EngineFacts> {
  const { engine } = nodeOf(world, id)
  if (engine.kind !== 'answered') throw new Error(`${id} does not answer`)
  return engine.facts
}

/** The views of all that answer. */
export const viewsOf = (world: Draft<World>): Draft<ClusterView>[] =>
  world.observed.nodes.flatMap((node) => (node.engine.kind === 'answered' ? [node.engine.facts.view] : []))

const allNodes = (world: Draft<World>): string[] => world.observed.nodes.map(({ id }) => id)

/* Breaks: what happened to processes. */

const refused = { kind: 'refused', at: now, reason: 'connect ECONNREFUSED' } as const

/** Its process is gone; the links of those that followed it are down since. */
export const dead =
  (id: string, { lingering = false }: { readonly lingering?: boolean } = {}): Break =>
  (world) => {
    agentOf(world, id).process = { state: 'dead', since: now - 5, pid: pidOf(id), lingering }
    nodeOf(world, id).engine = refused
    for (const other of world.observed.nodes) {
      if (other.engine.kind !== 'answered') continue
      const { facts } = other.engine
      const followed = facts.view.entries.find(({ engineId }) => engineId === facts.engineId)?.follows
      if (facts.link?.state === 'up' && followed === engineIdOf(id)) facts.link = { ...facts.link, state: 'down' }
    }
  }

/** Stopped as it was told to, or never started. */
export const absent =
  (id: string): Break =>
  (world) => {
    dead(id)(world)
    agentOf(world, id).process = { state: 'absent' }
  }

export const everyNode =
  (change: (id: string) => Break): Break =>
  (world) => {
    for (const id of allNodes(world)) change(id)(world)
  }

/** It owes an answer for so long, and what its process did meanwhile. */
export const silentFor =
  (id: string, ms: number, doing: 'nothing' | 'burning CPU' | 'stopped' = 'nothing'): Break =>
  (world) => {
    const { process } = agentOf(world, id)
    if (process.state !== 'running') throw new Error(`${id} does not run`)
    nodeOf(world, id).engine = { kind: 'silent', since: now - ms }
    process.stopped = doing === 'stopped'
    process.cpuRoseAt = doing === 'nothing' ? now - ms : now
  }

/** Its process runs, and nobody listens yet. */
export const starting =
  (id: string): Break =>
  (world) => {
    nodeOf(world, id).engine = refused
  }

export const loading =
  (id: string): Break =>
  (world) => {
    nodeOf(world, id).engine = { kind: 'loading', at: now }
  }

export const saysBusy =
  (id: string): Break =>
  (world) => {
    nodeOf(world, id).engine = { kind: 'busy', at: now }
  }

/** Neither its engine nor its agent answers. */
export const away =
  (id: string): Break =>
  (world) => {
    nodeOf(world, id).engine = { kind: 'silent', since: now - 60_000 }
    nodeOf(world, id).agent = null
  }

/** Its engine answers and its agent does not. */
export const withoutAgent =
  (id: string): Break =>
  (world) => {
    nodeOf(world, id).agent = null
  }

/* Breaks: what is kept and what is remembered. */

export const withFiles =
  (id: string, files: Partial<Draft<AgentNodeSeen>['files']>): Break =>
  (world) => {
    Object.assign(agentOf(world, id).files, files)
  }

/** Its directory is empty. */
export const wiped = (id: string): Break => withFiles(id, { aof: false, rdb: false, claim: null })

/** nodes.conf is there, the data is not. */
export const withoutData = (id: string): Break => withFiles(id, { aof: false, rdb: false })

export const withRecord =
  (id: string, record: Partial<NonNullable<Draft<AgentNodeSeen>['record']>>): Break =>
  (world) => {
    const before = agentOf(world, id).record
    if (before === null) throw new Error(`the agent has no record of ${id}`)
    Object.assign(before, record)
  }

export const withoutRecord =
  (id: string): Break =>
  (world) => {
    agentOf(world, id).record = null
  }

/** The machine was started anew: every time that was written down is long ago. */
export const afterReboot =
  (id: string, longAgo: number = -Number.MAX_VALUE): Break =>
  (world) => {
    const { record } = agentOf(world, id)
    if (record === null) return
    record.at = longAgo
    if (record.linkUpAt !== null) record.linkUpAt = longAgo
    if (record.linkDownSince !== null) record.linkDownSince = longAgo
  }

export const failedStarts =
  (id: string, failures: number, agoMs: number, lastError: string | null = null): Break =>
  (world) => {
    agentOf(world, id).starts = { failures, lastAt: now - agoMs, lastError }
  }

export const fencedAgo =
  (id: string, ms: number): Break =>
  (world) => {
    agentOf(world, id).fencedAt = now - ms
  }

export const askedAgo =
  (id: string, ms: number, mode: 'force' | 'takeover' | 'switchover' = 'force'): Break =>
  (world) => {
    agentOf(world, id).failoverAsked = { at: now - ms, mode }
  }

/** Long before now, so that what was asked a moment ago was asked after it. */
export const lastSeenAgo = (id: string, ms: number): Break => withRecord(id, { at: now - ms })

/* Breaks: replication. */

export const withFacts =
  (id: string, facts: Partial<Draft<EngineFacts>>): Break =>
  (world) => {
    Object.assign(factsOf(world, id), facts)
  }

/** So many bytes short of its primary. */
export const behind = (id: string, bytes: number): Break => withFacts(id, { offset: offset - bytes })

/** Its link is down for so long; the agent saw that from its next look on. */
export const linkDown =
  (id: string, ms: number): Break =>
  (world) => {
    const facts = factsOf(world, id)
    if (facts.link !== null) facts.link = { ...facts.link, state: 'down', downSeconds: Math.floor(ms / 1000) }
    withRecord(id, { link: 'down', linkUpAt: now - ms, linkDownSince: now - ms + 50 })(world)
  }

export const onHost =
  (id: string, host: string): Break =>
  (world) => {
    for (const node of [...world.document.nodes, ...world.observed.nodes]) if (node.id === id) node.host = host
  }

export const syncing =
  (id: string): Break =>
  (world) => {
    const facts = factsOf(world, id)
    if (facts.link !== null) facts.link = { ...facts.link, state: 'syncing' }
  }

/* Breaks: what the engines know of each other. */

/** Everybody, itself included, sees it follow that one. */
export const following =
  (id: string, primary: string): Break =>
  (world) => {
    for (const entry of viewsOf(world).flatMap((view) => view.entries)) {
      if (entry.engineId === engineIdOf(id)) entry.follows = engineIdOf(primary)
    }
  }

/** These do not know that one any more. */
export const forgottenBy =
  (id: string, ...by: readonly string[]): Break =>
  (world) => {
    for (const one of by) {
      const { view } = factsOf(world, one)
      view.entries = view.entries.filter(({ engineId }) => engineId !== engineIdOf(id))
    }
  }

/** Every view has this entry too. */
export const alsoKnown =
  (entry: Partial<ViewEntry> & { readonly engineId: string }): Break =>
  (world) => {
    for (const view of viewsOf(world)) view.entries.push(anEntry(entry) as Draft<ViewEntry>)
  }

export const anEntry = (entry: Partial<ViewEntry> & { readonly engineId: string }): ViewEntry => ({
  address: '127.0.0.1',
  port: 7999,
  role: 'primary',
  follows: null,
  health: 'ok',
  handshake: false,
  linked: true,
  configEpoch: 0,
  slots: [],
  ...entry,
})

/** Its engine answers with another id, as after its directory was wiped: empty, alone, owner of nothing. */
export const cameBackBlank =
  (id: string, engineId: string): Break =>
  (world) => {
    const before = factsOf(world, id)
    const { port, address } = nodeOf(world, id)
    const me = anEntry({ engineId, port, address })
    withFacts(id, { engineId, role: 'primary', replid: 'e'.repeat(40), offset: 0, link: null, keys: 0 })(world)
    before.view = { me: engineId, entries: [me as Draft<ViewEntry>], open: [] }
    withFiles(id, { claim: { engineId, role: 'primary', configEpoch: 0 } })(world)
    withRecord(id, { engineId, role: 'primary', configEpoch: 0, replid: 'e'.repeat(40), offset: 0, link: null })(world)
  }

/** Nothing was given out yet, and nobody knows anybody. */
const unborn: Break = (world) => {
  for (const node of world.observed.nodes) {
    const facts = factsOf(world, node.id)
    const entry = { ...(facts.view.entries.find(({ engineId }) => engineId === facts.engineId) as Draft<ViewEntry>) }
    facts.view.entries = [{ ...entry, role: 'primary', follows: null, configEpoch: 0, slots: [] }]
    withFacts(node.id, { role: 'primary', link: null, replicas: [], keys: 0, offset: 0, clusterOk: false })(world)
    agentOf(world, node.id).record = null
    agentOf(world, node.id).files.claim = { engineId: engineIdOf(node.id), role: 'primary', configEpoch: 0 }
  }
}
