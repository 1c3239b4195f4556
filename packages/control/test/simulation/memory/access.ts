import { createHash } from 'node:crypto'
import type { AccessSeen, ClosingSeen } from '@holdfast/core'
import { engineUsers, hashesAmong, readUsers } from '@holdfast/core'
import type { MemoryNode } from './node.ts'

/** By what a node signs in to others, all by SHA-256, and what was done about it since its process began. */
export interface MemoryAccess {
  file: string | null
  process: string | null
  givenAt: number | null
  linkRenewedAt: number | null
  closing: ClosingSeen | null
}

export const noAccess = (): MemoryAccess => ({
  file: null,
  process: null,
  givenAt: null,
  linkRenewedAt: null,
  closing: null,
})

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A day has a handful of such texts, and asks for them in every turn. */
const read = new Map<string, ReadonlyMap<string, readonly string[]>>()

function passwordsIn(users: string): ReadonlyMap<string, readonly string[]> {
  const known = read.get(users)
  if (known !== undefined) return known
  const passwords = new Map([...readUsers(users)].map(([name, rules]) => [name, hashesAmong(rules)]))
  if (read.size >= 100) read.clear()
  read.set(users, passwords)
  return passwords
}

/** Whether the running engine lets this user in by this password. One whose users have no passwords lets everybody in. */
export function letsIn({ users }: MemoryNode, user: string, hash: string | null): boolean {
  const accepted = passwordsIn(users).get(user) ?? []
  return accepted.length === 0 || hash === null || accepted.includes(hash)
}

export const letsReplicate = (primary: MemoryNode, replica: MemoryNode): boolean =>
  letsIn(primary, engineUsers.replication, replica.access.process)

/** What the agent says; the passwords once it has read them back. */
export function accessSeen({ access, process, usersFile, readBack }: MemoryNode): AccessSeen {
  const { usersNow } = readBack
  return {
    version: process?.version ?? null,
    usersFile,
    passwords: usersNow === null ? null : Object.fromEntries(passwordsIn(usersNow)),
    signInFile: access.file,
    signsInWith: access.process,
    signInGivenAt: access.givenAt,
    linkRenewedAt: access.linkRenewedAt,
    closing: access.closing,
  }
}
