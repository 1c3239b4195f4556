import { describe, expect, test } from 'vitest'
import type { OpenSlot, Plan, SlotRange } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, engineIdOf, factsOf, loading, silentFor, viewsOf } from '../support/deployment.ts'

/** This view says that this node has these slots. */
const sees =
  (viewer: string, id: string, slots: readonly SlotRange[], configEpoch?: number): Break =>
  (world) => {
    for (const entry of factsOf(world, viewer).view.entries) {
      if (entry.engineId !== engineIdOf(id)) continue
      entry.slots = slots.map(([from, to]) => [from, to])
      if (configEpoch !== undefined) entry.configEpoch = configEpoch
    }
  }

/** Everybody agrees that it has these slots. */
const owns =
  (id: string, ...slots: readonly SlotRange[]): Break =>
  (world) => {
    for (const node of world.observed.nodes) sees(node.id, id, slots)(world)
  }

const openOn =
  (id: string, slot: number, direction: OpenSlot['direction'], peer: string, keys: number | null): Break =>
  (world) => {
    factsOf(world, id).view.open.push({ slot, direction, peer: engineIdOf(peer), keys })
  }

const give = (node: string, ...slots: readonly SlotRange[]) => ({ kind: 'give-slots', node, slots, epoch: null })
const move = (slot: number, from: string, to: string, port: number) => ({
  kind: 'finish-move',
  node: from,
  slot,
  target: { address: '127.0.0.1', port },
  targetId: engineIdOf(to),
})
const closing = (node: string, slot: number) => ({ kind: 'close-slot', node, slot })

