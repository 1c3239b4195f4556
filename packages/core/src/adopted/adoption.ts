import type { Endpoint } from '../action.ts'
import type { ConnectionString } from '../connection-string.ts'
import { parseConnectionString } from '../connection-string.ts'
import type { NodePlace, SentinelPlace } from '../document.ts'
import { HoldfastError } from '../error.ts'
import type { Spec } from '../spec.ts'

/**
 * All that is kept of a deployment that somebody else runs: how it is reached, and where its nodes were last. Nothing in
 * it is wanted. It is no document and has no spec, so nothing that plans or acts can load it.
 */
export interface Adoption {
  readonly apiVersion: 1
  readonly name: string
  readonly topology: Spec['topology']
  /** What the Sentinels call the primary; null for other topologies. */
  readonly masterName: string | null
  /** As they were named: asked again where nobody else answers. With `sentinel` the Sentinels. */
  readonly seeds: readonly Endpoint[]
  /** Whom it is asked as; empty: the default user. */
  readonly user: string
  /** The same for Sentinels. */
  readonly sentinelUser: string
  readonly nodes: readonly NodePlace[]
  readonly sentinels: readonly SentinelPlace[]
  /** Wall clock, ms since 1970. */
  readonly at: number
  readonly by: string
  /**
   * Asked for by a caller of the API: nothing inside is connected to for it, also when it says later that it has moved
   * there. Absent: asked for on the machine itself.
   */
  readonly guarded?: true
  /** Sealed by the store's key. Empty: none. */
  readonly secrets: { readonly engine: string; readonly sentinel: string }
}

/** What an address says of a deployment. `topology` null: whoever answers there knows. */
export interface ForeignAddress extends Pick<Adoption, 'masterName' | 'seeds' | 'user' | 'sentinelUser' | 'secrets'> {
  readonly topology: Spec['topology'] | null
}

/** `redis://`, `valkey://`, or one of ours. Throws USAGE, and never repeats what may be a password. */
export function parseForeignAddress(text: string): ForeignAddress {
  const plain = /^(?:redis|valkey)(s?):\/\//.exec(text)
  const value = plain === null ? parseOurs(text) : parsePlain(text.slice(plain[0].length))
  if (value.tls || plain?.[1] === 's') {
    throw new HoldfastError('USAGE', 'TLS is not supported yet: name an address that is reached without it')
  }
  const { topology, masterName, hosts, user, password, sentinel } = value
  return {
    topology: plain === null ? topology : null,
    masterName,
    seeds: hosts,
    user: user ?? '',
    sentinelUser: sentinel?.user ?? '',
    secrets: { engine: password ?? '', sentinel: sentinel?.password ?? '' },
  }
}

function parseOurs(text: string): ConnectionString {
  if (text.startsWith('holdfast+')) return parseConnectionString(text)
  throw new HoldfastError(
    'USAGE',
    'an address starts with redis://, holdfast+cluster://, holdfast+sentinel:// or holdfast+standalone://',
  )
}

/** The rest of a plain address is written like ours; the position of an error would be counted from another beginning. */
function parsePlain(rest: string): ConnectionString {
  try {
    return parseConnectionString(`holdfast+standalone://${rest}`)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    throw new HoldfastError('USAGE', error.message.replace(/^connection string, character \d+/, 'the address'))
  }
}

/** How it is called where nobody says: as the Sentinels call it, or as its first host, or by its port. */
export function nameForForeign({ masterName, seeds }: Pick<Adoption, 'masterName' | 'seeds'>): string {
  const [first] = seeds
  const label = first === undefined || first.address === 'localhost' ? '' : (first.address.split('.')[0] ?? '')
  const fit = [masterName ?? '', label].find((one) => nameOf.test(one))
  return fit ?? `adopted-${first?.port ?? 0}`
}

const nameOf = /^[a-z][a-z0-9-]{0,39}$/

/** A name that a deployment may have. Throws USAGE. */
export function checkName(name: string): string {
  if (nameOf.test(name)) return name
  throw new HoldfastError('USAGE', '--name: 1 to 40 of a-z, 0-9 and -, starting with a letter')
}

/** Whatever acts is refused by this, word for word. */
export function refusedAdopted(name: string): HoldfastError {
  return new HoldfastError(
    'REFUSED_ADOPTED',
    `${name} is adopted: somebody else runs it, and Holdfast only watches. Do this by what runs it; "holdfast down ${name} --purge" forgets it here and touches nothing there.`,
    { name },
  )
}
