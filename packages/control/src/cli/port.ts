import { HoldfastError } from '@holdfast/core'

/** What `--port`, or another flag, says, if it was given. */
export function portOf(text: string | undefined, flag = '--port'): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new HoldfastError('USAGE', `${flag} ${text}: a port is a number from 1 to 65535`)
}
