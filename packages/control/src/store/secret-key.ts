import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import { onDisk } from './disk-error.ts'

const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/**
 * The key that seals what is secret in the home. Made once; where two processes make it at the same moment, the link
 * decides and both read the winner's. `mayCreate` is false where something is sealed already: a second key would only
 * hide that the first one is lost.
 */
export function secretKey(path: string, mayCreate: boolean): Buffer {
  return onDisk(path, () => {
    const existing = readKey(path)
    if (existing !== undefined) return existing
    if (!mayCreate) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        `${path} is missing, and secrets are sealed with it. Put it back: without it no engine can be signed in to.`,
        { path },
      )
    }
    createKey(path)
    const created = readKey(path)
    if (created === undefined) throw new Error(`${path} is gone right after it was written`)
    return created
  })
}

function readKey(path: string): Buffer | undefined {
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
    const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64')
    if (key.length === keyBytes) return key
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  throw new HoldfastError('REFUSED_UNSAFE', `${path} is not a key of ${keyBytes} bytes. Put back a copy of it.`, {
    path,
  })
}

function createKey(path: string): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${randomBytes(keyBytes).toString('base64')}\n`)
    fsyncSync(file)
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    closeSync(file)
    unlinkSync(draft)
  }
}

/** AES-256-GCM. `label` says what it belongs to: sealed for one deployment, it does not open for another. */
export function seal(key: Buffer, label: string, text: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(label))
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
}

/** Throws REFUSED_UNSAFE if it was sealed with another key, for another label, or changed since. */
export function unseal(key: Buffer, label: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(label))
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8')
  } catch (error) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `the secrets of ${label} do not open with the key of this home: another key, or another deployment's secrets. Put back state.db and secret.key from the same copy.`,
      { label },
      error,
    )
  }
}
