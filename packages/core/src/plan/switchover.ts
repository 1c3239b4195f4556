/**
 * A planned change of primary. `CLUSTER FAILOVER` stops the writers, waits until the copy has all the primary had, and
 * then changes roles (25 to 54 ms of gap, nothing lost). Who takes over is decided and saved first, so that a
 * controller which comes after this one wants the same.
 */
import type { Switchover } from '../operation.ts'
import { ended } from '../operation.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import type { PlanInput, Step } from './step.ts'
import { act, record, wait } from './step.ts'

/** How long the engine itself goes on trying; a new word before then would be a second attempt beside the first. */
export const attemptMs = 5000
export const triesMax = 3
const pollMs = 10

export function planSwitchover(operation: Switchover, input: PlanInput): Step {
  const { picture, wallNow } = input
  const stop = (because: string): Step => over(operation, 'failed', because, wallNow)
  const shard = picture.shards.find(({ id }) => id === operation.subject)
  if (shard === undefined) return stop(`there is no ${operation.subject} any more`)
  if (operation.state === 'asked') return begin(operation, shard, input)
  const heir = shard.nodes.find(({ id }) => id === operation.to)
  if (heir === undefined) return stop(`there is no ${operation.to} in ${shard.id} any more`)
  const { primary } = shard
  if (primary === heir && heir.facts?.role === 'primary') {
    const because = `${heir.id} is primary of ${shard.id}, was ${operation.from}: handed over`
    return over(operation, 'done', because, wallNow)
  }
  if (primary !== null && primary.id !== operation.from) {
    // Their choice hangs on offsets that change while they choose: it can be guessed, not ordered.
    if (input.spec.topology === 'sentinel' && !operation.named && primary.facts?.role === 'primary') {
      const because = `${primary.id} is primary of ${shard.id}, was ${operation.from}: handed over, to whom the Sentinels chose`
      return over(operation, 'done', because, wallNow)
    }
    return stop(`${primary.id} became primary of ${shard.id} meanwhile, and not ${heir.id}`)
  }
  const isAsked = operation.tries > 0 && sinceAsked(heir, picture) < attemptMs
  if (isAsked) return wait(`${heir.id} takes over ${shard.id} from ${operation.from}`, pollMs)
  if (operation.tries >= triesMax) {
    return stop(`${heir.id} did not become primary of ${shard.id} though it was asked ${triesMax} times`)
  }
  const objection = objectionToHeir(heir, shard)
  if (objection !== null) {
    const told = `${shard.id} is not handed over to ${heir.id}: ${objection}`
    return wallNow - (operation.beganAt ?? 0) < attemptMs ? wait(told, pollMs) : stop(told)
  }
  const because = `${operation.from} hands ${shard.id} over to ${heir.id}, as ${operation.requestedBy} asked`
  const asked: Switchover = { ...operation, tries: operation.tries + 1, because }
  return { ...act(because, [{ kind: 'failover', node: heir.id, mode: 'switchover' }]), operations: [asked] }
}

function begin(operation: Switchover, shard: ShardPicture, { picture, wallNow }: PlanInput): Step {
  const { primary } = shard
  const told = `switchover of ${shard.id}`
  if (primary === null || primary.facts === null) return wait(`${told} waits: it has no living primary`, 100)
  if (shard.slotless) {
    return over(operation, 'failed', `${shard.id} has no slots: there is nothing to hand over`, wallNow)
  }
  if (operation.to === primary.id) {
    return over(operation, 'done', `${primary.id} is primary of ${shard.id} already`, wallNow)
  }
  const troubled = picture.shards.find((other) => other.primary?.facts == null)
  if (troubled !== undefined) return wait(`${told} waits: ${troubled.id} has no living primary`, 100)
  const heir = operation.to === null ? heirFor(shard) : shard.nodes.find(({ id }) => id === operation.to)
  if (heir === undefined) return wait(`${told} waits: no copy of it is in sync`, 100)
  const objection = objectionToHeir(heir, shard)
  if (objection !== null) return wait(`${told} waits: ${objection}`, 100)
  const because = `${heir.id} shall take over ${shard.id} from ${primary.id}`
  const begun: Switchover = {
    ...operation,
    state: 'running',
    to: heir.id,
    from: primary.id,
    beganAt: wallNow,
    because,
  }
  return record(begun)
}

/** The copy that takes over when nobody was named: in sync, not drained, here to stay, with the most of the stream. */
export const heirFor = (shard: ShardPicture): NodePicture | undefined => heirsOf(shard)[0]

/** All that could, the best first. */
export function heirsOf(shard: ShardPicture): NodePicture[] {
  return shard.nodes
    .filter((node) => node !== shard.primary && node.place.drained !== true && node.place.leaving === undefined)
    .filter((node) => objectionToHeir(node, shard) === null)
    .sort(
      (a, b) =>
        Number(a.place.lentTo !== undefined) - Number(b.place.lentTo !== undefined) ||
        (b.facts?.offset ?? 0) - (a.facts?.offset ?? 0) ||
        (a.id < b.id ? -1 : 1),
    )
}

/** What speaks against handing a shard over to this node; null if nothing does. */
export function objectionToHeir(node: NodePicture, { primary }: ShardPicture): string | null {
  if (primary?.facts == null) return 'its primary does not answer'
  if (node.facts === null) return `${node.id} is ${node.life}`
  if (node.facts.role !== 'replica' || primaryIdOf(node) !== primary.engineId) return `${node.id} is no copy of it`
  if (node.facts.link?.state !== 'up') return `${node.id} is not in sync`
  if (!canLog(node)) return `${node.id} cannot write to its disk`
  if (node.facts.replid !== primary.facts.replid) return `${node.id} has another history than ${primary.id}`
  // The agent's own record is what a failover is decided by, should the primary die in the middle of it.
  return node.agent?.record?.link === 'up' ? null : `${node.id} has just been linked`
}

/** It can write its append-only file, as far as it has one. */
export const canLog = ({ facts }: NodePicture): boolean => facts === null || !facts.disk.logs || facts.disk.logOk

/** How long ago this node was last told to take over. */
export function sinceAsked(node: NodePicture, picture: Picture): number {
  const asked = node.agent?.failoverAsked ?? null
  return asked?.mode === 'switchover' ? picture.at - asked.at : Number.POSITIVE_INFINITY
}

const over = (operation: Switchover, state: 'done' | 'failed', because: string, now: number): Step =>
  record(ended(operation, state, because, now))
