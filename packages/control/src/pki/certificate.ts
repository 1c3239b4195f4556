/** What a certificate says: read by everybody, and without the library that makes them, which costs 11 MB. */
import { X509Certificate } from 'node:crypto'

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

/** Who holds a certificate. Told by a URI in it, `holdfast://host/b`, which no address can be mistaken for. */
export interface Identity {
  readonly role: 'controller' | 'host' | 'engine'
  readonly name: string
}

/** When a certificate shall be replaced by a new one, ms since 1970: a third of its time is left. */
export function renewAt(certificate: string): number {
  const { validFrom, validTo } = new X509Certificate(certificate)
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  return to - (to - from) / 3
}

/** The SHA-256 of a certificate as hex: what a stranger compares before he trusts it. */
export const fingerprintOf = (certificate: string): string =>
  new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()

/** Whose a certificate is by its alternative names, as Node tells them of a peer; undefined: none of ours. */
export function identityIn(alternativeNames: string | undefined): Identity | undefined {
  const [, role, name] =
    /(?:^|, )URI:holdfast:\/\/(controller|host|engine)\/([A-Za-z0-9._-]+)(?:,|$)/.exec(alternativeNames ?? '') ?? []
  return role === undefined || name === undefined ? undefined : { role: role as Identity['role'], name }
}
