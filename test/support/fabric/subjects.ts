/** How each subject of the table is brought up. */
import { findTestEngine } from '../engines.ts'
import { bareCluster } from './bare-cluster.ts'
import { BareEngines } from './bare-engines.ts'
import { bareSentinel } from './bare-sentinel.ts'
import type { Clients } from './clients.ts'
import type { Fabric } from './fabric.ts'
import { heldByHoldfast } from './held.ts'
import type { Subject, SubjectName } from './subject.ts'

/** The spec's default for how long a primary may be silent; the engine alone has the same. */
const nodeTimeoutMs = 5000

/** Whether there are agents and controllers that can be broken, too. */
export const isKept = (name: SubjectName): boolean => name.startsWith('holdfast-')

export async function openSubject(name: SubjectName, fabric: Fabric, clients: Clients): Promise<Subject> {
  const engines = new BareEngines(fabric, clients, await findTestEngine())
  switch (name) {
    case 'cluster':
      return bareCluster(engines, nodeTimeoutMs)
    case 'sentinel':
      return bareSentinel(engines, nodeTimeoutMs)
    case 'holdfast-durable':
    case 'holdfast-cache':
      return heldByHoldfast(name, fabric)
    default:
      return name satisfies never
  }
}
