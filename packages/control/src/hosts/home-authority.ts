/** The authority of a home: made when the first host is to join, kept in the store, its key sealed. */
import type { Credentials } from '../agent/mutual-tls.ts'
import type { Clock } from '../clock.ts'
import { createAuthority, issue, issuePair } from '../pki/authority.ts'
import type { Identity, KeyPair } from '../pki/certificate.ts'
import { fingerprintOf, renewAt } from '../pki/certificate.ts'
import { RenewedCredentials } from '../pki/renewed-credentials.ts'
import type { Settings } from '../store/store.ts'

/** Its certificate and its private key, in one. */
const key = 'authority'
/** How often it is looked whether our own certificate shall be replaced. */
const lookEveryMs = 3_600_000

export class HomeAuthority {
  readonly fingerprint: string
  readonly #pair: KeyPair
  readonly #clock: Clock

  private constructor(pair: KeyPair, fingerprint: string, clock: Clock) {
    this.#pair = pair
    this.fingerprint = fingerprint
    this.#clock = clock
  }

  /** The one that is kept, or a new one. */
  static async open(settings: Settings, home: string, clock: Clock): Promise<HomeAuthority> {
    if (settings.get(key) === undefined) {
      // Where another controller is quicker, its authority is the one that holds.
      await settings.swap(key, undefined, JSON.stringify(await createAuthority(home, Math.round(clock.wall()))))
    }
    const pair = JSON.parse(settings.get(key) ?? '{}') as KeyPair
    return new HomeAuthority(pair, fingerprintOf(pair.certificate), clock)
  }

  get certificate(): string {
    return this.#pair.certificate
  }

  /** A certificate for whoever has shown who it is. Throws USAGE for a request that is none. */
  issue(request: string, identity: Identity, addresses: readonly string[]): Promise<string> {
    return issue(this.#pair, request, { identity, addresses, now: Math.round(this.#clock.wall()) })
  }

  /** Credentials for a process of this machine, made anew before they end. */
  async credentialsFor(identity: Identity, addresses: readonly string[]): Promise<RenewedCredentials<Credentials>> {
    const make = async (): Promise<Credentials> => ({
      ...(await issuePair(this.#pair, { identity, addresses, now: Math.round(this.#clock.wall()) })),
      authority: this.#pair.certificate,
    })
    const held = new RenewedCredentials(await make())
    const timer = setInterval(() => {
      if (this.#clock.wall() >= renewAt(held.now.certificate)) void make().then((fresh) => held.replace(fresh))
    }, lookEveryMs)
    timer.unref()
    held.onClose(() => clearInterval(timer))
    return held
  }
}
