/** Listening, and what is said where that cannot be. */
import { HoldfastError } from '@holdfast/core'
import type { FastifyInstance } from 'fastify'

/** Where the panel is looked for first; another one is taken where this is in use. */
const portDefault = 7500

/** For this machine alone: the wanted port; where none was asked for, the default one or any that is free. */
export async function listenHere(app: FastifyInstance, port: number | undefined): Promise<string> {
  const host = '127.0.0.1'
  try {
    return await app.listen({ host, port: port ?? portDefault })
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    if (isTaken && port === undefined) return app.listen({ host, port: 0 })
    const at = { address: host, port: port ?? portDefault }
    throw refusedListening({ ...at, what: 'the panel', portFlag: '--port', addressFlag: '--port' }, error)
  }
}

interface Listening {
  readonly address: string
  readonly port: number
  /** Who would listen there, or what it would be for: `the panel`. */
  readonly what: string
  /** By which another port is chosen. */
  readonly portFlag: string
  /** By which another address is chosen. */
  readonly addressFlag: string
}

/** HOST_PORT_IN_USE and USAGE where it is one of these; any other error as it is. */
export function refusedListening({ address, port, what, portFlag, addressFlag }: Listening, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  const facts = { address, port }
  if (code === 'EADDRINUSE') {
    const because = `port ${port} of ${address} is in use, ${what} cannot listen there: choose another ${portFlag}`
    return new HoldfastError('HOST_PORT_IN_USE', because, facts, error)
  }
  if (code !== 'EADDRNOTAVAIL') return error
  const because = `${address} is no address of this machine: say its own with ${addressFlag}`
  return new HoldfastError('USAGE', because, facts, error)
}
