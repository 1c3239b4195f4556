import { describe, expect, test } from 'vitest'
import type { Action, Plan } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { absent, aDeployment, agentOf, behind, dead, linkDown, loading, withoutAgent } from '../support/deployment.ts'
import { withOperation } from '../support/operations.ts'
import { aBackup, withJob, withShelfJob } from '../support/transfers.ts'

const jobsIn = ({ actions }: Plan): string[] =>
  actions.flatMap((action: Action) => (action.kind === 'work' ? [`${action.job.id} on ${action.node}`] : []))

const running = (): Deployment => aDeployment().with(withOperation(aBackup()))
const shardsDone = ['shard-1', 'shard-2', 'shard-3'].map((id, index) =>
  withJob(`node-${index + 4}`, `b1/${id}`, 'done'),
)
const sealed = withShelfJob('b1/seal', 'done', '/backups/shop/b1: 3 files, 3 MB')
const operationIn = ({ operations = [] }: Plan) => operations[0]

describe('a backup', () => {
  test('begins once the deployment is ready, and remembers who has which slots', () => {
    const asked = withOperation(
      aBackup({ state: 'asked', slots: null, beganAt: null, expiresAt: Number.MAX_SAFE_INTEGER }),
    )
    expect(aDeployment().with(asked, linkDown('node-4', 500)).plan().operations).toBeUndefined()
    const begun = operationIn(aDeployment().with(asked).plan())
    expect(begun).toMatchObject({ state: 'running', slots: { 'shard-2': [[5461, 10922]] } })
  })

  test('takes one shard at a time of a machine, from its replica', () => {
    const plan = running().plan()
    expect(jobsIn(plan)).toEqual(['b1/shard-1 on node-4'])
    expect(plan.because).toBe('backup b1: shard-1 from node-4')
    const later = running()
      .with(withJob('node-4', 'b1/shard-1', 'running'))
      .plan()
    expect(later.actions).toEqual([])
    expect(later.because).toContain('shard-1 under way')
  })

  test('goes on with the next one, and does not take again what is whole', () => {
    expect(
      jobsIn(
        running()
          .with(withJob('node-4', 'b1/shard-1', 'done'))
          .plan(),
      ),
    ).toEqual(['b1/shard-2 on node-5'])
  })

  test('begins again what a controller that was killed had begun', () => {
    const plan = running()
      .with(withJob('node-4', 'b1/shard-1', 'interrupted'))
      .plan()
    expect(jobsIn(plan)).toEqual(['b1/shard-1 on node-4'])
  })

  test('takes the copy that has most', () => {
    const three = aDeployment({ replicas: 2 }).with(withOperation(aBackup()), behind('node-4', 400))
    expect(jobsIn(three.plan())).toEqual(['b1/shard-1 on node-7'])
  })

  test('not from a host without the memory that a snapshot may take, as long as another has it', () => {
    const short: Break = (world) => {
      agentOf(world, 'node-4').freeMemoryBytes = 1024 ** 2
    }
    const three = aDeployment({ replicas: 2 }).with(withOperation(aBackup()))
    expect(jobsIn(three.plan())).toEqual(['b1/shard-1 on node-4'])
    expect(jobsIn(three.with(short).plan())).toEqual(['b1/shard-1 on node-7'])
    const refused = running().with(short).plan()
    expect(jobsIn(refused)).toEqual([])
    expect(operationIn(refused)).toMatchObject({
      state: 'failed',
      because: expect.stringMatching(/node-4: a save needs .* of memory .*, and 1 MB are free\. Free some there/),
    })
  })

  test('never one that is not in sync: it waits, and does not fall on the primary', () => {
    const plan = running()
      .with(linkDown('node-4', 500), withJob('node-5', 'b1/shard-2', 'done'), withJob('node-6', 'b1/shard-3', 'done'))
      .plan()
    expect(jobsIn(plan)).toEqual([])
    expect(plan.because).toContain('shard-1 has no copy in sync')
  })

  test('takes the primary where there is no other copy, and says so', () => {
    const alone = aDeployment({ replicas: 0 }).with(withOperation(aBackup()))
    expect(alone.plan().because).toContain('shard-1 from node-1, its primary: it has no copy in sync')
  })

  test('stops where slots have moved since it began: its files would not fit together', () => {
    const moved = aDeployment().with(withOperation(aBackup({ slots: { 'shard-1': [[0, 9]] } })))
    expect(operationIn(moved.plan())).toMatchObject({ state: 'failed' })
    expect(operationIn(moved.plan())?.because).toContain('slots of shard-1 moved while it ran')
  })

  test('is sealed when all shards are there, loaded for trial, and then old ones go', () => {
    const whole = running().with(...shardsDone)
    expect(jobsIn(whole.plan())).toEqual(['b1/seal on shelf'])
    expect(jobsIn(whole.with(sealed).plan())).toEqual(['b1/verify on shelf'])
    const verified = whole.with(sealed, withShelfJob('b1/verify', 'done', 'verified: 300 keys'))
    expect(jobsIn(verified.plan())).toEqual(['b1/tidy on shelf'])
    const done = operationIn(verified.with(withShelfJob('b1/tidy', 'done', 'nothing')).plan())
    expect(done).toMatchObject({ state: 'done' })
    expect(done?.because).toContain('/backups/shop/b1: 3 files, 3 MB')
  })

  test('that somebody wanted elsewhere removes nothing there', () => {
    const elsewhere = withOperation(aBackup({ keep: null }))
    const plan = aDeployment()
      .with(elsewhere, ...shardsDone, sealed, withShelfJob('b1/verify', 'done', 'verified: 300 keys'))
      .plan()
    expect(operationIn(plan)).toMatchObject({ state: 'done' })
  })

  test('that does not load is no success, and no reason to remove an older one', () => {
    const broken = withShelfJob('b1/verify', 'done', 'broken: shard-1 does not load')
    const plan = running()
      .with(...shardsDone, sealed, broken)
      .plan()
    expect(jobsIn(plan)).toEqual([])
    expect(operationIn(plan)).toMatchObject({ state: 'failed' })
  })

  test('fails with what its agent says, and then what it has left is removed once', () => {
    const full = withJob('node-4', 'b1/shard-1', 'failed', '/backups/shop: the disk is full')
    const failed = operationIn(running().with(full).plan())
    expect(failed?.because).toBe('backup b1 failed: /backups/shop: the disk is full')
    const over = aDeployment().with(withOperation(aBackup({ state: 'failed' })), full)
    expect(jobsIn(over.plan())).toEqual(['b1/discard on node-4'])
    expect(over.with(withJob('node-4', 'b1/discard', 'done')).plan().actions).toEqual([])
  })

  test('that was cancelled ends what runs of it', () => {
    const cancelled = withOperation(aBackup({ state: 'cancelled' }))
    const plan = aDeployment()
      .with(cancelled, withJob('node-4', 'b1/shard-1', 'running'))
      .plan()
    expect(plan.actions).toEqual([{ kind: 'end-work', node: 'node-4', job: 'b1/shard-1' }])
  })

  test('comes after everything that heals', () => {
    for (const trouble of [dead('node-1'), absent('node-5')]) {
      expect(jobsIn(running().with(trouble).plan())).toEqual([])
    }
    expect(jobsIn(running().with(loading('node-6')).plan())).toEqual(['b1/shard-1 on node-4'])
  })

  test('asks nothing of a machine whose agent does not answer', () => {
    const plan = running()
      .with(...['node-4', 'node-1'].map(withoutAgent))
      .plan()
    expect(jobsIn(plan).some((job) => job.includes('node-4'))).toBe(false)
  })
})
