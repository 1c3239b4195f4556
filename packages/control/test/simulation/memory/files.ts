import { emptyCopy } from './data.ts'
import type { MemoryNode, World } from './node.ts'

/** Deletes a data directory. A living engine goes on from memory; what it does not write again is gone with it. */
export function deleteFiles(world: World, node: MemoryNode, what: 'all' | 'data' = 'all'): void {
  node.aofOnDisk = false
  node.rdb = null
  if (what === 'all') node.confOnDisk = false
  if (node.process !== null) return
  world.destroying(node)
  node.data = emptyCopy()
  if (what === 'all') node.conf = null
}
