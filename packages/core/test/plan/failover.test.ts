import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Plan } from '../../src/index.ts'
import { judgeReplicas } from '../../src/plan/candidate.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  afterReboot,
  agentOf,
  askedAgo,
  away,
  behind,
  dead,
  engineIdOf,
  failedStarts,
  following,
  lastLook,
  lastSeenAgo,
  linkDown,
  loading,
  now,
  offset,
  onHost,
  replidOf,
  saysBusy,
  silentFor,
  starting,
  syncing,
  viewsOf,
  withFacts,
  withFiles,
  withoutAgent,
  withoutData,
  withoutRecord,
  withRecord,
} from '../support/deployment.ts'

const force = (node: string) => ({ kind: 'failover', node, mode: 'force' })
const takeover = (node: string) => ({ kind: 'failover', node, mode: 'takeover' })
const failoversOf = (plan: Plan) => plan.actions.filter(({ kind }) => kind === 'failover')
const startsOf = (plan: Plan) => plan.actions.flatMap(({ kind, node }) => (kind === 'start' ? [node] : []))

const twoReplicas = (...breaks: readonly Break[]): Deployment => aDeployment({ replicas: 2 }).with(...breaks)

describe('a dead primary is replaced at once', () => {
  test('by its replica, with the consent of the living voters', () => {
    expect(aDeployment().with(dead('node-1')).plan()).toEqual({
      actions: [force('node-4')],
      because: 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it',
      notes: [],
      lookAgainMs: 0,
    })
  })

  test('also where the kernel still holds on to the killed process', () => {
    expect(
      aDeployment()
        .with(dead('node-1', { lingering: true }))
        .plan().actions,
    ).toEqual([force('node-4')])
  })

  test('also where its agent knows of no process at all', () => {
    expect(aDeployment().with(absent('node-1')).plan().actions).toEqual([force('node-4')])
  })

  test('whoever is primary by the slots, not by the layout', () => {
    const swapped = aDeployment({ primaries: { 'shard-1': 'node-4' } })
    expect(swapped.with(dead('node-4')).plan().actions).toEqual([force('node-1')])
    expect(failoversOf(swapped.with(dead('node-1')).plan())).toEqual([])
  })

  test('what the replica lacks is said', () => {
    expect(aDeployment().with(behind('node-4', 2048), dead('node-1')).plan()).toMatchObject({
      actions: [force('node-4')],
      because: 'node-1 (primary of shard-1) is dead, node-4 is 2 KB behind: promoting it',
    })
  })
})

describe('nothing but death is a ground for a promotion', () => {
  test.each<[title: string, life: Break]>([
    ['away', away('node-1')],
    ['away, and nobody answers for its agent', withoutAgent('node-1')],
    ['silent', silentFor('node-1', 1900)],
    ['frozen', silentFor('node-1', 5000)],
    ['busy', silentFor('node-1', 600_000, 'burning CPU')],
    ['busy, as it says itself', saysBusy('node-1')],
    ['loading', loading('node-1')],
    ['starting', starting('node-1')],
  ])('a primary that is %s keeps its shard', (_title, life) => {
    expect(failoversOf(aDeployment().with(life, linkDown('node-4', 0)).plan())).toEqual([])
    expect(failoversOf(aDeployment().with(life, askedAgo('node-4', 600)).plan())).toEqual([])
  })

  test('all others seeing it fail is not enough', () => {
    const failing: Break = (world) => {
      for (const { entries } of viewsOf(world)) {
        for (const entry of entries) if (entry.engineId === engineIdOf('node-1')) entry.health = 'fail'
      }
    }
    expect(failoversOf(aDeployment().with(silentFor('node-1', 1900), failing).plan())).toEqual([])
  })

  test('a primary that answers is not dead, whatever an agent remembers of its process', () => {
    const rememberedDead: Break = (world) => {
      agentOf(world, 'node-1').process = { state: 'dead', since: now - 60_000, pid: 9, lingering: false }
    }
    const unknown: Break = (world) => {
      agentOf(world, 'node-1').process = { state: 'absent' }
    }
    expect(aDeployment().with(rememberedDead).plan().actions).toEqual([])
    expect(aDeployment().with(unknown).plan().actions).toEqual([])
  })
})

