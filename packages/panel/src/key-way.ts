import { type HoldfastEvent, hasSlot, type NodeStatus, type Status, slotOf } from '@holdfast/core'

/** Where the engine has a key, and by what. */
export interface KeyWay {
  readonly slot: number
  /** Null: nobody owns the slot, or nobody has looked yet. */
  readonly shard: string | null
  /** Null: nobody living serves the shard now. */
  readonly node: NodeStatus | null
}

export function wayOf(key: string, status: Status | undefined): KeyWay {
  const slot = slotOf(key)
  const shard = status?.shards.find(({ slots }) => hasSlot(slots, slot))
  const node = status?.nodes.find(({ id }) => id === shard?.primary)
  return { slot, shard: shard?.id ?? null, node: node ?? null }
}

/** A shard got another primary, and all its keys with it. */
export interface Move {
  readonly at: number
  readonly shard: string
  readonly from: string
  readonly to: string
}

const primaryChanged = /^(\S+) is primary of (\S+), was (\S+)$/

/**
 * The moves that the log tells, oldest first. Between two primaries a shard may have had nobody: that is one move. Where
 * the log does not say who was before, the first look does; and a shard that is born moves nothing.
 */
export function movesOf(events: readonly HoldfastEvent[], firstLook?: Status): Move[] {
  const last = new Map<string, string>()
  return events.flatMap(({ kind, at, because }) => {
    const [, to, shard, was] = (kind === 'shard' && primaryChanged.exec(because)) || []
    if (to === undefined || shard === undefined || was === undefined) return []
    const looked = firstLook !== undefined && at > firstLook.observedAt ? firstLook.shards : []
    const before = last.get(shard) ?? looked.find(({ id }) => id === shard)?.primary
    const from = was === 'nobody' ? before : was
    last.set(shard, to)
    // Who died and came back in his place did not move anything.
    return from === undefined || from === null || from === to ? [] : [{ at, shard, from, to }]
  })
}

/** Whom each shard is served by; two that are equal mean that nothing moved. */
export const primariesAsText = (status: Status): string =>
  status.shards.flatMap(({ id, primary }) => (primary === null ? [] : [`${id}=${primary}`])).join(' ')
