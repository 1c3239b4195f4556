import { aStatus, aStatusAfterDeath } from '../../packages/control/test/server/demo-status.ts'
import { anEvent } from '../../packages/control/test/server/memory-platform.ts'
import type { World } from '../../packages/control/test/server/support.ts'

const controller = 'controller 8677-9c851ce4'

/** An afternoon of a real deployment, as the log tells it: seconds ago, kind, subject, because, actor. */
const afternoon = [
  [4209, 'controller', 'shop', 'took the lease of shop in epoch 7', controller],
  [4207, 'turn', 'shop', '3 shards, 6 of 6 nodes in sync', controller],
  [1803.2, 'drift', 'node-3', 'maxmemory-policy of node-3 is noeviction, not allkeys-lru: set by hand', controller],
  [1803.1, 'action', 'node-3', 'set maxmemory-policy of node-3 to allkeys-lru', controller],
  [312.046, 'node', 'node-2', 'node-2 is dead, was ok: killed by signal 9', controller],
  [
    312.045,
    'ready',
    'shop',
    'ready: no, was yes (node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it)',
    controller,
  ],
  [312.044, 'action', 'node-5', 'promote node-5', controller],
  [312.005, 'shard', 'shard-2', 'node-5 is primary of shard-2, was nobody', controller],
  [311.998, 'action', 'node-2', 'start node-2', controller],
  [310.871, 'failed', 'node-2', 'start node-2: port 7002 is still in use; again in 1 s', controller],
  [309.412, 'node', 'node-2', 'node-2 is ok, was dead', controller],
  [309.41, 'ready', 'shop', 'ready: yes, was no (3 shards, 6 of 6 nodes in sync)', controller],
] as const

/** Two minutes of figures, the last of them now. */
export function playAfternoon({ platform, clock }: World): void {
  const now = Date.now()
  for (const [secondsAgo, kind, subject, because, actor] of afternoon) {
    platform.events.append(anEvent({ at: Math.round(now - secondsAgo * 1000), kind, subject, because, actor }))
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
