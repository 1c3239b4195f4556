import type { Status, UserAccess } from '@holdfast/core'
import { infoNumber, parseInfo } from '@holdfast/core'
import { EngineLink } from '../engine/link.ts'

/** What one engine has evicted since it was started. */
interface Evicted {
  readonly shard: string
  readonly run: string
  readonly keys: number
}

/** Of every node that answers, by its id. */
export type EvictionsSeen = ReadonlyMap<string, Evicted>

export async function seeEvictions(
  { nodes }: Status,
  { user, password, authority }: UserAccess,
): Promise<EvictionsSeen> {
  const seen = await Promise.all(
    nodes.map(async ({ id, shard, host, port }) => {
      const link = new EngineLink({
        address: host,
        port,
        username: user,
        password,
        authority: () => authority ?? null,
        name: 'holdfast-drill',
      })
      try {
        const info = parseInfo(String(await link.command(['INFO'])))
        const evicted = { shard, run: info.get('run_id') ?? '', keys: infoNumber(info, 'evicted_keys') }
        return [[id, evicted] as const]
      } catch {
        return []
      } finally {
        link.close()
      }
    }),
  )
  return new Map(seen.flat())
}

/**
 * Keys that each shard evicted between looks. An engine that was started meanwhile counts from its start; one that was
 * never seen before counts nothing, since nobody knows when it did.
 */
export function evictedBetween(looks: readonly EvictionsSeen[]): Record<string, number> {
  const evicted: Record<string, number> = {}
  const known = new Map<string, Evicted>()
  for (const look of looks) {
    for (const [node, seen] of look) {
      const before = known.get(node)
      known.set(node, seen)
      if (before === undefined) continue
      const count = before.run === seen.run ? seen.keys - before.keys : seen.keys
      evicted[seen.shard] = (evicted[seen.shard] ?? 0) + count
    }
  }
  return evicted
}
