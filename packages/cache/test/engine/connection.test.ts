/* Engines that speak TLS as slowly as one does whose cores others use. Real sockets, since the deadlines are of those. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:tls'
import { createServer } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { createAuthority, issuePair } from '../../../control/src/pki/authority.ts'
import { systemClock } from '../../src/clock.ts'
import { Connection } from '../../src/engine/connection.ts'

const withinMs = 300
const greeting = '%1\r\n$5\r\nproto\r\n:3\r\n'
const nobody = { lost: () => {}, changed: () => {} }

let server: Server | undefined

afterEach(() => {
  server?.close()
  server = undefined
})

/** A connection to an engine that shakes hands after so long, and greets as long after that. */
async function openTo(slowMs: number): Promise<Connection> {
  const now = Date.now()
  const authority = await createAuthority('of a test', now)
  const identity = { role: 'engine', name: 'slow' } as const
  const { key, certificate: cert } = await issuePair(authority, { identity, addresses: ['localhost'], now })
  const SNICallback = (_: string, done: (error: null) => void): void => void setTimeout(done, slowMs, null)
  server = createServer({ key, cert, SNICallback }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => void setTimeout(() => socket.write(greeting), slowMs))
  }).on('tlsClientError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const tls = { ca: authority.certificate, servername: 'localhost' }
  const connection = new Connection({ address, tls, track: [], withinMs }, 'plain', nobody)
  await connection.open(systemClock, 'plain')
  return connection
}

test('a handshake and a greeting that each take their time are waited for', async () => {
  const connection = await openTo(200)
  expect(connection.isOpen).toBe(true)
  connection.close()
})

test('an engine that is silent in the middle of the handshake is given up after one step', async () => {
  const begunAt = performance.now()
  await expect(openTo(5000)).rejects.toThrow()
  expect(performance.now() - begunAt).toBeLessThan(3000)
})
