/* What people ask for, on good days and on bad ones. A failing seed says so; `SEED=… npm test` brings its day back. */
import { expect, test } from 'vitest'
import { endOfDay, planBadDay } from './bad-day.ts'
import { OperatedDay } from './operated-day.ts'

const given = process.env['SEED']
const seedsUpTo = (last: number): number[] =>
  given === undefined ? Array.from({ length: last }, (_, index) => index + 1) : [Number(given)]
const seeds = seedsUpTo(15)

test('a rolling restart replaces every process and loses nothing', async () => {
  for (const seed of seeds) {
    const day = await OperatedDay.begin({}, seed)
    const { simulation } = day
    const before = day.pids()
    day.ask({ kind: 'restart', subject: 'shop' })
    await simulation.advance(60_000)
    await simulation.settle({ withinTurns: 500 })
    expect(day.operation(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(day.pids().filter((pid) => before.includes(pid))).toEqual([])
    expect(simulation.violations, simulation.tellStory(100)).toEqual([])
    simulation.close()
  }
}, 60_000)

test('a switchover moves the primary and loses nothing', async () => {
  for (const seed of seeds) {
    const day = await OperatedDay.begin({}, seed)
    const { simulation } = day
    const before = simulation.cluster.ownerOf('shard-2')?.place.id
    day.ask({ kind: 'switchover', subject: 'shard-2' })
    await simulation.advance(5000)
    await simulation.settle({ withinTurns: 500 })
    expect(day.operation(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(simulation.cluster.ownerOf('shard-2')?.place.id).not.toBe(before)
    expect(simulation.violations, simulation.tellStory(100)).toEqual([])
    simulation.close()
  }
}, 60_000)

const users = ['app', 'replication', 'probe', 'admin']

test.each([
  { what: 'a restart', wish: { kind: 'restart', subject: 'shop' }, last: 10 },
  { what: 'a switchover', wish: { kind: 'switchover', subject: 'shard-1' }, last: 5 },
  { what: 'a rotation', wish: { kind: 'rotate', subject: 'shop', users, graceMs: 5000 }, last: 8 },
  { what: 'a replacement', wish: { kind: 'replace', subject: 'node-1' }, last: 8 },
] as const)(
  'on a bad day $what comes to an end, one way or the other, and nothing happens that must not',
  async ({ wish, last }) => {
    for (const seed of seedsUpTo(last)) {
      const day = await OperatedDay.begin({ spares: seed % 2 }, seed)
      const { simulation } = day
      const { random, nodes } = simulation
      day.ask(wish)
      await simulation.live(planBadDay({ random, nodes, forMs: 20_000, faults: 6 }))
      for (const fault of endOfDay(nodes)) simulation.inject(fault)
      await simulation.settle({ withinTurns: 2000, withinMs: 400_000 })
      await simulation.advance(200_000)
      await simulation.settle({ withinTurns: 2000, withinMs: 400_000 })
      expect(day.operation()?.endedAt, simulation.tellStory(200)).not.toBeNull()
      expect(simulation.violations, simulation.tellStory(200)).toEqual([])
      simulation.close()
    }
  },
  120_000,
)
