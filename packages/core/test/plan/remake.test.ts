import { describe, expect, test } from 'vitest'
import type { HostSeen, Operation } from '../../src/index.ts'
import { layOut, operationFor, parseSpec, planTurn, roomsOf } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, away, factsOf, now, onHost, wallNow } from '../support/deployment.ts'
import { placed } from '../support/layout.ts'

const hosts = ['a', 'b', 'c', 'd'].map((name, index) => ({
  name,
  address: `10.0.0.${index + 1}`,
  zone: `z${index + 1}`,
}))
const three = hosts.slice(0, 3)
const minute = 60_000

/** Who is on host b, and it has not been heard for so long, by anybody. */
const lost =
  (forMs: number, heardByOthersAgoMs = forMs): Break =>
  (world) => {
    const ports = world.document.nodes.flatMap(({ host, port }) => (host === 'b' ? [port] : []))
    for (const { id, host } of world.document.nodes) {
      if (host === 'b') away(id)(world)
      else factsOf(world, id).replicas = factsOf(world, id).replicas.filter(({ port }) => !ports.includes(port))
    }
    world.observed.hosts = world.spec.hosts.map(({ name }): HostSeen => {
      const contacts = Object.fromEntries(
        world.spec.hosts.map((other) => [other.name, other.name === 'b' ? now - heardByOthersAgoMs : now]),
      )
      const answers = name !== 'b'
      return {
        id: name,
        answers,
        heardAt: answers ? now : now - forMs,
        hearing: { since: 0, contacts, isAlone: false },
      }
    }) as never
  }

const taken = new Set<number>()

function planOf(deployment: Deployment, open: readonly string[] = ['a', 'c', 'd']) {
  const input = deployment.input()
  const rooms = roomsOf(deployment.spec).filter(({ host }) => open.includes(host))
  return planTurn({ ...input, vacancy: { rooms, taken } })
}

const begun = (deployment: Deployment): Operation | undefined => planOf(deployment).operations?.[0]

describe('a host that is lost', () => {
  const spec = { hosts: three, placement: { remakeAfter: '10m' } }
  const where = layOut(parseSpec({ name: 'shop', ...spec }))
  /** Its primary was taken over by the other copy of shard-2. */
  const heir = where.find(({ shard, host }) => shard === 'shard-2' && host !== 'b')?.id ?? ''
  const shop = aDeployment({ spec, primaries: { 'shard-2': heir } })

  test('is waited for', () => {
    expect(begun(shop.with(lost(9 * minute)))).toBeUndefined()
  })

  test('has its copies made anew elsewhere after that, one at a time', () => {
    const operation = begun(shop.with(lost(11 * minute)))
    expect(operation).toMatchObject({ kind: 'replace', state: 'asked', requestedBy: 'holdfast' })
    expect(operation?.because).toContain('which nobody has reached for 11 min')
    const place = operation?.kind === 'replace' ? operation.places[0] : undefined
    const copies = where.filter(({ shard, host }) => shard === place?.shard && host !== 'b')
    expect(copies.map(({ host }) => host)).not.toContain(place?.host)
    expect(place?.id).toBe('node-7')
  })

  test('is not lost while its primary hears the copy: a firewall may be between', () => {
    const heard: Break = (world) => {
      const replicas = where.flatMap(({ host, port }) =>
        host === 'b' ? [{ port, online: true, offset: 0, ackAgeSeconds: 0 }] : [],
      )
      for (const { id, host } of where) if (host !== 'b') factsOf(world, id).replicas = replicas
    }
    expect(begun(shop.with(lost(11 * minute), heard))).toBeUndefined()
  })

  test('is not lost while others reach it: the controller may be the one that is away', () => {
    expect(begun(shop.with(lost(11 * minute, 100)))).toBeUndefined()
  })

  test('is not lost for as long as the controller does not hear it, but as nobody does', () => {
    expect(begun(shop.with(lost(11 * minute, 9 * minute)))).toBeUndefined()
  })

  test('is left alone where the spec says so', () => {
    const off = aDeployment({ spec: { ...spec, placement: { remakeAfter: 'off' } }, primaries: { 'shard-2': heir } })
    expect(begun(off.with(lost(11 * minute)))).toBeUndefined()
  })

  test('is told of where no other host is fit, and nothing is done', () => {
    const durable = aDeployment({
      replicas: 2,
      spec,
      primaries: {
        'shard-2':
          layOut(parseSpec({ name: 'shop', replicasPerShard: 2, ...spec })).find(
            ({ shard, host }) => shard === 'shard-2' && host !== 'b',
          )?.id ?? '',
      },
    })
    const { operations, because } = planOf(durable.with(lost(11 * minute)))
    expect(operations).toBeUndefined()
    expect(because).toContain('there is no host for node-10')
  })

  test('a shard without a living primary has nothing to copy from', () => {
    const before = aDeployment({ spec })
    const { operations, because } = planOf(before.with(lost(11 * minute)))
    if (operations !== undefined) expect(operations).not.toMatchObject([{ places: [{ shard: 'shard-2' }] }])
    else expect(because).not.toBe('')
  })
})

