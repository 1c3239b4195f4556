/**
 * What a command does to the data, as far as somebody who repeats it must know. A write whose answer was lost may be
 * repeated as it is only if doing it twice is doing it once; everything else goes through `operations.ts`. What is not
 * listed here counts as a write that must not be repeated: that is always safe, and costs one key for a minute.
 */
import type { Argument } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'

export type Effect =
  | { readonly kind: 'read' }
  /** Twice is once. The reply may be that of the second time: a DEL that is repeated answers 0. */
  | { readonly kind: 'repeatable' }
  /** Twice is not once. */
  | { readonly kind: 'once' }

const reads = new Set(
  `GET MGET GETRANGE SUBSTR STRLEN EXISTS TYPE TTL PTTL EXPIRETIME PEXPIRETIME RANDOMKEY DBSIZE KEYS SCAN DUMP OBJECT SORT_RO
  BITCOUNT BITPOS BITFIELD_RO GETBIT LCS PFCOUNT
  HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HRANDFIELD HSCAN HTTL HPTTL HEXPIRETIME HPEXPIRETIME
  LRANGE LINDEX LLEN LPOS
  SMEMBERS SISMEMBER SMISMEMBER SCARD SRANDMEMBER SINTER SUNION SDIFF SINTERCARD SSCAN
  ZSCORE ZMSCORE ZRANK ZREVRANK ZCARD ZCOUNT ZLEXCOUNT ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX
  ZREVRANGEBYLEX ZRANDMEMBER ZSCAN ZINTER ZUNION ZDIFF ZINTERCARD
  GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO
  XLEN XRANGE XREVRANGE XREAD XPENDING XINFO
  EVAL_RO EVALSHA_RO FCALL_RO TIME ECHO PING MEMORY`.split(/\s+/),
)

/** Why each may be done twice, and the words that take that away. */
const repeatable: Readonly<Record<string, { readonly because: string; readonly unless?: readonly string[] }>> = {
  SET: { because: 'the value is the same afterwards', unless: ['NX', 'XX', 'GET', 'IFEQ', 'IFNE'] },
  SETEX: { because: 'the value is the same afterwards; its end moves by the time between the tries' },
  PSETEX: { because: 'the value is the same afterwards; its end moves by the time between the tries' },
  MSET: { because: 'the values are the same afterwards' },
  SETRANGE: { because: 'the same bytes in the same place' },
  SETBIT: { because: 'the same bit in the same place' },
  DEL: { because: 'what is gone cannot go again' },
  UNLINK: { because: 'what is gone cannot go again' },
  TOUCH: { because: 'it changes nothing that is read' },
  EXPIREAT: { because: 'the same moment' },
  PEXPIREAT: { because: 'the same moment' },
  EXPIRE: { because: 'the end moves by the time between the tries, which the deadline bounds' },
  PEXPIRE: { because: 'the end moves by the time between the tries, which the deadline bounds' },
  PERSIST: { because: 'without an end is without an end' },
  HSET: { because: 'the fields are the same afterwards' },
  HMSET: { because: 'the fields are the same afterwards' },
  HDEL: { because: 'what is gone cannot go again' },
  LSET: { because: 'the same value in the same place' },
  SADD: { because: 'a set holds a member once' },
  SREM: { because: 'what is gone cannot go again' },
  ZADD: { because: 'a member has one score, the one that is given', unless: ['INCR'] },
  ZREM: { because: 'what is gone cannot go again' },
  ZREMRANGEBYSCORE: { because: 'what is gone cannot go again, and the range is one of values, not of ranks' },
  ZREMRANGEBYLEX: { because: 'what is gone cannot go again, and the range is one of values, not of ranks' },
  PFADD: { because: 'an element counts once' },
  PFMERGE: { because: 'an element counts once' },
  GEOADD: { because: 'a member has one place, the one that is given' },
  XACK: { because: 'what is acknowledged cannot be acknowledged again' },
  XDEL: { because: 'what is gone cannot go again' },
  XTRIM: { because: 'the stream is as short afterwards' },
  XREADGROUP: { because: 'what was delivered and not seen stays pending, and is claimed later', unless: ['NOACK'] },
  XAUTOCLAIM: { because: 'what was claimed and not seen stays pending; only its count of deliveries grows' },
  XCLAIM: { because: 'what was claimed and not seen stays pending; only its count of deliveries grows' },
}

