import { describe, expect, test } from 'vitest'
import type { NodePlace } from '../../src/index.ts'
import { judgeReadiness, layOut, parseSpec, placeMore } from '../../src/index.ts'
import type { Break, Deployment, DeploymentOptions } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  agentOf,
  away,
  behind,
  boot,
  dead,
  engineIdOf,
  failedStarts,
  forgottenBy,
  linkDown,
  nodeOf,
  now,
  offset,
  replidOf,
  syncing,
  wallNow,
  withFacts,
} from '../support/deployment.ts'
import { placed, purged, replanned } from '../support/layout.ts'
import { asked, operationOf, saved, withOperation } from '../support/operations.ts'
import { deadSentinel, sees, watched } from '../support/watched.ts'

const by: NodePlace = { id: 'node-7', shard: 'shard-1', host: 'local', address: '127.0.0.1', port: 7007 }
const operation = (subject: string) => asked({ kind: 'replace', subject, places: [by] })
const wanting = (subject: string, ...breaks: readonly Break[]): Deployment =>
  aDeployment().with(withOperation(operation(subject)), ...breaks)

/** node-7 is there beside node-1 and node-4, in sync, and lent to the replacement that has begun. */
function begun(subject: string, options: DeploymentOptions = {}, ...breaks: readonly Break[]): Deployment {
  const running = { ...operation(subject), state: 'running', beganAt: wallNow - 900 } as const
  const three = aDeployment({ ...options, spec: { shardOverrides: { 1: { replicas: 2 } }, ...options.spec } })
  return three.with(
    (world) => {
      world.spec.shardOverrides = {}
    },
    placed('node-7', { lentTo: 'op-1' }),
    withOperation(running),
    ...breaks,
  )
}

const leavingOf = ({ document }: Deployment, id: string) => document.nodes.find((node) => node.id === id)?.leaving
const leavingFor = (ms: number, forgottenAt: number) => ({
  because: 'replaced by node-7',
  forgottenAt,
  watchedFrom: { at: now - ms, boot },
})
const everybodyElse = ['node-1', 'node-2', 'node-3', 'node-5', 'node-6', 'node-7'] as const
const forgotten = (id: string): Break[] => everybodyElse.map((viewer) => forgottenBy(id, viewer))

describe('a node is replaced', () => {
  test('the new one comes first, and nothing else is done in that turn', () => {
    const plan = wanting('node-4').plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-7 comes to shard-1, and then node-4 leaves')
    expect(plan.places).toEqual([{ id: 'node-7', place: { ...by, lentTo: 'op-1' } }])
    expect(plan.operations).toMatchObject([{ state: 'running' }])
  })

  test('waits while a shard has no living primary', () => {
    const plan = wanting('node-4', dead('node-2')).plan()
    expect(plan.places).toBeUndefined()
  })

  test('also one that is dead and cannot be started', () => {
    const plan = wanting('node-4', absent('node-4'), failedStarts('node-4', 5, 0, 'no such disk')).plan()
    expect(plan.places).toHaveLength(1)
  })

  test.each([
    ['syncing', syncing('node-7'), 'node-7 is not in sync'],
    ['not heard of by all', forgottenBy('node-7', 'node-2'), undefined],
  ])('not while the new one is %s', (_, trouble, said) => {
    const plan = begun('node-4', {}, trouble).plan()
    expect(plan.places).toBeUndefined()
    if (said !== undefined) expect(plan.because).toContain(said)
  })

  test('with all the data there, the old one leaves and the new one stays', () => {
    const world = replanned(begun('node-4'))
    expect(leavingOf(world, 'node-4')).toEqual({ because: 'replaced by node-7', forgottenAt: null })
    expect(world.document.nodes.find(({ id }) => id === 'node-7')).toEqual(by)
  })

  test('a primary hands over first', () => {
    const plan = begun('node-1').plan()
    expect(plan.because).toBe('node-1 is primary of shard-1 and about to go: handing it over to node-4')
    expect(plan.actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'switchover' }])
    const handed = replanned(begun('node-1', { primaries: { 'shard-1': 'node-4' } }))
    expect(leavingOf(handed, 'node-1')).toBeDefined()
  })

  test('gives up where the new one does not start; the new one goes again', () => {
    const world = saved(begun('node-4', {}, absent('node-7'), failedStarts('node-7', 3, 0, 'Out of memory')))
    expect(
      operationOf(begun('node-4', {}, absent('node-7'), failedStarts('node-7', 3, 0, 'Out of memory'))),
    ).toMatchObject({
      state: 'failed',
      because: 'node-4 is not replaced: node-7 does not start (Out of memory)',
    })
    expect(
      leavingOf(replanned(world.with((draft) => void (draft.observed = begun('node-4').observed as never))), 'node-7'),
    ).toBeDefined()
  })
})

