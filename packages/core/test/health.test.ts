import { describe, expect, test } from 'vitest'
import type { Health, HealthQuestion, NodeStatus, Status } from '../src/index.ts'
import { judgeHealth, parseLagLimit } from '../src/index.ts'
import { aReadyStatus } from './support/ready-status.ts'

/** Two shards: node-1 and node-2 are the primaries, node-3 and node-4 their replicas. */
const ready = aReadyStatus({}, { shardCount: 2, copies: 2 })

const withNode = (id: string, parts: Partial<NodeStatus>, status: Status = ready): Status => ({
  ...status,
  nodes: status.nodes.map((node) => (node.id === id ? { ...node, ...parts } : node)),
})

function ask(status: Status, id: string, question: HealthQuestion, options: { agoMs?: number; lag?: string } = {}) {
  const node = status.nodes.find((one) => one.id === id) as NodeStatus
  const limit = options.lag === undefined ? null : (parseLagLimit(options.lag) ?? null)
  return judgeHealth(status, node, question, { agoMs: options.agoMs ?? 100, limit })
}

const no = (because: string): Health => ({ healthy: false, because })

describe('whether a load balancer may send clients to a node', () => {
  test('exactly one node of each shard is its primary', () => {
    const yes = ready.nodes.filter(({ id }) => ask(ready, id, 'primary').healthy).map(({ id }) => id)
    expect(yes).toEqual(['node-1', 'node-2'])
    expect(ask(ready, 'node-3', 'primary')).toEqual(no('node-1 is primary of shard-1'))
  })

  test('an old primary that says so still is none', () => {
    const both = withNode('node-3', { role: 'primary', link: null })
    expect(ask(both, 'node-3', 'primary')).toEqual(no('node-1 is primary of shard-1'))
    expect(ask(both, 'node-1', 'primary').healthy).toBe(true)
  })

  test('where nobody knows the primary, nobody is', () => {
    const shards = ready.shards.map((shard) => ({ ...shard, primary: null }))
    for (const { id } of ready.nodes) expect(ask({ ...ready, shards }, id, 'primary').healthy, id).toBe(false)
    expect(ask({ ...ready, shards }, 'node-3', 'replica')).toEqual(no('nobody is known to be primary of shard-1'))
  })

  test.each(['frozen', 'silent', 'dead', 'stopped', 'unknown', 'starting', 'busy'] as const)(
    'not one that is %s',
    (state) => {
      for (const question of ['primary', 'replica', 'read-only'] as const)
        expect(ask(withNode('node-1', { state }), 'node-1', question)).toEqual(no(`node-1 is ${state}`))
    },
  )

  test('one that is fenced says who and why', () => {
    const fenced = withNode('node-1', { fence: { epoch: 7, reason: 'cut off' } })
    expect(ask(fenced, 'node-1', 'primary')).toEqual(no('node-1 is fenced: cut off'))
  })

  test('what is old is not known any more, and neither is what lies ahead of the clock', () => {
    for (const agoMs of [3001, -3001])
      for (const question of ['primary', 'replica', 'read-only', 'alive'] as const)
        expect(ask(ready, 'node-1', question, { agoMs })).toEqual(no('unknown: nobody has looked for 3 s'))
    const once = withNode('node-1', { seenAt: ready.observedAt - 4000 })
    expect(ask(once, 'node-1', 'primary')).toEqual(no('unknown: node-1 was last seen 4.1 s ago'))
  })

  test('a controller that does not keep the deployment does not say who its primary is', () => {
    const lost = { ...ready, controller: { ...ready.controller, lease: 'lost' as const } }
    expect(ask(lost, 'node-1', 'primary')).toEqual(
      no('unknown: the controller that answers does not keep this deployment'),
    )
    expect(ask(lost, 'node-3', 'replica').healthy).toBe(true)
  })

  test('a replica is one with its link up, as far behind as is allowed', () => {
    const behind = withNode('node-3', { lag: 2048, ackAgeSeconds: 2 })
    expect(ask(behind, 'node-3', 'replica').healthy).toBe(true)
    expect(ask(behind, 'node-3', 'replica', { lag: '2kb' })).toEqual({
      healthy: true,
      because: 'node-3 is 2 KB behind',
    })
    expect(ask(behind, 'node-3', 'replica', { lag: '2047' })).toEqual(no('node-3 is 2 KB behind'))
    expect(ask(behind, 'node-3', 'replica', { lag: '2s' }).healthy).toBe(true)
    expect(ask(behind, 'node-3', 'replica', { lag: '1s' })).toEqual(no('node-3 was last acknowledged 2 s ago'))
    expect(ask(ready, 'node-1', 'replica')).toEqual(no('node-1 is no replica'))
    expect(ask(withNode('node-3', { link: 'down' }), 'node-3', 'replica')).toEqual(no('node-3 has lost its link'))
  })

  test('how far behind it is, is unknown and not nothing where nobody knows', () => {
    const unknown = withNode('node-3', { lag: null, ackAgeSeconds: null })
    expect(ask(unknown, 'node-3', 'replica', { lag: '1gb' })).toEqual(
      no('unknown: nobody knows how far node-3 is behind'),
    )
    expect(ask(unknown, 'node-3', 'replica', { lag: '1h' }).healthy).toBe(false)
  })

  test('a time below a second is one that no engine can tell', () => {
    expect(ask(withNode('node-3', { ackAgeSeconds: 1 }), 'node-3', 'replica', { lag: '500ms' }).healthy).toBe(true)
  })

  test('reads may go to the primary and to its replicas', () => {
    const yes = ready.nodes.filter(({ id }) => ask(ready, id, 'read-only', { lag: '1s' }).healthy)
    expect(yes).toHaveLength(4)
    expect(ask(withNode('node-3', { role: 'primary', link: null }), 'node-3', 'read-only').healthy).toBe(false)
  })

  test('loading and busy ones are alive: nobody shall restart them', () => {
    const alive = (state: NodeStatus['state']) => ask(withNode('node-1', { state }), 'node-1', 'alive').healthy
    expect((['ok', 'syncing', 'starting', 'busy'] as const).map(alive)).toEqual([true, true, true, true])
    expect((['frozen', 'silent', 'dead', 'stopped', 'unknown'] as const).map(alive)).not.toContain(true)
  })
})

test('a limit is a time or a size', () => {
  expect(parseLagLimit('500ms')).toEqual({ ms: 500 })
  expect(parseLagLimit('1mb')).toEqual({ bytes: 1024 ** 2 })
  expect(parseLagLimit('4096')).toEqual({ bytes: 4096 })
  expect(parseLagLimit('soon')).toBeUndefined()
})
