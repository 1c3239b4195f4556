import type { Adoption, Document, EventDraft, Gathering, HoldfastEvent, HourSum, Incident } from '@holdfast/core'

/**
 * Where wanted state lives. Compare-and-set on the document's revision; one lease a deployment, whose epoch rises
 * each time it changes hands. Reading is from what this process knows, and may be older than what another has just
 * written; writing finds that out. Every write is on disk when it is over.
 */
export interface Store {
  /** Whether controllers of other machines have the same: "this machine" is then another one for each. */
  readonly isShared: boolean
  /** For how long a lease is taken. It is renewed three times in that. */
  readonly leaseMs: number
  names(): string[]
  load(name: string): Document | undefined
  /** Saves if the stored revision is still `document.revision`, and answers the document with the next one. Throws SPEC_CONFLICT otherwise. */
  save(document: Document): Promise<Document>
  remove(name: string): Promise<void>
  /** Takes or renews the lease. Answers the one in force, which may be another's. */
  lease(name: string, claim: LeaseClaim): Promise<Lease>
  /** Gives the lease back, if it is still this holder's. */
  release(name: string, holder: string): Promise<void>
  readonly settings: Settings
  /**
   * Calls back when another process has changed something that is known here, or its lease has ended: with the name of
   * the deployment, or without where it belongs to none. Answers how to stop. A store of one machine says nothing: its
   * loops look each second anyway.
   */
  onChange(listener: (deployment: string | undefined) => void): () => void
  close(): void
}

/**
 * What belongs to a home and to no deployment, as texts by name: the administrator's hash, the authority, hosts, tokens.
 * All controllers of the home have the same. Whatever can be sealed is sealed.
 */
export interface Settings {
  get(key: string): string | undefined
  /** The names that begin so, in order. */
  keys(prefix: string): string[]
  /** Writes `after` where there still is `before`; undefined: nothing. Answers whether it did. */
  swap(key: string, before: string | undefined, after: string | undefined): Promise<boolean>
}

/** What a home keeps beside its deployments. */
export interface HomeStore extends Store {
  readonly adoptions: AdoptionStore
  /** The highest epoch in which anybody has acted on it; 0: nobody has. */
  epochOf(name: string): number
  /** The first epoch of a name that had none yet is higher than this one. */
  beginAt(name: string, epoch: number): Promise<void>
}

/** Deployments that somebody else runs. No lease and no revision: nobody acts on them, and nobody edits them. */
export interface AdoptionStore {
  names(): string[]
  load(name: string): Adoption | undefined
  /** Throws REFUSED_UNSAFE where the name is taken, by a deployment of ours or by another of these. */
  add(adoption: Adoption): Promise<void>
  /** Saves where its nodes are now; of one that was forgotten, nothing. */
  relocate(adoption: Adoption): Promise<void>
  remove(name: string): Promise<void>
}

export interface LeaseClaim {
  readonly holder: string
  /** Monotonic ms of this boot. */
  readonly now: number
  readonly forMs: number
}

export interface Lease {
  readonly holder: string
  readonly epoch: number
  readonly until: number
}

/** The ordered log of what happened, separate from what is wanted. */
export interface History {
  append(event: EventDraft): HoldfastEvent
  /** Events after `seq`, oldest first. */
  since(seq: number, filter: { deployment?: string; limit?: number }): HoldfastEvent[]
  /** The last `limit` events, oldest first. */
  latest(filter: { deployment?: string; limit?: number }): HoldfastEvent[]
  /** Calls back for each appended event; answers how to stop. */
  subscribe(listener: (event: HoldfastEvent) => void): () => void
  close(): void
}

/** What is kept of a deployment's ledger: its incidents and its hours for a year, and how far they are gathered. */
export interface LedgerStore {
  /** All or nothing: sums are added to what is there, incidents replace those of the same id. */
  save(deployment: string, entry: LedgerEntry): void
  /** What was last saved; undefined where nothing was, or another version of Holdfast wrote it. */
  gathering(deployment: string): Gathering | undefined
  /** Those that had not ended by then, the newest first. */
  incidents(deployment: string, since: number): Incident[]
  /** Of the hours that had not ended by then. */
  hours(deployment: string, since: number): HourSum[]
  forget(deployment: string): void
}

export interface LedgerEntry {
  readonly gathering: Gathering
  readonly incidents: readonly Incident[]
  readonly sums: readonly HourSum[]
  /** Wall clock, ms since 1970: what ended a year before goes. */
  readonly now: number
}
