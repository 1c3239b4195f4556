import { Cache } from './cache.ts'
import { systemClock } from './clock.ts'
import { jsonCodec, v8Codec } from './codecs.ts'
import { Core } from './core.ts'
import type { Engine } from './engine/engine.ts'
import { openEngine } from './engine/open-engine.ts'
import { CacheError } from './errors.ts'
import { KeySpace } from './keys.ts'
import { type CacheOptions, cacheSettings } from './options.ts'
import { Space } from './space.ts'
import { parseUrl } from './url.ts'

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
  const core = new Core({ engine, clock, settings, namespace })
  const codec = options.codec ?? jsonCodec
  const space = new Space(core, {
    ...{ keys, above: [], clock, codec, entry: settings.entry, schema: options.schema },
    ...{ compressAbove: settings.compressAbove, maxValueBytes: settings.maxValueBytes },
    codecs: [codec, ...(options.codecs ?? [jsonCodec, v8Codec])],
  })
  return new Cache(core, space, options.direct)
}

function engineOf({ url, engine, clock = systemClock, zone, tls }: CacheOptions, keys: KeySpace): Engine {
  if ((url === undefined) === (engine === undefined)) {
    throw new CacheError('INVALID', 'say where the engine is: either url or engine, and not both', { what: 'url' })
  }
  if (engine !== undefined) return engine
  const { user, password, masterName, ...where } = parseUrl(url as string)
  return openEngine(
    {
      ...{ topology: where.topology, addresses: where.addresses, db: where.db },
      ...{ user: user ?? undefined, password: password ?? undefined, masterName: masterName ?? undefined },
      zone: zone ?? where.zone ?? undefined,
      // Certificates of one's own are for URLs that want TLS; they do not turn it on.
      tls: where.tls && tls !== undefined ? tls : where.tls,
      track: keys.trackedPrefixes,
    },
    { clock },
  )
}
