import { describe, expect, test } from 'vitest'
import { parseSpec } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import { aDeployment, agentOf, dead, silentFor, wiped } from '../support/deployment.ts'

const one = (fields: Readonly<Record<string, unknown>> = {}) =>
  aDeployment({ shards: 1, replicas: 0, spec: { topology: 'standalone', ...fields } })

const withSnapshot: Break = (world) => {
  agentOf(world, 'node-1').files = { aof: false, rdb: true, rdbNewer: false, claim: null }
}

describe('one engine without a copy', () => {
  test('is ready, and says that nobody answers in its place', () => {
    expect(one().plan()).toMatchObject({
      actions: [],
      because: 'one engine, without a copy: it is away while it is restarted',
    })
  })

  test('a dead one is started with its files, in a locked directory', () => {
    const plan = one().with(dead('node-1')).plan()
    expect(plan.actions).toEqual([expect.objectContaining({ kind: 'start', node: 'node-1', unclustered: true })])
    expect(plan).toMatchObject({ because: 'starting node-1: it is not running, and its files have every write' })
    expect(plan.notes).toEqual([])
  })

  test('from a snapshot it starts with a note of what that may lack', () => {
    const plan = one({ persistence: 'rdb' }).with(withSnapshot, dead('node-1')).plan()
    expect(plan.actions).toHaveLength(1)
    expect(plan.notes).toEqual([
      { kind: 'loss', subject: 'shard-1', because: 'possible loss: node-1 starts from its last snapshot' },
    ])
  })

  test('a cache without persistence starts empty, and says so', () => {
    const plan = one({ persistence: 'none' }).with(wiped('node-1'), dead('node-1')).plan()
    expect(plan.actions).toHaveLength(1)
    expect(plan.notes).toMatchObject([{ kind: 'loss', because: expect.stringMatching(/^data lost: /) }])
  })

  test('what is no cache does not start empty unasked', () => {
    const plan = one({ persistence: 'none', use: 'session' }).with(wiped('node-1'), dead('node-1')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('--accept-data-loss')
  })

  test('a frozen one is killed to be started again', () => {
    const plan = one()
      .with(silentFor('node-1', 3000, 'stopped'))
      .plan()
    expect(plan.actions).toMatchObject([{ kind: 'fence', node: 'node-1' }])
    expect(plan.because).toContain('killing it to start it again')
  })

  test('a frozen one whose data is only in memory is left alone, unless it is a cache', () => {
    const frozen = silentFor('node-1', 3000, 'stopped')
    const session = one({ persistence: 'none', use: 'session' }).with(frozen).plan()
    expect(session.actions).toEqual([])
    expect(session.because).toContain('would cost what is only in its memory')
    expect(one({ persistence: 'none' }).with(frozen).plan().actions).toMatchObject([{ kind: 'fence' }])
  })

  test('has one shard and no replica, written down or not', () => {
    expect(parseSpec({ name: 'shop', topology: 'standalone' })).toMatchObject({ shards: 1, replicasPerShard: 0 })
    expect(() => parseSpec({ name: 'shop', topology: 'standalone', shards: 3 })).toThrow(/one primary, not 3/)
    expect(() => parseSpec({ name: 'shop', topology: 'standalone', replicasPerShard: 1 })).toThrow(/has no replica/)
  })
})
