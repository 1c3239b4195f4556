import type { NodePlace } from '@holdfast/core'
import { layOut, parseSpec } from '@holdfast/core'
import { inject } from '../simulation/memory/faults.ts'
import { MemoryCluster } from '../simulation/memory/memory-cluster.ts'
import { MemoryEngine } from '../simulation/memory/memory-engine.ts'
import { MemoryHost } from '../simulation/memory/memory-host.ts'
import type { ContractWorld } from './contract-world.ts'

interface MemoryWorld extends ContractWorld {
  readonly cluster: MemoryCluster
}

/** How far the hand moves between two tries of a check. */
const stepMs = 20

export function makeMemoryWorld(seed: number): MemoryWorld {
  const nodes = layOut(parseSpec({ name: 'shop' }))
  const cluster = new MemoryCluster({ seed, nodes })
  const hurt = (kind: 'freeze' | 'thaw') => (node: NodePlace) =>
    Promise.resolve(inject(cluster, { kind, node: node.id }))
  return {
    cluster,
    engine: new MemoryEngine(cluster),
    host: new MemoryHost(cluster),
    deployment: cluster.deployment,
    nodes,
    forgetsTogether: false,
    filesFor: (node) => ({ config: `port ${node.port}\nappendonly yes\nmaxmemory-samples 10`, users: 'user app on' }),
    kill: (node) => Promise.resolve(inject(cluster, { kind: 'kill', nodes: [node.id] })),
    freeze: hurt('freeze'),
    thaw: hurt('thaw'),
    wipe: (node) => Promise.resolve(inject(cluster, { kind: 'wipe', node: node.id, what: 'all' })),
    write: (shard) => Promise.resolve(cluster.write(shard)),
    async eventually(check, { withinMs }) {
      const end = cluster.now() + withinMs
      for (;;) {
        try {
          await check()
          return
        } catch (error) {
          if (cluster.now() >= end) throw error
        }
        await cluster.clock.advance(stepMs)
      }
    },
    close: () => Promise.resolve(),
  }
}
