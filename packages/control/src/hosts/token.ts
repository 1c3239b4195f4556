/** What a machine is given to join with, once: whom to ask, how to know that it is them, and a secret of its own. */
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'

const prefix = 'hfj_'

const shape = z.object({
  /** The doors of this home's controllers. */
  urls: z
    .array(z.url({ protocol: /^https$/ }))
    .min(1)
    .max(9),
  /** SHA-256 of the authority's certificate, hex. */
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  /** As which host it may join, and no other. */
  host: z.string().min(1).max(40),
  secret: z.string().min(20).max(100),
})

export type JoinToken = Readonly<z.infer<typeof shape>>

export const printJoinToken = (token: JoinToken): string =>
  prefix + Buffer.from(JSON.stringify(token)).toString('base64url')

/** Throws USAGE for what is none: half a line copied from a terminal, above all. */
export function parseJoinToken(text: string): JoinToken {
  try {
    const body = Buffer.from(text.trim().slice(prefix.length), 'base64url').toString('utf8')
    if (text.trim().startsWith(prefix)) return shape.parse(JSON.parse(body))
  } catch {
    // Said below: why it is none, nobody could use.
  }
  throw new HoldfastError(
    'USAGE',
    `this is no token of "holdfast token": it is one line that begins with ${prefix}. Copy the whole of it.`,
  )
}
