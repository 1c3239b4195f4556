import { ReplyError } from '../engine/engine.ts'
import { keepPending, neededGroup } from './memory-consumer-groups.ts'
import {
  Blocked,
  type CommandTable,
  type ConsumerGroup,
  type Keyspace,
  required,
  type Stream,
  type StreamId,
  syntaxError,
  word,
} from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'
import { compareIds, formatId, lowestId, parseId } from './memory-stream-ids.ts'
import { entryReply, findEntry, placeOf, streamOf } from './memory-streams.ts'
import { ByProtocol, Fields, type Reply, text } from './reply.ts'

const nameOf = (bytes: Buffer): string => bytes.toString('latin1')

const after = (id: StreamId): StreamId => ({ ms: id.ms, seq: id.seq + 1 })

/** The arguments of XREAD and XREADGROUP. */
interface Reading {
  readonly count: number | undefined
  /** Null: it does not wait; 0: without end. */
  readonly blockMs: number | null
  readonly isAcknowledged: boolean
  readonly group: { readonly name: Buffer; readonly consumer: string } | null
  readonly streams: readonly (readonly [key: Buffer, id: Buffer])[]
}

function parseReading(args: readonly Buffer[], command: 'xread' | 'xreadgroup'): Reading {
  let count: number | undefined
  let blockMs: number | null = null
  let isAcknowledged = false
  let group: Reading['group'] = null
  let index = 0
  for (; ; index++) {
    const option = word(args[index])
    if (option === 'STREAMS') break
    if (option === 'COUNT') {
      const wanted = parseCount(required(args, ++index))
      count = wanted > 0 ? wanted : undefined
    } else if (option === 'BLOCK') {
      blockMs = parseCount(required(args, ++index), 'ERR timeout is not an integer or out of range')
      if (blockMs < 0) throw new ReplyError('ERR timeout is negative')
    } else if (option === 'NOACK' && command === 'xreadgroup') isAcknowledged = true
    else if (option === 'GROUP' && command === 'xreadgroup') {
      group = { name: required(args, index + 1), consumer: nameOf(required(args, index + 2)) }
      index += 2
    } else throw syntaxError()
  }
  const rest = args.slice(index + 1)
  if (rest.length === 0 || rest.length % 2 === 1) {
    const wanted = "for each stream key an ID or '$' must be specified."
    throw new ReplyError(`ERR Unbalanced XREAD list of streams: ${wanted}`)
  }
  if (command === 'xreadgroup' && group === null) throw new ReplyError('ERR Missing GROUP option for XREADGROUP')
  const half = rest.length / 2
  const streams = Array.from({ length: half }, (_, place) => {
    return [required(rest, place), required(rest, half + place)] as const
  })
  return { count, blockMs, isAcknowledged, group, streams }
}

/** By stream: a map in the new protocol, pairs in the old. Undefined when there is nothing. */
function byStream(found: readonly (readonly [Buffer, Reply])[]): Reply | undefined {
  if (found.length === 0) return undefined
  return new ByProtocol(found, new Fields(found))
}

function waiting(blockMs: number | null, look: () => Reply | undefined): Reply | Blocked {
  const found = look()
  if (found !== undefined || blockMs === null) return found ?? null
  return new Blocked(blockMs === 0 ? null : blockMs, look, () => null)
}

function read(keyspace: Keyspace, args: readonly Buffer[]): Reply | Blocked {
  const { count, blockMs, streams } = parseReading(args, 'xread')
  const starts = streams.map(([key, given]) => {
    const lastId = streamOf(keyspace, key)?.lastId ?? lowestId
    const asText = given.toString()
    if (asText === '>') {
      const where = 'only when calling XREADGROUP using the GROUP <group> <consumer> option.'
      throw new ReplyError(`ERR The > ID can be specified ${where}`)
    }
    return { key, from: after(asText === '$' ? lastId : parseId(given, 0)) }
  })
  const look = (): Reply | undefined =>
    byStream(
      starts.flatMap(({ key, from }) => {
        const entries = streamOf(keyspace, key)?.entries ?? []
        const start = placeOf(entries, from)
        const found = entries.slice(start, count === undefined ? undefined : start + count)
        return found.length === 0 ? [] : [[key, found.map(entryReply)] as const]
      }),
    )
  return waiting(blockMs, look)
}

function readAsGroup(keyspace: Keyspace, args: readonly Buffer[]): Reply | Blocked {
  const reading = parseReading(args, 'xreadgroup')
  const { count, blockMs, group: member, streams } = reading
  if (member === null) throw syntaxError()
  const wanted = streams.map(([key, given]) => {
    neededGroup(keyspace, key, member.name, ' in XREADGROUP with GROUP option')
    const asText = given.toString()
    if (asText === '$') {
      const meaning =
        'The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.'
      throw new ReplyError(`ERR ${meaning}`)
    }
    return { key, after: asText === '>' ? null : parseId(given, 0) }
  })
  const look = (): Reply | undefined =>
    byStream(
      wanted.flatMap(({ key, after: seen }) => {
        const { stream, group } = neededGroup(keyspace, key, member.name, ' in XREADGROUP with GROUP option')
        group.consumers.add(member.consumer)
        if (seen !== null) return [[key, history(keyspace, { stream, group, seen, count, consumer: member.consumer })]]
        const fresh = deliver(keyspace, { stream, group, reading, consumer: member.consumer })
        return fresh.length === 0 ? [] : [[key, fresh] as const]
      }),
    )
  return waiting(blockMs, look)
}

interface History {
  readonly stream: Stream
  readonly group: ConsumerGroup
  readonly consumer: string
  readonly seen: StreamId
  readonly count: number | undefined
}

/** What was delivered to the consumer before and is not acknowledged. */
function history(keyspace: Keyspace, { stream, group, consumer, seen, count }: History): Reply[] {
  const own = group.pending.filter((entry) => entry.consumer === consumer && compareIds(entry.id, seen) > 0)
  return own.slice(0, count).map((pending) => {
    const entry = findEntry(stream, pending.id)
    if (entry === undefined) return [text(formatId(pending.id)), null]
    pending.deliveredAt = keyspace.now()
    pending.deliveries += 1
    return entryReply(entry)
  })
}

interface Delivery {
  readonly stream: Stream
  readonly group: ConsumerGroup
  readonly consumer: string
  readonly reading: Reading
}

function deliver(keyspace: Keyspace, { stream, group, consumer, reading }: Delivery): Reply[] {
  const start = placeOf(stream.entries, after(group.lastId))
  const found = stream.entries.slice(start, reading.count === undefined ? undefined : start + reading.count)
  for (const { id } of found) {
    group.lastId = id
    if (reading.isAcknowledged) continue
    group.pending = group.pending.filter((entry) => compareIds(entry.id, id) !== 0)
    keepPending(group, { id, consumer, deliveredAt: keyspace.now(), deliveries: 1 })
  }
  const left = stream.entries.length - start - found.length
  if (found.length > 0) group.entriesRead = stream.entriesAdded - left
  return found.map(entryReply)
}

/** The keys stand in the first half of what follows STREAMS. */
function keysAfterStreams(args: readonly Buffer[]): readonly Buffer[] {
  const start = args.findIndex((argument) => word(argument) === 'STREAMS') + 1
  return start === 0 ? [] : args.slice(start, start + Math.floor((args.length - start) / 2))
}

export const streamReadCommands: CommandTable = {
  XREAD: { arity: -4, keys: keysAfterStreams, run: read },
  XREADGROUP: { arity: -7, keys: keysAfterStreams, run: readAsGroup },
}
