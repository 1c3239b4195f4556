import { randomBytes } from 'node:crypto'

/** 192 bits of chance, in letters that need no quoting anywhere. */
export const newPassword = (): string => randomBytes(24).toString('base64url')
