/**
 * Whether everything was heard that somebody said, by numbers alone.
 *
 * Each sender numbers its changes from 1. A heartbeat carries the number of its last change. Whatever does not follow
 * from what was heard before is a gap: a lost message, one that overtook another, a sender that began anew. Messages
 * that come twice or late are told all the same, since telling costs only a look.
 */
export interface Said {
  readonly sender: string
  /** Of this change, or with no keys of the last one. */
  readonly seq: number
  /** What was changed; none is a heartbeat; `bye` is the last word of a sender. */
  readonly keys: readonly string[] | 'bye'
}

export interface Followed {
  /** The last number by now; undefined when the sender has left. */
  readonly last: number | undefined
  readonly keys: readonly string[]
  /** Something may have been missed before this message. */
  readonly gap: boolean
}

/** `last` is the last number of this sender; undefined for one that was never heard. */
export function follow(last: number | undefined, { seq, keys }: Said): Followed {
  const before = last ?? 0
  if (keys === 'bye') return { last: undefined, keys: [], gap: seq !== before }
  if (keys.length === 0) return { last: seq, keys, gap: seq !== before }
  // A change that comes late says nothing of what is behind it.
  if (seq <= before) return { last, keys, gap: false }
  return { last: seq, keys, gap: seq !== before + 1 }
}

export function printSaid({ sender, seq, keys }: Said): string {
  return JSON.stringify([sender, seq, keys])
}

/** Undefined for what is none of ours: anybody may speak in a channel. */
export function readSaid(text: string): Said | undefined {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(read)) return undefined
  const [sender, seq, keys]: unknown[] = read
  if (typeof sender !== 'string' || !Number.isSafeInteger(seq) || Number(seq) < 0) return undefined
  const isList = Array.isArray(keys) && keys.every((key) => typeof key === 'string')
  return isList || keys === 'bye' ? { sender, seq: Number(seq), keys: keys as Said['keys'] } : undefined
}
