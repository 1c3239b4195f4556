import { describe, expect, test } from 'vitest'
import type { EditTerms, SpecChange } from '../src/index.ts'
import { describeSpecChange, HoldfastError, judgeSpecChange, parseSpec, refuseChanges } from '../src/index.ts'

const mb = 1024 ** 2
const used = (...megabytes: (number | null)[]): EditTerms => ({
  used: megabytes.map((size, index) => ({
    id: `node-${index + 1}`,
    memoryBytes: size === null ? null : size * mb,
  })),
  acceptEviction: false,
})

function judged(before: object, after: object, terms: EditTerms = used(2, 2)): SpecChange[] {
  return judgeSpecChange(parseSpec({ name: 'shop', ...before }), parseSpec({ name: 'shop', ...after }), terms)
}

function refusalOf(changes: readonly SpecChange[]): HoldfastError | undefined {
  try {
    refuseChanges('shop', changes)
    return undefined
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
}

describe('an edit', () => {
  test('that says the same in other words changes nothing', () => {
    expect(judged({}, { shards: 3, persistence: 'hybrid', memory: { maxPerNode: '256mb' } })).toEqual([])
  })

  test.each<[before: object, after: object, says: string]>([
    [{ memory: { maxPerNode: '64mb' } }, { memory: { maxPerNode: '96mb' } }, 'memory.maxPerNode: 64 MB → 96 MB, live'],
    [{}, { memory: { policy: 'noeviction' } }, 'memory.policy: allkeys-lru → noeviction, live'],
    [{}, { timeouts: { node: '2s' } }, 'timeouts.node: 5 s → 2 s, live'],
    [{}, { staleReads: 'no' }, 'staleReads: yes → no, live'],
    [{}, { displayName: 'Shop' }, 'displayName: (none) → Shop, live'],
    [
      {},
      { persistence: 'rdb' },
      'persistence: hybrid → rdb, live (one node after the other, and never without a file to start from)',
    ],
    [
      {},
      { config: { 'slowlog-max-len': 9 } },
      'config.slowlog-max-len: (none) → 9, live (unless this engine refuses; then the status says what waits for a restart)',
    ],
    [
      { config: { databases: 8 } },
      { config: { databases: 4 } },
      'config.databases: 8 → 4, with a rolling restart (the engine reads it only when it starts)',
    ],
    [{ config: { hz: 10 } }, { config: {} }, 'config.hz: 10 → (none), live (back to what Holdfast sets)'],
    [
      { config: { appendfsync: 'always' } },
      {},
      'config.appendfsync: always → (none), live (back to what Holdfast sets)',
    ],
    [
      { config: { 'slowlog-max-len': 9 } },
      {},
      'config.slowlog-max-len: 9 → (none), with a rolling restart (only a start gives a directive its default back)',
    ],
    [{}, { replicasPerShard: 2 }, "replicasPerShard: 1 → 2, live (3 nodes more, each with a copy of its shard's data)"],
    [
      { shardOverrides: { 1: { replicas: 2 } } },
      {},
      'shardOverrides.1.replicas: 2 → (none), live (1 node fewer, one after the other and while all others are in sync)',
    ],
    [{}, { spares: 2 }, 'spares: 0 → 2, live (each stands by as soon as it runs)'],
  ])('from %o to %o', (before, after, says) => {
    const changes = judged(before, after)
    expect(changes.map(describeSpecChange)).toEqual([says])
    expect(refusalOf(changes)).toBeUndefined()
  })

  test.each<[after: object, path: string, instead: string]>([
    [{ topology: 'standalone', shards: 1, replicasPerShard: 0 }, 'topology', 'move the data with a backup'],
    [{ shards: 4 }, 'shards', 'use "holdfast scale shop --shards 4"'],
    [{ expose: { basePort: 7101 } }, 'expose.basePort', 'move the clients'],
    [{ engine: { flavor: 'valkey' } }, 'engine.flavor', 'holdfast upgrade shop'],
  ])('to %o is refused, with the way to do it', (after, path, instead) => {
    const change = judged({}, after).find((one) => one.path === path)
    expect(change).toMatchObject({ how: 'refused' })
    expect(change?.instead).toContain(instead)
    const refusal = refusalOf(judged({}, after))
    expect(refusal?.message).toContain(`${path} of shop cannot be changed from `)
    expect(refusal?.message).toContain(instead)
  })

  test('is refused as a whole for one field, and every such field is said', () => {
    const error = refusalOf(judged({}, { shards: 4, expose: { basePort: 7101 }, staleReads: 'no' }))
    expect(error).toMatchObject({ code: 'SPEC_IMMUTABLE', facts: { fields: ['expose.basePort', 'shards'] } })
    expect(error?.message.split('\n')).toHaveLength(2)
  })

  test('to fewer copies than durability needs says how many that are', () => {
    const durable = { ...parseSpec({ name: 'shop', replicasPerShard: 2 }), durability: 'durable' as const }
    const [change] = judgeSpecChange(durable, { ...durable, replicasPerShard: 1 }, used(2))
    expect(change).toMatchObject({
      how: 'refused',
      because: 'durability durable needs 2 replicas, and shard-1 would have 1',
    })
  })
})

describe('less memory', () => {
  const less = (policy: string, terms: EditTerms): SpecChange | undefined =>
    judged(
      { use: 'cache', memory: { maxPerNode: '64mb', policy } },
      { use: 'cache', memory: { maxPerNode: '32mb', policy } },
      terms,
    )[0]

  test('that holds what is used is set at once', () => {
    expect(less('noeviction', used(20, 32))).toMatchObject({ how: 'live', because: 'what is used fits' })
  })

  test.each(['noeviction', 'volatile-lru'])('than is used is refused with %s, in numbers', (policy) => {
    const change = less(policy, used(20, 40, 50))
    expect(change).toMatchObject({ how: 'refused' })
    expect(change?.because).toBe(
      `node-2 uses 40 MB, node-3 uses 50 MB; with ${policy} writes would be refused until there is room`,
    )
    expect(change?.instead).toBe(`Choose at least 50 MB (${50 * mb} bytes), or delete keys first.`)
    expect(less(policy, { ...used(50), acceptEviction: true })).toMatchObject({ how: 'refused' })
  })

  test('than a cache uses is refused with what would be evicted, unless that is accepted', () => {
    const change = less('allkeys-lru', used(20, 40, 50))
    expect(change?.because).toContain('with allkeys-lru about 26 MB of keys would be evicted at once')
    expect(change?.instead).toContain('--accept-eviction')
    expect(refusalOf([change as SpecChange])).toMatchObject({ code: 'REFUSED_UNSAFE' })
    expect(less('allkeys-lru', { ...used(20, 40), acceptEviction: true })).toMatchObject({ how: 'live' })
  })

  test('where a node was not seen is refused: it may be full', () => {
    expect(less('allkeys-lru', used(20, null))).toMatchObject({
      how: 'refused',
      because: 'it is not known how much node-2 uses',
    })
    expect(less('allkeys-lru', used())).toMatchObject({ how: 'refused' })
  })
})
