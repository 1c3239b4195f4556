import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Action, Plan } from '../../src/index.ts'
import { planTurn, replacing } from '../../src/index.ts'
import { aFile } from '../backup/a-manifest.ts'
import type { Break } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  agentOf,
  aNewDeployment,
  dead,
  factsOf,
  linkDown,
  withFacts,
  withFiles,
  withoutAgent,
  withoutRecord,
} from '../support/deployment.ts'
import { withOperation } from '../support/operations.ts'
import { brokenDeployments } from '../support/random-world.ts'
import { aRestore, withJob, withPlaced } from '../support/transfers.ts'

const kindsIn = ({ actions }: Plan): string[] => [...new Set(actions.map(({ kind }) => kind))]
const nodesIn = ({ actions }: Plan): string[] => actions.map(({ node }) => node)
const operationIn = ({ operations = [] }: Plan) => operations[0]

const all = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6']
const fetching = withOperation(aRestore())
const decided = withOperation(aRestore({ stage: 'replacing' }))
const fetched = ['1', '2', '3'].map((n) => withJob(`node-${n}`, `r1/shard-${n}`, 'done'))
const allPlaced = all.map((id) => withPlaced(id, 'r1'))
const allAbsent = all.map(absent)

describe('while a restore is fetching', () => {
  test('each first copy gets its file, one at a time, and nothing else is touched', () => {
    const plan = aDeployment().with(fetching).plan()
    expect(plan.actions).toMatchObject([
      { kind: 'work', node: 'node-1', job: { kind: 'fetch', file: { shard: 'shard-1' } } },
    ])
    expect(
      nodesIn(
        aDeployment()
          .with(fetching, ...fetched.slice(0, 1))
          .plan(),
      ),
    ).toEqual(['node-2'])
    expect(
      aDeployment()
        .with(fetching, withJob('node-1', 'r1/shard-1', 'running'))
        .plan().actions,
    ).toEqual([])
  })

  test('the deployment is kept up as ever', () => {
    expect(kindsIn(aDeployment().with(fetching, dead('node-1')).plan())).toEqual(['failover'])
  })

  test('a damaged backup ends it, and everything stays as it was', () => {
    const damaged = withJob('node-2', 'r1/shard-2', 'failed', 'shard-2.rdb: its checksum is wrong')
    const plan = aDeployment().with(fetching, damaged).plan()
    expect(plan.actions).toEqual([])
    expect(operationIn(plan)).toMatchObject({ state: 'failed', stage: 'fetching' })
    expect(operationIn(plan)?.because).toContain('its checksum is wrong')
  })

  test('only when all is fetched is it decided, and saved before anything happens', () => {
    const plan = aDeployment()
      .with(fetching, ...fetched)
      .plan()
    expect(plan.actions).toEqual([])
    expect(operationIn(plan)).toMatchObject({ state: 'running', stage: 'replacing' })
  })
})

describe('once it is decided', () => {
  test('replicas stop first, then primaries, and nothing is saved', () => {
    const plan = aDeployment().with(decided).plan()
    expect(plan.actions).toEqual(['node-4', 'node-5', 'node-6'].map((node) => ({ kind: 'stop', node, save: false })))
    const rest = aDeployment()
      .with(decided, ...['node-4', 'node-5', 'node-6'].map(absent))
      .plan()
    expect(nodesIn(rest)).toEqual(['node-1', 'node-2', 'node-3'])
    expect(kindsIn(rest)).toEqual(['stop'])
  })

  test('nothing is promoted or started meanwhile, whoever dies', () => {
    for (const id of all) {
      const plan = aDeployment().with(decided, dead(id)).plan()
      expect(kindsIn(plan), id).toEqual(['stop'])
    }
  })

  test('data is put aside only when the last engine is gone', () => {
    const one = aDeployment()
      .with(decided, ...all.slice(1).map(absent))
      .plan()
    expect(kindsIn(one)).toEqual(['stop'])
    const none = aDeployment()
      .with(decided, ...allAbsent)
      .plan()
    expect(kindsIn(none)).toEqual(['place'])
    const bytes = Object.fromEntries(
      none.actions.map((action: Action) => [action.node, action.kind === 'place' && action.bytes]),
    )
    expect(bytes).toEqual({
      'node-1': 1000,
      'node-2': 1000,
      'node-3': 1000,
      'node-4': null,
      'node-5': null,
      'node-6': null,
    })
  })

  test('a node whose agent does not answer may still run: it is waited for', () => {
    const plan = aDeployment()
      .with(decided, ...allAbsent, withoutAgent('node-5'))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('the agent of node-5 does not answer')
  })

  test('one that was killed in the middle goes on with those that are left', () => {
    const half = all.slice(0, 3).map((id) => withPlaced(id, 'r1'))
    const plan = aDeployment()
      .with(decided, ...allAbsent, ...half)
      .plan()
    expect(nodesIn(plan)).toEqual(['node-4', 'node-5', 'node-6'])
  })

  test('what another restore placed there does not count', () => {
    const earlier = all.map((id) => withPlaced(id, 'r0'))
    expect(
      kindsIn(
        aDeployment()
          .with(decided, ...earlier)
          .plan(),
      ),
    ).toEqual(['stop'])
  })
})

