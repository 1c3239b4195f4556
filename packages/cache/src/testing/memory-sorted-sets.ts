import { ReplyError } from '../engine/engine.ts'
import { type CommandTable, firstKey, type Keyspace, required, syntaxError, word } from './memory-keyspace.ts'
import { placesOf } from './memory-lists-and-sets.ts'
import { parseCount, parseDouble } from './memory-numbers.ts'
import { ByProtocol, double, formatDouble, type Reply, text } from './reply.ts'

type Scores = Map<string, number>
type Scored = readonly [member: string, score: number]

const nameOf = (bytes: Buffer): string => bytes.toString('latin1')
const bytesOf = (name: string): Buffer => Buffer.from(name, 'latin1')

function scoresOf(keyspace: Keyspace, args: readonly Buffer[]): ReadonlyMap<string, number> {
  return keyspace.read(required(args, 0), 'zset')?.scores ?? new Map()
}

/** Lowest score first; of equal scores the bytes of the member decide. */
function inOrder(scores: ReadonlyMap<string, number>): Scored[] {
  return [...scores].sort(([one, a], [other, b]) => (a === b ? (one < other ? -1 : 1) : a - b))
}

interface AddOptions {
  readonly options: ReadonlySet<string>
  readonly pairs: readonly (readonly [score: number, member: string])[]
}

const addOptions = new Set(['NX', 'XX', 'GT', 'LT', 'CH', 'INCR'])

function parseAdd(args: readonly Buffer[]): AddOptions {
  const options = new Set<string>()
  let index = 1
  for (; addOptions.has(word(args[index])); index++) options.add(word(args[index]))
  const rest = args.slice(index)
  if (rest.length === 0 || rest.length % 2 === 1) throw syntaxError()
  const [nx, xx, gt, lt] = ['NX', 'XX', 'GT', 'LT'].map((option) => options.has(option))
  if (nx && xx) throw new ReplyError('ERR XX and NX options at the same time are not compatible')
  if ((nx && (gt || lt)) || (gt && lt)) {
    throw new ReplyError('ERR GT, LT, and/or NX options at the same time are not compatible')
  }
  if (options.has('INCR') && rest.length > 2) {
    throw new ReplyError('ERR INCR option supports a single increment-element pair')
  }
  const pairs = Array.from({ length: rest.length / 2 }, (_, pair) => {
    return [parseDouble(required(rest, pair * 2)), nameOf(required(rest, pair * 2 + 1))] as const
  })
  return { options, pairs }
}

function add(keyspace: Keyspace, key: Buffer, { options, pairs }: AddOptions): Reply {
  const increments = options.has('INCR')
  const found = keyspace.read(key, 'zset')
  if (found === undefined && options.has('XX')) return increments ? null : 0
  const scores: Scores = found?.scores ?? new Map()
  let added = 0
  let updated = 0
  let result: number | null = null
  for (const [given, member] of pairs) {
    const old = scores.get(member)
    if (old === undefined ? options.has('XX') : options.has('NX')) continue
    const score = increments && old !== undefined ? old + given : given
    if (Number.isNaN(score)) throw new ReplyError('ERR resulting score is not a number (NaN)')
    if (old !== undefined && ((options.has('GT') && score <= old) || (options.has('LT') && score >= old))) continue
    result = score
    if (old === undefined) added += 1
    else if (old !== score) updated += 1
    scores.set(member, score)
  }
  if (found === undefined) keyspace.put(key, { kind: 'zset', scores }, null)
  if (added + updated > 0) keyspace.changed(key)
  if (increments) return result === null ? null : double(result)
  return options.has('CH') ? added + updated : added
}

/** `(5` is above 5, `-inf` and `+inf` are all. */
function parseBound(bytes: Buffer): { readonly score: number; readonly isOpen: boolean } {
  const isOpen = bytes[0] === 0x28
  return { score: parseDouble(isOpen ? bytes.subarray(1) : bytes, 'ERR min or max is not a float'), isOpen }
}

function betweenScores(low: Buffer, high: Buffer): (scored: Scored) => boolean {
  const [min, max] = [parseBound(low), parseBound(high)]
  return ([, score]) =>
    (min.isOpen ? score > min.score : score >= min.score) && (max.isOpen ? score < max.score : score <= max.score)
}

