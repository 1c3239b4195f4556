/**
 * Wanted state in one SQLite file. A document is one row: its text without the secrets, and the secrets sealed beside
 * it. Compare-and-set is one statement, so no two writers can both believe that they were first.
 *
 * A removed deployment leaves its row behind, empty: its revision and its lease epoch go on rising if the name is used
 * again. Agents refuse an epoch below the highest they have seen, and a stale writer must not match a new document.
 */
import type { Document } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { conflict } from './conflict.ts'
import { DatabaseFile } from './database.ts'
import type { Home } from './home.ts'
import { nextLease } from './lease.ts'
import { seal, unseal } from './seal.ts'
import { secretKey } from './secret-key.ts'
import { adoptionTable, SqliteAdoptions } from './sqlite-adoptions.ts'
import { anySealedSetting, SqliteSettings, settingsTable } from './sqlite-settings.ts'
import type { AdoptionStore, HomeStore, Lease, LeaseClaim, Settings } from './store.ts'

const schema = `
  CREATE TABLE documents (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    apiVersion INTEGER NOT NULL,
    body TEXT,
    sealed TEXT
  ) STRICT;
  CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    until REAL NOT NULL,
    boot TEXT NOT NULL
  ) STRICT;
  ${settingsTable}
`

/** What was saved while a spec that says nothing of backups meant none says so from now on. */
const backupsSaidToBeOff = `
  UPDATE documents SET revision = revision + 1, body = json_set(body, '$.spec.backup', 'off')
    WHERE body IS NOT NULL AND json_type(body, '$.spec.backup') IS NULL;
`

const apiVersionKnown = 1

export interface SqliteStoreOptions {
  readonly home: Pick<Home, 'state' | 'key'>
  /** Which boot of this machine it is: a lease of another boot has expired, since its clock is gone. */
  readonly bootId: string
}

export class SqliteStore implements HomeStore {
  readonly isShared = false
  readonly leaseMs = 6000
  readonly adoptions: AdoptionStore
  readonly settings: Settings
  readonly #file: DatabaseFile
  readonly #key: Buffer
  readonly #bootId: string
  /** Documents as last read: what a revision says never changes. */
  readonly #loaded = new Map<string, Document>()

