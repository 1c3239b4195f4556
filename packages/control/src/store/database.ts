import { closeSync, openSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import Database from 'libsql'
import { onDisk } from './disk-error.ts'

export interface DatabaseOptions {
  readonly path: string
  /** FULL: a write is on disk when it returns. NORMAL: a power failure may cost the last writes, never the file. */
  readonly synchronous: 'FULL' | 'NORMAL'
  /** How the file looks now; rises with every change of the tables. */
  readonly version: number
  /** Makes the tables of version 1. */
  readonly schema: string
  /** What each later version changed, version 2 first. A file goes through all that it has not had yet. Default: none. */
  readonly changes?: readonly string[]
}

/** One row. What the tables here hold: texts, numbers and nulls. */
export type Row = Readonly<Record<string, string | number | null>>

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null

/** How long another process may hold the file. Its transactions take milliseconds. */
const lockedMsMax = 2000

/**
 * One SQLite file: opened, checked, and every error of it explained. Write-ahead logging, so that readers do not wait;
 * its locks are the kernel's and end with the process, however it ends.
 */
export class DatabaseFile {
  readonly path: string
  readonly #db: Database.Database
  readonly #synchronous: DatabaseOptions['synchronous']

  constructor({ path, synchronous, version, schema, changes = [] }: DatabaseOptions) {
    this.path = path
    this.#synchronous = synchronous
    this.#db = onDisk(path, () => {
      // SQLite would make the file readable for others; its log takes the permissions of the file.
      closeSync(openSync(path, 'a', 0o600))
      return new Database(path)
    })
    try {
      this.run(() => {
        this.#db.pragma(`busy_timeout = ${lockedMsMax}`)
        this.#db.pragma('journal_mode = WAL')
        this.#db.pragma(`synchronous = ${synchronous}`)
        this.#db.pragma('secure_delete = ON')
      })
      const found = Number(this.row('PRAGMA user_version')?.['user_version'] ?? 0)
      if (found > version) {
        throw new HoldfastError(
          'HOST_HOME_NEWER',
          `${path} was written by a newer Holdfast (layout ${found}, this one knows ${version}). Run that version, or name another HOLDFAST_HOME.`,
          { path, found, known: version },
        )
      }
      if (found < version) {
        this.transaction(() => {
          for (const step of [schema, ...changes].slice(found, version)) this.#db.exec(step)
          this.#db.exec(`PRAGMA user_version = ${version}`)
        })
      }
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  run<T>(work: () => T): T {
    return onDisk(this.path, work)
  }

  /**
   * The first row, or undefined. For reading only: the driver does not tell if what `RETURNING` answered could not be
   * committed after it.
   */
  row(sql: string, ...values: (string | number)[]): Row | undefined {
    const found: unknown = this.run(() => this.#db.prepare(sql).get(...values))
    return isRow(found) ? found : undefined
  }

  rows(sql: string, ...values: (string | number)[]): Row[] {
    return this.run(() => this.#db.prepare(sql).all(...values)).filter(isRow)
  }

  /** How many rows it changed. */
  change(sql: string, ...values: (string | number | null)[]): number {
    return this.run(() => this.#db.prepare(sql).run(...values).changes)
  }

  /** The same without waiting for the disk: a power failure may undo it, the end of a process does not. */
  changeUnsynced(sql: string, ...values: (string | number | null)[]): number {
    return this.run(() => {
      this.#db.pragma('synchronous = NORMAL')
      try {
        return this.#db.prepare(sql).run(...values).changes
      } finally {
        this.#db.pragma(`synchronous = ${this.#synchronous}`)
      }
    })
  }

  /** All or nothing, with the write lock from the start: two who read before they write cannot both go on. */
  transaction<T>(work: () => T): T {
    return this.run(() => {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        const result = work()
        this.#db.exec('COMMIT')
        return result
      } catch (error) {
        // On a full disk the engine has rolled back already, and a second time would hide why.
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    })
  }

  close(): void {
    if (this.#db.open) this.#db.close()
  }
}
