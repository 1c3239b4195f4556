/** The face of `@holdfast/cache`. */
export { Cache, type NamespaceOptions, type WithMeta } from './cache.ts'
export { type Clock, systemClock } from './clock.ts'
export type { Codec } from './codec.ts'
export { jsonCodec, v8Codec } from './codecs.ts'
export { createCache } from './create-cache.ts'
export type {
  CommandOptions,
  Direct,
  DirectCallOptions,
  DirectWriteOptions,
  IncrementOptions,
  ScriptOptions,
  SetOptions,
  Told,
  TransactionOptions,
} from './direct/calls.ts'
export type { Channel, ChannelHearer } from './direct/channel.ts'
export type { ScriptDefinition } from './direct/operations.ts'
export type { DirectOptions, DurableOptions } from './direct/settings.ts'
export { type StreamEntry, streamEntries } from './direct/stream.ts'
export type { Bytes, Duration } from './duration.ts'
export type {
  Answer,
  Argument,
  Call,
  Command,
  Engine,
  EngineEvents,
  Link,
  NodeState,
  ReadFrom,
  Subscription,
} from './engine/engine.ts'
export { ReplyError } from './engine/engine.ts'
export { withMessages } from './engine/messages.ts'
export { CacheError, type CacheErrorCode, cacheErrors } from './errors.ts'
export { type CacheCounters, type CacheEvent, type CacheEvents, cacheChannel } from './events.ts'
export type { HotKey } from './hot-keys.ts'
export type { ManyLoader, ManyLoaderContext } from './load-many.ts'
export type { Loader, LoaderContext } from './loader.ts'
export type {
  CacheOptions,
  EntryOptions,
  HotOptions,
  LoadOptions,
  LocalOptions,
  ReadOptions,
  WriteOptions,
} from './options.ts'
export type { Source } from './read-flight.ts'
export type { Store, StoreContext, StoreWrite, Versioned } from './store.ts'
export { type EngineUrl, parseUrl } from './url.ts'
export type { WarmUp, WarmUpOptions } from './warm-up.ts'
export type { Stored } from './write.ts'
export type { DeadLetter } from './write-behind/dead-letters.ts'
export type { Loss, WriteBehindEvents } from './write-behind/events.ts'
export type { WriteBehindOptions } from './write-behind/settings.ts'
export type { WriteBehind, WriteBehindStats } from './write-behind/write-behind.ts'
export type { WriteThrough, WriteThroughOptions } from './write-through.ts'
