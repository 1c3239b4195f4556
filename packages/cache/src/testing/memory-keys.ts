import { ReplyError } from '../engine/engine.ts'
import {
  allKeys,
  type CommandTable,
  firstKey,
  type Keyspace,
  type MemoryCommand,
  noKeys,
  required,
  syntaxError,
  word,
} from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'
import { type Reply, text } from './reply.ts'

/** How many of the keys are there; a key that is named twice counts twice. */
const count = (keyspace: Keyspace, keys: readonly Buffer[]): number =>
  keys.filter((key) => keyspace.find(key) !== undefined).length

const remove = (keyspace: Keyspace, keys: readonly Buffer[]): number =>
  keys.filter((key) => keyspace.remove(key)).length

/** One of the four that give a key an end: in seconds or ms, from now or since 1970. */
function expiring(name: string, momentOf: (value: number, now: number) => number): MemoryCommand {
  return {
    arity: -3,
    keys: firstKey,
    run(keyspace, args) {
      const options = args.slice(2).map(word)
      for (const option of options) {
        if (!['NX', 'XX', 'GT', 'LT'].includes(option)) throw new ReplyError(`ERR Unsupported option ${option}`)
      }
      const has = (option: string): boolean => options.includes(option)
      if (has('NX') && options.some((option) => option !== 'NX')) {
        throw new ReplyError('ERR NX and XX, GT or LT options at the same time are not compatible')
      }
      if (has('GT') && has('LT')) throw new ReplyError('ERR GT and LT options at the same time are not compatible')
      const at = momentOf(parseCount(required(args, 1)), keyspace.now())
      if (Math.abs(at) > 2 ** 63) throw new ReplyError(`ERR invalid expire time in '${name}' command`)
      const key = required(args, 0)
      const entry = keyspace.find(key)
      if (entry === undefined) return 0
      // A key without an end counts as one that ends infinitely late.
      const end = entry.expiresAt ?? Infinity
      if (has('NX') && end !== Infinity) return 0
      if (has('XX') && end === Infinity) return 0
      if (has('GT') && at <= end) return 0
      if (has('LT') && at >= end) return 0
      if (at <= keyspace.now()) return keyspace.remove(key) ? 1 : 0
      entry.expiresAt = at
      keyspace.changed(key)
      return 1
    },
  }
}

function remaining(unitMs: number): MemoryCommand {
  return {
    arity: 2,
    keys: firstKey,
    run(keyspace, args) {
      const entry = keyspace.find(required(args, 0))
      if (entry === undefined) return -2
      if (entry.expiresAt === null) return -1
      const left = entry.expiresAt - keyspace.now()
      return unitMs === 1 ? left : Math.floor((left + 500) / unitMs)
    },
  }
}

function scan(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const cursor = Number(args[0]?.toString())
  if (!Number.isSafeInteger(cursor) || cursor < 0) throw new ReplyError('ERR invalid cursor')
  let pattern = /^/s
  let type = ''
  let limit = 10
  for (let index = 1; index < args.length; index += 2) {
    const option = word(args[index])
    const value = required(args, index + 1)
    if (option === 'MATCH') pattern = globOf(value)
    else if (option === 'TYPE') type = value.toString().toLowerCase()
    else if (option === 'COUNT') limit = parseCount(value)
    else throw syntaxError()
    if (limit < 1) throw syntaxError()
  }
  // The cursor is a place in the order of names: what is added or removed meanwhile moves others by little.
  const keys = [...keyspace.keys()].sort((one, other) => one.compare(other))
  const part = keys.slice(cursor, cursor + limit)
  const next = cursor + limit < keys.length ? cursor + limit : 0
  const found = part.filter(
    (key) => pattern.test(key.toString('latin1')) && (type === '' || keyspace.find(key)?.value.kind === type),
  )
  return [text(String(next)), found]
}

/** The engine's patterns: `*`, `?`, `[abc]`, `[^a-c]`, and a backslash before what is meant as it stands. */
export function globOf(pattern: Buffer): RegExp {
  const source = pattern
    .toString('latin1')
    .replace(/\\(.)|\[(\^?)((?:\\.|[^\]])*)\]|[\s\S]/g, (whole, escaped?: string, not?: string, set?: string) => {
      if (escaped !== undefined) return literal(escaped)
      if (set !== undefined) return `[${not ?? ''}${set.replace(/[[\]^]/g, '\\$&')}]`
      if (whole === '*') return '.*'
      return whole === '?' ? '.' : literal(whole)
    })
  return new RegExp(`^${source}$`, 's')
}

const literal = (character: string): string => character.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')

export const keyCommands: CommandTable = {
  DEL: { arity: -2, keys: allKeys, run: remove },
  UNLINK: { arity: -2, keys: allKeys, run: remove },
  EXISTS: { arity: -2, keys: allKeys, run: count },
  TOUCH: { arity: -2, keys: allKeys, run: count },
  TYPE: { arity: 2, keys: firstKey, run: (keyspace, args) => keyspace.find(required(args, 0))?.value.kind ?? 'none' },
  EXPIRE: expiring('expire', (value, now) => now + value * 1000),
  PEXPIRE: expiring('pexpire', (value, now) => now + value),
  EXPIREAT: expiring('expireat', (value) => value * 1000),
  PEXPIREAT: expiring('pexpireat', (value) => value),
  TTL: remaining(1000),
  PTTL: remaining(1),
  PERSIST: {
    arity: 2,
    keys: firstKey,
    run(keyspace, args) {
      const entry = keyspace.find(required(args, 0))
      if (entry === undefined || entry.expiresAt === null) return 0
      entry.expiresAt = null
      keyspace.changed(required(args, 0))
      return 1
    },
  },
  DBSIZE: { arity: 1, keys: noKeys, run: (keyspace) => keyspace.keys().length },
  SCAN: { arity: -2, keys: noKeys, run: scan },
  FLUSHALL: {
    arity: -1,
    keys: noKeys,
    run(keyspace, args) {
      if (args.length > 1 || (args.length === 1 && !['SYNC', 'ASYNC'].includes(word(args[0])))) throw syntaxError()
      keyspace.clear()
      return 'OK'
    },
  },
}
