import { describe, expect, test } from 'vitest'
import type { HostSeen } from '../../src/index.ts'
import { layOut, parseSpec, planTurn, roomsOf } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, away, dead, factsOf, now, viewsOf } from '../support/deployment.ts'
import { placed, purged } from '../support/layout.ts'

const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z${index + 1}` }))
const where = layOut(parseSpec({ name: 'shop', hosts }))
const onB = where.filter(({ host }) => host === 'b')
const primaryOnB = onB.find(({ id }) => Number(id.slice(5)) <= 3)
const replicaOnB = onB.find(({ id }) => id !== primaryOnB?.id)
const heirOf = (shard: string | undefined): string =>
  where.find((place) => place.shard === shard && place.host !== 'b')?.id ?? ''
const heir = heirOf(primaryOnB?.shard)

/** As an edit leaves it that takes b off. */
const takenOff: Break = (world) => {
  world.spec.hosts = world.spec.hosts.filter(({ name }) => name !== 'b')
  world.spec.security.tls = 'off'
  for (const place of world.document.nodes) if (place.host === 'b') Object.assign(place, { drained: true })
}
/** Nobody has heard b for ten minutes. */
const lost: Break = (world) => {
  for (const { id } of onB) away(id)(world)
  for (const { id, host } of where) if (host !== 'b') factsOf(world, id).replicas = []
  world.observed.hosts = hosts.map(({ name }): HostSeen => {
    const heardAt = name === 'b' ? now - 600_000 : now
    const contacts = Object.fromEntries(hosts.map((other) => [other.name, other.name === 'b' ? now - 600_000 : now]))
    return { id: name, answers: name !== 'b', heardAt, hearing: { since: 0, contacts, isAlone: false } }
  }) as never
}
const planOf = (deployment: Deployment) => {
  const rooms = roomsOf(deployment.spec)
  return planTurn({ ...deployment.input(), vacancy: { rooms, taken: new Set<number>() } })
}
const shop = (...breaks: readonly Break[]): Deployment => aDeployment({ spec: { hosts } }).with(takenOff, ...breaks)
const handedOver = aDeployment({ spec: { hosts }, primaries: { [primaryOnB?.shard ?? '']: heir } })

describe('a host that was taken off the spec', () => {
  test('hands over first what it leads', () => {
    const { actions, because } = planOf(shop())
    expect(actions).toEqual([{ kind: 'failover', node: heir, mode: 'switchover' }])
    expect(because).toContain(`${primaryOnB?.id} is primary of ${primaryOnB?.shard} and drained`)
  })

  test('then has its copies made anew on the others, one at a time', () => {
    const { operations = [], actions } = planOf(handedOver.with(takenOff))
    expect(actions).toEqual([])
    expect(operations).toMatchObject([{ kind: 'replace', state: 'asked', requestedBy: 'holdfast' }])
    expect(operations[0]?.because).toContain('is on b, which is no host of shop any more')
    const place = operations[0]?.kind === 'replace' ? operations[0].places[0] : undefined
    expect(['a', 'c']).toContain(place?.host)
    expect(where.filter(({ shard, host }) => shard === place?.shard && host === place?.host)).toEqual([])
  })

  test('is not waited for where it is lost, and where lost ones are never made anew', () => {
    const off = aDeployment({
      spec: { hosts, placement: { remakeAfter: 'off' } },
      primaries: { [primaryOnB?.shard ?? '']: heir },
    })
    expect(planOf(off.with(lost)).operations).toBeUndefined()
    expect(planOf(off.with(takenOff, lost)).operations).toMatchObject([{ kind: 'replace' }])
  })

  test('keeps no copy by being well', () => {
    const [asked] = planOf(handedOver.with(takenOff)).operations ?? []
    const { operations } = planOf(
      handedOver.with(takenOff, (world) => {
        world.document.operations = [asked as never]
      }),
    )
    expect(operations?.[0]?.state).toBe('running')
  })

  test('is waited for with a shard that has nobody else', () => {
    const { operations = [], because } = planOf(shop(lost, dead(heir)))
    expect(operations.filter((one) => one.kind === 'replace' && one.places[0]?.shard === primaryOnB?.shard)).toEqual([])
    expect(because).not.toBe('')
  })

  test('keeps its own address in what its engines announce until they are gone', () => {
    expect(
      shop()
        .picture()
        .nodes.find(({ id }) => id === replicaOnB?.id)?.place.address,
    ).toBe('10.0.0.2')
  })
})

describe('a node that has left such a host', () => {
  const left = (id: string): Break[] => [
    placed(id, {
      leaving: { because: 'asked', forgottenAt: 1, watchedFrom: { at: now - 80_000, boot: 'boot-1' } },
    }),
    (world) => {
      for (const node of world.observed.nodes)
        if (node.engine.kind === 'answered') {
          const { view } = node.engine.facts
          view.entries = view.entries.filter(({ port }) => port !== where.find((place) => place.id === id)?.port)
        }
    },
  ]

  test('is gone with it where it is lost, and its files stay on its disk', () => {
    const id = replicaOnB?.id ?? ''
    const { places, because } = planOf(handedOver.with(takenOff, lost, ...left(id)))
    expect(because).toContain('its files are on b, which is lost and was taken off')
    expect(places).toContainEqual({ id, place: null })
  })

  test('has its files removed where it is alive', () => {
    const id = replicaOnB?.id ?? ''
    expect(planOf(handedOver.with(takenOff, dead(id), ...left(id))).actions).toEqual([{ kind: 'purge', node: id }])
    expect(planOf(handedOver.with(takenOff, purged(id), ...left(id))).places).toContainEqual({ id, place: null })
  })
})

test('what stands by on such a host goes, and another comes elsewhere', () => {
  const spec = { hosts, shardOverrides: { 1: { replicas: 2 } } }
  const { places = [] } = planOf(
    aDeployment({ spec }).with(placed('node-7', { shard: '', spare: true, host: 'd' }), (world) => {
      Object.assign(world.spec, { shardOverrides: {}, spares: 1 })
      world.spec.security.tls = 'off'
      Object.assign(factsOf(world, 'node-7'), { role: 'primary', link: null, keys: 0 })
    }),
  )
  expect(places).toMatchObject([
    { id: 'node-7', place: { leaving: { because: 'd is no host of shop any more' } } },
    { id: 'node-8', place: { spare: true, shard: '' } },
  ])
  expect(['a', 'b', 'c']).toContain(places[1]?.place?.host)
})

describe('a node that others call by what its host announces', () => {
  const id = replicaOnB?.id ?? ''
  const port = replicaOnB?.port ?? 0
  const announced: Break = (world) => {
    for (const host of world.spec.hosts) if (host.name === 'b') host.announce = { ip: '203.0.113.7' } as never
    world.spec.security.tls = 'off'
    for (const entry of viewsOf(world).flatMap(({ entries }) => entries))
      if (entry.port === port) entry.address = '203.0.113.7'
  }
  const going = placed(id, { leaving: { because: 'asked', forgottenAt: null } })

  test('is forgotten by all when it leaves, and is not taken for forgotten before', () => {
    const { actions } = planOf(aDeployment({ spec: { hosts } }).with(announced, going, dead(id)))
    expect(actions.filter(({ kind }) => kind === 'forget').length).toBeGreaterThan(3)
  })

  test('is no stranger while it stays', () => {
    expect(planOf(aDeployment({ spec: { hosts } }).with(announced)).because).not.toContain('that is not ours')
  })
})
