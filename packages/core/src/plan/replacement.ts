/**
 * A node that is gone for good, or shall go, is replaced by another one. The new one comes first and gets all of the
 * data; only then the old one leaves (`retire.ts`). Where the old one is the primary, it hands its shard over (`drain.ts`).
 * Until the old one leaves, nothing is lost by giving up: the new one, which was lent to this operation, goes again.
 */
import type { NodePlace } from '../document.ts'
import type { Replace } from '../operation.ts'
import { ended } from '../operation.ts'
import { keepsFailing } from '../persist-on.ts'
import type { NodePicture, Picture, ShardPicture } from '../picture.ts'
import { primaryIdOf } from '../picture.ts'
import { formatDuration } from '../units.ts'
import { needlessNow } from './remake.ts'
import type { PlanInput, Step } from './step.ts'
import { record, wait } from './step.ts'
import { leave } from './surplus.ts'
import { objectionToHeir } from './switchover.ts'

const pollMs = 50

export function planReplacement(operation: Replace, input: PlanInput): Step {
  const { picture, document, wallNow } = input
  const { subject } = operation
  const over = (state: 'done' | 'failed', because: string): Step => record(ended(operation, state, because, wallNow))
  const [by] = operation.places
  if (by === undefined) return over('failed', `${subject} is not replaced: no place was found for another node`)
  const needless = needlessNow(operation, input)
  if (needless !== null) return record(ended(operation, 'cancelled', needless, wallNow))
  if (operation.state === 'asked') return begin(operation, by, input)
  const heir = picture.nodes.find(({ id }) => id === by.id)
  const shard = picture.shards.find(({ id }) => id === by.shard)
  if (heir === undefined || shard === undefined) {
    return over('failed', `${subject} is not replaced: ${by.id}, which was to take its place, is gone`)
  }
  const old = document.nodes.find(({ id }) => id === subject)
  if (old === undefined || (old.leaving?.forgottenAt ?? null) !== null) {
    const took = formatDuration(wallNow - (operation.beganAt ?? wallNow))
    return over('done', `${by.id} is in the place of ${subject}, which all have forgotten: replaced in ${took}`)
  }
  if (old.leaving !== undefined) return wait(`${subject} leaves ${shard.id}, ${by.id} is in its place`, pollMs)
  if (heir.gone && keepsFailing(heir)) {
    const said = heir.agent?.starts.lastError ?? 'no reason given'
    return over('failed', `${subject} is not replaced: ${by.id} does not start (${said})`)
  }
  const missing = whatIsMissing(heir, shard, operation, picture)
  if (missing !== null) return wait(`${by.id} replaces ${subject}: ${missing}`, pollMs)
  const because = `${by.id} has all the data of ${shard.id}: ${subject} leaves`
  const { lentTo: _, ...staying } = heir.place
  return {
    ...record({ ...operation, because }),
    places: [leave(old, `replaced by ${by.id}`, input.spec), { id: by.id, place: staying }],
  }
}

function begin(operation: Replace, by: NodePlace, { picture, document, wallNow }: PlanInput): Step {
  const { subject } = operation
  const old = document.nodes.find(({ id }) => id === subject)
  if (old === undefined || old.leaving !== undefined) {
    return record(ended(operation, 'failed', `there is no ${subject} any more`, wallNow))
  }
  const troubled = picture.shards.find(({ primary }) => primary?.facts == null)
  if (troubled !== undefined) return wait(`replacing ${subject} waits: ${troubled.id} has no living primary`, 100)
  const because = `${by.id} comes to ${by.shard}, and then ${subject} leaves`
  const begun: Replace = { ...operation, state: 'running', beganAt: wallNow, because }
  return { ...record(begun), places: [{ id: by.id, place: { ...by, lentTo: operation.id } }] }
}

/** What has to be so before the old one may go; null where all of it is. */
function whatIsMissing(heir: NodePicture, shard: ShardPicture, { subject }: Replace, picture: Picture): string | null {
  const { primary } = shard
  if (primary?.facts?.role !== 'primary') return `${shard.id} has no living primary`
  if (primary.id === subject) return `${subject} is primary of ${shard.id} and hands it over first`
  if (heir === primary) return null
  const objection = objectionToHeir(heir, shard)
  if (objection !== null) return objection
  const unaware = picture.nodes.filter(
    (node) => node.facts !== null && node !== heir && !knowsAsCopy(node, heir, primary),
  )
  return picture.topology !== 'cluster' || unaware.length === 0
    ? null
    : `${unaware.map(({ id }) => id).join(', ')} has not heard of it yet`
}

const knowsAsCopy = ({ facts }: NodePicture, heir: NodePicture, primary: NodePicture): boolean =>
  facts?.view.entries.some(
    (entry) =>
      entry.engineId === heir.engineId &&
      entry.linked &&
      primaryIdOf(heir) === primary.engineId &&
      entry.follows === primary.engineId,
  ) === true
