import { describe, expect, test } from 'vitest'
import type { Status, Topology } from '../src/index.ts'
import { statusOf, topologyOf, withChange } from '../src/index.ts'
import type { Break } from './support/deployment.ts'
import { aDeployment, dead } from './support/deployment.ts'

const wallNow = 1_718_000_000_000

function statusAfter(...breaks: readonly Break[]): Status {
  const deployment = aDeployment().with(...breaks)
  return statusOf({
    document: deployment.document,
    spec: deployment.spec,
    picture: deployment.picture(),
    plan: deployment.plan(),
    controller: { id: 'c1', epoch: 4, lease: 'held' },
    engine: null,
    wallNow,
  })
}

const withPrimary = (status: Status, primary: string | null, observedAt = wallNow): Status => ({
  ...status,
  observedAt,
  shards: status.shards.map((shard) => (shard.id === 'shard-1' ? { ...shard, primary } : shard)),
})
const changeIn = ({ shards }: Topology) => shards[0]?.change

describe('the topology that applications are told', () => {
  test('has the slots, the addresses, and no change while nothing changes', () => {
    const { shards, ...rest } = topologyOf(statusAfter())
    expect(rest).toEqual({ apiVersion: 1, name: 'shop', topology: 'cluster', epoch: expect.any(Number) })
    expect(shards).toHaveLength(3)
    expect(shards[0]).toEqual({
      id: 'shard-1',
      slots: [[0, 5460]],
      primary: { node: 'node-1', host: '127.0.0.1', port: 7001 },
      replicas: [{ node: 'node-4', host: '127.0.0.1', port: 7004 }],
      change: null,
    })
  })

  test('a dead primary is the beginning of a failover, and another primary its end', () => {
    const begun = topologyOf(statusAfter(dead('node-1')), topologyOf(statusAfter()))
    expect(begun.shards[0]?.primary).toBe(null)
    expect(changeIn(begun)).toEqual({ kind: 'failover', to: null, since: wallNow })
    const asked = withChange(begun, { kind: 'failover', to: 'node-4', since: wallNow + 3 })
    expect(changeIn(asked)).toEqual({ kind: 'failover', to: 'node-4', since: wallNow })
    const still = topologyOf(withPrimary(statusAfter(), null, wallNow + 10), asked)
    expect(changeIn(still)).toEqual({ kind: 'failover', to: 'node-4', since: wallNow })
    expect(changeIn(topologyOf(withPrimary(statusAfter(), 'node-4'), still))).toBe(null)
  })

  test('a switchover lasts until its heir is the primary, and is over in the end where it never is', () => {
    const asked = withChange(topologyOf(statusAfter()), { kind: 'switchover', to: 'node-4', since: wallNow })
    expect(asked.shards.map(({ change }) => change?.kind)).toEqual(['switchover', undefined, undefined])
    const goesOn = topologyOf(withPrimary(statusAfter(), 'node-1', wallNow + 500), asked)
    expect(changeIn(goesOn)).toEqual({ kind: 'switchover', to: 'node-4', since: wallNow })
    expect(changeIn(topologyOf(withPrimary(statusAfter(), 'node-4', wallNow + 600), goesOn))).toBe(null)
    expect(changeIn(topologyOf(withPrimary(statusAfter(), 'node-1', wallNow + 10_000), goesOn))).toBe(null)
  })

  test('what shall be down, or was never up, fails over to nobody', () => {
    const status = withPrimary(statusAfter(), null)
    expect(changeIn(topologyOf({ ...status, wanted: 'down' }))).toBe(null)
    expect(changeIn(topologyOf({ ...status, settledRevision: 0 }))).toBe(null)
  })
})
