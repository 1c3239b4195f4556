import { describe, expect, test } from 'vitest'
import type { NodeStatus, Status } from '../src/index.ts'
import { describeChanges, statusOf } from '../src/index.ts'
import type { Break, Deployment, DeploymentOptions } from './support/deployment.ts'
import {
  absent,
  aDeployment,
  afterReboot,
  away,
  behind,
  dead,
  engineIdOf,
  everyNode,
  failedStarts,
  lastLook,
  linkDown,
  loading,
  now,
  offset,
  pidOf,
  replidOf,
  saysBusy,
  silentFor,
  starting,
  syncing,
  withFacts,
  withoutAgent,
  withoutRecord,
} from './support/deployment.ts'

const wallNow = 1_718_000_000_000

const statusIn = (deployment: Deployment): Status =>
  statusOf({
    document: deployment.document,
    spec: deployment.spec,
    picture: deployment.picture(),
    plan: deployment.plan(),
    controller: { id: 'c1', epoch: 4, lease: 'held' },
    engine: { flavor: 'redis', version: '7.0.15', path: '/usr/bin/redis-server' },
    wallNow,
  })

const statusAfter = (...breaks: readonly Break[]): Status => statusIn(aDeployment().with(...breaks))

function nodeAfter(id: string, ...breaks: readonly Break[]): NodeStatus {
  const node = statusAfter(...breaks).nodes.find((one) => one.id === id)
  if (node === undefined) throw new Error(`${id} is not in the status`)
  return node
}

describe('the status of a deployment', () => {
  test('tells what it is and how it is', () => {
    const { nodes, shards, ...rest } = statusAfter()
    expect(rest).toEqual({
      apiVersion: 1,
      users: ['app', 'replication', 'probe', 'admin'],
      name: 'shop',
      displayName: 'shop',
      topology: 'cluster',
      wanted: 'up',
      observedAt: wallNow,
      specRevision: 1,
      settledRevision: 1,
      ready: 'yes',
      because: '3 shards, 6 of 6 nodes in sync',
      copiesInSync: 2,
      lossWindow:
        'death of a primary: what its replica does not have yet (0 B now); power failure: up to 2 s of writes',
      controller: { id: 'c1', epoch: 4, lease: 'held' },
      engine: { flavor: 'redis', version: '7.0.15', path: '/usr/bin/redis-server' },
      scale: { shards: 3, setBy: 'spec' },
      sentinels: [],
      proxy: null,
      operations: [],
      paused: null,
    })
    expect(nodes).toHaveLength(6)
    expect(shards[0]).toEqual({ id: 'shard-1', slots: [[0, 5460]], primary: 'node-1', replicas: ['node-4'] })
  })

  test('is what the plan says, word for word', () => {
    const broken = aDeployment().with(dead('node-1'))
    expect(statusIn(broken).because).toBe(broken.plan().because)
  })

  test('is not ready while it shall be down', () => {
    expect(statusIn(aDeployment({ document: { wanted: 'down' } })).ready).toBe('no')
  })

  test('a shard whose primary is dead has none; one whose primary is silent still has it', () => {
    expect(statusAfter(dead('node-1')).shards[0]).toMatchObject({ primary: null, replicas: ['node-1', 'node-4'] })
    expect(statusAfter(silentFor('node-1', 900)).shards[0]?.primary).toBe('node-1')
  })
})

