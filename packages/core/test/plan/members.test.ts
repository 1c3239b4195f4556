import { describe, expect, test } from 'vitest'
import type { Plan } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import {
  aDeployment,
  alsoKnown,
  aNewDeployment,
  anEntry,
  away,
  cameBackBlank,
  dead,
  engineIdOf,
  factsOf,
  following,
  forgottenBy,
  loading,
  silentFor,
  viewsOf,
  withFacts,
  withRecord,
} from '../support/deployment.ts'

const at = (port: number) => ({ address: '127.0.0.1', port })
const followsOf = (plan: Plan) => plan.actions.filter(({ kind }) => kind === 'follow')
const forgetsOf = (plan: Plan) => plan.actions.filter(({ kind }) => kind === 'forget')
const others = ['node-1', 'node-2', 'node-3', 'node-5', 'node-6'] as const

/** What a view says of one node, changed in one view. */
const seenBy =
  (viewer: string, id: string, change: Partial<ReturnType<typeof factsOf>['view']['entries'][number]>): Break =>
  (world) => {
    for (const entry of factsOf(world, viewer).view.entries) {
      if (entry.engineId === engineIdOf(id)) Object.assign(entry, change)
    }
  }

describe('every living node knows every living node', () => {
  test('a node that one other has forgotten is introduced to it', () => {
    expect(aDeployment().with(forgottenBy('node-4', 'node-2')).plan()).toEqual({
      actions: [{ kind: 'meet', node: 'node-2', peers: [at(7004)] }],
      because: 'node-2 does not know all others: introducing them',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('a node that nobody knows is introduced by all, and to all', () => {
    const plan = aDeployment()
      .with(forgottenBy('node-4', ...others), ...others.map((id) => forgottenBy(id, 'node-4')))
      .plan()
    expect(plan.actions).toContainEqual({
      kind: 'meet',
      node: 'node-4',
      peers: [at(7001), at(7002), at(7003), at(7005), at(7006)],
    })
    expect(plan.actions).toHaveLength(6)
  })

  test('who is being introduced is waited for', () => {
    const shaking = alsoKnown({ engineId: '9'.repeat(40), port: 7004, handshake: true, linked: false })
    const plan = aDeployment()
      .with(forgottenBy('node-4', ...others), shaking)
      .plan()
    expect(plan.actions).toEqual([])
  })

  test('who does not answer is not introduced', () => {
    const plan = aDeployment().with(forgottenBy('node-4', 'node-2'), silentFor('node-4', 300)).plan()
    expect(plan.actions).toEqual([])
  })

  test('in a new deployment everybody is introduced once the slots are given', () => {
    const given: Break = (world) => {
      for (const [index, id] of ['node-1', 'node-2', 'node-3'].entries()) {
        const [me] = factsOf(world, id).view.entries
        if (me !== undefined) Object.assign(me, { configEpoch: index + 1, slots: [[index, index]] })
      }
    }
    const plan = aNewDeployment().with(given).plan()
    expect(plan.actions.map(({ kind }) => kind)).toEqual(Array(6).fill('meet'))
  })
})

describe('every node of a shard that is not its primary follows it', () => {
  test('a replica of another shard is brought back', () => {
    expect(aDeployment().with(following('node-4', 'node-2')).plan()).toEqual({
      actions: [{ kind: 'follow', node: 'node-4', primary: engineIdOf('node-1') }],
      because: 'node-4 follows the wrong primary: it shall follow node-1',
      notes: [],
      lookAgainMs: 0,
    })
  })

  const idlePrimary: Break = (world) => {
    withFacts('node-4', { role: 'primary', link: null, keys: 0 })(world)
    for (const { entries } of viewsOf(world)) {
      for (const entry of entries)
        if (entry.engineId === engineIdOf('node-4')) Object.assign(entry, { role: 'primary', follows: null })
    }
  }

  test('an empty primary without slots becomes a replica', () => {
    const plan = aDeployment().with(idlePrimary).plan()
    expect(plan.actions).toEqual([{ kind: 'follow', node: 'node-4', primary: engineIdOf('node-1') }])
    expect(plan.because).toBe('node-4 follows nobody: it shall follow node-1')
  })

  test('one that holds keys would lose them: it is left until the engines have settled that', () => {
    const plan = aDeployment()
      .with(idlePrimary, withFacts('node-4', { keys: 1 }))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-4 holds keys but no slots')
  })

  test('one that still claims the slots of its shard is left until it has heard', () => {
    const plan = aDeployment()
      .with(idlePrimary, seenBy('node-4', 'node-4', { slots: [[0, 5460]], configEpoch: 0 }))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-4 still claims slots of shard-1')
  })

  test('one that does not know its primary yet waits', () => {
    const shaking = alsoKnown({ engineId: '9'.repeat(40), port: 7001, handshake: true, linked: false })
    const plan = aDeployment().with(idlePrimary, forgottenBy('node-1', 'node-4'), shaking).plan()
    expect(followsOf(plan)).toEqual([])
    expect(plan.because).toContain('node-4 does not know node-1 yet')
  })

  test.each<[title: string, life: Break]>([
    ['does not answer', silentFor('node-1', 300)],
    ['loads', loading('node-1')],
    ['is away', away('node-1')],
    ['is dead', dead('node-1')],
  ])('nobody is sent to a primary that %s', (_title, life) => {
    expect(followsOf(aDeployment().with(following('node-4', 'node-2'), life).plan())).toEqual([])
  })

  test('both siblings of a promoted replica follow it', () => {
    const promoted = aDeployment({ replicas: 2, primaries: { 'shard-1': 'node-4' } })
    const plan = promoted.with(following('node-7', 'node-1'), dead('node-1')).plan()
    // The dead one is started first; who follows whom is the next turn.
    expect(plan.actions.map(({ kind, node }) => [kind, node])).toEqual([['start', 'node-1']])
    expect(promoted.with(following('node-7', 'node-1')).plan().actions).toEqual([
      { kind: 'follow', node: 'node-7', primary: engineIdOf('node-4') },
    ])
  })
})

describe('an identity that was wiped is forgotten by all in one turn', () => {
  const former = '9'.repeat(40)

  test('known at the address of a node that answers with another id', () => {
    const plan = aDeployment()
      .with(alsoKnown({ engineId: former, port: 7004, role: 'replica', health: 'fail' }))
      .plan()
    expect(plan.actions).toEqual(
      ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6'].map((node) => ({
        kind: 'forget',
        node,
        engineIds: [former],
      })),
    )
    expect(plan.because).toBe('99999999 was replaced and is not coming back: forgetting it')
  })

  test('known without an address any more', () => {
    expect(
      forgetsOf(
        aDeployment()
          .with(alsoKnown({ engineId: former, address: '', port: 0 }))
          .plan(),
      ),
    ).toHaveLength(6)
  })

  test('only by those who know it', () => {
    const known: Break = (world) => {
      const { view } = factsOf(world, 'node-2')
      view.entries.push({ ...anEntry({ engineId: former, port: 0 }), slots: [] })
    }
    expect(forgetsOf(aDeployment().with(known).plan())).toEqual([
      { kind: 'forget', node: 'node-2', engineIds: [former] },
    ])
  })

  test('not while somebody is being introduced: that id is not its own yet', () => {
    const plan = aDeployment()
      .with(alsoKnown({ engineId: former, port: 7004, handshake: true }))
      .plan()
    expect(forgetsOf(plan)).toEqual([])
  })

  test('not one that may be a node of ours, of which nothing is heard', () => {
    const plan = aDeployment()
      .with(away('node-6'), alsoKnown({ engineId: former, address: '', port: 0 }))
      .plan()
    expect(forgetsOf(plan)).toEqual([])
  })

  test('not the former identity of a dead node that its files or its record still name', () => {
    expect(
      forgetsOf(
        aDeployment()
          .with(dead('node-4'), withRecord('node-4', { at: 0 }))
          .plan(),
      ),
    ).toEqual([])
  })

  test('not while it owns slots and a replica follows it', () => {
    const it = aDeployment().with(
      cameBackBlank('node-1', 'e'.repeat(40)),
      withRecord('node-1', { ownedSlots: true }),
      introduce('node-1'),
    )
    expect(forgetsOf(it.plan())).toEqual([])
  })

  test('the replica that followed it takes its place', () => {
    const it = aDeployment().with(cameBackBlank('node-1', 'e'.repeat(40)), introduce('node-1'))
    expect(it.plan().actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'force' }])
    expect(it.plan().because).toBe(
      'the former primary 01ffffff of shard-1 was replaced, node-4 followed it: promoting it',
    )
  })

  test('what the replica that takes its place may lack is said', () => {
    const it = aDeployment().with(cameBackBlank('node-1', 'e'.repeat(40)), introduce('node-1'))
    expect(it.plan().notes).toMatchObject([{ kind: 'loss', subject: 'shard-1' }])
  })

  test('nobody takes its place while another copy may know more', () => {
    const it = aDeployment({ replicas: 2 }).with(cameBackBlank('node-1', 'e'.repeat(40)), introduce('node-1'))
    const silent = it.with(silentFor('node-7', 300)).plan()
    expect(silent.actions).toEqual([])
    expect(silent.because).toContain('node-7 may know more than those who answer')
    expect(it.with(dead('node-7')).plan().actions).toEqual([])
  })
})

