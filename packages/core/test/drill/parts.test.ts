import { expect, test } from 'vitest'
import type { FaultName, FaultOrder, FaultSeen, FaultTarget } from '../../src/index.ts'
import { joinFaults, partsOf } from '../../src/index.ts'

const target = (id: string, hostId: string): FaultTarget => ({
  id,
  hostId,
  shard: 'shard-1',
  role: 'primary',
  host: '10.0.0.1',
  port: 7001,
  pid: 100,
})
const order = (targets: FaultTarget[], fault: FaultName = 'kill-two'): FaultOrder => ({
  id: 'f-1',
  deployment: 'shop',
  fault,
  forMs: 0,
  targets,
  because: fault,
})
const seen = (parts: Partial<FaultSeen>): FaultSeen => ({
  id: 'f-1',
  deployment: 'shop',
  fault: 'disk-full',
  because: 'disk-full',
  targets: ['node-1'],
  injectedAt: 1000,
  healsAt: 2000,
  healedAt: 2000,
  trouble: null,
  ...parts,
})

const shares = (whole: FaultOrder) =>
  partsOf(whole, 'a').map(({ hostId, order: { targets } }) => [hostId, ...targets.map(({ id }) => id)])

test('each host is ordered to do what falls on it', () => {
  const targets = [target('node-1', 'a'), target('node-2', 'b'), target('node-3', 'a')]
  expect(shares(order(targets))).toEqual([
    ['a', 'node-1', 'node-3'],
    ['b', 'node-2'],
  ])
})

test('what falls on nobody is done by one of them, and the controller dies where it is', () => {
  expect(shares(order([], 'storm'))).toEqual([['a']])
  expect(shares(order([], 'kill-controller'))).toEqual([['local']])
})

test('it lasts from its first part to its last', () => {
  const parts = [
    seen({}),
    seen({ targets: ['node-2'], injectedAt: 900, healsAt: 2100, healedAt: null, trouble: 'no room' }),
  ]
  for (const some of [parts, parts.toReversed()]) {
    expect(joinFaults(some)).toMatchObject([{ injectedAt: 900, healsAt: 2100, healedAt: null, trouble: 'no room' }])
    expect(joinFaults(some)[0]?.targets.toSorted()).toEqual(['node-1', 'node-2'])
  }
})

test('the newest is told first', () => {
  expect(joinFaults([seen({}), seen({ id: 'f-2', injectedAt: 5000 })]).map(({ id }) => id)).toEqual(['f-2', 'f-1'])
})