describe('who may take over: in sync when the primary was last seen, by link, history and offset', () => {
  const rejected = (objection: string, ...breaks: readonly Break[]): void => {
    const it = aDeployment().with(...breaks, dead('node-1'))
    const [shard] = it.picture().shards
    if (shard?.primary == null) throw new Error('shard-1 has no primary')
    const objections = judgeReplicas(shard, shard.primary, it.spec)
    expect(objections.map((judged) => judged.objection)).toEqual([objection])
    expect(failoversOf(it.plan())).toEqual([])
  }

  test('not one in the middle of a sync', () => {
    rejected('node-4 is in the middle of a sync', syncing('node-4'))
  })

  test('not one of another history', () => {
    rejected('node-4 has another history than node-1', withFacts('node-4', { replid: 'c'.repeat(40) }))
  })

  test('not one whose link was down in the last look before the death, however little it lacks', () => {
    rejected('node-4 had lost its link while node-1 still lived', linkDown('node-4', 500))
  })

  test('not one that was last seen linked too long before', () => {
    rejected(
      'node-4 was last seen linked 1.1 s before node-1 was last seen',
      withRecord('node-4', { linkUpAt: lastLook - 1100, linkDownSince: null }),
    )
  })

  test('of two agents each look counts for itself: one whose link went down right after the last sight qualifies', () => {
    const soonDown = withRecord('node-4', { link: 'down', linkUpAt: lastLook - 200, linkDownSince: lastLook + 20 })
    rejected('node-4 had lost its link while node-1 still lived', soonDown)
    expect(aDeployment().with(onHost('node-4', 'b'), soonDown, dead('node-1')).plan().actions).toEqual([
      force('node-4'),
    ])
    const before = withRecord('node-4', { link: 'down', linkUpAt: lastLook - 200, linkDownSince: lastLook - 20 })
    expect(failoversOf(aDeployment().with(onHost('node-4', 'b'), before, dead('node-1')).plan())).toEqual([])
  })

  test('one whose link went down with the primary qualifies', () => {
    const downSince = withRecord('node-4', { link: 'down', linkUpAt: lastLook, linkDownSince: lastLook + 201 })
    expect(aDeployment().with(downSince, dead('node-1')).plan().actions).toEqual([force('node-4')])
  })

  test('not one that was never seen linked', () => {
    rejected('node-4 was never seen linked to node-1', withRecord('node-4', { linkUpAt: null }))
  })

  test('not one of whom nothing is remembered', () => {
    rejected('node-4 was never seen linked to node-1', withoutRecord('node-4'))
    rejected('node-4 was never seen linked to node-1', withoutAgent('node-4'))
  })

  test('nobody, where nothing is remembered of the primary', () => {
    rejected('the agent has no record of node-1', withoutRecord('node-1'))
  })

  test('a lag of maxLag is allowed, a byte more is not', () => {
    const megabyte = 1024 ** 2
    const at = (bytes: number): Break => withFacts('node-4', { offset: bytes })
    const it = aDeployment().with(withRecord('node-1', { offset: 3 * megabyte }))
    expect(it.with(at(2 * megabyte), dead('node-1')).plan().actions).toEqual([force('node-4')])
    expect(failoversOf(it.with(at(2 * megabyte - 1), dead('node-1')).plan())).toEqual([])
  })

  test('not one that was told to follow another primary: it would take over that one', () => {
    rejected('node-4 follows somebody else', following('node-4', 'node-2'))
  })

  test('not one that is no replica', () => {
    rejected('node-4 is not a replica', withFacts('node-4', { role: 'primary', link: null }))
  })

  test('not one that does not answer now', () => {
    rejected('node-4 does not answer', silentFor('node-4', 300))
    rejected('node-4 does not answer', loading('node-4'))
  })

  const restarted = 'node-4 was restarted since it was last linked: its offset comes from its files'

  test('not one that was started after it was last linked: its offset comes from its files', () => {
    rejected(
      restarted,
      withFacts('node-4', { uptimeSeconds: 1 }),
      withRecord('node-4', { linkUpAt: now - 5000 }),
      withRecord('node-1', { at: now - 4500 }),
    )
  })

  test.each([-Number.MAX_VALUE, Number.NEGATIVE_INFINITY])(
    'not one that was started in this boot, where its primary was last seen in an earlier one (%d)',
    (longAgo) => {
      rejected(
        restarted,
        withFacts('node-4', { uptimeSeconds: 3 }),
        afterReboot('node-1', longAgo),
        withRecord('node-4', { linkUpAt: longAgo, linkDownSince: now - 2900 }),
      )
    },
  )
})

