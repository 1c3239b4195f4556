import { describe, expect, test } from 'vitest'
import type { Break, Deployment } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  away,
  dead,
  everyNode,
  fencedAgo,
  loading,
  pidOf,
  silentFor,
  starting,
} from '../support/deployment.ts'

const shallBeDown = (...breaks: readonly Break[]): Deployment =>
  aDeployment({ document: { wanted: 'down' } }).with(...breaks)
const shallGo = (...breaks: readonly Break[]): Deployment =>
  aDeployment({ document: { wanted: 'down', purge: true } }).with(everyNode(absent), ...breaks)
const stop = (node: string, save = false) => ({ kind: 'stop', node, save })
const replicasStopped: Break = (world) => {
  for (const id of ['node-4', 'node-5', 'node-6']) absent(id)(world)
}

describe('a deployment that shall be down is stopped', () => {
  test('the replicas first', () => {
    expect(shallBeDown().plan()).toEqual({
      actions: [stop('node-4'), stop('node-5'), stop('node-6')],
      because: 'shall be down: stopping node-4, node-5, node-6',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('then the primaries', () => {
    expect(shallBeDown(replicasStopped).plan().actions).toEqual([stop('node-1'), stop('node-2'), stop('node-3')])
  })

  test('with a snapshot, where snapshots are all that is kept', () => {
    const snapshots = aDeployment({ spec: { persistence: 'rdb' }, document: { wanted: 'down' } })
    expect(snapshots.with(replicasStopped).plan().actions).toEqual(
      ['node-1', 'node-2', 'node-3'].map((node) => stop(node, true)),
    )
  })

  test('what loads or starts is stopped as well', () => {
    const plan = shallBeDown(replicasStopped, loading('node-1'), starting('node-2')).plan()
    expect(plan.actions).toEqual([stop('node-1'), stop('node-2'), stop('node-3')])
  })

  test('nothing is started, promoted or mended', () => {
    const broken = shallBeDown(dead('node-1'), dead('node-4'), replicasStopped)
    expect(broken.plan().actions).toEqual([stop('node-2'), stop('node-3')])
  })

  test('when nothing runs any more there is nothing to do', () => {
    expect(shallBeDown(everyNode(absent)).plan()).toEqual({
      actions: [],
      because: 'down, as wanted',
      notes: [],
      lookAgainMs: null,
    })
  })
})

describe('what cannot be asked to stop', () => {
  test('is given its time while it is busy', () => {
    const plan = shallBeDown(everyNode(absent), undead('node-1'), silentFor('node-1', 3000, 'burning CPU')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-1 shall stop and cannot be asked')
  })

  test('is not taken for stopped where its host is away', () => {
    expect(shallGo(away('node-1')).plan().actions).toEqual([])
  })

  test('is killed where it is frozen', () => {
    const plan = shallBeDown(everyNode(absent), undead('node-1'), silentFor('node-1', 3000)).plan()
    expect(plan.actions).toEqual([{ kind: 'fence', node: 'node-1', pid: pidOf('node-1'), startTime: 77 }])
  })

  test('but not twice in ten minutes', () => {
    const frozen = [undead('node-1'), silentFor('node-1', 3000), fencedAgo('node-1', 5000)]
    expect(shallBeDown(everyNode(absent), ...frozen).plan().actions).toEqual([])
  })
})

describe('its data goes with it, where a person asked for that', () => {
  test('once nothing runs any more', () => {
    const plan = shallGo().plan()
    expect(plan.actions).toEqual(
      ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6'].map((node) => ({ kind: 'purge', node })),
    )
    expect(plan.because).toBe('down, and its data shall go')
  })

  test.each<[title: string, life: Break]>([
    ['runs', (world) => undead('node-2')(world)],
    ['is not seen', away('node-2')],
    ['is killed and not gone yet', dead('node-2', { lingering: true })],
  ])('not while anybody %s', (_title, life) => {
    expect(
      shallGo(life)
        .plan()
        .actions.filter(({ kind }) => kind === 'purge'),
    ).toEqual([])
  })

  test('not where nobody asked for it', () => {
    expect(shallBeDown(everyNode(absent)).plan().actions).toEqual([])
  })
})

/** As it was before it was stopped. */
const undead =
  (id: string): Break =>
  (world) => {
    const before = structuredClone(aDeployment().observed.nodes)
    world.observed.nodes = world.observed.nodes.map((node) =>
      node.id === id ? ((before.find((other) => other.id === id) ?? node) as typeof node) : node,
    )
  }
