/** Random commands of each family, for comparing engines: few keys and small values, so that they meet. */
import * as fc from 'fast-check'

export type Sequence = readonly (readonly string[])[]

const key = fc.constantFrom('a', 'b', 'c')
const integer = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -12, max: 12 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('9223372036854775807', '-9223372036854775808', '1.5', 'x', '', ' 1', '01') },
)
const place = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -5, max: 5 }).map(String) },
  { weight: 1, arbitrary: fc.constant('x') },
)
const value = fc.oneof(fc.constantFrom('', 'v', 'grün', '10', '-3', '2.5', '0.1', '3e1', 'longer text'), integer)
const score = fc.constantFrom('0', '1', '1', '2', '2.5', '-7', '1e3', 'inf', '-inf', 'x', 'nan')
const bound = fc.oneof(
  score,
  score.map((text) => `(${text}`),
)
const member = fc.constantFrom('m', 'n', 'o', 'ö', '')

type Part = fc.Arbitrary<string> | fc.Arbitrary<readonly string[]> | string

/** A command out of words, one of its parts each, or several at once. */
function command(...parts: readonly Part[]): fc.Arbitrary<readonly string[]> {
  const arbitraries = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))
  return fc.tuple(...(arbitraries as fc.Arbitrary<string | readonly string[]>[])).map((words) => words.flat())
}

/** None, one or some of these, in any order. */
const options = (...choices: readonly (readonly string[])[]): fc.Arbitrary<readonly string[]> =>
  fc.array(fc.constantFrom(...choices), { maxLength: 3 }).map((chosen) => chosen.flat())
const some = (part: fc.Arbitrary<string>, maxLength = 3): fc.Arbitrary<readonly string[]> =>
  fc.array(part, { minLength: 1, maxLength })
const pairs = (one: fc.Arbitrary<string>, other: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> =>
  fc.array(fc.tuple(one, other), { minLength: 1, maxLength: 3 }).map((all) => all.flat())

/** What meets in all families: removal, existence, times, and commands of the wrong family. */
const anyKey = [
  command('DEL', some(key)),
  command('UNLINK', key),
  command('EXISTS', some(key)),
  command('TYPE', key),
  command('TTL', key),
  command('PERSIST', key),
  command('EXPIRE', key, fc.constantFrom('1000', '2000', '-1', '0', 'x'), options(['NX'], ['XX'], ['GT'], ['LT'])),
  command('SET', key, value),
  command('TOUCH', some(key)),
  command('DBSIZE'),
]

function family(...commands: readonly fc.Arbitrary<readonly string[]>[]): fc.Arbitrary<Sequence> {
  const one = fc.oneof({ weight: 5, arbitrary: fc.oneof(...commands) }, { weight: 1, arbitrary: fc.oneof(...anyKey) })
  return fc.array(one, { minLength: 1, maxLength: 25 })
}

const strings = family(
  command('GET', key),
  command(
    'SET',
    key,
    value,
    options(['NX'], ['XX'], ['GET'], ['KEEPTTL'], ['EX', '1000'], ['PX', '0'], ['EX', 'x'], ['EX']),
  ),
  command('SET', key, value, options(['EXAT', '4000000000'], ['PXAT', '4000000000000'], ['PXAT', '0'], ['GET'])),
  command('SETNX', key, value),
  command('MGET', some(key)),
  command('GETDEL', key),
  command('GETEX', key, options(['PERSIST'], ['EX', '1000'], ['PXAT', '1'], ['EX'])),
  command('GETRANGE', key, place, place),
  command('SETRANGE', key, place, value),
  command('STRLEN', key),
  command('INCR', key),
  command('DECR', key),
  command('INCRBY', key, integer),
  command('DECRBY', key, integer),
  // A key of its own with small numbers: the engine's long doubles show their last places in sums of large ones.
  command('SET', 'd', fc.constantFrom('0.1', '-2.5', '3e1', 'x', '')),
  command('INCRBYFLOAT', 'd', fc.constantFrom('0.1', '0.2', '-1', '1.5', '.5', '1.0e0', 'x', '')),
  command('APPEND', key, value),
  command('PEXPIREAT', key, fc.constantFrom('4000000000000', '1', 'x')),
  command('PEXPIRE', key, fc.constantFrom('4000000', '-1', 'x')),
  command('GET'),
  command('MGET'),
)

const hashes = family(
  command('HSET', key, pairs(member, value)),
  command('HSET', key, member),
  command('HSET', key, member, value, member),
  command('HGET', key, member),
  command('HMGET', key, some(member)),
  command('HGETALL', key),
  command('HDEL', key, some(member)),
  command('HINCRBY', key, member, integer),
  command('HEXISTS', key, member),
  command('HLEN', key),
)

const sortedSets = family(
  command('ZADD', key, options(['NX'], ['XX'], ['GT'], ['LT'], ['CH'], ['INCR']), pairs(score, member)),
  command('ZADD', key, options(['GT'], ['CH']), pairs(score, member)),
  command('ZADD', key, score, member, score),
  command('ZINCRBY', key, score, member),
  command('ZREM', key, some(member)),
  command('ZSCORE', key, member),
  command('ZRANK', key, member),
  command('ZREVRANK', key, member),
  command('ZCARD', key),
  command('ZCOUNT', key, bound, bound),
  command('ZRANGE', key, place, place, options(['REV'], ['WITHSCORES'], ['LIMIT', '0', '1'])),
  command(
    'ZRANGE',
    key,
    bound,
    bound,
    'BYSCORE',
    options(['REV'], ['WITHSCORES'], ['LIMIT', '0', '1'], ['LIMIT', '1', '-1']),
  ),
  command('ZREMRANGEBYSCORE', key, bound, bound),
  command('ZREMRANGEBYRANK', key, place, place),
)

const sets = family(
  command('SADD', key, some(member)),
  command('SREM', key, some(member)),
  command('SMEMBERS', key),
  command('SISMEMBER', key, member),
  command('SCARD', key),
)

const lists = family(
  command('LPUSH', key, some(value)),
  command('RPUSH', key, some(value)),
  command('LPOP', key, options(['2'], ['0'], ['-1'], ['x'])),
  command('RPOP', key, options(['2'], ['0'])),
  command('LRANGE', key, place, place),
  command('LLEN', key),
  command('LTRIM', key, place, place),
)

const id = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })).map(([ms, seq]) => `${ms}-${seq}`),
  fc.constantFrom('1', '2', '5-*', 'x', '-'),
)
const rising = fc.integer({ min: 1, max: 30 }).map((ms) => `${ms}-1`)
const end = fc.oneof(id, fc.constantFrom('-', '+', '(1-1', '(2'))
const group = fc.constantFrom('g', 'h')
const consumer = fc.constantFrom('one', 'two')
const added = [
  command('XADD', key, rising, pairs(member, value)),
  command('XADD', key, fc.oneof(id, rising), member, value),
  command(
    'XADD',
    key,
    options(['NOMKSTREAM'], ['MAXLEN', '2'], ['MAXLEN', '~', '2'], ['MINID', '3']),
    rising,
    member,
    value,
  ),
]

