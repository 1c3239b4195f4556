import type { NodeStatus, Status } from '../../src/index.ts'
import { evenSlots } from '../../src/index.ts'

/** A node as it looks when all is well. */
export const aNodeStatus = (parts: Partial<NodeStatus> = {}): NodeStatus => ({
  id: 'node-1',
  engineId: null,
  hostId: 'local',
  shard: 'shard-1',
  host: '127.0.0.1',
  port: 7001,
  role: 'primary',
  state: 'ok',
  epoch: 1,
  offset: 1000,
  replid: null,
  link: null,
  lag: null,
  ackAgeSeconds: null,
  drained: false,
  fence: null,
  pid: 100,
  startFailure: null,
  pendingRestart: [],
  seenAt: 1_750_000_000_000,
  memoryBytes: 10 * 1024 ** 2,
  memoryMaxBytes: 256 * 1024 ** 2,
  opsPerSecond: 10,
  keys: 10,
  clients: 3,
  ...parts,
})

/** A ready deployment: the first nodes are the primaries, then come the first replicas of all shards, and so on. */
export function aReadyStatus(parts: Partial<Status> = {}, { shardCount = 3, copies = 2 } = {}): Status {
  const numbers = Array.from({ length: shardCount }, (_, index) => index + 1)
  const idOf = (shard: number, copy: number): string => `node-${copy * numbers.length + shard}`
  const nodes = Array.from({ length: copies }, (_, copy) =>
    numbers.map((shard) =>
      aNodeStatus({
        id: idOf(shard, copy),
        shard: `shard-${shard}`,
        port: 7000 + copy * numbers.length + shard,
        pid: 100 + copy * numbers.length + shard,
        ...(copy === 0 ? {} : { role: 'replica', link: 'up', lag: 0, ackAgeSeconds: 0 }),
      }),
    ),
  ).flat()
  return {
    apiVersion: 1,
    name: 'shop',
    displayName: 'Shop',
    topology: 'cluster',
    wanted: 'up',
    observedAt: 1_750_000_000_000,
    specRevision: 1,
    settledRevision: 1,
    ready: 'yes',
    because: `${numbers.length} shards, ${nodes.length} of ${nodes.length} nodes in sync`,
    copiesInSync: copies,
    lossWindow: '',
    controller: { id: 'c-1', epoch: 7, lease: 'held' },
    engine: null,
    shards: numbers.map((shard) => ({
      id: `shard-${shard}`,
      slots: evenSlots(numbers.length).slice(shard - 1, shard),
      primary: idOf(shard, 0),
      replicas: Array.from({ length: copies - 1 }, (_, copy) => idOf(shard, copy + 1)),
    })),
    sentinels: [],
    proxy: null,
    nodes,
    operations: [],
    users: ['app', 'replication', 'probe', 'admin'],
    paused: null,
    ...parts,
  }
}
