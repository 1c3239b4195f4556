/**
 * Who shows which certificate where the engines of a deployment speak TLS, and when a new one is due.
 *
 * A deployment has an authority of its own, so that whoever shows a certificate of it is one of its engines; or its
 * owner supplies the files, and all engines show the same. Certificates are public and stand in the document; private
 * keys are among its secrets, under names that no user can have.
 */
import type { Document } from './document.ts'
import { placeProxy } from './document.ts'
import type { Spec } from './spec.ts'
import { isLoopback, usesTls } from './spec.ts'
import { formatInstant } from './units.ts'

/** What one engine, Sentinel or all of them show. */
export interface Certificate {
  /** PEM; the chain to the authority, the own one first. */
  readonly pem: string
  /** SHA-256 of the own one, hex. */
  readonly fingerprint: string
  /** The addresses and names that it was made for. */
  readonly addresses: readonly string[]
  /** When another one shall take its place, and when it ends: wall clock, ms since 1970. */
  readonly renewAt: number
  readonly endsAt: number
}

export interface Certificates {
  /** PEM: what clients, and the engines among each other, believe. */
  readonly authority: string
  /** By the ids of nodes and Sentinels. */
  readonly of: Readonly<Record<string, Certificate>>
}

/** The files that the spec names, as they were read last. */
export type SuppliedSeen =
  | { readonly kind: 'read'; readonly authority: string; readonly certificate: Certificate }
  | { readonly kind: 'unreadable'; readonly because: string }

/** One certificate that is to be made. */
export interface CertificateWish {
  readonly id: string
  readonly addresses: readonly string[]
}

/** The name of a private key among the secrets: `authority`, or the id of a node. */
export const keyName = (of: string): string => `tls/${of}`
export const isKeyName = (name: string): boolean => name.startsWith('tls/')

type Placed = Pick<Document, 'nodes' | 'sentinels'> & { readonly certificates?: Certificates | undefined }

/** The addresses and names by which each is reached: by its peers, by clients, and by those who come through the proxy. */
export function addressesOf(place: { readonly host: string; readonly address: string }, spec: Spec): string[] {
  // Where its host is by now, too: it has the certificate for that before it moves there.
  const { announce, address } = spec.hosts.find(({ name }) => name === place.host) ?? {}
  const proxy = placeProxy(spec)
  const wanted = [place.address, address, announce?.ip, announce?.hostname, proxy?.address]
  const known = wanted.filter((one) => one !== undefined && one !== '') as string[]
  return [...new Set([...known, ...(known.some(isLoopback) ? ['localhost'] : [])])]
}

/** Who has none, one for other addresses, or one whose time is nearly over. Empty without TLS. */
export function certificatesDue(document: Placed, spec: Spec, wallNow: number): CertificateWish[] {
  if (!usesTls(spec)) return []
  return [...document.nodes, ...(document.sentinels ?? [])].flatMap((place) => {
    const addresses = addressesOf(place, spec)
    const known = document.certificates?.of[place.id]
    const isGood = known !== undefined && known.renewAt > wallNow && isFor(known, addresses)
    return isGood ? [] : [{ id: place.id, addresses }]
  })
}

/** Who does not show what was supplied. */
export function suppliedDue(
  document: Placed,
  spec: Spec,
  { authority, certificate }: Extract<SuppliedSeen, { kind: 'read' }>,
): CertificateWish[] {
  const { certificates } = document
  return [...document.nodes, ...(document.sentinels ?? [])].flatMap((place) => {
    const isSame =
      certificates?.authority === authority && certificates.of[place.id]?.fingerprint === certificate.fingerprint
    return isSame ? [] : [{ id: place.id, addresses: addressesOf(place, spec) }]
  })
}

/** The addresses that a certificate is not for: clients that dial them would refuse it. `*.example.org` is for one label. */
export const uncovered = ({ addresses: covered }: Certificate, addresses: readonly string[]): string[] =>
  addresses.filter((address) => !covered.some((name) => name === address || isUnderWildcard(address, name)))

const isFor = (certificate: Certificate, addresses: readonly string[]): boolean =>
  uncovered(certificate, addresses).length === 0

function isUnderWildcard(address: string, name: string): boolean {
  const dot = address.indexOf('.')
  return name.startsWith('*.') && dot > 0 && address.slice(dot) === name.slice(1)
}

/** Whom to believe that it is an engine of this deployment, PEM; null where they speak in clear. */
export const authorityOf = ({ certificates }: Pick<Document, 'certificates'>, spec: Spec): string | null =>
  usesTls(spec) ? (certificates?.authority ?? null) : null

/** The one that ends first; null without TLS, or before the first was made. */
export function firstToEnd({ nodes, sentinels = [], certificates }: Placed): EndingCertificate | null {
  const there = [...nodes, ...sentinels].flatMap(({ id }) => {
    const known = certificates?.of[id]
    return known === undefined ? [] : [{ id, endsAt: known.endsAt, renewAt: known.renewAt }]
  })
  return there.sort((a, b) => a.endsAt - b.endsAt)[0] ?? null
}

interface EndingCertificate extends Pick<Certificate, 'endsAt' | 'renewAt'> {
  readonly id: string
}

/** `the certificate of node-1 ends on …`. */
export const describeEnd = (id: string, endsAt: number): string =>
  `the certificate of ${id} ends ${formatInstant(endsAt)}`