describe('of several, the fullest takes over', () => {
  test('the highest offset wins', () => {
    expect(twoReplicas(behind('node-4', 30), behind('node-7', 10), dead('node-1')).plan().actions).toEqual([
      force('node-7'),
    ])
  })

  test('a tie goes to the lowest id, so that two planners agree', () => {
    expect(twoReplicas(dead('node-1')).plan().actions).toEqual([force('node-4')])
  })

  test('a fuller one that does not qualify does not win', () => {
    expect(twoReplicas(behind('node-4', 10), linkDown('node-7', 400), dead('node-1')).plan().actions).toEqual([
      force('node-4'),
    ])
  })

  test('in whatever order they are seen', () => {
    const offsets = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3))
    fc.assert(
      fc.property(offsets, fc.shuffledSubarray([...Array(12).keys()], { minLength: 12 }), (lags, order) => {
        const replicas = ['node-10', 'node-4', 'node-7']
        const it = aDeployment({ replicas: 3 }).with(
          ...replicas.map((id, index) => behind(id, lags[index] ?? 0)),
          dead('node-1'),
        )
        const shuffled = it.with((world) => {
          world.observed.nodes = order.map((index) => world.observed.nodes[index]).filter((node) => node !== undefined)
        })
        expect(shuffled.plan()).toEqual(it.plan())
        // The dumb version: everybody against everybody.
        const best = replicas.find((id, i) =>
          replicas.every((other, j) => {
            const mine = lags[i] ?? 0
            const theirs = lags[j] ?? 0
            return mine < theirs || (mine === theirs && id <= other)
          }),
        )
        expect(it.plan().actions).toEqual([force(best ?? '')])
      }),
    )
  })
})

describe('where nobody qualifies and the primary has its log, it is restarted in place', () => {
  test('a replica that was cut is not promoted', () => {
    expect(aDeployment().with(linkDown('node-4', 3000), dead('node-1')).plan()).toMatchObject({
      actions: [{ kind: 'start', node: 'node-1' }],
      because:
        'starting node-1: nobody may take over shard-1 (node-4 had lost its link while node-1 still lived) and its own data survives',
    })
  })

  test('not by its snapshot, which is older than what the replica has', () => {
    const snapshots = aDeployment({ spec: { persistence: 'rdb' } })
    const plan = snapshots
      .with(linkDown('node-4', 3000), dead('node-1'), withFiles('node-1', { aof: false, rdb: true }))
      .plan()
    expect(plan.actions).toEqual([])
  })

  test('again and again with longer pauses, until the patience for a loss is over', () => {
    const broken = aDeployment().with(linkDown('node-4', 7000), dead('node-1'), lastSeenAgo('node-1', 6000))
    expect(startsOf(broken.with(failedStarts('node-1', 2, 1001)).plan())).toEqual(['node-1'])
    expect(startsOf(broken.with(failedStarts('node-1', 3, 2001)).plan())).toEqual(['node-1'])
    expect(startsOf(broken.with(failedStarts('node-1', 3, 1000)).plan())).toEqual([])
  })

  test('what does not start for lossAfter gives way to the best copy', () => {
    const hopeless = aDeployment().with(
      linkDown('node-4', 31_000),
      behind('node-4', 4096),
      dead('node-1'),
      failedStarts('node-1', 5, 20_000),
      lastSeenAgo('node-1', 30_000),
    )
    expect(hopeless.plan()).toMatchObject({
      actions: [force('node-4')],
      notes: [{ kind: 'loss', subject: 'shard-1' }],
    })
  })
})

