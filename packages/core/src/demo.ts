/** What the demonstration tells its page and its terminal: two lanes on one time axis, and what was done to them. */

/** `holdfast`: the shop with `@holdfast/cache`. `bare`: the same shop with a plain ioredis client, on an engine that nobody keeps up. */
export type LaneName = 'holdfast' | 'bare'

/** What can be done, by the key that does it in a terminal. */
export const demoActions = {
  kill: { key: 'k', label: 'Kill a primary' },
  two: { key: '2', label: 'Kill two at once' },
  freeze: { key: 'f', label: 'Freeze one' },
  cache: { key: 'c', label: 'Kill the whole cache' },
  database: { key: 'd', label: 'Stop the database' },
  hot: { key: 'h', label: 'Flash sale: make one product hot' },
  buyers: { key: 'b', label: '1000 buyers, one product' },
  compare: { key: 'x', label: 'Compare with the engine alone' },
} as const

export type DemoAction = keyof typeof demoActions

/** One second of one lane, counted by the shops and writers themselves. */
export interface LaneSample {
  readonly lane: LaneName
  /** Wall clock at the end of the second, ms since 1970. */
  readonly at: number
  /** Answered in this second. */
  readonly requests: number
  /**
   * Answers of 500 and above, those that never came, carts that were promised and not saved, and writes of the writers
   * that nobody acknowledged.
   */
  readonly errors: number
  /** Pages that were served from an old value and said so. */
  readonly stale: number
  /** Null: nothing was answered. */
  readonly p99Ms: number | null
  /** Questions to the database. */
  readonly queries: number
  /** Pages that needed no question. */
  readonly loadsSaved: number
  /** Since the start: writes that the engine acknowledged, those read back until now, and those that were missing. */
  readonly acked: number
  readonly readBack: number
  readonly missing: number
  /** Since the start. */
  readonly errorsTotal: number
  readonly requestsTotal: number
}

/** A fault, or its end, drawn as a line through both lanes. */
export interface DemoMark {
  readonly at: number
  readonly action: DemoAction
  /** What was done: "SIGKILL to node-1 (primary of shard-1)". */
  readonly what: string
  /** The controller's own sentence, as soon as it has said one. */
  readonly because: string | null
}

export interface DemoKey {
  /** "product 7". */
  readonly label: string
  /** As the engine has it. */
  readonly key: string
}

export interface HotProduct {
  readonly product: string
  readonly perSecond: number
  /** Of the reads, those that the shops' own memory answered: 0.98. */
  readonly servedLocally: number
}

export interface DemoState {
  readonly deployment: string
  readonly startedAt: number
  readonly requestsPerSecond: number
  readonly database: {
    readonly kind: 'PostgreSQL' | 'SQLite'
    readonly delayMs: number
    /** Questions at once, of both shops together, while the cache is away. */
    readonly limit: number
    readonly running: boolean
  }
  readonly compare: 'off' | 'starting' | 'on' | 'stopping'
  /** The last three minutes, oldest first, of both lanes. */
  readonly samples: readonly LaneSample[]
  readonly marks: readonly DemoMark[]
  /** The fault that lasts, by its id: what the stop button ends. */
  readonly faultUnderway: string | null
  /** What the last thousand buyers cost; null before the first. */
  readonly buyers: {
    readonly at: number
    readonly callers: number
    readonly loads: number
    readonly tookMs: number
  } | null
  /** The product on sale, while it is. */
  readonly hot: HotProduct | null
  /** Some keys to follow: products, carts, sessions, and acknowledged writes that are missing. */
  readonly keys: readonly DemoKey[]
  /** Acknowledged writes that were not found again, the newest first, at most 20 a lane. */
  readonly lost: readonly { readonly lane: LaneName; readonly key: string; readonly ackedAt: number }[]
}

/** One frame of the stream `/api/v1/demo/watch`: the whole state first and whenever more than a second's figures changed. */
export type DemoFrame =
  | { readonly kind: 'state'; readonly state: DemoState }
  | { readonly kind: 'sample'; readonly sample: LaneSample }
