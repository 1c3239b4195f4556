/**
 * A switchover between engines that Sentinels watch goes through the one Sentinel that would choose the wanted replica,
 * with the writers held back all the while (`hand-over.ts` in the agent). Where none would, the others are made
 * unfit for the moment, and the switchover waits until the Sentinels have heard of it.
 */
import type { Action } from '../action.ts'
import { prioritise } from './promotion.ts'
import { chooser } from './selection.ts'
import type { PlanInput, Step } from './step.ts'
import { act, wait } from './step.ts'

export function throughSentinels(step: Step, { picture, document }: PlanInput): Step {
  const handOver = step.actions.find((action) => action.kind === 'failover')
  const [shard] = picture.shards
  const primary = shard?.primary
  if (handOver === undefined || shard === undefined || primary == null) return step
  const heir = shard.nodes.find(({ id }) => id === handOver.node)
  if (heir === undefined) return step
  const sentinel = chooser(picture.sentinels, primary, [heir], shard.nodes)
  // What was decided about the operation is not saved either: this was no attempt.
  if (sentinel === undefined) {
    const actions = prioritise(shard.nodes, [heir])
    if (actions.length > 0) return act(`the Sentinels would not choose ${heir.id}: making it the only choice`, actions)
    return wait(`no Sentinel would choose ${heir.id} yet, by what it knows`, 250)
  }
  const where = ({ place }: typeof primary | typeof sentinel) => ({ address: place.address, port: place.port })
  const others = picture.sentinels.filter((other) => other !== sentinel && other.watch !== null).map(where)
  const [from, to] = [where(primary), where(heir)]
  const through = { name: document.name, from, to, sentinel: where(sentinel), others }
  const actions = step.actions.map((action): Action => (action === handOver ? { ...handOver, through } : action))
  return { ...step, actions }
}
