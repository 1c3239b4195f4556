import { Agent } from 'node:https'
import type { SecureContext } from 'node:tls'
import { createSecureContext } from 'node:tls'
import type { Credentials } from './mutual-tls.ts'
import { secureTerms } from './mutual-tls.ts'

/** What a request needs besides its place. */
interface KeptTerms {
  readonly agent: Agent
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: true
}

/**
 * Connections to others of this home, opened by the certificate that is held now and kept. What is kept is told apart by
 * all that a request says of TLS, at each request anew, keys and all, which costs more than the question: so they are read
 * once a certificate, and one that was renewed begins with connections of its own. The old ones end when nobody uses them.
 */
export class KeptConnections {
  readonly #credentials: () => Credentials
  #held: Credentials | undefined
  #terms: KeptTerms | undefined

  constructor(credentials: () => Credentials) {
    this.#credentials = credentials
  }

  terms(): KeptTerms {
    const now = this.#credentials()
    if (this.#terms !== undefined && this.#held === now) return this.#terms
    this.#held = now
    const secureContext = createSecureContext(secureTerms(now))
    this.#terms = { agent: new Agent({ keepAlive: true }), secureContext, rejectUnauthorized: true }
    return this.#terms
  }

  close(): void {
    this.#terms?.agent.destroy()
  }
}
