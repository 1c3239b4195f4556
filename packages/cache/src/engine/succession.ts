/**
 * Whose data a node went on from. A promoted replica names the history of the primary that it followed, so it shows by
 * itself that it is the successor, up to a second before the Sentinels have noticed.
 */
export interface History {
  readonly isPrimary: boolean
  /** The id of what it writes now. */
  readonly id: string
  /** The id of what it went on from; null where it never followed anybody. */
  readonly before: string | null
}

/** Undefined for anything that is not the answer to INFO replication. */
export function readHistory(reply: unknown): History | undefined {
  if (typeof reply !== 'string' && !Buffer.isBuffer(reply)) return undefined
  const fields = new Map(
    String(reply)
      .split('\r\n')
      .map((line) => line.split(':') as [string, string | undefined]),
  )
  const [role, id, before] = ['role', 'master_replid', 'master_replid2'].map((name) => fields.get(name))
  if (role === undefined || id === undefined) return undefined
  return { isPrimary: role === 'master', id, before: before === undefined || /^0*$/.test(before) ? null : before }
}
