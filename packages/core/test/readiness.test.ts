import { describe, expect, test } from 'vitest'
import { copiesInSync, coversAllSlots, judgeReadiness } from '../src/index.ts'
import type { Break } from './support/deployment.ts'
import {
  aDeployment,
  alsoKnown,
  aNewDeployment,
  away,
  dead,
  engineIdOf,
  everyNode,
  factsOf,
  following,
  forgottenBy,
  linkDown,
  loading,
  replidOf,
  silentFor,
  syncing,
  viewsOf,
  withFacts,
  withoutAgent,
} from './support/deployment.ts'

const readinessOf = (...breaks: readonly Break[]) =>
  judgeReadiness(
    aDeployment()
      .with(...breaks)
      .picture(),
  )

/** What one view says of one node. */
const sees =
  (viewer: string, id: string, change: Partial<ReturnType<typeof factsOf>['view']['entries'][number]>): Break =>
  (world) => {
    for (const entry of factsOf(world, viewer).view.entries) {
      if (entry.engineId === engineIdOf(id)) Object.assign(entry, change)
    }
  }

describe('ready', () => {
  test('where every node answers and all agree', () => {
    expect(readinessOf()).toEqual({ ready: 'yes', because: '3 shards, 6 of 6 nodes in sync' })
  })

  test('whoever is primary, and however many copies there are', () => {
    const other = aDeployment({ shards: 5, replicas: 2, primaries: { 'shard-2': 'node-7' } })
    expect(judgeReadiness(other.picture())).toEqual({ ready: 'yes', because: '5 shards, 15 of 15 nodes in sync' })
  })
})

describe('not ready, and why', () => {
  test.each<[because: string, breaks: readonly Break[]]>([
    ['node-4 is dead', [dead('node-4')]],
    ['node-4 is loading', [loading('node-4')]],
    ['node-4 is silent', [silentFor('node-4', 300)]],
    ['node-4 is busy', [silentFor('node-4', 9000, 'burning CPU')]],
    ['shard-1 has no living primary', [dead('node-1')]],
    ['nobody owns slots 5460', [sees('node-1', 'node-1', { slots: [[0, 5459]] })]],
    ['node-2 knows 5 of 6 nodes', [forgottenBy('node-4', 'node-2')]],
    ['node-1 knows 7 of 6 nodes', [alsoKnown({ engineId: '9'.repeat(40) })]],
    ['node-2 sees node-4 differently', [sees('node-2', 'node-4', { follows: null, role: 'primary' })]],
    ['node-2 sees node-4 differently', [sees('node-2', 'node-4', { health: 'fail?' })]],
    ['node-2 sees node-4 differently', [sees('node-2', 'node-4', { handshake: true })]],
    ['node-2 sees node-4 differently', [sees('node-2', 'node-4', { linked: false })]],
    ['node-2 sees node-1 differently', [sees('node-2', 'node-1', { slots: [[0, 5459]] })]],
    ['node-1 sees node-4 differently', [following('node-4', 'node-2')]],
    ['node-4 has lost its link', [linkDown('node-4', 100)]],
    ['node-4 is syncing', [syncing('node-4')]],
    ['node-3 does not accept writes yet', [withFacts('node-3', { clusterOk: false })]],
    [
      'node-1 has slot 7 half moved',
      [
        (world) => {
          factsOf(world, 'node-1').view.open.push({ slot: 7, direction: 'migrating', peer: 'x', keys: null })
        },
      ],
    ],
  ])('%s', (because, breaks) => {
    const readiness = readinessOf(...breaks)
    expect(readiness.ready).toBe('no')
    expect(readiness.because).toContain(because)
  })

  test('nothing given out yet', () => {
    const readiness = judgeReadiness(aNewDeployment().picture())
    expect(readiness.ready).toBe('no')
    expect(readiness.because).toContain('no slots are given out yet')
  })

  test('that the cluster calls itself ok is not enough', () => {
    const readiness = readinessOf(linkDown('node-4', 100))
    expect(factsOf(aDeployment() as never, 'node-4').clusterOk).toBe(true)
    expect(readiness.ready).toBe('no')
  })

  test('at most three reasons are told', () => {
    const readiness = readinessOf(everyNode((id) => silentFor(id, 300)))
    expect(readiness.because).toBe('node-1 is silent; node-2 is silent; node-3 is silent')
  })
})

describe('not known', () => {
  test('where a host does not answer, whatever else is wrong', () => {
    expect(readinessOf(away('node-4'))).toEqual({ ready: 'unknown', because: 'cannot see node-4' })
    expect(readinessOf(away('node-4'), away('node-5'), dead('node-1'))).toEqual({
      ready: 'unknown',
      because: 'cannot see node-4, node-5',
    })
  })

  test('an engine that answers is seen, even if its agent is not', () => {
    expect(readinessOf(withoutAgent('node-4')).ready).toBe('yes')
  })
})

describe('copies in sync, of the shard that has the fewest', () => {
  const copies = (...breaks: readonly Break[]): number =>
    copiesInSync(
      aDeployment({ replicas: 2 })
        .with(...breaks)
        .picture(),
    )

  test('the primary and its linked replicas', () => {
    expect(copies()).toBe(3)
    expect(copies(linkDown('node-4', 100))).toBe(2)
    expect(copies(syncing('node-4'), dead('node-7'))).toBe(1)
  })

  test('none where the primary does not answer', () => {
    expect(copies(dead('node-1'))).toBe(0)
    expect(copies(silentFor('node-2', 100))).toBe(0)
  })

  test('a replica that copies another shard is no copy of this one', () => {
    expect(copies(following('node-4', 'node-2'), withFacts('node-4', { replid: replidOf('shard-2') }))).toBe(2)
  })
})

describe('all slots are covered', () => {
  test('by owners that answer', () => {
    expect(coversAllSlots(aDeployment().picture())).toBe(true)
    expect(coversAllSlots(aDeployment().with(dead('node-4')).picture())).toBe(true)
  })

  test('not by one that is dead, silent, or has let one go', () => {
    for (const change of [dead('node-1'), silentFor('node-1', 100), sees('node-1', 'node-1', { slots: [[0, 5459]] })]) {
      expect(coversAllSlots(aDeployment().with(change).picture())).toBe(false)
    }
  })

  test('not where nothing is given out', () => {
    const none: Break = (world) => {
      for (const entry of viewsOf(world).flatMap(({ entries }) => entries)) entry.slots = []
    }
    expect(coversAllSlots(aDeployment().with(none).picture())).toBe(false)
  })
})
