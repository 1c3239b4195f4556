import type { Operation, OperationWish } from './operation.ts'
import { graceMsDefault, isUnfinished } from './operation.ts'
import { assignSlots } from './rebalance/assign.ts'
import { movesBetween } from './rebalance/moves.ts'
import { previewScale } from './scale-preview.ts'
import type { Spec } from './spec.ts'
import type { NodeStatus, Status } from './status.ts'
import { formatDuration } from './units.ts'

/** What an operation would do, in words, and what speaks against asking for it at all. */
export interface OperationPreview {
  readonly lines: readonly string[]
  /** Null: it may be asked for. Whether it may *begin* is judged again when its turn has come. */
  readonly objection: string | null
}

export function previewOperation(wish: OperationWish, status: Status, spec: Spec): OperationPreview {
  switch (wish.kind) {
    case 'switchover':
      return previewSwitchover(wish, status)
    case 'restart':
    case 'upgrade':
      return previewRestart(wish, status)
    case 'replace':
      return previewReplacement(wish, status)
    case 'rotate':
      return previewRotation(wish, status)
    case 'rebalance':
      return previewRebalance(wish, status)
    case 'scale':
      return previewScale(wish, status, spec)
    default:
      return wish.kind satisfies never
  }
}

function previewSwitchover({ subject, to }: OperationWish, status: Status): OperationPreview {
  const shard = status.shards.find(({ id }) => id === subject)
  if (shard === undefined) return refuse(`there is no ${subject}: shards are ${idsOf(status.shards)}`)
  if (status.topology === 'cluster' && shard.slots.length === 0) {
    return refuse(`${subject} has no slots: there is nothing to hand over`)
  }
  if (shard.replicas.length === 0) return refuse(`${subject} has no other copy: there is nobody to hand it over to`)
  if (to != null && shard.chained?.includes(to) === true) {
    return refuse(`${to} is chained and never becomes primary: replicas of ${subject} are ${shard.replicas.join(', ')}`)
  }
  if (to != null && !shard.replicas.includes(to) && shard.primary !== to) {
    return refuse(`${to} is no copy of ${subject}: its replicas are ${shard.replicas.join(', ')}`)
  }
  const who = to ?? `the copy that has most, of ${shard.replicas.join(', ')}`
  return {
    lines: [
      `${shard.primary ?? 'its primary'} hands ${subject} over to ${who}`,
      'writes of this shard wait a moment until the copy has everything; nothing is lost',
      ...behindOthers(status),
    ],
    objection: null,
  }
}

function previewRestart({ subject, surge = false }: OperationWish, status: Status): OperationPreview {
  const nodes = status.nodes.filter((node) => subject === status.name || node.shard === subject || node.id === subject)
  if (nodes.length === 0) {
    return refuse(`there is no ${subject}: say a node (${idsOf(status.nodes)}), a shard, or ${status.name}`)
  }
  const shards = [...new Set(nodes.map(({ shard }) => shard))]
  const lines = shards.flatMap((id) =>
    describeShard(
      id,
      nodes.filter(({ shard }) => shard === id),
      status,
    ),
  )
  return {
    lines: [
      ...(surge
        ? [`${shards.join(', ')} ${shards.length === 1 ? 'gets' : 'get'} one more copy first, which goes afterwards`]
        : []),
      `${nodes.length} engines are restarted, one at a time:`,
      ...lines,
      ...behindOthers(status),
    ],
    objection: null,
  }
}

function previewReplacement({ subject, places }: OperationWish, status: Status): OperationPreview {
  const { nodes: members } = status
  const node = members.find(({ id }) => id === subject)
  if (node === undefined) return refuse(`there is no ${subject} to replace: say a node (${idsOf(members)})`)
  if (status.topology === 'standalone') {
    return refuse(`${subject} has the only copy: back it up, and restore that into another deployment`)
  }
  const shard = status.shards.find(({ id }) => id === node.shard)
  if (shard?.primary == null) {
    return refuse(`${node.shard} has no living primary to copy from: it has to come back first`)
  }
  if (node.upstream !== undefined) {
    const count = shard.chained?.length ?? 0
    return refuse(
      `${subject} is chained, and nobody follows it: apply the spec with chained: ${count + 1}, and then with ${count}; a dead one goes first`,
    )
  }
  const isPrimary = shard.primary === subject
  const [by] = places ?? []
  const others = members.filter(({ shard: of, id, link }) => of === shard.id && id !== subject && link === 'up').length
  return {
    lines: [
      `${by === undefined ? 'a new node' : `${by.id} (${by.address}:${by.port})`} comes to ${shard.id} and copies all of its data`,
      ...(isPrimary ? [`${subject} is its primary, and hands over to a copy in sync; nothing is lost`] : []),
      `${subject} is stopped and forgotten by all; its files are removed once nobody brings it back for 75 s`,
      ...(others === 0 && !isPrimary ? [`until then ${shard.primary} has the only good copy of ${shard.id}`] : []),
      ...behindOthers(status),
    ],
    objection: null,
  }
}

