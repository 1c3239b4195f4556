import { describe, expect, test } from 'vitest'
import type { Rebalancing, SlotContents } from '../../src/index.ts'
import { evenSlots, expectedMsOfAll, moverOf, movesToBegin, previewRebalance } from '../../src/index.ts'

const even = (shards: number, empty = 0): Rebalancing['owned'] => {
  const ranges = [...evenSlots(shards).map((range) => [range]), ...Array.from({ length: empty }, () => [])]
  return new Map(ranges.map((slots, index) => [`shard-${index + 1}`, slots]))
}

const contentsOf = (keysIn: (slot: number) => number): SlotContents => {
  const keys = Float64Array.from({ length: 16_384 }, (_, slot) => keysIn(slot))
  return { keys, bytes: keys.map((count) => count * 300), load: null }
}

const plan = (parts: Partial<Rebalancing> = {}) =>
  previewRebalance({ owned: even(3, 1), by: 'slots', weights: new Map(), contents: null, mover: 'classic', ...parts })

describe('what a rebalance would do', () => {
  test('from, to, slots, bytes, time and why', () => {
    const { moves, because, expectedMs } = plan({ contents: contentsOf(() => 12) })
    expect(moves.map(({ from, to, count }) => [from, to, count])).toEqual([
      ['shard-2', 'shard-4', 1366],
      ['shard-1', 'shard-4', 1365],
      ['shard-3', 'shard-4', 1365],
    ])
    expect(moves[0]).toMatchObject({
      keys: 1366 * 12,
      bytes: 1366 * 12 * 300,
      because: 'shard-2 has 5462 slots and shall have 4096 slots; shard-4 has 0 slots and shall have 4096 slots',
    })
    // One target takes from one source at a time.
    expect(expectedMs).toBe(moves.reduce((sum, move) => sum + move.expectedMs, 0))
    expect(because).toBe('3 moves of 4096 slots with 14.1 MB, about 2.4 s')
  })

  test('nothing to do is said', () => {
    const { moves, because } = plan({ owned: even(3) })
    expect(moves).toEqual([])
    expect(because).toBe('nothing to move: every shard has its share of the slots')
    expect(plan({ owned: even(3), by: 'bytes', contents: contentsOf(() => 3) }).because).toBe(
      'nothing to move: every shard has its share of the bytes within 2 %, or as near to it as whole slots allow',
    )
  })

  test('by bytes', () => {
    const { moves } = plan({ owned: even(3), by: 'bytes', contents: contentsOf((slot) => (slot < 5461 ? 30 : 10)) })
    expect(moves[0]?.because).toBe('shard-1 has 46.9 MB and shall have 26 MB; shard-2 has 15.6 MB and shall have 26 MB')
  })

  test('by load, and by keys where nobody counts the load', () => {
    const contents = contentsOf((slot) => (slot < 5461 ? 2 : 1))
    const load = contents.keys.map((_, slot) => (slot < 5461 ? 3 : 1))
    const byLoad = plan({ owned: even(3), by: 'load', contents: { ...contents, load } })
    expect(byLoad.moves[0]?.because).toMatch(/^shard-1 has 60 % of the load and shall have 33 % of the load; /)
    const byKeys = plan({ owned: even(3), by: 'load', contents })
    expect(byKeys.moves[0]?.because).toMatch(/^shard-1 has 10922 keys and shall have \d+ keys; /)
  })

  test('a slot that carries it all is named', () => {
    const { notes, moves } = plan({
      owned: even(3),
      by: 'bytes',
      contents: contentsOf((slot) => (slot === 7 ? 1e6 : 1)),
    })
    expect(moves.every(({ slots }) => slots.every(([from, to]) => 7 < from || 7 > to))).toBe(true)
    expect(notes).toEqual([
      'slot 7 of shard-1 is 98 % of the bytes by itself: no move makes that less, only keys in more than one slot do',
    ])
  })

  test('who is emptied, and who then votes', () => {
    const { moves, notes } = plan({ owned: even(3), weights: new Map([['shard-3', 0]]) })
    expect(moves[0]?.because).toBe(
      'shard-3 has 5461 slots and shall have none; shard-1 has 5461 slots and shall have 8192 slots',
    )
    expect(notes[0]).toContain('only shard-1 and shard-2 would have slots')
    expect(() => plan({ weights: new Map([['shard-9', 1]]) })).toThrow('a weight for shard-9: there is no such shard')
  })
})

describe('how long it takes', () => {
  test('moves without a shard in common run at the same time, and no shard is in two', () => {
    const moves = [
      { from: 'a', to: 'b', expectedMs: 100 },
      { from: 'c', to: 'd', expectedMs: 80 },
      { from: 'a', to: 'd', expectedMs: 50 },
      { from: 'c', to: 'b', expectedMs: 10 },
    ]
    expect(movesToBegin(moves)).toEqual(moves.slice(0, 2))
    expect(movesToBegin(moves, [{ from: 'a', to: 'b' }])).toEqual([moves[1]])
    expect(expectedMsOfAll(moves)).toBe(150)
    expect(expectedMsOfAll([])).toBe(0)
  })

  test.each([
    ['redis', '7.0.15', 'classic'],
    ['redis', '8.4.0', 'classic'],
    ['valkey', '7.2.5', 'classic'],
    ['valkey', '8.1.4', 'classic-replicated'],
    ['valkey', '9.1.2', 'atomic'],
  ] as const)('%s %s moves slots the %s way', (flavor, version, mover) => {
    expect(moverOf({ flavor, version })).toBe(mover)
  })
})
