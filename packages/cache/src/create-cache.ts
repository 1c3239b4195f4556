import { randomBytes } from 'node:crypto'
import { Cache } from './cache.ts'
import { type Clock, systemClock } from './clock.ts'
import { jsonCodec } from './codecs.ts'
import { Core } from './core.ts'
import type { Engine } from './engine/engine.ts'
import { withMessages } from './engine/messages.ts'
import { openEngine } from './engine/open-engine.ts'
import { CacheError } from './errors.ts'
import { followFeed } from './feed.ts'
import { allHints } from './hints.ts'
import { KeySpace } from './keys.ts'
import { type CacheOptions, cacheSettings } from './options.ts'
import { Space } from './space.ts'
import { parseUrl } from './url.ts'
import { readableCodecs } from './value.ts'

/**
 * Makes a cache. Connects when it is first used, and never waits for a connection longer than the deadline of a call:
 * an application starts with its cache away. Throws INVALID for options that cannot be meant.
 */
export function createCache(options: CacheOptions): Cache {
  const settings = cacheSettings(options)
  const clock = options.clock ?? systemClock
  const namespace = options.namespace ?? 'cache'
  const keys = new KeySpace(namespace)
  const engine = engineOf(options, keys)
  const core = new Core({ engine, clock, settings, keys })
  const codec = options.codec ?? jsonCodec
  const space = new Space(core, {
    keys,
    above: [],
    clock,
    codec,
    entry: settings.entry,
    schema: options.schema,
    compressAbove: settings.compressAbove,
    maxValueBytes: settings.maxValueBytes,
    codecs: readableCodecs(codec, options.codecs ?? [jsonCodec]),
  })
  return new Cache(core, space, options.direct)
}

function engineOf(options: CacheOptions, keys: KeySpace): Engine {
  const { url, engine, coherence, clock = systemClock } = options
  if ((url === undefined) === (engine === undefined)) {
    throw new CacheError('INVALID', 'say where the engine is: either url or engine, and not both', { what: 'url' })
  }
  if (engine === undefined) {
    const opened = openByUrl(url as string, options, keys)
    return coherence === 'messages' ? told(opened, keys, clock) : opened
  }
  // Over a connection of the application's own nobody tells of changes, unless the processes tell each other.
  const isUntold = engine.tracks === false && engine.tell === undefined
  return isUntold && coherence !== 'none' ? told(engine, keys, clock) : engine
}

function told(engine: Engine, keys: KeySpace, clock: Clock): Engine {
  const sender = randomBytes(9).toString('base64url')
  return withMessages(engine, { channel: keys.stateKey('changes'), clock, sender })
}

function openByUrl(
  url: string,
  { clock = systemClock, zone, tls, coherence, hints, feed, sentinel }: CacheOptions,
  keys: KeySpace,
): Engine {
  const { user, password, masterName, ...where } = parseUrl(url)
  const guards = sentinel ?? where.sentinel
  const followed = feed ?? where.feed
  const heard = [...(hints === undefined ? [] : [hints]), ...(followed === null ? [] : followFeed(followed, clock))]
  return openEngine(
    {
      topology: where.topology,
      addresses: where.addresses,
      db: where.db,
      user: user ?? undefined,
      password: password ?? undefined,
      masterName: masterName ?? undefined,
      sentinelUser: guards?.user,
      sentinelPassword: guards?.password,
      zone: zone ?? where.zone ?? undefined,
      // Certificates of one's own are for URLs that want TLS; they do not turn it on.
      tls: where.tls && tls !== undefined ? tls : where.tls,
      track: (coherence ?? 'tracking') === 'tracking' ? keys.trackedPrefixes : [],
    },
    { clock, hints: allHints(heard) },
  )
}
