/** Where the etcd of several controllers is, as it is said on the command line and kept in the home. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'
import { onDisk } from '../disk-error.ts'
import type { EtcdTerms } from './gateway.ts'

const portDefault = 2379
const prefixDefault = '/holdfast/'
const membersMax = 9

const shape = z.strictObject({
  /** Such as `https://10.0.0.1:2379`. */
  endpoints: z.array(z.string()).min(1).max(membersMax).readonly(),
  prefix: z.string(),
  user: z.string().nullable(),
  /** Files, by their absolute paths: what is in them may be renewed. */
  passwordFile: z.string().nullable(),
  ca: z.string().nullable(),
  cert: z.string().nullable(),
  key: z.string().nullable(),
})

export type EtcdPlace = Readonly<z.infer<typeof shape>>

/** What may be said beside the address. */
export interface EtcdFlags {
  readonly storeCa?: string
  readonly storeCert?: string
  readonly storeKey?: string
  readonly storePasswordFile?: string
  /** The network between is trusted: an address that is not this machine's may be spoken to in clear. */
  readonly storePlain?: boolean
}

/**
 * Reads `etcd://[user@]host[:port],…[/prefix]`, with `etcds` for TLS. Throws USAGE for what is none, and REFUSED_UNSAFE
 * where passwords and orders would go through a network in clear.
 */
export function parseEtcdPlace(url: string, flags: EtcdFlags): EtcdPlace {
  const [, scheme, user, hosts, path] = /^(etcds?):\/\/(?:([^@/:]+)@)?([^@/?#]+)(\/[\x21-\x7e]*)?$/.exec(url) ?? []
  if (scheme === undefined || hosts === undefined) throw unread()
  const endpoints = hosts.split(',').map((host) => endpointOf(host, scheme === 'etcds'))
  if (endpoints.length > membersMax) throw unread()
  if (scheme === 'etcd' && flags.storePlain !== true) refuseClear(endpoints)
  const file = (named: string | undefined): string | null => (named === undefined ? null : resolve(named))
  const place = {
    endpoints,
    prefix: prefixOf(path),
    user: user === undefined ? null : decodeURIComponent(user),
    passwordFile: file(flags.storePasswordFile),
    ca: file(flags.storeCa),
    cert: file(flags.storeCert),
    key: file(flags.storeKey),
  }
  if ((place.user === null) !== (place.passwordFile === null)) {
    throw new HoldfastError('USAGE', '--store: a user (etcd://USER@HOST) and --store-password-file go together')
  }
  if ((place.cert === null) !== (place.key === null)) {
    throw new HoldfastError('USAGE', '--store-cert and --store-key go together: a certificate, and its private key')
  }
  return place
}

/** What was kept. Throws REFUSED_UNSAFE where it is damaged. */
export function readEtcdPlace(text: string, path: string): EtcdPlace {
  try {
    return shape.parse(JSON.parse(text))
  } catch (error) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${path} is damaged: it says where the etcd of this home is. Say it again with "holdfast serve --store".`,
      { path },
      error,
    )
  }
}

/**
 * With what is in its files, which are read anew for each request: the certificate that an agent keeps there is made anew
 * every day and lasts a month. Throws USAGE where one is not there at first; one that goes later is what it was.
 */
export function termsOf({ endpoints, user, passwordFile, ...files }: EtcdPlace): EtcdTerms {
  let tls = tlsIn(files)
  return {
    endpoints,
    get tls() {
      try {
        tls = tlsIn(files)
      } catch {
        // It is being replaced, or will be missed at the next start.
      }
      return tls
    },
    ...(user === null || passwordFile === null ? {} : { user: { name: user, password: read(passwordFile).trim() } }),
  }
}

function tlsIn({ ca, cert, key }: Pick<EtcdPlace, 'ca' | 'cert' | 'key'>): EtcdTerms['tls'] {
  const named = Object.entries({ authority: ca, certificate: cert, key }).filter(([, path]) => path !== null)
  if (named.length === 0) return undefined
  return Object.fromEntries(named.map(([name, path]) => [name, read(path ?? '')]))
}

const read = (path: string): string => onDisk(path, () => readNamed(path))

function endpointOf(host: string, isSecure: boolean): string {
  try {
    const { hostname, port } = new URL(`http://${host}`)
    if (hostname === '') throw unread()
    return `${isSecure ? 'https' : 'http'}://${hostname}:${port === '' ? portOf(host) : port}`
  } catch {
    throw unread()
  }
}

/** The platform's URL leaves out a port that is HTTP's own. */
const portOf = (host: string): number => (host.endsWith(':80') ? 80 : portDefault)

function prefixOf(path: string | undefined): string {
  if (path === undefined || path === '/') return prefixDefault
  return path.endsWith('/') ? path : `${path}/`
}

function refuseClear(endpoints: readonly string[]): void {
  const far = endpoints.find((endpoint) => !isLoopback(new URL(endpoint).hostname))
  if (far === undefined) return
  throw new HoldfastError(
    'REFUSED_UNSAFE',
    `${far} is on another machine, and whoever can write there commands all engines: use etcds:// with --store-ca, --store-cert and --store-key, or say --store-plain where nobody else is in that network`,
    { endpoint: far },
  )
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))

const unread = (): HoldfastError =>
  new HoldfastError(
    'USAGE',
    '--store: where etcd is, as etcds://HOST:2379,HOST:2379,HOST:2379 (etcd:// without TLS), perhaps with a user before (USER@) and a prefix of all keys behind (/PREFIX); a password is read from --store-password-file',
  )

function readNamed(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    throw new HoldfastError(
      'USAGE',
      `${path} is not there: name it again with "holdfast serve --store"`,
      { path },
      error,
    )
  }
}
