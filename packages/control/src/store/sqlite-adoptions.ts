import type { Adoption } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import type { DatabaseFile } from './database.ts'
import { seal, unseal } from './seal.ts'
import type { AdoptionStore } from './store.ts'

/** Beside the documents and not among them: whoever acts on a deployment loads a document, and finds none. */
export const adoptionTable = `
  CREATE TABLE adoptions (name TEXT PRIMARY KEY, apiVersion INTEGER NOT NULL, body TEXT NOT NULL, sealed TEXT NOT NULL) STRICT;
`

export class SqliteAdoptions implements AdoptionStore {
  readonly #file: DatabaseFile
  readonly #key: Buffer

  constructor(file: DatabaseFile, key: Buffer) {
    this.#file = file
    this.#key = key
  }

  names(): string[] {
    return this.#file.rows('SELECT name FROM adoptions ORDER BY name').map((row) => String(row['name']))
  }

  load(name: string): Adoption | undefined {
    const row = this.#file.row('SELECT apiVersion, body, sealed FROM adoptions WHERE name = ?', name)
    if (row === undefined) return undefined
    if (Number(row['apiVersion']) !== 1) {
      throw new HoldfastError('HOST_HOME_NEWER', `${name} was adopted by a newer Holdfast. Run that version.`, { name })
    }
    const body = JSON.parse(String(row['body'])) as Omit<Adoption, 'secrets'>
    const secrets = JSON.parse(unseal(this.#key, adoptionLabel(name), String(row['sealed']))) as Adoption['secrets']
    return { ...body, secrets }
  }

  async add(adoption: Adoption): Promise<void> {
    const { name, apiVersion, secrets, ...body } = adoption
    const sealed = seal(this.#key, adoptionLabel(name), JSON.stringify(secrets))
    const text = JSON.stringify({ apiVersion, name, ...body })
    this.#file.transaction(() => {
      const taken =
        this.#file.row('SELECT name FROM documents WHERE name = ? AND body IS NOT NULL', name) ??
        this.#file.row('SELECT name FROM adoptions WHERE name = ?', name)
      if (taken !== undefined) throw nameTaken(name)
      this.#file.change('INSERT INTO adoptions VALUES (?, ?, ?, ?)', name, apiVersion, text, sealed)
    })
  }

  /** Where its nodes are now; nothing where it was forgotten meanwhile. */
  async relocate(adoption: Adoption): Promise<void> {
    const { secrets: _, ...body } = adoption
    this.#file.change('UPDATE adoptions SET body = ? WHERE name = ?', JSON.stringify(body), adoption.name)
  }

  async remove(name: string): Promise<void> {
    this.#file.change('DELETE FROM adoptions WHERE name = ?', name)
  }
}

/** Sealed for an adoption, and of no use beside a document of the same name. */
export const adoptionLabel = (name: string): string => `adopted ${name}`

export const nameTaken = (name: string): HoldfastError =>
  new HoldfastError('REFUSED_UNSAFE', `there is a deployment ${name} already: choose another --name`, { name })
