import { describe, expect, test } from 'vitest'
import type { HostSeen } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import {
  aDeployment,
  agentOf,
  askedAgo,
  away,
  behind,
  dead,
  engineIdOf,
  factsOf,
  linkDown,
  nodeOf,
  now,
  syncing,
  viewsOf,
  withRecord,
} from '../support/deployment.ts'

const long = 60_000

/** Three hosts, which all hear one another: a, b and c, each with the nodes of its own. */
const onHosts =
  (hosts: Readonly<Record<string, readonly string[]>>): Break =>
  (world) => {
    const of = (id: string): string => Object.entries(hosts).find(([, nodes]) => nodes.includes(id))?.[0] ?? ''
    for (const place of world.document.nodes) place.host = of(place.id)
    for (const node of world.observed.nodes) node.host = of(node.id)
    const names = Object.keys(hosts)
    world.observed.hosts = names.map((id): HostSeen => {
      const contacts = Object.fromEntries(names.filter((other) => other !== id).map((other) => [other, now - 100]))
      return { id, answers: true, heardAt: now, hearing: { since: now - long, contacts, isAlone: false } }
    })
  }

const three = onHosts({ a: ['node-1', 'node-6'], b: ['node-2', 'node-4'], c: ['node-3', 'node-5'] })

/** Nothing of it is reached by anybody for so long. */
const lost =
  (id: string, forMs = 3000, byOthersForMs = forMs): Break =>
  (world) => {
    for (const node of world.observed.nodes.filter(({ host }) => host === id)) away(node.id)(world)
    for (const host of world.observed.hosts ?? []) {
      if (host.id === id) Object.assign(host, { answers: false, heardAt: now - forMs })
      else if (host.hearing !== null) Object.assign(host.hearing.contacts, { [id]: now - byOthersForMs })
    }
  }

const force = (node: string) => ({ kind: 'failover', node, mode: 'force' })

