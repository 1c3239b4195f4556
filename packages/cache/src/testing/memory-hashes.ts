import { ReplyError } from '../engine/engine.ts'
import { type CommandTable, firstKey, type Keyspace, required } from './memory-keyspace.ts'
import { isInt64, parseInteger } from './memory-numbers.ts'
import { Fields, type Reply } from './reply.ts'

const bytesOf = (name: string): Buffer => Buffer.from(name, 'latin1')
const nameOf = (bytes: Buffer): string => bytes.toString('latin1')

function fieldsOf(keyspace: Keyspace, args: readonly Buffer[]): ReadonlyMap<string, Buffer> {
  return keyspace.read(required(args, 0), 'hash')?.fields ?? new Map()
}

function createdFields(keyspace: Keyspace, key: Buffer): Map<string, Buffer> {
  return keyspace.readOrCreate(key, 'hash', () => ({ kind: 'hash', fields: new Map() })).fields
}

function setFields(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  if (args.length % 2 === 0) throw new ReplyError("ERR wrong number of arguments for 'hset' command")
  const key = required(args, 0)
  const fields = createdFields(keyspace, key)
  const before = fields.size
  for (let index = 1; index < args.length; index += 2) {
    fields.set(nameOf(required(args, index)), required(args, index + 1))
  }
  keyspace.changed(key)
  return fields.size - before
}

function removeFields(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  const fields = keyspace.read(key, 'hash')?.fields
  if (fields === undefined) return 0
  const removed = args.slice(1).filter((name) => fields.delete(nameOf(name))).length
  keyspace.removeIfEmpty(key, fields.size)
  if (removed > 0) keyspace.changed(key)
  return removed
}

function addToField(keyspace: Keyspace, args: readonly Buffer[]): Reply {
  const key = required(args, 0)
  const name = nameOf(required(args, 1))
  const by = parseInteger(required(args, 2))
  const old = fieldsOf(keyspace, args).get(name)
  const sum = (old === undefined ? 0n : parseInteger(old, 'ERR hash value is not an integer')) + by
  if (!isInt64(sum)) throw new ReplyError('ERR increment or decrement would overflow')
  createdFields(keyspace, key).set(name, Buffer.from(sum.toString()))
  keyspace.changed(key)
  return Number(sum)
}

export const hashCommands: CommandTable = {
  HSET: { arity: -4, keys: firstKey, grows: true, run: setFields },
  HGET: {
    arity: 3,
    keys: firstKey,
    run: (keyspace, args) => fieldsOf(keyspace, args).get(nameOf(required(args, 1))) ?? null,
  },
  HMGET: {
    arity: -3,
    keys: firstKey,
    run(keyspace, args) {
      const fields = fieldsOf(keyspace, args)
      return args.slice(1).map((name) => fields.get(nameOf(name)) ?? null)
    },
  },
  HGETALL: {
    arity: 2,
    keys: firstKey,
    run: (keyspace, args) => new Fields([...fieldsOf(keyspace, args)].map(([name, value]) => [bytesOf(name), value])),
  },
  HDEL: { arity: -3, keys: firstKey, run: removeFields },
  HINCRBY: { arity: 4, keys: firstKey, grows: true, run: addToField },
  HEXISTS: {
    arity: 3,
    keys: firstKey,
    run: (keyspace, args) => (fieldsOf(keyspace, args).has(nameOf(required(args, 1))) ? 1 : 0),
  },
  HLEN: { arity: 2, keys: firstKey, run: (keyspace, args) => fieldsOf(keyspace, args).size },
}