describe('a node that leaves', () => {
  const leaving = (...breaks: readonly Break[]) => replanned(begun('node-4')).with(...breaks)
  const stopped = [absent('node-4')]

  test('is stopped first: one that runs would introduce itself again', () => {
    const plan = leaving().plan()
    expect(plan.actions).toEqual([{ kind: 'stop', node: 'node-4', save: false }])
    expect(plan.because).toBe('node-4 leaves (replaced by node-7): stopping it')
  })

  test('stays while its shard has no living primary', () => {
    expect(
      leaving(dead('node-1'))
        .plan()
        .actions.filter(({ kind }) => kind === 'stop'),
    ).toEqual([])
  })

  test('then all forget it, in one turn', () => {
    const plan = leaving(...stopped).plan()
    expect(plan.actions).toEqual(
      everybodyElse.map((node) => ({ kind: 'forget', node, engineIds: [engineIdOf('node-4')] })),
    )
  })

  test('also where its host does not answer', () => {
    expect(
      leaving(away('node-4'))
        .plan()
        .actions.map(({ kind }) => kind),
    ).toEqual(Array(6).fill('forget'))
  })

  test('is of no shard meanwhile: what is left is ready', () => {
    const { shards, nodes, leaving: gone } = leaving(...stopped, ...forgotten('node-4')).picture()
    expect(nodes).toHaveLength(6)
    expect(gone.map(({ id }) => id)).toEqual(['node-4'])
    expect(shards.map(({ id }) => id)).toEqual(['shard-1', 'shard-2', 'shard-3'])
  })

  test('when all have forgotten it, that is noted, and the replacement is done', () => {
    const world = replanned(leaving(...stopped, ...forgotten('node-4')))
    expect(leavingOf(world, 'node-4')?.forgottenAt).toBe(wallNow)
    expect(operationOf(world)).toMatchObject({
      state: 'done',
      because: 'node-7 is in the place of node-4, which all have forgotten: replaced in 900 ms',
    })
  })

  test('is not forgotten by all while somebody was not heard', () => {
    const world = replanned(leaving(...stopped, ...forgotten('node-4'), dead('node-5')))
    expect(leavingOf(world, 'node-4')?.forgottenAt).toBeNull()
  })

  const watchedSince = (agoMs: number, ...breaks: readonly Break[]) =>
    replanned(leaving(...stopped, ...forgotten('node-4'))).with(
      placed('node-4', {
        leaving: {
          because: 'replaced by node-7',
          forgottenAt: wallNow - agoMs,
          watchedFrom: { at: now - agoMs, boot },
        },
      }),
      ...breaks,
    )

  test('is watched for 75 s, longer than the engines keep it out', () => {
    expect(watchedSince(10_000).plan()).toMatchObject({
      actions: [],
      because: expect.stringContaining('node-4 has left: watching 65 s more that nobody brings it back'),
    })
  })

  test('is forgotten again where somebody brings it back', () => {
    const back = begun('node-4').document.nodes.find(({ id }) => id === 'node-4')
    const entry: Break = (world) => {
      const seen = world.observed.nodes.find(({ id }) => id === 'node-2')
      if (seen?.engine.kind !== 'answered' || back === undefined) throw new Error('node-2 does not answer')
      const { view } = seen.engine.facts
      const [first] = view.entries
      if (first === undefined) throw new Error('node-2 knows nobody')
      view.entries.push({ ...structuredClone(first), engineId: engineIdOf('node-4'), port: back.port, slots: [] })
    }
    const world = watchedSince(10_000, entry)
    expect(world.plan().actions).toEqual([{ kind: 'forget', node: 'node-2', engineIds: [engineIdOf('node-4')] }])
  })

  test('for 75 s by a clock that nobody sets: people may set theirs', () => {
    const setForward = watchedSince(10_000, placed('node-4', { leaving: leavingFor(10_000, wallNow - 86_400_000) }))
    const setBack = watchedSince(75_000, placed('node-4', { leaving: leavingFor(75_000, wallNow + 86_400_000) }))
    expect(setForward.plan().because).toContain('watching 65 s more')
    expect(setBack.plan().actions).toEqual([{ kind: 'purge', node: 'node-4' }])
  })

  test('and anew where the machine was started since, whose clock begins anew', () => {
    const long = { ...leavingFor(75_000, wallNow), watchedFrom: { at: now - 75_000, boot: 'another' } }
    const again = replanned(watchedSince(75_000, placed('node-4', { leaving: long })))
    expect(leavingOf(again, 'node-4')).toMatchObject({ forgottenAt: wallNow, watchedFrom: { at: now, boot } })
    const older = replanned(
      watchedSince(75_000, placed('node-4', { leaving: { because: 'lost', forgottenAt: wallNow - 75_000 } })),
    )
    expect(leavingOf(older, 'node-4')?.watchedFrom).toEqual({ at: now, boot })
  })

  test('its files go last, and then its place', () => {
    expect(watchedSince(75_000).plan().actions).toEqual([{ kind: 'purge', node: 'node-4' }])
    const world = replanned(watchedSince(75_000, purged('node-4')))
    expect(world.document.nodes.map(({ id }) => id)).not.toContain('node-4')
  })

  test('elected in that moment, it is the primary, and hands over again before it goes', () => {
    const elected = begun('node-1', { primaries: { 'shard-1': 'node-1' } }).with(
      placed('node-1', { leaving: { because: 'replaced by node-7', forgottenAt: null } }),
    )
    expect(elected.picture().leaving).toEqual([])
    expect(elected.plan().actions).toMatchObject([{ kind: 'failover', mode: 'switchover' }])
  })
})

