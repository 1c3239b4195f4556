import type { Action, NodePlace } from '@holdfast/core'
import { evenSlots, layOut, parseSpec } from '@holdfast/core'
import type { MemoryClusterOptions } from './memory/memory-cluster.ts'
import { MemoryCluster } from './memory/memory-cluster.ts'
import { MemoryHost } from './memory/memory-host.ts'
import { confOf } from './memory/node.ts'
import { unsettled } from './safety.ts'

/** The files that the simulation's engines are started with. */
export const plainFiles = { config: 'appendonly yes', users: 'user app on' }

export class ReadyCluster extends MemoryCluster {
  readonly host = new MemoryHost(this)

  act(action: Action, epoch = 1): Promise<void> {
    return this.host.act({ deployment: this.deployment, controllerEpoch: epoch, notAfter: this.now() + 1000, action })
  }

  async waitUntil(check: () => boolean, withinMs: number): Promise<void> {
    const end = this.now() + withinMs
    while (!check()) {
      if (this.now() >= end) throw new Error(`not within ${withinMs} ms: ${unsettled(this).join('; ')}`)
      await this.clock.advance(10)
    }
  }
}

export const threeOfTwo = (): NodePlace[] => layOut(parseSpec({ name: 'shop' }))

/** Six nodes, three shards, everything agreed: made by actions, as a controller would. */
export async function aReadyCluster(options: Partial<MemoryClusterOptions> = {}): Promise<ReadyCluster> {
  const cluster = new ReadyCluster({ seed: 1, nodes: threeOfTwo(), ...options })
  await joinNodes(cluster)
  await cluster.waitUntil(() => unsettled(cluster).length === 0, 20_000)
  return cluster
}

/** Up to the moment when every replica was told whom to follow, and nobody has heard of it yet. */
export async function joinNodes(cluster: ReadyCluster): Promise<void> {
  const ids = cluster.nodes.map(({ place }) => place.id)
  for (const node of ids) await cluster.act({ kind: 'start', node, files: plainFiles })
  await cluster.clock.advance(200)
  for (const [index, range] of evenSlots(3).entries()) {
    await cluster.act({ kind: 'give-slots', node: ids[index] ?? '', slots: [range], epoch: index + 1 })
  }
  for (const node of ids) {
    const peers = cluster.nodes.filter(({ place }) => place.id !== node).map(({ place }) => place)
    await cluster.act({ kind: 'meet', node, peers })
  }
  await cluster.waitUntil(() => cluster.nodes.every((node) => knowsAll(cluster, node.place.id)), 10_000)
  for (let index = 0; index < 3; index++) {
    const primary = confOf(cluster.node(ids[index] ?? '')).id
    await cluster.act({ kind: 'follow', node: ids[index + 3] ?? '', primary })
  }
}

function knowsAll(cluster: MemoryCluster, id: string): boolean {
  const peers = [...confOf(cluster.node(id)).peers.values()]
  return peers.length === cluster.nodes.length - 1 && peers.every((peer) => peer.handshakeSince === null)
}
