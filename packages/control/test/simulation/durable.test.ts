/* Class `durable` on days with one fault after the other. `SEED=… npm test` brings a failing day back. */
import { operationFor } from '@holdfast/core'
import { expect, test } from 'vitest'
import { endOfDay, planFault } from './bad-day.ts'
import { deploymentLoops, ownedNames } from './deployment-loop.ts'
import { Simulation } from './world.ts'

const spec = { name: 'shop', durability: 'durable', replicasPerShard: 2 }
const given = process.env['SEED']
const seeds = given === undefined ? Array.from({ length: 6 }, (_, index) => index + 1) : [Number(given)]

function aSimulation(seed: number): Simulation {
  const { makeTurner } = deploymentLoops(spec)
  const simulation = new Simulation({ seed, makeTurner, spec, ownedDirectives: ownedNames(spec), writeEveryMs: 200 })
  simulation.addController()
  return simulation
}

test('no single fault takes a write that a copy had acknowledged, one fault after the other', async () => {
  for (const seed of seeds) {
    const simulation = aSimulation(seed)
    await simulation.settle({ withinTurns: 300 })
    const { random, nodes } = simulation
    for (let faults = 0; faults < 6; faults++) {
      await simulation.live(planFault(random, nodes))
      await simulation.advance(random.between(0, 3000))
      for (const fault of endOfDay(nodes)) simulation.inject(fault)
      await simulation.settle({ withinTurns: 2000, withinMs: 200_000 })
    }
    expect(simulation.cluster.acknowledged.filter(({ counts }) => counts).length).toBeGreaterThan(100)
    expect(simulation.violations, simulation.tellStory(200)).toEqual([])
    simulation.close()
  }
}, 120_000)

test('a rolling restart replaces every process and loses nothing', async () => {
  const { makeTurner, store } = deploymentLoops(spec)
  const simulation = new Simulation({ seed: seeds[0] ?? 1, makeTurner, spec, ownedDirectives: ownedNames(spec) })
  simulation.addController()
  await simulation.settle({ withinTurns: 300 })
  const pids = () => simulation.cluster.nodes.map(({ process }) => process?.pid)
  const before = pids()
  const document = store.load('shop')
  if (document === undefined) throw new Error('there is no shop')
  const wish = { kind: 'restart', id: 'op', subject: 'shop' } as const
  await store.save({ ...document, operations: [operationFor(wish, 'ann', simulation.cluster.clock.wall())] })
  await simulation.advance(60_000)
  await simulation.settle({ withinTurns: 500 })
  expect(store.load('shop')?.operations[0], simulation.tellStory(100)).toMatchObject({ state: 'done' })
  expect(pids().filter((pid) => before.includes(pid))).toEqual([])
  expect(simulation.violations, simulation.tellStory(100)).toEqual([])
  simulation.close()
}, 60_000)
