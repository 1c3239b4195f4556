/**
 * The words by which a user's commands are given or taken. It is a closed list of what every supported engine knows: one
 * unknown word in its ACL file keeps an engine from starting. What changes an engine, or shows its passwords, is not in
 * it: only the agent does that.
 */
const commandCategories: ReadonlySet<string> = new Set(
  'all keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub blocking connection transaction scripting fast slow'.split(
    ' ',
  ),
)

/** Commands on data, and the few that look at an engine; none that came after Redis 6.2. */
const dataCommands: ReadonlySet<string> = new Set(
  `append bitcount bitfield bitfield_ro bitop bitpos blmove blpop brpop brpoplpush bzpopmax bzpopmin copy dbsize decr
  decrby del discard dump echo eval evalsha exec exists expire expireat flushall flushdb geoadd geodist geohash geopos
  georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore get getbit getdel getex getrange
  getset hdel hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset hsetnx hstrlen hvals
  incr incrby incrbyfloat info keys lindex linsert llen lmove lpop lpos lpush lpushx lrange lrem lset ltrim mget mset
  msetnx multi persist pexpire pexpireat pfadd pfcount pfmerge ping psetex psubscribe pttl publish punsubscribe randomkey
  rename renamenx restore role rpop rpoplpush rpush rpushx sadd scan scard sdiff sdiffstore select set setbit setex setnx
  setrange sinter sinterstore sismember smembers smismember smove sort spop srandmember srem sscan strlen subscribe substr
  sunion sunionstore time touch ttl type unlink unsubscribe unwatch wait watch xack xadd xautoclaim xclaim xdel xlen
  xpending xrange xread xreadgroup xrevrange xsetid xtrim zadd zcard zcount zdiff zdiffstore zincrby zinter zinterstore
  zlexcount zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex
  zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore`.split(
    /\s+/,
  ),
)

/** What is wrong with a word such as `+@read` or `-flushall`; null where nothing is. */
export function objectionToWord(word: string): string | null {
  const [, sign, at, name = ''] = /^([+-])(@?)([a-z_]+)$/.exec(word) ?? []
  if (sign === undefined) return `"${word}" is no word: write +@read, +get or -flushall`
  const known = at === '@' ? commandCategories : dataCommands
  if (known.has(name)) return null
  return at === '@'
    ? `"${word}": categories are ${[...known].join(', ')}`
    : `"${word}" is no command on data that every supported engine has`
}