describe('the status of a node', () => {
  test('has every fact of one that answers', () => {
    expect(nodeAfter('node-4', behind('node-4', 12))).toEqual({
      id: 'node-4',
      engineId: engineIdOf('node-4'),
      hostId: 'local',
      shard: 'shard-1',
      host: '127.0.0.1',
      port: 7004,
      role: 'replica',
      state: 'ok',
      epoch: 1,
      offset: offset - 12,
      replid: replidOf('shard-1'),
      link: 'up',
      lag: 12,
      ackAgeSeconds: 0,
      drained: false,
      fence: null,
      pid: pidOf('node-4'),
      startFailure: null,
      pendingRestart: [],
      seenAt: wallNow,
      memoryBytes: 2_000_000,
      memoryMaxBytes: 268_435_456,
      opsPerSecond: 7,
      keys: 600,
      clients: 3,
    })
  })

  test('what was not seen is null, never zero', () => {
    expect(nodeAfter('node-4', away('node-4'))).toEqual({
      id: 'node-4',
      engineId: null,
      hostId: 'local',
      shard: 'shard-1',
      host: '127.0.0.1',
      port: 7004,
      role: 'unknown',
      state: 'unknown',
      epoch: null,
      offset: null,
      replid: null,
      link: null,
      lag: null,
      ackAgeSeconds: null,
      drained: false,
      fence: null,
      pid: null,
      startFailure: null,
      pendingRestart: [],
      seenAt: null,
      memoryBytes: null,
      memoryMaxBytes: null,
      opsPerSecond: null,
      keys: null,
      clients: null,
    })
  })

  test('of one that does not answer, the last that was known, and when', () => {
    expect(nodeAfter('node-1', dead('node-1'))).toMatchObject({
      role: 'primary',
      state: 'dead',
      epoch: 1,
      offset,
      link: null,
      lag: null,
      ackAgeSeconds: null,
      pid: null,
      seenAt: wallNow - (now - lastLook),
      memoryBytes: null,
      keys: null,
    })
  })

  test.each([-Number.MAX_VALUE, Number.NEGATIVE_INFINITY])(
    'seen in an earlier boot (%d) is seen at no known time',
    (longAgo) => {
      expect(nodeAfter('node-1', dead('node-1'), afterReboot('node-1', longAgo)).seenAt).toBeNull()
    },
  )

  test('never seen is seen at no time', () => {
    expect(nodeAfter('node-1', dead('node-1'), withoutRecord('node-1'))).toMatchObject({
      role: 'unknown',
      offset: null,
      seenAt: null,
    })
  })

  test('starts that failed are told, with the last words of the engine', () => {
    const said = 'Fatal error loading the DB'
    expect(nodeAfter('node-4', dead('node-4'), failedStarts('node-4', 2, 100, said)).startFailure).toEqual({
      times: 2,
      said,
    })
  })

  test.each<[state: string, life: Break]>([
    ['ok', withoutAgent('node-4')],
    ['syncing', syncing('node-4')],
    ['syncing', linkDown('node-4', 50)],
    ['starting', starting('node-4')],
    ['starting', loading('node-4')],
    ['busy', saysBusy('node-4')],
    ['busy', silentFor('node-4', 5000, 'burning CPU')],
    ['silent', silentFor('node-4', 900)],
    ['frozen', silentFor('node-4', 5000)],
    ['dead', dead('node-4')],
    ['dead', absent('node-4')],
    ['unknown', away('node-4')],
  ])('its state is %s', (state, life) => {
    expect(nodeAfter('node-4', life).state).toBe(state)
  })

  test('one that shall be down and is not there has stopped', () => {
    const down = aDeployment({ document: { wanted: 'down' } }).with(everyNode(absent))
    expect(statusIn(down).nodes.map(({ state }) => state)).toEqual(Array(6).fill('stopped'))
  })

  test('lag is known only within one history, while both answer', () => {
    expect(nodeAfter('node-1').lag).toBeNull()
    expect(nodeAfter('node-4', withFacts('node-4', { replid: 'c'.repeat(40) })).lag).toBeNull()
    expect(nodeAfter('node-4', dead('node-1')).lag).toBeNull()
    expect(nodeAfter('node-4', behind('node-4', -5)).lag).toBe(0)
  })
})

describe('what a fault may cost', () => {
  const costs = (options: DeploymentOptions, ...breaks: readonly Break[]): string =>
    statusIn(aDeployment(options).with(...breaks)).lossWindow

  test('the largest lag of now', () => {
    expect(costs({}, behind('node-4', 2048), behind('node-5', 10))).toContain('(2 KB now)')
  })

  test('of several copies of a shard the fullest counts: that one would take over', () => {
    expect(costs({ replicas: 2 }, behind('node-4', 4096), behind('node-7', 10))).toContain('(10 B now)')
  })

  test('is not known where a shard has no copy whose lag is known', () => {
    expect(costs({}, dead('node-4'))).toContain('(an unknown amount now)')
    expect(costs({ replicas: 0 })).toContain('(an unknown amount now)')
  })

  test.each([
    ['hybrid', 'power failure: up to 2 s of writes'],
    ['aof', 'power failure: up to 2 s of writes'],
    ['rdb', 'power failure: all since the last snapshot'],
    ['none', 'power failure: everything'],
  ])('persistence %s', (persistence, told) => {
    expect(costs({ spec: { persistence } })).toContain(told)
  })
})

