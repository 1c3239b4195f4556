import { hideSecrets } from '@holdfast/core'

/**
 * What may be written down of a request. By the names of fields, and not only of those that are known today: what a
 * later body calls a password is left out as well.
 */
const secretNames = /pass|secret|token|auth|credential|private|hash|cookie/i
const lengthMax = 300
const depthMax = 6
const itemsMax = 50
const mask = '***'

export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return cut(hideSecrets(maskAddress(value)))
  if (typeof value !== 'object' || value === null) return value ?? null
  if (depth >= depthMax) return '…'
  if (Array.isArray(value)) return value.slice(0, itemsMax).map((one) => withoutSecrets(one, depth + 1))
  const fields = Object.entries(value).slice(0, itemsMax)
  return Object.fromEntries(
    fields.map(([key, field]) => [cut(key), secretNames.test(key) ? mask : withoutSecrets(field, depth + 1)]),
  )
}

/** Every part has a longest length: what a caller sends is gone through once. `redis://user:password@host` keeps its host. Up to the last @ before the host: a password may have one. */
const maskAddress = (text: string): string =>
  text
    .replace(/([a-z][\w.+()-]{0,40}:\/\/)[^\s/]*@/gi, `$1${mask}@`)
    .replace(/([?&][^=&\s?]{0,80}(pass|secret|token|key)[^=&\s]{0,80}=)[^&\s]*/gi, `$1${mask}`)

const cut = (text: string): string => (text.length > lengthMax ? `${text.slice(0, lengthMax)}… (${text.length})` : text)
