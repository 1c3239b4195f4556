import { describe, expect, test } from 'vitest'
import type { Action, JobSeen, Plan } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import { aDeployment, away, withoutAgent } from '../support/deployment.ts'
import { withOperation } from '../support/operations.ts'
import { aBackup, aRestore, withJob, withPlaced, withShelfJob } from '../support/transfers.ts'

const hostOf: Readonly<Record<string, string>> = {
  'node-1': 'a',
  'node-6': 'a',
  'node-2': 'b',
  'node-4': 'b',
  'node-3': 'c',
  'node-5': 'c',
}

/** The layout of three hosts; the shelf is on none of them. */
const onHosts: Break = ({ document, observed }) => {
  for (const place of document.nodes) place.host = hostOf[place.id] ?? ''
  for (const node of observed.nodes) node.host = hostOf[node.id] ?? ''
  observed.shelf = { at: '10.0.0.1', jobs: [] }
}

const onShelf = (id: string, state: JobSeen['state'], because: string | null = null): Break =>
  withShelfJob(id, state, because)

const jobsIn = ({ actions }: Plan): string[] =>
  actions.flatMap((action: Action) => {
    if (action.kind !== 'work') return []
    const { job } = action
    const where = job.kind === 'collect' || job.kind === 'send' ? ` with ${job.host}` : ''
    return [`${job.id} on ${action.node}${where}`]
  })

const operationIn = ({ operations = [] }: Plan) => operations[0]

describe('a backup over hosts', () => {
  const world = aDeployment().with(onHosts, withOperation(aBackup()))
  const [one, two, three] = ['shard-1', 'shard-2', 'shard-3'].map((id, index) =>
    withJob(`node-${index + 4}`, `b1/${id}`, 'done'),
  ) as [Break, Break, Break]
  const collected = ['1', '2', '3'].map((n) => onShelf(`b1/collect-shard-${n}`, 'done'))

  test('takes a snapshot on each of them at once, beside the data', () => {
    const plan = world.plan()
    expect(jobsIn(plan)).toEqual(['b1/shard-1 on node-4', 'b1/shard-2 on node-5', 'b1/shard-3 on node-6'])
    expect(plan.actions).toMatchObject([{ job: { directory: null } }, {}, {}])
  })

  test('collects one at a time, while others are still being taken', () => {
    const plan = world.with(one, two, withJob('node-6', 'b1/shard-3', 'running')).plan()
    expect(jobsIn(plan)).toEqual(['b1/collect-shard-1 on shelf with b'])
    expect(plan.because).toBe('backup b1: collecting shard-1 from b')
    const later = world.with(one, two, three, onShelf('b1/collect-shard-1', 'running')).plan()
    expect(later.actions).toEqual([])
    expect(later.because).toBe('backup b1: collection of shard-1 under way')
  })

  test('begins to collect again where the other machine did not answer', () => {
    const again = world.with(one, two, three, onShelf('b1/collect-shard-1', 'interrupted')).plan()
    expect(jobsIn(again)).toEqual(['b1/collect-shard-1 on shelf with b'])
  })

  test('takes another snapshot where the host that had it is lost, and not while it is being collected', () => {
    const gone = withoutAgent('node-4')
    const more = aDeployment({ replicas: 2 }).with(onHosts, withOperation(aBackup()), ({ document, observed }) => {
      for (const node of [...document.nodes, ...observed.nodes]) if (node.id === 'node-7') node.host = 'c'
    })
    const whole = more.with(one, two, three, ...collected.slice(1), gone)
    expect(jobsIn(whole.plan())).toEqual(['b1/shard-1 on node-7'])
    expect(jobsIn(whole.with(onShelf('b1/collect-shard-1', 'running')).plan())).toEqual([])
  })

  test('needs no host any more for what it has collected', () => {
    const plan = world.with(one, two, three, ...collected, withoutAgent('node-4')).plan()
    expect(jobsIn(plan)).toEqual(['b1/seal on shelf'])
  })

  test('says in the end on whose machine it is', () => {
    const rest = [
      onShelf('b1/seal', 'done', '/backups/shop/b1: 3 files'),
      onShelf('b1/verify', 'done', 'verified: 300 keys'),
      onShelf('b1/tidy', 'done', 'nothing'),
    ]
    const done = operationIn(world.with(one, two, three, ...collected, ...rest).plan())
    expect(done).toMatchObject({ state: 'done', at: '10.0.0.1' })
    expect(done?.because).toContain('backup on 10.0.0.1, /backups/shop/b1')
  })

  test('says where it failed, and leaves nothing anywhere', () => {
    const full = withJob('node-4', 'b1/shard-1', 'failed', 'the disk is full')
    expect(operationIn(world.with(full).plan())?.because).toBe('backup b1 failed: node-4 on host b: the disk is full')
    const over = aDeployment().with(onHosts, withOperation(aBackup({ state: 'failed' })), full, two)
    const withFiles = over.with(onShelf('b1/collect-shard-2', 'done'), withPlaced('node-5', null))
    const { actions } = withFiles.plan()
    expect(actions.map(({ kind, node }) => `${kind} ${node}`)).toEqual(['work shelf', 'clear-restore node-5'])
  })

  test('keeps what lies beside the data until it is over', () => {
    const { actions } = world.with(one, withPlaced('node-4', null)).plan()
    expect(actions.map(({ kind }) => kind)).not.toContain('clear-restore')
  })
})

describe('a restore over hosts', () => {
  const world = aDeployment().with(onHosts, withOperation(aRestore()))

  test('sends each file to the host of the first node, which then judges it', () => {
    expect(jobsIn(world.plan())).toEqual(['r1/send-shard-1 on shelf with a'])
    expect(world.with(onShelf('r1/send-shard-1', 'running')).plan().actions).toEqual([])
    const sent = world.with(onShelf('r1/send-shard-1', 'done'))
    expect(sent.plan().actions).toMatchObject([{ node: 'node-1', job: { kind: 'fetch', from: null } }])
    expect(jobsIn(sent.with(withJob('node-1', 'r1/shard-1', 'done')).plan())).toEqual([
      'r1/send-shard-2 on shelf with b',
    ])
  })

  test('sends it again where whoever sent it is gone, and nothing where it is there already', () => {
    expect(jobsIn(world.with(withJob('node-1', 'r1/shard-1', 'interrupted')).plan())).toEqual([
      'r1/send-shard-1 on shelf with a',
    ])
    const fetched = ['1', '2', '3'].map((n) => withJob(`node-${n}`, `r1/shard-${n}`, 'done'))
    expect(operationIn(world.with(...fetched).plan())).toMatchObject({ stage: 'replacing' })
  })

  test('waits for a host that does not answer, and touches nothing', () => {
    const plan = world.with(away('node-1')).plan()
    expect(jobsIn(plan)).toEqual([])
  })

  test('ends where a file cannot be sent, and says on which host', () => {
    const full = onShelf('r1/send-shard-1', 'failed', 'host a: the disk is full')
    const plan = world.with(full).plan()
    expect(operationIn(plan)).toMatchObject({ state: 'failed', stage: 'fetching' })
    expect(operationIn(plan)?.because).toContain('host a: the disk is full')
  })
})
