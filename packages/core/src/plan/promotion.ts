/**
 * A dead primary that Sentinels watch gets a successor: on proof of death exactly one Sentinel is asked, and then only
 * looked at. Two that are asked fail over twice. It asks the other Sentinels for nothing: they hear of the outcome by its
 * epoch. Left alone, they do the same after `sentinel.downAfter`.
 */
import type { Action, PlanNote } from '../action.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { formatBytes, formatDuration } from '../units.ts'
import { bytesBehind, failoverCandidate, judgeReplicas } from './candidate.ts'
import { shallHoldNone } from './drain.ts'
import { withoutCandidate } from './failover.ts'
import type { Loss } from './lost-host.ts'
import { heirOfLost, lossOf } from './lost-host.ts'
import { chooser, isFailingOver } from './selection.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle, wait } from './step.ts'

/** How soon to look again while a failover runs. */
const pollMs = 20
/** An ask shows in the Sentinel's flags at the next look. One that is in no flag any more after this has come to nothing. */
const askCountsMs = 1000

export function planPromotion({ picture, spec, document }: PlanInput): Step {
  const [shard] = picture.shards
  const dead = shard?.primary
  if (shard === undefined || dead == null) return idle
  const loss = lossOf(dead, picture, spec)
  if (loss !== null) return succeedLost(shard, dead, loss, { picture, spec, document })
  if (!dead.gone) return idle
  if (isUnderWay(picture)) return wait(`the Sentinels fail ${document.name} over: waiting for them`, pollMs)
  const best = failoverCandidate(shard, dead, spec)
  if (best === undefined) {
    return withoutCandidate(shard, dead, picture, spec, (node, reason, notes) =>
      ask([node], reason, { picture, shard, dead, name: document.name }, notes),
    )
  }
  const fit = judgeReplicas(shard, dead, spec).flatMap(({ node, objection }) => (objection === null ? [node] : []))
  const behind = bytesBehind(best, dead) ?? 0
  const reason = `${dead.id} (primary of ${shard.id}) is dead, ${best.id} is ${behind === 0 ? 'in sync' : `${formatBytes(behind)} behind`}`
  return ask([best, ...fit.filter((node) => node !== best)], reason, { picture, shard, dead, name: document.name })
}

/** Nobody reaches its host, and its lease is over: one of the Sentinels that are left is asked, if they can agree on it. */
function succeedLost(
  shard: ShardPicture,
  primary: NodePicture,
  loss: Loss,
  { picture, spec, document }: Pick<PlanInput, 'picture' | 'spec' | 'document'>,
): Step {
  if (isUnderWay(picture)) return wait(`the Sentinels fail ${document.name} over: waiting for them`, pollMs)
  const { ground } = loss
  const answering = picture.sentinels.filter(({ facts }) => facts !== null).length
  if (answering * 2 <= picture.sentinels.length)
    return wait(`${ground}; ${answering} of ${picture.sentinels.length} Sentinels answer, which are no majority`)
  const { fit, objections } = heirOfLost(shard, primary, loss, spec)
  if (fit.length === 0) return wait(`${ground}; nobody may take over (${objections.join(', ')})`)
  const reason = `${ground}; ${fit[0]?.id} was linked to it until then`
  return ask(fit, reason, { picture, shard, dead: primary, name: document.name })
}

/** Asked, or begun by the Sentinels themselves. */
export function isUnderWay({ sentinels, at }: Picture): boolean {
  const askedAt = Math.max(...sentinels.map(({ agent }) => agent?.failoverAsked?.at ?? Number.NEGATIVE_INFINITY))
  return isFailingOver(sentinels) || at - askedAt < askCountsMs
}

interface Scene {
  readonly picture: Picture
  readonly shard: ShardPicture
  readonly dead: NodePicture
  readonly name: string
}

/** Asks the Sentinel that would choose one of these; where none would, it is made to. */
function ask(
  wanted: readonly NodePicture[],
  reason: string,
  { picture, shard, dead, name }: Scene,
  notes: readonly PlanNote[] = [],
): Step {
  const sentinel = chooser(picture, dead, wanted, shard.nodes)
  if (sentinel !== undefined) {
    // It looks at their offsets once more before it chooses among those that are fit.
    const others = wanted.slice(1).map(({ id }) => ` or ${id}`)
    return act(
      `${reason}: asking ${sentinel.id} to promote it${others.join('')}`,
      [{ kind: 'ask-sentinel', node: sentinel.id, name }],
      notes,
    )
  }
  const ids = wanted.map(({ id }) => id).join(', ')
  const actions = prioritise(shard.nodes, wanted)
  if (actions.length > 0)
    return act(`${reason}: no Sentinel would choose ${ids}, so it is made the only choice`, actions)
  const seen = picture.sentinels.filter(({ facts }) => facts !== null).length
  return wait(`${reason}: none of ${seen} Sentinels would choose ${ids} yet, by what it knows`, 100)
}

/** Only these may be promoted. */
export function prioritise(nodes: readonly NodePicture[], wanted: readonly NodePicture[]): Action[] {
  return nodes.flatMap((node): Action[] => {
    const priority = wanted.includes(node) ? 100 : 0
    if (node.facts?.link == null || node.facts.link.priority > 0 === priority > 0) return []
    return [{ kind: 'set-priority', node: node.id, priority }]
  })
}

/** Longer than a restart and its sync take: until then a Sentinel that saw the 0 would not promote it for ten seconds. */
const unfitForMs = 3000

/** A replica that is cut off for long is kept from being chosen, and given back once it is in sync. */
export function planPriority({ picture, document }: PlanInput): Step {
  const [shard] = picture.shards
  // An operation may have made one of them the only choice.
  const isHandingOver = document.operations.some(({ state }) => state === 'running')
  if (isHandingOver || (shard?.primary != null && shallHoldNone(shard.primary.place, document))) return idle
  if (shard?.primary?.facts?.role !== 'primary' || isUnderWay(picture)) return idle
  const actions: Action[] = []
  const told: string[] = []
  for (const { id, facts, agent } of shard.nodes) {
    if (facts?.link == null) continue
    const downSince = agent?.record?.linkDownSince ?? null
    const downMs = facts.link.state === 'up' || downSince === null ? 0 : picture.at - downSince
    if (downMs >= unfitForMs && facts.link.priority > 0) {
      actions.push({ kind: 'set-priority', node: id, priority: 0 })
      told.push(`${id} has been cut off for ${formatDuration(downMs)}: the Sentinels shall not promote it`)
    }
    if (facts.link.state === 'up' && facts.link.priority !== 100) {
      actions.push({ kind: 'set-priority', node: id, priority: 100 })
      told.push(`${id} is in sync: the Sentinels may promote it as any other`)
    }
  }
  return actions.length === 0 ? idle : act(told.join('; '), actions)
}