describe('where nobody qualifies and nothing else survives, the best copy waits for lossAfter', () => {
  const without = (...breaks: readonly Break[]): Deployment =>
    aDeployment({ replicas: 2, spec: { persistence: 'none' } }).with(
      linkDown('node-4', 40_000),
      linkDown('node-7', 40_000),
      behind('node-4', 3000),
      behind('node-7', 2000),
      ...breaks,
      dead('node-1'),
    )

  test('it waits, and says for how long', () => {
    const plan = without(lastSeenAgo('node-1', 29_000)).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe(
      'node-1 (primary of shard-1) is dead and nobody may take over (node-4 had lost its link while node-1 still lived, node-7 had lost its link while node-1 still lived): waiting 1 s more before accepting loss',
    )
  })

  test('then the fullest is promoted, and the loss is said in bytes', () => {
    const because = 'shard-1: possible loss of 2 KB, promoting node-7 since node-1 does not come back'
    expect(without(lastSeenAgo('node-1', 30_000)).plan()).toMatchObject({
      actions: [force('node-7')],
      because: `${because}: promoting it`,
      notes: [{ kind: 'loss', subject: 'shard-1', because }],
    })
  })

  test('one of the same history goes before a fuller one of another', () => {
    const plan = without(
      withFacts('node-7', { replid: 'c'.repeat(40), offset: offset + 9000 }),
      lastSeenAgo('node-1', 30_000),
    ).plan()
    expect(plan.actions).toEqual([force('node-4')])
  })

  test('what is not known is said to be unknown', () => {
    const others = ['node-4', 'node-7'].map((id) => withFacts(id, { replid: 'c'.repeat(40) }))
    expect(without(...others, lastSeenAgo('node-1', 30_000)).plan().notes[0]?.because).toContain(
      'possible loss of an unknown amount',
    )
  })

  test('without a record of the primary the wait ends all the same', () => {
    const plan = without(
      withoutRecord('node-1'),
      withFacts('node-4', { link: linkDownFor(31) }),
      withFacts('node-7', { link: linkDownFor(31) }),
    ).plan()
    expect(failoversOf(plan)).toHaveLength(1)
    expect(plan.notes[0]?.kind).toBe('loss')
  })

  test('also where an old snapshot of it lies there: the link of its replica tells since when it is gone', () => {
    const snapshots = (seconds: number): Deployment =>
      aDeployment({ spec: { persistence: 'rdb' } }).with(
        linkDown('node-4', seconds * 1000),
        dead('node-1'),
        withFiles('node-1', { aof: false, rdb: true }),
        withoutRecord('node-1'),
      )
    expect(snapshots(29).plan().actions).toEqual([])
    expect(failoversOf(snapshots(30).plan())).toEqual([force('node-4')])
  })

  test('a death in an earlier boot is long enough ago', () => {
    expect(failoversOf(without(afterReboot('node-1')).plan())).toEqual([force('node-7')])
    expect(failoversOf(without(afterReboot('node-1', Number.NEGATIVE_INFINITY)).plan())).toEqual([force('node-7')])
  })

  test('a replica that never had its data is no copy: an older file of the primary is better', () => {
    const neverSynced = aDeployment({ spec: { persistence: 'rdb' } }).with(
      withFacts('node-4', { replid: 'c'.repeat(40), keys: 0, offset: 0 }),
      syncing('node-4'),
      withRecord('node-4', { replid: 'c'.repeat(40), linkUpAt: null, offset: 0 }),
      dead('node-1'),
      withFiles('node-1', { aof: false, rdb: true }),
      lastSeenAgo('node-1', 60_000),
    )
    expect(failoversOf(neverSynced.plan())).toEqual([])
    expect(startsOf(neverSynced.plan())).toEqual(['node-1'])
  })

  test('a replica that was led astray still has its data: it is sent back before anything is given up', () => {
    for (const persistence of ['none', 'rdb']) {
      const astray = aDeployment({ spec: { persistence } }).with(
        following('node-4', 'node-2'),
        dead('node-1'),
        withFiles('node-1', { aof: false, rdb: true }),
        lastSeenAgo('node-1', 60_000),
      )
      expect(astray.plan().actions).toEqual([{ kind: 'follow', node: 'node-4', primary: engineIdOf('node-1') }])
    }
  })

  test('a replica that was wiped since it was linked is no copy, however often it was linked before', () => {
    const wipedSince = aDeployment({ spec: { persistence: 'rdb' } }).with(
      withFacts('node-4', { replid: 'c'.repeat(40), keys: 0, offset: 0, uptimeSeconds: 3 }),
      syncing('node-4'),
      withRecord('node-4', { replid: 'c'.repeat(40), linkUpAt: now - 70_000, linkDownSince: now - 3000, offset: 0 }),
      dead('node-1'),
      withFiles('node-1', { aof: false, rdb: true }),
      lastSeenAgo('node-1', 60_000),
    )
    expect(failoversOf(wipedSince.plan())).toEqual([])
    expect(startsOf(wipedSince.plan())).toEqual(['node-1'])
  })

  test('nor does it wait where another copy is down as well: the freshest of what is left starts', () => {
    const plan = aDeployment({ replicas: 2, spec: { persistence: 'rdb' } })
      .with(
        following('node-4', 'node-2'),
        withFacts('node-4', { replid: replidOf('shard-2') }),
        ...['node-1', 'node-7'].flatMap((id) => [dead(id), withFiles(id, { aof: false, rdb: true })]),
        lastSeenAgo('node-1', 60_000),
      )
      .plan()
    expect(startsOf(plan)).toEqual(['node-1'])
  })

  test('a replica that never had its data is no copy: without another, a person decides', () => {
    const neverSynced = (use: string): Deployment =>
      aDeployment({ spec: { persistence: 'none', use } }).with(
        withFacts('node-4', { replid: 'c'.repeat(40), keys: 0, offset: 0 }),
        withRecord('node-4', { replid: 'c'.repeat(40), linkUpAt: null, offset: 0 }),
        dead('node-1'),
        withoutData('node-1'),
        lastSeenAgo('node-1', 60_000),
      )
    expect(neverSynced('primary-store').plan().actions).toEqual([])
    expect(neverSynced('primary-store').plan().because).toContain('--accept-data-loss')
  })

  test('a snapshot is better than nobody: it does not wait for what will never come', () => {
    const plan = aDeployment({ spec: { persistence: 'rdb' } })
      .with(
        following('node-4', 'node-2'),
        withFacts('node-4', { replid: replidOf('shard-2') }),
        dead('node-1'),
        withFiles('node-1', { aof: false, rdb: true }),
        lastSeenAgo('node-1', 60_000),
      )
      .plan()
    expect(startsOf(plan)).toEqual(['node-1'])
  })
})

