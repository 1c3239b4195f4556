import { describe, expect, test } from 'vitest'
import type { Adoption, EngineFacts, NodeSeen, Observed, Status, ViewEntry } from '../src/index.ts'
import {
  describeForeignChanges,
  foreignStatus,
  HoldfastError,
  layOutForeign,
  nameForForeign,
  parseForeignAddress,
} from '../src/index.ts'
import { aDeployment } from './support/deployment.ts'

const [base] = aDeployment().observed.nodes.flatMap(({ engine }) => (engine.kind === 'answered' ? [engine.facts] : []))
if (base === undefined) throw new Error('nobody answers')
const at = (port: number): string => `10.0.0.1:${port}`
const idOf = (port: number): string => `${port}`.padStart(40, '0')

interface Line {
  readonly port: number
  readonly follows?: number
  readonly slots?: readonly [number, number]
  readonly health?: ViewEntry['health']
}

const entriesOf = (lines: readonly Line[]): ViewEntry[] =>
  lines.map(({ port, follows, slots, health = 'ok' }) => ({
    engineId: idOf(port),
    address: '10.0.0.1',
    port,
    role: follows === undefined ? 'primary' : 'replica',
    follows: follows === undefined ? null : idOf(follows),
    health,
    handshake: false,
    linked: true,
    configEpoch: follows ?? port,
    slots: slots === undefined ? [] : [slots],
  }))

const adoption = (change: Partial<Adoption> = {}): Adoption => ({
  apiVersion: 1,
  name: 'theirs',
  topology: 'cluster',
  masterName: null,
  seeds: [{ address: '10.0.0.1', port: 1 }],
  user: '',
  sentinelUser: '',
  nodes: [],
  sentinels: [],
  at: 0,
  by: 'cli',
  secrets: { engine: '', sentinel: '' },
  ...change,
})

const seen = (port: number, engine: NodeSeen['engine']): NodeSeen => ({
  id: at(port),
  shard: '',
  host: 'elsewhere',
  address: '10.0.0.1',
  port,
  engine,
  agent: null,
})

const answered = (port: number, facts: Partial<EngineFacts>): NodeSeen =>
  seen(port, { kind: 'answered', at: 1000, facts: { ...base, link: null, replicas: [], role: 'primary', ...facts } })

const silent = (port: number): NodeSeen => seen(port, { kind: 'refused', at: 400, reason: 'connect ECONNREFUSED' })

/** All of these lines, as each of those that answer sees them. */
const cluster = (lines: readonly Line[], away: readonly number[] = []): Observed => ({
  at: 1000,
  nodes: lines.map(({ port, follows }) => {
    if (away.includes(port)) return silent(port)
    const link = {
      state: 'up',
      downSeconds: 0,
      primaryAddress: '10.0.0.1',
      primaryPort: follows ?? 0,
      priority: 100,
    } as const
    const view = { me: idOf(port), entries: entriesOf(lines), open: [] }
    return answered(port, {
      engineId: idOf(port),
      clusterOk: true,
      view,
      ...(follows === undefined ? {} : { role: 'replica' as const, link }),
    })
  }),
})

const whole: readonly Line[] = [
  { port: 1, slots: [0, 8000] },
  { port: 2, slots: [8001, 16_383] },
  { port: 3, follows: 1 },
  { port: 4, follows: 2 },
]
const failedOver: readonly Line[] = [
  { port: 1, health: 'fail' },
  { port: 2, slots: [8001, 16_383] },
  { port: 3, slots: [0, 8000] },
  { port: 4, follows: 2 },
]

const settled = (observed: Observed, before = adoption()): Adoption => ({
  ...before,
  ...layOutForeign(before, observed),
})
const statusFor = (known: Adoption, observed: Observed): Status =>
  foreignStatus({ adoption: known, observed, controllerId: 'c', wallNow: 1_000_000 })
const shardsIn = ({ nodes }: Adoption): string[] => nodes.map(({ id, shard }) => `${shard} ${id}`).sort()

describe('who belongs to a Cluster', () => {
  test('is what its nodes say, each shard by its primary, in the order of the slots', () => {
    expect(shardsIn(settled(cluster(whole)))).toEqual([
      `shard-1 ${at(1)}`,
      `shard-1 ${at(3)}`,
      `shard-2 ${at(2)}`,
      `shard-2 ${at(4)}`,
    ])
  })

  test('a failover leaves every shard its name, and the dead primary in its own', () => {
    const before = settled(cluster(whole))
    expect(shardsIn(settled(cluster(failedOver, [1]), before))).toEqual(shardsIn(before))
  })

  test('a primary without slots is of no shard', () => {
    const observed = cluster([...whole, { port: 5 }])
    expect(settled(observed).nodes.find(({ id }) => id === at(5))?.shard).toBe('')
    expect(statusFor(settled(observed), observed)).toMatchObject({ ready: 'yes', copiesInSync: 2 })
  })

  test('one that was thrown out and knows only itself says nothing of the others', () => {
    const { at: now, nodes } = cluster(whole.slice(0, 3))
    const alone = answered(4, { engineId: idOf(4), view: { me: idOf(4), entries: entriesOf([{ port: 4 }]), open: [] } })
    const known = settled({ at: now, nodes: [...nodes, alone] }, settled(cluster(whole)))
    expect(known.nodes.map(({ id }) => id)).not.toContain(at(4))
  })

  test('stays as it was while nobody answers', () => {
    const before = settled(cluster(whole))
    expect(settled(cluster(whole, [1, 2, 3, 4]), before)).toEqual(before)
  })
})

