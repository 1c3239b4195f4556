/**
 * Who may save a partition: one owner at a time, for the time of a lease, with a token that grows with every new owner.
 *
 * The lease is what keeps two processes from doing the same work; it is not what keeps the table right. A process that
 * was frozen may save after its lease has ended, and the version in every save makes that harmless. So the lease need
 * not survive a failover either.
 *
 * A claim also compares how many keys are there with how many should be: if an engine evicted a queue, or came back
 * with an older one, this is where it is noticed.
 */
import { defineScript } from '../engine/script.ts'
import type { Partition } from './partitions.ts'
import { callsOf } from './script-calls.ts'

export type ClaimVerb = 'acquire' | 'renew' | 'release'

export interface Claim {
  readonly granted: boolean
  readonly token: string
  /** For how long somebody else has it, where it was not granted. */
  readonly takenForMs: number
  readonly life: string
  readonly last: number
  readonly unsaved: number
  /** Keys that were counted and are gone. */
  readonly missing: number
}

export const claimScript = defineScript({
  name: 'write-behind-claim',
  lua: `
local state, queue, later, parked = unpack(KEYS)
local verb, owner, token, lease, born = unpack(ARGV)
-- A full engine refuses a script's first write if that takes memory, and must still be drained. This one takes none.
redis.call('HDEL', state, '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen = redis.call('HMGET', state, 'owner', 'token', 'until', 'life', 'last', 'unsaved')
local life, last, counted = seen[4] or born, seen[5] or '0', tonumber(seen[6] or 0)
local mine = seen[1] == owner and seen[2] == token
if verb == 'release' then
  if mine then redis.call('HDEL', state, 'owner', 'until') end
  return { mine and 1 or 0, '', 0, life, last, counted, 0 }
end
if verb == 'renew' and not mine then return { 0, '', 0, life, last, counted, 0 } end
if verb == 'acquire' then
  local ends = tonumber(seen[3] or 0)
  if seen[1] and seen[1] ~= owner and ends > now then return { 0, '', ends - now, life, last, counted, 0 } end
  token = string.format('%.0f', math.max(tonumber(seen[2] or 0) + 1, time[1] * 1000000 + time[2]))
end
redis.call('HSET', state, 'owner', owner, 'token', token, 'until', string.format('%.0f', now + lease), 'life', life)
local there = redis.call('ZCARD', queue) + redis.call('ZCARD', later) + redis.call('ZCARD', parked)
if there ~= counted then redis.call('HSET', state, 'unsaved', there) end
return { 1, token, 0, life, last, there, counted - there }`,
  inMemory(world, keys, args) {
    const [state = '', queue = '', later = '', parked = ''] = keys
    const [verb, owner = '', given = '', lease, born = ''] = args.map(String)
    const { run, texts } = callsOf(world)
    const now = world.nowMs()
    const fields = ['owner', 'token', 'until', 'life', 'last', 'unsaved']
    const [holder, held = '0', until = '0', life = born, last = '0', unsaved = '0'] = texts('HMGET', state, ...fields)
    const counted = Number(unsaved)
    const mine = holder === owner && held === given
    if (verb === 'release') {
      if (mine) run('HDEL', state, 'owner', 'until')
      return [mine ? 1 : 0, '', 0, life, last, counted, 0]
    }
    if (verb === 'renew' && !mine) return [0, '', 0, life, last, counted, 0]
    let token = given
    if (verb === 'acquire') {
      const foreign = holder !== undefined && holder !== owner
      if (foreign && Number(until) > now) return [0, '', Number(until) - now, life, last, counted, 0]
      token = `${Math.max(Number(held) + 1, now * 1000)}`
    }
    run('HSET', state, 'owner', owner, 'token', token, 'until', `${now + Number(lease)}`, 'life', life)
    const there = [queue, later, parked].reduce((sum, key) => sum + Number(run('ZCARD', key)), 0)
    if (there !== counted) run('HSET', state, 'unsaved', `${there}`)
    return [1, token, 0, life, last, there, counted - there]
  },
})

export function claimKeys({ state, queue, later, parked }: Partition): readonly string[] {
  return [state, queue, later, parked]
}

export function claimOf(reply: unknown): Claim {
  const [granted, token, takenForMs, life, last, unsaved, missing] = reply as unknown[]
  return {
    granted: Number(granted) === 1,
    token: String(token),
    takenForMs: Number(takenForMs),
    life: String(life),
    last: Number(last),
    unsaved: Number(unsaved),
    missing: Math.max(0, Number(missing)),
  }
}

/** Tells that a process lives, and answers how many do. Nothing but the fair share depends on it. */
export const meetScript = defineScript({
  name: 'write-behind-meet',
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2]))
if ARGV[3] == 'leave' then redis.call('ZREM', KEYS[1], ARGV[1])
else redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1]) end
return redis.call('ZCARD', KEYS[1])`,
  inMemory(world, [members = ''], [id, silentMs, verb]) {
    const now = world.nowMs()
    world.call('ZREMRANGEBYSCORE', members, '-inf', `${now - Number(String(silentMs))}`)
    if (String(verb) === 'leave') world.call('ZREM', members, id as Buffer)
    else world.call('ZADD', members, `${now}`, id as Buffer)
    return world.call('ZCARD', members)
  },
})
