import { describe, expect, test } from 'vitest'
import type { JobSeen, Plan, Rebalance, SlotRange } from '../../src/index.ts'
import { moveTermsDefault, operationFor } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, agentOf, dead, engineIdOf, factsOf, linkDown } from '../support/deployment.ts'
import { withOperation } from '../support/operations.ts'

/* Three shards with a third each; shard-1 is to have half, and 2731 slots go there from the other two. */
const wanted = {
  'shard-1': [
    [0, 6826],
    [15_019, 16_383],
  ],
  'shard-2': [[6827, 10_922]],
  'shard-3': [[10_923, 15_018]],
} as const satisfies Record<string, readonly SlotRange[]>

const asked = (fields: Partial<Rebalance> = {}): Rebalance => {
  const wish = { kind: 'rebalance', id: 'r1', subject: 'shop', weights: { 'shard-1': 2 } } as const
  return { ...(operationFor(wish, 'ann', 0) as Rebalance), expiresAt: Number.MAX_SAFE_INTEGER, ...fields }
}
const running = (fields: Partial<Rebalance> = {}): Deployment =>
  aDeployment().with(withOperation(asked({ state: 'running', wanted, slotsToMove: 2731, beganAt: 0, ...fields })))

const moveJob = (node: string, lane: string, state: JobSeen['state'], more: Partial<JobSeen> = {}): Break => {
  return (world) => {
    const job: JobSeen = { id: `r1/${lane}`, kind: 'move', state, bytes: 0, because: 'it said so', ...more }
    const agent = agentOf(world, node)
    agent.jobs = [...(agent.jobs ?? []), job]
  }
}
const jobsIn = ({ actions }: Plan): unknown[] =>
  actions.map((action) =>
    action.kind === 'work' ? [action.node, action.job.id, 'slots' in action.job && action.job.slots] : action,
  )
const moves = (job: string) => [['node-2', job, [[5461, 6826]]]]
const operationIn = ({ operations = [] }: Plan) => operations[0]

describe('a rebalance', () => {
  test('decides once what each shard shall have, when the deployment is ready', () => {
    const begun = operationIn(aDeployment().with(withOperation(asked())).plan())
    expect(begun).toMatchObject({ state: 'running', wanted, slotsToMove: 2731, ...moveTermsDefault })
    expect(begun?.because).toContain('2731 slots are to move: 1366 from shard-2 to shard-1, 1365 from shard-3')
    const notReady = aDeployment().with(withOperation(asked()), linkDown('node-4', 500)).plan()
    expect(notReady.operations).toBeUndefined()
  })

  test('does not begin where shards have come since it was decided', () => {
    const { 'shard-3': _, ...before } = wanted
    const late = operationIn(
      aDeployment()
        .with(withOperation(asked({ wanted: before })))
        .plan(),
    )
    expect(late).toMatchObject({ state: 'failed', because: expect.stringContaining('other shards by now') })
  })

  test('begins with the bigger move, on the node that has the slots', () => {
    const plan = running().plan()
    expect(jobsIn(plan)).toEqual(moves('r1/shard-2>shard-1#1'))
    expect(plan.actions[0]).toMatchObject({
      job: { target: { port: 7001 }, targetId: engineIdOf('node-1'), mover: 'best', bytesPerSecond: null },
    })
  })

  test('a shard is in one move at a time', () => {
    const plan = running()
      .with(moveJob('node-2', 'shard-2>shard-1#1', 'running', { slots: [[5461, 6826]] }))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('rebalance of shop: 0 of 2731 slots moved')
  })

  test('what was interrupted is begun again, and what failed as another attempt', () => {
    const interrupted = running().with(moveJob('node-2', 'shard-2>shard-1#1', 'interrupted'))
    expect(jobsIn(interrupted.plan())).toEqual(moves('r1/shard-2>shard-1#1'))
    const failed = running().with(moveJob('node-2', 'shard-2>shard-1#2', 'failed'))
    expect(jobsIn(failed.plan())).toEqual(moves('r1/shard-2>shard-1#3'))
  })

  test('ends where a move fails again and again, with its reason', () => {
    const plan = running()
      .with(moveJob('node-2', 'shard-2>shard-1#5', 'failed', { because: 'the target is out of memory' }))
      .plan()
    expect(operationIn(plan)).toMatchObject({ state: 'failed' })
    expect(operationIn(plan)?.because).toContain('stopped after 5 attempts: node-2: the target is out of memory')
  })

  test('moves nothing while a shard has no living primary', () => {
    const plan = running().with(dead('node-3')).plan()
    expect(plan.actions.filter(({ kind }) => kind === 'work')).toEqual([])
  })

  test('is done once every shard has its share, and says which slots stay', () => {
    const done = running({
      wanted: { 'shard-1': [[0, 5460]], 'shard-2': [[5461, 10_922]], 'shard-3': [[10_923, 16_383]] },
    })
    expect(operationIn(done.plan())).toMatchObject({ state: 'done' })
    const but = running({
      wanted: {
        'shard-1': [
          [0, 5460],
          [5470, 5470],
        ],
        'shard-2': [
          [5461, 5469],
          [5471, 10_922],
        ],
        'shard-3': [[10_923, 16_383]],
      },
    })
      .with(moveJob('node-2', 'shard-2>shard-1#1', 'done', { left: [5470] }))
      .plan()
    expect(operationIn(but)).toMatchObject({ state: 'done' })
    expect(operationIn(but)?.because).toContain('1 slot stays (5470): a key of theirs is too big to move')
  })

  test('a pause ends the moves that run, and begins none', () => {
    const paused: Break = (world) => {
      world.document = { ...world.document, paused: { by: 'ann', at: 0, until: null, because: 'a look' } }
    }
    const plan = running()
      .with(moveJob('node-2', 'shard-2>shard-1#1', 'running'), paused)
      .plan()
    expect(plan.actions).toEqual([{ kind: 'end-work', node: 'node-2', job: 'r1/shard-2>shard-1#1' }])
    expect(running().with(paused).plan().actions).toEqual([])
  })
})

describe('slots on their way', () => {
  const open: Break = (world) => {
    factsOf(world, 'node-2').view.open.push({ slot: 5461, direction: 'migrating', peer: engineIdOf('node-1'), keys: 3 })
    factsOf(world, 'node-1').view.open.push({ slot: 5461, direction: 'importing', peer: engineIdOf('node-2'), keys: 1 })
  }

  test('are left to the agent that moves them, and nothing is wrong with them', () => {
    const moving = running().with(open, moveJob('node-2', 'shard-2>shard-1#1', 'running', { slots: [[5461, 6826]] }))
    expect(moving.plan().actions).toEqual([])
  })

  test('are mended first where nobody moves them any more', () => {
    const left = running().with(open, moveJob('node-2', 'shard-2>shard-1#1', 'interrupted', { slots: [[5461, 6826]] }))
    expect(left.plan().actions).toMatchObject([{ kind: 'finish-move', node: 'node-2', slot: 5461 }])
  })
})
