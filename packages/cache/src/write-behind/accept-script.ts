/**
 * A write comes in: value, version and place in the queue, all or nothing.
 *
 * The version grows with every write of a partition, and so of a key: at least one more than the last, and at least the
 * microseconds of the engine's clock, so that an engine that came back empty does not begin again at 1.
 *
 * An operation that is known already changes nothing, and its first version is answered. It still writes a little:
 * `WAIT` promises something of the writes of its own connection only, and the try may have come over a fresh one.
 */
import { defineScript } from '../engine/script.ts'
import type { Partition } from './partitions.ts'
import { callsOf } from './script-calls.ts'

export interface Acceptance {
  /** `full`: nothing was changed, the partition has no room for another key. */
  readonly status: 'accepted' | 'known' | 'full'
  readonly version: number
  readonly life: string
  /** The highest version of the partition before this write. */
  readonly before: number
  readonly unsaved: number
}

/** How many operations a partition remembers at most, however many come within the time that they are remembered. */
const operationsMax = 10_000

export const acceptScript = defineScript({
  name: 'write-behind-accept',
  lua: `
local entry, queue, later, parked, state, operations = unpack(KEYS)
local key, operation, deleted, value, codec = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local seen = redis.call('HMGET', state, 'life', 'last', 'unsaved')
local life, last, unsaved = seen[1] or ARGV[7], tonumber(seen[2] or 0), tonumber(seen[3] or 0)
local before = string.format('%.0f', last)
local had = redis.call('HMGET', entry, 'operation', 'version', 'place')
local known = had[1] == operation and had[2] or redis.call('ZSCORE', operations, operation .. '\\n' .. key)
if known then
  -- A full engine refuses a script's first write if that takes memory. This one takes none.
  redis.call('HDEL', state, '')
  redis.call('HINCRBY', state, 'again', 1)
  return { 'known', string.format('%.0f', tonumber(known)), life, before, unsaved }
end
if not had[3] and unsaved >= tonumber(ARGV[6]) then return { 'full', '0', life, before, unsaved } end
local version = string.format('%.0f', math.max(last + 1, now))
redis.call('HSET', state, 'life', life, 'last', version)
redis.call('HSET', entry, 'version', version, 'operation', operation)
if deleted == '1' then
  redis.call('HSET', entry, 'deleted', '1')
  redis.call('HDEL', entry, 'value', 'codec')
else
  redis.call('HSET', entry, 'value', value, 'codec', codec)
  redis.call('HDEL', entry, 'deleted')
end
redis.call('PERSIST', entry)
if not had[3] then unsaved = redis.call('HINCRBY', state, 'unsaved', 1) end
if not had[3] or had[3] == 'parked' then
  redis.call('ZREM', parked, key)
  redis.call('HDEL', entry, 'tries', 'error')
  redis.call('HSET', entry, 'place', 'queue')
  redis.call('ZADD', queue, string.format('%.0f', math.floor(now / 1000)), key)
end
redis.call('ZADD', operations, version, operation .. '\\n' .. key)
redis.call('ZREMRANGEBYSCORE', operations, '-inf', string.format('%.0f', now - ARGV[8] * 1000))
redis.call('ZREMRANGEBYRANK', operations, 0, -${operationsMax + 1})
return { 'accepted', version, life, before, unsaved }`,
  inMemory(world, keys, args) {
    const [entry = '', queue = '', , parked = '', state = '', operations = ''] = keys
    const [key = '', operation = '', deleted, , , most, bornAs = '', rememberMs] = args.map(String)
    const [value, codec] = [args[3] as Buffer, args[4] as Buffer]
    const { run, text, texts } = callsOf(world)
    const now = world.nowMs() * 1000
    const [life = bornAs, last = '0', unsaved = '0'] = texts('HMGET', state, 'life', 'last', 'unsaved')
    const [lastOperation, lastVersion, place] = texts('HMGET', entry, 'operation', 'version', 'place')
    const member = `${operation}\n${key}`
    const known = lastOperation === operation ? lastVersion : text('ZSCORE', operations, member)
    if (known !== undefined) {
      run('HINCRBY', state, 'again', '1')
      return ['known', `${Number(known)}`, life, last, Number(unsaved)]
    }
    if (place === undefined && Number(unsaved) >= Number(most)) return ['full', '0', life, last, Number(unsaved)]
    const version = `${Math.max(Number(last) + 1, now)}`
    run('HSET', state, 'life', life, 'last', version)
    run('HSET', entry, 'version', version, 'operation', operation)
    if (deleted === '1') {
      run('HSET', entry, 'deleted', '1')
      run('HDEL', entry, 'value', 'codec')
    } else {
      run('HSET', entry, 'value', value, 'codec', codec)
      run('HDEL', entry, 'deleted')
    }
    run('PERSIST', entry)
    if (place === undefined) run('HINCRBY', state, 'unsaved', '1')
    if (place === undefined || place === 'parked') {
      run('ZREM', parked, key)
      run('HDEL', entry, 'tries', 'error')
      run('HSET', entry, 'place', 'queue')
      run('ZADD', queue, `${Math.floor(now / 1000)}`, key)
    }
    run('ZADD', operations, version, member)
    run('ZREMRANGEBYSCORE', operations, '-inf', `${now - Number(rememberMs) * 1000}`)
    run('ZREMRANGEBYRANK', operations, '0', `${-operationsMax - 1}`)
    return ['accepted', version, life, last, Number(unsaved) + (place === undefined ? 1 : 0)]
  },
})

export function acceptKeys(partition: Partition, key: string): readonly string[] {
  const { queue, later, parked, state, operations } = partition
  return [partition.entry(key), queue, later, parked, state, operations]
}

export function acceptance(reply: unknown): Acceptance {
  const [status, version, life, before, unsaved] = reply as unknown[]
  return {
    status: String(status) as Acceptance['status'],
    version: Number(version),
    life: String(life),
    before: Number(before),
    unsaved: Number(unsaved),
  }
}
