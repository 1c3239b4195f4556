import { ReplyError } from '../engine/engine.ts'
import { allKeys, type CommandTable, firstKey, type Keyspace, required, syntaxError, word } from './memory-keyspace.ts'
import { addDecimals, isInt64, parseCount, parseInteger } from './memory-numbers.ts'
import type { Reply } from './reply.ts'

const longestString = 512 * 1024 * 1024

function stringOf(keyspace: Keyspace, key: Buffer): Buffer | undefined {
  return keyspace.read(key, 'string')?.bytes
}

/** Writes the string and leaves the key's time as it was. */
function keepTime(keyspace: Keyspace, key: Buffer, bytes: Buffer): void {
  keyspace.put(key, { kind: 'string', bytes }, keyspace.find(key)?.expiresAt ?? null)
  keyspace.changed(key)
}

/** The moment that EX, PX, EXAT or PXAT means, in ms of wall time. */
function momentOf(unit: string, amount: Buffer, now: number, command: string): number {
  const value = parseCount(amount)
  const ms = unit === 'EX' || unit === 'EXAT' ? value * 1000 : value
  const at = unit === 'EX' || unit === 'PX' ? now + ms : ms
  if (value <= 0 || at > 2 ** 63) throw new ReplyError(`ERR invalid expire time in '${command}' command`)
  return at
}

const timeUnits = new Set(['EX', 'PX', 'EXAT', 'PXAT'])

interface Time {
  readonly unit: string
  readonly amount: Buffer
}

/** The same unit may be said twice, and the last counts; two different ones are a mistake. */
const mayFollow = (before: Time | 'keep' | null, unit: string): boolean =>
  before === null || (before !== 'keep' && before.unit === unit)

function set(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  const bytes = required(args, 1)
  let time: Time | 'keep' | null = null
  let condition: 'NX' | 'XX' | null = null
  let answersOld = false
  for (let index = 2; index < args.length; index++) {
    const option = word(args[index])
    const amount = args[index + 1]
    if ((option === 'NX' || option === 'XX') && (condition ?? option) === option) condition = option
    else if (option === 'GET') answersOld = true
    else if (option === 'KEEPTTL' && (time === null || time === 'keep')) time = 'keep'
    else if (timeUnits.has(option) && mayFollow(time, option) && amount !== undefined) {
      time = { unit: option, amount }
      index += 1
    } else throw syntaxError()
  }
  const expiresAt = time === null || time === 'keep' ? null : momentOf(time.unit, time.amount, keyspace.now(), 'set')
  const old = answersOld ? (stringOf(keyspace, key) ?? null) : null
  const entry = keyspace.find(key)
  if (condition === (entry === undefined ? 'XX' : 'NX')) return old
  keyspace.put(key, { kind: 'string', bytes }, time === 'keep' ? (entry?.expiresAt ?? null) : expiresAt)
  keyspace.changed(key)
  return answersOld ? old : 'OK'
}

function getAndExpire(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  let time: Time | 'keep' | null = null
  for (let index = 1; index < args.length; index++) {
    const unit = word(args[index])
    const amount = args[index + 1]
    if (unit === 'PERSIST' && (time === null || time === 'keep')) time = 'keep'
    else if (timeUnits.has(unit) && mayFollow(time, unit) && amount !== undefined) {
      time = { unit, amount }
      index += 1
    } else throw syntaxError()
  }
  const bytes = stringOf(keyspace, key)
  const entry = keyspace.find(key)
  if (bytes === undefined || entry === undefined) return null
  if (time === 'keep') {
    if (entry.expiresAt !== null) keyspace.changed(key)
    entry.expiresAt = null
  } else if (time !== null) {
    const at = momentOf(time.unit, time.amount, keyspace.now(), 'getex')
    if (at <= keyspace.now()) keyspace.remove(key)
    else {
      entry.expiresAt = at
      keyspace.changed(key)
    }
  }
  return bytes
}

function add(keyspace: Keyspace, key: Buffer, by: bigint): Reply {
  const old = stringOf(keyspace, key)
  const sum = (old === undefined ? 0n : parseInteger(old)) + by
  if (!isInt64(sum)) throw new ReplyError('ERR increment or decrement would overflow')
  keepTime(keyspace, key, Buffer.from(sum.toString()))
  return Number(sum)
}

