import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type {
  AimInput,
  FaultSeen,
  FaultWish,
  MachineSeen,
  NodeStatus,
  SentinelStatus,
  Status,
} from '../../src/index.ts'
import { faultNames, faultTable, parseSpec, previewFault } from '../../src/index.ts'
import { aNodeStatus, aReadyStatus } from '../support/ready-status.ts'

const fine = { met: true, because: 'fine' }
const machine: MachineSeen = { disk: fine, throttle: fine, controller: fine }
const here = (seen: MachineSeen): AimInput['machines'] => new Map([['local', seen]])
const now = 1_750_000_060_000

const aWish = (parts: Partial<FaultWish> = {}): FaultWish => ({
  fault: 'kill-primary',
  forMs: null,
  node: null,
  onProduction: null,
  drill: null,
  ...parts,
})

const anInput = (parts: Partial<AimInput> = {}): AimInput => ({
  wish: aWish(),
  status: aReadyStatus(),
  spec: parseSpec({ name: 'shop', drills: 'yes' }),
  underway: null,
  lock: null,
  machines: here(machine),
  own: ['10.0.0.9'],
  neighbours: [],
  id: 'f-1',
  pick: 0,
  now,
  ...parts,
})

const orderOf = (parts: Partial<AimInput> = {}) => previewFault(anInput(parts)).order
const targetsOf = (parts: Partial<AimInput> = {}) => orderOf(parts)?.targets.map(({ id }) => id)
/** What stands against it. */
const against = (parts: Partial<AimInput> = {}): string[] => {
  const { order, preconditions } = previewFault(anInput(parts))
  const unmet = preconditions.filter(({ met }) => !met).map(({ because }) => because)
  expect(order === null).toBe(unmet.length > 0)
  return unmet
}

const aSentinelStatus = (number: number): SentinelStatus => ({
  id: `sentinel-${number}`,
  hostId: 'local',
  host: '127.0.0.1',
  port: 7100 + number,
  state: 'ok',
  names: 'node-1',
  peers: 2,
  quorum: true,
  epoch: 1,
  pid: 200 + number,
})

const withNode = (status: Status, id: string, parts: Partial<NodeStatus>): Status => ({
  ...status,
  nodes: status.nodes.map((node) => (node.id === id ? { ...node, ...parts } : node)),
})

describe('on whom it falls', () => {
  test('a primary of the first shard, or of the picked one, or the one that was named', () => {
    expect(targetsOf()).toEqual(['node-1'])
    expect(targetsOf({ pick: 1 })).toEqual(['node-2'])
    expect(targetsOf({ pick: 5 })).toEqual(['node-3'])
    expect(targetsOf({ wish: aWish({ node: 'node-3' }) })).toEqual(['node-3'])
  })

  test('a replica, two primaries of different shards, all nodes, or no node', () => {
    expect(targetsOf({ wish: aWish({ fault: 'kill-replica' }) })).toEqual(['node-4'])
    expect(targetsOf({ wish: aWish({ fault: 'kill-two' }) })).toEqual(['node-1', 'node-2'])
    expect(targetsOf({ wish: aWish({ fault: 'kill-two', node: 'node-2' }) })).toEqual(['node-2', 'node-1'])
    expect(targetsOf({ wish: aWish({ fault: 'kill-all' }) })).toHaveLength(6)
    expect(targetsOf({ wish: aWish({ fault: 'storm' }) })).toEqual([])
  })

  test('a target carries all that is needed to hit it, and nothing else', () => {
    expect(orderOf()?.targets).toEqual([
      { id: 'node-1', shard: 'shard-1', role: 'primary', hostId: 'local', host: '127.0.0.1', port: 7001, pid: 101 },
    ])
  })

  test('a named node must fit', () => {
    expect(against({ wish: aWish({ node: 'node-4' }) })).toEqual([
      'node-4 is a replica: kill-primary falls on a primary, name another node or none',
    ])
    expect(against({ wish: aWish({ fault: 'kill-replica', node: 'node-1' }) })).toEqual([
      'node-1 is a primary: kill-replica falls on a replica, name another node or none',
    ])
    expect(against({ wish: aWish({ node: 'node-9' }) })).toEqual([
      'shop has no node node-9: it has node-1, node-2, node-3, node-4, node-5, node-6',
    ])
    expect(against({ wish: aWish({ fault: 'kill-all', node: 'node-1' }) })).toEqual([
      'kill-all falls on all nodes: name no node with it',
    ])
  })

  test('a Sentinel, which belongs to no shard, where there are some', () => {
    const sentinels = [1, 2, 3].map((number) => aSentinelStatus(number))
    const status = aReadyStatus({ topology: 'sentinel', sentinels }, { shardCount: 1 })
    const wish = aWish({ fault: 'kill-sentinel' })
    expect(targetsOf({ status, wish, pick: 4 })).toEqual(['sentinel-2'])
    const order = orderOf({ status, wish: { ...wish, node: 'sentinel-3' } })
    expect(order).toMatchObject({
      because: 'SIGKILL to sentinel-3',
      targets: [
        { id: 'sentinel-3', shard: null, role: 'sentinel', hostId: 'local', host: '127.0.0.1', port: 7103, pid: 203 },
      ],
    })
    expect(against({ status, wish: { ...wish, node: 'node-1' } })).toEqual([
      'shop has no Sentinel node-1: it has sentinel-1, sentinel-2, sentinel-3',
    ])
    expect(against({ wish })).toEqual(['shop has no Sentinels: its topology is cluster, and kill-sentinel needs one'])
  })

  test('one shard has no two primaries to kill', () => {
    expect(against({ wish: aWish({ fault: 'kill-two' }), status: aReadyStatus({}, { shardCount: 1 }) })).toEqual([
      'kill-two needs two primaries in sync, and there is none: wait until "holdfast status shop" says ready',
    ])
  })

  test('the sentence says what, on whom, for how long', () => {
    expect(orderOf()?.because).toBe('SIGKILL to node-1 (primary of shard-1)')
    expect(orderOf({ wish: aWish({ fault: 'freeze' }) })?.because).toBe(
      'SIGSTOP to node-1 (primary of shard-1), for 20 s',
    )
    expect(orderOf({ wish: aWish({ fault: 'kill-two' }) })?.because).toBe(
      'SIGKILL to node-1 (primary of shard-1) and node-2 (primary of shard-2)',
    )
    expect(orderOf({ wish: aWish({ fault: 'kill-all' }) })?.because).toBe('SIGKILL to all 6 nodes')
    expect(orderOf({ wish: aWish({ fault: 'storm', forMs: 1500 }) })?.because).toBe(
      'every client is cut off, and 500 more connect at once, for 1.5 s',
    )
  })
})