const linkDownFor = (seconds: number) =>
  ({ state: 'down', downSeconds: seconds, primaryAddress: '127.0.0.1', primaryPort: 7001, priority: 100 }) as const

describe('voters', () => {
  test('with a majority of them alive they are asked', () => {
    expect(aDeployment().with(dead('node-1')).plan().actions).toEqual([force('node-4')])
  })

  test('two of three dead: nobody is left to vote, so the replica takes over', () => {
    const plan = aDeployment().with(dead('node-1'), dead('node-2')).plan()
    expect(plan.actions).toEqual([takeover('node-4')])
    expect(plan.because).toBe(
      'node-1 (primary of shard-1) is dead, node-4 is in sync: 1 of 3 voters live, so it takes over without a vote',
    )
  })

  test('three of five dead is no majority, two of five dead is one', () => {
    const five = aDeployment({ shards: 5 })
    expect(five.with(dead('node-1'), dead('node-2')).plan().actions).toEqual([force('node-6')])
    expect(five.with(dead('node-1'), dead('node-2'), dead('node-3')).plan().actions).toEqual([takeover('node-6')])
  })

  test('a voter that does not answer is asked all the same: silence is no proof of death', () => {
    const plan = aDeployment().with(dead('node-1'), silentFor('node-2', 500)).plan()
    expect(plan.actions).toEqual([force('node-4')])
  })

  test('a dead replica is no voter', () => {
    expect(failoversOf(aDeployment().with(dead('node-1'), dead('node-5'), dead('node-6')).plan())).toEqual([
      force('node-4'),
    ])
  })
})

