import type { Operation, OperationWish } from './operation.ts'
import { isUnfinished } from './operation.ts'
import type { NodeStatus, Status } from './status.ts'

/** What an operation would do, in words, and what speaks against asking for it at all. */
export interface OperationPreview {
  readonly lines: readonly string[]
  /** Null: it may be asked for. Whether it may *begin* is judged again when its turn has come. */
  readonly objection: string | null
}

export function previewOperation(wish: OperationWish, status: Status): OperationPreview {
  switch (wish.kind) {
    case 'switchover':
      return previewSwitchover(wish, status)
    case 'restart':
    case 'upgrade':
      return previewRestart(wish, status)
    default:
      return wish.kind satisfies never
  }
}

function previewSwitchover({ subject, to }: OperationWish, status: Status): OperationPreview {
  const shard = status.shards.find(({ id }) => id === subject)
  if (shard === undefined) return refuse(`there is no ${subject}: shards are ${idsOf(status.shards)}`)
  if (shard.replicas.length === 0) return refuse(`${subject} has no other copy: there is nobody to hand it over to`)
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

function previewRestart({ subject }: OperationWish, status: Status): OperationPreview {
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
    lines: [`${nodes.length} engines are restarted, one at a time:`, ...lines, ...behindOthers(status)],
    objection: null,
  }
}

function describeShard(id: string, members: readonly NodeStatus[], status: Status): string[] {
  const shard = status.shards.find((one) => one.id === id)
  const replicas = members.filter((node) => node.id !== shard?.primary)
  const primary = members.find((node) => node.id === shard?.primary)
  const isAlone = shard?.replicas.length === 0
  return [
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
