/** A copy that shall be on another host: its own has been lost for longer than it is waited for, or was taken off the spec. */
import type { NodePicture, Picture } from '../picture.ts'
import { everyCopy } from '../picture.ts'
import { isTakenOff } from '../placement/hosting.ts'
import type { Spec } from '../spec.ts'
import type { PlanInput } from './step.ts'

/**
 * Since when the host of a node that does not answer is lost; null where it is not, or where its primary still hears the
 * node. The other hosts and the engines have to say so as well, so that a controller which was cut off, or asleep, does not
 * count its own absence.
 */
export function lostSince(node: NodePicture, { hosts, shards }: Pick<Picture, 'hosts' | 'shards'>): number | null {
  const lostAt = node.life === 'away' ? (hosts.get(node.place.host)?.lostAt ?? null) : null
  if (lostAt === null) return null
  const { port, address } = node.place
  const heard = shards
    .find(({ id }) => id === node.shard)
    ?.primary?.facts?.replicas.find((one) => one.port === port && (one.address ?? address) === address)
  return heard?.online === true && heard.ackAgeSeconds < unheardSeconds ? null : lostAt
}

/** A replica acknowledges once a second. */
const unheardSeconds = 5

export function isLostForGood(node: NodePicture, { picture, spec }: Pick<PlanInput, 'picture' | 'spec'>): boolean {
  const { remakeAfter } = spec.placement
  const since = lostSince(node, picture)
  return remakeAfter !== 'off' && since !== null && picture.at - since >= remakeAfter
}

export const shallMove = (node: NodePicture, input: Pick<PlanInput, 'picture' | 'spec'>): boolean =>
  isTakenOff(node.place, input.spec) || isLostForGood(node, input)

/** Whether there is one: where it could go is asked for then alone. */
export const someShallMove = (picture: Picture, spec: Spec): boolean =>
  [...everyCopy(picture), ...picture.spares].some((node) => shallMove(node, { picture, spec }))
