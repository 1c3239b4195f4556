import type { AgentNodeSeen, NodePlace, Observed } from '@holdfast/core'
import type { Clock } from './clock.ts'
import type { EnginePort } from './engine/engine.ts'
import type { HostPort } from './host/host.ts'

export interface Eyes {
  readonly clock: Clock
  readonly engines: EnginePort
  readonly hosts: ReadonlyMap<string, HostPort>
}

/**
 * One look at everything. Nobody's silence is an error: a node or a host that does not answer is a fact in the result.
 * The engines are asked first: what the hosts then say of a process is newer than its last answer, never older.
 */
export async function observe(
  deployment: string,
  places: readonly NodePlace[],
  { clock, engines, hosts }: Eyes,
  signal: AbortSignal,
): Promise<Observed> {
  const answers = await engines.look(places, signal)
  const agents = new Map<string, AgentNodeSeen>()
  await Promise.all(
    [...hosts.values()].map(async (host) => {
      const mine = places.filter((place) => place.host === host.id)
      const seen = await host.look(deployment, mine).catch(() => new Map<string, AgentNodeSeen>())
      for (const [id, facts] of seen) agents.set(id, facts)
    }),
  )
  return {
    at: clock.now(),
    nodes: places.map((place) => ({
      id: place.id,
      shard: place.shard,
      host: place.host,
      address: place.address,
      port: place.port,
      engine: answers.get(place.id) ?? { kind: 'unknown' },
      agent: agents.get(place.id) ?? null,
    })),
  }
}
