import { describe, expect, test } from 'vitest'
import type { SpecText } from '../../src/index.ts'
import { parseSpec, statusOf } from '../../src/index.ts'
import type { Disk } from '../support/changing.ts'
import { Changing, run } from '../support/changing.ts'
import type { Break } from '../support/deployment.ts'
import {
  aDeployment,
  agentOf,
  dead,
  factsOf,
  linkDown,
  now,
  withFacts,
  withFiles,
  withRecord,
} from '../support/deployment.ts'

const modes = ['rdb', 'aof', 'hybrid'] as const
type Mode = (typeof modes)[number]

const hasFiles = ({ config, aof, rdb, child }: Disk): boolean =>
  config['appendonly'] === 'yes' ? aof && child !== 'log' : config['save'] !== '' && rdb && child === null

const isBare = ({ config, file, aof, rdb }: Disk): boolean =>
  [config, file].every((one) => one['appendonly'] === 'no' && one['save'] === '') && !aof && !rdb

const writersOf = (changing: Changing): string[] =>
  [...changing.disks].flatMap(([id, disk]) => (hasFiles(disk) ? [id] : []))

/** Turns until nothing is left to do, while every shard of these has a copy with whole files all the time. */
function runSafely(changing: Changing, shards: readonly (readonly string[])[]): void {
  run(changing, () => {
    for (const ids of shards)
      expect(
        ids.some((id) => hasFiles(changing.disks.get(id) as Disk)),
        ids.join(),
      ).toBe(true)
  })
  const begins = ({ config }: Disk): boolean => config['appendonly'] === 'yes' || config['save'] !== ''
  for (const [id, disk] of changing.disks) expect(begins(disk) || isBare(disk), id).toBe(true)
}

const pairs = [
  ['node-1', 'node-4'],
  ['node-2', 'node-5'],
  ['node-3', 'node-6'],
]
const on = (persistence: Mode, persistOn: string): SpecText => ({ persistence, persistOn })

describe.each(modes)('with %s', (mode) => {
  test('primaries end their files once their replicas have theirs', () => {
    const changing = new Changing(on(mode, 'all'), on(mode, 'replicas'))
    runSafely(changing, pairs)
    expect(writersOf(changing)).toEqual(['node-4', 'node-5', 'node-6'])
  })

  test('after a change of role the new primary writes until the former one has its files', () => {
    const changing = new Changing(on(mode, 'all'), on(mode, 'replicas'))
    runSafely(changing, pairs)
    changing.under({ spec: on(mode, 'replicas'), primaries: { 'shard-1': 'node-4' } })
    runSafely(changing, pairs)
    expect(writersOf(changing)).toEqual(['node-1', 'node-5', 'node-6'])
  })

  test('all write again where the spec says so', () => {
    const changing = new Changing(on(mode, 'all'), on(mode, 'replicas'))
    runSafely(changing, pairs)
    changing.under({ spec: on(mode, 'all') })
    runSafely(changing, pairs)
    expect([...changing.disks.values()].filter(isBare)).toEqual([])
  })

  test('one: the same copy goes on, whoever becomes primary, unless that is itself', () => {
    const trio = [['node-1', 'node-4', 'node-7']]
    const changing = new Changing(on(mode, 'all'), on(mode, 'one'), { replicas: 2 })
    const writersOfFirst = () => writersOf(changing).filter((id) => trio[0]?.includes(id))
    const layout = { replicas: 2, spec: on(mode, 'one') }
    runSafely(changing, trio)
    expect(writersOfFirst()).toEqual(['node-4'])
    runSafely(changing.under({ ...layout, primaries: { 'shard-1': 'node-7' } }), trio)
    expect(writersOfFirst()).toEqual(['node-4'])
    runSafely(changing.under({ ...layout, primaries: { 'shard-1': 'node-4' } }), trio)
    expect(writersOfFirst()).toEqual(['node-1'])
  })
})

test('a change of mode and of who writes, in one edit', () => {
  for (const from of modes) {
    for (const to of modes) {
      const changing = new Changing(on(from, 'all'), on(to, 'replicas'))
      runSafely(changing, pairs)
      expect(writersOf(changing), `${from} to ${to}`).toEqual(['node-4', 'node-5', 'node-6'])
    }
  }
})

