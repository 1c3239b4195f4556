import type {
  AgentNodeSeen,
  AgentProxySeen,
  AgentSentinelSeen,
  HostSeen,
  NodePlace,
  Observed,
  SentinelPlace,
} from '@holdfast/core'
import type { Clock } from './clock.ts'
import type { EnginePort, SentinelPort } from './engine/engine.ts'
import type { HostPort } from './host/host.ts'

export interface Eyes {
  readonly clock: Clock
  readonly engines: EnginePort
  /** With topology `sentinel`. */
  readonly sentinels?: SentinelPort
  readonly hosts: ReadonlyMap<string, HostPort>
}

/**
 * One look at everything. Nobody's silence is an error: a node or a host that does not answer is a fact in the result.
 * The engines are asked first: what the hosts then say of a process is newer than its last answer, never older. So a look
 * is broken off while it waits for engines only, and is undefined then; once hosts are asked, they know what happened.
 */
export async function observe(
  deployment: string,
  places: readonly NodePlace[],
  { clock, engines, sentinels, hosts }: Eyes,
  signal: AbortSignal,
  watchers: readonly SentinelPlace[] = [],
  proxy: { readonly host: string; readonly wanted: boolean } | null = null,
  actsSince = Number.NEGATIVE_INFINITY,
): Promise<Observed | undefined> {
  const [answers, told] = await Promise.all([engines.look(places, signal), sentinels?.look(watchers, signal)])
  if (signal.aborted) return undefined
  const guards = new Map<string, AgentSentinelSeen>()
  const agents = new Map<string, AgentNodeSeen>()
  const hostsSeen: HostSeen[] = []
  const asking = proxy === null ? null : lookAtProxy(deployment, proxy, hosts)
  await Promise.all(
    [...hosts.values()].map(async (host) => {
      const mine = places.filter((place) => place.host === host.id)
      const placed = watchers.filter((place) => place.host === host.id)
      if (mine.length + placed.length === 0) return
      const [seen, found] = await Promise.all([
        host.look(deployment, mine).catch(() => null),
        placed.length === 0 ? null : host.lookAtSentinels(deployment, placed).catch(() => null),
      ])
      for (const [id, facts] of seen ?? []) agents.set(id, facts)
      hostsSeen.push(...sightOf(host, seen !== null, actsSince))
      for (const [id, facts] of found ?? []) guards.set(id, facts)
    }),
  )
  const agentOfProxy = await asking
  const hasProxy = proxy !== null && (proxy.wanted || agentOfProxy !== null)
  return {
    at: clock.now(),
    ...(hostsSeen.length === 0 ? {} : { hosts: hostsSeen }),
    ...(hasProxy ? { proxy: { host: proxy.host, agent: agentOfProxy } } : {}),
    nodes: places.map((place) => ({
      id: place.id,
      shard: place.shard,
      host: place.host,
      address: place.address,
      port: place.port,
      engine: answers.get(place.id) ?? { kind: 'unknown' },
      agent: agents.get(place.id) ?? null,
    })),
    sentinels: watchers.map(({ id, host, address, port }) => ({
      id,
      host,
      address,
      port,
      engine: told?.get(id) ?? { kind: 'unknown' },
      agent: guards.get(id) ?? null,
    })),
  }
}

/** Whoever acted before this controller may have heard it until then. */
function sightOf(host: HostPort, answers: boolean, actsSince: number): HostSeen[] {
  const sight = host.sight?.()
  return sight === undefined ? [] : [{ id: host.id, answers, ...sight, heardAt: Math.max(sight.heardAt, actsSince) }]
}

const lookAtProxy = (
  deployment: string,
  { host, wanted }: { readonly host: string; readonly wanted: boolean },
  hosts: Eyes['hosts'],
): Promise<AgentProxySeen | null> =>
  hosts
    .get(host)
    ?.lookAtProxy(deployment, wanted)
    .catch(() => null) ?? Promise.resolve(null)
