/* What people ask for, on good days and on bad ones. A failing seed says so; `SEED=… npm test` brings its day back. */
import type { Operation } from '@holdfast/core'
import { operationFor, withOperations } from '@holdfast/core'
import { expect, test } from 'vitest'
import type { MemoryStore } from '../../src/store/memory-store.ts'
import { endOfDay, planBadDay } from './bad-day.ts'
import { deploymentLoops, ownedNames } from './deployment-loop.ts'
import { Simulation } from './world.ts'

const spec = { name: 'shop' }
const given = process.env['SEED']
const seeds = given === undefined ? Array.from({ length: 15 }, (_, index) => index + 1) : [Number(given)]

interface Day {
  readonly simulation: Simulation
  readonly ask: (kind: 'switchover' | 'restart', subject: string) => void
  readonly operation: () => Operation | undefined
  readonly pids: () => (number | undefined)[]
}

async function aDay(seed: number): Promise<Day> {
  const { makeTurner, store } = deploymentLoops(spec)
  const simulation = new Simulation({ seed, makeTurner, spec, ownedDirectives: ownedNames(spec) })
  simulation.addController()
  await simulation.settle({ withinTurns: 200 })
  return {
    simulation,
    ask: (kind, subject) =>
      save(store, operationFor({ kind, id: 'op', subject }, 'ann', simulation.cluster.clock.wall())),
    operation: () => store.load('shop')?.operations[0],
    pids: () => simulation.cluster.nodes.map(({ process }) => process?.pid),
  }
}

function save(store: MemoryStore, operation: Operation): void {
  const document = store.load('shop')
  if (document === undefined) throw new Error('there is no shop')
  store.save({ ...document, operations: withOperations(document.operations, [operation]) })
}

test('a rolling restart replaces every process and loses nothing', async () => {
  for (const seed of seeds) {
    const { simulation, ask, operation, pids } = await aDay(seed)
    const before = pids()
    ask('restart', 'shop')
    await simulation.advance(60_000)
    await simulation.settle({ withinTurns: 500 })
    expect(operation(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(pids().filter((pid) => before.includes(pid))).toEqual([])
    expect(simulation.violations, simulation.tellStory(100)).toEqual([])
    simulation.close()
  }
}, 60_000)

test('a switchover moves the primary and loses nothing', async () => {
  for (const seed of seeds) {
    const { simulation, ask, operation } = await aDay(seed)
    const before = simulation.cluster.ownerOf('shard-2')?.place.id
    ask('switchover', 'shard-2')
    await simulation.advance(5000)
    await simulation.settle({ withinTurns: 500 })
    expect(operation(), simulation.tellStory(100)).toMatchObject({ state: 'done' })
    expect(simulation.cluster.ownerOf('shard-2')?.place.id).not.toBe(before)
    expect(simulation.violations, simulation.tellStory(100)).toEqual([])
    simulation.close()
  }
}, 60_000)

test('on a bad day an operation comes to an end, one way or the other, and nothing happens that must not', async () => {
  for (const seed of seeds) {
    const { simulation, ask, operation } = await aDay(seed)
    ask(seed % 3 === 0 ? 'switchover' : 'restart', seed % 3 === 0 ? 'shard-1' : 'shop')
    const { random, nodes } = simulation
    await simulation.live(planBadDay({ random, nodes, forMs: 20_000, faults: 6 }))
    for (const fault of endOfDay(nodes)) simulation.inject(fault)
    await simulation.settle({ withinTurns: 2000, withinMs: 400_000 })
    await simulation.advance(200_000)
    await simulation.settle({ withinTurns: 2000, withinMs: 400_000 })
    expect(operation()?.endedAt, simulation.tellStory(200)).not.toBeNull()
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
}, 120_000)
