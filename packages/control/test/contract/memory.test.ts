import { describeClusterContract } from './cluster.contract.ts'
import { makeMemoryWorld } from './memory-world.ts'

const seed = Number(process.env['SEED'] ?? 1)

describeClusterContract(`memory, seed ${seed}`, () => Promise.resolve(makeMemoryWorld(seed)))
