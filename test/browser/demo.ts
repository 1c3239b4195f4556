import { aStatus, aStatusAfterDeath } from '../../packages/control/test/server/demo-status.ts'
import { anEvent } from '../../packages/control/test/server/memory-platform.ts'
import type { World } from '../../packages/control/test/server/support.ts'

/** An afternoon of a real deployment, as the log would tell it: seconds ago, kind, subject, because, actor. */
const afternoon = [
  [4210, 'controller', 'shop', 'holdfast-7c2e took the lease of shop in epoch 7', 'controller'],
  [4209, 'spec', 'shop', 'revision 4: memory.maxPerNode 192mb → 256mb', 'admin'],
  [4208, 'action', 'node-1', 'set maxmemory of node-1 to 256 MB', 'controller'],
  [4207, 'turn', 'shop', 'as specified: 3 shards, 6 nodes, every replica in sync', 'controller'],
  [1803, 'drift', 'node-3', 'maxmemory-policy was set to noeviction by hand; put back to allkeys-lru', 'controller'],
  [312, 'node', 'node-2', 'node-2 died: killed by signal 9', 'agent'],
  [312, 'ready', 'shop', 'not ready: the primary of shard-2 is dead', 'controller'],
  [312, 'action', 'node-5', 'node-5 takes over shard-2: it is 0 B behind', 'controller'],
  [312, 'shard', 'shard-2', 'node-5 is the primary of shard-2, 41 ms after node-2 died', 'controller'],
  [311, 'action', 'node-2', 'start node-2 again, as a replica of node-5', 'controller'],
  [309, 'failed', 'node-2', 'node-2 did not start: port 7002 was still in use; trying again in 1 s', 'agent'],
  [307, 'node', 'node-2', 'node-2 answers again and is a replica in sync', 'controller'],
  [306, 'ready', 'shop', 'ready: 3 shards, 6 nodes, every replica in sync', 'controller'],
] as const

/** Two minutes of figures, the last of them now. */
export function playAfternoon({ platform, clock }: World): void {
  const now = Date.now()
  for (const [secondsAgo, kind, subject, because, actor] of afternoon) {
    platform.events.append(anEvent({ at: now - secondsAgo * 1000, kind, subject, because, actor }))
  }
  platform.show(aStatus({ observedAt: now }))
  clock.advance(1000)
}

/** One more second, with figures that breathe. */
export function playSecond({ platform, clock }: World, second: number, dead?: string): void {
  const breath = 1 + 0.09 * Math.sin(second / 7) + 0.05 * Math.sin(second / 2.3) + 0.02 * Math.sin(second * 1.7)
  const status = dead === undefined ? aStatus() : aStatusAfterDeath(dead)
  platform.show({
    ...status,
    observedAt: Date.now(),
    nodes: status.nodes.map((node) => ({
      ...node,
      opsPerSecond: node.opsPerSecond === null ? null : Math.round(node.opsPerSecond * breath),
    })),
  })
  clock.advance(1000)
}