function previewRotation(
  { users = [], graceMs = graceMsDefault, closes }: OperationWish,
  status: Status,
): OperationPreview {
  const unknown = users.find((user) => !status.users.includes(user))
  if (unknown !== undefined) return refuse(`there is no user ${unknown}: users are ${status.users.join(', ')}`)
  if (users.length === 0) return refuse(`say whose password: users are ${status.users.join(', ')}`)
  const open = status.operations.find(
    (one) => one.kind === 'rotate' && isUnfinished(one) && one.users.some((user) => users.includes(user)),
  )
  if (open !== undefined)
    return refuse(
      `a rotation of ${open.kind === 'rotate' ? open.users.join(', ') : ''} is under way (${open.id}): ${open.because}`,
    )
  const grace =
    graceMs === 0
      ? 'the old password goes at once: clients that have not switched by then are turned away when they connect again'
      : `the old password stays valid for ${formatDuration(graceMs)}: clients have that long to switch`
  return {
    lines: [
      `${users.join(', ')}: a new password, valid on all ${status.nodes.length + status.sentinels.length} processes before it is used`,
      ...(users.includes('replication')
        ? ['each replica links to its primary anew, one at a time, to prove that it can']
        : []),
      grace,
      closes === 'all'
        ? 'then all sessions from before that moment are closed, a few a second'
        : 'then sessions that are older than the new password are closed, a few a second',
      ...behindOthers(status),
    ],
    objection: null,
  }
}

function describeShard(id: string, members: readonly NodeStatus[], status: Status): string[] {
  const shard = status.shards.find((one) => one.id === id)
  const chained = members.filter((node) => node.upstream !== undefined)
  const replicas = members.filter((node) => node.id !== shard?.primary && !chained.includes(node))
  const primary = members.find((node) => node.id === shard?.primary)
  const isAlone = shard?.replicas.length === 0
  return [
    ...chained.map((node) => `  ${id}: ${node.id}, chained`),
    ...replicas.map((node) => `  ${id}: ${node.id}, a replica`),
    ...(primary === undefined
      ? []
      : isAlone
        ? [`  ${id}: ${primary.id}, its only copy: its writes wait until it is back`]
        : [`  ${id}: ${primary.id}, after it has handed the shard over`]),
  ]
}

const behindOthers = ({ operations }: Status): string[] =>
  operations
    .filter((one: Operation) => isUnfinished(one))
    .map(({ kind, subject }) => `after the ${kind} of ${subject}, which was asked for before`)

const refuse = (objection: string): OperationPreview => ({ lines: [], objection })

const idsOf = (list: readonly { readonly id: string }[]): string => list.map(({ id }) => id).join(', ')

function previewRebalance({ weights = {} }: OperationWish, status: Status): OperationPreview {
  if (status.topology !== 'cluster') return refuse(`${status.name} has one shard: there is nothing to balance`)
  const unknown = Object.keys(weights).find((id) => !status.shards.some((shard) => shard.id === id))
  if (unknown !== undefined) return refuse(`there is no ${unknown}: shards are ${idsOf(status.shards)}`)
  const moves = movesBetween(
    new Map(status.shards.map(({ id, slots }) => [id, slots])),
    assignSlots({
      owned: new Map(status.shards.map(({ id, slots }) => [id, slots])),
      weights: new Map(status.shards.map(({ id }) => [id, weights[id] ?? 1])),
    }),
  )
  const lines = moves.map(({ from, to, count }) => `${count} slots from ${from} to ${to}`)
  return {
    lines: [...(lines.length === 0 ? ['every shard has its share already'] : lines), ...behindOthers(status)],
    objection: null,
  }
}
