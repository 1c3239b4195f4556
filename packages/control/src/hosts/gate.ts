/** How this controller is reached by other machines, and what it shows to them. */
import { isIP } from 'node:net'
import { HoldfastError } from '@holdfast/core'
import type { Logger } from 'pino'
import { systemClock } from '../clock.ts'
import type { Home } from '../store/home.ts'
import type { Settings } from '../store/store.ts'
import type { RenewedCredentials } from './home-authority.ts'
import type { HostRegister } from './register.ts'

/** Where the door was last time: what is started without a word of it opens it again. */
const placeKey = 'door'
const joinPortDefault = 7501

export interface Gate {
  readonly credentials: RenewedCredentials
  /** Where machines may join; undefined where no address is known. */
  readonly door: { readonly urls: readonly string[]; readonly authority: string } | undefined
  close(): Promise<void>
}

interface Opening {
  readonly options: {
    readonly home: Home
    readonly address?: string | undefined
    readonly joinPort?: number | undefined
  }
  readonly settings: Settings
  readonly register: HostRegister
  readonly log: Logger
  /** The controller's. */
  readonly id: string
}

/** Opens the door where this controller has an address; undefined for a home of one machine. */
export async function openGate({ options, settings, register, log, id }: Opening): Promise<Gate | undefined> {
  const place = await placeOf(options, settings)
  if (place === undefined) return nobodysGate(settings, options.home, id)
  const { HomeAuthority } = await import('./home-authority.ts')
  const { buildDoor } = await import('../agent/join-door.ts')
  const authority = await HomeAuthority.open(settings, options.home.path, systemClock)
  const credentials = await authority.credentialsFor({ role: 'controller', name: id }, [place.address])
  const host = isIP(place.address) === 6 ? `[${place.address}]` : place.address
  const urls = [`https://${host}:${place.port}`]
  const app = buildDoor({ authority, register, credentials, doors: () => urls, clock: systemClock, log })
  try {
    await app.listen({ host: place.address, port: place.port })
  } catch (error) {
    throw refusal(place, error)
  }
  return {
    credentials,
    door: { urls, authority: authority.fingerprint },
    close: async () => {
      credentials.close()
      await app.close()
    },
  }
}

/** What looks after hosts that have joined, with no door of its own; undefined where none ever could. */
export async function nobodysGate(settings: Settings, home: Home, id: string): Promise<Gate | undefined> {
  if (settings.get('authority') === undefined) return undefined
  const { HomeAuthority } = await import('./home-authority.ts')
  const authority = await HomeAuthority.open(settings, home.path, systemClock)
  const credentials = await authority.credentialsFor({ role: 'controller', name: id }, [])
  return { credentials, door: undefined, close: async () => credentials.close() }
}

interface Place {
  readonly address: string
  readonly port: number
}

async function placeOf({ address, joinPort }: Opening['options'], settings: Settings): Promise<Place | undefined> {
  const kept = settings.get(placeKey)
  const before = kept === undefined ? undefined : (JSON.parse(kept) as Place)
  const at = address ?? before?.address
  if (at === undefined) return undefined
  if (isIP(at) === 0) {
    throw new HoldfastError('USAGE', `--address ${at}: an IP address of this machine, as others reach it`)
  }
  const place = { address: at, port: joinPort ?? before?.port ?? joinPortDefault }
  if (JSON.stringify(place) !== kept) await settings.swap(placeKey, kept, JSON.stringify(place))
  return place
}

function refusal({ address, port }: Place, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  const facts = { address, port }
  if (code === 'EADDRINUSE') {
    const because = `port ${port} of ${address} is in use, machines could not join there: choose another --join-port`
    return new HoldfastError('HOST_PORT_IN_USE', because, facts, error)
  }
  if (code !== 'EADDRNOTAVAIL') return error
  return new HoldfastError(
    'USAGE',
    `${address} is no address of this machine: say its own with --address`,
    facts,
    error,
  )
}
