/* The door for other machines, over real TLS on an address of the loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request as requestPlain } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAuthority, issuePair } from '../../src/pki/authority.ts'
import type { KeyPair } from '../../src/pki/certificate.ts'
import { RenewedCredentials } from '../../src/pki/renewed-credentials.ts'
import type { Outside } from '../../src/server/outside.ts'
import { listenOutside } from '../../src/server/outside.ts'
import { suppliedCertificate } from '../../src/server/outside-certificate.ts'
import { keepOutside, outsideBefore, parseOutside } from '../../src/server/outside-place.ts'
import { homeAt } from '../../src/store/home.ts'
import { asCli, asProgram, aWorld, everywhere, password, type World } from './support.ts'

const address = '127.0.0.9'
const name = 'cache.example.com'
let authority: KeyPair
let pair: KeyPair
let world: World
let shown: RenewedCredentials<KeyPair>
let outside: Outside
let port: number

const issued = (): Promise<KeyPair> =>
  issuePair(authority, { identity: { role: 'controller', name: 'c-1' }, addresses: [address, name], now: Date.now() })

beforeAll(async () => {
  authority = await createAuthority('/home/of/a/test', Date.now())
  pair = await issued()
})

beforeEach(async () => {
  world = aWorld({ port: null })
  shown = new RenewedCredentials(pair)
  port = await freePort()
  outside = await listenOutside(world.app, { address, port, names: [name], files: null }, shown)
})

afterEach(async () => {
  await outside.close()
  await world.close()
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly serial: string
}

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: object
}

/** As a program on another machine asks, that believes the authority. */
function ask({ method = 'GET', path = '/api/v1/session', headers = {}, body }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const sent = request(
      {
        host: address,
        port,
        method,
        path,
        ca: authority.certificate,
        // Whom it looks for; `headers` say whom it asks for.
        servername: name,
        agent: false,
        headers: { ...(text === '' ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (answer) => {
        const serial = (answer.socket as TLSSocket).getPeerCertificate().serialNumber
        const parts: string[] = []
        answer.setEncoding('utf8').on('data', (part: string) => parts.push(part))
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: parts.join(''), serial }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}

const fromPage = { 'x-requested-by': 'holdfast', origin: '' }
const ownPage = () => ({ ...fromPage, origin: `https://${address}:${port}` })
const signIn = (headers: Record<string, string> = ownPage()) =>
  ask({ method: 'POST', headers, body: { user: 'admin', password } })

describe('who is answered', () => {
  test('by its address and by its name, and by no other', async () => {
    expect((await ask({ headers: { host: `${address}:${port}` } })).status).toBe(401)
    expect((await ask({ headers: { host: name } })).status).toBe(401)
    for (const host of ['evil.example.com', '127.0.0.1', `localhost:${port}`, 'cache.example.com.evil.org']) {
      const { status, body } = await ask({ headers: { host } })
      expect([host, status, body]).toEqual([host, 421, expect.stringContaining('AUTH_MISDIRECTED')])
    }
  })

  test('nobody without TLS', async () => {
    const plain = new Promise((resolve, reject) => {
      requestPlain({ host: address, port, agent: false }, resolve).on('error', reject).end()
    })
    await expect(plain).rejects.toThrow()
  })

  test("a token of a program, and not the command line's, which is of this machine", async () => {
    const { authorization } = asProgram(world, [everywhere('viewer')])
    const as = (text: string) => ask({ path: '/api/v1/deployments', headers: { authorization: text } })
    expect((await as(authorization)).status).toBe(200)
    expect((await as(asCli.authorization)).status).toBe(401)
  })
})

describe('a browser', () => {
  test('gets a cookie for this host and for TLS alone, which works there', async () => {
    const { status, headers } = await signIn()
    expect(status).toBe(200)
    const cookie = String(headers['set-cookie'])
    expect(cookie).toMatch(/^__Host-holdfast_session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/)
    expect(headers['strict-transport-security']).toBe('max-age=31536000')
    const [mine = ''] = cookie.split(';')
    expect((await ask({ headers: { ...ownPage(), cookie: mine } })).status).toBe(200)
    const renamed = mine.replace('__Host-', '')
    expect((await ask({ headers: { ...ownPage(), cookie: renamed } })).status).toBe(401)
  })

  test('acts from a page of this server alone', async () => {
    for (const origin of [`http://${address}:${port}`, 'https://evil.example.com', `https://${name}`]) {
      expect((await signIn({ ...fromPage, origin })).status).toBe(403)
    }
  })

  test('on this machine there is nothing of all that', async () => {
    const { headers } = await world.app.inject({ url: '/', headers: { host: 'localhost:80' } })
    expect(headers['strict-transport-security']).toBeUndefined()
  })
})

test('the next certificate is shown without a restart', async () => {
  const before = (await ask()).serial
  shown.replace(await issued())
  expect((await ask()).serial).not.toBe(before)
})

test('a port that is taken is told with what to do', async () => {
  const second = listenOutside(world.app, { address, port, names: [], files: null }, new RenewedCredentials(pair))
  await expect(second).rejects.toMatchObject({ code: 'HOST_PORT_IN_USE', message: expect.stringContaining('--listen') })
})

describe('what is said of it', () => {
  test.each([
    ['10.0.0.1', { address: '10.0.0.1', port: 7500, names: [], files: null }],
    ['10.0.0.1:8443', { address: '10.0.0.1', port: 8443, names: [], files: null }],
    ['[fd00::1]:8443', { address: 'fd00::1', port: 8443, names: [], files: null }],
    ['off', 'off'],
  ])('%s', (listen, place) => expect(parseOutside({ listen })).toEqual(place))

  test.each([
    [{ listen: 'cache.example.com' }, 'an IP address of this machine'],
    [{ listen: '10.0.0.1:0' }, 'an IP address of this machine'],
    [{ listen: '10.0.0.1:70000' }, 'an IP address of this machine'],
    [{ listen: '0.0.0.0' }, 'one address of this machine'],
    [{ listen: '[::]:7500' }, 'one address of this machine'],
    [{ listen: '10.0.0.1', listenName: ['a b'] }, 'no name of a host'],
    [{ listen: '10.0.0.1', listenCert: '/c.pem' }, 'go together'],
    [{ listen: '10.0.0.1', listenCert: '/c.pem', listenKey: '/k.pem', listenName: ['a'] }, 'those of the certificate'],
    [{ listenName: ['a'] }, 'say more of --listen'],
  ])('%j is refused', (flags, sentence) => expect(() => parseOutside(flags)).toThrow(sentence))
})

describe('on the disk', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-outside-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const silent = pino({ level: 'silent' })
  const files = () => ({ certificate: join(folder, 'c.pem'), key: join(folder, 'k.pem') })
  const put = ({ certificate, key }: KeyPair): void => {
    writeFileSync(files().certificate, certificate)
    writeFileSync(files().key, key)
  }

  test('the place is kept, until it is off', () => {
    const home = homeAt(folder)
    expect(outsideBefore(home)).toBeUndefined()
    const place = { address, port: 1, names: [name], files: null }
    keepOutside(home, place)
    expect(outsideBefore(home)).toEqual(place)
    keepOutside(home, 'off')
    expect(outsideBefore(home)).toBeUndefined()
    writeFileSync(join(folder, 'listen.json'), '{')
    expect(() => outsideBefore(home)).toThrow('is damaged')
  })

  test("the owner's files are shown, and those that do not fit are refused", async () => {
    put(pair)
    const held = suppliedCertificate(files(), world.clock, silent)
    expect(held.now).toEqual(pair)
    held.close()
    put({ certificate: pair.certificate, key: (await issued()).key })
    expect(() => suppliedCertificate(files(), world.clock, silent)).toThrow('is not the key of')
    put({ certificate: 'none', key: pair.key })
    expect(() => suppliedCertificate(files(), world.clock, silent)).toThrow('is no certificate')
    rmSync(files().key)
    expect(() => suppliedCertificate(files(), world.clock, silent)).toThrow('cannot be read')
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, address, resolve)
  })
  const { port: found } = server.address() as AddressInfo
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return found
}
