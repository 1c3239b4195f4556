/**
 * The audit log, in a file of its own: what is written at each request must not hold up what keeps engines running.
 *
 * Each record holds the hash of the one before it, so a record that was changed, taken out or put in
 * breaks the chain from there on. Where the chain begins and where it ends is kept beside it, since the oldest records
 * go after their time and the newest could be cut off.
 *
 * Whoever may write the file can make all of it anew. Against that helps what was noted elsewhere: the hash of the last
 * record, which `holdfast audit --verify` prints.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, renameSync, rmSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import type { AuditEntry, AuditLog, AuditRecord, AuditVerdict } from './audit-log.ts'
import type { Row } from './database.ts'
import { DatabaseFile } from './database.ts'
import type { Home } from './home.ts'

const schema = `
  CREATE TABLE audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
  CREATE INDEX audit_at ON audit (at);
  CREATE TABLE audit_ends (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    firstSeq INTEGER NOT NULL, firstPrevious TEXT NOT NULL, lastSeq INTEGER NOT NULL, lastHash TEXT NOT NULL
  ) STRICT;
  INSERT INTO audit_ends VALUES (1, 1, '', 0, '');
`

interface AuditKeep {
  /** How many records at most. Default: 200 000. */
  readonly records?: number
  /** For how long. Default: 400 days, so that a year can be looked back on. */
  readonly ms?: number
}

const batch = 1000

export class SqliteAudit implements AuditLog {
  readonly #file: DatabaseFile
  readonly #keep: Required<AuditKeep>

  constructor({ home, keep = {} }: { home: Pick<Home, 'audit'>; keep?: AuditKeep }) {
    const { records = 200_000, ms = 400 * 86_400_000 } = keep
    this.#file = new DatabaseFile({ path: home.audit, synchronous: 'FULL', version: 1, schema })
    this.#keep = { records, ms }
  }

  close(): void {
    this.#file.close()
  }

  append(entry: AuditEntry): AuditRecord {
    return this.#file.transaction(() => {
      const { lastSeq, lastHash } = this.#ends()
      const [seq, previous] = [lastSeq + 1, lastHash]
      const body = JSON.stringify({ seq, ...entry })
      const hash = hashOf(previous, body)
      this.#file.change('INSERT INTO audit VALUES (?, ?, ?, ?, ?)', seq, entry.at, body, previous, hash)
      this.#file.change('UPDATE audit_ends SET lastSeq = ?, lastHash = ?', seq, hash)
      this.#letGo(seq, entry.at)
      return { ...entry, seq, previous, hash }
    })
  }

  latest({ limit, before = Number.MAX_SAFE_INTEGER }: { limit: number; before?: number }): AuditRecord[] {
    return this.#file
      .rows('SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?', before, limit)
      .map((row) => ({ ...parsed(row), previous: String(row['previous']), hash: String(row['hash']) }))
  }

  async verify(): Promise<AuditVerdict> {
    const ends = this.#ends()
    let [seq, hash, records] = [ends.firstSeq - 1, ends.firstPrevious, 0]
    let since: number | null = null
    for (;;) {
      const rows = this.#file.rows(
        'SELECT * FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?',
        seq,
        ends.lastSeq,
        batch,
      )
      for (const row of rows) {
        const body = String(row['body'])
        const isNext = row['seq'] === seq + 1 && row['previous'] === hash && row['hash'] === hashOf(hash, body)
        if (!isNext || bodySeq(body) !== seq + 1 || bodyAt(body) !== row['at']) return broken(seq + 1, records)
        ;[seq, hash, records] = [seq + 1, String(row['hash']), records + 1]
        since ??= Number(row['at'])
      }
      if (rows.length < batch) break
      await breathe()
    }
    if (seq !== ends.lastSeq || hash !== ends.lastHash) return broken(seq + 1, records)
    if (since === null) return { whole: true, because: 'nothing was asked yet', records, last: null }
    const because = `${records} records since ${new Date(since).toISOString()}, each as it was written; the last is ${seq}, ${hash.slice(0, 16)}`
    return { whole: true, because, records, last: { seq, hash } }
  }

  /** All of it as it is now, as a file for its owner alone, while others write on. Whole once it has that name. */
  copyTo(path: string): void {
    const part = `${path}.part`
    rmSync(part, { force: true })
    closeSync(openSync(part, 'wx', 0o600))
    this.#file.change('VACUUM INTO ?', part)
    renameSync(part, path)
  }

  /** The oldest go first, and the chain then begins with the hash of the last that went. */
  #letGo(seq: number, now: number): void {
    const tooOld = this.#file.row('SELECT max(seq) AS seq FROM audit WHERE at < ?', now - this.#keep.ms)?.['seq']
    const upTo = Math.min(seq - 1, Math.max(Number(tooOld ?? 0), seq - this.#keep.records))
    const last = this.#file.row('SELECT hash FROM audit WHERE seq = ?', upTo)
    if (last === undefined) return
    this.#file.change('DELETE FROM audit WHERE seq <= ?', upTo)
    this.#file.change('UPDATE audit_ends SET firstSeq = ?, firstPrevious = ?', upTo + 1, String(last['hash']))
  }

  #ends(): { firstSeq: number; firstPrevious: string; lastSeq: number; lastHash: string } {
    const row = this.#file.row('SELECT * FROM audit_ends') ?? {}
    return {
      firstSeq: Number(row['firstSeq']),
      firstPrevious: String(row['firstPrevious']),
      lastSeq: Number(row['lastSeq']),
      lastHash: String(row['lastHash']),
    }
  }
}

function broken(seq: number, records: number): AuditVerdict {
  const because = `record ${seq} is not as it was written, or is missing: it, and all after it, prove nothing. The ${records} before it are whole`
  return { whole: false, because, records, last: null }
}

const hashOf = (previous: string, body: string): string =>
  createHash('sha256').update(`${previous}\n${body}`).digest('hex')

/** We wrote it ourselves; what somebody else wrote there has another hash, and is never read as a record of ours. */
const parsed = (row: Row): AuditEntry & { readonly seq: number } => JSON.parse(String(row['body']))

const bodySeq = (body: string): unknown => fieldOf(body, 'seq')
const bodyAt = (body: string): unknown => fieldOf(body, 'at')

function fieldOf(body: string, key: 'seq' | 'at'): unknown {
  try {
    return (JSON.parse(body) as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}
