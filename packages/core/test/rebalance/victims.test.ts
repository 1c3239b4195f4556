import { describe, expect, test } from 'vitest'
import type { Seat, ShardLoad } from '../../src/index.ts'
import { assignSlots, chooseVictims, countSlots, evenSlots, movesBetween, projectWithout } from '../../src/index.ts'

const mb = 1024 ** 2

const load = (id: string, usedMb: number | null, parts: Partial<ShardLoad> = {}): ShardLoad => ({
  id,
  slots: 4096,
  usedBytes: usedMb === null ? null : usedMb * mb,
  maxBytes: 1000 * mb,
  cpuRatio: 0.1,
  ...parts,
})

/** `1*@a 1@b`: the primary of shard-1 is on host a, its replica on b. */
const seated = (text: string): Seat[] =>
  text.split(' ').map((word, index) => {
    const [shard = '', host = ''] = word.split('@')
    const isPrimary = shard.endsWith('*')
    return { id: `node-${index + 1}`, shard: `shard-${shard.replace('*', '')}`, host, isPrimary }
  })
const rooms = ['a', 'b', 'c'].map((host) => ({ host, zone: '', free: 9 }))
const alone = { seats: [], rooms: [], spread: 'none' } as const

describe('who goes when there shall be fewer shards', () => {
  test('those with the fewest bytes, and of equals the last', () => {
    const shards = [
      load('shard-1', 50),
      load('shard-2', 10),
      load('shard-3', 10),
      load('shard-4', 90),
      load('shard-10', 10),
    ]
    expect(chooseVictims(shards, 1, alone).going).toEqual(['shard-10'])
    expect(chooseVictims(shards, 2, alone).going).toEqual(['shard-10', 'shard-3'])
  })

  test('never so many that fewer than three primaries are left', () => {
    const shards = [1, 2, 3, 4].map((index) => load(`shard-${index}`, 1))
    expect(() => chooseVictims(shards, 2, alone)).toThrow('2 of 4 shards would be left: a cluster needs 3 primaries')
    expect(() => chooseVictims([], 1, alone)).toThrow('-1 of 0 shards would be left')
  })

  test('not one whose going leaves a host with a majority of the primaries, though it has fewer bytes', () => {
    const seats = seated('1*@a 2*@a 3*@b 4*@c 5*@c 1@b 2@c 3@a 4@b 5@a')
    const shards = [
      load('shard-1', 90),
      load('shard-2', 80),
      load('shard-3', 1),
      load('shard-4', 70),
      load('shard-5', 60),
    ]
    const { going, troubles } = chooseVictims(shards, 2, { seats, rooms, spread: 'host' })
    expect(going).toEqual(['shard-5', 'shard-2'])
    expect(troubles).toEqual([])
  })

  test('where every choice leaves one, it is said', () => {
    const seats = seated('1*@a 2*@a 3*@a 4*@b 1@b 2@c 3@b 4@c')
    const shards = [1, 2, 3, 4].map((index) => load(`shard-${index}`, index))
    const before = chooseVictims(shards, 1, { seats, rooms, spread: 'host' })
    expect(before.going).toEqual(['shard-1'])
    expect(before.troubles).toEqual(['2 of 3 primaries are in one host, a: with it those left could not elect another'])
  })
})

