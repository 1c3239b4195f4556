/**
 * A host that had fenced itself is back: whichever of its engines is rightly what it is may take writes again. A replica
 * is at once, since it takes none of its own. A primary is once nobody can have succeeded it: more than half of all nodes
 * say that it owns its slots, or name it as the primary, and nobody else of its shard says to be one.
 */
import type { Action } from '../action.ts'
import type { NodePicture, Picture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { namedByMajority } from '../sentinel-picture.ts'
import { cutOff } from './lost-host.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, join, wait } from './step.ts'

export function planLift({ picture }: PlanInput): Step {
  const fenced = [...everyCopy(picture), ...picture.spares].filter(({ agent }) => agent?.fence != null)
  return fenced.length === 0 ? idle : join(fenced.map((node) => liftOne(node, picture)))
}

function liftOne(node: NodePicture, picture: Picture): Step {
  const { id, facts, agent } = node
  const fence = agent?.fence
  if (fence == null || facts === null) return idle
  const fenced = `${id} takes no writes, since its host was alone (${fence.reason})`
  const lift: Action = { kind: 'lift-fence', node: id, epoch: fence.epoch }
  if (picture.hosts.get(node.place.host)?.isAlone === true)
    return wait(`${fenced}: its agent is about to hear that it is not`, 100)
  if (cutOff(node, picture) !== null) return wait(`${fenced}: another one takes over`, 100)
  if (facts.role === 'replica') return act(`${fenced}: it is a replica by now, so the fence is lifted`, [lift])
  if (!isRightful(node, picture)) return wait(`${fenced}: it stays so, until most others say that it is primary`, 100)
  return act(`${fenced}: it is still the primary of ${node.shard || 'its shard'}, so the fence is lifted`, [lift])
}

function isRightful(node: NodePicture, picture: Picture): boolean {
  const { nodes, shards, sentinels, topology } = picture
  const shard = shards.find(({ primary }) => primary === node)
  if (topology === 'standalone') return true
  const rivals = shard?.nodes.filter((other) => other !== node && other.facts?.role === 'primary') ?? []
  if (shard === undefined || rivals.length > 0) return false
  if (shard.slotless) return true
  if (topology === 'sentinel') return namedByMajority(nodes, sentinels) === node
  const saying = nodes.filter(({ facts }) =>
    facts?.view.entries.some(({ engineId, slots, health }) => {
      return engineId === node.engineId && slots.length > 0 && health === 'ok'
    }),
  )
  return saying.length * 2 > nodes.length
}
