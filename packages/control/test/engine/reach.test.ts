import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { EngineLink } from '../../src/engine/link.ts'
import type { Reach } from '../../src/engine/reach.ts'
import { isAddress, reachFor } from '../../src/engine/reach.ts'

/** By the resolver of this system, where the text is no plain address: so `0177.0.0.1` is what a connection makes of it. */
function askFor(reach: Reach, target: string): Promise<Error | null> {
  if (isAddress(target)) {
    try {
      reach.refuse(target)
      return Promise.resolve(null)
    } catch (error) {
      return Promise.resolve(error as Error)
    }
  }
  return new Promise((resolve) => reach.lookup(target, { all: true }, (error) => resolve(error)))
}

const nothingAllowed = { allowed: () => [], ownAddresses: () => ['93.184.216.99', '2606:2800:220:1::99'] }

describe('for a caller of the API', () => {
  test.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.0.0.7',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.192',
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.1',
    '255.255.255.255',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '2852039166',
    'localhost',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fe80::1',
    'fe80::1%lo',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    '2001:db8::1',
    '93.184.216.99',
    '2606:2800:220:1::99',
  ])('%s is inside, or is this machine', async (target) => {
    const refused = await askFor(reachFor(nothingAllowed), target)
    expect(refused).toMatchObject({ code: 'REFUSED_TARGET' })
  })

  test.each([
    '93.184.216.34',
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '2606:2800:220:1:248:1893:25c8:1946',
    '::ffff:8.8.8.8',
  ])('%s is outside', async (target) => {
    expect(await askFor(reachFor(nothingAllowed), target)).toBe(null)
  })

  test('what an administrator allows is asked, and its neighbour is not', async () => {
    const reach = reachFor({ ...nothingAllowed, allowed: () => ['10.1.0.0/16', '::1/128'] })
    for (const target of ['10.1.2.3', '::ffff:10.1.2.3', '::1']) expect(await askFor(reach, target)).toBe(null)
    for (const target of ['10.2.0.1', '127.0.0.1']) expect(await askFor(reach, target)).not.toBe(null)
  })

  test('a name is refused if one of its addresses is inside', async () => {
    const resolve = (_: string, done: (error: null, found: { address: string; family: number }[]) => void) =>
      done(null, [
        { address: '8.8.8.8', family: 4 },
        { address: '10.0.0.7', family: 4 },
      ])
    expect(await askFor(reachFor({ ...nothingAllowed, resolve }), 'half.example')).toMatchObject({
      code: 'REFUSED_TARGET',
    })
  })
})

test('a name that leads inside the second time is not connected to', async () => {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    socket.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let asked = 0
  const reach = reachFor({
    ...nothingAllowed,
    resolve: (_, done) => done(null, [{ address: asked++ === 0 ? '8.8.8.8' : '127.0.0.1', family: 4 }]),
  })
  expect(await askFor(reach, 'rebinding.example')).toBe(null)
  const link = new EngineLink({ address: 'rebinding.example', port, username: '', password: '', name: '', reach })
  try {
    await expect(link.command(['PING'])).rejects.toThrow(/inside|cannot be asked/)
    expect(asked).toBe(2)
    expect(connections).toBe(0)
  } finally {
    link.end()
    server.close()
  }
})
