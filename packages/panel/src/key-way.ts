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
  /** Null: not known. */
  readonly from: string | null
  readonly to: string
}

const primaryChanged = /^(\S+) is primary of (\S+), was (\S+)$/

/** The moves that the log tells, oldest first. Between two primaries a shard may have had nobody: that is one move. */
export function movesOf(events: readonly HoldfastEvent[]): Move[] {
  const last = new Map<string, string>()
  return events.flatMap(({ kind, at, because }) => {
    const [, to, shard, was] = (kind === 'shard' && primaryChanged.exec(because)) || []
    if (to === undefined || shard === undefined || was === undefined) return []
    const from = was === 'nobody' ? (last.get(shard) ?? null) : was
    last.set(shard, to)
    // Who died and came back in his place did not move anything.
    return from === to ? [] : [{ at, shard, from, to }]
  })
}

/** Whom each shard is served by; two that are equal mean that nothing moved. */
export const primariesAsText = (status: Status): string =>
  status.shards.flatMap(({ id, primary }) => (primary === null ? [] : [`${id}=${primary}`])).join(' ')
