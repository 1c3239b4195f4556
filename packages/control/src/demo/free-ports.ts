import { createServer } from 'node:net'
import { busPortOf, HoldfastError } from '@holdfast/core'

const firstPort = 13_000
const lastPort = 21_000
const triesMax = 500

/** The first of `count` ports in a row that are free, with the ports of their cluster bus. */
export async function freeEnginePorts(count: number): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const base = firstPort + Math.floor(Math.random() * (lastPort - firstPort))
    const ports = Array.from({ length: count }, (_, index) => [base + index, busPortOf(base + index)]).flat()
    const free = await Promise.all(ports.map((port) => openOn(port)))
    if (free.every((port) => port !== undefined)) return base
  }
  throw new HoldfastError('HOST_PORT_IN_USE', `no ${count} ports in a row are free above ${firstPort}`)
}

/** A port that is free now, as the system hands it out. */
export async function freePort(): Promise<number> {
  const port = await openOn(0)
  if (port === undefined) throw new HoldfastError('HOST_PORT_IN_USE', 'this machine hands out no port on 127.0.0.1')
  return port
}

function openOn(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const at = server.address()
      server.close(() => resolve(typeof at === 'object' ? at?.port : undefined))
    })
  })
}
