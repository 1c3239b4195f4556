import { describe, expect, test } from 'vitest'
import type { Break, Deployment, DeploymentOptions } from '../support/deployment.ts'
import {
  absent,
  aDeployment,
  agentOf,
  askedAgo,
  dead,
  failedStarts,
  linkDown,
  now,
  silentFor,
  syncing,
  wallNow,
  withFacts,
} from '../support/deployment.ts'
import { placed, replanned } from '../support/layout.ts'
import { asked, operationOf, restarted, sameOperation, saved, withOperation } from '../support/operations.ts'
import { agentOfSentinel, deadSentinel, watched } from '../support/watched.ts'

const wanting = (subject: string, options: DeploymentOptions = {}): Deployment =>
  aDeployment(options).with(withOperation(asked({ kind: 'restart', subject })))
/** It has noted which processes are to go. */
const begun = (subject = 'shop', options: DeploymentOptions = {}, ...breaks: readonly Break[]): Deployment =>
  saved(wanting(subject, options)).with(...breaks)

const unreadAccess = {
  usersFile: null,
  passwords: null,
  signInFile: null,
  signsInWith: null,
  signInGivenAt: null,
  linkRenewedAt: null,
  closing: null,
}

const everyReplica = ['node-4', 'node-5', 'node-6'].map(restarted)

describe('a rolling restart', () => {
  test('notes the processes first, and does nothing before that is saved', () => {
    const plan = wanting('shop').plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('restart of shop: 6 engines, one at a time (asked)')
    expect(plan.operations).toMatchObject([{ state: 'running', processes: { 'node-1': '4001:77' } }])
  })

  test('begins with a replica', () => {
    const plan = begun().plan()
    expect(plan.actions).toEqual([{ kind: 'stop', node: 'node-4', save: false }])
    expect(plan.because).toBe('restarting node-4 (1 of 6)')
  })

  test('one at a time, and the next only when all is ready again', () => {
    const down = saved(begun()).with(absent('node-4'))
    expect(down.plan().actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
    const back = saved(begun()).with(restarted('node-4'), syncing('node-4'))
    expect(back.plan().actions).toEqual([])
    expect(back.plan().because).toContain('node-4 is syncing')
  })

  test('a primary hands its shard over before it goes', () => {
    const plan = saved(begun()).with(restarted('node-4')).plan()
    expect(plan.actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'switchover' }])
    expect(plan.operations).toMatchObject([{ step: { kind: 'hand-over', node: 'node-4', tries: 1 } }])
  })

  test('waits for the hand-over, and then restarts the old primary as the replica that it is', () => {
    const handing = saved(saved(begun()).with(restarted('node-4'))).with(askedAgo('node-4', 100, 'switchover'))
    expect(handing.plan().actions).toEqual([])
    const handed = aDeployment({ primaries: { 'shard-1': 'node-4' } }).with(sameOperation(handing), restarted('node-4'))
    const noted = saved(handed)
    expect(noted.document.operations).toMatchObject([{ primaries: { 'shard-1': 'node-4' } }])
    expect(noted.plan().actions).toEqual([{ kind: 'stop', node: 'node-1', save: false }])
  })

  test('goes shard by shard', () => {
    const first = begun('shop', {}, restarted('node-1'), restarted('node-4'))
    expect(first.plan().actions).toMatchObject([{ kind: 'stop', node: 'node-5' }])
  })

  test('is done when every process is another one', () => {
    const all = begun('shop', {}, ...everyReplica, ...['node-1', 'node-2', 'node-3'].map(restarted))
    expect(operationOf(all)).toMatchObject({ state: 'done', because: 'restart of shop: 6 engines restarted in 0 ms' })
  })

  test('a process that died and came back meanwhile need not go once more', () => {
    expect(begun('shop', {}, restarted('node-4'), restarted('node-1')).plan().actions).toMatchObject([
      { node: 'node-5' },
    ])
  })

  test.each([
    ['node-2', ['node-2']],
    ['shard-3', ['node-3', 'node-6']],
  ])('of %s is about nothing else', (subject, nodes) => {
    const [operation] = wanting(subject).plan().operations ?? []
    expect(operation?.kind === 'restart' ? Object.keys(operation.processes ?? {}) : []).toEqual(nodes)
  })
})

describe('a shard with one copy', () => {
  test('is restarted in place where every write is in its file', () => {
    const plan = begun('shop', { replicas: 0 }).plan()
    expect(plan.actions).toEqual([{ kind: 'stop', node: 'node-1', save: false }])
    expect(plan.because).toContain('the only copy of its shard: writes wait until it is back')
  })

  test('saves a snapshot first where that is all it has', () => {
    const plan = begun('shop', { replicas: 0, spec: { persistence: 'rdb' } }).plan()
    expect(plan.actions).toEqual([{ kind: 'stop', node: 'node-1', save: true }])
  })

  test('is not restarted without persistence: that would be its end', () => {
    const operation = operationOf(wanting('shop', { replicas: 0, spec: { persistence: 'none' } }))
    expect(operation.state).toBe('failed')
    expect(operation.because).toContain('a restart would lose its data')
  })
})

