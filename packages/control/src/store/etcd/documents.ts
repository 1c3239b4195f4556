import type { Document } from '@holdfast/core'
import type { Entry } from './gateway.ts'

/** What lies below a document's key. `text` null: it was removed, and its revision goes on from there. */
export interface KeptDocument {
  readonly revision: number
  readonly text: { readonly body: Omit<Document, 'secrets' | 'revision'>; readonly sealed: string } | null
}

/** Where the document of a deployment is, below the prefix of the home. */
export const documentKey = (name: string): string => `documents/${name}`

export const keptIn = ({ value }: Entry): KeptDocument => JSON.parse(value) as KeptDocument

/** Whether there is a document now. */
export const isDocument = (entry: Entry | undefined): boolean => entry !== undefined && keptIn(entry).text !== null
