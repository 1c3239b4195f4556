/** What a drill writes: each operation writes one key that nobody else writes, and has exactly one outcome. */

/** The kinds of clients that can write during a drill, by the name that people type. */
export const drillClients = {
  ioredis: { what: 'ioredis as it comes, without any timeout', isOurs: false },
  'ioredis-timeouts': { what: 'ioredis with commandTimeout 500 ms and connectTimeout 300 ms', isOurs: false },
  cache: { what: '@holdfast/cache', isOurs: true },
  durable: { what: '@holdfast/cache, acknowledged once a replica has the write', isOurs: true },
} as const satisfies Readonly<Record<string, { readonly what: string; readonly isOurs: boolean }>>

export type ClientKind = keyof typeof drillClients

export const clientKinds = Object.keys(drillClients) as ClientKind[]

/** `indeterminate`: it may have been done. Whatever was sent and not answered is that, and never `failed`. */
export type Outcome = 'ok' | 'failed' | 'indeterminate'

export interface DrillOperation {
  readonly client: ClientKind
  readonly shard: string
  readonly key: string
  readonly value: string
  /** Wall clock, ms since 1970, read off a clock that does not jump. */
  readonly begunAt: number
  readonly endedAt: number
  readonly outcome: Outcome
  /** What the client said where it did not succeed. */
  readonly said: string | null
}
