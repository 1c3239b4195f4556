import { describe, expect, test } from 'vitest'
import { missingCopies, parseSpec } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  boot,
  dead,
  failedStarts,
  forgottenBy,
  nodeOf,
  syncing,
  wiped,
} from '../support/deployment.ts'
import { placed, purged, replanned } from '../support/layout.ts'

/** node-7 runs, alone and empty. */
const standingBy: Break = (world) => {
  const seen = nodeOf(world, 'node-7')
  if (seen.engine.kind !== 'answered') throw new Error('node-7 does not answer')
  const { facts } = seen.engine
  facts.role = 'primary'
  facts.link = null
  facts.keys = 0
  facts.view = { ...facts.view, entries: facts.view.entries.filter(({ port }) => port === 7007) }
  for (const other of world.observed.nodes) {
    if (other.id === 'node-7' || other.engine.kind !== 'answered') continue
    const { view } = other.engine.facts
    view.entries = view.entries.filter(({ port }) => port !== 7007)
  }
}

/** A shard of two, and a third engine that stands by. */
const withSpare = (...breaks: readonly Break[]): Deployment =>
  aDeployment({ spec: { shardOverrides: { 1: { replicas: 2 } } } }).with(
    (world) => {
      world.spec.shardOverrides = {}
      world.spec.spares = 1
    },
    placed('node-7', { shard: '', spare: true }),
    standingBy,
    ...breaks,
  )

const hopeless = (id: string): Break[] => [absent(id), wiped(id), failedStarts(id, 3, 0, 'no such disk')]
const placeOf = ({ document }: Deployment, id: string) => document.nodes.find((node) => node.id === id)

describe('a spare', () => {
  test('is of no shard, and nobody need know it', () => {
    const plan = withSpare().plan()
    expect(plan).toMatchObject({ actions: [], because: '3 shards, 6 of 6 nodes in sync' })
    expect(
      withSpare()
        .picture()
        .spares.map(({ id }) => id),
    ).toEqual(['node-7'])
  })

  test('is started where it does not run', () => {
    expect(withSpare(absent('node-7')).plan().actions).toMatchObject([{ kind: 'start', node: 'node-7' }])
  })

  test('leaves a node that can be started again to itself', () => {
    const plan = withSpare(dead('node-4')).plan()
    expect(plan.actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
    expect(plan.places).toBeUndefined()
  })

  test('takes the place of one that does not come back', () => {
    const world = replanned(withSpare(...hopeless('node-4')))
    expect(withSpare(...hopeless('node-4')).plan().because).toContain(
      'node-4 does not come back (no such disk): node-7 takes its place in shard-1',
    )
    expect(placeOf(world, 'node-7')).toEqual({ ...placeOf(withSpare(), 'node-7'), shard: 'shard-1', spare: undefined })
  })

  test('is then introduced as any other, and no other spare is spent', () => {
    const plan = replanned(withSpare(...hopeless('node-4'))).plan()
    expect(plan.actions.map(({ kind }) => kind)).toContain('meet')
  })

  test('waits where no primary lives that it could copy', () => {
    expect(withSpare(dead('node-1'), ...hopeless('node-4')).plan().places).toBeUndefined()
  })
})

describe('whose place was taken', () => {
  /** node-7 has become the second copy of shard-1, and node-4 is still counted. */
  const taken = (...breaks: readonly Break[]): Deployment =>
    aDeployment({ spec: { shardOverrides: { 1: { replicas: 2 } } } }).with(
      (world) => {
        world.spec.shardOverrides = {}
        world.spec.spares = 1
      },
      ...breaks,
    )

  test('leaves, whatever its number', () => {
    expect(placeOf(replanned(taken(...hopeless('node-4'))), 'node-4')?.leaving).toBeDefined()
  })

  test('not before the other has all the data, where its own files may be the last', () => {
    const plan = taken(absent('node-4'), failedStarts('node-4', 3, 0, 'busy'), syncing('node-7')).plan()
    expect(plan.places).toBeUndefined()
  })

  test('stands by itself once it was forgotten and its files are gone', () => {
    const others = ['node-1', 'node-2', 'node-3', 'node-5', 'node-6', 'node-7']
    const world = replanned(
      taken(
        purged('node-4'),
        ...others.map((viewer) => forgottenBy('node-4', viewer)),
        placed('node-4', {
          leaving: { because: 'lost', forgottenAt: 0, watchedFrom: { at: 0, boot } },
        }),
      ),
    )
    expect(placeOf(world, 'node-4')).toMatchObject({ shard: '', spare: true })
  })
})

describe('as many as the spec wants', () => {
  test('what is missing is counted with the copies', () => {
    const { document } = aDeployment()
    const spec = parseSpec({ name: 'shop', spares: 1, shardOverrides: { 2: { replicas: 2 } } })
    expect(missingCopies(document, spec)).toEqual([{ shard: 'shard-2' }, { shard: '', spare: true }])
  })

  test('one too many goes', () => {
    const world = replanned(
      withSpare((draft) => {
        draft.spec.spares = 0
      }),
    )
    expect(placeOf(world, 'node-7')?.leaving?.because).toBe('the spec wants 0 to stand by')
  })

  test('a standalone engine has no use for one', () => {
    expect(() => parseSpec({ name: 'one', topology: 'standalone', spares: 1 })).toThrow('no copy that a spare')
  })
})