describe('where Sentinels watch', () => {
  /** node-3 has left and is stopped; these Sentinels have forgotten it. */
  const left = (forgetful: readonly string[], ...breaks: readonly Break[]): Deployment =>
    watched().with(
      absent('node-3'),
      forgottenBy('node-3', 'node-1'),
      forgottenBy('node-3', 'node-2'),
      placed('node-3', { leaving: { because: 'lost', forgottenAt: null } }),
      ...forgetful.map((id) =>
        sees(id, (watch) => {
          watch.replicas = watch.replicas.filter(({ port }) => port !== 7003)
        }),
      ),
      ...breaks,
    )
  const all = ['sentinel-1', 'sentinel-2', 'sentinel-3']

  test('one that left is forgotten when every Sentinel has forgotten it, and is missed by nobody meanwhile', () => {
    const early = left(['sentinel-1'])
    expect(early.plan().because).not.toContain('all have forgotten')
    expect(judgeReadiness(early.picture())).toMatchObject({ ready: 'yes' })
    expect(leavingOf(replanned(left(all)), 'node-3')?.forgottenAt).toBe(wallNow)
  })

  test('a Sentinel that was not heard may know it still', () => {
    const unheard = left(all, deadSentinel('sentinel-3'))
    expect(leavingOf(replanned(unheard), 'node-3')?.forgottenAt).toBeNull()
  })
})

describe('more copies than the spec wants', () => {
  const surplus = (...breaks: readonly Break[]) =>
    aDeployment({ spec: { shardOverrides: { 1: { replicas: 2 } } } }).with(
      (world) => {
        world.spec.shardOverrides = {}
      },
      ...breaks,
    )

  test('the last that came goes, and never the primary', () => {
    const world = replanned(surplus())
    expect(leavingOf(world, 'node-7')?.because).toBe('the spec wants 2 copies of shard-1')
  })

  test('of a shard, the one without the data goes before one that has it', () => {
    expect(leavingOf(replanned(surplus(linkDown('node-4', 100))), 'node-4')).toBeDefined()
  })

  test('none that has the data goes while one that stays lacks it', () => {
    const four = aDeployment({ spec: { shardOverrides: { 1: { replicas: 3 } } } }).with((world) => {
      world.spec.shardOverrides = { 1: { replicas: 2 } }
    })
    const lost = [absent('node-4'), linkDown('node-7', 100)]
    expect(four.with(...lost).plan().places).toBeUndefined()
  })

  test('one after the other', () => {
    const four = aDeployment({ spec: { shardOverrides: { 1: { replicas: 3 } } } }).with((world) => {
      world.spec.shardOverrides = {}
    })
    const first = replanned(four)
    expect(leavingOf(first, 'node-8')).toBeDefined()
    expect(replanned(first).document.nodes.filter(({ leaving }) => leaving !== undefined)).toHaveLength(1)
  })
})

describe('places for more nodes', () => {
  const spec = parseSpec({ name: 'shop' })
  const document = aDeployment().document

  test('the next number, and the port that goes with it', () => {
    expect(placeMore(document, spec, [{ shard: 'shard-1' }], () => false)).toEqual([by])
  })

  test('a number whose port is taken is passed over', () => {
    expect(
      placeMore(document, spec, [{ shard: 'shard-1' }, { shard: 'shard-2' }], (port) => port === 7007).map(
        ({ id }) => id,
      ),
    ).toEqual(['node-8', 'node-9'])
  })

  test('no number is given twice, not even while the node has not come yet', () => {
    const promised = { ...document, nodes: layOut(spec), operations: [operation('node-4')] }
    expect(placeMore(promised, spec, [{ shard: 'shard-1' }], () => false)[0]?.id).toBe('node-8')
    expect(placeMore({ ...document, lastNode: 12 }, spec, [{ shard: 'shard-1' }], () => false)[0]?.id).toBe('node-13')
  })

  test('no port at all is said', () => {
    expect(() => placeMore(document, spec, [{ shard: 'shard-1' }], () => true)).toThrow(
      'there is no free port above 7001',
    )
  })
})