describe('how it is', () => {
  const known = settled(cluster(whole))

  test('in sync is ready, with its copies and what a fault may cost', () => {
    const status = statusFor(known, cluster(whole))
    expect(status).toMatchObject({ ready: 'yes', because: '2 shards, 4 of 4 nodes in sync', copiesInSync: 2 })
    expect(status.controller.lease).toBe('none')
    expect(status.adopted).toMatchObject({ from: [at(1)], by: 'cli' })
  })

  test('whoever does not answer is unknown, since when and why, and never dead', () => {
    const status = statusFor(known, cluster(whole, [4]))
    expect(status.ready).toBe('unknown')
    expect(status.because).toBe(`cannot see ${at(4)} since 1970-01-01 00:16:39Z (connect ECONNREFUSED)`)
    expect(status.nodes.find(({ id }) => id === at(4))).toMatchObject({ state: 'unknown', role: 'unknown' })
  })

  test('what the others are sure of is said', () => {
    const lines = whole.map((line) => (line.port === 4 ? { ...line, health: 'fail' as const } : line))
    expect(statusFor(known, cluster(lines, [4]))).toMatchObject({
      ready: 'no',
      because: `${at(4)} has failed, say 3 of 3`,
    })
  })

  test('nobody who answers is unknown, and so is what a fault may cost', () => {
    const status = statusFor(known, cluster(whole, [1, 2, 3, 4]))
    expect(status).toMatchObject({
      ready: 'unknown',
      copiesInSync: 0,
      lossWindow: 'unknown: not every primary answers',
    })
  })

  test('a failover is an event: who took over, and from whom', () => {
    const dying = cluster(whole, [1])
    const after = cluster(failedOver, [1])
    const told = describeForeignChanges(statusFor(known, dying), statusFor(settled(after, known), after), after)
    expect(told).toContainEqual({
      kind: 'shard',
      subject: 'shard-1',
      because: `${at(3)} is primary of shard-1, was ${at(1)}`,
    })
  })

  test('a node that comes or goes is an event', () => {
    const more = cluster([...whole, { port: 5, follows: 2 }])
    const grown = settled(more, known)
    const [few, many] = [statusFor(known, cluster(whole)), statusFor(grown, more)]
    expect(describeForeignChanges(few, many, more).map(({ because }) => because)).toEqual([
      `${at(5)} belongs to it now: replica of shard-2`,
    ])
    expect(describeForeignChanges(many, few, more).map(({ because }) => because)).toEqual([
      `${at(5)} does not belong to it any more`,
    ])
  })
})

describe('engines without a Cluster', () => {
  const alone = (change: Partial<Adoption> = {}) => adoption({ topology: 'standalone', ...change })
  const linked = (primaryAddress: string) =>
    ({ state: 'up', downSeconds: 0, primaryAddress, primaryPort: 1, priority: 100 }) as const
  const attached = [{ address: '10.0.0.1', port: 2, online: true, offset: 0, ackAgeSeconds: 0 }]

  test('are found by whom they follow and who follows them', () => {
    const primary = answered(1, { replid: 'a', replicas: attached })
    const found = settled({ at: 1000, nodes: [primary] }, alone())
    expect(found.nodes.map(({ id }) => id)).toEqual([at(1), at(2)])
    const replica = answered(2, { role: 'replica', replid: 'a', link: linked('10.0.0.1') })
    const fromReplica = settled({ at: 1000, nodes: [replica] }, alone({ seeds: [{ address: '10.0.0.1', port: 2 }] }))
    expect(fromReplica.nodes.map(({ id }) => id)).toEqual([at(1), at(2)])
  })

  test('a replica that knows its primary by another name follows it all the same', () => {
    const replica = answered(2, { role: 'replica', replid: 'a', link: linked('db-1.internal') })
    const observed = { at: 1000, nodes: [answered(1, { replid: 'a', replicas: attached }), replica] }
    const known = settled(observed, settled(observed, alone()))
    expect(known.nodes.map(({ id }) => id)).toEqual([at(1), at(2)])
    expect(statusFor(known, observed)).toMatchObject({ ready: 'yes', because: '2 of 2 nodes in sync', copiesInSync: 2 })
  })
})

describe('an address', () => {
  test.each([
    ['redis://10.0.0.7', { topology: null, seeds: [{ address: '10.0.0.7', port: 6379 }] }],
    ['redis://:p%2Fw@h:7', { user: '', secrets: { engine: 'p/w', sentinel: '' } }],
    ['valkey://watcher@h:7', { user: 'watcher' }],
    ['holdfast+sentinel://s1,s2:7/main?sentinel=u:p', { topology: 'sentinel', masterName: 'main', sentinelUser: 'u' }],
    ['holdfast+cluster://h1:1,h2:2', { topology: 'cluster' }],
  ])('%s', (url, parts) => expect(parseForeignAddress(url)).toMatchObject(parts))

  test.each(['rediss://:secret@h', 'holdfast+clusters://u:secret@h', 'http://u:secret@h', 'redis://u:secret@h@h'])(
    '%s is refused, and its password not repeated',
    (url) => {
      const refused = () => parseForeignAddress(url)
      expect(refused).toThrow(HoldfastError)
      expect(refused).not.toThrow(/secret/)
    },
  )

  test('names what nobody named', () => {
    const seeds = [{ address: '10.0.0.7', port: 7001 }]
    expect(nameForForeign({ masterName: null, seeds })).toBe('adopted-7001')
    expect(nameForForeign({ masterName: 'main', seeds })).toBe('main')
    expect(nameForForeign({ masterName: null, seeds: [{ address: 'basket-1.internal', port: 1 }] })).toBe('basket-1')
  })
})
