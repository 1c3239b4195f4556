import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { HoldfastError } from '@holdfast/core'

const nonceBytes = 12
const tagBytes = 16

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