test('a copy that is away ends nobody’s files, and its primary begins none', () => {
  const changing = new Changing(on('hybrid', 'all'), on('hybrid', 'replicas'))
  expect(changing.plan(linkDown('node-4', 400)).actions.filter(({ node }) => node === 'node-1')).toEqual([])
  runSafely(changing, pairs)
  const plan = changing.plan(dead('node-4'))
  expect(plan.actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
})

test('one: another copy takes the place of a writer that does not come back', () => {
  const changing = new Changing(on('hybrid', 'all'), on('hybrid', 'one'), { replicas: 2 })
  run(changing)
  const failing: Break = (world) => {
    Object.assign(agentOf(world, 'node-4').starts, { failures: 4, lastAt: now - 10 })
  }
  expect(changing.plan(dead('node-4')).actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
  const plan = changing.plan(dead('node-4'), failing)
  expect(plan.actions, plan.because).toEqual([{ kind: 'begin-log', node: 'node-7' }])
})

/** As it is in the long run: primaries have nothing on their disks, and say so. */
const settled: Break = (world) => {
  for (const id of ['node-1', 'node-2', 'node-3']) {
    factsOf(world, id).disk.logs = false
    Object.assign(agentOf(world, id), { written: { appendonly: 'no', save: '' } })
    Object.assign(agentOf(world, id).files, { aof: false, rdb: false })
    Object.assign(agentOf(world, id).record ?? {}, { logs: false })
  }
}
const spec = on('hybrid', 'replicas')
const deployed = (...breaks: Break[]) => aDeployment({ spec }).with(settled, ...breaks)

describe('a primary that writes nothing', () => {
  test('is not started again while its copy may take over, nor before it', () => {
    expect(deployed(dead('node-1')).plan().actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'force' }])
    expect(deployed(dead('node-1'), linkDown('node-4', 5000)).plan().actions).toEqual([])
  })

  test('stays down after a loss of power, until a copy that has files serves', () => {
    const { actions } = deployed(dead('node-1'), dead('node-4')).plan()
    expect(actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
    const loaded = withFacts('node-4', { replid: 'd'.repeat(40), keys: 812, uptimeSeconds: 0, offset: 0 })
    const linkless = withRecord('node-1', { at: -1e9 })
    const plan = deployed(dead('node-1'), linkDown('node-4', 1), loaded, linkless).plan()
    expect(plan.actions, plan.because).toMatchObject([{ kind: 'failover', node: 'node-4' }])
  })

  test('a snapshot that is left of a sync is no copy beside a file that was written', () => {
    const left = deployed(dead('node-1'), dead('node-4'), withFiles('node-1', { rdb: true }))
    expect(left.plan().actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
    const alone = left.with(withFiles('node-4', { aof: false, rdb: false }))
    expect(alone.plan().actions).toMatchObject([{ kind: 'start', node: 'node-1' }])
  })

  const held: Break = (world) => {
    agentOf(world, 'node-1').config = { 'repl-diskless-sync-delay': '1000000000' }
  }
  const strange = [
    withFacts('node-1', { keys: 3, replid: 'e'.repeat(40), offset: 90, uptimeSeconds: 0 }),
    withRecord('node-1', { replid: 'e'.repeat(40), offset: 90 }),
    held,
  ]

  test('is won back from a stranger who started it, whatever was written to it since', () => {
    const plan = deployed(...strange, withFacts('node-4', { keys: 812 }), linkDown('node-4', 400)).plan()
    expect(plan.actions).toEqual([{ kind: 'failover', node: 'node-4', mode: 'force' }])
  })

  test('is held until its copy runs, and let go where nobody has more', () => {
    expect(deployed(...strange, dead('node-4')).plan().actions).toMatchObject([{ kind: 'start', node: 'node-4' }])
    const lost = deployed(...strange, withFacts('node-4', { keys: 0 }), linkDown('node-4', 400)).plan()
    expect(lost.actions).toMatchObject([
      { kind: 'configure', node: 'node-1', set: { 'repl-diskless-sync': 'no', 'min-replicas-to-write': '0' } },
    ])
  })

  test('goes down before its replicas, which write down all it had', () => {
    const down = aDeployment({ spec, document: { wanted: 'down' } }).with(settled)
    expect(down.plan().actions.map(({ node }) => node)).toEqual(['node-1', 'node-2', 'node-3'])
    expect(down.with(dead('node-1'), dead('node-2'), dead('node-3')).plan().actions).toHaveLength(3)
  })
})

test('what a loss of power costs is said by what is on the disks now', () => {
  const lossOf = (...breaks: Break[]): string => {
    const { document, spec: parsed, picture, files, owned } = deployed(...breaks).input()
    const controller = { id: 'a', epoch: 1, lease: 'held' } as const
    const plan = deployed(...breaks).plan()
    return statusOf({ document, spec: parsed, picture, plan, controller, engine: null, files, owned, wallNow: 0 })
      .lossWindow
  }
  expect(lossOf()).toContain(
    'power failure: up to 2 s of writes, and what the copies that write do not have yet (0 B now)',
  )
  expect(lossOf(dead('node-4'))).toContain('; power failure: everything of shard-1, where no copy has its files now')
})

test.each<[what: string, fields: SpecText, said: string]>([
  ['a standalone engine', { topology: 'standalone' }, 'persistOn: a standalone engine is its only copy'],
  ['no persistence', { persistence: 'none' }, 'persistOn: replicas says nothing with persistence none'],
  ['durable', { durability: 'durable', replicasPerShard: 2 }, 'persistOn: durability durable needs the files of every'],
  ['a shard without a replica', { shardOverrides: { 2: { replicas: 0 } } }, 'persistOn: shard-2 has no replica'],
  ['the guard in config', { config: { 'repl-diskless-sync': 'yes' } }, 'config.repl-diskless-sync: with persistOn'],
])('refused with %s', (_, fields, said) => {
  expect(() => parseSpec({ name: 'shop', persistOn: 'replicas', ...fields })).toThrow(said)
})
