export { type Clock, systemClock } from './clock.ts'
export type { Codec } from './codec.ts'
export { CacheError, type CacheErrorCode } from './errors.ts'
export type { Store, StoreContext, StoreWrite, Versioned } from './store.ts'
