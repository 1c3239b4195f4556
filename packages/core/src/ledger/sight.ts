/** What is remembered of a shard from one look to the next: enough to tell who followed whom, and what that may cost. */
import type { NodeStatus, ShardStatus } from '../status.ts'
import type { Promotion } from './incident.ts'

/** How a shard was when it was last seen with a primary. */
export interface Sight {
  readonly primary: string
  readonly pid: number | null
  readonly offset: number | null
  readonly replid: string | null
  /** Its primary was last seen answering. */
  readonly well: boolean
  /** What the others had once the primary was gone: it cannot grow any more. */
  readonly heirs: Readonly<Record<string, { readonly offset: number | null; readonly replid: string | null }>>
}

/** Offsets of different histories cannot be compared, and one that was not seen is not known. */
export function promotionOf(shard: string, was: Sight, to: string): Promotion {
  const heir = was.heirs[to]
  const comparable = heir !== undefined && heir.replid !== null && heir.replid === was.replid
  return {
    shard,
    from: was.primary,
    to,
    offsetBefore: was.offset,
    offsetAfter: comparable ? heir.offset : null,
  }
}

export function sightOf(shard: ShardStatus, was: Sight | undefined, nodes: readonly NodeStatus[]): Sight | undefined {
  const primary = nodes.find(({ id }) => id === shard.primary)
  if (primary !== undefined) {
    const { id, pid, offset, replid, state } = primary
    return { primary: id, pid, offset, replid, well: state === 'ok', heirs: {} }
  }
  if (was === undefined) return undefined
  const heirs = nodes
    .filter(
      ({ id, role, state }) => id !== was.primary && role === 'replica' && (state === 'ok' || state === 'syncing'),
    )
    .map(({ id, offset, replid }) => [id, { offset, replid }] as const)
  const { offset = null, replid = null } = nodes.find(({ id }) => id === was.primary) ?? {}
  // The agent may have seen more of it than the last turn did, as long as it is of the same history.
  const offsetLast = replid === was.replid && offset !== null ? Math.max(offset, was.offset ?? 0) : was.offset
  return { ...was, well: false, offset: offsetLast, heirs: { ...was.heirs, ...Object.fromEntries(heirs) } }
}
