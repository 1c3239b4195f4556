/**
 * The certificates of a deployment's engines, made by an authority of its own or taken from the files that its spec
 * names. Who needs one is decided elsewhere; here it is made.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Certificate, Certificates, CertificateWish, Document, Spec, SuppliedSeen } from '@holdfast/core'
import { HoldfastError, isKeyName, keyName, uncovered } from '@holdfast/core'
import type { KeyPair } from './certificate.ts'
import { renewAt } from './certificate.ts'

/**
 * Long against the time that a deployment goes on without a controller: the last renewal leaves four months, and engines
 * whose certificates are over let nobody in, not even each other.
 */
const validForMs = 365 * 86_400_000

/** What a certificate may be used for: to be called, and to call. */
const bothEnds = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'] as const

export type Certified = Pick<Document, 'certificates' | 'secrets'>

/** The certificates and keys of a document with those that were asked for, and without those of nodes that are gone. */
export async function certify(
  document: Document,
  wishes: readonly CertificateWish[],
  spec: Spec,
  now: number,
): Promise<Certified> {
  const kept = withoutGone(document)
  if (spec.security.certificate !== null) return takeSupplied(wishes, spec, kept)
  const { createAuthority } = await import('./authority.ts')
  const { name, certificates, secrets } = document
  const known = secrets[keyName('authority')]
  const authority =
    certificates === undefined || known === undefined
      ? await createAuthority(name, now)
      : { certificate: certificates.authority, key: known }
  const made = await Promise.all(
    wishes.map(async (wish) => ({ ...wish, ...(await issueFor(name, wish, authority, now)) })),
  )
  const fresh = made.map(({ id, addresses, certificate }) => {
    const told = describe(certificate, addresses)
    return [id, { ...told, renewAt: told.endsAt - validForMs / 3 }]
  })
  return {
    certificates: { authority: authority.certificate, of: { ...kept.of, ...Object.fromEntries(fresh) } },
    secrets: {
      ...kept.secrets,
      [keyName('authority')]: authority.key,
      ...Object.fromEntries(made.map(({ id, key }) => [keyName(id), key])),
    },
  }
}

interface Kept {
  readonly of: Certificates['of']
  readonly secrets: Document['secrets']
}

function withoutGone({ nodes, sentinels = [], certificates, secrets }: Document): Kept {
  const ids = new Set([...nodes, ...sentinels].map(({ id }) => id))
  const names = new Set(['authority', ...ids].map(keyName))
  return {
    of: Object.fromEntries(Object.entries(certificates?.of ?? {}).filter(([id]) => ids.has(id))),
    secrets: Object.fromEntries(Object.entries(secrets).filter(([name]) => !isKeyName(name) || names.has(name))),
  }
}

async function issueFor(deployment: string, { id, addresses }: CertificateWish, authority: KeyPair, now: number) {
  const { issuePair } = await import('./authority.ts')
  return issuePair(authority, {
    identity: { role: 'engine', name: `${deployment}.${id}` },
    addresses,
    now,
    validForMs,
    // As long as the authority: a controller whose clock is ahead makes them too early, and nobody refuses them for it.
    validFrom: 0,
  })
}

function describe(pem: string, addresses: readonly string[]): Certificate {
  const own = new X509Certificate(pem)
  return {
    pem,
    fingerprint: own.fingerprint256.replaceAll(':', '').toLowerCase(),
    addresses,
    renewAt: Math.round(renewAt(own.toString())),
    endsAt: Date.parse(own.validTo),
  }
}

function takeSupplied(wishes: readonly CertificateWish[], spec: Spec, kept: Kept): Certified {
  const { key, ...supplied } = readSupplied(spec)
  const { authority, certificate } = supplied
  return {
    certificates: {
      authority,
      of: { ...kept.of, ...Object.fromEntries(wishes.map(({ id }) => [id, certificate])) },
    },
    secrets: { ...kept.secrets, ...Object.fromEntries(wishes.map(({ id }) => [keyName(id), key])) },
  }
}

