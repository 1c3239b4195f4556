import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { judgePlacement, primariesAtMost } from '../src/placement/judge.ts'
import type { Room, Seat, Spread, Unseated } from '../src/placement/spread.ts'
import { alternate, seat, zoneOf } from '../src/placement/spread.ts'

const host = (name: string, zone = '', free = Number.POSITIVE_INFINITY): Room => ({ host: name, zone, free })

/** First copies first, as a layout has them. */
function copiesOf(shards: number, replicas: number): Unseated[] {
  return Array.from({ length: replicas + 1 }, (_, copy) =>
    Array.from({ length: shards }, (__, index) => ({
      id: `node-${copy * shards + index + 1}`,
      shard: `shard-${index + 1}`,
      isPrimary: copy === 0,
    })),
  ).flat()
}

function seats(shards: number, replicas: number, rooms: readonly Room[], spread: Spread = 'zone'): Seat[] {
  return seat(copiesOf(shards, replicas), [], rooms, spread).map((one) => {
    if (one === null) throw new Error('no room')
    return one
  })
}

const told = (all: readonly Seat[]): string => all.map(({ id, host: on }) => `${id}@${on}`).join(' ')

describe('where copies go', () => {
  test('six nodes on three hosts: a primary and another replica on each', () => {
    expect(told(seats(3, 1, [host('a'), host('b'), host('c')]))).toBe(
      'node-1@a node-2@b node-3@c node-4@b node-5@c node-6@a',
    )
    const placed = seats(3, 1, [host('a'), host('b'), host('c')])
    expect(judgePlacement(placed, [host('a'), host('b'), host('c')], 'zone')).toEqual([])
    for (const name of ['a', 'b', 'c']) expect(placed.filter((one) => one.host === name)).toHaveLength(2)
  })

  test('hosts alternate by zone', () => {
    const rooms = [host('a', 'x'), host('b', 'x'), host('c', 'y'), host('d', 'z')]
    expect(alternate(rooms).map((room) => room.host)).toEqual(['a', 'c', 'd', 'b'])
  })

  test('what sits stays, and a newcomer goes where its shard is not', () => {
    const rooms = [host('a', 'x'), host('b', 'y'), host('c', 'y')]
    const sitting: Seat[] = [{ id: 'node-1', shard: 'shard-1', host: 'b', isPrimary: true }]
    const [placed] = seat([{ id: 'node-2', shard: 'shard-1', isPrimary: false }], sitting, rooms, 'zone')
    expect(placed?.host).toBe('a')
  })

  test('none where every host with room has a copy already, and two on one host only where nothing else is asked', () => {
    const rooms = [host('a', '', 3)]
    expect(seat(copiesOf(1, 1), [], rooms, 'host').map((one) => one?.host ?? null)).toEqual(['a', null])
    expect(seat(copiesOf(1, 1), [], rooms, 'none').map((one) => one?.host ?? null)).toEqual(['a', 'a'])
    expect(
      seat(copiesOf(2, 1), [], [host('a', '', 1), host('b', '', 2)], 'host').filter((one) => one === null),
    ).toHaveLength(1)
  })

  test('a host with twice the room takes twice as many', () => {
    const rooms = [host('a', '', 40), host('b', '', 20), host('c', '', 20)]
    const placed = seats(9, 1, rooms)
    const on = (name: string): number => placed.filter((one) => one.host === name).length
    expect(on('a')).toBeGreaterThan(on('b'))
  })
})

describe('what is wrong with a placement', () => {
  const seated = (text: string): Seat[] =>
    text.split(' ').map((word, index) => {
      const [shard = '', on = ''] = word.split('@')
      return {
        id: `node-${index + 1}`,
        shard: `shard-${shard.replace('*', '')}`,
        host: on,
        isPrimary: shard.endsWith('*'),
      }
    })

  test('two copies on one host', () => {
    expect(judgePlacement(seated('1*@a 1@a 2*@b 2@a'), [host('a'), host('b')], 'host')).toMatchObject([
      { kind: 'copies', because: 'all copies of shard-1 (node-1, node-2) are in one host, a', shards: ['shard-1'] },
    ])
  })

  test('both copies in one zone, where there are two', () => {
    const rooms = [host('a', 'x'), host('b', 'x'), host('c', 'y')]
    const found = judgePlacement(seated('1*@a 1@b'), rooms, 'zone')
    expect(found).toMatchObject([{ because: 'all copies of shard-1 (node-1, node-2) are in one zone, x' }])
    expect(judgePlacement(seated('1*@a 1@b'), rooms, 'host')).toEqual([])
  })

  test('too many votes on one host, after a failover', () => {
    const rooms = ['a', 'b', 'c'].map((name) => host(name))
    const found = judgePlacement(seated('1*@a 2*@a 3*@b 1@b 2@c 3@c'), rooms, 'host')
    expect(found).toMatchObject([{ kind: 'votes', shards: ['shard-1', 'shard-2'] }])
    expect(found[0]?.because).toBe('2 of 3 primaries are in one host, a: with it those left could not elect another')
  })

  test('nothing is asked of one machine', () => {
    expect(judgePlacement(seated('1*@a 1@a'), [host('a')], 'zone')).toEqual([])
  })
})

const world = fc.record({
  shards: fc.integer({ min: 1, max: 9 }),
  replicas: fc.integer({ min: 0, max: 2 }),
  zones: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
})

/** Zone z has so many hosts. */
const roomsOf = (zones: readonly number[]): Room[] =>
  zones.flatMap((count, z) => Array.from({ length: count }, (_, h) => host(`h${z}-${h}`, `z${z}`)))

describe('laws', () => {
  test('two copies never share a host where there are hosts enough', () => {
    fc.assert(
      fc.property(world, ({ shards, replicas, zones }) => {
        const rooms = roomsOf(zones)
        fc.pre(rooms.length > replicas)
        const placed = seats(shards, replicas, rooms)
        for (const shard of new Set(placed.map((one) => one.shard))) {
          const hosts = placed.filter((one) => one.shard === shard).map((one) => one.host)
          expect(new Set(hosts).size).toBe(hosts.length)
        }
      }),
    )
  })

  test('with as many hosts in each of three zones, nothing is wrong with an odd number of shards', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(3, 5, 7, 9, 15),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 1, max: 4 }),
        (shards, replicas, each) => {
          const rooms = roomsOf([each, each, each])
          expect(judgePlacement(seats(shards, replicas, rooms), rooms, 'zone')).toEqual([])
        },
      ),
    )
  })

  test('engines are spread evenly over alike hosts', () => {
    fc.assert(
      fc.property(world, ({ shards, replicas, zones }) => {
        const each = zones[0] ?? 1
        const rooms = roomsOf(zones.map(() => each))
        fc.pre(rooms.length > replicas)
        const counts = rooms.map(
          (room) => seats(shards, replicas, rooms).filter((one) => one.host === room.host).length,
        )
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(Math.max(1, replicas))
      }),
    )
  })

  test('what is left of the votes is a majority', () => {
    for (let shards = 3; shards < 60; shards++) {
      expect(shards - primariesAtMost(shards)).toBeGreaterThan(shards / 2)
      expect(shards - primariesAtMost(shards) - 1).toBeLessThanOrEqual(shards / 2)
    }
    expect(zoneOf(host('a'))).toBe('host a')
  })
})
