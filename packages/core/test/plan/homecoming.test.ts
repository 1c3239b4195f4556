import { describe, expect, test } from 'vitest'
import { evenSlots } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import {
  aDeployment,
  askedAgo,
  dead,
  engineIdOf,
  following,
  silentFor,
  syncing,
  viewsOf,
  withFacts,
} from '../support/deployment.ts'

const [shareOfOne, shareOfTwo] = evenSlots(3)

/** node-4 of shard-1 was told to follow node-2, which died: the engines elected it, and it owns shard-2 now. */
const elsewhere: Break = (world) => {
  for (const { entries } of viewsOf(world)) {
    for (const entry of entries) {
      if (entry.engineId === engineIdOf('node-4')) {
        Object.assign(entry, { role: 'primary', follows: null, configEpoch: 9, slots: [shareOfTwo] })
      }
      if (entry.engineId === engineIdOf('node-2')) Object.assign(entry, { role: 'replica', slots: [] })
    }
  }
  withFacts('node-4', { role: 'primary', link: null })(world)
  withFacts('node-2', {
    role: 'replica',
    link: { state: 'up', downSeconds: 0, primaryAddress: '127.0.0.1', primaryPort: 7004, priority: 100 },
  })(world)
  following('node-2', 'node-4')(world)
  following('node-5', 'node-4')(world)
}

const strayed = (...breaks: readonly Break[]): Deployment => aDeployment().with(elsewhere, ...breaks)

describe('slots of a shard on a node of another come home by a hand-over', () => {
  test('to a copy of the shard that is in sync', () => {
    expect(strayed().plan()).toMatchObject({
      actions: [{ kind: 'failover', node: 'node-2', mode: 'switchover' }],
      because: 'node-4 owns the slots of shard-2, and is of shard-1: handing them over to node-2',
    })
  })

  test('not before the link of the heir is up', () => {
    const plan = strayed(syncing('node-2')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('waiting for node-2 to be in sync')
  })

  test('not while the holder does not answer', () => {
    expect(strayed(silentFor('node-4', 300)).plan().actions).toEqual([])
  })

  test('asked once, it is waited for', () => {
    const plan = strayed(askedAgo('node-2', 900, 'switchover')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-2 takes them over')
    expect(strayed(askedAgo('node-2', 1000, 'switchover')).plan().actions).toHaveLength(1)
  })

  test('never beside the promotion of another shard', () => {
    const plan = strayed(dead('node-3'), askedAgo('node-6', 50)).plan()
    expect(plan.actions).toEqual([])
  })

  test('a shard that lost its slots takes none of another: its replica only follows the wrong primary', () => {
    const unowned: Break = (world) => {
      for (const { entries } of viewsOf(world)) {
        for (const entry of entries) if (entry.engineId === engineIdOf('node-1')) entry.slots = []
      }
    }
    const plan = aDeployment().with(unowned, following('node-4', 'node-2')).plan()
    expect(plan.actions).toEqual([{ kind: 'give-slots', node: 'node-1', slots: [shareOfOne], epoch: null }])
  })
})