describe('what those that stay will carry', () => {
  const four = (usedMb: number, parts: Partial<ShardLoad> = {}): ShardLoad[] =>
    [1, 2, 3, 4].map((index) => load(`shard-${index}`, usedMb, parts))

  test('as a whole and each, with the arithmetic', () => {
    const { memoryRatio, cpuRatio, objection, said, shards } = projectWithout(four(300), ['shard-4'])
    expect(memoryRatio).toBeCloseTo(0.4)
    expect(cpuRatio).toBeCloseTo(0.4 / 3)
    expect(objection).toBeNull()
    expect(said).toBe('1.2 GB in all on 3 shards with room for 2.9 GB is 40 % full, their cores 13 % busy')
    expect(shards).toHaveLength(3)
  })

  test('one that is fuller than the others is not filled up', () => {
    const shards = [load('shard-1', 690), load('shard-2', 100), load('shard-3', 100), load('shard-4', 100)]
    expect(projectWithout(shards, ['shard-4']).objection).toBe('shard-1 would be 72 % full, more than 70 %')
  })

  test('what comes needs room while it comes', () => {
    const shards = [...four(10), load('shard-5', 300)].map((shard) => ({
      ...shard,
      maxBytes: shard.id === 'shard-1' ? 110 * mb : shard.maxBytes,
    }))
    expect(projectWithout(shards, ['shard-5'], { all: 1, each: 1 }).objection).toBe(
      '75 MB would come to shard-1, which has 100 MB free: it takes 1.5 times as much while they come',
    )
  })

  test('what is not known is not taken for nothing', () => {
    expect(projectWithout([...four(1), load('shard-5', null)], ['shard-1']).objection).toBe(
      'it is not known how much shard-5 uses',
    )
    const { cpuRatio, said } = projectWithout(four(100, { cpuRatio: null }), ['shard-1'])
    expect(cpuRatio).toBeNull()
    expect(said).toContain('how busy their cores are is not known')
  })
})

describe('faults that such plans are known for', () => {
  const owned = new Map(evenSlots(5).map((range, index) => [`shard-${index + 1}`, [range]]))

  test('a pair taken away for its idle core, while memory is nearly full', () => {
    const shards = [1, 2, 3, 4].map((index) => load(`shard-${index}`, 900, { cpuRatio: 0.05 }))
    expect(projectWithout(shards, ['shard-4']).objection).toContain('is 120 % full')
  })

  test('a pair taken away for its empty memory, while cores are busy', () => {
    const shards = [1, 2, 3, 4].map((index) => load(`shard-${index}`, 10, { cpuRatio: 0.6 }))
    expect(projectWithout(shards, ['shard-4']).objection).toContain(
      'their cores 80 % busy: more than 60 % of the cores',
    )
  })

  test('all slots dumped on one shard, which goes next, and then shared out again', () => {
    const weights = new Map([...owned.keys()].map((id) => [id, id === 'shard-4' || id === 'shard-5' ? 0 : 1]))
    const moves = movesBetween(owned, assignSlots({ owned, weights }))
    const goes = (id: string): boolean => weights.get(id) === 0
    expect(moves.every(({ from, to }) => goes(from) && !goes(to))).toBe(true)
    // Each slot of the two that go moves once, and no other slot at all.
    expect(moves.reduce((sum, { count }) => sum + count, 0)).toBe(
      countSlots([...(owned.get('shard-4') ?? []), ...(owned.get('shard-5') ?? [])]),
    )
    for (const id of ['shard-1', 'shard-2', 'shard-3']) {
      const coming = moves.filter(({ to }) => to === id).reduce((sum, { count }) => sum + count, 0)
      expect(coming).toBeLessThanOrEqual(Math.ceil(16_384 / 3) - 3276)
    }
  })

  test('the last two nodes taken for a pair, whatever shard they are of after a failover', () => {
    // The last nodes in the list are the primary of one shard and the replica of another.
    const seats = seated('1@a 2*@b 3*@c 4@a 2@c 3@b 4*@c 1*@b')
    const shards = [load('shard-1', 5), load('shard-2', 1), load('shard-3', 5), load('shard-4', 5)]
    const { going } = chooseVictims(shards, 1, { seats, rooms, spread: 'none' })
    expect(seats.filter(({ shard }) => going.includes(shard)).map(({ id, isPrimary }) => [id, isPrimary])).toEqual([
      ['node-2', true],
      ['node-5', false],
    ])
  })

  test('roles guessed from how many nodes are listed', () => {
    const shards = [1, 2, 3, 4].map((index) => load(`shard-${index}`, index))
    const seats = seated('1*@a 1@b 2*@b 2@c 3*@c 3@a 4*@a 4@b')
    const choice = chooseVictims(shards, 1, { seats, rooms, spread: 'none' })
    // A dead copy that is still listed, and one that is not, change nothing.
    expect(chooseVictims(shards, 1, { seats: seats.slice(0, -1), rooms, spread: 'none' })).toEqual(choice)
    expect(chooseVictims(shards, 1, { seats: [...seats, ...seated('1@c')], rooms, spread: 'none' })).toEqual(choice)
  })
})
