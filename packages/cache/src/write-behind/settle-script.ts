/**
 * What became of keys that were taken from the queue. Each verdict names the version that it is about and holds only
 * for that one: a newer write that came meanwhile stays queued, and a verdict that comes late, twice or from a process
 * that is no owner any more changes nothing.
 */
import { defineScript } from '../engine/script.ts'
import type { Partition } from './partitions.ts'
import { callsOf } from './script-calls.ts'

export type Verdict = { readonly key: string; readonly version: number } & (
  | { readonly kind: 'stored' }
  /** The store had a newer version than the queue: the write gets one above it, and is saved again. */
  | { readonly kind: 'behind'; readonly storeVersion: number }
  | { readonly kind: 'failed'; readonly againInMs: number }
  | { readonly kind: 'parked'; readonly error: string }
  /** It stands in the queue, and what it was to become is gone. */
  | { readonly kind: 'vanished' }
  | { readonly kind: 'replay' }
  | { readonly kind: 'discard' }
)

/** `done`, or why not: a newer write came, or it is not where the verdict wants it. */
export type Settled = 'done' | 'newer' | 'elsewhere'

const settleScript = defineScript({
  name: 'write-behind-settle',
  lua: `
local state, queue, later, parked = unpack(KEYS)
-- A full engine refuses a script's first write if that takes memory, and must still be drained. This one takes none.
redis.call('HDEL', state, '')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keep = tonumber(ARGV[1])
local answers = {}
local function out(key)
  return redis.call('ZREM', queue, key) + redis.call('ZREM', later, key) + redis.call('ZREM', parked, key)
end
for i = 5, #KEYS do
  local entry, at = KEYS[i], (i - 5) * 5 + 2
  local key, version, verdict, number, text = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local had = redis.call('HMGET', entry, 'version', 'place')
  local answer = 'done'
  if verdict == 'vanished' then
    if had[1] then answer = 'newer'
    elseif out(key) == 0 then answer = 'elsewhere'
    else redis.call('HINCRBY', state, 'unsaved', -1) end
  elseif not had[2] then answer = 'elsewhere'
  elseif had[1] ~= version then
    answer = 'newer'
    if verdict == 'stored' then
      out(key)
      redis.call('HDEL', entry, 'tries', 'error')
      redis.call('HSET', entry, 'place', 'queue')
      redis.call('ZADD', queue, string.format('%.0f', math.floor(had[1] / 1000)), key)
    end
  elseif verdict == 'stored' or verdict == 'discard' then
    if verdict == 'discard' and had[2] ~= 'parked' then answer = 'elsewhere'
    else
      out(key)
      redis.call('HINCRBY', state, 'unsaved', -1)
      redis.call('HDEL', entry, 'place', 'tries', 'error')
      if verdict == 'stored' and keep > 0 then redis.call('PEXPIRE', entry, keep) else redis.call('DEL', entry) end
    end
  elseif verdict == 'behind' then
    local last = tonumber(redis.call('HGET', state, 'last') or 0)
    local above = string.format('%.0f', math.max(last + 1, number + 1))
    redis.call('HSET', entry, 'version', above)
    redis.call('HSET', state, 'last', above)
  elseif verdict == 'replay' then
    if had[2] ~= 'parked' then answer = 'elsewhere'
    else
      out(key)
      redis.call('HDEL', entry, 'tries', 'error')
      redis.call('HSET', entry, 'place', 'queue')
      redis.call('ZADD', queue, string.format('%.0f', now), key)
    end
  elseif had[2] == 'parked' then answer = 'elsewhere'
  else
    out(key)
    redis.call('HINCRBY', entry, 'tries', 1)
    if verdict == 'parked' then
      redis.call('HSET', entry, 'place', 'parked', 'error', text)
      redis.call('ZADD', parked, string.format('%.0f', now), key)
    else
      redis.call('HSET', entry, 'place', 'later')
      redis.call('ZADD', later, string.format('%.0f', now + number), key)
    end
  end
  answers[#answers + 1] = answer
end
return answers`,
  inMemory(world, keys, args) {
    const [state = '', queue = '', later = '', parked = '', ...entries] = keys
    const { run, text: textAt, texts } = callsOf(world)
    const now = world.nowMs()
    const keep = Number(String(args[0]))
    const out = (key: Buffer): number =>
      [queue, later, parked].reduce((sum, place) => sum + Number(run('ZREM', place, key)), 0)
    const queued = (entry: string, key: Buffer, since: number): void => {
      out(key)
      run('HDEL', entry, 'tries', 'error')
      run('HSET', entry, 'place', 'queue')
      run('ZADD', queue, `${since}`, key)
    }
    return entries.map((entry, index): Settled => {
      const key = args[index * 5 + 1] as Buffer
      const [version, verdict, number, text = ''] = args.slice(index * 5 + 2, index * 5 + 6).map(String)
      const [hadVersion, place] = texts('HMGET', entry, 'version', 'place')
      if (verdict === 'vanished') {
        if (hadVersion !== undefined) return 'newer'
        if (out(key) === 0) return 'elsewhere'
        run('HINCRBY', state, 'unsaved', '-1')
        return 'done'
      }
      if (place === undefined) return 'elsewhere'
      if (hadVersion !== version) {
        if (verdict === 'stored') queued(entry, key, Math.floor(Number(hadVersion) / 1000))
        return 'newer'
      }
      switch (verdict) {
        case 'stored':
        case 'discard':
          if (verdict === 'discard' && place !== 'parked') return 'elsewhere'
          out(key)
          run('HINCRBY', state, 'unsaved', '-1')
          run('HDEL', entry, 'place', 'tries', 'error')
          if (verdict === 'stored' && keep > 0) run('PEXPIRE', entry, `${keep}`)
          else run('DEL', entry)
          return 'done'
        case 'behind': {
          const last = Number(textAt('HGET', state, 'last') ?? 0)
          const above = `${Math.max(last + 1, Number(number) + 1)}`
          run('HSET', entry, 'version', above)
          run('HSET', state, 'last', above)
          return 'done'
        }
        case 'replay':
          if (place !== 'parked') return 'elsewhere'
          queued(entry, key, now)
          return 'done'
        default:
          if (place === 'parked') return 'elsewhere'
          out(key)
          run('HINCRBY', entry, 'tries', '1')
          run('HSET', entry, 'place', verdict === 'parked' ? 'parked' : 'later')
          if (verdict === 'parked') {
            run('HSET', entry, 'error', text)
            run('ZADD', parked, `${now}`, key)
          } else run('ZADD', later, `${now + Number(number)}`, key)
          return 'done'
      }
    })
  },
})

/** The command that settles these, all of one partition. `keepMs`: how long a stored value stays to be read. */
export function settleCommand(partition: Partition, verdicts: readonly Verdict[], keepMs: number) {
  const { state, queue, later, parked } = partition
  return {
    script: settleScript,
    keys: [state, queue, later, parked, ...verdicts.map(({ key }) => partition.entry(key))],
    args: [
      `${keepMs}`,
      ...verdicts.flatMap((verdict) => [
        verdict.key,
        `${verdict.version}`,
        verdict.kind,
        numberOf(verdict),
        textFor(verdict),
      ]),
    ],
  }
}

function numberOf(verdict: Verdict): string {
  if (verdict.kind === 'behind') return `${verdict.storeVersion}`
  return verdict.kind === 'failed' ? `${verdict.againInMs}` : '0'
}

const textFor = (verdict: Verdict): string => (verdict.kind === 'parked' ? verdict.error : '')

export function settledOf(reply: unknown): readonly Settled[] {
  return (reply as unknown[]).map((word) => String(word) as Settled)
}
