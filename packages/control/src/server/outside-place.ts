/** Where the API and the panel are for other machines, and what is shown there. Kept from one start to the next. */
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'
import { onDisk } from '../store/disk-error.ts'
import type { Home } from '../store/home.ts'
import { writeAtomically } from '../write-file.ts'

const outsidePlace = z.object({
  /** Of this machine. */
  address: z.string(),
  port: z.int(),
  /** By which people call it, beside its address. */
  names: z.array(z.string()),
  /** A certificate of the owner's and its key; null: one of the home's own authority. */
  files: z.object({ certificate: z.string(), key: z.string() }).nullable(),
})

export type OutsidePlace = z.infer<typeof outsidePlace>

export interface OutsideFlags {
  /** An address, with its port where it is not 7500; or `off`. */
  readonly listen?: string
  readonly listenName?: readonly string[]
  readonly listenCert?: string
  readonly listenKey?: string
}

const portDefault = 7500
const hostName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i

/** `off`: nowhere from now on; undefined: as it was. Throws USAGE. */
export function parseOutside(flags: OutsideFlags): OutsidePlace | 'off' | undefined {
  const { listen, listenName: names = [], listenCert, listenKey } = flags
  if (listen === undefined) {
    if (names.length === 0 && listenCert === undefined && listenKey === undefined) return undefined
    throw new HoldfastError('USAGE', '--listen-name, --listen-cert and --listen-key say more of --listen ADDRESS')
  }
  if (listen === 'off') return 'off'
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(listen) ?? []
  const address = six ?? four ?? listen
  const at = port === undefined ? portDefault : Number(port)
  if (isIP(address) === 0 || at < 1 || at > 65_535) {
    throw new HoldfastError(
      'USAGE',
      `--listen ${listen}: an IP address of this machine, 10.0.0.1 or 10.0.0.1:7500 or [fd00::1]:7500, or off`,
    )
  }
  if (/^[0.:]+$/.test(address)) {
    throw new HoldfastError(
      'USAGE',
      `--listen ${listen}: one address of this machine, since its certificate is for one`,
    )
  }
  const wrong = names.find((name) => !hostName.test(name))
  if (wrong !== undefined) throw new HoldfastError('USAGE', `--listen-name ${wrong.slice(0, 80)}: no name of a host`)
  if ((listenCert === undefined) !== (listenKey === undefined)) {
    throw new HoldfastError('USAGE', '--listen-cert and --listen-key go together: a certificate and its private key')
  }
  const files =
    listenCert === undefined || listenKey === undefined
      ? null
      : { certificate: resolve(listenCert), key: resolve(listenKey) }
  if (files !== null && names.length > 0) {
    throw new HoldfastError('USAGE', 'the names are those of the certificate: leave out --listen-name or --listen-cert')
  }
  return { address, port: at, names: names.map((name) => name.toLowerCase()), files }
}

const placePath = (home: Home): string => join(home.path, 'listen.json')

/** As it was last time; undefined: nowhere. */
export function outsideBefore(home: Home): OutsidePlace | undefined {
  const path = placePath(home)
  if (!existsSync(path)) return undefined
  try {
    return outsidePlace.nullable().parse(JSON.parse(readFileSync(path, 'utf8'))) ?? undefined
  } catch (error) {
    const because = `${path} is damaged: it says where the panel listens for other machines. Remove it, and say it again with --listen.`
    throw new HoldfastError('REFUSED_UNSAFE', because, { path }, error)
  }
}

export function keepOutside(home: Home, place: OutsidePlace | 'off'): void {
  const path = placePath(home)
  onDisk(path, () => writeAtomically(path, `${JSON.stringify(place === 'off' ? null : place)}\n`))
}