describe('a host that nobody reaches', () => {
  const world = aDeployment().with(three)

  test('loses its primary to a replica elsewhere once its lease is over, by a vote', () => {
    expect(world.with(lost('a')).plan()).toMatchObject({
      actions: [force('node-4')],
      because:
        'node-1 (primary of shard-1) is on a lost host: a has not answered the controller for 3 s, 0 of 2 other hosts reach it; node-4 was linked to it until then: promoting it',
    })
  })

  test.each([
    ['its lease is not over', lost('a', 2400)],
    ['others have reached it since', lost('a', long, 2400)],
  ])('keeps it while %s', (_why, change) => {
    expect(world.with(change).plan().actions).toEqual([])
  })

  test('keeps it where an engine of it answers: its agent may be stopped, and has fenced nothing', () => {
    const answering: Break = (draft) => {
      lost('a')(draft)
      nodeOf(draft, 'node-6').engine = { kind: 'loading', at: now }
    }
    expect(world.with(answering).plan().actions).toEqual([])
  })

  test('is waited for while the voters elect, and then left to them: nobody takes over without a vote', () => {
    const asked = (agoMs: number) => world.with(lost('a', 30_000), askedAgo('node-4', agoMs)).plan()
    expect(asked(200).because).toBe('node-4 was asked to take over shard-1 200 ms ago')
    expect(asked(900)).toMatchObject({
      actions: [],
      because: 'node-4 was asked to take over shard-1 900 ms ago, and the voters have not elected it: left to them',
    })
    expect(asked(20_000).actions).toEqual([force('node-4')])
  })

  test('and two of three primaries on it: nobody is left to vote, which is said', () => {
    const uneven = aDeployment().with(
      onHosts({ a: ['node-1', 'node-2'], b: ['node-3', 'node-4'], c: ['node-5', 'node-6'] }),
    )
    const plan = uneven.with(lost('a')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('1 of 3 voters are left, which elect nobody')
  })

  test.each<[string, Break, string]>([
    ['in the middle of a sync', syncing('node-4'), 'node-4 is in the middle of a sync'],
    [
      'not linked for long before that',
      withRecord('node-4', { linkUpAt: now - 9000, linkDownSince: now - 8900 }),
      'node-4 was last seen linked 6 s before node-1 was lost',
    ],
  ])('is succeeded by nobody whose copy is %s', (_what, change, objection) => {
    const plan = world.with(change, lost('a')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain(objection)
  })

  test('is succeeded by the fullest of two', () => {
    const hosts = onHosts({
      a: ['node-1', 'node-6', 'node-8'],
      b: ['node-2', 'node-4', 'node-9'],
      c: ['node-3', 'node-5', 'node-7'],
    })
    const two = aDeployment({ replicas: 2 }).with(hosts, behind('node-4', 10), lost('a'))
    expect(two.plan().actions).toEqual([force('node-7')])
  })

  test('has one shard promoted at a time, and a dead primary comes first by its proof', () => {
    const plan = world.with(lost('a'), dead('node-2')).plan()
    expect(plan.actions).toHaveLength(1)
  })
})

describe('without a lease, a majority that holds a primary for failed is a ground, too', () => {
  const failed: Break = (draft) => {
    for (const view of viewsOf(draft)) {
      const entry = view.entries.find(({ engineId }) => engineId === engineIdOf('node-1'))
      if (entry !== undefined) entry.health = 'fail'
    }
  }

  test('where all of its host was killed, and its machine refuses', () => {
    const killed: Break = (draft) => {
      lost('a')(draft)
      for (const id of ['node-1', 'node-6'])
        nodeOf(draft, id).engine = { kind: 'refused', at: now, reason: 'connect ECONNREFUSED' }
    }
    const world = aDeployment().with(three, killed)
    expect(world.plan().actions).toEqual([])
    expect(world.with(failed).plan()).toMatchObject({
      actions: [force('node-4')],
      because:
        'node-1 (primary of shard-1) does not answer, and 2 of 3 voters hold it for failed; node-4 was linked to it until then: promoting it',
    })
  })
})

describe('a host that its peers alone have lost', () => {
  const cutFromPeers: Break = (draft) => {
    for (const { hearing } of draft.observed.hosts ?? [])
      if (hearing !== null && 'a' in hearing.contacts) Object.assign(hearing.contacts, { a: now - 2000 })
    for (const replica of factsOf(draft, 'node-1').replicas) replica.ackAgeSeconds = 2
  }
  const world = aDeployment().with(three, cutFromPeers)

  test('is told to take no more writes, and then succeeded', () => {
    expect(world.plan()).toMatchObject({
      actions: [{ kind: 'fence-writes', node: 'node-1', reason: 'its peers have lost it' }],
      because:
        'node-1 (primary of shard-1) is cut off from the others: a answers the controller, and 0 of 2 other hosts reach it, and no replica acknowledges: it shall take no more writes, and node-4 take over',
    })
    const told =
      (at: number | null): Break =>
      (draft) => {
        agentOf(draft, 'node-1').fence = { epoch: 4, reason: 'its peers have lost it', at }
      }
    expect(world.with(told(now - 20)).plan().actions).toEqual([force('node-4')])
    // Its engine has not taken it yet.
    expect(world.with(told(null)).plan().actions).not.toContainEqual(force('node-4'))
  })

  test('goes on while a replica acknowledges: a firewall is between the agents alone', () => {
    const linked: Break = (draft) => {
      for (const replica of factsOf(draft, 'node-1').replicas) replica.ackAgeSeconds = 1
    }
    expect(world.with(linked).plan().actions).toEqual([])
  })
})

describe('class durable', () => {
  const spec = { durability: 'durable', memory: { maxPerNode: '256mb', policy: 'noeviction' } }
  const hosts = onHosts({
    a: ['node-1', 'node-6', 'node-8'],
    b: ['node-2', 'node-4', 'node-9'],
    c: ['node-3', 'node-5', 'node-7'],
  })
  const world = aDeployment({ replicas: 2, spec }).with(hosts)

  test('cuts every copy off from the lost primary first', () => {
    expect(world.with(lost('a')).plan()).toMatchObject({
      actions: [
        { kind: 'renew-link', node: 'node-4' },
        { kind: 'renew-link', node: 'node-7' },
      ],
    })
  })

  test('then reads them, and the fullest is promoted', () => {
    const cut = [linkDown('node-4', 2000), linkDown('node-7', 2000)]
    expect(world.with(...cut, behind('node-4', 10), lost('a')).plan()).toMatchObject({
      actions: [force('node-7')],
      because: expect.stringContaining('node-7 has most of its 2 copies, all read since: promoting it'),
    })
  })

  test('and promotes nobody while one of them cannot be read', () => {
    const plan = world.with(linkDown('node-4', 2000), away('node-7'), lost('a')).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('node-7 does not answer')
  })
})

describe('a fence is lifted', () => {
  const fenced =
    (id: string): Break =>
    (draft) => {
      agentOf(draft, id).fence = { epoch: 4, reason: 'no controller for 2 s', at: now - 5000 }
    }
  const lift = (node: string) => ({ kind: 'lift-fence', node, epoch: 4 })
  const world = aDeployment().with(three)

  test('from a replica at once, and from a primary that most still call so', () => {
    expect(world.with(fenced('node-1'), fenced('node-6')).plan().actions).toEqual([lift('node-1'), lift('node-6')])
  })

  test('not while its agent would fence it again', () => {
    const alone: Break = (draft) => {
      for (const { hearing } of draft.observed.hosts ?? []) Object.assign(hearing ?? {}, { isAlone: true })
    }
    expect(world.with(fenced('node-1'), alone).plan().actions).toEqual([])
  })

  test('not from a primary that most do not name', () => {
    const doubted: Break = (draft) => {
      for (const view of viewsOf(draft).slice(2)) {
        const entry = view.entries.find(({ engineId }) => engineId === engineIdOf('node-1'))
        if (entry !== undefined) entry.health = 'fail'
      }
    }
    const plan = world.with(fenced('node-1'), doubted).plan()
    expect(plan.actions).toEqual([])
    expect(plan.because).toContain('it stays so, until most others say that it is primary')
  })

  test('not where another one of its shard says to be primary', () => {
    const rival: Break = (draft) => {
      Object.assign(factsOf(draft, 'node-4'), { role: 'primary', link: null })
    }
    expect(world.with(fenced('node-1'), rival).plan().actions).not.toContainEqual(lift('node-1'))
  })
})
