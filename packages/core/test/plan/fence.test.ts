import { describe, expect, test } from 'vitest'
import {
  aDeployment,
  away,
  fencedAgo,
  loading,
  pidOf,
  saysBusy,
  silentFor,
  starting,
  withoutAgent,
} from '../support/deployment.ts'

const fence = (node: string) => ({ kind: 'fence', node, pid: pidOf(node), startTime: 77 })

describe('a frozen engine is killed, and exactly that process', () => {
  test('no answer for frozenAfter, and no CPU time used', () => {
    expect(aDeployment().with(silentFor('node-1', 2000)).plan()).toEqual({
      actions: [fence('node-1')],
      because:
        'node-1 has not answered for 2 s and uses no CPU: frozen, killing it so that it cannot wake up as a second primary',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('no answer for frozenAfter, and stopped by a signal', () => {
    const plan = aDeployment()
      .with(silentFor('node-1', 2400, 'stopped'))
      .plan()
    expect(plan.actions).toEqual([fence('node-1')])
    expect(plan.because).toBe(
      'node-1 has not answered for 2.4 s and is stopped: frozen, killing it so that it cannot wake up as a second primary',
    )
  })

  test('a replica too', () => {
    expect(aDeployment().with(silentFor('node-4', 2000)).plan().actions).toEqual([fence('node-4')])
  })

  test('frozenAfter is what the spec says', () => {
    const patient = aDeployment({ spec: { timeouts: { frozenAfter: '10s' } } })
    expect(patient.with(silentFor('node-1', 9999)).plan().actions).toEqual([])
    expect(patient.with(silentFor('node-1', 10_000)).plan().actions).toEqual([fence('node-1')])
  })

  test('one in a turn: of two frozen at once the second waits for the next look', () => {
    const plan = aDeployment().with(silentFor('node-1', 3000), silentFor('node-2', 3000)).plan()
    expect(plan.actions).toEqual([fence('node-1')])
  })
})

describe('silence before frozenAfter is suspicion only', () => {
  test('it is looked at again as soon as there could be proof', () => {
    expect(aDeployment().with(silentFor('node-1', 1500)).plan()).toEqual({
      actions: [],
      because: 'node-1 has not answered for 1.5 s: suspicion only',
      notes: [],
      lookAgainMs: 50,
    })
  })
})

describe('a busy engine is never killed, and never replaced', () => {
  test.each([2000, 29_000, 31_000, 3_600_000])('silent for %i ms and burning CPU', (ms) => {
    const plan = aDeployment()
      .with(silentFor('node-1', ms, 'burning CPU'))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('but burns CPU: busy, left alone')
  })

  test('after busyAfter a person is told that it is long', () => {
    expect(
      aDeployment()
        .with(silentFor('node-1', 30_000, 'burning CPU'))
        .plan().because,
    ).toBe('node-1 has not answered for 30 s but burns CPU: busy, left alone, longer than busyAfter')
  })

  test('BUSY and LOADING are answers', () => {
    const busy = aDeployment().with(saysBusy('node-1')).plan()
    expect(busy.actions).toEqual([])
    expect(busy.because).toBe('node-1 is busy with a script: left alone')
    expect(aDeployment().with(loading('node-1')).plan().actions).toEqual([])
  })
})

describe('what is not seen is left alone', () => {
  test('a host that does not answer', () => {
    const plan = aDeployment().with(away('node-1')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('cannot see node-1')
  })

  test('an engine that does not answer, of an agent that does not answer', () => {
    expect(aDeployment().with(silentFor('node-1', 60_000), withoutAgent('node-1')).plan().actions).toEqual([])
  })

  test('an engine that turns us away, or is not listening yet', () => {
    expect(aDeployment().with(starting('node-1')).plan().actions).toEqual([])
  })
})

describe('at most one such kill a shard in ten minutes', () => {
  test('what freezes again has another cause: it is told, and left', () => {
    expect(aDeployment().with(silentFor('node-1', 3000), fencedAgo('node-1', 599_999)).plan()).toMatchObject({
      actions: [],
      because:
        'node-1 has not answered for 3 s and uses no CPU: frozen, but shard-1 had a frozen engine killed 10 min ago: not again yet',
    })
  })

  test('the kill of a sibling counts', () => {
    expect(aDeployment().with(silentFor('node-1', 3000), fencedAgo('node-4', 60_000)).plan().actions).toEqual([])
  })

  test('the kill of another shard does not', () => {
    expect(aDeployment().with(silentFor('node-1', 3000), fencedAgo('node-2', 1000)).plan().actions).toEqual([
      fence('node-1'),
    ])
  })

  test('after ten minutes it may be done again', () => {
    const again = aDeployment().with(silentFor('node-1', 3000), fencedAgo('node-1', 600_000))
    expect(again.plan().actions).toEqual([fence('node-1')])
  })
})
