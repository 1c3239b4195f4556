import { describe, expect, test } from 'vitest'
import type { Break } from '../support/deployment.ts'
import {
  aDeployment,
  askedAgo,
  dead,
  following,
  linkDown,
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