describe('whether it may', () => {
  test('only where the deployment is labelled, or its name is said once more', () => {
    const spec = parseSpec({ name: 'shop' })
    const sentence = 'shop is not labelled for drills: set "drills: yes" in its spec, or say --yes-on-production shop'
    expect(against({ spec })).toEqual([sentence])
    expect(against({ spec, wish: aWish({ onProduction: 'shopp' }) })).toEqual([sentence])
    expect(against({ spec, wish: aWish({ onProduction: 'shop' }) })).toEqual([])
  })

  test('only on one that is wanted, ready, and kept by a controller that asks', () => {
    const down = aReadyStatus({ wanted: 'down', ready: 'no', because: 'down, as wanted' })
    expect(against({ status: down })).toEqual(['shop shall be down: bring it up with "holdfast up shop"'])
    const ill = aReadyStatus({ ready: 'no', because: 'node-2 is dead' })
    expect(against({ status: ill })).toEqual(['shop is not ready (node-2 is dead): wait until it is'])
    const lost = aReadyStatus({ controller: { id: 'c-2', epoch: 8, lease: 'lost' } })
    expect(against({ status: lost })).toEqual(['another controller (c-2) keeps shop: ask that one'])
    const none = aReadyStatus({ controller: { id: '', epoch: 0, lease: 'none' } })
    expect(against({ status: none })).toEqual(['no controller heals shop: start one with "holdfast serve"'])
  })

  test('only where every shard that it touches has its copies', () => {
    const cut = withNode(aReadyStatus(), 'node-4', { link: 'down' })
    expect(targetsOf({ status: cut })).toEqual(['node-2'])
    expect(against({ status: cut, wish: aWish({ node: 'node-1' }) })).toEqual([
      'node-4 is not in sync with node-1: wait until shard-1 is in sync',
    ])
    const dead = withNode(aReadyStatus(), 'node-5', { state: 'dead' })
    expect(against({ status: dead, wish: aWish({ fault: 'kill-all' }) })).toEqual([
      'node-5 is dead: wait until shard-2 is in sync',
    ])
  })

  test('a shard of one copy may be hit: what that means is said', () => {
    const alone = anInput({ status: aReadyStatus({}, { copies: 1 }) })
    expect(previewFault(alone).preconditions).toContainEqual({
      met: true,
      because: 'shard-1 has no second copy: it is away until its only process is there again',
    })
    expect(previewFault(alone).order).not.toBeNull()
  })

  test('not while another fault lasts, or another drill has the deployment', () => {
    const underway: FaultSeen = {
      id: 'f-0',
      deployment: 'shop',
      fault: 'freeze',
      because: 'SIGSTOP to node-2 (primary of shard-2), for 20 s',
      targets: ['node-2'],
      injectedAt: now - 12_000,
      healsAt: now + 8000,
      healedAt: null,
      trouble: null,
    }
    expect(against({ underway })).toEqual([
      'a fault lasts since 12 s: SIGSTOP to node-2 (primary of shard-2), for 20 s. Wait, or stop it: "holdfast drill shop --stop" (f-0)',
    ])
    const lock = { id: 'd-1', since: now - 3000 }
    expect(against({ lock })).toEqual(['drill d-1 has shop to itself since 3 s: wait until it is over, or end it'])
    expect(against({ lock, wish: aWish({ drill: 'd-2' }) })).toHaveLength(1)
    expect(against({ lock, wish: aWish({ drill: 'd-1' }) })).toEqual([])
  })

  test('it lasts from a tenth of a second to ten minutes, and what is over at once has no length', () => {
    const lasting = (forMs: number) => against({ wish: aWish({ fault: 'freeze', forMs }) })
    expect(lasting(100)).toEqual([])
    expect(lasting(600_000)).toEqual([])
    expect(lasting(600_001)).toEqual(['a fault lasts from 100 ms to 10 min: say another length'])
    for (const forMs of [0, -1, 99, Number.NaN]) expect(lasting(forMs)).toHaveLength(1)
    expect(orderOf({ wish: aWish({ forMs: 5000 }) })?.forMs).toBe(0)
  })

  test('what the machine does not allow is refused in its words', () => {
    const no = { met: false, because: 'only root may throttle a disk' }
    expect(against({ machines: here({ ...machine, throttle: no }), wish: aWish({ fault: 'slow-disk' }) })).toEqual([
      no.because,
    ])
    expect(against({ machines: here({ ...machine, disk: no }), wish: aWish({ fault: 'disk-full' }) })).toEqual([
      no.because,
    ])
    expect(against({ machines: here({ ...machine, controller: no }), wish: aWish({ fault: 'unattended' }) })).toEqual([
      no.because,
    ])
    expect(against({ machines: here({ disk: no, throttle: no, controller: no }) })).toEqual([])
  })

  test('a large node is not filled: it would take longer than the drill', () => {
    const large = withNode(aReadyStatus(), 'node-1', { memoryMaxBytes: 3 * 1024 ** 3 })
    expect(against({ status: large, wish: aWish({ fault: 'memory-full' }) })).toEqual([
      'node-1 holds 3 GB: only up to 2 GB can be filled within a drill',
    ])
  })
})