describe('one promotion at a time, and no two answers to one question', () => {
  const asking = (...breaks: readonly Break[]): Deployment =>
    twoReplicas(dead('node-1'), lastSeenAgo('node-1', 5000), ...breaks)

  test('who was asked is waited for', () => {
    expect(asking(askedAgo('node-4', 30)).plan()).toEqual({
      actions: [],
      because: 'node-4 was asked to take over shard-1 30 ms ago',
      notes: [],
      lookAgainMs: 10,
    })
  })

  test('the next shard waits until this one has settled', () => {
    const five = aDeployment({ shards: 5 }).with(dead('node-1'), dead('node-2'), lastSeenAgo('node-2', 5000))
    const plan = five.with(askedAgo('node-7', 30)).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-7 was asked to take over shard-2 30 ms ago')
  })

  test('voters that are merely silent may still vote: they are waited for', () => {
    const plan = asking(askedAgo('node-4', 30), silentFor('node-2', 300), silentFor('node-3', 300)).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-4 was asked to take over shard-1 30 ms ago')
  })

  test('a vote that can no longer come is not waited for', () => {
    const plan = asking(askedAgo('node-5', 30), dead('node-2'), lastSeenAgo('node-2', 5000)).plan()
    expect(plan.actions).toEqual([takeover('node-5')])
    expect(plan.because).toBe('no majority is left to elect node-5 and node-2 is dead: node-5 takes over without them')
  })

  test('of two shards that need one, the first goes first', () => {
    const five = aDeployment({ shards: 5 }).with(dead('node-2'), dead('node-3'))
    expect(five.plan().actions).toEqual([force('node-7')])
  })

  test('refused after half a second, the same one takes over; a fuller sibling does not', () => {
    const plan = asking(behind('node-4', 500), askedAgo('node-4', 500)).plan()
    expect(plan.actions).toEqual([takeover('node-4')])
    expect(plan.because).toBe(
      'the voters did not elect node-4 within 500 ms and node-1 is dead: node-4 takes over without them',
    )
  })

  test('a takeover that has not come about is asked of the same one again, never of a sibling', () => {
    expect(asking(askedAgo('node-7', 200, 'takeover')).plan().actions).toEqual([])
    const plan = asking(askedAgo('node-7', 501, 'takeover')).plan()
    expect(plan.actions).toEqual([takeover('node-7')])
    expect(plan.because).toBe('node-7 has not taken over yet and node-1 is dead: node-7 takes over without them')
  })

  test('one that was asked and went silent keeps the others waiting', () => {
    const plan = asking(askedAgo('node-7', 900, 'takeover'), silentFor('node-7', 800)).plan()
    expect(failoversOf(plan)).toEqual([])
    expect(plan.because).toContain('node-7 was asked to take over shard-1 and does not answer')
  })

  test.each([4000, 6000, 60_000])('however long it does not answer: it may do it when it wakes up (%i ms)', (ms) => {
    const busy = silentFor('node-7', ms, 'burning CPU')
    const plan = asking(lastSeenAgo('node-1', ms + 1000), askedAgo('node-7', ms, 'takeover'), busy).plan()
    expect(plan.actions).toEqual([])
  })

  test('one that was asked and died makes room for its sibling', () => {
    expect(asking(askedAgo('node-7', 900), dead('node-7')).plan().actions).toEqual([force('node-4')])
  })

  test('one that was asked and follows somebody else by now is never told to take that one over', () => {
    const plan = asking(askedAgo('node-4', 600), following('node-4', 'node-2')).plan()
    expect(plan.actions).not.toContainEqual(takeover('node-4'))
    expect(plan.actions).not.toContainEqual(force('node-4'))
  })

  test('what was asked before the primary was last seen alive is another story', () => {
    expect(asking(askedAgo('node-7', 5001)).plan().actions).toEqual([force('node-4')])
  })

  test('a switchover that was asked is no promotion', () => {
    expect(asking(askedAgo('node-7', 100, 'switchover')).plan().actions).toEqual([force('node-4')])
  })

  test('without a record of the primary, what was asked weeks ago does not count as asked now', () => {
    const plan = asking(withoutRecord('node-1'), askedAgo('node-7', 900_000)).plan()
    expect(plan.actions).not.toContainEqual(takeover('node-7'))
  })
})

describe('the dead process is not started before the promotion of its shard is settled', () => {
  test('not while somebody could take over', () => {
    expect(startsOf(aDeployment().with(dead('node-1')).plan())).toEqual([])
  })

  test('not while somebody was asked to, even if that one does not answer for a moment', () => {
    const asked = aDeployment().with(dead('node-1'), lastSeenAgo('node-1', 500), askedAgo('node-4', 30))
    expect(startsOf(asked.plan())).toEqual([])
    expect(startsOf(asked.with(silentFor('node-4', 300)).plan())).toEqual([])
    expect(startsOf(asked.with(syncing('node-4')).plan())).toEqual([])
  })

  test('then it comes back, as a replica', () => {
    const settled = aDeployment({ primaries: { 'shard-1': 'node-4' } }).with(dead('node-1'))
    expect(settled.plan()).toMatchObject({
      actions: [{ kind: 'start', node: 'node-1' }],
      because: 'starting node-1: node-4 is primary of shard-1',
    })
  })

  test('not while the new primary does not answer', () => {
    const settled = aDeployment({ primaries: { 'shard-1': 'node-4' } }).with(dead('node-1'), silentFor('node-4', 500))
    expect(settled.plan().actions).toEqual([])
    expect(settled.plan().because).toContain('node-1 stays down while node-4 (primary) does not answer')
  })

  test('one shard that is promoted does not keep another from starting its dead replica', () => {
    const plan = aDeployment()
      .with(dead('node-1'), lastSeenAgo('node-1', 500), askedAgo('node-4', 30), dead('node-5'))
      .plan()
    expect(startsOf(plan)).toEqual(['node-5'])
  })
})
