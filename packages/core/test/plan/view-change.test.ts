import { describe, expect, test } from 'vitest'
import type { Break, DeploymentOptions } from '../support/deployment.ts'
import {
  aDeployment,
  agentOf,
  askedAgo,
  behind,
  dead,
  everyNode,
  factsOf,
  failedStarts,
  linkDown,
  loading,
  nodeOf,
  now,
  silentFor,
  withFacts,
  withFiles,
  withoutData,
  withRecord,
} from '../support/deployment.ts'

/* Node-1 to node-3 are the primaries; node-4 and node-7 are the copies of shard-1. */
const durable = (document: DeploymentOptions['document'] = {}) =>
  aDeployment({ replicas: 2, spec: { durability: 'durable' }, document })
const force = (node: string) => ({ kind: 'failover', node, mode: 'force' })
const failovers = (...breaks: readonly Break[]) =>
  durable()
    .with(...breaks)
    .plan()
    .actions.filter(({ kind }) => kind === 'failover')

/** Asked for its facts so long before the look was over. */
const asked =
  (id: string, agoMs: number): Break =>
  (world) => {
    const { engine } = nodeOf(world, id)
    if (engine.kind === 'answered') engine.askedAt = now - agoMs
  }
const diedAgo =
  (id: string, agoMs: number): Break =>
  (world) => {
    agentOf(world, id).process = { state: 'dead', since: now - agoMs, pid: 9, lingering: false }
  }
/** What a person's hand cannot do to a living process: it runs as its file says. */
const held =
  (id: string): Break =>
  (world) => {
    agentOf(world, id).config = { ...agentOf(world, id).config, 'repl-diskless-sync-delay': '1000000000' }
  }
/** A stranger started it: another history, and its copies have lost their links. */
const usurped = (id: string, keys: number): readonly Break[] => [
  withFacts(id, { replid: 'e'.repeat(40), offset: 0, keys }),
  withRecord(id, { replid: 'e'.repeat(40), offset: 0 }),
  linkDown('node-4', 300),
  linkDown('node-7', 300),
]

describe('a dead primary of class durable is followed by the fullest of all its copies', () => {
  test('whoever that is', () => {
    expect(durable().with(behind('node-4', 10), dead('node-1')).plan()).toMatchObject({
      actions: [force('node-7')],
      because: 'node-1 is dead (primary of shard-1), node-7 has most of its 2 copies, all read since: promoting it',
    })
    expect(failovers(behind('node-7', 1), dead('node-1'))).toEqual([force('node-4')])
  })

  test('also where it lags by more than failover.maxLag: nobody has more', () => {
    const far = [behind('node-4', 40_000), behind('node-7', 49_000)]
    expect(failovers(...far, dead('node-1'))).toEqual([force('node-4')])
  })

  test('a drained one only where it has more than the others', () => {
    const drained: Break = (world) => {
      for (const place of world.document.nodes) if (place.id === 'node-4') place.drained = true
    }
    expect(failovers(drained, dead('node-1'))).toEqual([force('node-7')])
    expect(failovers(drained, behind('node-7', 1), dead('node-1'))).toEqual([force('node-4')])
  })
})

describe('nobody is promoted', () => {
  test.each<[why: string, breaks: readonly Break[]]>([
    ['while one copy is dead', [dead('node-7')]],
    ['while one copy does not answer, for too long', [silentFor('node-7', 1900), diedAgo('node-1', 1100)]],
    ['while one copy loads its files', [loading('node-7')]],
    ['while one copy is of another history', [withFacts('node-7', { replid: 'c'.repeat(40) })]],
    [
      'while one copy was started again since it was last linked',
      [linkDown('node-7', 60_000), withFacts('node-7', { uptimeSeconds: 5 })],
    ],
    ['while one copy was never seen linked', [withRecord('node-7', { linkUpAt: null })]],
  ])('%s: the primary is started again with its own files', (_why, breaks) => {
    const plan = durable()
      .with(dead('node-1'), ...breaks)
      .plan()
    expect(plan.actions.filter(({ kind }) => kind === 'failover')).toEqual([])
    expect(plan.actions).toContainEqual(expect.objectContaining({ kind: 'start', node: 'node-1' }))
  })

  test('before every copy was asked since the death, and nothing is started meanwhile', () => {
    const plan = durable().with(dead('node-1'), asked('node-7', 20)).plan()
    expect(plan).toMatchObject({
      actions: [],
      because: 'node-1 is dead: reading every copy of shard-1',
      lookAgainMs: 0,
    })
    expect(failovers(dead('node-1'), asked('node-7', 3))).toHaveLength(1)
  })

  test('before a copy that owes its answer has had a second for it: a start takes longer', () => {
    const plan = durable().with(dead('node-1'), silentFor('node-7', 100)).plan()
    expect(plan).toMatchObject({ actions: [], lookAgainMs: 0 })
  })

  test('before a copy has read its connection to the end', () => {
    const stillLinked: Break = (world) => {
      const facts = factsOf(world, 'node-7')
      if (facts.link !== null) facts.link = { ...facts.link, state: 'up' }
    }
    expect(durable().with(dead('node-1'), stillLinked).plan().actions).toEqual([])
    // A child of the dead engine may hold the connection open for longer.
    expect(failovers(dead('node-1'), diedAgo('node-1', 200), stillLinked)).toHaveLength(1)
  })

  test('where the primary has no files either: that is said, with the way out, for as long as it takes', () => {
    const lost = [dead('node-7'), dead('node-1'), withoutData('node-1'), withRecord('node-1', { at: now - 3_600_000 })]
    const plan = durable()
      .with(...lost)
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain(
      'a write that was acknowledged may be on a copy that cannot be read (node-7 is dead): waiting for it. To go on without: "holdfast up shop --accept-data-loss"',
    )
    const accepted = durable({ acceptDataLoss: true })
      .with(...lost)
      .plan()
    expect(accepted.actions).toEqual([force('node-4')])
  })

  test('where the primary does not start with its files: however long', () => {
    const broken = [
      dead('node-7'),
      dead('node-1'),
      failedStarts('node-1', 9, 1),
      withRecord('node-1', { at: now - 3_600_000 }),
    ]
    expect(failovers(...broken)).toEqual([])
  })

  test('on mere silence', () => {
    expect(failovers(silentFor('node-1', 60_000, 'burning CPU'), linkDown('node-4', 0), linkDown('node-7', 0))).toEqual(
      [],
    )
  })
})