describe('a slot without owner is given to somebody', () => {
  test('to whom the others still name', () => {
    expect(
      aDeployment()
        .with(sees('node-1', 'node-1', [[0, 5459]]))
        .plan(),
    ).toEqual({
      actions: [give('node-1', [5460, 5460])],
      because: 'nobody owns slots 5460: giving them to node-1',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('to the primary of that shard now, if another one is named', () => {
    const promoted = aDeployment({ primaries: { 'shard-1': 'node-4' } })
    const letGo = sees('node-4', 'node-4', [[0, 5459]])
    const hearsay = sees('node-3', 'node-1', [[5460, 5460]])
    const nobodyElse = ['node-1', 'node-2', 'node-5', 'node-6'].map((id) => sees(id, 'node-4', [[0, 5459]]))
    const plan = promoted.with(letGo, hearsay, sees('node-3', 'node-4', [[0, 5459]]), ...nobodyElse).plan()
    expect(plan.actions).toEqual([give('node-4', [5460, 5460])])
  })

  test('to the owner of the slot before it, where nobody is named', () => {
    const plan = aDeployment()
      .with(owns('node-2', [5461, 8000], [8101, 10922]))
      .plan()
    expect(plan.actions).toEqual([give('node-2', [8001, 8100])])
  })

  test('to the first owner, where there is no slot before it', () => {
    expect(
      aDeployment()
        .with(owns('node-1', [10, 5460]))
        .plan().actions,
    ).toEqual([give('node-1', [0, 9])])
  })

  test('each part of a gap over two shards goes to its own', () => {
    const plan = aDeployment()
      .with(sees('node-1', 'node-1', [[0, 5399]]), sees('node-2', 'node-2', [[5501, 10922]]))
      .plan()
    expect(givenIn(plan)).toEqual([give('node-1', [5400, 5460]), give('node-2', [5461, 5500])])
  })

  test('a shard that has none at all, having lost every copy, begins anew with its share', () => {
    const plan = aDeployment().with(owns('node-2')).plan()
    expect(plan.actions).toEqual([give('node-2', [5461, 10922])])
  })

  test('so do two of them side by side', () => {
    const plan = aDeployment().with(owns('node-2'), owns('node-3')).plan()
    expect(givenIn(plan)).toEqual([give('node-2', [5461, 10922]), give('node-3', [10923, 16383])])
  })

  test.each<[title: string, life: Break]>([
    ['does not answer', silentFor('node-5', 300)],
    ['loads', loading('node-5')],
  ])('not while anybody %s: it may be the owner', (_title, life) => {
    const plan = aDeployment()
      .with(sees('node-1', 'node-1', [[0, 5459]]), life)
      .plan()
    expect(givenIn(plan)).toEqual([])
  })

  test('not where nobody owns anything: that is another story', () => {
    const plan = aDeployment().with(owns('node-1'), owns('node-2'), owns('node-3')).plan()
    expect(givenIn(plan)).toEqual([])
  })
})

const givenIn = (plan: Plan) => plan.actions.filter(({ kind }) => kind === 'give-slots')

describe('a slot that was left half moved is moved to its end, or closed', () => {
  const moving = (keys: number | null): Deployment =>
    aDeployment().with(openOn('node-1', 100, 'migrating', 'node-2', keys))

  test('open on both sides: the rest of the keys go to the target, then the slot', () => {
    const plan = moving(7)
      .with(openOn('node-2', 100, 'importing', 'node-1', 3))
      .plan()
    expect(plan.actions).toEqual([move(100, 'node-1', 'node-2', 7002)])
    expect(plan.because).toBe('slot 100 was left half moved from node-1: moving it to node-2')
  })

  test('no key left at the source: the slot follows its keys', () => {
    expect(moving(0).plan().actions).toEqual([move(100, 'node-1', 'node-2', 7002)])
  })

  test('its target is not one of ours: closed', () => {
    const plan = aDeployment()
      .with(openOn('node-1', 100, 'migrating', 'node-99', 7))
      .plan()
    expect(plan.actions).toEqual([closing('node-1', 100)])
    expect(plan.because).toBe('slot 100 was left open on node-1 and its target is not there: closing it')
  })

  test('its target was replaced by its replica: the keys go there', () => {
    const plan = aDeployment({ primaries: { 'shard-2': 'node-5' } })
      .with(openOn('node-1', 100, 'migrating', 'node-2', 7), openOn('node-5', 100, 'importing', 'node-1', 2))
      .plan()
    expect(plan.actions).toEqual([move(100, 'node-1', 'node-5', 7005)])
  })

  test('its target was replaced by its replica, which has the keys and has not heard of the move', () => {
    const plan = aDeployment({ primaries: { 'shard-2': 'node-5' } })
      .with(openOn('node-1', 100, 'migrating', 'node-2', 7))
      .plan()
    expect(plan.actions).toEqual([move(100, 'node-1', 'node-5', 7005)])
  })

  test('within one shard there is nowhere to move to: closed', () => {
    const plan = aDeployment()
      .with(openOn('node-1', 100, 'migrating', 'node-4', 7))
      .plan()
    expect(plan.actions).toEqual([closing('node-1', 100)])
  })

  test('left open at the source after the slot has gone: closed, since only an owner can move it', () => {
    const plan = aDeployment()
      .with(openOn('node-1', 9000, 'migrating', 'node-2', 0))
      .plan()
    expect(plan.actions).toEqual([closing('node-1', 9000)])
  })

  test('open at the target alone, without keys: nothing has moved, closed', () => {
    const plan = aDeployment()
      .with(openOn('node-2', 100, 'importing', 'node-1', 0))
      .plan()
    expect(plan.actions).toEqual([closing('node-2', 100)])
    expect(plan.because).toBe('slot 100 was left open on node-2 and node-1 has it and no key has moved: closing it')
  })

  test('open at the target alone, with keys: they must not be lost, so the owner moves the rest', () => {
    const plan = aDeployment()
      .with(openOn('node-2', 100, 'importing', 'node-1', 3))
      .plan()
    expect(plan.actions).toEqual([move(100, 'node-1', 'node-2', 7002)])
  })

  test('not counted is not empty', () => {
    const plan = aDeployment()
      .with(openOn('node-2', 100, 'importing', 'node-1', null))
      .plan()
    expect(plan.actions).toEqual([move(100, 'node-1', 'node-2', 7002)])
  })

  test('open at the target after it has become the owner: closed', () => {
    const plan = aDeployment()
      .with(openOn('node-2', 9000, 'importing', 'node-1', 3))
      .plan()
    expect(plan.actions).toEqual([closing('node-2', 9000)])
  })

  test('not while anybody does not answer', () => {
    expect(moving(7).with(silentFor('node-6', 300)).plan().actions).toEqual([])
  })
})

describe('slots that a former primary kept come home', () => {
  const kept: Break = (world) => {
    for (const { entries } of viewsOf(world)) {
      for (const entry of entries) {
        if (entry.engineId === engineIdOf('node-1')) Object.assign(entry, { slots: [[0, 5399]] })
        if (entry.engineId === engineIdOf('node-4')) {
          Object.assign(entry, { role: 'primary', follows: null, slots: [[5400, 5460]], configEpoch: 8 })
        }
      }
    }
    Object.assign(factsOf(world, 'node-4'), { role: 'primary', link: null })
  }

  test('with their keys, some a turn', () => {
    const { actions, because } = aDeployment().with(kept).plan()
    expect(actions).toHaveLength(20)
    expect(actions[0]).toEqual(move(5400, 'node-4', 'node-1', 7001))
    expect(because).toContain('slot 5400 of shard-1 is on node-4: moving it to node-1')
  })

  test('one that is half way already is asked to move once, not twice', () => {
    const { actions } = aDeployment()
      .with(kept, openOn('node-4', 5400, 'migrating', 'node-1', 7), openOn('node-1', 5400, 'importing', 'node-4', 1))
      .plan()
    expect(actions.filter((action) => 'slot' in action && action.slot === 5400)).toHaveLength(1)
  })
})
