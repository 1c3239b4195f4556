/** How this controller is reached by other machines, and what it shows to them. */
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Credentials } from '../agent/mutual-tls.ts'
import { systemClock } from '../clock.ts'
import type { RenewedCredentials } from '../pki/renewed-credentials.ts'
import { refusedListening } from '../server/listen.ts'
import { onDisk } from '../store/disk-error.ts'
import type { Home } from '../store/home.ts'
import type { Settings } from '../store/store.ts'
import { writeAtomically } from '../write-file.ts'
import type { HostRegister } from './register.ts'

/** Where the door of this home was last time: what is started without a word of it opens it again. */
const placePath = (home: Home): string => join(home.path, 'door.json')
/** The doors of all controllers: whoever joined by one may come back by another. */
const doorPrefix = 'doors/'
const joinPortDefault = 7501

export interface Gate {
  readonly credentials: RenewedCredentials<Credentials>
  /** By which other machines know this one; undefined where that was never said. */
  readonly address: string | undefined
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
  const place = placeOf(options)
  if (place === undefined) return nobodysGate(settings, options.home, id)
  const { HomeAuthority } = await import('./home-authority.ts')
  const { buildDoor } = await import('../agent/join-door.ts')
  const authority = await HomeAuthority.open(settings, options.home.path, systemClock)
  const credentials = await authority.credentialsFor({ role: 'controller', name: id }, [place.address])
  // Its own first: that is the one that is known to be open.
  const doors = (): string[] => [
    ...new Set([urlOf(place), ...settings.keys(doorPrefix).map((key) => key.slice(doorPrefix.length))]),
  ]
  const app = buildDoor({ authority, register, credentials, doors, clock: systemClock, log })
  try {
    await app.listen({ host: place.address, port: place.port })
  } catch (error) {
    const what = 'the door by which machines join'
    throw refusedListening({ ...place, what, portFlag: '--join-port', addressFlag: '--address' }, error)
  }
  await publish(place, options.home, settings)
  return {
    credentials,
    address: place.address,
    get door() {
      return { urls: doors(), authority: authority.fingerprint }
    },
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
  return { credentials, address: placeBefore(home)?.address, door: undefined, close: async () => credentials.close() }
}

interface Place {
  readonly address: string
  readonly port: number
}

function placeOf({ home, address, joinPort }: Opening['options']): Place | undefined {
  const before = placeBefore(home)
  const at = address ?? before?.address
  if (at === undefined) return undefined
  if (isIP(at) === 0) {
    throw new HoldfastError('USAGE', `--address ${at}: an IP address of this machine, as others reach it`)
  }
  return { address: at, port: joinPort ?? before?.port ?? joinPortDefault }
}

function placeBefore(home: Home): Place | undefined {
  const path = placePath(home)
  if (!existsSync(path)) return undefined
  try {
    return z.object({ address: z.string(), port: z.int() }).parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    const because = `${path} is damaged: it says where others reach this controller. Remove it, and say it again with --address.`
    throw new HoldfastError('REFUSED_UNSAFE', because, { path }, error)
  }
}

/** Known to all from now on, in the place of where it was before. */
async function publish(place: Place, home: Home, settings: Settings): Promise<void> {
  const before = placeBefore(home)
  const [old, now] = [before === undefined ? undefined : urlOf(before), urlOf(place)]
  if (old !== undefined && old !== now) await settings.swap(doorPrefix + old, settings.get(doorPrefix + old), undefined)
  await settings.swap(doorPrefix + now, undefined, now)
  const path = placePath(home)
  if (old !== now) onDisk(path, () => writeAtomically(path, `${JSON.stringify(place)}\n`))
}

function urlOf({ address, port }: Place): string {
  return `https://${isIP(address) === 6 ? `[${address}]` : address}:${port}`
}
