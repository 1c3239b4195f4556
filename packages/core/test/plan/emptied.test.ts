import { describe, expect, test } from 'vitest'
import type { Break } from '../support/deployment.ts'
import {
  aDeployment,
  agentOf,
  askedAgo,
  dead,
  failedStarts,
  following,
  linkDown,
  offset,
  replidOf,
  syncing,
  withFacts,
  withRecord,
} from '../support/deployment.ts'

/** Somebody started it again: it claims its slots, has another history, no keys, and its agent knows it so already. */
const startedEmpty = (id: string): readonly Break[] => [
  withFacts(id, { keys: 0, replid: 'e'.repeat(40), offset: 0, uptimeSeconds: 0 }),
  withRecord(id, { replid: 'e'.repeat(40), offset: 0 }),
]
const withKeys = (id: string, keys = 812): Break => withFacts(id, { keys })
const bounced = (...breaks: readonly Break[]) =>
  aDeployment().with(withKeys('node-4'), ...startedEmpty('node-1'), linkDown('node-4', 400), ...breaks)

describe('a primary that somebody started again without its data', () => {
  test('is taken over by the replica that still has it, before that syncs with it', () => {
    expect(bounced().plan()).toEqual({
      actions: [{ kind: 'failover', node: 'node-4', mode: 'force' }],
      because:
        'node-1 was started again without its data (primary of shard-1), node-4 still has 812 keys: promoting it',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('also where the replica has begun to sync, and has not thrown its keys away yet', () => {
    expect(
      aDeployment()
        .with(withKeys('node-4'), ...startedEmpty('node-1'), syncing('node-4'))
        .plan().actions,
    ).toEqual([{ kind: 'failover', node: 'node-4', mode: 'force' }])
  })

  test('by takeover, where the voters did not elect it', () => {
    expect(bounced(askedAgo('node-4', 100)).plan().actions).toEqual([])
    expect(bounced(askedAgo('node-4', 600)).plan()).toMatchObject({
      actions: [{ kind: 'failover', node: 'node-4', mode: 'takeover' }],
      because:
        'the voters did not elect node-4 within 500 ms and node-1 was started again without its data: node-4 takes over without them',
    })
  })

  test('one shard at a time', () => {
    const two = bounced(withKeys('node-5'), ...startedEmpty('node-2'), linkDown('node-5', 400))
    expect(two.plan().actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'force' }])
    expect(bounced(dead('node-2')).plan().actions).toHaveLength(1)
  })
})

describe('nobody takes over from a primary', () => {
  const noFailover = (...breaks: readonly Break[]) =>
    expect(
      aDeployment()
        .with(...breaks)
        .plan()
        .actions.filter(({ kind }) => kind === 'failover'),
    ).toEqual([])

  test('that has keys, whatever its history: it was restarted from its own files', () => {
    noFailover(withKeys('node-4'), ...startedEmpty('node-1'), withKeys('node-1', 3), linkDown('node-4', 400))
  })
  test('that was emptied by whoever uses it: its replica has the same history', () => {
    noFailover(withKeys('node-4'), withFacts('node-1', { keys: 0 }), linkDown('node-4', 400))
    noFailover(
      withKeys('node-4'),
      ...startedEmpty('node-1'),
      withFacts('node-1', { replidBefore: replidOf('shard-1') }),
      linkDown('node-4', 400),
    )
  })
  test('whose replica has nothing either, or is in sync with it already', () => {
    noFailover(withKeys('node-4', 0), ...startedEmpty('node-1'), linkDown('node-4', 400))
    noFailover(withKeys('node-4'), ...startedEmpty('node-1'))
  })
  test('by a node that has the data of another shard', () => {
    noFailover(
      withKeys('node-4'),
      withFacts('node-4', { replid: replidOf('shard-2') }),
      ...startedEmpty('node-1'),
      linkDown('node-4', 400),
    )
    noFailover(withKeys('node-4'), following('node-4', 'node-2'), ...startedEmpty('node-1'), linkDown('node-4', 400))
  })
})

describe('a primary that somebody started from its last snapshot', () => {
  const [former, later] = [replidOf('shard-1'), 'e'.repeat(40)]
  /** Held by its file, with keys; the snapshot was taken 900 bytes before its copy stopped hearing from it. */
  const fromSnapshot: Break = (world) => {
    withFacts('node-1', {
      keys: 500,
      replid: later,
      replidBefore: former,
      offset: offset - 900,
      offsetBefore: offset - 900,
    })(world)
    withRecord('node-1', { replid: later, offset: offset - 900 })(world)
    const agent = agentOf(world, 'node-1')
    agent.config = { 'repl-diskless-sync-delay': '1000000000' }
    agent.written = { appendonly: 'no', save: '900 1' }
  }
  const spec = { persistence: 'rdb' }
  const older = (...breaks: readonly Break[]) =>
    aDeployment({ spec })
      .with(withKeys('node-4'), fromSnapshot, linkDown('node-4', 400), ...breaks)
      .plan()
  const failovers = (...breaks: readonly Break[]) => older(...breaks).actions.filter(({ kind }) => kind === 'failover')
  const letGo = (...breaks: readonly Break[]) =>
    older(...breaks).actions.some((action) => action.kind === 'configure' && action.node === 'node-1')

  test('is taken over by the copy that has what came after it', () => {
    expect(older()).toMatchObject({
      actions: [{ kind: 'failover', node: 'node-4', mode: 'force' }],
      because: expect.stringContaining(
        'node-1 was started again by somebody else, with older data (primary of shard-1)',
      ),
    })
  })

  test('is let go where no copy has more, and gives nothing before all have answered', () => {
    expect(failovers(withFacts('node-4', { offset: offset - 900 }))).toEqual([])
    expect(letGo(withFacts('node-4', { offset: offset - 900 }))).toBe(true)
    expect(letGo(dead('node-4'))).toBe(false)
    expect(letGo(dead('node-4'), failedStarts('node-4', 3, 0))).toBe(true)
  })

  test('and is judged by their snapshots where the copy was started again as well', () => {
    const restarted = withFacts('node-4', { uptimeSeconds: 0 })
    expect(failovers(restarted)).toHaveLength(1)
    // Of two histories nobody knows which is later: the one that was primary has it.
    const apart = withFacts('node-4', { replid: 'd'.repeat(40), uptimeSeconds: 0 })
    expect(failovers(apart)).toEqual([])
    expect(letGo(apart)).toBe(true)
  })

  test('of class durable: neither let go nor followed before every copy was read', () => {
    const durable = (...breaks: readonly Break[]) =>
      aDeployment({ replicas: 2, spec: { ...spec, durability: 'durable' } })
        .with(fromSnapshot, linkDown('node-4', 400), linkDown('node-7', 400), ...breaks)
        .plan()
    expect(durable(withFacts('node-7', { offset: offset - 10 })).actions).toMatchObject([
      { kind: 'failover', node: 'node-4' },
    ])
    expect(durable(dead('node-7')).actions).not.toContainEqual(
      expect.objectContaining({ kind: 'configure', node: 'node-1' }),
    )
  })
})
