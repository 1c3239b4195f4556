import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { eventually } from '../../../../test/support/eventually.ts'
import { EngineLink } from '../../src/engine/link.ts'

test('a connection whose greeting is never answered is given up, and another is opened', async () => {
  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const link = new EngineLink({ address: '127.0.0.1', port, username: 'u', password: 'p', name: 'test' })
  onTestFinished(() => {
    link.close()
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  await expect(link.command(['PING'], 200)).rejects.toMatchObject({ code: 'UNREACHABLE_ENGINE' })
  expect(accepted.length).toBe(1)
  await eventually(
    async () => {
      await link.command(['PING'], 100).catch(() => {})
      return accepted.length > 1
    },
    { withinMs: 6000, what: 'another connection' },
  )
}, 10_000)

test('a connection that was ended is not opened again by work that was still under way', async () => {
  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(socket.on('error', () => {})))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const link = new EngineLink({ address: '127.0.0.1', port, username: 'u', password: 'p', name: 'test' })
  onTestFinished(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  link.end()
  await expect(link.command(['PING'], 200)).rejects.toThrow('the connection was closed')
  expect(accepted).toEqual([])
})

test('a connection that is closed while it is on its way is closed when it is there', async () => {
  const [accepted, closed]: [Socket[], Socket[]] = [[], []]
  const server = createServer((socket) => {
    accepted.push(socket.on('error', () => {}).on('close', () => closed.push(socket)))
    // Whatever the greeting asks is fine.
    socket.on('data', (chunk) => {
      for (const _ of String(chunk).matchAll(/^\*/gm)) socket.write('+OK\r\n')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const link = new EngineLink({ address: '127.0.0.1', port, username: 'u', password: 'p', name: 'test' })
  onTestFinished(() => {
    for (const socket of accepted) socket.destroy()
    server.close()
  })
  const answer = link.command(['PING'], 1000).catch(() => 'refused')
  link.end()
  expect(await answer).toBe('refused')
  await eventually(() => accepted.length === 1 && closed.length === 1, { withinMs: 2000, what: 'it is closed' })
})
