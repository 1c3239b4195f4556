import { ReplyError } from '../engine/engine.ts'
import {
  type CommandTable,
  firstKey,
  type Keyspace,
  required,
  type Stream,
  type StreamEntry,
  type StreamId,
  secondKey,
  syntaxError,
  word,
} from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'
import { compareIds, formatId, lowestId, parseId, parseRange } from './memory-stream-ids.ts'
import { Fields, type Reply, text } from './reply.ts'

/** How many entries the engine keeps in one node of its tree: trimming "about" removes whole nodes only. */
const entriesOfNode = 100

export function streamOf(keyspace: Keyspace, key: Buffer): Stream | undefined {
  return keyspace.read(key, 'stream')
}

export function newStream(): Stream {
  return {
    kind: 'stream',
    entries: [],
    lastId: lowestId,
    maxDeletedId: lowestId,
    entriesAdded: 0,
    groups: new Map(),
  }
}

export const entryReply = ({ id, fields }: StreamEntry): Reply => [text(formatId(id)), [...fields]]

/** The place of the first entry that is not before the id. */
export function placeOf(entries: readonly StreamEntry[], id: StreamId): number {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareIds((entries[middle] as StreamEntry).id, id) < 0) low = middle + 1
    else high = middle
  }
  return low
}

export function findEntry(stream: Stream, id: StreamId): StreamEntry | undefined {
  const entry = stream.entries[placeOf(stream.entries, id)]
  return entry !== undefined && compareIds(entry.id, id) === 0 ? entry : undefined
}

interface Trim {
  readonly by: 'MAXLEN' | 'MINID'
  readonly about: boolean
  readonly threshold: Buffer
}

/** `MAXLEN ~ 1000 LIMIT 50` at that place, and where it ends. */
function parseTrim(args: readonly Buffer[], start: number): { readonly trim: Trim; readonly end: number } {
  const by = word(args[start]) === 'MAXLEN' ? 'MAXLEN' : 'MINID'
  let index = start + 1
  const sign = args[index]?.toString()
  const about = sign === '~'
  if (sign === '~' || sign === '=') index += 1
  const threshold = required(args, index)
  if (by === 'MAXLEN' && parseCount(threshold) < 0) throw new ReplyError('ERR The MAXLEN argument must be >= 0.')
  if (by === 'MINID') parseId(threshold, 0)
  index += 1
  if (word(args[index]) !== 'LIMIT') return { trim: { by, about, threshold }, end: index }
  if (parseCount(required(args, index + 1)) < 0) throw new ReplyError('ERR The LIMIT argument must be >= 0.')
  if (!about) throw new ReplyError('ERR syntax error, LIMIT cannot be used without the special ~ option')
  return { trim: { by, about, threshold }, end: index + 2 }
}

function trimStream(stream: Stream, { by, about, threshold }: Trim): number {
  const excess =
    by === 'MAXLEN'
      ? Math.max(0, stream.entries.length - parseCount(threshold))
      : placeOf(stream.entries, parseId(threshold, 0))
  const count = about ? excess - (excess % entriesOfNode) : excess
  stream.entries.splice(0, count)
  return count
}

function nextId(given: Buffer, stream: Stream, now: number): StreamId {
  const asText = given.toString()
  const last = stream.lastId
  const after = { ms: last.ms, seq: last.seq + 1 }
  if (asText === '*') return now > last.ms ? { ms: now, seq: 0 } : after
  if (asText.endsWith('-*')) {
    const { ms } = parseId(Buffer.from(asText.slice(0, -2)), 0)
    if (ms === last.ms) return after
    return { ms, seq: 0 }
  }
  return parseId(given, 0)
}

function append(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  let creates = true
  let trim: Trim | undefined
  let index = 1
  for (; ; index++) {
    const option = word(args[index])
    if (option === 'NOMKSTREAM') creates = false
    else if (option === 'MAXLEN' || option === 'MINID') {
      if (trim !== undefined)
        throw new ReplyError('ERR syntax error, MAXLEN and MINID options at the same time are not compatible')
      const parsed = parseTrim(args, index)
      trim = parsed.trim
      index = parsed.end - 1
    } else break
  }
  const given = required(args, index)
  if (!given.toString().endsWith('*')) {
    const { ms, seq } = parseId(given, 0)
    if (ms === 0 && seq === 0) throw new ReplyError('ERR The ID specified in XADD must be greater than 0-0')
  }
  const fields = args.slice(index + 1)
  if (fields.length === 0 || fields.length % 2 === 1) {
    throw new ReplyError("ERR wrong number of arguments for 'xadd' command")
  }
  const key = required(args, 0)
  const found = streamOf(keyspace, key)
  if (found === undefined && !creates) return null
  const stream = found ?? newStream()
  const id = nextId(given, stream, keyspace.now())
  if (compareIds(id, stream.lastId) <= 0) {
    throw new ReplyError('ERR The ID specified in XADD is equal or smaller than the target stream top item')
  }
  stream.entries.push({ id, fields })
  stream.lastId = id
  stream.entriesAdded += 1
  if (trim !== undefined) trimStream(stream, trim)
  if (found === undefined) keyspace.put(key, stream, null)
  keyspace.changed(key)
  return text(formatId(id))
}

