import { expect, test } from 'vitest'
import type { Incident } from '../../src/index.ts'
import {
  describeLedger,
  describeLoss,
  describePromotion,
  formatShare,
  madeWorseBy,
  parseSpec,
} from '../../src/index.ts'

const anIncident = (parts: Partial<Incident> = {}): Incident => ({
  id: 'shop-1',
  deployment: 'shop',
  kind: 'death',
  beganAt: 0,
  endedAt: 300,
  shards: ['shard-1'],
  because: 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it',
  timeline: [],
  promotions: [{ shard: 'shard-1', from: 'node-1', to: 'node-4', offsetBefore: 10, offsetAfter: 10 }],
  possiblyLostBytes: 0,
  madeWorseBy: [],
  notWritableMs: { 'shard-1': 60 },
  drill: null,
  ...parts,
})

test('the ledger in one line', () => {
  const month = { observedMs: 30 * 86_400_000, notWritableMs: 3100, ratio: 1 - 3100 / (30 * 86_400_000) }
  const incidents = [anIncident(), anIncident(), anIncident({ drill: 'fault-1' })]
  expect(describeLedger(month, incidents)).toBe('99.999 % in 30 days; 3.1 s not writable; 2 deaths, 1 drill')
  expect(describeLedger({ observedMs: 9000, notWritableMs: 0, ratio: 1 }, [])).toBe('100 % in 9 s; no incident')
  expect(describeLedger({ observedMs: 0, notWritableMs: 0, ratio: null }, [anIncident({ kind: 'loss' })])).toBe(
    'nobody has looked; 1 loss',
  )
})

test('an outage, however short, is never rounded away', () => {
  expect([1, 0.9999999, 0.99998, 0.5, 0, 0.07].map(formatShare)).toEqual([
    '100 %',
    '99.999 %',
    '99.998 %',
    '50 %',
    '0 %',
    '7 %',
  ])
})

test('who took over, and what may be lost, no more than is known', () => {
  const promotion = { shard: 'shard-1', from: 'node-1', to: 'node-4', offsetBefore: 17, offsetAfter: 15 }
  expect(describePromotion(promotion)).toBe('node-4 in place of node-1, at offset 15; node-1 was last seen at 17')
  expect(describePromotion({ ...promotion, from: null, offsetBefore: null, offsetAfter: null })).toBe(
    'node-4 in place of nobody, at an offset that was not seen',
  )
  expect(describeLoss(anIncident({ possiblyLostBytes: null }))).toBe('not known')
  expect(describeLoss(anIncident({ possiblyLostBytes: 2048 }))).toBe('2 KB that whoever took over did not have')
  expect(describeLoss(anIncident())).toBe('nothing of what was last seen')
  expect(describeLoss(anIncident({ kind: 'outage', promotions: [] }))).toBe('nothing')
})

test('what made it worse is told with its remedy, and only what had a part in it', () => {
  const told = (spec: Record<string, unknown>, incident: Partial<Incident>) =>
    madeWorseBy(anIncident(incident), parseSpec({ name: 'shop', ...spec }))
  expect(told({}, {})).toEqual([])
  expect(told({ replicasPerShard: 0, persistence: 'none' }, { promotions: [] })).toEqual([
    'shard-1 had no replica, so nobody could take over: set replicasPerShard to 1 or more',
    'persistence is none, so what no living copy held was gone: set persistence to hybrid',
  ])
  expect(told({ replicasPerShard: 0, shardOverrides: { 1: { replicas: 1 } } }, {})).toEqual([])
  expect(told({ persistence: 'none' }, {})).toEqual([])
  expect(told({ persistence: 'rdb' }, { kind: 'loss' })).toEqual([
    'persistence is rdb, so all since the last snapshot was at stake: set persistence to hybrid',
  ])
  expect(told({ timeouts: { frozenAfter: '10s', busyAfter: '30s' } }, { kind: 'freeze' })).toEqual([
    'timeouts.frozenAfter is 10 s, and no freeze is proven sooner: the default is 2s',
  ])
  expect(told({ timeouts: { frozenAfter: '10s', busyAfter: '30s' } }, {})).toEqual([])
  expect(told({ fullCoverage: 'yes' }, { notWritableMs: { 'shard-1': 60, 'shard-2': 55 } })).toEqual([
    'fullCoverage is yes, so one missing shard stopped all of them: set fullCoverage to no',
  ])
  expect(told({ failover: { maxLag: { bytes: '1kb' } } }, { kind: 'loss' })).toEqual([
    'failover.maxLag.bytes is 1 KB, so replicas further behind had to wait: the default is 1mb',
  ])
  expect(told({ timeouts: { node: '15s' } }, { kind: 'outage' })).toEqual([
    'timeouts.node is 15 s, and the engines fail over no sooner: the default is 5s',
  ])
  const oom = 'shard-1 cannot be written to: OOM command not allowed when used memory > maxmemory'
  expect(told({ memory: { policy: 'noeviction' } }, { kind: 'outage', promotions: [], because: oom })).toEqual([
    'memory.policy is noeviction, so writes are refused at the limit: raise memory.maxPerNode, or let keys be evicted',
  ])
})