describe('laws', () => {
  const aState = fc.constantFrom<NodeStatus['state']>('ok', 'ok', 'ok', 'dead', 'syncing', 'unknown')
  /** Any moment of a cluster: primaries in any place, nodes in any state, pids known or not. */
  const aMoment = fc
    .record({
      shardCount: fc.integer({ min: 1, max: 4 }),
      copies: fc.integer({ min: 1, max: 3 }),
      heads: fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }),
      states: fc.array(aState, { minLength: 12, maxLength: 12 }),
      pids: fc.array(fc.constantFrom<number | null>(7, 8, 9, null), { minLength: 12, maxLength: 12 }),
      ready: fc.constantFrom<Status['ready']>('yes', 'yes', 'yes', 'no', 'unknown'),
    })
    .map(({ shardCount, copies, heads, states, pids, ready }): Status => {
      const base = aReadyStatus({ ready }, { shardCount, copies })
      const shards = base.shards.map((shard, index) => {
        const members = [shard.primary ?? '', ...shard.replicas]
        const primary = members[(heads[index] ?? 0) % members.length] ?? null
        return { ...shard, primary, replicas: members.filter((id) => id !== primary) }
      })
      const nodes = base.nodes.map((node, index) => {
        const isPrimary = shards.some(({ primary }) => primary === node.id)
        const role = isPrimary ? ('primary' as const) : ('replica' as const)
        const link = isPrimary ? null : ('up' as const)
        return aNodeStatus({ ...node, role, link, state: states[index] ?? 'ok', pid: pids[index] ?? null })
      })
      return { ...base, shards, nodes }
    })
  const aWishOfAny = fc
    .record({
      fault: fc.constantFrom(...faultNames),
      node: fc.constantFrom(null, null, 'node-1', 'node-2', 'node-5', 'nobody'),
      forMs: fc.constantFrom(null, 1000, 700_000),
    })
    .map(aWish)

  test('what is ordered fits the aim, in shards that have all their copies, and never takes a whole shard unless all', () => {
    fc.assert(
      fc.property(aMoment, aWishOfAny, fc.integer(), (status, wish, pick) => {
        const order = orderOf({ status, wish, pick })
        if (order === null) return
        const { aim } = faultTable[wish.fault]
        const nodes = order.targets.map(({ id }) => status.nodes.find((node) => node.id === id))
        expect(status.ready).toBe('yes')
        expect(new Set(order.targets.map(({ id }) => id)).size).toBe(order.targets.length)
        const touched = new Set(order.targets.map(({ shard }) => shard))
        for (const node of status.nodes) if (touched.has(node.shard)) expect(node.state).toBe('ok')
        if (aim === 'all nodes') {
          expect(nodes).toHaveLength(status.nodes.length)
          return
        }
        // Of a shard, at most one copy.
        expect(touched.size).toBe(order.targets.length)
        const role = aim === 'a replica' ? 'replica' : 'primary'
        for (const node of nodes) expect(node?.role).toBe(role)
        const count = {
          'a primary': 1,
          'a replica': 1,
          'two primaries': 2,
          'a Sentinel': 0,
          'a host': 0,
          'the controller': 0,
          'all clients': 0,
        }[aim]
        expect(nodes).toHaveLength(count)
        if (wish.node !== null) expect(order.targets[0]?.id).toBe(wish.node)
      }),
    )
  })

  test('it is ordered exactly where nothing stands against it, and every condition has its sentence', () => {
    fc.assert(
      fc.property(aMoment, aWishOfAny, (status, wish) => {
        const { order, preconditions, costs, heals } = previewFault(anInput({ status, wish }))
        expect(order !== null).toBe(preconditions.every(({ met }) => met))
        for (const { because } of preconditions) expect(because).not.toMatch(/^$|undefined|null|NaN/)
        expect([costs, heals]).toEqual([faultTable[wish.fault].costs, faultTable[wish.fault].heals])
      }),
    )
  })
})

