import type { Action, EventDraft, EventKind, HoldfastEvent } from '@holdfast/core'
import { eventKinds, hideSecrets } from '@holdfast/core'
import type { Row } from './database.ts'
import { DatabaseFile } from './database.ts'
import { eventsAtOnce, eventsKept } from './event-limits.ts'
import type { Home } from './home.ts'
import { ledgerTables, SqliteLedger } from './sqlite-ledger.ts'
import type { History, LedgerStore } from './store.ts'

const schema = `
  CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    deployment TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    because TEXT NOT NULL,
    cause TEXT,
    actor TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_of_deployment ON events (deployment, seq);
`

const actionColumn = 'ALTER TABLE events ADD COLUMN action TEXT;'

/**
 * The ordered log in one SQLite file, bounded: the oldest event goes when the newest comes. A power failure may cost
 * its last lines, which is why nothing is ever decided from it.
 */
export class SqliteHistory implements History {
  /** What is made of the events is in the same file. */
  readonly ledger: LedgerStore
  readonly #file: DatabaseFile
  readonly #eventsMax: number
  readonly #listeners = new Set<(event: HoldfastEvent) => void>()

  constructor({ home, eventsMax = eventsKept }: { home: Pick<Home, 'history'>; eventsMax?: number }) {
    const tables = { version: 3, schema, changes: [ledgerTables, actionColumn] }
    this.#file = new DatabaseFile({ path: home.history, synchronous: 'NORMAL', ...tables })
    this.ledger = new SqliteLedger(this.#file)
    this.#eventsMax = eventsMax
  }

  append(told: EventDraft): HoldfastEvent {
    // An engine's own words may be in these, and nobody knows what it repeats.
    const cause = told.cause === null ? null : hideSecrets(told.cause)
    const draft = { ...told, because: hideSecrets(told.because), cause }
    const event = this.#file.transaction(() => {
      this.#file.change(
        `INSERT INTO events (epoch, at, deployment, kind, subject, because, cause, actor, action) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        draft.epoch,
        draft.at,
        draft.deployment,
        draft.kind,
        draft.subject,
        draft.because,
        draft.cause,
        draft.actor,
        draft.action ?? null,
      )
      const seq = Number(this.#file.row('SELECT max(seq) AS seq FROM events')?.['seq'])
      this.#file.change('DELETE FROM events WHERE seq <= ?', seq - this.#eventsMax)
      return { seq, ...draft }
    })
    for (const listener of this.#listeners) listener(event)
    return event
  }

  since(seq: number, { deployment, limit = eventsAtOnce }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    const rows =
      deployment === undefined
        ? this.#file.rows('SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?', seq, limit)
        : this.#file.rows(
            'SELECT * FROM events WHERE deployment = ? AND seq > ? ORDER BY seq LIMIT ?',
            deployment,
            seq,
            limit,
          )
    return rows.map(eventOf)
  }

  latest({ deployment, limit = eventsAtOnce }: { deployment?: string; limit?: number }): HoldfastEvent[] {
    const rows =
      deployment === undefined
        ? this.#file.rows('SELECT * FROM events ORDER BY seq DESC LIMIT ?', limit)
        : this.#file.rows('SELECT * FROM events WHERE deployment = ? ORDER BY seq DESC LIMIT ?', deployment, limit)
    return rows.reverse().map(eventOf)
  }

  subscribe(listener: (event: HoldfastEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#listeners.clear()
    this.#file.close()
  }
}

function eventOf(row: Row): HoldfastEvent {
  return {
    seq: Number(row['seq']),
    epoch: Number(row['epoch']),
    at: Number(row['at']),
    deployment: String(row['deployment']),
    kind: kindOf(row['kind']),
    subject: String(row['subject']),
    because: String(row['because']),
    cause: row['cause'] === null ? null : String(row['cause']),
    actor: String(row['actor']),
    ...(row['action'] == null ? {} : { action: String(row['action']) as Action['kind'] }),
  }
}

/** A later version may have written kinds that this one does not know: they are still sentences to read. */
const kindOf = (text: unknown): EventKind => eventKinds.find((kind) => kind === text) ?? 'turn'
