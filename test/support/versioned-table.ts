/**
 * A store over a table of PostgreSQL, right for write-through and write-behind, and meant to be copied.
 *
 * Each row carries the version of its value. A write that brings a version changes nothing if the row has that version
 * or a newer one, so the same write may come twice, late, or from a process that thought it was still in charge. What is
 * removed leaves a row without a value: without it, an older write that comes late would bring the value back.
 */
import type { Pool } from 'pg'
import type { Store, StoreWrite } from '../../packages/cache/src/store.ts'

interface Row {
  readonly key: string
  readonly value: unknown
  readonly removed: boolean
  /** `bigint` comes as text. */
  readonly version: string
}

/** Makes the table if it is not there. `table` is put into SQL as it is: it must not come from outside. */
export async function versionedTable<T>(
  pool: Pool,
  table: string,
): Promise<Store<T> & Required<Pick<Store<T>, 'saveMany'>>> {
  await pool.query(`CREATE TABLE IF NOT EXISTS ${table} (key text PRIMARY KEY, value jsonb, version bigint NOT NULL)`)

  const loadMany = async (keys: readonly string[]) => {
    const found = await pool.query<Row>(
      `SELECT key, value, value IS NULL AS removed, version FROM ${table} WHERE key = ANY($1)`,
      [keys],
    )
    const rows = new Map(found.rows.map((row) => [row.key, row]))
    return keys.map((key) => {
      const row = rows.get(key)
      return row === undefined || row.removed ? undefined : { value: row.value as T, version: Number(row.version) }
    })
  }

  /** With versions: one statement, and so one transaction. */
  const saveVersioned = async (writes: readonly (StoreWrite<T> & { readonly version: number })[]) => {
    // In the order of their keys, so that two processes that save the same rows never wait for each other in a circle.
    const sorted = [...writes].sort((a, b) => (a.key < b.key ? -1 : 1))
    const changed = await pool.query<Pick<Row, 'key' | 'version'>>(
      `INSERT INTO ${table} AS row (key, value, version)
       SELECT * FROM unnest($1::text[], $2::jsonb[], $3::bigint[])
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version
       WHERE row.version < excluded.version
       RETURNING key, version`,
      [sorted.map(({ key }) => key), sorted.map(jsonOf), sorted.map(({ version }) => version)],
    )
    const versions = new Map(changed.rows.map(({ key, version }) => [key, Number(version)]))
    const unchanged = writes.map(({ key }) => key).filter((key) => !versions.has(key))
    if (unchanged.length > 0) {
      const newer = await pool.query<Row>(`SELECT key, version FROM ${table} WHERE key = ANY($1)`, [unchanged])
      for (const { key, version } of newer.rows) versions.set(key, Number(version))
    }
    return versions
  }

  /** Without a version the table counts on by itself, at least with the microseconds, as the queue does. */
  const saveNext = async (write: StoreWrite<T>): Promise<number> => {
    const micros = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint'
    const saved = await pool.query<Pick<Row, 'version'>>(
      `INSERT INTO ${table} AS row (key, value, version) VALUES ($1, $2, ${micros})
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = greatest(row.version + 1, excluded.version)
       RETURNING version`,
      [write.key, jsonOf(write)],
    )
    return Number(saved.rows[0]?.version)
  }

  const saveMany = async (writes: readonly StoreWrite<T>[]) => {
    const versions = await saveVersioned(writes.filter((write) => isVersioned(write)))
    for (const write of writes) if (!isVersioned(write)) versions.set(write.key, await saveNext(write))
    return writes.map(({ key }) => ({ version: versions.get(key) ?? Number.NaN }))
  }

  return {
    async load(key) {
      const [found] = await loadMany([key])
      return found
    },
    loadMany,
    async save(write) {
      const [saved] = await saveMany([write])
      return saved ?? { version: Number.NaN }
    },
    saveMany,
  }
}

const isVersioned = <T>(write: StoreWrite<T>): write is StoreWrite<T> & { readonly version: number } =>
  write.version !== undefined

const jsonOf = ({ value }: { readonly value: unknown }): string | null =>
  value === undefined ? null : JSON.stringify(value)
