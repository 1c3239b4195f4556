import { HoldfastError } from '@holdfast/core'
import { readPassphrase } from '../store/passphrase.ts'
import { howKeyIsKept, keepKey } from '../store/secret-key.ts'
import type { Context } from './context.ts'

interface KeyOptions {
  readonly passphraseFile?: string
  readonly plain?: boolean
}

/** `holdfast key`: how the key of this home is kept, and another way from now on. What it seals stays as it is. */
export function key({ home, out, say }: Context, { passphraseFile, plain = false }: KeyOptions): void {
  const kept = howKeyIsKept(home.key)
  if (passphraseFile === undefined && !plain) return out(`${home.key}: ${sayings[kept ?? 'none']}`)
  if (passphraseFile !== undefined && plain) {
    throw new HoldfastError('USAGE', '--passphrase-file and --plain are two different ways: choose one')
  }
  if (kept === null) {
    throw new HoldfastError(
      'USAGE',
      `${home.path} has no key yet: it is made by the first start, under a passphrase where HOLDFAST_PASSPHRASE_FILE names one`,
    )
  }
  keepKey(home.key, passphraseFile === undefined ? null : readPassphrase(passphraseFile))
  say(
    passphraseFile === undefined
      ? `${home.key} opens to whoever can read it, from now on. Unset HOLDFAST_PASSPHRASE_FILE.`
      : `${home.key} is under the passphrase in ${passphraseFile}. From now on every command wants HOLDFAST_PASSPHRASE_FILE; without the passphrase no engine can be signed in to, and nobody can bring it back.`,
  )
  say('Copies of the file from before still open as they did: "holdfast rotate" makes what they open worthless.')
}

const sayings = {
  none: 'not made yet',
  file: 'opens to whoever can read it',
  passphrase: 'under a passphrase',
} as const
