import { describe, expect, test } from 'vitest'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, askedAgo, dead, linkDown, silentFor, syncing, wallNow, withFacts } from '../support/deployment.ts'
import { asked, operationOf, sameOperation, saved, withOperation } from '../support/operations.ts'

const primaries = { 'shard-1': 'node-4' }
const wanting = (to: string | null, ...breaks: readonly Break[]): Deployment =>
  aDeployment().with(withOperation(asked({ kind: 'switchover', subject: 'shard-1', to })), ...breaks)
/** Decided and saved, and nobody was told yet. */
const begun = (...breaks: readonly Break[]): Deployment => saved(wanting(null)).with(...breaks)
/** The same operation on the deployment in which node-4 has taken over. */
const afterwards = (before: Deployment): Deployment => aDeployment({ primaries }).with(sameOperation(before))

describe('a switchover', () => {
  test('is decided first, and nothing is done before that is saved', () => {
    const plan = wanting(null).plan()
    expect(plan.actions).toEqual([])
    expect(plan.operations).toMatchObject([{ state: 'running', from: 'node-1', to: 'node-4', tries: 0 }])
    expect(plan.because).toBe('node-4 shall take over shard-1 from node-1')
  })

  test('tells the copy to take over, and counts how often', () => {
    const plan = begun().plan()
    expect(plan.actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'switchover' }])
    expect(plan.operations).toMatchObject([{ tries: 1 }])
    expect(plan.because).toBe('node-1 hands shard-1 over to node-4, as ann asked')
  })

  test('waits a moment for a primary that has not answered one look, and not for ever', () => {
    const silent = begun().with(silentFor('node-1', 300))
    expect(silent.plan().operations ?? []).toEqual([])
    const late = silent.with((world) => {
      for (const one of world.document.operations) one.beganAt = wallNow - 5000
    })
    expect(operationOf(late)).toMatchObject({
      state: 'failed',
      because: 'shard-1 is not handed over to node-4: its primary does not answer',
    })
  })

  test('waits while the engine is at it', () => {
    const plan = saved(begun())
      .with(askedAgo('node-4', 4999, 'switchover'))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-4 takes over shard-1 from node-1')
  })

  test('is done when the copy is primary, and says whom it follows', () => {
    const { state, because, endedAt } = operationOf(afterwards(saved(begun())))
    expect({ state, because, endedAt }).toEqual({
      state: 'done',
      because: 'node-4 is primary of shard-1, was node-1: handed over',
      endedAt: wallNow,
    })
  })

  test('is asked for three times at most, and then says that it did not come about', () => {
    let world = begun()
    for (let times = 0; times < 3; times++) {
      world = world.with(askedAgo('node-4', 5000, 'switchover'))
      expect(world.plan().actions).toHaveLength(1)
      world = saved(world)
    }
    const last = world.with(askedAgo('node-4', 5000, 'switchover'))
    expect(last.plan().actions).toEqual([])
    expect(operationOf(last)).toMatchObject({ state: 'failed' })
    expect(last.plan().because).toBe('node-4 did not become primary of shard-1 though it was asked 3 times')
  })

  test('to who is primary already is done at once', () => {
    expect(operationOf(wanting('node-1'))).toMatchObject({
      state: 'done',
      because: 'node-1 is primary of shard-1 already',
    })
  })

  test('chooses the copy with most of the stream, and no drained one', () => {
    const three = aDeployment({ replicas: 3 }).with(
      withOperation(asked({ kind: 'switchover', subject: 'shard-1' })),
      withFacts('node-7', { offset: 50_002 }),
      withFacts('node-10', { offset: 50_001 }),
    )
    expect(operationOf(three)).toMatchObject({ to: 'node-7' })
    const drained = three.with((world) => {
      for (const place of world.document.nodes) if (place.id === 'node-7') place.drained = true
    })
    expect(operationOf(drained)).toMatchObject({ to: 'node-10' })
  })
})

describe('a switchover waits', () => {
  test.each([
    ['for a copy in sync', [syncing('node-4')], 'switchover of shard-1 waits: no copy of it is in sync'],
    ['while its link is down', [linkDown('node-4', 1)], 'switchover of shard-1 waits: no copy of it is in sync'],
  ])('%s', (_, breaks, because) => {
    const plan = wanting(null, ...breaks).plan()
    expect(plan.actions).toEqual([])
    expect(plan.operations ?? []).toEqual([])
    expect(plan.because).toContain(because)
  })

  test('while another shard has no living primary: that one comes first', () => {
    const plan = wanting(null, dead('node-2')).plan()
    expect(plan.actions).toMatchObject([{ kind: 'failover', node: 'node-5' }])
    expect(plan.operations ?? []).toEqual([])
  })

  test('an hour at most', () => {
    const late = wanting(null, syncing('node-4')).with((world) => {
      for (const one of world.document.operations) one.expiresAt = wallNow - 1
    })
    expect(operationOf(late)).toMatchObject({ state: 'failed' })
  })

  test('for its time', () => {
    const later = asked({ kind: 'switchover', subject: 'shard-1', notBefore: wallNow + 700 })
    const plan = aDeployment().with(withOperation(later)).plan()
    expect(plan.operations ?? []).toEqual([])
    expect(plan.lookAgainMs).toBe(700)
  })
})

test('a primary that dies in the middle is failed over, and the switchover says what became of it', () => {
  const dying = saved(begun()).with(dead('node-1'), askedAgo('node-4', 20, 'switchover'))
  expect(dying.plan().actions).toMatchObject([{ kind: 'failover', node: 'node-4', mode: 'force' }])
})

test('another copy that took over meanwhile ends it', () => {
  const three = aDeployment({ replicas: 2, primaries: { 'shard-1': 'node-7' } }).with(sameOperation(saved(begun())))
  const operation = operationOf(three)
  expect(operation).toMatchObject({
    state: 'failed',
    because: 'node-7 became primary of shard-1 meanwhile, and not node-4',
  })
})
