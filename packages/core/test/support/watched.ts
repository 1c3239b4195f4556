/* A deployment that Sentinels watch, as the planner sees it: healthy, converged, ready. */
import type { Document, SentinelSeen, SentinelWatch, SpecText } from '../../src/index.ts'
import { parseSpec, placeSentinels, sentinelSettings } from '../../src/index.ts'
import type { Break, Deployment, Draft, World } from './deployment.ts'
import { aDeployment, now, offset } from './deployment.ts'

export interface WatchedOptions {
  readonly replicas?: number
  readonly spec?: SpecText
  readonly document?: Partial<Document>
}

/** A primary, two replicas and three Sentinels, unless said otherwise. */
export function watched({ replicas = 2, spec = {}, document = {} }: WatchedOptions = {}): Deployment {
  const fields = { topology: 'sentinel', ...spec }
  const places = placeSentinels(parseSpec({ name: 'shop', replicasPerShard: replicas, ...fields }))
  const secrets = { sentinel: 'of-sentinels' }
  return aDeployment({
    shards: 1,
    replicas,
    spec: fields,
    document: { sentinels: places, secrets, ...document },
  }).with((world) => {
    world.observed.sentinels = places.map((place) => structuredClone(aSentinel(place, world))) as Draft<SentinelSeen>[]
  })
}

function aSentinel(place: ReturnType<typeof placeSentinels>[number], world: Draft<World>): SentinelSeen {
  const { nodes } = world.observed
  const [primary, ...replicas] = nodes
  const sentinels = world.document.sentinels ?? []
  const watch: SentinelWatch = {
    primary: { address: '127.0.0.1', port: primary?.port ?? 0 },
    flags: ['master'],
    configEpoch: 3,
    settings: sentinelSettings(world.spec),
    roleReported: 'primary',
    roleReportedMs: 60_000,
    lastOkPingMs: 200,
    quorumOk: true,
    replicas: replicas.map(({ id, port }) => ({
      address: '127.0.0.1',
      port,
      runId: runIdOf(id),
      flags: ['slave'],
      priority: 100,
      offset,
      linkDownMs: 0,
      infoAgeMs: 3000,
      lastOkPingMs: 300,
    })),
    peers: sentinels
      .filter(({ id }) => id !== place.id)
      .map(({ id, address, port }) => ({ address, port, sentinelId: sentinelIdOf(id), flags: ['sentinel'] })),
  }
  return {
    ...place,
    engine: { kind: 'answered', at: now, facts: { sentinelId: sentinelIdOf(place.id), tilt: false, watch } },
    agent: {
      process: { state: 'running', pid: 5000, startTime: 77, stopped: false, cpuMs: 10, cpuRoseAt: now },
      starts: { failures: 0, lastAt: now - 600_000, lastError: null },
      fencedAt: null,
      failoverAsked: null,
      resetAt: null,
    },
  }
}

export const runIdOf = (node: string): string => `${node}-run`
const sentinelIdOf = (id: string): string => `${id}-id`

/** Changes what one Sentinel says, or, with `all`, every one. */
export const sees =
  (id: string, change: (watch: Draft<SentinelWatch>) => void): Break =>
  (world) => {
    for (const seen of world.observed.sentinels ?? []) {
      if (id !== 'all' && seen.id !== id) continue
      if (seen.engine.kind === 'answered' && seen.engine.facts.watch !== null)
        change(seen.engine.facts.watch as Draft<SentinelWatch>)
    }
  }

export function sentinelOf(world: Draft<World>, id: string): Draft<SentinelSeen> {
  const found = world.observed.sentinels?.find((seen) => seen.id === id)
  if (found === undefined) throw new Error(`there is no ${id}`)
  return found as Draft<SentinelSeen>
}

export const agentOfSentinel = (world: Draft<World>, id: string) => {
  const { agent } = sentinelOf(world, id)
  if (agent === null) throw new Error(`the agent of ${id} does not answer`)
  return agent
}

/** Its process is gone. */
export const deadSentinel =
  (id: string): Break =>
  (world) => {
    agentOfSentinel(world, id).process = { state: 'dead', since: now - 5, pid: 5000, lingering: false }
    sentinelOf(world, id).engine = { kind: 'refused', at: now, reason: 'connect ECONNREFUSED' }
  }
