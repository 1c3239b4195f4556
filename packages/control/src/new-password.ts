import { randomBytes } from 'node:crypto'
import { markSecret } from '@holdfast/core'

/** 192 bits of chance, in letters that need no quoting anywhere, and marked as a secret. */
export const newPassword = (): string => markSecret(randomBytes(24).toString('base64url'))
