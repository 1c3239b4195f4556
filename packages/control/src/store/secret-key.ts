import { randomBytes } from 'node:crypto'
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
import { writeAtomically } from '../write-file.ts'
import { onDisk } from './disk-error.ts'
import type { Passphrase } from './passphrase.ts'
import { givenPassphrase, isUnderPassphrase, lockKey, notUnderPassphrase, unlockKey } from './passphrase.ts'

const keyBytes = 32

/**
 * The key that seals what is secret in the home. Made once; where two processes make it at the same moment, the link
 * decides and both read the winner's. `mayCreate` is false where something is sealed already: a second key would only
 * hide that the first one is lost. With a passphrase, what lies in the file is of no use without it.
 */
export function secretKey(path: string, mayCreate: boolean, passphrase = givenPassphrase()): Buffer {
  return onDisk(path, () => {
    const existing = readKey(path, passphrase)
    if (existing !== undefined) return existing
    if (!mayCreate) {
      throw new HoldfastError(
        'REFUSED_UNSAFE',
        `${path} is missing, and secrets are sealed with it. Put it back: without it no engine can be signed in to.`,
        { path },
      )
    }
    createKey(path, passphrase)
    const created = readKey(path, passphrase)
    if (created === undefined) throw new Error(`${path} is gone right after it was written`)
    return created
  })
}

/** How the key of a home is kept; null: there is none yet. */
export function howKeyIsKept(path: string): 'file' | 'passphrase' | null {
  const text = onDisk(path, () => readText(path))
  if (text === undefined) return null
  return isUnderPassphrase(text) ? 'passphrase' : 'file'
}

/** The same key, kept in another way from now on; null: in a file that opens to whoever can read it. */
export function keepKey(path: string, kept: Passphrase | null): void {
  onDisk(path, () => {
    const text = readText(path) ?? ''
    const key = isUnderPassphrase(text) ? unlockKey(path, text, givenPassphrase()) : plainKey(path, text)
    writeAtomically(path, `${textOf(key, kept ?? undefined)}\n`)
  })
}

function readKey(path: string, passphrase: Passphrase | undefined): Buffer | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  if (isUnderPassphrase(text)) return unlockKey(path, text, passphrase)
  if (passphrase !== undefined) throw notUnderPassphrase(path, passphrase)
  return plainKey(path, text)
}

function readText(path: string): string | undefined {
  try {
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function plainKey(path: string, text: string): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length === keyBytes) return key
  throw new HoldfastError('REFUSED_UNSAFE', `${path} is not a key of ${keyBytes} bytes. Put back a copy of it.`, {
    path,
  })
}

const textOf = (key: Buffer, passphrase: Passphrase | undefined): string =>
  passphrase === undefined ? key.toString('base64') : lockKey(key, passphrase)

function createKey(path: string, passphrase: Passphrase | undefined): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${textOf(randomBytes(keyBytes), passphrase)}\n`)
    fsyncSync(file)
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    closeSync(file)
    unlinkSync(draft)
  }
}
