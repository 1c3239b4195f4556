import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connect, createServer } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { Grant } from '../../src/pki/authority.ts'
import { createAuthority, createRequest, issue, issuePair } from '../../src/pki/authority.ts'
import type { Identity, KeyPair } from '../../src/pki/certificate.ts'
import { fingerprintOf, identityIn, renewAt } from '../../src/pki/certificate.ts'

const now = Date.now()
const dayMs = 86_400_000
const host = (name: string): Identity => ({ role: 'host', name })
const grant = (name: string, more: Partial<Grant> = {}): Grant => ({
  identity: host(name),
  addresses: ['127.0.0.1'],
  now,
  ...more,
})

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

interface Side {
  readonly sees: Identity | undefined
  /** Why it would turn the other away; null: it would not. */
  readonly objects: string | null
}

/** Two sides show each other their certificates; nobody hangs up, so that what each of them thinks is heard. */
async function shakeHands(
  serves: KeyPair,
  calls: KeyPair,
  ca: string,
  dialled?: string,
): Promise<{ server: Side; client: Side }> {
  const terms = { ca, rejectUnauthorized: false, minVersion: 'TLSv1.3' } as const
  const listener = createServer({ ...terms, cert: serves.certificate, key: serves.key, requestCert: true })
  closers.push(() => listener.close())
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>
  const { port } = listener.address() as AddressInfo
  const shown = { cert: calls.certificate, key: calls.key }
  const socket = connect({
    ...terms,
    ...shown,
    host: '127.0.0.1',
    port,
    ...(dialled === undefined ? {} : { servername: dialled }),
  })
  closers.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  const [other] = await accepted
  closers.push(() => other.destroy())
  return { server: sideOf(other), client: sideOf(socket) }
}

function sideOf(socket: TLSSocket): Side {
  // The type says an error; for most causes it is the code alone.
  const error = socket.authorizationError as unknown as string | { readonly code?: string } | null | undefined
  const objects = typeof error === 'string' ? error : (error?.code ?? null)
  return { sees: identityIn(socket.getPeerX509Certificate()?.subjectAltName), objects }
}

describe('certificates of one authority', () => {
  test('two of its hosts prove to each other who they are, at the addresses that were granted', async () => {
    const ca = await createAuthority('test', now)
    const [a, b] = [await issuePair(ca, grant('a')), await issuePair(ca, grant('b'))]
    expect(await shakeHands(a, b, ca.certificate)).toEqual({
      server: { sees: host('b'), objects: null },
      client: { sees: host('a'), objects: null },
    })
    const { client } = await shakeHands(a, b, ca.certificate, 'b.example')
    expect(client.objects).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  test("another home's certificate is refused, by both sides", async () => {
    const [ours, theirs] = [await createAuthority('ours', now), await createAuthority('theirs', now)]
    const [a, b] = [await issuePair(ours, grant('a')), await issuePair(theirs, grant('b'))]
    expect((await shakeHands(a, b, ours.certificate)).server.objects).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    expect((await shakeHands(a, b, theirs.certificate)).client.objects).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  })

  test('one that is over is refused', async () => {
    const ca = await createAuthority('test', now - 100 * dayMs)
    const a = await issuePair(ca, grant('a'))
    const old = await issuePair(ca, grant('b', { now: now - 40 * dayMs }))
    expect((await shakeHands(a, old, ca.certificate)).server.objects).toBe('CERT_HAS_EXPIRED')
  })

  test('a host cannot issue certificates', async () => {
    const ca = await createAuthority('test', now)
    const [a, b] = [await issuePair(ca, grant('a')), await issuePair(ca, grant('b'))]
    const forged = await issuePair(b, grant('a'))
    const chain = { key: forged.key, certificate: `${forged.certificate}\n${b.certificate}` }
    expect((await shakeHands(a, chain, ca.certificate)).server.objects).not.toBeNull()
  })

  test('who somebody is, is decided by the grant and not by the request', async () => {
    const ca = await createAuthority('test', now)
    const { request } = await createRequest()
    const certificate = await issue(ca, request, grant('b'))
    expect(certificate).toContain('BEGIN CERTIFICATE')
    expect(renewAt(certificate)).toBeGreaterThan(now + 19 * dayMs)
    expect(renewAt(certificate)).toBeLessThan(now + 20 * dayMs)
    expect(fingerprintOf(certificate)).toMatch(/^[0-9a-f]{64}$/)
  })
})

describe('bad input', () => {
  test.each([
    ['no request', 'hello'],
    ['a certificate', 'certificate'],
    ['a request that was changed', 'changed'],
  ])('%s', async (_, kind) => {
    const ca = await createAuthority('test', now)
    const { request } = await createRequest()
    const texts: Record<string, string> = { certificate: ca.certificate, changed: changed(request) }
    await expect(issue(ca, texts[kind] ?? kind, grant('b'))).rejects.toMatchObject({ code: 'USAGE' })
  })

  test.each([
    undefined,
    '',
    'DNS:holdfast://host/b',
    'URI:holdfast://root/b',
    'URI:holdfast://host/a b',
    'URI:http://host/b',
    'URI:"holdfast://host/b, URI:holdfast://host/c"',
  ])('a name that is none of ours: %s', (text) => {
    expect(identityIn(text)).toBeUndefined()
  })
})

/** The last byte of its signature is another one. */
function changed(pem: string): string {
  const [head, ...rest] = pem.trim().split('\n')
  const body = Buffer.from(rest.slice(0, -1).join(''), 'base64')
  body[body.length - 1] = (body.at(-1) ?? 0) ^ 1
  return [head, body.toString('base64'), rest.at(-1)].join('\n')
}