  constructor({ home, bootId }: SqliteStoreOptions) {
    this.#bootId = bootId
    this.#file = new DatabaseFile({
      path: home.state,
      synchronous: 'FULL',
      version: 3,
      schema,
      changes: [adoptionTable, backupsSaidToBeOff],
    })
    try {
      const sealed =
        this.#file.row('SELECT 1 AS found FROM documents WHERE sealed IS NOT NULL LIMIT 1') ??
        this.#file.row('SELECT 1 AS found FROM adoptions LIMIT 1') ??
        this.#file.row(anySealedSetting)
      this.#key = secretKey(home.key, sealed === undefined)
      this.adoptions = new SqliteAdoptions(this.#file, this.#key)
      this.settings = new SqliteSettings(this.#file, this.#key)
    } catch (error) {
      this.#file.close()
      throw error
    }
  }

  names(): string[] {
    return this.#file
      .rows('SELECT name FROM documents WHERE body IS NOT NULL ORDER BY name')
      .map((row) => String(row['name']))
  }

  load(name: string): Document | undefined {
    const row = this.#file.row(
      'SELECT revision, apiVersion, body, sealed FROM documents WHERE name = ? AND body IS NOT NULL',
      name,
    )
    if (row === undefined) return undefined
    const known = this.#loaded.get(name)
    if (known?.revision === Number(row['revision'])) return structuredClone(known)
    if (Number(row['apiVersion']) > apiVersionKnown) throw newerDocument(name, Number(row['apiVersion']))
    const secrets: unknown = JSON.parse(unseal(this.#key, name, String(row['sealed'])))
    const body: unknown = JSON.parse(String(row['body']))
    const document = { ...asObject(body), revision: Number(row['revision']), secrets }
    if (!isDocument(document)) throw damaged(name)
    this.#loaded.set(name, structuredClone(document))
    return document
  }

  async save(document: Document): Promise<Document> {
    const { secrets, revision, ...rest } = document
    const text = { body: JSON.stringify(rest), sealed: seal(this.#key, document.name, JSON.stringify(secrets)) }
    const saved = revision === 0 ? this.#create(document, text) : this.#replace(document, text)
    if (saved === undefined) throw conflict(document.name, revision)
    return { ...document, revision: saved }
  }

  async remove(name: string): Promise<void> {
    this.#file.change(
      'UPDATE documents SET revision = revision + 1, body = NULL, sealed = NULL WHERE name = ? AND body IS NOT NULL',
      name,
    )
  }

  async lease(name: string, claim: LeaseClaim): Promise<Lease> {
    return this.#renew(name, claim) ?? this.#claim(name, claim)
  }

  async release(name: string, holder: string): Promise<void> {
    this.#file.change("UPDATE leases SET holder = '', until = 0 WHERE name = ? AND holder = ?", name, holder)
  }

  epochOf(name: string): number {
    return Number(this.#file.row('SELECT epoch FROM leases WHERE name = ?', name)?.['epoch'] ?? 0)
  }

  async beginAt(name: string, epoch: number): Promise<void> {
    this.#file.change("INSERT OR IGNORE INTO leases VALUES (?, '', ?, 0, '')", name, epoch)
  }

  onChange(): () => void {
    return () => undefined
  }

  close(): void {
    this.#file.close()
  }

  /**
   * The holder's own renewal, each second: it does not wait for the disk, which may be slow just when a failover must
   * not be. What a power failure could undo is worth nothing after it, since a lease of another boot has expired.
   */
  #renew(name: string, { holder, now, forMs }: LeaseClaim): Lease | undefined {
    const until = now + forMs
    const renewed = this.#file.changeUnsynced(
      'UPDATE leases SET until = ? WHERE name = ? AND holder = ? AND boot = ?',
      until,
      name,
      holder,
      this.#bootId,
    )
    if (renewed === 0) return undefined
    const row = this.#file.row('SELECT epoch FROM leases WHERE name = ? AND holder = ?', name, holder)
    return row === undefined ? undefined : { holder, epoch: Number(row['epoch']), until }
  }

  #claim(name: string, claim: LeaseClaim): Lease {
    return this.#file.transaction(() => {
      const found = this.#file.row('SELECT holder, epoch, until, boot FROM leases WHERE name = ?', name)
      const lease = nextLease(
        found && {
          holder: String(found['holder']),
          epoch: Number(found['epoch']),
          // The clock of another boot says nothing, and neither does its holder.
          until: found['boot'] === this.#bootId ? Number(found['until']) : 0,
          released: found['boot'] !== this.#bootId || found['holder'] === '',
        },
        claim,
      )
      if (lease.holder === claim.holder) {
        this.#file.change(
          `INSERT INTO leases (name, holder, epoch, until, boot) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
             until = excluded.until, boot = excluded.boot`,
          name,
          lease.holder,
          lease.epoch,
          lease.until,
          this.#bootId,
        )
      }
      return lease
    })
  }

  /** The revision that it got, or undefined if there is a document of that name. */
  #create({ name, apiVersion }: Document, { body, sealed }: DocumentText): number | undefined {
    return this.#file.transaction(() => {
      const created = this.#file.change(
        `INSERT INTO documents (name, revision, apiVersion, body, sealed) VALUES (?, 1, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET revision = revision + 1, apiVersion = excluded.apiVersion,
           body = excluded.body, sealed = excluded.sealed WHERE body IS NULL`,
        name,
        apiVersion,
        body,
        sealed,
      )
      // After a removal the count goes on from where it was.
      const row = this.#file.row('SELECT revision FROM documents WHERE name = ?', name)
      return created === 0 ? undefined : Number(row?.['revision'])
    })
  }

  #replace({ name, revision, apiVersion }: Document, { body, sealed }: DocumentText): number | undefined {
    const replaced = this.#file.change(
      `UPDATE documents SET revision = revision + 1, apiVersion = ?, body = ?, sealed = ?
       WHERE name = ? AND revision = ? AND body IS NOT NULL AND apiVersion <= ${apiVersionKnown}`,
      apiVersion,
      body,
      sealed,
      name,
      revision,
    )
    return replaced === 0 ? undefined : revision + 1
  }
}

/** A document as it is stored. The revision is in its column alone: here it would be one behind. */
interface DocumentText {
  readonly body: string
  readonly sealed: string
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

/** We wrote it ourselves, so this looks only for what would do harm if it were not there. */
function isDocument(value: object): value is Document {
  return (
    'name' in value &&
    'nodes' in value &&
    Array.isArray(value.nodes) &&
    'operations' in value &&
    Array.isArray(value.operations) &&
    'spec' in value &&
    'wanted' in value &&
    'secrets' in value &&
    typeof value.secrets === 'object'
  )
}

function damaged(name: string): HoldfastError {
  return new HoldfastError(
    'REFUSED_UNSAFE',
    `the stored document of "${name}" is damaged. Put back a copy of state.db; running engines are not touched meanwhile.`,
    { name },
  )
}

function newerDocument(name: string, apiVersion: number): HoldfastError {
  return new HoldfastError(
    'HOST_HOME_NEWER',
    `deployment "${name}" was saved by a newer Holdfast (version ${apiVersion} of its document, this one knows ${apiVersionKnown}). Run that version.`,
    { name, apiVersion, known: apiVersionKnown },
  )
}