function range(keyspace: Keyspace, args: readonly Buffer[], isReversed: boolean): Reply {
  const [start, end] = isReversed ? [required(args, 2), required(args, 1)] : [required(args, 1), required(args, 2)]
  const { from, to } = parseRange(start, end)
  let count: number | undefined
  for (let index = 3; index < args.length; index += 2) {
    if (word(args[index]) !== 'COUNT') throw syntaxError()
    count = parseCount(required(args, index + 1))
  }
  const stream = streamOf(keyspace, required(args, 0))
  if (stream === undefined) return []
  if (count !== undefined && count <= 0) return null
  const found = stream.entries.slice(placeOf(stream.entries, from)).filter(({ id }) => compareIds(id, to) <= 0)
  if (isReversed) found.reverse()
  return found.slice(0, count).map(entryReply)
}

function removeEntries(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  const ids = args.slice(1).map((id) => parseId(id, 0))
  const stream = streamOf(keyspace, key)
  if (stream === undefined) return 0
  let removed = 0
  for (const id of ids) {
    if (findEntry(stream, id) === undefined) continue
    stream.entries.splice(placeOf(stream.entries, id), 1)
    if (compareIds(id, stream.maxDeletedId) > 0) stream.maxDeletedId = id
    removed += 1
  }
  if (removed > 0) keyspace.changed(key)
  return removed
}

function trimNow(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const strategy = word(args[1])
  if (strategy !== 'MAXLEN' && strategy !== 'MINID') throw syntaxError()
  const parsed = parseTrim(args, 1)
  if (parsed.end < args.length) throw syntaxError()
  const stream = streamOf(keyspace, required(args, 0))
  if (stream === undefined) return 0
  const removed = trimStream(stream, parsed.trim)
  if (removed > 0) keyspace.changed(required(args, 0))
  return removed
}

function describe(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const what = word(args[0])
  if (what !== 'STREAM' && what !== 'GROUPS') {
    return new ReplyError('ERR the memory engine has XINFO STREAM and XINFO GROUPS only')
  }
  if (args.length !== 2) {
    throw new ReplyError(`ERR wrong number of arguments for 'xinfo|${what.toLowerCase()}' command`)
  }
  const stream = streamOf(keyspace, required(args, 1))
  if (stream === undefined) throw new ReplyError('ERR no such key')
  const fields = (entries: Readonly<Record<string, Reply>>): Fields =>
    new Fields(Object.entries(entries).map(([name, value]) => [text(name), value]))
  if (what === 'GROUPS') {
    return [...stream.groups]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, group]) =>
        fields({
          name: Buffer.from(name, 'latin1'),
          consumers: group.consumers.size,
          pending: group.pending.length,
          'last-delivered-id': text(formatId(group.lastId)),
          'entries-read': group.entriesRead,
          lag: stream.entries.length - placeOf(stream.entries, { ms: group.lastId.ms, seq: group.lastId.seq + 1 }),
        }),
      )
  }
  const [first, last] = [stream.entries[0], stream.entries.at(-1)]
  return fields({
    length: stream.entries.length,
    'last-generated-id': text(formatId(stream.lastId)),
    'max-deleted-entry-id': text(formatId(stream.maxDeletedId)),
    'entries-added': stream.entriesAdded,
    groups: stream.groups.size,
    'first-entry': first === undefined ? null : entryReply(first),
    'last-entry': last === undefined ? null : entryReply(last),
  })
}

export const streamCommands: CommandTable = {
  XADD: { arity: -5, keys: firstKey, grows: true, run: append },
  XLEN: {
    arity: 2,
    keys: firstKey,
    run: (keyspace, args) => streamOf(keyspace, required(args, 0))?.entries.length ?? 0,
  },
  XRANGE: { arity: -4, keys: firstKey, run: (keyspace, args) => range(keyspace, args, false) },
  XREVRANGE: { arity: -4, keys: firstKey, run: (keyspace, args) => range(keyspace, args, true) },
  XDEL: { arity: -3, keys: firstKey, run: removeEntries },
  XTRIM: { arity: -4, keys: firstKey, run: trimNow },
  XINFO: { arity: -2, keys: secondKey, run: describe },
}
