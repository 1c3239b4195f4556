/** Outside a Cluster: every living engine that is not the primary follows it. */
import type { Action } from '../action.ts'
import type { NodePicture } from '../picture.ts'
import { namedByMajority } from '../sentinel-picture.ts'
import { isUnderWay } from './promotion.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

/**
 * A second one that says to be the primary loses what it has once it follows the other. So it is told to only where a
 * majority of the Sentinels names the other; they would do the same, ten seconds later, and until then clients that are
 * still connected to it would go on writing into nothing.
 */
export function planAttach({ picture }: PlanInput): Step {
  const [shard] = picture.shards
  const primary = shard?.primary
  if (shard === undefined || primary?.facts?.role !== 'primary') return idle
  const { address, port } = primary.place
  const astray = shard.nodes.filter(
    (node) => node !== primary && node.facts !== null && node.follows !== primary.engineId,
  )
  if (astray.length === 0) return idle
  const ids = astray.map(({ id }) => id).join(', ')
  const isNamed = namedByMajority(shard.nodes, picture.sentinels) === primary
  const mayFollow = astray.filter((node) =>
    node.facts?.role === 'primary' ? isNamed : !isUnderWay(picture) || goesOn(node, primary),
  )
  if (mayFollow.length === 0) {
    return wait(`${ids} does not follow ${primary.id} yet: leaving it to the Sentinels until they agree`, 100)
  }
  return act(
    `${ids} ${astray.length === 1 ? 'does' : 'do'} not follow ${primary.id}: letting ${astray.length === 1 ? 'it' : 'them'}`,
    mayFollow.map((node): Action => ({ kind: 'replicate', node: node.id, primary: { address, port } })),
  )
}

/**
 * While the Sentinels fail over they bring the replicas along themselves, one after the other, as soon as they have
 * noticed the promotion, which takes them up to a second. One that has the history which the new primary went on from
 * needs no full sync: it follows at once, and a write that waits for a second copy waits no longer than that.
 */
const goesOn = ({ facts }: NodePicture, primary: NodePicture): boolean =>
  facts?.role === 'replica' && facts.replid === primary.facts?.replidBefore
