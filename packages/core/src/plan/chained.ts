/**
 * Chained replicas: that they run, and follow whom they shall (`upstream.ts`). Sentinels know nothing of them: they cannot
 * sign in to them, and one that they have met is forgotten (`planTidy`). So nobody but Holdfast lets one follow another, and
 * nobody promotes one.
 */
import type { Action } from '../action.ts'
import type { NodePicture } from '../picture.ts'
import { upstreamsOf } from '../upstream.ts'
import { startNode } from './start.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

export function planChained(input: PlanInput): Step {
  const { picture } = input
  if (picture.chained.length === 0) return idle
  const upstreams = upstreamsOf(picture)
  const started = picture.chained.filter(({ gone }) => gone).map((node) => keepUp(node, upstreams.get(node.id), input))
  return join([...started, attach(picture.chained, upstreams), ...picture.chained.map(keepUnfit)])
}

/** It follows from its first moment on, so that it never serves what it had. */
function keepUp(node: NodePicture, upstream: NodePicture | undefined, input: PlanInput): Step {
  if (upstream === undefined)
    return wait(`${node.id} stays down until there is a replica in sync that it can follow`, 100)
  return startNode(node, `it is chained behind ${upstream.id}`, input, [], upstream)
}

function attach(chained: readonly NodePicture[], upstreams: ReadonlyMap<string, NodePicture>): Step {
  const astray = chained.flatMap((node) => {
    const upstream = upstreams.get(node.id)
    return node.facts === null || upstream === undefined || node.follows === upstream.engineId
      ? []
      : [{ node, upstream }]
  })
  if (astray.length === 0) return idle
  const told = astray.map(({ node, upstream }) => `${node.id} is chained behind ${upstream.id} from now on`)
  return act(
    told.join('; '),
    astray.map(({ node, upstream: { place } }): Action => {
      return { kind: 'replicate', node: node.id, primary: { address: place.address, port: place.port } }
    }),
  )
}

/** Also a Sentinel of somebody else's shall not promote it. */
function keepUnfit({ id, facts }: NodePicture): Step {
  if (facts?.link == null || facts.link.priority === 0) return idle
  return act(`${id} is chained: no Sentinel shall ever promote it`, [{ kind: 'set-priority', node: id, priority: 0 }])
}
