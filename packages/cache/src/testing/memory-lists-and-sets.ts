import { ReplyError } from '../engine/engine.ts'
import { type CommandTable, firstKey, type Keyspace, type MemoryCommand, required } from './memory-keyspace.ts'
import { parseCount } from './memory-numbers.ts'

const nameOf = (bytes: Buffer): string => bytes.toString('latin1')

function membersOf(keyspace: Keyspace, args: readonly Buffer[]): ReadonlySet<string> {
  return keyspace.read(required(args, 0), 'set')?.members ?? new Set()
}

function itemsOf(keyspace: Keyspace, args: readonly Buffer[]): readonly Buffer[] {
  return keyspace.read(required(args, 0), 'list')?.items ?? []
}

/** From and to as places in a list of that length; negative ones count from the end. */
export function placesOf(args: readonly Buffer[], length: number): { readonly from: number; readonly end: number } {
  const [from, to] = [parseCount(required(args, 1)), parseCount(required(args, 2))]
  return { from: Math.max(0, from < 0 ? length + from : from), end: Math.max(0, (to < 0 ? length + to : to) + 1) }
}

const pushing = (side: 'left' | 'right'): MemoryCommand => ({
  arity: -3,
  keys: firstKey,
  grows: true,
  run(keyspace, args) {
    const key = required(args, 0)
    const { items } = keyspace.readOrCreate(key, 'list', () => ({ kind: 'list', items: [] }))
    for (const item of args.slice(1)) {
      if (side === 'left') items.unshift(item)
      else items.push(item)
    }
    keyspace.changed(key)
    return items.length
  },
})

const popping = (side: 'left' | 'right'): MemoryCommand => ({
  arity: -2,
  keys: firstKey,
  run(keyspace, args) {
    const [key, amount] = [required(args, 0), args[1]]
    if (args.length > 2) {
      throw new ReplyError(`ERR wrong number of arguments for '${side === 'left' ? 'lpop' : 'rpop'}' command`)
    }
    const complaint = 'ERR value is out of range, must be positive'
    const wanted = amount === undefined ? 1 : parseCount(amount, complaint)
    if (wanted < 0) throw new ReplyError(complaint)
    const items = keyspace.read(key, 'list')?.items
    if (items === undefined) return null
    const popped =
      side === 'left' ? items.splice(0, wanted) : items.splice(Math.max(0, items.length - wanted)).reverse()
    keyspace.removeIfEmpty(key, items.length)
    if (popped.length > 0) keyspace.changed(key)
    return amount === undefined ? (popped[0] ?? null) : popped
  },
})

export const listCommands: CommandTable = {
  LPUSH: pushing('left'),
  RPUSH: pushing('right'),
  LPOP: popping('left'),
  RPOP: popping('right'),
  LLEN: { arity: 2, keys: firstKey, run: (keyspace, args) => itemsOf(keyspace, args).length },
  LRANGE: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      placesOf(args, 0)
      const items = itemsOf(keyspace, args)
      const { from, end } = placesOf(args, items.length)
      return items.slice(from, end)
    },
  },
  LTRIM: {
    arity: 4,
    keys: firstKey,
    run(keyspace, args) {
      placesOf(args, 0)
      const items = keyspace.read(required(args, 0), 'list')?.items
      if (items === undefined) return 'OK'
      const { from, end } = placesOf(args, items.length)
      items.splice(0, items.length, ...items.slice(from, end))
      keyspace.removeIfEmpty(required(args, 0), items.length)
      keyspace.changed(required(args, 0))
      return 'OK'
    },
  },
}

export const setCommands: CommandTable = {
  SADD: {
    arity: -3,
    keys: firstKey,
    grows: true,
    run(keyspace, args) {
      const key = required(args, 0)
      const { members } = keyspace.readOrCreate(key, 'set', () => ({ kind: 'set', members: new Set() }))
      const before = members.size
      for (const member of args.slice(1)) members.add(nameOf(member))
      if (members.size > before) keyspace.changed(key)
      return members.size - before
    },
  },
  SREM: {
    arity: -3,
    keys: firstKey,
    run(keyspace, args) {
      const key = required(args, 0)
      const members = keyspace.read(key, 'set')?.members
      if (members === undefined) return 0
      const removed = args.slice(1).filter((member) => members.delete(nameOf(member))).length
      keyspace.removeIfEmpty(key, members.size)
      if (removed > 0) keyspace.changed(key)
      return removed
    },
  },
  SMEMBERS: {
    arity: 2,
    keys: firstKey,
    run: (keyspace, args) => [...membersOf(keyspace, args)].map((member) => Buffer.from(member, 'latin1')),
  },
  SISMEMBER: {
    arity: 3,
    keys: firstKey,
    run: (keyspace, args) => (membersOf(keyspace, args).has(nameOf(required(args, 1))) ? 1 : 0),
  },
  SCARD: { arity: 2, keys: firstKey, run: (keyspace, args) => membersOf(keyspace, args).size },
}
