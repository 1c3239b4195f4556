import type { DatabaseFile } from './database.ts'
import { seal, unseal } from './seal.ts'
import type { Settings } from './store.ts'

export const settingsTable = 'CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;'

/** What earlier versions wrote is not sealed, and read as it is. */
const sealedMark = 'sealed:'

/** Finds one, where there is any: then the key must not be made anew. */
export const anySealedSetting = `SELECT 1 AS found FROM settings WHERE value LIKE '${sealedMark}%' LIMIT 1`

export class SqliteSettings implements Settings {
  readonly #file: DatabaseFile
  readonly #key: Buffer

  constructor(file: DatabaseFile, key: Buffer) {
    this.#file = file
    this.#key = key
  }

  get(key: string): string | undefined {
    const value = this.#file.row('SELECT value FROM settings WHERE key = ?', key)?.['value']
    if (value === undefined) return undefined
    const text = String(value)
    return text.startsWith(sealedMark) ? unseal(this.#key, settingLabel(key), text.slice(sealedMark.length)) : text
  }

  keys(prefix: string): string[] {
    return this.#file
      .rows('SELECT key FROM settings WHERE substr(key, 1, length(?)) = ? ORDER BY key', prefix, prefix)
      .map((row) => String(row['key']))
  }

  async swap(key: string, before: string | undefined, after: string | undefined): Promise<boolean> {
    return this.#file.transaction(() => {
      if (this.get(key) !== before) return false
      if (after === undefined) this.#file.change('DELETE FROM settings WHERE key = ?', key)
      else {
        this.#file.change(
          'INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
          key,
          sealedMark + seal(this.#key, settingLabel(key), after),
        )
      }
      return true
    })
  }
}

/** Sealed for one setting, and of no use as another. */
export const settingLabel = (key: string): string => `setting ${key}`
