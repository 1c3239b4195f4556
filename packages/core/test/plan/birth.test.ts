import { describe, expect, test } from 'vitest'
import type { Plan } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  aNewDeployment,
  anEntry,
  away,
  cameBackBlank,
  engineIdOf,
  factsOf,
  loading,
  silentFor,
  viewsOf,
  wiped,
  withFacts,
  withRecord,
} from '../support/deployment.ts'

const givenBy = (plan: Plan) => plan.actions.filter(({ kind }) => kind === 'give-slots')

describe('the slots of a new deployment are given out once', () => {
  test('evenly, to the first copy of each shard, with epochs that do not collide', () => {
    expect(aNewDeployment().plan()).toEqual({
      actions: [
        { kind: 'give-slots', node: 'node-1', slots: [[0, 5460]], epoch: 1 },
        { kind: 'give-slots', node: 'node-2', slots: [[5461, 10922]], epoch: 2 },
        { kind: 'give-slots', node: 'node-3', slots: [[10923, 16383]], epoch: 3 },
      ],
      because: 'a new deployment: giving out slots 0-5460 and 5461-10922 and 10923-16383',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('a primary that does not answer yet keeps nobody else waiting', () => {
    const plan = aNewDeployment().with(loading('node-2')).plan()
    expect(plan.actions.map(({ node }) => node)).toEqual(['node-1', 'node-3'])
  })

  test('whom others know already keeps the epoch that it has', () => {
    const introduced: Break = (world) => {
      factsOf(world, 'node-1').view.entries.push(anEntry({ engineId: engineIdOf('node-2') }) as never)
    }
    const counted: Break = (world) => {
      const [me] = factsOf(world, 'node-2').view.entries
      if (me !== undefined) me.configEpoch = 4
    }
    const [first, second, third] = aNewDeployment().with(introduced, counted).plan().actions
    expect([first, second, third]).toMatchObject([{ epoch: null }, { epoch: null }, { epoch: 3 }])
  })

  test('a replica is not given any', () => {
    const plan = aNewDeployment()
      .with(withFacts('node-1', { role: 'replica' }))
      .plan()
    expect(givenBy(plan).map(({ node }) => node)).toEqual(['node-2', 'node-3'])
  })
})

describe('a shard that ever owned slots is never given any as if it were new', () => {
  const young = { document: { settledRevision: 0 } }

  test('where one of its copies owns them', () => {
    expect(givenBy(aDeployment(young).plan())).toEqual([])
  })

  test('where only the record of a copy says so', () => {
    const plan = aNewDeployment()
      .with(absent('node-4'), (world) => {
        const { agent } = world.observed.nodes[3] ?? {}
        const other = aDeployment().observed.nodes[3]?.agent?.record
        if (agent != null && other != null) agent.record = { ...other, ownedSlots: true }
      })
      .plan()
    expect(givenBy(plan).map(({ node }) => node)).not.toContain('node-1')
  })

  test('where others still name its former identity as the owner', () => {
    const plan = aDeployment(young)
      .with(cameBackBlank('node-1', 'e'.repeat(40)), withRecord('node-1', { ownedSlots: false }))
      .plan()
    expect(givenBy(plan)).toEqual([])
  })

  test('where one of its copies cannot be seen at all', () => {
    const plan = aDeployment(young)
      .with(
        cameBackBlank('node-1', 'e'.repeat(40)),
        withRecord('node-1', { ownedSlots: false }),
        ...['node-2', 'node-3', 'node-4', 'node-5', 'node-6'].map(away),
      )
      .plan()
    expect(givenBy(plan)).toEqual([])
  })

  test('where the deployment was once as wanted, even if nothing else remembers', () => {
    const plan = aNewDeployment({ document: { settledRevision: 1 } }).plan()
    expect(givenBy(plan)).toEqual([])
  })

  test('where all are blank now and one was not heard', () => {
    const plan = aDeployment()
      .with(cameBackBlank('node-1', 'e'.repeat(40)), wiped('node-1'), silentFor('node-4', 300), (world) => {
        for (const view of viewsOf(world))
          view.entries = view.entries.filter(({ engineId }) => engineId !== engineIdOf('node-1'))
      })
      .plan()
    expect(givenBy(plan)).toEqual([])
  })
})
