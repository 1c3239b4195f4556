/** A process of the demonstration, seen from inside: it hears its orders by the channel, and ends when that does. */
import type { FromLoad, FromShop } from './messages.ts'

/** Calls `hear` with each order, as long as there is somebody who gives them. */
export function hearParent(hear: (order: unknown) => void): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message) => hear(message))
  // Born without a parent, or orphaned before it could listen.
  if (!process.connected) process.exit(0)
}

export function tellParent(message: FromShop | FromLoad): void {
  // The answer to somebody who has just gone has no reader.
  if (process.connected) process.send?.(message, () => undefined)
}

const said = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const complaintsMax = 200
let complaints = 0

/** A line for the log of this process: what went wrong, the first times. */
export function complain(what: string, error: unknown): void {
  if (complaints++ >= complaintsMax) return
  const why = error instanceof AggregateError ? error.errors.map(said).join('; ') : said(error)
  process.stderr.write(`${new Date().toISOString()} ${what}: ${why}\n`)
}
