/** What an incident is: something that kept, or could have kept, applications from writing, from first sign to healed. */
export type IncidentKind =
  | 'death' // a primary's process ended
  | 'freeze' // a primary was stopped and fenced
  | 'switchover' // a planned handover
  | 'outage' // the probe could not write, and nobody died
  | 'loss' // data was lost, or may have been

export interface IncidentStep {
  /** Wall clock, ms since 1970. */
  readonly at: number
  /** The event that says so. */
  readonly seq: number | null
  readonly because: string
}

/** Who took over a shard, and what is known of what he lacked. */
export interface Promotion {
  readonly shard: string
  readonly from: string | null
  readonly to: string
  /** Replication offset of the dead primary as last seen, and of who was promoted; null: not known. */
  readonly offsetBefore: number | null
  readonly offsetAfter: number | null
}

export interface Incident {
  /** `NAME-SEQ` of its first event: stable, and found again after a restart. */
  readonly id: string
  readonly deployment: string
  readonly kind: IncidentKind
  readonly beganAt: number
  /** Null: it goes on. */
  readonly endedAt: number | null
  readonly shards: readonly string[]
  /** The first sentence that explains it, word for word as the loop said it. */
  readonly because: string
  readonly timeline: readonly IncidentStep[]
  readonly promotions: readonly Promotion[]
  /** Bytes that may have been lost: what whoever took over lacked. 0: nothing; null: not known. */
  readonly possiblyLostBytes: number | null
  /** What in the spec made it worse, each with its remedy. */
  readonly madeWorseBy: readonly string[]
  /** How long the probe could not write, by shard, ms. */
  readonly notWritableMs: Readonly<Record<string, number>>
  /** The drill or fault that caused it on purpose; null: it was none. */
  readonly drill: string | null
}

/** What a probe through the client saw, of one shard or of a whole deployment (all shards together). */
export interface Availability {
  /** How long somebody looked, ms. Time in which nobody did is in neither number. */
  readonly observedMs: number
  readonly notWritableMs: number
  /** 0.99998; null where nobody looked. */
  readonly ratio: number | null
}

export interface Ledger {
  readonly deployment: string
  /** Wall clock, ms since 1970. */
  readonly since: number
  readonly until: number
  /** "99.998 % in 30 days; 3.1 s not writable; 2 deaths, 1 drill". */
  readonly because: string
  readonly availability: Availability
  readonly shards: Readonly<Record<string, Availability>>
  /** The newest first. */
  readonly incidents: readonly Incident[]
}
