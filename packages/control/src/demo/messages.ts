/** What the demonstration and its processes tell each other, over the channel that ends with either of them. */
import type { LaneName } from '@holdfast/core'
import type { DatabasePlace } from './database.ts'

/** How an engine is reached. Never on a command line: it holds the password. */
export interface EngineAccess {
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  /** Null: the engine's own user, `default`. */
  readonly user: string | null
  readonly password: string
}

export interface OpenShop {
  readonly kind: 'open'
  readonly lane: LaneName
  readonly engine: EngineAccess
  readonly database: DatabasePlace
  /** Which half of the goods this process knows before anybody asks. */
  readonly part: 0 | 1
}

export interface OpenLoad {
  readonly kind: 'open'
  readonly lane: LaneName
  readonly engine: EngineAccess
  readonly shops: readonly number[]
  readonly requestsPerSecond: number
}

export type ToShop =
  | OpenShop
  | { readonly kind: 'report'; readonly ask: number }
  /** Counts one product apart, from now on; or no longer. */
  | { readonly kind: 'watch'; readonly product: string }
  | { readonly kind: 'unwatch'; readonly product: string }

export type FromShop =
  | { readonly kind: 'open'; readonly port: number }
  | { readonly kind: 'report'; readonly ask: number; readonly figures: ShopFigures }

/** What a shop counted since it was last asked. */
export interface ShopFigures {
  readonly requests: number
  /** Of them: answered with 500 and above; and carts that were promised and never saved. */
  readonly errors: number
  readonly stale: number
  readonly queries: number
  readonly loadsSaved: number
  readonly watched: Readonly<Record<string, WatchedProduct>>
}

/** One product since it is watched. */
export interface WatchedProduct {
  readonly reads: number
  /** Of them, answered from the memory of the process. */
  readonly local: number
  readonly queries: number
  /** Whether the cache client itself has found it to be hot. */
  readonly isHot: boolean
}

export type ToLoad =
  | OpenLoad
  | { readonly kind: 'report'; readonly ask: number }
  /** Everybody wants this product, or again what they like. */
  | { readonly kind: 'sale'; readonly product: string | null }
  | { readonly kind: 'buyers'; readonly ask: number; readonly product: string; readonly callers: number }

export type FromLoad =
  | { readonly kind: 'open' }
  | { readonly kind: 'report'; readonly ask: number; readonly figures: LoadFigures }
  | { readonly kind: 'buyers'; readonly ask: number; readonly tookMs: number; readonly failed: number }

/** What the visitors and writers saw: since they were last asked, or since the start where it says so. */
export interface LoadFigures {
  /** From the moment when a request was due until its answer, or until the visitor gave up. Null: neither happened. */
  readonly p99Ms: number | null
  /** Requests that were never answered. */
  readonly gaveUp: number
  /** Writes that the engine did not acknowledge. */
  readonly unacknowledged: number
  /** These three since the start. */
  readonly acked: number
  readonly readBack: number
  readonly missing: number
  /** Of those that are missing, the newest first, at most 20. */
  readonly lost: readonly { readonly key: string; readonly ackedAt: number }[]
  /** The newest that was acknowledged, as the engine has it; null before the first. */
  readonly lastKey: string | null
  /** A visitor who has something in the cart; null before there is one. */
  readonly buyer: string | null
}