describe('a stranger is reported and never touched', () => {
  const stranger = '9'.repeat(40)

  test('at a port that is not ours', () => {
    const because = 'a node that is not ours is in the cluster (port 6379): left alone'
    expect(
      aDeployment()
        .with(alsoKnown({ engineId: stranger, port: 6379 }))
        .plan(),
    ).toEqual({
      actions: [],
      because,
      notes: [{ kind: 'node', subject: 'cluster', because }],
      lookAgainMs: 50,
    })
  })

  test('at a port of ours, on another address', () => {
    const plan = aDeployment()
      .with(alsoKnown({ engineId: stranger, address: '127.0.0.9', port: 7001 }))
      .plan()
    expect(plan.actions).toEqual([])
  })

  test('at a port of ours whose node does not answer', () => {
    const plan = aDeployment()
      .with(silentFor('node-4', 300), alsoKnown({ engineId: stranger, port: 7004 }))
      .plan()
    expect(plan.actions).toEqual([])
  })
})

describe('a node that others see in an old role tells them', () => {
  const lateViewer = seenBy('node-3', 'node-4', { role: 'primary', follows: null })

  test('by introducing itself to them again', () => {
    expect(aDeployment().with(lateViewer).plan()).toMatchObject({
      actions: [{ kind: 'meet', node: 'node-4', peers: [at(7003)] }],
      because: 'node-4 changed roles and not all have heard: telling them',
    })
  })

  test('not those who do not answer', () => {
    const plan: Plan = aDeployment().with(lateViewer, silentFor('node-3', 300)).plan()
    expect(plan.actions).toEqual([])
  })
})

/** It knows all others, and they know it by its id of now. */
const introduce =
  (id: string): Break =>
  (world) => {
    const { view } = factsOf(world, id)
    const me = view.entries.find(({ engineId }) => engineId === view.me)
    const other = viewsOf(world).find((candidate) => candidate.me !== view.me)
    if (me === undefined || other === undefined) throw new Error(`${id} is alone`)
    view.entries = [me, ...other.entries.map((entry) => ({ ...entry }))]
    for (const known of viewsOf(world)) if (known.me !== view.me) known.entries.push({ ...me })
  }