describe('a host as a whole', () => {
  const hostOf = (index: number): string => ['a', 'b', 'c'][index % 3] ?? 'a'
  const spread = (): Status => {
    const status = aReadyStatus()
    // Replicas come after the primaries, each one host further.
    const nodes = status.nodes.map((node, index) => {
      const at = index < 3 ? index : index + 1
      return { ...node, hostId: hostOf(at), host: `10.0.0.${(at % 3) + 1}` }
    })
    return { ...status, nodes }
  }
  const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}` }))
  const among = (parts: Partial<AimInput> = {}): Partial<AimInput> => ({
    status: spread(),
    spec: parseSpec({ name: 'shop', drills: 'yes', hosts }),
    machines: new Map([
      ['a', { ...machine, cut: fine }],
      ['b', { ...machine, cut: fine }],
    ]),
    ...parts,
  })

  test('is that of a primary, or of the node that was named, with all that is on it', () => {
    expect(targetsOf(among({ wish: aWish({ fault: 'kill-host' }) }))).toEqual(['node-1', 'node-6'])
    expect(targetsOf(among({ wish: aWish({ fault: 'kill-host', node: 'node-4' }) }))).toEqual(['node-2', 'node-4'])
    expect(orderOf(among({ wish: aWish({ fault: 'kill-agent' }) }))?.because).toBe(
      'SIGKILL to the agent of host a, for 10 s',
    )
  })

  test('is not the one that the drill runs on, where there is another', () => {
    const wish = aWish({ fault: 'cut-host' })
    expect(targetsOf(among({ wish, own: ['10.0.0.1'] }))).toEqual(['node-2', 'node-4'])
    expect(against(among({ wish: { ...wish, node: 'node-1' }, own: ['10.0.0.1'] }))).toEqual([
      'host a is the machine of this controller: name a node on another host',
    ])
  })

  test('is not hurt where somebody else would be hurt with it', () => {
    const wish = aWish({ fault: 'kill-agent' })
    const bank = { name: 'bank', hosts: ['a'], drills: false }
    expect(against(among({ wish, neighbours: [bank] }))).toEqual([
      'host a also carries bank, not labelled for drills: name a node on another host',
    ])
    expect(against(among({ wish, neighbours: [{ ...bank, drills: true }] }))).toEqual([])
    expect(against(among({ wish: { ...wish, node: 'node-2' }, neighbours: [bank] }))).toEqual([])
  })

  test('is cut off only where its agent says that this can be done', () => {
    const wish = aWish({ fault: 'cut-peers' })
    expect(
      against(among({ wish, machines: new Map([['a', { ...machine, cut: { met: false, because: 'no nft' } }]]) })),
    ).toEqual(['host a: no nft'])
    expect(against(among({ wish, machines: new Map([['a', machine]]) }))).toHaveLength(1)
    expect(against(among({ wish }))).toEqual([])
  })

  test('needs hosts, and what kills the controller and a primary at once does not go over two', () => {
    expect(against({ wish: aWish({ fault: 'kill-host' }) })).toEqual([
      'shop runs on the machine of its controller alone, and kill-host needs hosts that have joined',
    ])
    expect(against(among({ wish: aWish({ fault: 'unattended' }) }))).toHaveLength(1)
  })
})
