/**
 * A switchover between engines that Sentinels watch goes through the one Sentinel that would choose the wanted replica,
 * with the writers held back all the while (`hand-over.ts` in the agent). Where none would, the others are made
 * unfit for the moment, and the switchover waits until the Sentinels have heard of it.
 */
import type { Action } from '../action.ts'
import type { NodePicture } from '../picture.ts'
import type { SentinelPicture } from '../sentinel-picture.ts'
import { prioritise } from './promotion.ts'
import { chooser, sentinelLooksEveryMs, sinceLooked } from './selection.ts'
import type { PlanInput, Step } from './step.ts'
import { act, wait } from './step.ts'

/** So long after a look the next one comes right behind the promotion. */
const [bestFromMs, bestUntilMs] = [650, 850]
/** Its look is late by so much at the most, where it looks once a second; else it looks every ten seconds. */
const lateMs = 200
const seldomEveryMs = 10_000

/**
 * While a Sentinel waits for its next look at the promoted replica, every writer waits with it: up to a second. So the
 * moment is chosen by when it has looked last, ms from now; 0 where that is good, or nothing is known of it.
 */
function untilGoodMoment(sentinel: SentinelPicture, heir: NodePicture, now: number): number {
  const ageMs = sinceLooked(sentinel, heir, now)
  if (ageMs === null) return 0
  if (ageMs < bestFromMs) return bestFromMs - ageMs
  if (ageMs <= bestUntilMs || ageMs > seldomEveryMs + bestUntilMs) return 0
  const everyMs = ageMs <= sentinelLooksEveryMs + lateMs ? sentinelLooksEveryMs : seldomEveryMs
  return Math.max(0, everyMs - ageMs) + bestFromMs
}

export function throughSentinels(step: Step, { picture, document }: PlanInput): Step {
  const handOver = step.actions.find((action) => action.kind === 'failover')
  const [shard] = picture.shards
  const primary = shard?.primary
  if (handOver === undefined || shard === undefined || primary == null) return step
  const heir = shard.nodes.find(({ id }) => id === handOver.node)
  if (heir === undefined) return step
  const sentinel = chooser(picture, primary, [heir], shard.nodes)
  // What was decided about the operation is not saved either: this was no attempt.
  if (sentinel === undefined) {
    const actions = prioritise(shard.nodes, [heir])
    if (actions.length > 0) return act(`the Sentinels would not choose ${heir.id}: making it the only choice`, actions)
    return wait(`no Sentinel would choose ${heir.id} yet, by what it knows`, 250)
  }
  const momentMs = untilGoodMoment(sentinel, heir, picture.at)
  if (momentMs > 0) {
    return wait(
      `${sentinel.id} looks at ${heir.id} again soon: handing over so that it sees the change at once`,
      momentMs,
    )
  }
  const where = ({ place }: typeof primary | typeof sentinel) => ({ address: place.address, port: place.port })
  const others = picture.sentinels.filter((other) => other !== sentinel && other.watch !== null).map(where)
  const [from, to] = [where(primary), where(heir)]
  const through = { name: document.name, from, to, sentinel: where(sentinel), others }
  const actions = step.actions.map((action): Action => (action === handOver ? { ...handOver, through } : action))
  return { ...step, actions }
}
