/** All that a home keeps in its store, as one value: to bring it into another store, or to keep a copy of it elsewhere. */
import type { Adoption, Document } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'
import { seal, unseal } from './seal.ts'
import type { HomeStore } from './store.ts'

export interface Contents {
  readonly documents: readonly { readonly document: Document; readonly epoch: number }[]
  readonly settings: readonly (readonly [key: string, value: string])[]
  readonly adoptions: readonly Adoption[]
}

export const contentsOf = (store: HomeStore): Contents => ({
  documents: store.names().flatMap((name) => {
    const document = store.load(name)
    return document === undefined ? [] : [{ document, epoch: store.epochOf(name) }]
  }),
  settings: store.settings.keys('').flatMap((key) => {
    const value = store.settings.get(key)
    return value === undefined ? [] : [[key, value] as const]
  }),
  adoptions: store.adoptions.names().flatMap((name) => store.adoptions.load(name) ?? []),
})

/**
 * Brings what is not there yet, so that it can be done again where it was interrupted. `ahead`: by how much epochs are
 * higher than they were; agents obey none below the highest that they have seen. Answers the names of what was brought.
 */
export async function bring(contents: Contents, store: HomeStore, ahead = 0): Promise<string[]> {
  const [documents, adopted] = [store.names(), store.adoptions.names()]
  for (const [key, value] of contents.settings) await store.settings.swap(key, undefined, value)
  const missing = contents.documents.filter(({ document }) => !documents.includes(document.name))
  for (const { document, epoch } of missing) {
    await store.beginAt(document.name, epoch + ahead)
    await store.save({ ...document, revision: 0 })
  }
  const strangers = contents.adoptions.filter(({ name }) => !adopted.includes(name))
  for (const adoption of strangers) await store.adoptions.add(adoption)
  return [...missing.map(({ document }) => document.name), ...strangers.map(({ name }) => name)].sort()
}

const shape = z.strictObject({
  kind: z.literal('holdfast controller'),
  apiVersion: z.literal(1),
  takenAt: z.string(),
  sealed: z.string(),
})
/** Sealed as a copy, and of no use as anything else. */
const label = 'a copy of a controller'

/** As the text of a file that opens with the key of its home alone, which is not in it. */
export function sealContents(contents: Contents, key: Buffer, takenAt: Date): string {
  const file: z.infer<typeof shape> = {
    kind: 'holdfast controller',
    apiVersion: 1,
    takenAt: takenAt.toISOString(),
    sealed: seal(key, label, JSON.stringify(contents)),
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Throws BACKUP_UNREADABLE for what is no such file, and REFUSED_UNSAFE where it does not open with this key. */
export function openContents(
  text: string,
  key: Buffer,
  path: string,
): { readonly takenAt: string; readonly contents: Contents } {
  const { takenAt, sealed } = readCopy(text, path)
  return { takenAt, contents: JSON.parse(unseal(key, label, sealed)) as Contents }
}

function readCopy(text: string, path: string): z.infer<typeof shape> {
  try {
    return shape.parse(JSON.parse(text))
  } catch (error) {
    const because = `${path} is no copy of a controller that this Holdfast can read: name a file that "holdfast backup --controller" wrote`
    throw new HoldfastError('BACKUP_UNREADABLE', because, { path }, error)
  }
}