const streams = family(
  ...added,
  command('XADD', key, rising, member),
  command('XLEN', key),
  command('XRANGE', key, end, end, options(['COUNT', '2'], ['COUNT', '0'])),
  command('XREVRANGE', key, end, end, options(['COUNT', '2'])),
  command('XREAD', options(['COUNT', '2']), 'STREAMS', key, fc.oneof(id, fc.constantFrom('0', '$', '>'))),
  command('XREAD', 'STREAMS', 'a', 'b', '0', fc.oneof(id, fc.constant('0'))),
  command('XREAD', 'STREAMS', 'a', 'b', '0'),
  command('XDEL', key, some(rising)),
  command('XTRIM', key, fc.constantFrom('MAXLEN', 'MINID'), fc.constantFrom('2', '5-1', '-1')),
)

const consumerGroups = family(
  ...added,
  command('XDEL', key, some(rising, 6)),
  command('XGROUP', 'CREATE', key, group, fc.constantFrom('0', '$', '3-1', 'x'), options(['MKSTREAM'])),
  command('XGROUP', 'CREATE', key, group, '0', 'MKSTREAM'),
  command(
    'XREADGROUP',
    'GROUP',
    group,
    consumer,
    options(['COUNT', '2'], ['NOACK']),
    'STREAMS',
    key,
    fc.constantFrom('>', '>', '0', '3-1'),
  ),
  command('XREADGROUP', 'GROUP', group, consumer, 'STREAMS', 'a', 'b', '>', '>'),
  command('XREADGROUP', 'GROUP', group, consumer, 'STREAMS', 'a', 'b', '>'),
  command('XACK', key, group, some(rising, 5)),
  command('XPENDING', key, group),
  command(
    'XPENDING',
    key,
    group,
    options(['IDLE', '900000']),
    end,
    end,
    fc.constantFrom('1', '10'),
    fc.constantFrom([], ['one']),
  ),
  command(
    'XCLAIM',
    key,
    group,
    consumer,
    fc.constantFrom('0', '900000'),
    some(rising, 5),
    options(['JUSTID'], ['FORCE'], ['RETRYCOUNT', '7']),
  ),
  command(
    'XAUTOCLAIM',
    key,
    group,
    consumer,
    fc.constantFrom('0', '900000'),
    fc.constantFrom('-', '0', '3-1'),
    options(['COUNT', '2'], ['JUSTID']),
  ),
)

const transactions = fc
  .array(fc.tuple(strings, fc.constantFrom(['EXEC'], ['DISCARD'])), { minLength: 1, maxLength: 3 })
  .map((blocks) => blocks.flatMap(([commands, ending]) => [['MULTI'], ...commands, ending]))

export const families = { strings, hashes, sortedSets, sets, lists, streams, consumerGroups, transactions } as const
