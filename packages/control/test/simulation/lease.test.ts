/* Who acts while a store that several controllers share does not answer. */
import { HoldfastError } from '@holdfast/core'
import { expect, test } from 'vitest'
import { deploymentLoops, ownedNames } from './deployment-loop.ts'
import { Simulation } from './world.ts'

async function aDay() {
  const spec = { name: 'shop' }
  const { makeTurner, store } = deploymentLoops(spec)
  const simulation = new Simulation({ seed: 1, makeTurner, spec, ownedDirectives: ownedNames(spec) })
  simulation.addController()
  await simulation.settle({ withinTurns: 400 })
  const answer = store.lease.bind(store)
  return {
    simulation,
    runs: () => simulation.cluster.nodes.filter(({ process }) => process !== null).length,
    kill: (node: string) => simulation.inject({ kind: 'kill', nodes: [node] }),
    falls: (code: 'UNREACHABLE_STORE' | 'HOST_DISK_FULL') => {
      store.lease = () => Promise.reject(new HoldfastError(code, 'it does not take it'))
    },
    answers: () => {
      store.lease = answer
    },
  }
}

test('until the lease is over its holder heals, then nobody does, and it goes on when the store is back', async () => {
  const { simulation, runs, kill, falls, answers } = await aDay()
  falls('UNREACHABLE_STORE')
  kill('node-4')
  await simulation.advance(3000)
  expect(runs(), simulation.tellStory(50)).toBe(6)
  await simulation.advance(6000)
  kill('node-5')
  await simulation.advance(5000)
  expect(runs(), simulation.tellStory(50)).toBe(5)
  answers()
  await simulation.settle({ withinTurns: 400 })
  expect(runs()).toBe(6)
  expect(simulation.violations, simulation.tellStory(200)).toEqual([])
  simulation.close()
})

test('a disk of its own that is full keeps nobody from healing', async () => {
  const { simulation, runs, kill, falls } = await aDay()
  falls('HOST_DISK_FULL')
  await simulation.advance(9000)
  kill('node-5')
  await simulation.advance(5000)
  expect(runs(), simulation.tellStory(50)).toBe(6)
  simulation.close()
})
