/** Both sides of an agent's door show a certificate of the home's own authority, and look whose the other's is. */
import type { SecureContextOptions } from 'node:tls'
import { HoldfastError } from '@holdfast/core'
import type { Identity, KeyPair } from '../pki/certificate.ts'
import { identityIn } from '../pki/certificate.ts'

export interface Credentials extends KeyPair {
  /** The certificate of the authority, PEM: who shows one of another is turned away. */
  readonly authority: string
}

/** For the server and for the client of a connection. */
export const secureTerms = ({ certificate, key, authority }: Credentials) =>
  ({
    cert: certificate,
    key,
    ca: authority,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
  }) as const satisfies SecureContextOptions & { requestCert: boolean; rejectUnauthorized: boolean }

/**
 * Refuses whoever is not of this role, and of this name where one is given; undefined where it is who it should be. By
 * what its certificate says, not by its address: addresses change.
 */
export function refusalOf(
  alternativeNames: string | undefined,
  role: Identity['role'],
  name?: string,
): HoldfastError | undefined {
  const peer = identityIn(alternativeNames)
  if (peer?.role === role && (name === undefined || peer.name === name)) return undefined
  const found = peer === undefined ? 'nobody of this home' : `${peer.role} ${peer.name}`
  const wanted = name === undefined ? role : `${role} ${name}`
  return new HoldfastError('AUTH_FORBIDDEN', `${found} is at the other end, where ${wanted} should be`)
}
