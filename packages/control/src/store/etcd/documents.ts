import type { Document } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { seal, unseal } from '../seal.ts'
import type { Entry } from './gateway.ts'

/** What lies below a document's key. `text` null: it was removed, and its revision goes on from there. */
export interface KeptDocument {
  readonly revision: number
  readonly text: DocumentText | null
}

/** The document without its secrets, and the secrets, which open beside this very text alone. */
export interface DocumentText {
  readonly body: string
  readonly sealed: string
}

/** Where the document of a deployment is, below the prefix of the home. */
export const documentKey = (name: string): string => `documents/${name}`

export const keptIn = ({ value }: Entry): KeptDocument => JSON.parse(value) as KeptDocument

/** Whether there is a document now. */
export const isDocument = (entry: Entry | undefined): boolean => entry !== undefined && keptIn(entry).text !== null

/** Whoever gets into etcd without the key can take documents away, and bring back older ones, but make none. */
export function textOfDocument({ secrets, ...body }: Document, revision: number, key: Buffer): DocumentText {
  const text = JSON.stringify({ ...body, revision: undefined })
  return { body: text, sealed: seal(key, labelOf(body.name, revision, text), JSON.stringify(secrets)) }
}

/** Throws REFUSED_UNSAFE for one that no controller of this home has written. */
export function openDocument(name: string, { revision, text }: KeptDocument, key: Buffer): Document | undefined {
  if (text === null) return undefined
  const secrets = JSON.parse(unseal(key, labelOf(name, revision, text.body), text.sealed)) as Document['secrets']
  const body = JSON.parse(text.body) as Omit<Document, 'secrets' | 'revision'>
  if (body.apiVersion > 1) {
    const sentence = `deployment "${name}" was saved by a newer Holdfast. Run that version here, too.`
    throw new HoldfastError('HOST_HOME_NEWER', sentence, { name })
  }
  return { ...body, revision, secrets }
}

const labelOf = (name: string, revision: number, body: string): string => `document ${name} ${revision}\n${body}`
