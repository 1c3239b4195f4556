import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copiesOfShard, defaultSpec, HoldfastError, layOut, nodeCountOf, parseSpec, shardsOf } from '../src/index.ts'

function refused(input: unknown): HoldfastError {
  try {
    parseSpec(input)
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const withName = (over: Record<string, unknown>) => ({ name: 'shop', ...over })

describe('a spec', () => {
  test('needs a name and nothing else', () => {
    expect(parseSpec({ name: 'shop' })).toMatchObject({
      topology: 'cluster',
      shards: 3,
      replicasPerShard: 1,
      persistence: 'hybrid',
      fullCoverage: false,
      staleReads: true,
      memory: { maxPerNode: 268_435_456, policy: 'allkeys-lru', samples: 10 },
      failover: { maxLag: { bytes: 1_048_576, time: 1000 }, lossAfter: 30_000 },
      timeouts: { node: 5000, frozenAfter: 2000, busyAfter: 30_000, leaseAfter: 1500 },
      expose: { bind: '127.0.0.1', basePort: 7001 },
    })
  })

  test('is the default one where no file is given', () => {
    expect(parseSpec(defaultSpec)).toMatchObject({ name: 'shop', displayName: 'Shop cache' })
  })

  test('given a part, keeps the defaults of the rest', () => {
    expect(parseSpec(withName({ memory: { policy: 'noeviction' } })).memory.maxPerNode).toBe(268_435_456)
    expect(parseSpec(withName({ failover: { maxLag: { time: '2s' } } })).failover).toEqual({
      maxLag: { bytes: 1_048_576, time: 2000 },
      lossAfter: 30_000,
    })
  })

  test('is backed up each day, unless it says otherwise or writes nothing to a disk', () => {
    const daily = { every: 86_400_000, keep: 7, directory: null }
    const backupOf = (over: Record<string, unknown>) => parseSpec(withName(over)).backup
    expect(backupOf({})).toEqual(daily)
    expect(backupOf({ backup: 'off' })).toBe('off')
    expect(backupOf({ persistence: 'none' })).toBe('off')
    expect(backupOf({ persistence: 'none', backup: { keep: 7 } })).toEqual(daily)
  })

  test('is not changed by being read', () => {
    const input = Object.freeze({ name: 'shop', config: Object.freeze({ hz: 20 }) })
    expect(parseSpec(input)).toEqual(parseSpec(input))
  })
})

describe('a spec is refused, with the path and what to do', () => {
  test.each<[title: string, input: unknown, path: string, says: string]>([
    ['no name', {}, 'name', ''],
    ['nothing', null, '(the whole spec)', ''],
    ['a list', [], '(the whole spec)', ''],
    ['a word', 'shop', '(the whole spec)', ''],
    ['a name that is no name', { name: 'Shop 1' }, 'name', 'use 1 to 40 of a-z'],
    ['a name that is too long', { name: 'a'.repeat(41) }, 'name', 'use 1 to 40 of a-z'],
    ['a name that leads elsewhere', { name: '../etc' }, 'name', 'use 1 to 40 of a-z'],
    ['a misspelt key', withName({ shard: 6 }), 'shard', 'did you mean "shards"?'],
    ['letters swapped', withName({ persistnece: 'rdb' }), 'persistnece', 'did you mean "persistence"?'],
    ['an unknown key', withName({ colour: 'red' }), 'colour', 'see docs/spec.md'],
    ['an unknown key further in', withName({ memory: { max: '1gb' } }), 'memory.max', 'unknown key'],
    ['no shards', withName({ shards: 0 }), 'shards', ''],
    ['two shards', withName({ shards: 2 }), 'shards', 'at least 3 shards'],
    ['half a shard', withName({ shards: 3.5 }), 'shards', ''],
    ['shards in words', withName({ shards: 'three' }), 'shards', ''],
    ['a duration in words', withName({ timeouts: { node: '5 minutes' } }), 'timeouts.node', 'write 500ms, 5s, 2m'],
    ['a duration without a unit', withName({ timeouts: { node: 5 } }), 'timeouts.node', ''],
    ['a short node timeout', withName({ timeouts: { node: '10ms' } }), 'timeouts.node', 'pauses look like deaths'],
    [
      'a short frozenAfter',
      withName({ timeouts: { frozenAfter: '1ms' } }),
      'timeouts.frozenAfter',
      'look like freezes',
    ],
    ['busy before frozen', withName({ timeouts: { busyAfter: '1s' } }), 'timeouts.busyAfter', 'not shorter than'],
    ['a size in words', withName({ memory: { maxPerNode: '256 mb' } }), 'memory.maxPerNode', 'is not a size'],
    ['no room', withName({ memory: { maxPerNode: '1mb' } }), 'memory.maxPerNode', 'at least 8mb'],
    ['an unknown policy', withName({ memory: { policy: 'lru' } }), 'memory.policy', ''],
    ['a window without a zone', withName({ maintenanceWindow: 'Sun 02:00-04:00' }), 'maintenanceWindow', 'write "Sun'],
    ['an unknown persistence', withName({ persistence: 'yes' }), 'persistence', ''],
    ['a version in words', withName({ engine: { version: 'latest' } }), 'engine.version', 'a version such as 7'],
    ['a low port', withName({ expose: { basePort: 80 } }), 'expose.basePort', ''],
    ['a high port', withName({ shards: 500, expose: { basePort: 55_000 } }), 'expose.basePort', 'the last bus port'],
    [
      'an override of no shard',
      withName({ shardOverrides: { 4: { replicas: 1 } } }),
      'shardOverrides.4',
      'there is no shard 4',
    ],
    ['an override by name', withName({ shardOverrides: { first: { replicas: 1 } } }), 'shardOverrides.first', ''],
    [
      'durable, without a second replica',
      withName({ durability: 'durable' }),
      'replicasPerShard',
      'needs 2 replicas a shard, not 1',
    ],
    [
      'durable, with one shard short',
      withName({ durability: 'durable', replicasPerShard: 2, shardOverrides: { 2: { replicas: 1 } } }),
      'shardOverrides.2',
      'needs 2 replicas a shard, not 1',
    ],
    [
      'durable, watched by Sentinels',
      withName({ durability: 'durable', topology: 'sentinel', replicasPerShard: 2 }),
      'durability',
      'durable needs topology cluster, not sentinel',
    ],
    [
      'durable, alone',
      withName({ durability: 'durable', topology: 'standalone' }),
      'durability',
      'one engine has no copy that could have a write. Use topology cluster, or durability cache',
    ],
    [
      'durable, without files',
      withName({ durability: 'durable', replicasPerShard: 2, persistence: 'none' }),
      'persistence',
      'needs files to start from',
    ],
    [
      'durable, and evicting',
      withName({ durability: 'durable', replicasPerShard: 2, memory: { policy: 'allkeys-lru' } }),
      'memory.policy',
      'evicts what was acknowledged',
    ],
    ['a directive of ours', withName({ config: { port: 1 } }), 'config.port', 'decided by Holdfast'],
    [
      'a directive of the cluster',
      withName({ config: { 'cluster-enabled': 'no' } }),
      'config.cluster-enabled',
      'decided',
    ],
    ['a password', withName({ config: { requirepass: 'x' } }), 'config.requirepass', 'decided by Holdfast'],
    ['code to load', withName({ config: { loadmodule: '/tmp/x.so' } }), 'config.loadmodule', 'decided by Holdfast'],
    ['a file to include', withName({ config: { include: '/etc/x' } }), 'config.include', 'decided by Holdfast'],
    [
      'debug commands',
      withName({ config: { 'enable-debug-command': 'yes' } }),
      'config.enable-debug-command',
      'decided',
    ],
    [
      'no directive',
      withName({ config: { 'hz\nport 1': 1 } }),
      'config.hz\nport 1',
      'not the name of an engine directive',
    ],
    ['a second line', withName({ config: { hz: '10\nport 1' } }), 'config.hz', 'a value is one line'],
    [
      'a directive in capitals',
      withName({ config: { PORT: 1 } }),
      'config.PORT',
      'not the name of an engine directive',
    ],
    ['a list of values', withName({ config: { hz: [1] } }), 'config.hz', ''],
  ])('%s', (_, input, path, says) => {
    const error = refused(input)
    expect(error.code).toBe('SPEC_INVALID')
    expect(error.message).toContain(`${path}: `)
    expect(error.message).toContain(says)
  })

  test('a prototype is no key, and changes nothing', () => {
    const input: unknown = JSON.parse('{ "name": "shop", "__proto__": { "shards": 9 } }')
    expect(refused(input).message).toContain('__proto__: unknown key')
    const inner: unknown = JSON.parse('{ "name": "shop", "config": { "__proto__": { "polluted": 1 } } }')
    expect(Object.entries(parseSpec(inner).config)).toEqual([])
    expect('polluted' in {}).toBe(false)
  })

  test('with every problem at once', () => {
    const error = refused(withName({ shards: 2, config: { port: 1, hz: 'a\nb' } }))
    expect(error.message.split('\n')).toHaveLength(3)
    expect(error.facts['problems']).toHaveLength(3)
  })

  test('what is right but not built yet is told apart from what is wrong', () => {
    expect(refused(withName({ notify: ['x'] })).code).toBe('SPEC_UNSUPPORTED')
    expect(refused(withName({ notify: ['x'] })).message).toBe('notify: not supported yet: remove it')
    expect(refused(withName({ alerts: {} })).code).toBe('SPEC_UNSUPPORTED')
  })

  test('whatever is given, it is read or refused', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('name', 'shards', 'memory', 'config', 'hosts'), fc.anything()),
        (input) => {
          try {
            parseSpec(input)
          } catch (error) {
            expect(error).toBeInstanceOf(HoldfastError)
          }
        },
      ),
    )
  })
})

