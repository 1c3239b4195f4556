import { evenSlots, type NodeStatus, type ShardStatus, type Status } from '@holdfast/core'

const mb = 1024 ** 2
const shardNumbers = [1, 2, 3]

/** A node as it looks when all is well. */
export function aNode(parts: Partial<NodeStatus> = {}): NodeStatus {
  return {
    id: 'node-1',
    engineId: '9f1c2b7a40d35e86b1a2c3d4e5f60718293a4b5c',
    hostId: 'local',
    shard: 'shard-1',
    host: '127.0.0.1',
    port: 7001,
    role: 'primary',
    state: 'ok',
    epoch: 1,
    offset: 84_213_991,
    replid: '4c1f09d2b8e7a6534c1f09d2b8e7a6534c1f09d2',
    link: null,
    lag: null,
    ackAgeSeconds: null,
    drained: false,
    fence: null,
    pid: 20_411,
    startFailure: null,
    pendingRestart: [],
    seenAt: 1_750_000_000_000,
    memoryBytes: 148 * mb,
    memoryMaxBytes: 256 * mb,
    opsPerSecond: 4210,
    keys: 61_284,
    clients: 18,
    ...parts,
  }
}

/** A real-looking deployment: three shards of a primary and a replica. */
export function aStatus(parts: Partial<Status> = {}): Status {
  const slots = evenSlots(3)
  const shards: ShardStatus[] = shardNumbers.map((number, index) => ({
    id: `shard-${number}`,
    slots: slots.slice(index, index + 1),
    primary: `node-${number}`,
    replicas: [`node-${number + 3}`],
  }))
  const primaries = shardNumbers.map((number) =>
    aNode({
      id: `node-${number}`,
      shard: `shard-${number}`,
      port: 7000 + number,
      pid: 20_410 + number,
      epoch: number,
      memoryBytes: (131 + number * 9) * mb,
      opsPerSecond: 3800 + number * 173,
      keys: 60_900 + number * 317,
      clients: 16 + number,
    }),
  )
  const replicas = shardNumbers.map((number) =>
    aNode({
      id: `node-${number + 3}`,
      shard: `shard-${number}`,
      role: 'replica',
      port: 7003 + number,
      pid: 20_413 + number,
      epoch: number,
      link: 'up',
      lag: number === 2 ? 214 : 0,
      memoryBytes: (130 + number * 9) * mb,
      opsPerSecond: 610 + number * 41,
      keys: 60_900 + number * 317,
      clients: 3,
    }),
  )
  return {
    apiVersion: 1,
    name: 'shop',
    displayName: 'Shop cache',
    topology: 'cluster',
    wanted: 'up',
    observedAt: 1_750_000_000_000,
    specRevision: 4,
    settledRevision: 4,
    ready: 'yes',
    because: '3 shards, 6 of 6 nodes in sync',
    copiesInSync: 2,
    lossWindow:
      'death of a primary: what its replica does not have yet (214 B now); power failure: up to 2 s of writes',
    controller: { id: '8677-9c851ce4', epoch: 7, lease: 'held' },
    engine: { flavor: 'valkey', version: '8.1.4', path: '/usr/bin/valkey-server' },
    shards,
    sentinels: [],
    proxy: null,
    nodes: [...primaries, ...replicas],
    operations: [],
    users: ['app', 'replication', 'probe', 'admin'],
    paused: null,
    ...parts,
  }
}

/** The moment after `kill -9` of node-2. */
export function aStatusAfterDeath(because: string): Status {
  const status = aStatus()
  return {
    ...status,
    ready: 'no',
    because,
    copiesInSync: 1,
    shards: status.shards.map((shard) =>
      shard.id === 'shard-2' ? { ...shard, primary: 'node-5', replicas: ['node-2'] } : shard,
    ),
    nodes: status.nodes.map((node) => {
      if (node.id === 'node-5') return { ...node, role: 'primary', link: null, lag: null, epoch: 8 }
      if (node.id !== 'node-2') return node
      return {
        ...node,
        role: 'unknown',
        state: 'dead',
        pid: null,
        memoryBytes: null,
        opsPerSecond: null,
        keys: null,
        clients: null,
      }
    }),
  }
}
