import { randomBytes } from 'node:crypto'
import { markSecret } from '@holdfast/core'
import type { Access, ApiToken } from '../../store/access.ts'
import { sameSecret, sha256 } from './secret.ts'

/** The mark of all secrets, an id that says which it is, and 256 bits of chance. */
const pattern = /^hfs_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/

/** The token, which is kept nowhere, and what is kept of it. */
export function newToken(): { readonly text: string; readonly id: string; readonly hash: string } {
  const id = randomBytes(6).toString('hex')
  const text = markSecret(`${id}_${randomBytes(32).toString('base64url')}`)
  return { text, id, hash: hashOf(text) }
}

/** Undefined where there is none, where it is another one's secret, and after its time. */
export function findToken(access: Access, text: string, now: number): ApiToken | undefined {
  const id = pattern.exec(text)?.[1]
  const token = id === undefined ? undefined : access.token(id)
  if (token === undefined || now >= token.expiresAt) return undefined
  return sameSecret(hashOf(text), token.hash) ? token : undefined
}

const hashOf = (text: string): string => sha256(text).toString('hex')
