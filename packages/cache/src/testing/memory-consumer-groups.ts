import { ReplyError } from '../engine/engine.ts'
import {
  type CommandTable,
  type ConsumerGroup,
  firstKey,
  type Keyspace,
  type PendingEntry,
  required,
  type Stream,
  type StreamId,
  secondKey,
  syntaxError,
  word,
} from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'
import { compareIds, formatId, lowestId, parseId, parseRange } from './memory-stream-ids.ts'
import { entryReply, findEntry, newStream, streamOf } from './memory-streams.ts'
import { type Reply, text } from './reply.ts'

const nameOf = (bytes: Buffer): string => bytes.toString('latin1')

function groupOf(
  keyspace: Keyspace,
  key: Buffer,
  name: Buffer,
): { readonly stream: Stream; readonly group: ConsumerGroup } | undefined {
  const stream = streamOf(keyspace, key)
  const group = stream?.groups.get(nameOf(name))
  return stream === undefined || group === undefined ? undefined : { stream, group }
}

export function neededGroup(keyspace: Keyspace, key: Buffer, name: Buffer, suffix = '') {
  const found = groupOf(keyspace, key, name)
  if (found !== undefined) return found
  const missing = `No such key '${key.toString()}' or consumer group '${name.toString()}'`
  throw new ReplyError(`NOGROUP ${missing}${suffix}`)
}

export function keepPending(group: ConsumerGroup, entry: PendingEntry): void {
  const place = group.pending.findIndex(({ id }) => compareIds(id, entry.id) >= 0)
  group.pending.splice(place === -1 ? group.pending.length : place, 0, entry)
}

function createGroup(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const verb = word(args[0])
  if (verb !== 'CREATE') return new ReplyError('ERR the memory engine has XGROUP CREATE only')
  if (args.length < 4) throw new ReplyError("ERR wrong number of arguments for 'xgroup|create' command")
  const options = args.slice(4).map(word)
  if (options.some((option) => option !== 'MKSTREAM')) throw syntaxError()
  const [key, name, given] = [required(args, 1), required(args, 2), required(args, 3)]
  const found = streamOf(keyspace, key)
  if (found === undefined && options.length === 0) {
    const advice =
      'Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.'
    throw new ReplyError(`ERR The XGROUP subcommand requires the key to exist. ${advice}`)
  }
  const lastId = given.toString() === '$' ? (found?.lastId ?? lowestId) : parseId(given, 0)
  const stream = found ?? newStream()
  if (found === undefined) {
    keyspace.put(key, stream, null)
    keyspace.changed(key)
  }
  if (stream.groups.has(nameOf(name))) throw new ReplyError('BUSYGROUP Consumer Group name already exists')
  stream.groups.set(nameOf(name), { lastId, entriesRead: null, consumers: new Set(), pending: [] })
  return 'OK'
}

function acknowledge(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const found = groupOf(keyspace, required(args, 0), required(args, 1))
  if (found === undefined) return 0
  const ids = args.slice(2).map((id) => parseId(id, 0))
  const before = found.group.pending.length
  found.group.pending = found.group.pending.filter(({ id }) => !ids.some((done) => compareIds(done, id) === 0))
  return before - found.group.pending.length
}

function listPending(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  if (args.length === 2) return pendingSummary(neededGroup(keyspace, required(args, 0), required(args, 1)).group)
  let index = 2
  let idleMs = 0
  if (word(args[index]) === 'IDLE') {
    idleMs = parseCount(required(args, index + 1))
    if (args.length < 7) throw syntaxError()
    index += 2
  }
  if (args.length < index + 3 || args.length > index + 4) throw syntaxError()
  const count = Math.max(0, parseCount(required(args, index + 2)))
  const { from, to } = parseRange(required(args, index), required(args, index + 1))
  const { group } = neededGroup(keyspace, required(args, 0), required(args, 1))
  const consumer = args[index + 3]
  const now = keyspace.now()
  return group.pending
    .filter((entry) => compareIds(entry.id, from) >= 0 && compareIds(entry.id, to) <= 0)
    .filter((entry) => consumer === undefined || entry.consumer === nameOf(consumer))
    .filter((entry) => idleMs === 0 || now - entry.deliveredAt >= idleMs)
    .slice(0, count)
    .map((entry) => [
      text(formatId(entry.id)),
      Buffer.from(entry.consumer, 'latin1'),
      Math.max(0, now - entry.deliveredAt),
      entry.deliveries,
    ])
}

function pendingSummary(group: ConsumerGroup): Reply {
  const [first, last] = [group.pending[0], group.pending.at(-1)]
  if (first === undefined || last === undefined) return [0, null, null, null]
  const counts = [...group.consumers]
    .sort()
    .map((name) => [name, group.pending.filter(({ consumer }) => consumer === name).length] as const)
    .filter(([, count]) => count > 0)
  return [
    group.pending.length,
    text(formatId(first.id)),
    text(formatId(last.id)),
    counts.map(([name, count]) => [Buffer.from(name, 'latin1'), text(String(count))]),
  ]
}

