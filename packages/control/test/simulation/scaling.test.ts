/*
 * Shards come and go while clients write. Slots near the ends of the shards' ranges are written to as well, since those are
 * the ones that move. A failing seed says so; `SEED=… npm test` brings its day back.
 */
import type { SlotRange, SpecText } from '@holdfast/core'
import { countSlots, shardsOf } from '@holdfast/core'
import { expect, test } from 'vitest'
import { endOfDay, planBadDay } from './bad-day.ts'
import { membersOf } from './deployment-loop.ts'
import { isServing, ownsSlots } from './memory/node.ts'
import { OperatedDay } from './operated-day.ts'

const given = process.env['SEED']
const seedsUpTo = (last: number): number[] =>
  given === undefined ? Array.from({ length: last }, (_, index) => index + 1) : [Number(given)]

const probes = { first: 4700, second: 5300, third: 10_000, fourth: 12_000 }
const moving = Object.values(probes).map((slot): SlotRange => [slot - 10, slot + 10])
const begin = (seed: number, fields: SpecText = {}): Promise<OperatedDay> =>
  OperatedDay.begin(fields, seed, { mayCome: 8, probes, moving })

const shardIds = (day: OperatedDay): string[] => shardsOf(membersOf(day.document())).map(({ id }) => id)

/** How many slots each primary that serves has. */
const shares = ({ simulation: { cluster } }: OperatedDay): number[] =>
  cluster.nodes
    .filter((node) => ownsSlots(node) && isServing(node, cluster.now()))
    .map(({ conf }) => countSlots(conf?.slots ?? []))

async function untilOver(day: OperatedDay, withinMs = 300_000): Promise<void> {
  const { simulation } = day
  const began = simulation.cluster.now()
  while (day.latest()?.endedAt == null) {
    if (simulation.cluster.now() - began > withinMs) throw new Error(`not over\n${simulation.tellStory(60)}`)
    await simulation.advance(250)
  }
  await simulation.settle({ withinTurns: 1500 })
}

test('a shard comes and goes again, and no write is lost', async () => {
  for (const seed of seedsUpTo(5)) {
    const day = await begin(seed)
    const { simulation } = day
    day.scale('out', { coming: ['shard-4'] })
    await untilOver(day)
    expect(day.latest(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(shardIds(day)).toEqual(['shard-1', 'shard-2', 'shard-3', 'shard-4'])
    expect(shares(day).at(-1)).toBe(84)
    expect(day.document().nodes.some(({ slotless }) => slotless === true)).toBe(false)

    day.scale('in', { going: ['shard-4'] })
    await untilOver(day)
    expect(day.latest(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(shardIds(day)).toEqual(['shard-1', 'shard-2', 'shard-3'])
    await simulation.advance(100_000)
    expect(day.document().nodes).toHaveLength(6)
    expect(day.document().scale).toEqual({ shards: 3, setBy: 'ann' })
    expect(simulation.violations, simulation.tellStory(100)).toEqual([])
    simulation.close()
  }
}, 60_000)

test('several come at once, and go at once', async () => {
  const day = await begin(1)
  const { simulation } = day
  day.scale('out', { coming: ['shard-4', 'shard-5'] })
  await untilOver(day)
  expect(shares(day).slice(-2)).toEqual([42, 42])
  day.scale('in', { going: ['shard-4', 'shard-5'] })
  await untilOver(day)
  expect(shardIds(day)).toEqual(['shard-1', 'shard-2', 'shard-3'])
  expect(simulation.violations, simulation.tellStory(100)).toEqual([])
  simulation.close()
}, 60_000)

test('what came leaves again, where it is given up before a slot has moved', async () => {
  const day = await begin(1)
  const { simulation } = day
  simulation.inject({ kind: 'break-starts', node: 'node-8', times: 1, error: 'Out of memory' })
  day.scale('out', { coming: ['shard-4'] })
  while (day.document().nodes.length < 8) await simulation.advance(50)
  day.cancel('out')
  await simulation.settle({ withinTurns: 1500 })
  while (day.document().nodes.length > 6) await simulation.advance(1000)
  await simulation.settle({ withinTurns: 1500 })
  expect(shardIds(day)).toEqual(['shard-1', 'shard-2', 'shard-3'])
  expect(day.document().scale.shards).toBe(3)
  expect(simulation.violations, simulation.tellStory(100)).toEqual([])
  simulation.close()
}, 60_000)

test('an engine that does not start ends it, and nothing of it stays', async () => {
  const day = await begin(1)
  const { simulation } = day
  simulation.inject({ kind: 'break-starts', node: 'node-7', times: 1000, error: 'Out of memory' })
  day.scale('out', { coming: ['shard-4'] })
  while (day.latest()?.endedAt == null) await simulation.advance(250)
  expect(day.latest()).toMatchObject({ state: 'failed' })
  expect(day.latest()?.because).toContain('node-7 of shard-4 does not start (Out of memory)')
  await simulation.advance(150_000)
  await simulation.settle({ withinTurns: 1500 })
  expect(shardIds(day), simulation.tellStory(40)).toEqual(['shard-1', 'shard-2', 'shard-3'])
  simulation.close()
}, 60_000)

test('on a bad day it comes to an end, and no write is lost', async () => {
  for (const seed of seedsUpTo(8)) {
    const day = await begin(seed)
    const { simulation } = day
    const { random } = simulation
    const nodes = simulation.cluster.nodes.slice(0, 8).map(({ place }) => place)
    day.scale('out', { coming: ['shard-4'] })
    await simulation.live(planBadDay({ random, nodes, forMs: 10_000, faults: 4 }))
    for (const fault of endOfDay(nodes)) simulation.inject(fault)
    await untilOver(day, 600_000)
    if (day.latest()?.state === 'done') {
      day.scale('in', { going: ['shard-4'] })
      await simulation.live(planBadDay({ random, nodes, forMs: 10_000, faults: 4 }))
      for (const fault of endOfDay(nodes)) simulation.inject(fault)
      await untilOver(day, 600_000)
    }
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
}, 120_000)
