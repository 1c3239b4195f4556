import type { AddressInfo, Server } from 'node:net'
import { createServer } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { discover } from '../../src/adopted/adopt.ts'
import { systemClock } from '../../src/clock.ts'
import { reachFor } from '../../src/engine/reach.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Something that listens and is no engine. */
async function peer(answer: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const reach = reachFor({ allowed: () => ['127.0.0.0/8'] })

async function adoptAt(port: number): Promise<string> {
  const seeds = [{ address: '127.0.0.1', port }]
  const secrets = { engine: 'x', sentinel: '' }
  const address = { topology: null, masterName: null, seeds, user: 'u', sentinelUser: '', secrets }
  const terms = { name: 'theirs', by: 'ada', clock: systemClock, reach, guarded: true }
  const error = await discover(address, terms).catch((one: unknown) => one)
  const { code, message, facts } = error as { code: string; message: string; facts: object }
  return `${code} ${message} ${JSON.stringify(facts)}`.replaceAll(String(port), 'PORT')
}

test('to a caller of the API a port that is closed and one of another service are the same', async () => {
  const port = await peer('')
  servers.pop()?.close()
  const closed = await adoptAt(port)
  expect(closed).toBe('UNREACHABLE_ENGINE nothing was adopted: 127.0.0.1:PORT: no engine answers there {}')
  for (const banner of [
    'HTTP/1.1 400 Bad Request\r\nServer: secret-server/1.2\r\n\r\n',
    'SSH-2.0-OpenSSH_9.6 secret-host\r\n',
    '220 mail.secret.example ESMTP\r\n',
    '-ERR secret banner of something\r\n',
    '+secret\r\n+secret\r\n+secret\r\n',
    '$6\r\nsecret\r\n$6\r\nsecret\r\n$6\r\nsecret\r\n',
  ]) {
    expect(await adoptAt(await peer(banner)), banner).toBe(closed)
  }
})

test('an engine that does not let us in is told from none, without its words', async () => {
  const shut = await adoptAt(await peer('-WRONGPASS invalid username-password pair of secret-host\r\n'))
  expect(shut).toBe(
    'ENGINE_REFUSED nothing was adopted: 127.0.0.1:PORT: WRONGPASS: it answers, and does not let us in {}',
  )
})