interface ClaimOptions {
  readonly minIdleMs: number
  readonly deliveredAt: number
  readonly deliveries: number | null
  readonly isForced: boolean
  readonly justId: boolean
}

function claim(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const { stream, group } = neededGroup(keyspace, required(args, 0), required(args, 1))
  const consumer = nameOf(required(args, 2))
  const minIdleMs = Math.max(0, parseCount(required(args, 3), 'ERR Invalid min-idle-time argument for XCLAIM'))
  let index = 4
  const ids: StreamId[] = []
  for (; /^\d/.test(args[index]?.toString('latin1') ?? ''); index++) ids.push(parseId(required(args, index), 0))
  if (ids.length === 0) parseId(required(args, index), 0)
  const options = parseClaimOptions(keyspace, args.slice(index), minIdleMs)
  return ids.flatMap((id) => {
    let found = group.pending.find((entry) => compareIds(entry.id, id) === 0)
    const entry = findEntry(stream, id)
    if (entry === undefined) {
      // What was deleted can no longer be claimed, and is no longer owed.
      group.pending = group.pending.filter((other) => other !== found)
      return []
    }
    if (found === undefined) {
      if (!options.isForced) return []
      found = { id, consumer, deliveredAt: 0, deliveries: 1 }
      keepPending(group, found)
    } else if (keyspace.now() - found.deliveredAt < minIdleMs) return []
    group.consumers.add(consumer)
    take(found, consumer, options)
    return [options.justId ? text(formatId(id)) : entryReply(entry)]
  })
}

function take(entry: PendingEntry, consumer: string, options: ClaimOptions): void {
  entry.consumer = consumer
  entry.deliveredAt = options.deliveredAt
  if (options.deliveries !== null) entry.deliveries = options.deliveries
  else if (!options.justId) entry.deliveries += 1
}

function parseClaimOptions(keyspace: Keyspace, args: readonly Buffer[], minIdleMs: number): ClaimOptions {
  const now = keyspace.now()
  let deliveredAt = now
  let deliveries: number | null = null
  let [isForced, justId] = [false, false]
  for (let index = 0; index < args.length; index++) {
    const option = word(args[index])
    if (option === 'FORCE') isForced = true
    else if (option === 'JUSTID') justId = true
    else if (option === 'IDLE') {
      deliveredAt = now - parseCount(required(args, ++index), 'ERR Invalid IDLE option argument for XCLAIM')
    } else if (option === 'TIME') {
      deliveredAt = parseCount(required(args, ++index), 'ERR Invalid TIME option argument for XCLAIM')
    } else if (option === 'RETRYCOUNT') {
      deliveries = parseCount(required(args, ++index), 'ERR Invalid RETRYCOUNT option argument for XCLAIM')
    } else throw new ReplyError(`ERR Unrecognized XCLAIM option '${args[index]?.toString() ?? ''}'`)
  }
  return { minIdleMs, deliveredAt: Math.min(deliveredAt, now), deliveries, isForced, justId }
}

function claimIdle(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const minIdleMs = Math.max(0, parseCount(required(args, 3), 'ERR Invalid min-idle-time argument for XAUTOCLAIM'))
  const { from } = parseRange(required(args, 4), Buffer.from('+'))
  let count = 100
  let justId = false
  for (let index = 5; index < args.length; index++) {
    const option = word(args[index])
    if (option === 'JUSTID') justId = true
    else if (option === 'COUNT') {
      count = parseCount(required(args, ++index), 'ERR COUNT must be > 0')
      if (count < 1) throw new ReplyError('ERR COUNT must be > 0')
    } else throw syntaxError()
  }
  const { stream, group } = neededGroup(keyspace, required(args, 0), required(args, 1))
  const consumer = nameOf(required(args, 2))
  group.consumers.add(consumer)
  const now = keyspace.now()
  const options = { minIdleMs, deliveredAt: now, deliveries: null, isForced: false, justId }
  const candidates = group.pending.filter(({ id }) => compareIds(id, from) >= 0)
  const claimed: Reply[] = []
  const deleted: StreamId[] = []
  let looked = 0
  for (const pendingEntry of candidates) {
    if (claimed.length + deleted.length >= count || looked >= count * 10) break
    looked += 1
    const entry = findEntry(stream, pendingEntry.id)
    if (entry === undefined) deleted.push(pendingEntry.id)
    else if (now - pendingEntry.deliveredAt >= minIdleMs) {
      take(pendingEntry, consumer, options)
      claimed.push(justId ? text(formatId(entry.id)) : entryReply(entry))
    }
  }
  group.pending = group.pending.filter(({ id }) => !deleted.includes(id))
  const next = candidates[looked]?.id ?? lowestId
  return [text(formatId(next)), claimed, deleted.map((id) => text(formatId(id)))]
}

export const consumerGroupCommands: CommandTable = {
  XGROUP: { arity: -2, keys: secondKey, grows: true, run: createGroup },
  XACK: { arity: -4, keys: firstKey, run: acknowledge },
  XPENDING: { arity: -3, keys: firstKey, run: listPending },
  XCLAIM: { arity: -6, keys: firstKey, run: claim },
  XAUTOCLAIM: { arity: -6, keys: firstKey, run: claimIdle },
}
