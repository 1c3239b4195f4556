/* The panel and the API for other machines, as `holdfast serve --listen` opens them. */
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { afterAll, expect, test } from 'vitest'
import { Api } from '../../packages/control/src/cli/api.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Running } from '../support/program.ts'
import { Program } from '../support/program.ts'

const address = '127.0.0.10'
const program = new Program({ engines: false })

afterAll(() => program.close())

async function serving(...flags: string[]): Promise<Running> {
  const port = await freePorts(1)
  const running = program.start(['serve', '--port', String(port), ...flags])
  await eventually(() => running.stderr().includes('panel http'), { what: 'the controller serves', withinMs: 30_000 })
  return running
}

async function end(running: Running): Promise<void> {
  running.signal('SIGTERM')
  await running.ended
}

/** As an application elsewhere, that was given the authority and a token. */
const ask = (port: number, path: string, token: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const ca = readFileSync(program.home.authority)
    const headers = { authorization: `Bearer ${token}` }
    get({ host: address, port, path, ca, headers, agent: false }, (answer) => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    }).on('error', reject)
  })

test('it listens there with TLS, also after a restart, until it is told not to', async () => {
  const port = await freePorts(1)
  const first = await serving('--listen', `${address}:${port}`)
  expect(first.stderr()).toContain(`https://${address}:${port}`)
  const { url = '', token: own = '' } = program.controller() ?? {}
  const wish = { name: 'shop', scope: 'topology', expiresInMs: 600_000 }
  const { token } = await new Api(url, own).ask<{ token: string }>('POST', '/api-tokens', wish)
  expect(await ask(port, '/api/v1/deployments/shop/topology/stream', token)).toBe(404)
  expect(await ask(port, '/api/v1/deployments', token)).toBe(403)
  expect(await ask(port, '/api/v1/deployments', 'hfs_none')).toBe(401)
  await end(first)

  const second = await serving()
  expect(await ask(port, '/api/v1/deployments', token)).toBe(403)
  await end(second)

  const third = await serving('--listen', 'off')
  await expect(ask(port, '/api/v1/deployments', token)).rejects.toThrow('ECONNREFUSED')
  await end(third)
})

test('what cannot be is refused before anything is opened', async () => {
  await program.refused('USAGE', ['serve', '--listen', '0.0.0.0'])
  const missing = ['--listen-cert', '/no/such.pem', '--listen-key', '/no/such.key']
  expect(await program.refused('USAGE', ['serve', '--listen', address, ...missing])).toContain(
    '/no/such.pem cannot be read',
  )
  expect(await program.refused('USAGE', ['serve', '--listen', '192.0.2.1'])).toContain('no address of this machine')
})
