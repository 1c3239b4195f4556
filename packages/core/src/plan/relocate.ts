/**
 * A host whose address is another by now: its engines move there one after the other, each as in a rolling restart. A
 * replica ends and starts again at the new address; a primary first hands its shard over to a copy that is settled, so that
 * each shard changes its primary once at most. The node keeps its identity, and tells the others by itself where it is.
 *
 * Where the old address is gone already nobody can speak to an engine there, not even to end it: it is killed once all
 * others hold it for failed, and is then a dead one as any other.
 */
import type { NodePlace, PlaceChange } from '../document.ts'
import { logsWrites } from '../persist-on.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { judgeReadiness } from '../readiness.ts'
import type { Spec } from '../spec.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, replan, wait } from './step.ts'
import { attemptMs, heirsOf, sinceAsked } from './switchover.ts'

/** Where it shall be by now; null: where it is. */
const movedTo = ({ host, address }: NodePlace, { hosts }: Spec): string | null => {
  const now = hosts.find(({ name }) => name === host)?.address ?? address
  return now === address ? null : now
}

/** What does not run starts where its host is by now: null where it was there already. */
export function resettle({ id, place }: NodePicture, spec: Spec): Step | null {
  const address = movedTo(place, spec)
  if (address === null) return null
  const change: PlaceChange = { id, place: { ...place, address } }
  return replan(`${id} starts at ${address}, where ${place.host} is by now`, [change])
}

export function planRelocate(input: PlanInput): Step {
  const { picture, spec, document } = input
  const moving = [...picture.nodes, ...picture.spares].filter(
    (node) => !node.gone && movedTo(node.place, spec) !== null,
  )
  const [first] = moving
  if (first === undefined) return idle
  const stranded = moving.find((node) => isStranded(node, picture))
  if (stranded !== undefined) return endStranded(stranded, input)
  if (document.operations.some(({ state }) => state === 'running')) return idle
  if (judgeReadiness(picture).ready !== 'yes')
    return wait(`${first.id} moves to ${movedTo(first.place, spec)} once all is well`)
  const next = moving.find((node) => !picture.shards.some(({ primary }) => primary === node)) ?? first
  const shard = picture.shards.find(({ primary }) => primary === next)
  const staysOrHasNone = shard === undefined || shard.slotless === true || shard.nodes.length === 1
  return staysOrHasNone ? end(next, shard, input) : handOver(shard, next, input)
}

function end(node: NodePicture, shard: ShardPicture | undefined, { spec }: PlanInput): Step {
  const told = `${node.id} moves to ${movedTo(node.place, spec)}, where ${node.place.host} is by now: ending it to start it there`
  // The only copy has to be whole on its disk before it ends.
  const save = shard !== undefined && !logsWrites(spec) && spec.persistence !== 'none'
  return act(told, [{ kind: 'stop', node: node.id, save }])
}

function handOver(shard: ShardPicture, primary: NodePicture, { picture, spec }: PlanInput): Step {
  const told = `${primary.id} is primary of ${shard.id} and moves with ${primary.place.host}`
  const heir = heirsOf(shard).find(({ place }) => movedTo(place, spec) === null)
  if (heir === undefined) return wait(`${told}: no copy that is settled can take over yet`, 250)
  if (sinceAsked(heir, picture) < attemptMs) return wait(`${told}: ${heir.id} takes over`, 20)
  return act(`${told}: handing it over to ${heir.id}`, [{ kind: 'failover', node: heir.id, mode: 'switchover' }])
}

/** Its agent says that it runs, and nobody speaks to it: everybody else holds it for failed. LOADING and BUSY are answers. */
function isStranded(node: NodePicture, { nodes }: Picture): boolean {
  if (node.agent?.process.state !== 'running' || node.facts !== null) return false
  if (node.seen.engine.kind === 'busy' || node.seen.engine.kind === 'loading') return false
  const views = nodes.flatMap((other) => (other.facts === null || other === node ? [] : [other.facts.view]))
  const holding = views.filter(({ entries }) =>
    entries.some(({ engineId, health }) => engineId === node.engineId && health === 'fail'),
  )
  return views.length > 0 && holding.length === views.length
}

function endStranded({ id, place, agent, shard }: NodePicture, { picture, spec }: PlanInput): Step {
  const told = `nobody reaches ${id} at ${place.address}, and ${place.host} is at ${movedTo(place, spec)} by now`
  const copies = picture.shards.find((one) => one.id === shard)?.nodes ?? []
  if (copies.length < 2)
    return wait(`${told}: it is the only copy of ${shard}, so give ${place.host} its old address once more`)
  if (agent?.process.state !== 'running') return idle
  const { pid, startTime } = agent.process
  return act(`${told}: ending it to start it there`, [{ kind: 'fence', node: id, pid, startTime }])
}