test('what was asked goes on as ever: by takeover, where the voters did not elect it', () => {
  const waiting = [dead('node-1'), withRecord('node-1', { at: now - 10_000 })]
  expect(failovers(...waiting, askedAgo('node-7', 100))).toEqual([])
  expect(failovers(...waiting, askedAgo('node-7', 600))).toEqual([
    { kind: 'failover', node: 'node-7', mode: 'takeover' },
  ])
})

describe('a primary that a stranger started again', () => {
  test('without its data is taken over at once, once all its copies were read', () => {
    expect(failovers(...usurped('node-1', 0))).toEqual([force('node-4')])
    expect(failovers(...usurped('node-1', 0), dead('node-7'))).toEqual([])
  })

  test('with data is taken over where it is held: its data may be older', () => {
    expect(failovers(...usurped('node-1', 700), held('node-1'))).toEqual([force('node-4')])
    expect(failovers(...usurped('node-1', 700))).toEqual([])
  })

  test('is held while a copy has what it has not, and that is said', () => {
    const plan = durable()
      .with(...usurped('node-1', 700), held('node-1'), dead('node-7'), withFiles('node-7', {}))
      .plan()
    expect(plan.actions.filter((action) => action.node === 'node-1')).toEqual([])
    expect(
      durable()
        .with(...usurped('node-1', 0), held('node-1'), silentFor('node-7', 100))
        .plan().actions,
    ).toEqual([])
  })

  test('is let go where its copies have what it has, and a copy at once', () => {
    const letGo = { 'repl-diskless-sync': 'no', 'repl-diskless-sync-delay': '0' }
    for (const id of ['node-1', 'node-4']) {
      expect(durable().with(held(id)).plan()).toMatchObject({
        actions: [{ kind: 'configure', node: id, set: letGo }],
        because: `${id} was started by somebody else: letting it go`,
      })
    }
  })
})

describe('all copies are down', () => {
  test('the primary starts first, and lets go of what its file holds', () => {
    expect(durable().with(everyNode(dead)).plan().actions).toContainEqual(
      expect.objectContaining({
        kind: 'start',
        node: 'node-1',
        instead: { 'repl-diskless-sync': 'no', 'repl-diskless-sync-delay': '0' },
      }),
    )
  })

  test('without the files of the primary somebody decides', () => {
    const lost = [...['node-1', 'node-4', 'node-7'].map((id) => dead(id)), withoutData('node-1')]
    const plan = durable()
      .with(...lost)
      .plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-1 was primary and has no data any more')
    expect(
      durable({ acceptDataLoss: true })
        .with(...lost)
        .plan().actions,
    ).toHaveLength(1)
  })
})

describe('min-replicas-to-write of a durable shard', () => {
  const has =
    (value: string, ...ids: readonly string[]): Break =>
    (world) => {
      for (const id of ids) {
        agentOf(world, id).config = { ...agentOf(world, id).config, 'min-replicas-to-write': value }
      }
    }
  const all = ['node-1', 'node-4', 'node-7']
  const degraded = { 'shard-1': { by: 'ada', at: 1, because: 'host-2 is gone until Monday' } }
  const set = (value: string) => ({ 'min-replicas-to-write': value })

  test('stays 1 while a copy is away', () => {
    expect(
      durable()
        .with(has('1', ...all))
        .plan().actions,
    ).toEqual([])
    expect(
      durable()
        .with(has('1', ...all), linkDown('node-4', 900))
        .plan().actions,
    ).toEqual([])
  })

  test('is lowered on all its engines when a person says so, and raised when two copies are in sync', () => {
    const lowered = durable({ degraded })
      .with(has('1', ...all))
      .plan()
    expect(lowered.because).toBe(
      'shard-1 takes writes without a copy from now on (ada accepts writes without a copy: host-2 is gone until Monday)',
    )
    expect(lowered.actions.map((action) => [action.node, 'set' in action && action.set])).toEqual(
      all.map((id) => [id, set('0')]),
    )
    expect(
      durable({ degraded })
        .with(has('0', ...all))
        .plan().actions,
    ).toEqual([])
    expect(
      durable()
        .with(has('0', ...all), linkDown('node-4', 900))
        .plan().actions,
    ).toEqual([])
    expect(
      durable()
        .with(has('0', ...all))
        .plan().actions,
    ).toHaveLength(3)
  })

  test('whoever is not as the primary is made so', () => {
    expect(
      durable({ degraded })
        .with(has('0', 'node-1', 'node-4'), has('1', 'node-7'))
        .plan().actions,
    ).toMatchObject([{ node: 'node-7', set: set('0') }])
  })
})