const aloneBecause = 'it changes the connection, which others share'
const refused: Readonly<Record<string, string>> = {
  MULTI: 'use transaction([...])',
  EXEC: 'use transaction([...])',
  DISCARD: 'use transaction([...])',
  WATCH: 'use script(...): it looks and writes in one step',
  UNWATCH: 'use script(...): it looks and writes in one step',
  SUBSCRIBE: 'use channel(name).listen(...)',
  PSUBSCRIBE: 'use channel(name).listen(...)',
  SSUBSCRIBE: 'use channel(name).listen(...)',
  UNSUBSCRIBE: 'close what listen(...) answered',
  WAIT: 'say durable: true: it counts on the connection of its write only',
  WAITAOF: 'say durable: true: it counts on the connection of its write only',
  EVAL: 'use script(...)',
  EVALSHA: 'use script(...)',
  MONITOR: aloneBecause,
  SELECT: aloneBecause,
  AUTH: aloneBecause,
  HELLO: aloneBecause,
  RESET: aloneBecause,
  QUIT: aloneBecause,
  CLIENT: aloneBecause,
  READONLY: aloneBecause,
  READWRITE: aloneBecause,
  ASKING: aloneBecause,
}

export function effectOf(command: readonly Argument[]): Effect {
  const word = wordOf(command)
  if (reads.has(word)) return { kind: 'read' }
  const rule = repeatable[word]
  if (rule === undefined) return { kind: 'once' }
  return hasWord(command, rule.unless ?? []) ? { kind: 'once' } : { kind: 'repeatable' }
}

/** How long the command may keep its connection waiting, in ms; undefined where it does not. */
export function blocksFor(command: readonly Argument[]): number | undefined {
  const word = wordOf(command)
  if (word === 'XREAD' || word === 'XREADGROUP') {
    // Behind STREAMS are keys and ids, which may be called anything.
    const words = command.map((arg) => String(arg).toUpperCase())
    const at = words.indexOf('BLOCK')
    const streams = words.indexOf('STREAMS')
    return at === -1 || (streams !== -1 && streams < at) ? undefined : boundedMs(Number(command[at + 1]), word)
  }
  if (/^(BLPOP|BRPOP|BRPOPLPUSH|BLMOVE|BZPOPMIN|BZPOPMAX)$/.test(word))
    return boundedMs(Number(command.at(-1)) * 1000, word)
  if (word === 'BLMPOP' || word === 'BZMPOP') return boundedMs(Number(command[1]) * 1000, word)
  return undefined
}

function boundedMs(ms: number, word: string): number {
  if (ms > 0 && Number.isFinite(ms)) return ms
  throw new CacheError('INVALID', `${word} would wait for ever: say how long, and ask again`, { command: word })
}

/** The command as the engine gets it, or INVALID for what cannot be one. */
export function checkCommand(command: readonly (Argument | number)[]): readonly Argument[] {
  if (!Array.isArray(command) || typeof command[0] !== 'string' || command[0] === '') {
    throw new CacheError(
      'INVALID',
      "a command is a list that begins with its word, such as ['HSET', key, 'field', 'value']",
      {
        what: 'command',
      },
    )
  }
  const [word] = command
  const instead = refused[word.toUpperCase()]
  if (instead !== undefined) {
    throw new CacheError('INVALID', `${word.toUpperCase()} is not for a shared connection: ${instead}`, {
      command: word,
    })
  }
  return command.map((arg, at) => checkArgument(arg, word, at))
}

export function checkArgument(arg: Argument | number, word: string, at: number): Argument {
  if (typeof arg === 'string' || Buffer.isBuffer(arg)) return arg
  if (typeof arg === 'number' && !Number.isNaN(arg)) return String(arg)
  throw new CacheError('INVALID', `argument ${at} of ${word} is neither a string nor a Buffer nor a number`, {
    command: word,
    at,
  })
}

export const wordOf = (command: readonly Argument[]): string => String(command[0]).toUpperCase()

/** Looks behind the first two arguments only: a key or a value may be called NX. Binary arguments are values. */
function hasWord(command: readonly Argument[], words: readonly string[]): boolean {
  if (words.length === 0) return false
  // The value of SET stands third; the words come behind it.
  const from = wordOf(command) === 'SET' ? 3 : 2
  return command.slice(from).some((arg) => typeof arg === 'string' && words.includes(arg.toUpperCase()))
}