function range(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const has = { BYSCORE: false, REV: false, WITHSCORES: false }
  let limit: { offset: number; count: number } | undefined
  for (let index = 3; index < args.length; index++) {
    const option = word(args[index])
    if (option === 'WITHSCORES') has.WITHSCORES = true
    else if ((option === 'BYSCORE' || option === 'REV') && !has[option]) has[option] = true
    else if (option === 'LIMIT' && index + 2 < args.length) {
      limit = { offset: parseCount(required(args, index + 1)), count: parseCount(required(args, index + 2)) }
      index += 2
    } else if (option === 'BYLEX') throw new ReplyError('ERR the memory engine has ZRANGE by rank and by score only')
    else throw syntaxError()
  }
  if (limit !== undefined && !has.BYSCORE) {
    const detail = 'LIMIT is only supported in combination with either BYSCORE or BYLEX'
    throw new ReplyError(`ERR syntax error, ${detail}`)
  }
  const [start, stop] = [required(args, 1), required(args, 2)]
  const isInside = has.BYSCORE ? (has.REV ? betweenScores(stop, start) : betweenScores(start, stop)) : undefined
  if (isInside === undefined) placesOf(args, 0)
  const ordered = inOrder(scoresOf(keyspace, args))
  if (has.REV) ordered.reverse()
  if (isInside === undefined) {
    const { from, end } = placesOf(args, ordered.length)
    return members(ordered.slice(from, end), has.WITHSCORES)
  }
  const { offset, count } = limit ?? { offset: 0, count: -1 }
  const inside = offset < 0 ? [] : ordered.filter(isInside).slice(offset)
  return members(count < 0 ? inside : inside.slice(0, count), has.WITHSCORES)
}

function members(found: readonly Scored[], withScores: boolean): Reply {
  if (!withScores) return found.map(([member]) => bytesOf(member))
  return new ByProtocol(
    found.flatMap(([member, score]) => [bytesOf(member), text(formatDouble(score))]),
    found.map(([member, score]) => [bytesOf(member), score]),
  )
}

function removeAll(keyspace: Keyspace, key: Buffer, gone: readonly string[]): number {
  const scores = keyspace.read(key, 'zset')?.scores
  if (scores === undefined) return 0
  const removed = gone.filter((member) => scores.delete(member)).length
  keyspace.removeIfEmpty(key, scores.size)
  if (removed > 0) keyspace.changed(key)
  return removed
}

function rank(keyspace: Keyspace, args: readonly Buffer[], isReversed: boolean): Reply {
  const ordered = inOrder(scoresOf(keyspace, args))
  if (isReversed) ordered.reverse()
  const place = ordered.findIndex(([member]) => member === nameOf(required(args, 1)))
  return place === -1 ? null : place
}

export const sortedSetCommands: CommandTable = {
  ZADD: {
    arity: -4,
    keys: firstKey,
    grows: true,
    run: (keyspace, args) => add(keyspace, required(args, 0), parseAdd(args)),
  },
  ZINCRBY: {
    arity: 4,
    keys: firstKey,
    grows: true,
    run: (keyspace, args) =>
      add(keyspace, required(args, 0), {
        options: new Set(['INCR']),
        pairs: [[parseDouble(required(args, 1)), nameOf(required(args, 2))]],
      }),
  },
  ZREM: {
    arity: -3,
    keys: firstKey,
    run: (keyspace, args) => removeAll(keyspace, required(args, 0), args.slice(1).map(nameOf)),
  },
  ZSCORE: {
    arity: 3,
    keys: firstKey,
    run(keyspace, args) {
      const score = scoresOf(keyspace, args).get(nameOf(required(args, 1)))
      return score === undefined ? null : double(score)
    },
  },
  ZRANK: { arity: 3, keys: firstKey, run: (keyspace, args) => rank(keyspace, args, false) },
  ZREVRANK: { arity: 3, keys: firstKey, run: (keyspace, args) => rank(keyspace, args, true) },
  ZCARD: { arity: 2, keys: firstKey, run: (keyspace, args) => scoresOf(keyspace, args).size },
  ZCOUNT: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      const isInside = betweenScores(required(args, 1), required(args, 2))
      return [...scoresOf(keyspace, args)].filter(isInside).length
    },
  },
  ZRANGE: { arity: -4, keys: firstKey, run: range },
  ZREMRANGEBYSCORE: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      const isInside = betweenScores(required(args, 1), required(args, 2))
      const gone = [...scoresOf(keyspace, args)].filter(isInside).map(([member]) => member)
      return removeAll(keyspace, required(args, 0), gone)
    },
  },
  ZREMRANGEBYRANK: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      placesOf(args, 0)
      const ordered = inOrder(scoresOf(keyspace, args))
      const { from, end } = placesOf(args, ordered.length)
      const gone = ordered.slice(from, end).map(([member]) => member)
      return removeAll(keyspace, required(args, 0), gone)
    },
  },
}