function decrementBy(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const by = parseInteger(required(args, 1))
  if (!isInt64(-by)) throw new ReplyError('ERR decrement would overflow')
  return add(keyspace, required(args, 0), -by)
}

function range(bytes: Buffer, from: number, to: number): Buffer {
  if (from < 0 && to < 0 && from > to) return Buffer.alloc(0)
  const start = Math.max(0, from < 0 ? bytes.length + from : from)
  const end = Math.max(0, to < 0 ? bytes.length + to : to)
  return start > end ? Buffer.alloc(0) : bytes.subarray(start, end + 1)
}

function setRange(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  const patch = required(args, 2)
  const offset = parseCount(required(args, 1))
  if (offset < 0) throw new ReplyError('ERR offset is out of range')
  const old = stringOf(keyspace, key) ?? Buffer.alloc(0)
  if (patch.length === 0) return old.length
  if (offset + patch.length > longestString) {
    throw new ReplyError('ERR string exceeds maximum allowed size (proto-max-bulk-len)')
  }
  const bytes = Buffer.alloc(Math.max(old.length, offset + patch.length))
  old.copy(bytes)
  patch.copy(bytes, offset)
  keepTime(keyspace, key, bytes)
  return bytes.length
}

function append(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const bytes = Buffer.concat([stringOf(keyspace, required(args, 0)) ?? Buffer.alloc(0), required(args, 1)])
  keepTime(keyspace, required(args, 0), bytes)
  return bytes.length
}

export const stringCommands: CommandTable = {
  GET: { arity: 2, keys: firstKey, run: (keyspace, args) => stringOf(keyspace, required(args, 0)) ?? null },
  MGET: {
    arity: -2,
    keys: allKeys,
    run: (keyspace, args) =>
      args.map((key) => {
        const value = keyspace.find(key)?.value
        return value?.kind === 'string' ? value.bytes : null
      }),
  },
  GETDEL: {
    arity: 2,
    keys: firstKey,
    run(keyspace, args) {
      const bytes = stringOf(keyspace, required(args, 0))
      if (bytes === undefined) return null
      keyspace.remove(required(args, 0))
      return bytes
    },
  },
  GETEX: { arity: -2, keys: firstKey, run: getAndExpire },
  GETRANGE: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      const [from, to] = [parseCount(required(args, 1)), parseCount(required(args, 2))]
      return range(stringOf(keyspace, required(args, 0)) ?? Buffer.alloc(0), from, to)
    },
  },
  SETRANGE: { arity: 4, keys: firstKey, grows: true, run: setRange },
  STRLEN: { arity: 2, keys: firstKey, run: (keyspace, args) => stringOf(keyspace, required(args, 0))?.length ?? 0 },
  SET: { arity: -3, keys: firstKey, grows: true, run: set },
  SETNX: {
    arity: 3,
    keys: firstKey,
    grows: true,
    run: (keyspace, args) => (set(keyspace, [...args, Buffer.from('NX')]) === null ? 0 : 1),
  },
  INCR: { arity: 2, keys: firstKey, grows: true, run: (keyspace, args) => add(keyspace, required(args, 0), 1n) },
  DECR: { arity: 2, keys: firstKey, grows: true, run: (keyspace, args) => add(keyspace, required(args, 0), -1n) },
  INCRBY: {
    arity: 3,
    keys: firstKey,
    grows: true,
    run: (keyspace, args) => add(keyspace, required(args, 0), parseInteger(required(args, 1))),
  },
  DECRBY: { arity: 3, keys: firstKey, grows: true, run: decrementBy },
  INCRBYFLOAT: {
    arity: 3,
    keys: firstKey,
    grows: true,
    run(keyspace, args) {
      const old = stringOf(keyspace, required(args, 0)) ?? Buffer.from('0')
      const sum = Buffer.from(addDecimals(old, required(args, 1)))
      keepTime(keyspace, required(args, 0), sum)
      return sum
    },
  },
  APPEND: { arity: 3, keys: firstKey, grows: true, run: append },
}
