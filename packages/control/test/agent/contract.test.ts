import { describeClusterContract } from '../contract/cluster.contract.ts'
import { makeMemoryWorld } from '../contract/memory-world.ts'
import { serveAgent } from './agent.ts'

const seed = Number(process.env['SEED'] ?? 1)

/* What the agent of this machine promises, the agent of another keeps: the same cluster, behind its door. */
describeClusterContract(`memory behind the door of an agent, seed ${seed}`, async () => {
  const world = makeMemoryWorld(seed)
  const agent = await serveAgent(world.host, world.cluster.clock)
  return { ...world, host: agent.reach(), close: () => agent.close() }
})
