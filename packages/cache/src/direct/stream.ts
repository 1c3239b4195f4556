/** One entry of a stream. */
export interface StreamEntry {
  readonly id: string
  /** Null where the entry was deleted while it was pending. */
  readonly fields: Readonly<Record<string, string>> | null
}

/**
 * The entries in the reply of XRANGE, XREVRANGE, XCLAIM, XAUTOCLAIM, XREAD or XREADGROUP of one stream, whichever
 * protocol it came over: the last two wrap them in a list of streams, or in a map of them.
 */
export function streamEntries(reply: unknown): readonly StreamEntry[] {
  if (reply === null || reply === undefined) return []
  if (reply instanceof Map) return [...reply.values()].flatMap(streamEntries)
  if (!Array.isArray(reply)) return typeof reply === 'object' ? Object.values(reply).flatMap(streamEntries) : []
  // XAUTOCLAIM: where to go on, the entries, and which were deleted.
  if (typeof reply[0] === 'string' && Array.isArray(reply[1])) return reply[1].flatMap(entryOf)
  return reply.flatMap((part) => (holdsEntries(part) ? streamEntries(part[1]) : entryOf(part)))
}

/** `[stream, entries]`, where an entry is `[id, fields]` and fields are strings. */
function holdsEntries(part: unknown): part is readonly [string, readonly unknown[]] {
  return Array.isArray(part) && Array.isArray(part[1]) && (part[1].length === 0 || Array.isArray(part[1][0]))
}

function entryOf(part: unknown): readonly StreamEntry[] {
  if (!Array.isArray(part) || typeof part[0] !== 'string') return []
  const [id, flat] = part as unknown as readonly [string, readonly string[] | null]
  if (flat === null) return [{ id, fields: null }]
  const fields: Record<string, string> = Object.create(null) as Record<string, string>
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] as string] = flat[at + 1] as string
  return [{ id, fields }]
}