describe('at the first surprise it stops and says how far it came', () => {
  test('a node that does not start', () => {
    const broken = saved(begun()).with(absent('node-4'), failedStarts('node-4', 3, 0, 'Bad directive'))
    expect(operationOf(broken)).toMatchObject({
      state: 'failed',
      because: 'restart of shop stopped after 1 of 6: node-4 does not start (Bad directive)',
    })
  })

  test('a primary that changed without it', () => {
    const changed = aDeployment({ primaries: { 'shard-2': 'node-5' } }).with(sameOperation(begun()))
    expect(operationOf(changed).because).toBe(
      'restart of shop stopped after 0 of 6: node-5 became primary of shard-2 in place of node-2, and not by this restart',
    )
  })

  test('a copy that does not take over, asked three times', () => {
    let world = saved(begun()).with(restarted('node-4'))
    for (let times = 0; times < 3; times++) {
      expect(world.plan().actions).toMatchObject([{ kind: 'failover' }])
      world = saved(world).with(askedAgo('node-4', 5000, 'switchover'))
    }
    expect(world.plan().actions).toEqual([])
    expect(operationOf(world).because).toContain('node-4 did not become primary of shard-1 though it was asked 3 times')
  })

  test('but not because a primary that hands over has not answered one look', () => {
    const handing = saved(saved(begun()).with(restarted('node-4'))).with(askedAgo('node-4', 100, 'switchover'))
    const plan = handing.with(silentFor('node-1', 300)).plan()
    expect(plan.actions).toEqual([])
    expect(plan.operations ?? []).toEqual([])
  })

  test('a deployment that is not ready again after two minutes, unless something loads or syncs', () => {
    const late: Break = (world) => {
      for (const one of world.document.operations)
        if (one.kind === 'restart' && one.step !== null) one.step.at -= 120_001
    }
    const stuck = saved(begun()).with(restarted('node-4'), late, (world) => {
      const record = agentOf(world, 'node-4').record
      if (record !== null) record.link = 'down'
    })
    expect(operationOf(stuck)).toMatchObject({ state: 'failed', endedAt: wallNow })
    expect(operationOf(saved(begun()).with(restarted('node-4'), late, syncing('node-4')))).toMatchObject({
      state: 'running',
    })
  })
})

describe('with a copy more for as long as it lasts', () => {
  const place = { id: 'node-7', shard: 'shard-1', host: 'local', address: '127.0.0.1', port: 7007 }
  const wish = asked({ kind: 'restart', subject: 'shard-1', surge: true, places: [place] })
  const three = (...breaks: readonly Break[]): Deployment =>
    aDeployment({ spec: { shardOverrides: { 1: { replicas: 2 } } } }).with(
      (world) => {
        world.spec.shardOverrides = {}
      },
      placed('node-7', { lentTo: 'op-1' }),
      ...breaks,
    )

  test('that copy comes first, with the list of those that are to go', () => {
    const plan = aDeployment().with(withOperation(wish)).plan()
    expect(plan.places).toEqual([{ id: 'node-7', place: { ...place, lentTo: 'op-1' } }])
    expect(plan.operations).toMatchObject([{ processes: { 'node-1': '4001:77', 'node-4': '4004:77' } }])
  })

  const running = saved(aDeployment().with(withOperation(wish)))

  test('nothing is stopped before it has the data, and it is not stopped itself', () => {
    expect(three(sameOperation(running), syncing('node-7')).plan().actions).toEqual([])
    expect(three(sameOperation(running)).plan().actions).toEqual([{ kind: 'stop', node: 'node-4', save: false }])
  })

  test('the shard is handed to its own copy, and to the other only where it has none', () => {
    expect(three(sameOperation(running), restarted('node-4')).plan().actions).toMatchObject([{ node: 'node-4' }])
    const alone = three(sameOperation(running), restarted('node-4'), linkDown('node-4', 100))
    expect(alone.plan().actions).toEqual([])
  })

  test('it leaves when all are restarted', () => {
    const done = saved(three(sameOperation(running), restarted('node-4'), restarted('node-1')))
    expect(done.document.operations).toMatchObject([{ state: 'done' }])
    const world = replanned(done)
    expect(world.document.nodes.find(({ id }) => id === 'node-7')?.leaving?.because).toBe(
      'what it was needed for is over',
    )
  })
})

