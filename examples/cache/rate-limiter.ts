/**
 * At most so many requests in any stretch of time: a sliding window, exact, in one round trip.
 *
 *     const limiter = rateLimiter(cache, { limit: 100, windowMs: 60_000 })
 *     const { allowed, retryAfterMs } = await limiter.take(request.ip)
 *
 * The window is a sorted set of the requests that were let in. Each has an id, and who is in already is not counted
 * again: so the script may be sent twice when its answer was lost, and needs no memory of operations.
 */
import { randomUUID } from 'node:crypto'
import { type Cache, CacheError } from '@holdfast/cache'

export interface RateLimit {
  readonly limit: number
  readonly windowMs: number
  /** What happens when the engine does not answer in time. Default: the request is let in. */
  readonly whenAway?: 'allow' | 'deny'
}

export interface Verdict {
  readonly allowed: boolean
  /** How many more would be let in now. */
  readonly remaining: number
  /** When to come back; 0 if it was let in. */
  readonly retryAfterMs: number
}

/** The time is the engine's, so that the clocks of the processes do not matter. */
const takeScript = {
  name: 'sliding-window',
  lua: `
local window, limit, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local count = redis.call('ZCARD', KEYS[1])
if not redis.call('ZSCORE', KEYS[1], id) then
  if count >= limit then
    local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    return {0, 0, oldest[2] + window - now}
  end
  redis.call('ZADD', KEYS[1], now, id)
  redis.call('PEXPIRE', KEYS[1], window)
  count = count + 1
end
return {1, limit - count, 0}`,
}

export function rateLimiter(cache: Pick<Cache, 'on'>, { limit, windowMs, whenAway = 'allow' }: RateLimit) {
  return {
    async take(who: string, id: string = randomUUID()): Promise<Verdict> {
      // A tag for each caller: they are spread over the shards. Hashed or encoded, a name holds no braces.
      const window = cache.on(`{limit:${encodeURIComponent(who)}}`)
      try {
        const [allowed, remaining, retryAfterMs] = await window.script<[number, number, number]>(
          takeScript,
          ['window'],
          [windowMs, limit, id],
          // Nobody wants to wait 5 s to be let in: less than that, and who decides then is said above.
          { repeatable: true, within: '500ms' },
        )
        return { allowed: allowed === 1, remaining, retryAfterMs }
      } catch (error) {
        if (!(error instanceof CacheError) || !error.retry) throw error
        return { allowed: whenAway === 'allow', remaining: 0, retryAfterMs: whenAway === 'allow' ? 0 : 1000 }
      }
    },
  }
}
