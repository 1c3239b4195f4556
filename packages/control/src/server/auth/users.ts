import type { Access, User } from '../../store/access.ts'
import { verifyPassword } from './password.ts'
import { sha256 } from './secret.ts'

/**
 * Who it is, if the password is right. An unknown name costs the same hash as a known one and gets the same answer, so
 * nobody learns which names exist.
 */
export async function verifyUser(access: Access, name: string, password: string): Promise<User | undefined> {
  const user = access.user(name)
  const measured = user ?? access.users()[0]
  if (measured === undefined) return undefined
  const isRight = await verifyPassword(password, measured.hash)
  return isRight && user !== undefined ? user : undefined
}

/** What a session began with. Another password or another role is another stamp, and the session is over. */
export const stampOf = ({ hash, grants }: User): string => sha256(JSON.stringify([hash, grants])).toString('base64')
