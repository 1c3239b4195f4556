/**
 * The database behind the shops: a real PostgreSQL where one is installed, else SQLite. Deliberately slow, and it takes
 * few questions at once, as databases do that were sized for a day with a cache.
 */
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseFile } from '../store/database.ts'
import { goods } from './goods.ts'
import { findPostgres, Postgres } from './postgres.ts'

/** How long a question takes, ms. */
export const questionMs = 40
/** Questions at once, of all shops of a lane together. */
export const questionsAtOnce = 8

/** Where a shop finds it. */
export type DatabasePlace =
  | { readonly kind: 'PostgreSQL'; readonly port: number; readonly user: string; readonly password: string }
  | { readonly kind: 'SQLite'; readonly path: string }

export interface DemoDatabase {
  readonly place: DatabasePlace
  readonly running: boolean
  /** Ends it in the middle of whatever it does. */
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

/** The database, filled and running. `folder` is the demonstration's own. */
export async function openDatabase(folder: string): Promise<DemoDatabase> {
  const programs = await findPostgres()
  return programs === undefined ? new Sqlite(folder) : Postgres.open(programs, folder)
}

/** One file in a folder. The shops look for it before each question; stopping it is moving it away. */
export class Sqlite implements DemoDatabase {
  readonly place: DatabasePlace
  readonly #path: string

  constructor(folder: string) {
    const path = join(folder, 'shop.db')
    this.#path = path
    this.place = { kind: 'SQLite', path }
    const schema = 'CREATE TABLE product (id TEXT PRIMARY KEY, name TEXT, price_cents INTEGER, stock INTEGER)'
    const file = new DatabaseFile({ path, synchronous: 'NORMAL', version: 1, schema })
    file.transaction(() => {
      for (const { id, name, priceCents, stock } of goods()) {
        file.change('INSERT INTO product VALUES (?, ?, ?, ?)', id, name, priceCents, stock)
      }
    })
    file.close()
  }

  get running(): boolean {
    return existsSync(this.#path)
  }

  async stop(): Promise<void> {
    if (this.running) renameSync(this.#path, `${this.#path}.away`)
  }

  async start(): Promise<void> {
    if (!this.running) renameSync(`${this.#path}.away`, this.#path)
  }

  async close(): Promise<void> {}
}