describe('what changed between two looks', () => {
  const changes = (before: Status | undefined, after: Status) => describeChanges(before, after)

  test('nothing is news at the first look, and where nothing changed', () => {
    expect(changes(undefined, statusAfter())).toEqual([])
    expect(changes(statusAfter(), statusAfter())).toEqual([])
  })

  test('a death, a promotion, and what that means', () => {
    expect(changes(statusAfter(), statusAfter(dead('node-1')))).toEqual([
      { kind: 'node', subject: 'node-1', because: 'node-1 is dead, was ok' },
      { kind: 'node', subject: 'node-4', because: 'node-4 is syncing, was ok' },
      {
        kind: 'ready',
        subject: 'shop',
        because: 'ready: no, was yes (node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it)',
      },
    ])
    const promoted = statusIn(aDeployment({ primaries: { 'shard-1': 'node-4' } }))
    expect(changes(statusAfter(), promoted)).toEqual([
      { kind: 'shard', subject: 'shard-1', because: 'node-4 is primary of shard-1, was node-1' },
    ])
    expect(changes(statusAfter(dead('node-1')), promoted)).toContainEqual({
      kind: 'shard',
      subject: 'shard-1',
      because: 'node-4 is primary of shard-1, was nobody',
    })
  })

  test('that nobody is primary any more is told by the node, not as a new primary', () => {
    const told = changes(statusAfter(), statusAfter(dead('node-1')))
    expect(told.filter(({ kind }) => kind === 'shard')).toEqual([])
  })

  test('what passes within a second is no news', () => {
    expect(changes(statusAfter(starting('node-4')), statusAfter(syncing('node-4'))).filter(isOfNode)).toEqual([])
    expect(changes(statusAfter(), statusAfter(silentFor('node-4', 300))).filter(isOfNode)).toEqual([])
    expect(changes(statusAfter(silentFor('node-4', 300)), statusAfter()).filter(isOfNode)).toEqual([])
  })

  test('what it ends in is', () => {
    expect(changes(statusAfter(syncing('node-4')), statusAfter()).filter(isOfNode)).toHaveLength(1)
    expect(changes(statusAfter(silentFor('node-4', 300)), statusAfter(silentFor('node-4', 3000)))).toContainEqual({
      kind: 'node',
      subject: 'node-4',
      because: 'node-4 is frozen, was silent',
    })
  })
})

const isOfNode = ({ kind }: { readonly kind: string }): boolean => kind === 'node'

describe('a machine that gives trouble', () => {
  const full = { about: 'disk nearly full', because: '1 GB of 100 GB are free', todo: 'make room' } as const
  const withTrouble = (on: boolean): Status => {
    const shop = aDeployment()
    return statusOf({
      document: shop.document,
      spec: shop.spec,
      picture: shop.picture(),
      plan: shop.plan(),
      controller: { id: 'c1', epoch: 4, lease: 'held' },
      engine: null,
      wallNow,
      troublesOn: () => (on ? [full] : []),
    })
  }
  const events = (before: Status, after: Status) => describeChanges(before, after).filter(({ kind }) => kind === 'host')

  test('is in the status while that lasts', () => {
    expect(withTrouble(true).hosts).toEqual([{ id: 'local', troubles: [full] }])
    expect(withTrouble(false).hosts).toBeUndefined()
  })

  test('is told of when it begins and when it is over, and not between', () => {
    expect(events(withTrouble(false), withTrouble(true))).toEqual([
      { kind: 'host', subject: 'local', because: 'local: 1 GB of 100 GB are free. Make room' },
    ])
    expect(events(withTrouble(true), withTrouble(true))).toEqual([])
    expect(events(withTrouble(true), withTrouble(false))).toEqual([
      { kind: 'host', subject: 'local', because: 'local: there is room on the disk with the data again' },
    ])
  })
})
