/**
 * The key of a home may be kept under a passphrase: its file then holds it sealed, and opens to whoever knows the
 * passphrase. The key itself stays the same, so changing a passphrase writes one small file and seals nothing anew.
 *
 * The passphrase comes in a file that HOLDFAST_PASSPHRASE_FILE names: arguments are for everybody to read, and an
 * environment is inherited by every engine.
 */
import { randomBytes, scryptSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import { seal, unseal } from './seal.ts'

const variable = 'HOLDFAST_PASSPHRASE_FILE'
const lettersMin = 12
const cost = { N: 2 ** 17, r: 8, p: 1 }
const costMax = 2 ** 20
/** 128 bytes for each of N times r, and room beside them. */
const memoryFor = (N: number): number => 128 * N * cost.r + 32 * 1024 ** 2
const label = 'the key of a home'
const form = /^passphrase scrypt N=(\d+),r=8,p=1 ([A-Za-z0-9+/=]+) ([A-Za-z0-9+/=]+)$/

export interface Passphrase {
  readonly text: string
  /** The file that it was read from. */
  readonly from: string
}

/** The passphrase that this process was given; undefined: none. Throws USAGE for a file that has none. */
export function givenPassphrase(env: Readonly<Record<string, string | undefined>> = process.env) {
  const path = env[variable]
  return path === undefined || path === '' ? undefined : readPassphrase(path)
}

/** Spaces and line ends around it do not count. */
export function readPassphrase(path: string): Passphrase {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim().normalize('NFKC')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new HoldfastError('USAGE', `the passphrase cannot be read: ${why}`, { path }, error)
  }
  if (text.length >= lettersMin) return { text, from: path }
  throw new HoldfastError(
    'USAGE',
    `the passphrase in ${path} has ${text.length} characters: it needs at least ${lettersMin}`,
    { path },
  )
}

/** Whether the text of a key file is that of one under a passphrase. */
export const isUnderPassphrase = (text: string): boolean => text.startsWith('passphrase ')

/** The text of a key file under this passphrase. */
export function lockKey(key: Buffer, passphrase: Passphrase): string {
  const salt = randomBytes(16)
  const lock = derive(passphrase, salt, cost.N)
  return `passphrase scrypt N=${cost.N},r=8,p=1 ${salt.toString('base64')} ${seal(lock, label, key.toString('base64'))}`
}

/** What was opened last: to derive a key takes a third of a second and 128 MB on purpose, and one start opens it thrice. */
let opened: { readonly text: string; readonly passphrase: string; readonly key: Buffer } | undefined

/** The key out of such a file. Throws REFUSED_UNSAFE where it was locked by another passphrase, or by none of ours. */
export function unlockKey(path: string, text: string, passphrase: Passphrase | undefined): Buffer {
  if (passphrase === undefined) {
    throw refused(path, `${path} is under a passphrase: name the file that has it by ${variable}.`)
  }
  if (opened?.text === text && opened.passphrase === passphrase.text) return opened.key
  const [, N, salt, sealed] = form.exec(text) ?? []
  if (salt === undefined || sealed === undefined || Number(N) > costMax) {
    throw refused(path, `${path} is damaged. Put back a copy of it: without it no engine can be signed in to.`)
  }
  const lock = derive(passphrase, Buffer.from(salt, 'base64'), Number(N))
  try {
    const key = Buffer.from(unseal(lock, label, sealed), 'base64')
    opened = { text, passphrase: passphrase.text, key }
    return key
  } catch (error) {
    const sentence = `${path} does not open with the passphrase in ${passphrase.from}: it is another, or the file was changed. Nothing was touched, and engines run on.`
    throw refused(path, sentence, error)
  }
}

/** Somebody believes that what lies here is sealed by what he knows, and it is not. */
export const notUnderPassphrase = (path: string, { from }: Passphrase): HoldfastError =>
  refused(
    path,
    `${path} is not under a passphrase, and ${variable} names one. Lock it with "holdfast key --passphrase-file ${from}", or unset ${variable}.`,
  )

const derive = ({ text }: Passphrase, salt: Buffer, N: number): Buffer =>
  scryptSync(text, salt, 32, { ...cost, N, maxmem: memoryFor(N) })

const refused = (path: string, message: string, cause?: unknown): HoldfastError =>
  new HoldfastError('REFUSED_UNSAFE', message, { path }, cause)
