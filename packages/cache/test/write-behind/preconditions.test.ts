import { expect, test } from 'vitest'
import { judge, type Keeping, keepingOf, refusalOf } from '../../src/write-behind/preconditions.ts'

const sound: Keeping = { node: 'a:1', policy: 'noeviction', appendOnly: true, snapshots: false, replicas: 1 }
const durable = { copies: 1, withinMs: 1000 }
const verdict = (keeping: Partial<Keeping>, { lossy = false, unchecked = false } = {}) => {
  const judgement = judge([{ ...sound, ...keeping }], { durable })
  return refusalOf(judgement, { lossy, unchecked })?.message
}

test('starts on an engine that keeps what it is given', () => {
  for (const policy of ['noeviction', 'volatile-lru', 'volatile-ttl']) expect(verdict({ policy })).toBeUndefined()
})

test('refuses an engine that evicts, and says what to set', () => {
  const message = verdict({ policy: 'allkeys-lru' })
  expect(message).toContain('a:1 has maxmemory-policy allkeys-lru')
  expect(message).toContain('set it to noeviction')
  expect(message).toContain('lossy: true')
})

test('refuses an engine that would come back empty', () => {
  expect(verdict({ appendOnly: false, snapshots: false })).toContain('set appendonly yes')
})

test('says that snapshots are weaker, and starts', () => {
  const judgement = judge([{ ...sound, appendOnly: false, snapshots: true }], { durable })
  expect(refusalOf(judgement, { lossy: false, unchecked: false })).toBeUndefined()
  expect(judgement.weak).toEqual([
    'a:1 keeps snapshots only: when it dies alone, writes since the last one are lost; set appendonly yes',
  ])
})

test('refuses an engine with too few copies', () => {
  expect(verdict({ replicas: 0 })).toContain('a:1 has 0 connected replicas, and durable.copies is 1')
})

test('does not take what it cannot see for good', () => {
  expect(verdict({ policy: undefined })).toContain('does not let us see maxmemory-policy of a:1')
  expect(verdict({ snapshots: undefined, appendOnly: false })).toContain('persistence (appendonly, save) of a:1')
  expect(verdict({ replicas: undefined }, { unchecked: true })).toBeUndefined()
  expect(refusalOf(judge([], { durable }), { lossy: false, unchecked: false })?.message).toContain(
    'no primary is known',
  )
})

test('refuses what is seen to be wrong also when unchecked, and nothing when lossy', () => {
  expect(verdict({ policy: 'allkeys-lfu' }, { unchecked: true })).toContain('allkeys-lfu')
  expect(verdict({ policy: 'allkeys-lfu', replicas: 0 }, { lossy: true })).toBeUndefined()
})

test('one bad primary of several is enough', () => {
  const judgement = judge([sound, { ...sound, node: 'b:2', policy: 'allkeys-random' }], { durable })
  expect(judgement.wrong).toHaveLength(1)
  expect(judgement.wrong[0]).toContain('b:2')
})

test('reads INFO where CONFIG is forbidden', () => {
  const info = [
    'maxmemory_policy:volatile-lru\r',
    'aof_enabled:1\r',
    'connected_slaves:2\r',
    'slave0:ip=127.0.0.1,port=1,state=online,offset=5,lag=0\r',
    'slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r',
  ].join('\n')
  expect(keepingOf('a:1', {}, info)).toEqual({
    node: 'a:1',
    policy: 'volatile-lru',
    appendOnly: true,
    snapshots: undefined,
    // The other one has nothing yet.
    replicas: 1,
  })
  expect(keepingOf('a:1', {}, '')).toEqual({
    node: 'a:1',
    policy: undefined,
    appendOnly: undefined,
    snapshots: undefined,
    replicas: undefined,
  })
})
