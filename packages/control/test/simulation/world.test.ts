import type { Action } from '@holdfast/core'
import { evenSlots } from '@holdfast/core'
import { expect, test } from 'vitest'
import { endOfDay, planBadDay } from './bad-day.ts'
import { confOf } from './memory/node.ts'
import { plainFiles } from './ready-cluster.ts'
import { scripted } from './scripted.ts'
import { Simulation } from './world.ts'

const ids = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6']

/** Creates a cluster in four turns, and then starts whoever is down. */
function aSimulation(seed: number): Simulation {
  const creator = scripted('shop', (_seat, turn): Action[] => {
    const { cluster } = simulation
    if (turn === 0 || turn > 3) {
      const down = ids.filter((id) => cluster.node(id).process === null)
      return down.map((node) => ({ kind: 'start', node, files: plainFiles }))
    }
    if (turn === 1) {
      return evenSlots(3).map((range, i) => ({ kind: 'give-slots', node: ids[i] ?? '', slots: [range], epoch: i + 1 }))
    }
    if (turn === 2)
      return ids.map((node) => ({ kind: 'meet', node, peers: simulation.nodes.filter((it) => it.id !== node) }))
    return [0, 1, 2].map((i) => ({
      kind: 'follow',
      node: ids[i + 3] ?? '',
      primary: confOf(cluster.node(ids[i] ?? '')).id,
    }))
  })
  const simulation = new Simulation({ seed, makeTurner: creator })
  simulation.addController()
  return simulation
}

test('a script makes a cluster, and the world says when it is settled', async () => {
  const simulation = aSimulation(1)
  const { turns } = await simulation.settle({ withinTurns: 20 })
  expect(turns).toBeGreaterThanOrEqual(4)
  expect(simulation.violations).toEqual([])
  simulation.close()
})

test('a killed primary comes back with its data when it is started in place', async () => {
  const simulation = aSimulation(2)
  await simulation.settle({ withinTurns: 20 })
  simulation.inject({ kind: 'kill', nodes: ['node-1'] })
  await simulation.settle({ withinTurns: 20 })
  expect(simulation.violations).toEqual([])
  simulation.close()
})

test('what does not settle is told, seed first', async () => {
  const simulation = aSimulation(3)
  await simulation.settle({ withinTurns: 20 })
  simulation.inject({ kind: 'misfollow', node: 'node-4', primary: 'node-2' })
  await expect(simulation.settle({ withinTurns: 5 })).rejects.toThrow(/node-4 is no copy of node-1[^]*SEED=3/)
  simulation.close()
})

test('a paused controller stands still, and a killed one for ever', async () => {
  const simulation = aSimulation(4)
  await simulation.settle({ withinTurns: 20 })
  const [controller] = simulation.controllers
  if (controller === undefined) throw new Error('no controller')
  const { turns } = controller
  controller.pause()
  await simulation.advance(10_000)
  expect(controller.turns).toBe(turns)
  controller.resume()
  await simulation.advance(3000)
  expect(controller.turns).toBeGreaterThan(turns)
  controller.kill()
  const before = controller.turns
  await simulation.advance(10_000)
  expect(controller.turns).toBe(before)
})

async function storyOf(seed: number): Promise<string> {
  const simulation = aSimulation(seed)
  await simulation.settle({ withinTurns: 20 })
  const { random, nodes, cluster } = simulation
  await simulation.live(planBadDay({ random, nodes, forMs: 20_000, faults: 8 }))
  for (const fault of endOfDay(nodes)) simulation.inject(fault)
  await simulation.advance(30_000)
  simulation.close()
  const ends = cluster.nodes.map(({ conf, data, process }) => [conf?.id, conf?.configEpoch, data.length, process?.pid])
  return JSON.stringify([ends, cluster.promotions, cluster.acknowledged.length, simulation.story])
}

test('one seed is one story, to the last word', async () => {
  expect(await storyOf(5)).toBe(await storyOf(5))
  expect(await storyOf(5)).not.toBe(await storyOf(6))
})