describe('the layout of a spec', () => {
  const counts = fc.record({
    shards: fc.integer({ min: 3, max: 30 }),
    replicasPerShard: fc.integer({ min: 0, max: 5 }),
  })

  test('gives every shard its copies, and every node an id and a port of its own', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 0, max: 5 }), (some, extra) => {
        const spec = parseSpec(withName({ ...some, shardOverrides: { 2: { replicas: extra } } }))
        const nodes = layOut(spec)
        expect(nodes).toHaveLength(nodeCountOf(spec))
        expect(new Set(nodes.map((node) => node.id)).size).toBe(nodes.length)
        expect(nodes.map((node) => node.port)).toEqual(nodes.map((_, index) => 7001 + index))
        expect(shardsOf(nodes).map(({ id, nodes: members }) => [id, members.length])).toEqual(
          Array.from({ length: spec.shards }, (_, index) => [`shard-${index + 1}`, copiesOfShard(spec, index + 1)]),
        )
      }),
    )
  })

  test('puts the first copies of all shards first', () => {
    expect(layOut(parseSpec({ name: 'shop' })).map((node) => `${node.shard} ${node.port}`)).toEqual([
      'shard-1 7001',
      'shard-2 7002',
      'shard-3 7003',
      'shard-1 7004',
      'shard-2 7005',
      'shard-3 7006',
    ])
  })
})
