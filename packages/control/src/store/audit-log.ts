/** One thing that somebody asked to be changed, or was not allowed to see. */
export interface AuditEntry {
  /** Wall clock, ms since 1970. */
  readonly at: number
  /** The name of a user or of a token; empty for the command line and for nobody. */
  readonly who: string
  readonly kind: 'user' | 'token' | 'command line' | 'nobody'
  /** The address that the request came from. */
  readonly from: string
  /** The route: `PUT /api/v1/deployments/:name/spec`. */
  readonly what: string
  /** What its address names: `shop`, `shop/node-1`. Empty: nothing. */
  readonly on: string
  readonly outcome: 'done' | 'denied' | 'failed'
  /** Of the error table, where it was not done. */
  readonly code: string | null
  /** What was sent, without secrets. */
  readonly asked: unknown
  /** What was changed, as it was and as it is. */
  readonly before: unknown
  readonly after: unknown
  /** How many that came to nothing were not written since the one before: they came too fast, or the disk was full. */
  readonly unwritten: number
}

export interface AuditRecord extends AuditEntry {
  readonly seq: number
  /** Of the record before. */
  readonly previous: string
  /** SHA-256 of `previous` and of this record. */
  readonly hash: string
}

export interface AuditVerdict {
  readonly whole: boolean
  /** One sentence: how many records, since when, and where it breaks. */
  readonly because: string
  readonly records: number
  /** The last record. Who notes it elsewhere can tell later whether everything was made anew. */
  readonly last: { readonly seq: number; readonly hash: string } | null
}

/** Append-only: there is no way to change a record, and one that was changed all the same is found. */
export interface AuditLog {
  append(entry: AuditEntry): AuditRecord
  /** The last ones before a seq, the newest first. */
  latest(asked: { readonly limit: number; readonly before?: number }): AuditRecord[]
  /** Reads all of it, and lets others go on meanwhile. */
  verify(): Promise<AuditVerdict>
}