describe('what is made anew', () => {
  const spec = { hosts: three, placement: { remakeAfter: '10m' } }
  const where = layOut(parseSpec({ name: 'shop', ...spec }))
  const heir = where.find(({ shard, host }) => shard === 'shard-2' && host !== 'b')?.id ?? ''
  const shop = aDeployment({ spec, primaries: { 'shard-2': heir } })
  const asked = begun(shop.with(lost(11 * minute))) as Operation
  const withOperation =
    (change: Partial<Operation>): Break =>
    (world) => {
      world.document.operations = [{ ...asked, ...change } as never]
    }

  test('is not needed any more where the host is back in time', () => {
    const { operations, because } = planOf(shop.with(withOperation({})))
    expect(operations).toMatchObject([{ id: asked.id, state: 'cancelled' }])
    expect(because).toContain('is back with all the data of')
  })

  test('is not asked for again at once where it failed', () => {
    const failed = (agoMs: number) => withOperation({ state: 'failed', endedAt: wallNow - agoMs })
    const soon = planOf(shop.with(lost(30 * minute), failed(minute)))
    expect(soon.operations).toBeUndefined()
    expect(soon.because).toContain('tried again in 9 min')
    expect(begun(shop.with(lost(30 * minute), failed(11 * minute)))).toMatchObject({ state: 'asked' })
  })

  test('waits for what a person has asked for', () => {
    const wish = { kind: 'restart', id: 'x', subject: 'shop' } as const
    const { operations = [] } = planOf(
      shop.with(lost(11 * minute), (world) => {
        world.document.operations = [operationFor(wish, 'ann', wallNow) as never]
      }),
    )
    expect(operations.filter(({ kind }) => kind === 'replace')).toEqual([])
  })
})

describe('a spare', () => {
  const spec = { hosts, placement: { remakeAfter: '10m' }, shardOverrides: { 1: { replicas: 2 } } }
  const where = layOut(parseSpec({ name: 'shop', ...spec })).filter(({ id }) => id !== 'node-7')
  const heir = where.find(({ shard, host }) => shard === 'shard-2' && host !== 'b')?.id ?? ''
  /** node-7 is of no shard, alone and empty. */
  const standingBy: Break = (world) => {
    Object.assign(world.spec, { shardOverrides: {}, spares: 1 })
    placed('node-7', { shard: '', spare: true })(world)
    Object.assign(factsOf(world, 'node-7'), { role: 'primary', link: null, keys: 0 })
  }
  const withSpareOn = (host: string) =>
    planOf(
      aDeployment({ spec, primaries: { 'shard-2': heir } }).with(standingBy, onHost('node-7', host), lost(11 * minute)),
      ['a', 'c'],
    )

  test('takes the place of a copy whose host is lost, and nothing else comes for that', () => {
    const { places, operations = [], because } = withSpareOn('d')
    expect(because).toContain('node-7 takes its place in')
    expect(places).toMatchObject([{ id: 'node-7', place: { host: 'd' } }])
    expect(operations.map(({ subject }) => where.find(({ id }) => id === subject)?.shard)).not.toContain(
      places?.[0]?.place?.shard,
    )
  })

  test('does not where it would be beside the other copy', () => {
    for (const { shard, host } of where.filter((place) => place.host !== 'b' && place.shard !== '')) {
      const change = withSpareOn(host).places?.find(({ id }) => id === 'node-7')
      expect(change?.place?.shard).not.toBe(shard)
    }
  })
})

test('a host is given time', () => {
  expect(() => parseSpec({ name: 'shop', placement: { remakeAfter: '500ms' } })).toThrow(
    'placement.remakeAfter: at least 1s',
  )
})
