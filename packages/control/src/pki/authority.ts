/**
 * Holdfast's own certificate authority: one a home, for its controllers, its agents and its engines, and for nobody else.
 *
 * A private key never leaves the machine that it is for: who wants a certificate makes the key, and sends a request with
 * the public half. What the request asks for is not read: who somebody is, is decided by whoever issues.
 */
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { HoldfastError } from '@holdfast/core'
import * as x509 from '@peculiar/x509'
import type { Identity, KeyPair } from './certificate.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMs = 86_400_000
/** A machine whose clock is behind ours by less finds a new certificate valid at once. */
const clockSkewMs = 3_600_000
const authorityForMs = 3650 * dayMs

/** How long a certificate is valid: short, because it is renewed by itself and cannot be called back. */
const certificateForMs = 30 * dayMs

export interface Grant {
  readonly identity: Identity
  /** Where it is reached: addresses and names that clients compare with what they dialled. */
  readonly addresses: readonly string[]
  /** Wall clock, ms since 1970. */
  readonly now: number
  readonly validForMs?: number
  /** From when on it is valid, ms since 1970, and never before the authority is. Default: an hour ago. */
  readonly validFrom?: number
}

/** A new authority, valid for ten years. `home` tells people whose it is. */
export async function createAuthority(home: string, now: number): Promise<KeyPair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [`Holdfast ${home}`] }],
    notBefore: new Date(now - clockSkewMs),
    notAfter: new Date(now + authorityForMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: certificate.toString('pem'), key: await pemOf(keys.privateKey) }
}

/** A key, and the request for a certificate of it. */
export async function createRequest(): Promise<{ readonly key: string; readonly request: string }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ signingAlgorithm: algorithm, keys })
  return { key: await pemOf(keys.privateKey), request: request.toString('pem') }
}

/** Answers the certificate, PEM. Throws USAGE for a request that is none, or that its own key has not signed. */
export async function issue(authority: KeyPair, request: string, grant: Grant): Promise<string> {
  const { identity, addresses, now, validForMs = certificateForMs, validFrom = now - clockSkewMs } = grant
  const asked = await readRequest(request)
  const issuer = new x509.X509Certificate(authority.certificate)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [`${identity.role} ${identity.name}`] }],
    issuer: issuer.subject,
    notBefore: new Date(Math.max(validFrom, issuer.notBefore.getTime())),
    notAfter: new Date(Math.min(now + validForMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey: asked.publicKey,
    signingKey: await signingKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // Engines, agents and controllers are called by their peers and call them.
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(namesOf(identity, addresses)),
      await x509.SubjectKeyIdentifierExtension.create(asked.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return certificate.toString('pem')
}

/** Both at once, for what runs on the machine of the authority itself. */
export async function issuePair(authority: KeyPair, grant: Grant): Promise<KeyPair> {
  const { key, request } = await createRequest()
  return { key, certificate: await issue(authority, request, grant) }
}

const namesOf = ({ role, name }: Identity, addresses: readonly string[]): x509.JsonGeneralNames => [
  { type: 'url', value: `holdfast://${role}/${name}` },
  ...addresses.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
]

async function readRequest(text: string): Promise<x509.Pkcs10CertificateRequest> {
  try {
    const request = new x509.Pkcs10CertificateRequest(text)
    if (await request.verify()) return request
  } catch (error) {
    throw new HoldfastError('USAGE', 'this is no request for a certificate (PKCS #10, PEM)', {}, error)
  }
  throw new HoldfastError('USAGE', 'the request for a certificate is not signed by the key that it is for')
}

/** Positive, as the standard wants it, and no two alike. */
const serialNumber = (): string => `01${randomBytes(15).toString('hex')}`

const pemOf = async (key: webcrypto.CryptoKey): Promise<string> =>
  x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')

const signingKey = (pem: string): Promise<webcrypto.CryptoKey> =>
  crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, false, ['sign'])
