import type { NodePlace } from '../../src/index.ts'
import { replaced } from '../../src/index.ts'
import type { Break, Deployment, Draft } from './deployment.ts'
import { agentOf, nodeOf } from './deployment.ts'
import { saved } from './operations.ts'

/** The deployment as the loop leaves it after a turn that changed its layout, and did nothing else. */
export function replanned(deployment: Deployment): Deployment {
  const { places = [] } = deployment.plan()
  return saved(deployment).with((world) => {
    Object.assign(world.document, replaced(world.document as never, places))
  })
}

/** It was removed with all its files. */
export const purged =
  (id: string): Break =>
  (world) => {
    Object.assign(agentOf(world, id), {
      process: { state: 'absent' },
      files: { aof: false, rdb: false, rdbNewer: false, claim: null },
      record: null,
    })
    nodeOf(world, id).engine = { kind: 'refused', at: world.observed.at, reason: 'connect ECONNREFUSED' }
  }

/** What is kept of one place, changed. */
export const placed =
  (id: string, change: Partial<NodePlace>): Break =>
  (world) => {
    const place = world.document.nodes.find((node) => node.id === id)
    Object.assign(place as Draft<NodePlace>, change)
  }
