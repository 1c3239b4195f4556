import { describe, expect, test } from 'vitest'
import { letGoOf } from '../../src/durability.ts'
import type { Plan } from '../../src/index.ts'
import { backoffMs } from '../../src/plan/start.ts'
import type { Break, Deployment, DeploymentOptions } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  afterReboot,
  agentOf,
  aNewDeployment,
  cameBackBlank,
  dead,
  engineIdOf,
  everyNode,
  factsOf,
  failedStarts,
  filesOf,
  loading,
  now,
  silentFor,
  starting,
  wiped,
  withFacts,
  withFiles,
  withoutAgent,
  withoutData,
  withoutRecord,
  withRecord,
} from '../support/deployment.ts'

const startsOf = (plan: Plan): string[] => plan.actions.flatMap(({ kind, node }) => (kind === 'start' ? [node] : []))
const shardOne = ['node-1', 'node-4'] as const

/** All copies of shard-1 are down; the others serve. */
const shardDown = (options: DeploymentOptions = {}): Deployment =>
  aDeployment(options).with(...shardOne.map((id) => dead(id)))
const allDown = (options: DeploymentOptions = {}): Deployment => aDeployment(options).with(everyNode(absent))

describe('a dead replica is started', () => {
  test('with its files, beside its primary', () => {
    expect(aDeployment().with(dead('node-4')).plan()).toEqual({
      actions: [{ kind: 'start', node: 'node-4', files: filesOf('node-4') }],
      because: 'starting node-4: node-1 is primary of shard-1',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('several at once', () => {
    const plan = aDeployment().with(dead('node-4'), dead('node-6')).plan()
    expect(startsOf(plan)).toEqual(['node-4', 'node-6'])
    expect(plan.because).toBe(
      'starting node-4: node-1 is primary of shard-1; starting node-6: node-3 is primary of shard-3',
    )
  })

  test('a wiped one, too: it copies the data of its primary', () => {
    expect(startsOf(aDeployment().with(dead('node-4'), wiped('node-4')).plan())).toEqual(['node-4'])
  })

  test('not while its primary does not answer', () => {
    const plan = aDeployment().with(dead('node-4'), silentFor('node-1', 300)).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-4 stays down while node-1 (primary) does not answer')
  })
})

describe('a directory stays reserved until the killed process is gone', () => {
  test('the node is not started beside its lingering process', () => {
    const plan = aDeployment()
      .with(dead('node-4', { lingering: true }))
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-4 is killed and not gone yet: its directory stays reserved')
  })

  test('of a shard that is all down, no staler one is started instead', () => {
    const plan = aDeployment()
      .with(dead('node-1', { lingering: true }), dead('node-4'))
      .plan()
    expect(plan.actions).toEqual([])
  })
})

describe('an engine that does not start must not eat the machine', () => {
  test('half a second, doubled each time, at most half a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 60].map(backoffMs)).toEqual([
      0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000,
    ])
  })

  test('it waits, and repeats the last words of the engine', () => {
    const failed = failedStarts('node-4', 3, 500, 'Could not create server TCP listening socket *:7004: bind')
    expect(aDeployment().with(dead('node-4'), failed).plan()).toEqual({
      actions: [],
      because:
        'node-4 failed to start 3 times (Could not create server TCP listening socket *:7004: bind): trying again in 1.5 s',
      notes: [],
      lookAgainMs: 50,
    })
  })

  test('the first failure reads as a person would say it', () => {
    const failed = failedStarts('node-4', 1, 100)
    expect(aDeployment().with(dead('node-4'), failed).plan().because).toBe(
      'node-4 failed to start once (no reason given): trying again in 400 ms',
    )
  })

  test('then it tries again', () => {
    expect(
      startsOf(
        aDeployment()
          .with(dead('node-4'), failedStarts('node-4', 3, 2000))
          .plan(),
      ),
    ).toEqual(['node-4'])
  })

  test('one that fails does not keep others waiting', () => {
    const plan = aDeployment()
      .with(dead('node-4'), failedStarts('node-4', 3, 100), dead('node-5'))
      .plan()
    expect(startsOf(plan)).toEqual(['node-5'])
  })

  test('a failure of an unknown time is long ago', () => {
    const failed: Break = (world) => {
      agentOf(world, 'node-4').starts = { failures: 9, lastAt: null, lastError: null }
    }
    expect(startsOf(aDeployment().with(dead('node-4'), failed).plan())).toEqual(['node-4'])
  })
})

describe('all copies of a shard stopped: only the freshest by the records starts', () => {
  test('the primary goes before its replica, whatever the offsets say after a restart', () => {
    expect(
      shardDown()
        .with(withRecord('node-4', { offset: 90_000 }))
        .plan(),
    ).toMatchObject({
      actions: [{ kind: 'start', node: 'node-1' }],
      because: 'starting node-1: all copies of shard-1 are down and it is the freshest',
    })
  })

  test('the later config epoch goes before everything: a former primary is staler than who took over from it', () => {
    const promotedMeanwhile = withRecord('node-4', { role: 'primary', configEpoch: 9, offset: 10 })
    expect(startsOf(shardDown().with(promotedMeanwhile).plan())).toEqual(['node-4'])
  })

  test('an epoch that only its own files know counts', () => {
    const byItsFiles = withFiles('node-4', {
      claim: { engineId: engineIdOf('node-4'), role: 'primary', configEpoch: 9 },
    })
    expect(startsOf(shardDown().with(byItsFiles).plan())).toEqual(['node-4'])
  })

  test('among replicas the higher offset goes first, then the lower id', () => {
    const replicasDown = aDeployment({ replicas: 2 }).with(
      dead('node-1'),
      dead('node-4'),
      dead('node-7'),
      wiped('node-1'),
    )
    expect(startsOf(replicasDown.plan())).toEqual(['node-4'])
    expect(startsOf(replicasDown.with(withRecord('node-7', { offset: 50_001 })).plan())).toEqual(['node-7'])
  })

  test('a directory without data is no copy, whoever it was', () => {
    expect(startsOf(shardDown().with(withoutData('node-1')).plan())).toEqual(['node-4'])
    expect(startsOf(shardDown().with(wiped('node-1')).plan())).toEqual(['node-4'])
  })

  test('all six at once: one of each shard', () => {
    expect(startsOf(allDown().plan())).toEqual(['node-1', 'node-2', 'node-3'])
    expect(startsOf(allDown().with(everyNode(afterReboot)).plan())).toEqual(['node-1', 'node-2', 'node-3'])
  })

  test('without any records: by what the files claim, and still only one of each shard', () => {
    expect(startsOf(allDown().with(everyNode(withoutRecord)).plan())).toEqual(['node-1', 'node-2', 'node-3'])
  })

  test('without any records, an empty one is not started beside a copy', () => {
    const emptied = allDown().with(everyNode(withoutRecord), wiped('node-1'))
    expect(startsOf(emptied.plan())).toEqual(['node-4', 'node-2', 'node-3'])
  })

  test.each<[title: string, life: (id: string) => Break]>([
    ['starts', starting],
    ['loads', loading],
    ['is silent', (id) => silentFor(id, 300)],
  ])('the others stay down while it %s', (_title, life) => {
    expect(startsOf(shardDown().with(undead('node-1'), life('node-1')).plan())).toEqual([])
  })

  test('the others stay down while it loads and nobody else answers either', () => {
    const powerBack = aDeployment().with(
      ...['node-1', 'node-2', 'node-3'].map(loading),
      ...['node-4', 'node-5', 'node-6'].map((id) => absent(id)),
    )
    expect(startsOf(powerBack.plan())).toEqual([])
  })

  test('the others follow once it serves', () => {
    expect(startsOf(aDeployment().with(dead('node-4')).plan())).toEqual(['node-4'])
  })

  test('one that does not start is tried again, the staler ones stay down', () => {
    const plan = shardDown()
      .with(failedStarts('node-1', 1, 600))
      .plan()
    expect(startsOf(plan)).toEqual(['node-1'])
    expect(
      startsOf(
        shardDown()
          .with(failedStarts('node-1', 1, 100))
          .plan(),
      ),
    ).toEqual([])
  })
})

describe('an empty engine never becomes primary of a shard that has data', () => {
  test('a dead primary without data stays down while its replica may be asked', () => {
    expect(startsOf(aDeployment().with(dead('node-1'), withoutData('node-1')).plan())).toEqual([])
  })

  test('not where all views are lost for a moment, either', () => {
    for (const persistence of ['none', 'hybrid']) {
      const stalled = aDeployment({ spec: { persistence } }).with(
        dead('node-1'),
        withoutData('node-1'),
        ...['node-2', 'node-3', 'node-4', 'node-5', 'node-6'].map((id) => silentFor(id, 300)),
      )
      expect(startsOf(stalled.plan())).toEqual([])
    }
  })

  test('not while the only copy loads, and nobody answers who owns the shard', () => {
    const plan = aDeployment({ primaries: { 'shard-1': 'node-4' } })
      .with(dead('node-4'), withoutData('node-4'), ...['node-1', 'node-2', 'node-3', 'node-5', 'node-6'].map(loading))
      .plan()
    expect(startsOf(plan)).toEqual([])
  })

  test('not where its agent is the only one that answers', () => {
    const plan = aDeployment()
      .with(
        dead('node-1'),
        withoutData('node-1'),
        ...['node-2', 'node-3', 'node-4', 'node-5', 'node-6'].flatMap((id) => [silentFor(id, 300), withoutAgent(id)]),
      )
      .plan()
    expect(startsOf(plan)).toEqual([])
  })

  test('not beside a former primary that has not heard of its successor yet: that one has a copy', () => {
    const hasNotHeard: Break = (world) => {
      for (const entry of factsOf(world, 'node-1').view.entries) {
        if (entry.engineId === engineIdOf('node-1')) Object.assign(entry, { role: 'primary', follows: null })
      }
      Object.assign(factsOf(world, 'node-1'), { role: 'primary', link: null, keys: 600 })
    }
    const plan = aDeployment({ primaries: { 'shard-1': 'node-4' } })
      .with(hasNotHeard, dead('node-4'), withoutData('node-4'))
      .plan()
    expect(startsOf(plan)).toEqual([])
    expect(plan.notes).toEqual([])
  })

  test('not because nothing is remembered of the shard', () => {
    const plan = aDeployment()
      .with(
        dead('node-1'),
        withoutData('node-1'),
        everyNode(withoutRecord),
        ...['node-2', 'node-3', 'node-4', 'node-5', 'node-6'].map((id) => silentFor(id, 300)),
      )
      .plan()
    expect(startsOf(plan)).toEqual([])
  })
})

describe('no copy left', () => {
  const lost = (options: DeploymentOptions): Deployment => shardDown(options).with(...shardOne.map(withoutData))

  test('a cache starts empty, and the loss is said', () => {
    const because = 'shard-1 has no copy left: it starts empty'
    expect(lost({}).plan()).toMatchObject({
      actions: [{ kind: 'start', node: 'node-1' }],
      because: `starting node-1: ${because}`,
      notes: [{ kind: 'loss', subject: 'shard-1', because: `data lost: ${because}` }],
    })
  })

  test.each(['session', 'queue', 'primary-store'])('a %s waits for a person', (use) => {
    expect(lost({ spec: { use } }).plan()).toMatchObject({
      actions: [],
      because: `shard-1 has no copy left and use is ${use}: restore its files, or accept the loss with --accept-data-loss`,
    })
  })

  test('a person may accept the loss', () => {
    const accepted = lost({ spec: { use: 'primary-store' }, document: { acceptDataLoss: true } })
    expect(startsOf(accepted.plan())).toEqual(['node-1'])
    expect(accepted.plan().notes).toHaveLength(1)
  })

  test('files that nothing would load are no copy', () => {
    const leftover = withFiles('node-1', { aof: false, rdb: true })
    const spec = { persistence: 'none', use: 'primary-store' }
    const memoryOnly = shardDown({ spec }).with(leftover, withFiles('node-4', { aof: false }))
    expect(memoryOnly.plan().actions).toEqual([])
    expect(memoryOnly.plan().because).toContain('no copy left')
  })

  test('one that claims slots without data is started where its living siblings are blank, too', () => {
    const blank = aDeployment().with(
      cameBackBlank('node-1', 'e'.repeat(40)),
      disown('node-1'),
      dead('node-4'),
      withFiles('node-4', { aof: false, claim: { engineId: engineIdOf('node-4'), role: 'primary', configEpoch: 7 } }),
    )
    expect(startsOf(blank.plan())).toEqual(['node-4'])
    expect(blank.plan().notes).toMatchObject([{ kind: 'loss', subject: 'shard-1' }])
    expect(startsOf(blank.with(withFacts('node-1', { keys: 1 })).plan())).toEqual([])
  })

  test('a shard without replicas is restarted from its own files, or is lost', () => {
    const single = aDeployment({ replicas: 0 }).with(dead('node-1'))
    expect(startsOf(single.plan())).toEqual(['node-1'])
    expect(single.plan().notes).toEqual([])
    expect(single.with(wiped('node-1')).plan().notes).toHaveLength(1)
  })
})

describe('files must match the persistence mode', () => {
  test('a snapshot alone is loaded before the log is turned on: a log that is turned on in the file starts empty', () => {
    const plan = aDeployment()
      .with(dead('node-4'), withFiles('node-4', { aof: false, rdb: true }))
      .plan()
    expect(plan.actions).toEqual([{ kind: 'start', node: 'node-4', files: filesOf('node-4'), loadRdb: true }])
  })

  test('with a log, or where none is wanted, it starts as it is configured', () => {
    const both = aDeployment().with(dead('node-4'), withFiles('node-4', { aof: true, rdb: true }))
    expect(both.plan().actions).toEqual([{ kind: 'start', node: 'node-4', files: filesOf('node-4') }])
    const snapshots = aDeployment({ spec: { persistence: 'rdb' } })
    expect(snapshots.with(dead('node-4'), withFiles('node-4', { aof: false, rdb: true })).plan().actions).toEqual([
      { kind: 'start', node: 'node-4', files: filesOf('node-4'), instead: letGoOf(snapshots.spec) },
    ])
  })

  test.each(['rdb', 'none'])(
    'a log that was not ended yet is loaded, though the spec says %s by now, and not started over empty',
    (persistence) => {
      const plan = shardDown({ spec: { persistence, use: 'primary-store' } }).plan()
      expect(plan.actions).toMatchObject([{ kind: 'start', node: 'node-1', loadAof: true }])
      expect(plan.notes).toEqual([])
    },
  )

  test('of a log and a snapshot, the log counts, unless the engine had ended it and saved since', () => {
    const startOf = (persistence: string, rdbNewer: boolean, logs: boolean | null) =>
      aDeployment({ spec: { persistence } })
        .with(dead('node-4'), withFiles('node-4', { aof: true, rdb: true, rdbNewer }), withRecord('node-4', { logs }))
        .plan().actions
    const plain = { kind: 'start', node: 'node-4', files: filesOf('node-4') }
    const held = { ...plain, instead: letGoOf(aDeployment({ spec: { persistence: 'rdb' } }).spec) }
    for (const [rdbNewer, logs] of [
      [false, false],
      [false, true],
      [true, true],
      [true, null],
    ] as const) {
      expect(startOf('hybrid', rdbNewer, logs)).toEqual([plain])
      expect(startOf('rdb', rdbNewer, logs)).toEqual([{ ...held, loadAof: true }])
    }
    expect(startOf('hybrid', true, false)).toEqual([{ ...plain, loadRdb: true }])
    expect(startOf('rdb', true, false)).toEqual([held])
  })

  test('a primary in the middle of a change is restarted in place as long as its log goes on', () => {
    const startOf = (persistence: string, logs: boolean | null) =>
      aDeployment({ replicas: 0, spec: { persistence } }).with(dead('node-1'), withRecord('node-1', { logs })).plan()
        .actions
    expect(startOf('rdb', true)).toMatchObject([{ kind: 'start', loadAof: true }])
    expect(startOf('hybrid', null)).toMatchObject([{ kind: 'start', node: 'node-1' }])
  })
})

describe('a new deployment', () => {
  test('starts all its engines at once', () => {
    const plan = aNewDeployment()
      .with(
        everyNode(absent),
        everyNode((id) => withFiles(id, { aof: false, claim: null })),
      )
      .plan()
    expect(startsOf(plan)).toEqual(['node-1', 'node-4', 'node-2', 'node-5', 'node-3', 'node-6'])
    expect(plan.notes).toEqual([])
  })

  test('goes on where its creation was interrupted', () => {
    expect(startsOf(aNewDeployment().with(absent('node-5')).plan())).toEqual(['node-5'])
  })

  test('never starts what an agent that does not answer may have started', () => {
    expect(startsOf(aNewDeployment().with(starting('node-5'), withoutAgent('node-5')).plan())).toEqual([])
  })
})

describe('an empty node without identity is harmless', () => {
  test('beside a blank primary of a shard that is lost it is started', () => {
    const plan = aDeployment()
      .with(cameBackBlank('node-1', 'e'.repeat(40)), dead('node-4'), wiped('node-4'), disown('node-1'))
      .plan()
    expect(startsOf(plan)).toEqual(['node-4'])
  })
})

/** Nobody knows it any more under its former id. */
const disown =
  (id: string): Break =>
  (world) => {
    for (const node of world.observed.nodes) {
      if (node.engine.kind !== 'answered') continue
      const { view } = node.engine.facts
      view.entries = view.entries.filter(({ engineId }) => engineId !== engineIdOf(id))
    }
  }

/** Its process runs again. */
const undead =
  (id: string): Break =>
  (world) => {
    agentOf(world, id).process = {
      state: 'running',
      pid: 5000,
      startTime: 99,
      stopped: false,
      cpuMs: 5,
      cpuRoseAt: now,
    }
  }
