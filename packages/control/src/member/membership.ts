/** What a machine knows of the home that it has joined: who it is there, and whom to ask. Kept in its own home, 0600. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'
import { onDisk } from '../store/disk-error.ts'
import type { Home } from '../store/home.ts'
import { writeAtomically } from '../write-file.ts'

export const agentPort = 7600

const shape = z.object({
  host: z.string(),
  address: z.string(),
  port: z.int(),
  /** The doors of the controllers. */
  doors: z.array(z.string()).readonly(),
  authority: z.string(),
  certificate: z.string(),
  key: z.string(),
})

export type Membership = Readonly<z.infer<typeof shape>>

const pathOf = (home: Home): string => join(home.agent, 'membership.json')

/** Undefined: this machine has not joined. */
export function readMembership(home: Home): Membership | undefined {
  const path = pathOf(home)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return shape.parse(JSON.parse(text))
  } catch (error) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${path} is damaged: this machine does not know who it is. Put back a copy of it, or join again with a new token.`,
      { path },
      error,
    )
  }
}

export function writeMembership(home: Home, membership: Membership): void {
  onDisk(home.agent, () => writeAtomically(pathOf(home), `${JSON.stringify(membership)}\n`))
}