/** As new: no record, no claim, and the first copies with their file. */
const asNew: Break[] = [
  ...all.map(withoutRecord),
  ...all.map((id, index) => withFiles(id, { rdb: index < 3, aof: false, claim: null })),
]

describe('when every node has its place', () => {
  test('all start, and those with a file load it before they write one', () => {
    const plan = aNewDeployment({ document: { settledRevision: 1 } })
      .with(decided, ...allPlaced, ...allAbsent, ...asNew)
      .plan()
    expect(nodesIn(plan)).toEqual(all.flatMap((_, i) => (i < 3 ? [all[i], all[i + 3]] : [])))
    const loads = plan.actions.flatMap((action) =>
      action.kind === 'start' && action.loadRdb === true ? [action.node] : [],
    )
    expect(loads).toEqual(['node-1', 'node-2', 'node-3'])
  })

  test('slots are those of the backup, not even shares', () => {
    const files = [aFile(1, [[0, 99]]), aFile(2, [[100, 16_000]]), aFile(3, [[16_001, 16_383]])]
    const plan = aNewDeployment({ document: { settledRevision: 1 } })
      .with(withOperation(aRestore({ stage: 'replacing', files })), ...allPlaced)
      .with(...['node-1', 'node-2', 'node-3'].map((id) => withFacts(id, { keys: 100 })))
      .plan()
    expect(plan.actions).toEqual([
      { kind: 'give-slots', node: 'node-1', slots: [[0, 99]], epoch: 1 },
      { kind: 'give-slots', node: 'node-2', slots: [[100, 16_000]], epoch: 2 },
      { kind: 'give-slots', node: 'node-3', slots: [[16_001, 16_383]], epoch: 3 },
    ])
  })

  test('an engine that came up without its keys gets none', () => {
    const plan = aNewDeployment()
      .with(decided, ...allPlaced, ...all.map((id) => withFacts(id, { keys: 0 })))
      .plan()
    expect(plan.actions.filter(({ kind }) => kind === 'give-slots')).toEqual([])
    expect(
      aNewDeployment()
        .with(decided, ...allPlaced, withFacts('node-1', { keys: 0 }))
        .plan(),
    ).toMatchObject({
      actions: expect.not.arrayContaining([expect.objectContaining({ kind: 'give-slots', node: 'node-1' })]),
    })
  })

  test('but keys with a time to live may all have ended since', () => {
    const files = aRestore().files.map((file) => ({ ...file, keys: 10, ttls: 10 }))
    const plan = aNewDeployment()
      .with(withOperation(aRestore({ stage: 'replacing', files })), ...allPlaced)
      .with(...all.map((id) => withFacts(id, { keys: 0 })))
      .plan()
    expect(kindsIn(plan)).toContain('give-slots')
  })

  test('it is done when all is as specified, and only then', () => {
    const back = aDeployment().with(decided, ...allPlaced)
    expect(operationIn(back.plan())).toMatchObject({ state: 'done' })
    expect(operationIn(back.with(linkDown('node-4', 500)).plan())).toBeUndefined()
  })

  test('not before every engine logs its writes again: until then the old data stays', () => {
    const back = aDeployment().with(decided, ...allPlaced, (world) => {
      agentOf(world, 'node-2').config = { appendonly: 'no', save: '' }
      agentOf(world, 'node-2').files.aof = false
      // It waits for its turn, so that no rule has anything to do.
      factsOf(world, 'node-4').disk.rewriting = true
    })
    const input = { ...back.input(), owned: { appendonly: 'yes', save: '' } }
    const plan = planTurn(input)
    expect(plan.operations).toBeUndefined()
    expect(plan.actions.filter(({ kind }) => kind === 'clear-restore')).toEqual([])
  })

  test('once it is done, what it has left beside the data goes', () => {
    const over = aDeployment().with(withOperation(aRestore({ state: 'done', stage: 'replacing' })), ...allPlaced)
    expect(kindsIn(over.plan())).toEqual(['clear-restore'])
    expect(nodesIn(over.plan())).toEqual(all)
    expect(over.with(...all.map((id) => withPlaced(id, 'r1', false))).plan().actions).toEqual([])
  })
})

describe('whatever was seen', () => {
  test('nothing starts, is promoted or changed before all data is in its place', () => {
    fc.assert(
      fc.property(brokenDeployments, (deployment) => {
        const plan = deployment.with(decided).plan()
        expect(plan.actions.filter(({ kind }) => !['fence', 'stop', 'place'].includes(kind))).toEqual([])
        const placed = plan.actions.some(({ kind }) => kind === 'place')
        if (placed) expect(deployment.picture().nodes.every(({ gone }) => gone)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('what was settled once', () => {
  test('counts again when the restore is over: nothing starts empty any more', () => {
    const done = aDeployment().with(withOperation(aRestore({ state: 'done', stage: 'replacing' }))).document
    expect(replacing(done)).toBeNull()
    expect(replacing(aDeployment().with(decided).document)?.id).toBe('r1')
    expect(replacing(aDeployment().with(fetching).document)).toBeNull()
  })

  test('and what shall be down stops, restore or not', () => {
    const down = aDeployment({ document: { wanted: 'down' } }).with(decided)
    expect(kindsIn(down.plan())).toEqual(['stop'])
    expect(down.plan().because).toContain('shall be down')
  })
})
