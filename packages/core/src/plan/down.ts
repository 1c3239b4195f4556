/** A deployment that shall be down: replicas first, so that each primary has handed over all it had. */
import type { NodePicture, Picture } from '../picture.ts'
import type { Spec } from '../spec.ts'
import type { Step } from './step.ts'
import { act, idle, wait } from './step.ts'

export function planDown(picture: Picture, spec: Spec): Step {
  const running = picture.nodes.filter((node) => !node.gone)
  if (running.length === 0) return idle
  const answering = running.filter((node) => node.facts !== null)
  const replicas = answering.filter((node) => node.facts?.role === 'replica')
  const next = replicas.length > 0 ? replicas : running.every((node) => isStoppable(node)) ? running : answering
  if (next.length === 0) {
    return wait(`${running.map(({ id }) => id).join(', ')} shall stop and cannot be asked`, 250)
  }
  return act(
    `shall be down: stopping ${next.map(({ id }) => id).join(', ')}`,
    next.map((node) => ({ kind: 'stop', node: node.id, save: spec.persistence !== 'none' })),
  )
}

/** An engine that still loads or starts can be stopped by a signal as well; one that is silent is given its time. */
const isStoppable = (node: NodePicture): boolean => ['alive', 'loading', 'starting'].includes(node.life)
