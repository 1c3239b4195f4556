import type { Gathering, HourSum, Incident } from '@holdfast/core'
import { hourMs, hourOf } from '@holdfast/core'
import type { DatabaseFile, Row } from './database.ts'
import type { LedgerEntry, LedgerStore } from './store.ts'

/** The tables of the ledger, beside the events. The deployment as a whole is the shard without a name. */
export const ledgerTables = `
  CREATE TABLE incidents (
    deployment TEXT NOT NULL,
    id TEXT NOT NULL,
    beganAt INTEGER NOT NULL,
    endedAt INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (deployment, id)
  ) STRICT;
  CREATE TABLE availability (
    deployment TEXT NOT NULL,
    shard TEXT NOT NULL,
    hour INTEGER NOT NULL,
    observedMs INTEGER NOT NULL,
    notWritableMs INTEGER NOT NULL,
    PRIMARY KEY (deployment, shard, hour)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE gatherings (deployment TEXT PRIMARY KEY, format INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
`

/** Rises when a gathering is written differently: one of another format is not gone on with. */
const gatheringFormat = 1
const keptMs = 366 * 24 * hourMs
/** What flaps for days must not fill the disk: the oldest goes. Some 20 MB. */
const incidentsKept = 5000
/** How many one question answers. */
const incidentsAtOnce = 1000

export class SqliteLedger implements LedgerStore {
  readonly #file: DatabaseFile
  readonly #incidentsMax: number
  /** The hour in which old hours were last looked for, by deployment. */
  readonly #prunedIn = new Map<string, number>()

  constructor(file: DatabaseFile, incidentsMax = incidentsKept) {
    this.#file = file
    this.#incidentsMax = incidentsMax
  }

  save(deployment: string, { gathering, incidents, sums, now }: LedgerEntry): void {
    this.#file.transaction(() => {
      this.#file.change(
        'INSERT OR REPLACE INTO gatherings VALUES (?, ?, ?)',
        deployment,
        gatheringFormat,
        JSON.stringify(gathering),
      )
      for (const incident of incidents) this.#saveIncident(incident)
      for (const sum of sums) this.#addSum(deployment, sum)
      if (incidents.length > 0) this.#pruneIncidents(deployment, now - keptMs)
      if (this.#prunedIn.get(deployment) !== hourOf(now)) this.#pruneHours(deployment, now)
    })
  }

  gathering(deployment: string): Gathering | undefined {
    const row = this.#file.row(
      'SELECT body FROM gatherings WHERE deployment = ? AND format = ?',
      deployment,
      gatheringFormat,
    )
    return row === undefined ? undefined : (JSON.parse(String(row['body'])) as Gathering)
  }

  incidents(deployment: string, since: number): Incident[] {
    return this.#file
      .rows(
        `SELECT body FROM incidents WHERE deployment = ? AND (endedAt IS NULL OR endedAt >= ?)
         ORDER BY beganAt DESC LIMIT ?`,
        deployment,
        since,
        incidentsAtOnce,
      )
      .map(({ body }) => JSON.parse(String(body)) as Incident)
  }

  hours(deployment: string, since: number): HourSum[] {
    return this.#file
      .rows(
        'SELECT shard, hour, observedMs, notWritableMs FROM availability WHERE deployment = ? AND hour > ?',
        deployment,
        since - hourMs,
      )
      .map(sumOf)
  }

  forget(deployment: string): void {
    this.#file.transaction(() => {
      for (const table of ['incidents', 'availability', 'gatherings']) {
        this.#file.change(`DELETE FROM ${table} WHERE deployment = ?`, deployment)
      }
    })
  }

  #saveIncident(incident: Incident): void {
    const { deployment, id, beganAt, endedAt } = incident
    this.#file.change(
      'INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?)',
      deployment,
      id,
      beganAt,
      endedAt,
      JSON.stringify(incident),
    )
  }

  #addSum(deployment: string, { shard, hour, observedMs, notWritableMs }: HourSum): void {
    this.#file.change(
      `INSERT INTO availability VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         observedMs = observedMs + excluded.observedMs, notWritableMs = notWritableMs + excluded.notWritableMs`,
      deployment,
      shard ?? '',
      hour,
      observedMs,
      notWritableMs,
    )
  }

  #pruneHours(deployment: string, now: number): void {
    this.#file.change('DELETE FROM availability WHERE deployment = ? AND hour < ?', deployment, now - keptMs)
    this.#prunedIn.set(deployment, hourOf(now))
  }

  #pruneIncidents(deployment: string, before: number): void {
    this.#file.change('DELETE FROM incidents WHERE deployment = ? AND endedAt < ?', deployment, before)
    this.#file.change(
      `DELETE FROM incidents WHERE deployment = ? AND id NOT IN
         (SELECT id FROM incidents WHERE deployment = ? ORDER BY beganAt DESC LIMIT ?)`,
      deployment,
      deployment,
      this.#incidentsMax,
    )
  }
}

const sumOf = ({ shard, hour, observedMs, notWritableMs }: Row): HourSum => ({
  shard: shard === '' ? null : String(shard),
  hour: Number(hour),
  observedMs: Number(observedMs),
  notWritableMs: Number(notWritableMs),
})