describe('a durable copy parts from its shard', () => {
  /** shard-1 has node-1 as the primary, node-4, node-7, and node-10, which is one more than the spec wants. */
  const replid = replidOf('shard-1')
  const four = () =>
    aDeployment({ replicas: 2, spec: { durability: 'durable', shardOverrides: { 1: { replicas: 3 } } } }).with(
      (world) => {
        world.spec.shardOverrides = {}
      },
    )
  const parting = (...breaks: readonly Break[]) => replanned(four()).with(...breaks)
  /** The stream of the primary has come so far, by its own word and without the one that goes. */
  const streamAt = (bytes: number): Break[] => [
    withFacts('node-1', {
      offset: bytes,
      replicas: [7004, 7007].map((port) => ({ port, online: true, offset: 0, ackAgeSeconds: 0 })),
    }),
    absent('node-10'),
  ]
  const owing = (bytes: number, ofReplid = replid): Break =>
    placed('node-10', {
      leaving: { because: 'one too many', forgottenAt: null, owes: { replid: ofReplid, offset: bytes } },
    })
  const failovers = (world: Deployment) => world.plan().actions.filter(({ kind }) => kind === 'failover')

  test('as one of those that a view change reads, and stopped before it goes', () => {
    expect(leavingOf(parting(), 'node-10')).toMatchObject({ forgottenAt: null, owes: null })
    expect(parting().picture().shards[0]?.nodes).toHaveLength(4)
    expect(parting().plan().actions).toEqual([{ kind: 'stop', node: 'node-10', save: false }])
  })

  test('where the primary dies in that moment nobody is promoted without what it had', () => {
    const lost = parting(absent('node-10'), dead('node-1'), behind('node-4', 90), behind('node-7', 90))
    expect(failovers(lost)).toEqual([])
    expect(lost.plan().actions).toMatchObject([{ kind: 'start', node: 'node-1' }])
    const running = parting(dead('node-1'), behind('node-4', 90), behind('node-7', 90))
    expect(failovers(running)).toEqual([{ kind: 'failover', node: 'node-10', mode: 'force' }])
  })

  test('it is not started again meanwhile', () => {
    expect(parting(absent('node-10'), ...streamAt(offset + 90)).plan().actions).toEqual([])
  })

  test('what it may have had is the stream as of when its primary had lost it', () => {
    const still = parting(absent('node-10'))
    expect(still.plan().because).toContain('once its primary answers, and has lost it')
    const cut = replanned(parting(...streamAt(offset + 90)))
    expect(leavingOf(cut, 'node-10')?.owes).toEqual({ replid, offset: offset + 90 })
    const died = parting(...streamAt(offset), (world) => {
      agentOf(world, 'node-10').process = { state: 'dead', since: now - 5, pid: 9, lingering: false }
      Object.assign(nodeOf(world, 'node-1').engine, { askedAt: now - 10 })
    })
    expect(died.plan().places).toBeUndefined()
  })

  test('it is of no shard once another copy has that much, and not before', () => {
    const before = parting(owing(offset + 90), ...streamAt(offset + 500))
    expect(before.plan()).toMatchObject({
      actions: [],
      because: expect.stringContaining('once another copy has every'),
    })
    expect(before.plan().places).toBeUndefined()
    const has = withFacts('node-7', { offset: offset + 90 })
    const after = replanned(before.with(has))
    expect(leavingOf(after, 'node-10')).toEqual({ because: 'one too many', forgottenAt: null })
    expect(after.picture().shards[0]?.nodes).toHaveLength(3)
    expect(after.plan().actions[0]).toMatchObject({ kind: 'forget' })
  })

  test('one that lost its link has not that much, and a stream that began anew is read anew', () => {
    const cut = parting(owing(offset), ...streamAt(offset), linkDown('node-4', 10), linkDown('node-7', 10))
    expect(cut.plan().places).toBeUndefined()
    const anew = replanned(parting(owing(3, 'e'.repeat(40)), ...streamAt(offset + 9)))
    expect(leavingOf(anew, 'node-10')?.owes).toEqual({ replid, offset: offset + 9 })
  })

  test('elected in that moment, it hands over first', () => {
    const elected = four().with(
      placed('node-1', { leaving: { because: 'one too many', forgottenAt: null, owes: null } }),
    )
    expect(failovers(elected)).toMatchObject([{ mode: 'switchover' }])
    expect(elected.with(dead('node-1')).plan().actions).not.toContainEqual(expect.objectContaining({ kind: 'stop' }))
  })

  test('one after the other', () => {
    expect(parting().plan().places).toBeUndefined()
  })
})