interface Supplied {
  readonly authority: string
  readonly certificate: Certificate
  readonly key: string
}

/** Throws SPEC_INVALID for files that are missing, are no certificate or key, or do not belong together. */
function readSupplied({ security: { certificate: files } }: Spec): Supplied {
  if (files === null) throw new Error('no certificate is supplied')
  const authority = readFileOf('ca', files.ca)
  const chain = readFileOf('cert', files.cert)
  const key = readFileOf('key', files.key)
  const own = parse('cert', files.cert, () => new X509Certificate(chain))
  const pair = parse('key', files.key, () => createPrivateKey(key))
  const issuers = parse('ca', files.ca, () => certificatesIn(`${chain}\n${authority}`))
  if (!own.checkPrivateKey(pair)) throw wrong('key', `${files.key} is not the key of ${files.cert}`)
  if (!issuers.some((issuer) => own.verify(issuer.publicKey)))
    throw wrong('ca', `${files.cert} is not of the authority in ${files.ca}: engines would refuse each other`)
  const uses = own.keyUsage as readonly string[] | undefined
  if (uses !== undefined && !bothEnds.every((use) => uses.includes(use)))
    throw wrong(
      'cert',
      `${files.cert} is not for both ends of a connection (serverAuth, clientAuth): engines call each other`,
    )
  const names = (own.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''))
  return { authority, certificate: describe(chain, names), key }
}

/** Throws SPEC_INVALID where the files that a spec names cannot be used for these engines. */
export function refuseUncovered(spec: Spec, wishes: readonly CertificateWish[]): void {
  if (spec.security.certificate === null) return
  const { certificate } = readSupplied(spec)
  const missing = uncovered(certificate, [...new Set(wishes.flatMap(({ addresses }) => addresses))])
  if (missing.length === 0) return
  const file = spec.security.certificate.cert
  throw wrong(
    'cert',
    `${file} is not for ${missing.join(', ')}, where clients look for these engines: add them to its names`,
  )
}

/** Their words, as they are now; read again where one of them has changed. */
export class SuppliedFiles {
  #stamp = ''
  #seen: SuppliedSeen | undefined

  look(spec: Spec): SuppliedSeen | undefined {
    const { certificate: files } = spec.security
    if (files === null) return undefined
    const stamp = [files.ca, files.cert, files.key].map(stampOf).join()
    if (stamp === this.#stamp && this.#seen !== undefined) return this.#seen
    this.#stamp = stamp
    this.#seen = lookAt(spec)
    return this.#seen
  }
}

function lookAt(spec: Spec): SuppliedSeen {
  try {
    const { authority, certificate } = readSupplied(spec)
    return { kind: 'read', authority, certificate }
  } catch (error) {
    return { kind: 'unreadable', because: error instanceof Error ? error.message : String(error) }
  }
}

function stampOf(path: string): string {
  const { mtimeMs = 0, size = 0, ino = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {}
  return `${path} ${mtimeMs} ${size} ${ino}`
}

const certificatesIn = (pem: string): X509Certificate[] =>
  Array.from(
    pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g),
    ([one]) => new X509Certificate(one),
  )

function readFileOf(field: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw wrong(field, `${path} cannot be read (${error instanceof Error ? error.message : String(error)})`, error)
  }
}

function parse<T>(field: string, path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw wrong(
      field,
      `${path} is no ${field === 'key' ? 'private key without a passphrase' : 'certificate'} (PEM)`,
      error,
    )
  }
}

const wrong = (field: string, sentence: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SPEC_INVALID', `security.certificate.${field}: ${sentence}`, { field }, cause)

/** The file that an engine shows: its name changes whenever anything in it, or the authority, does. */
export function identityFile(certificate: Certificate, key: string, authority: string): { file: string; pem: string } {
  const digest = createHash('sha256').update(authority).update(certificate.pem).digest('hex').slice(0, 16)
  return { file: `${digest}.pem`, pem: `${certificate.pem.trimEnd()}\n${key.trimEnd()}\n` }
}
