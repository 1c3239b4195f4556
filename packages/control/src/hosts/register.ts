/**
 * The hosts that have joined this home, and those that may: each by a token of its own, that is good for one host, once
 * and for an hour. Of a token only a digest is kept. Every host is a setting of its own, so that many may come at once.
 */
import { createHash, randomBytes } from 'node:crypto'
import { HoldfastError } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { sameSecret } from '../server/auth/secret.ts'
import type { Settings } from '../store/store.ts'

const tokenForMs = 3_600_000
/** Nobody brings up so many at once. */
const tokensMax = 200
const hostsMax = 500
const hostPrefix = 'host/'
const invitationPrefix = 'invitation/'

export interface EnrolledHost {
  readonly name: string
  /** Where its agent listens, and engines do. */
  readonly address: string
  readonly port: number
  /** Empty: it is a zone of its own. */
  readonly zone: string
  readonly region: string
  /** Where its agent keeps the directories of engines. */
  readonly deployments: string
  /** Wall clock, ms since 1970. */
  readonly joinedAt: number
}

/** What the home says of a host, and not the host itself. */
export type HostLabels = Pick<EnrolledHost, 'name' | 'zone' | 'region'>

/** Where a host is: what it says of itself each time it comes. */
export type Whereabouts = Pick<EnrolledHost, 'address' | 'port' | 'deployments'>

interface Invitation extends HostLabels {
  readonly digest: string
  readonly expiresAt: number
}

export class HostRegister {
  readonly #settings: Settings
  readonly #clock: Clock
  #listener: () => void = () => {}

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
  }

  /** By their names. */
  hosts(): readonly EnrolledHost[] {
    return this.#settings.keys(hostPrefix).flatMap((key) => readHost(this.#settings.get(key)) ?? [])
  }

  host(name: string): EnrolledHost | undefined {
    return readHost(this.#settings.get(hostPrefix + name))
  }

  /** Calls back when a host has joined here, moved or left. */
  onChange(listener: () => void): void {
    this.#listener = listener
  }

  /** The secret with which this host may join. An earlier one for the same host is good no more. */
  async invite(labels: HostLabels): Promise<string> {
    const now = this.#clock.wall()
    const open = this.#settings.keys(invitationPrefix).flatMap((key) => readInvitation(this.#settings.get(key)) ?? [])
    for (const { name, expiresAt } of open) if (expiresAt <= now) await this.#write(invitationPrefix + name, undefined)
    if (open.filter(({ expiresAt }) => expiresAt > now).length >= tokensMax) {
      throw new HoldfastError('USAGE', `${tokensMax} tokens are open already: use them, or wait until they expire`)
    }
    const secret = randomBytes(24).toString('base64url')
    await this.#write(invitationPrefix + labels.name, {
      ...labels,
      digest: digestOf(secret),
      expiresAt: now + tokenForMs,
    })
    return secret
  }

  /**
   * It joins, and its secret is used up: of two who come with it, one is let in. Whoever had its name before is known no
   * more. Throws AUTH_REQUIRED for a secret that is unknown, used, or too old: nobody hears which.
   */
  async enrol(name: string, secret: string, where: Whereabouts): Promise<void> {
    const found = readInvitation(this.#settings.get(invitationPrefix + name))
    const now = this.#clock.wall()
    if (found === undefined || found.expiresAt <= now || !sameSecret(found.digest, digestOf(secret)))
      throw notGood(name)
    const others = this.hosts().filter((one) => one.name !== name)
    if (others.length >= hostsMax) throw new HoldfastError('USAGE', `there are ${others.length} hosts already`)
    refuseAddress({ name, ...where }, others)
    const isFirst = await this.#settings.swap(invitationPrefix + name, JSON.stringify(found), undefined)
    if (!isFirst) throw notGood(name)
    const { zone, region } = found
    const { address, port, deployments } = where
    await this.#write(hostPrefix + name, { name, address, port, zone, region, deployments, joinedAt: Math.round(now) })
    this.#listener()
  }

  /** It is here, and perhaps at another address. Throws AUTH_FORBIDDEN for one that was removed. */
  async found(name: string, { address, port, deployments }: Whereabouts): Promise<void> {
    const known = this.host(name)
    if (known === undefined)
      throw new HoldfastError(
        'AUTH_FORBIDDEN',
        `there is no host ${name} in this home any more: it was removed. To join again it needs a new token ("holdfast token --host ${name}"); engines that it still has are strangers, end them`,
      )
    const now = { ...known, address, port, deployments }
    if (JSON.stringify(known) === JSON.stringify(now)) return
    refuseAddress(
      now,
      this.hosts().filter((one) => one.name !== name),
    )
    await this.#write(hostPrefix + name, now)
    this.#listener()
  }

  /** Throws NOT_FOUND. */
  async remove(name: string): Promise<void> {
    if (this.host(name) === undefined) throw new HoldfastError('NOT_FOUND', `there is no host ${name.slice(0, 40)}`)
    await this.#write(hostPrefix + name, undefined)
    this.#listener()
  }

  /** Over whatever is there: the last word of one host about itself is the one that counts. */
  async #write(key: string, value: object | undefined): Promise<void> {
    const text = value === undefined ? undefined : JSON.stringify(value)
    for (let tries = 0; tries < 5; tries++) {
      if (await this.#settings.swap(key, this.#settings.get(key), text)) return
    }
    throw new HoldfastError('SPEC_CONFLICT', `${key} is being changed by somebody else all the time: try again`)
  }
}

/** We wrote it ourselves. */
const readHost = (text: string | undefined): EnrolledHost | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as EnrolledHost)

const readInvitation = (text: string | undefined): Invitation | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as Invitation)

/** Two agents at one address and port are one agent, or a mistake. */
function refuseAddress(
  { name, address, port }: Pick<EnrolledHost, 'name' | 'address' | 'port'>,
  others: readonly EnrolledHost[],
): void {
  const other = others.find((one) => one.address === address && one.port === port)
  if (other === undefined) return
  throw new HoldfastError('USAGE', `${address}:${port} is where the agent of ${other.name} is: ${name} needs another`, {
    address,
    port,
  })
}

const notGood = (name: string): HoldfastError =>
  new HoldfastError(
    'AUTH_REQUIRED',
    `this token is not good for ${name.slice(0, 40)}: it is good once and for an hour. Make another with "holdfast token --host ${name.slice(0, 40)}".`,
  )

const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')
