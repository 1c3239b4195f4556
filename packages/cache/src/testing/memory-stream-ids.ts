import { ReplyError } from '../engine/engine.ts'
import type { StreamId } from './memory-keyspace.ts'

export const lowestId: StreamId = { ms: 0, seq: 0 }

/** The engine counts to 2^64; whole numbers are exact here up to 2^53, which is far beyond any clock. */
const highestId: StreamId = { ms: Number.MAX_SAFE_INTEGER, seq: Number.MAX_SAFE_INTEGER }

export function compareIds(one: StreamId, other: StreamId): number {
  return one.ms - other.ms || one.seq - other.seq
}

export const formatId = ({ ms, seq }: StreamId): string => `${ms}-${seq}`

/** `1700000000000-3`; without the second number it is `missingSeq`. */
export function parseId(bytes: Buffer, missingSeq: number): StreamId {
  const found = /^(\d{1,20})(?:-(\d{1,20}))?$/.exec(bytes.toString('latin1'))
  if (found === null) throw new ReplyError('ERR Invalid stream ID specified as stream command argument')
  const seq = found[2] === undefined ? missingSeq : Number(found[2])
  return {
    ms: Math.min(Number(found[1]), Number.MAX_SAFE_INTEGER),
    seq: Math.min(seq, Number.MAX_SAFE_INTEGER),
  }
}

/** From and to, both included. `-` and `+` are the ends, `(1-1` leaves 1-1 out. */
export function parseRange(start: Buffer, end: Buffer): { readonly from: StreamId; readonly to: StreamId } {
  return { from: parseEnd(start, 0, 1), to: parseEnd(end, Number.MAX_SAFE_INTEGER, -1) }
}

function parseEnd(bytes: Buffer, missingSeq: number, step: 1 | -1): StreamId {
  const asText = bytes.toString('latin1')
  if (asText === '-') return lowestId
  if (asText === '+') return highestId
  if (!asText.startsWith('(')) return parseId(bytes, missingSeq)
  const id = parseId(bytes.subarray(1), missingSeq)
  if (step === 1) return id.seq === highestId.seq ? { ms: id.ms + 1, seq: 0 } : { ms: id.ms, seq: id.seq + 1 }
  if (id.seq > 0) return { ms: id.ms, seq: id.seq - 1 }
  if (id.ms === 0) throw new ReplyError('ERR invalid end ID for the interval')
  return { ms: id.ms - 1, seq: highestId.seq }
}