describe('an upgrade', () => {
  const engine = { flavor: 'valkey', version: '8.0.1' } as const
  const runs = (id: string): Break => withFacts(id, { version: engine.version })
  const upgrading = (...breaks: readonly Break[]): Deployment =>
    saved(aDeployment().with(withOperation(asked({ kind: 'upgrade', subject: 'shop', engine })), ...breaks))

  test('replaces what is not yet what it shall be', () => {
    const { document } = upgrading(runs('node-4'), runs('node-6'))
    expect(document.operations).toMatchObject([
      { because: 'upgrade of shop to valkey 8.0.1: 4 engines, one at a time (asked)' },
    ])
  })

  test('goes on when the first comes back as the other engine', () => {
    expect(upgrading().with(restarted('node-4'), runs('node-4')).plan().actions).toMatchObject([
      { kind: 'failover', node: 'node-4', mode: 'switchover' },
    ])
  })

  const old = { flavor: 'redis', version: '7.0.15' } as const
  const putOff = (notBefore: number, ...breaks: readonly Break[]): Deployment => {
    const wish = {
      kind: 'upgrade',
      subject: 'shop',
      engine,
      cameFrom: old,
      notBefore,
      specEngine: { version: '8' },
    } as const
    return aDeployment().with(withOperation(asked(wish)), ...breaks)
  }

  test('that was put off is in the spec from when it begins, saved with it, and not before', () => {
    expect(putOff(wallNow + 1000).plan()).not.toHaveProperty('engine')
    expect(putOff(wallNow).plan()).toMatchObject({
      actions: [],
      engine: { version: '8' },
      operations: [{ state: 'running', specEngine: null }],
    })
    expect(saved(putOff(wallNow)).plan()).not.toHaveProperty('engine')
  })

  test('that was put off is not begun on engines that are others by then', () => {
    const plan = putOff(wallNow, withFacts('node-2', { version: '7.2.4' })).plan()
    expect(plan).not.toHaveProperty('engine')
    expect(plan.operations).toMatchObject([
      {
        state: 'failed',
        because: expect.stringContaining('was asked for while shop ran 7.0.15, and node-2 runs 7.2.4'),
      },
    ])
  })

  test('stops when it comes back as it was', () => {
    expect(operationOf(upgrading().with(restarted('node-4')))).toMatchObject({
      state: 'failed',
      because: 'upgrade of shop to valkey 8.0.1 stopped after 1 of 6: node-4 came back as 7.0.15',
    })
  })
})

describe('an upgrade of engines that Sentinels watch', () => {
  const engine = { flavor: 'valkey', version: '8.0.1' } as const
  const sentinels = ['sentinel-1', 'sentinel-2', 'sentinel-3']
  const nodes = ['node-1', 'node-2', 'node-3']
  const everyEngine: Break = (world) => {
    for (const id of nodes) withFacts(id, { version: engine.version })(world)
  }
  const runsIn =
    (versions: readonly (string | null)[]): Break =>
    (world) => {
      for (const [index, version] of versions.entries()) {
        agentOfSentinel(world, sentinels[index] ?? '').access = { ...unreadAccess, version }
      }
    }
  const upgraded = (versions: readonly (string | null)[]): Deployment =>
    saved(watched().with(everyEngine, withOperation(asked({ kind: 'upgrade', subject: 'shop', engine })))).with(
      runsIn(versions),
    )

  test('comes to an end when the Sentinels are what the engines are, one at a time', () => {
    const first = upgraded(['8.0.1', '7.0.15', '7.0.15']).plan()
    expect(first.actions).toEqual([{ kind: 'stop', node: 'sentinel-2', save: false }])
    expect(first.because).toBe('restarting sentinel-2, which still is 7.0.15')
    const without = upgraded(['8.0.1', '7.0.15', '7.0.15']).with(deadSentinel('sentinel-2')).plan()
    expect(without.actions.filter(({ kind }) => kind === 'stop')).toEqual([])
    expect(operationOf(upgraded(['8.0.1', '8.0.1', '8.0.1']))).toMatchObject({
      state: 'done',
      because: expect.stringContaining('0 engines and 3 Sentinels restarted'),
    })
  })

  test('is not over while nobody has read what one of them is', () => {
    const plan = upgraded(['8.0.1', '8.0.1', null]).plan()
    expect(plan.operations ?? []).toEqual([])
    expect(plan.because).toContain('what sentinel-3 runs is read')
  })

  test('stops where the new one does not start', () => {
    const stuck = upgraded(['8.0.1', '7.0.15', '7.0.15']).with(deadSentinel('sentinel-2'), (world) => {
      agentOfSentinel(world, 'sentinel-2').starts = { failures: 3, lastAt: now, lastError: 'Bad directive' }
    })
    expect(operationOf(stuck)).toMatchObject({
      state: 'failed',
      because: expect.stringContaining('sentinel-2 does not start (Bad directive)'),
    })
  })
})

test('a primary that dies meanwhile is failed over first', () => {
  expect(begun('shop', {}, dead('node-2')).plan().actions).toMatchObject([{ kind: 'failover', node: 'node-5' }])
})

test('two operations run one after the other', () => {
  const two = begun().with((world) => {
    world.document.operations.push(
      structuredClone(asked({ kind: 'switchover', subject: 'shard-3', id: 'op-2' })) as never,
    )
  })
  expect(two.plan().operations).toMatchObject([{ id: 'op-1' }])
})
