/**
 * The address of a deployment in one line:
 * `holdfast+(cluster|sentinel|standalone)[s]://user:pass@h1:p1,h2:p2/[master-name][/db]?zone=&feed=&sentinel=user:pass`
 *
 * The platform's URL class refuses several hosts, so this is a parser of its own. An error tells the position and what
 * belongs there, and never repeats what it found: a misplaced `@` or `/` would make that a piece of the password.
 */
import type { Endpoint } from './action.ts'
import { HoldfastError } from './error.ts'

export interface ConnectionString {
  readonly topology: 'cluster' | 'sentinel' | 'standalone'
  readonly tls: boolean
  readonly user: string | null
  readonly password: string | null
  /** Where to start asking: nodes, or with `sentinel` the Sentinels. At least one. */
  readonly hosts: readonly Endpoint[]
  /** What the Sentinels call the primary; null for other topologies. */
  readonly masterName: string | null
  readonly db: number
  /** Where the application runs, so that it can read nearby. */
  readonly zone: string | null
  /** Where the controller tells of changes at once. */
  readonly feed: string | null
  /** Who we are to the Sentinels, where they want to know. */
  readonly sentinel?: { readonly user: string; readonly password: string }
}

const topologies = ['cluster', 'sentinel', 'standalone'] as const
const defaultPort = { cluster: 6379, sentinel: 26_379, standalone: 6379 } as const

export function parseConnectionString(text: string): ConnectionString {
  const scheme = /^holdfast\+(cluster|sentinel|standalone)(s?):\/\//.exec(text)
  const topology = topologies.find((name) => name === scheme?.[1])
  if (scheme === null || topology === undefined) {
    throw refuse(
      0,
      'start with holdfast+cluster://, holdfast+sentinel:// or holdfast+standalone://, with TLS clusters://',
    )
  }
  const start = scheme[0].length
  const end = indexOrEnd(text, start, /[/?#]/)
  const authority = parseAuthority(text, start, end, defaultPort[topology])
  const queryStart = indexOrEnd(text, end, /[?#]/)
  const path = parsePath(text, end, queryStart, topology)
  const query = parseQuery(text, queryStart, topology)
  return { topology, tls: scheme[2] === 's', ...authority, ...path, ...query }
}

/** The same value as text. The password is `****` unless it is asked for. */
export function formatConnectionString(value: ConnectionString, { showSecret }: { showSecret: boolean }): string {
  const password = value.password === null ? '' : `:${showSecret ? encodeURIComponent(value.password) : '****'}`
  const user = value.user === null ? '' : encodeURIComponent(value.user)
  const credentials = user + password === '' ? '' : `${user}${password}@`
  const hosts = value.hosts.map(({ address, port }) => `${address.includes(':') ? `[${address}]` : address}:${port}`)
  const master = value.masterName === null ? '' : `/${encodeURIComponent(value.masterName)}`
  const db = value.db === 0 ? '' : `/${value.db}`
  const query = [
    ...(value.zone === null ? [] : [`zone=${encodeURIComponent(value.zone)}`]),
    ...(value.feed === null ? [] : [`feed=${encodeURIComponent(value.feed)}`]),
    ...sentinelQuery(value, showSecret),
  ].join('&')
  const scheme = `holdfast+${value.topology}${value.tls ? 's' : ''}`
  return `${scheme}://${credentials}${hosts.join(',')}${master}${db}${query === '' ? '' : `?${query}`}`
}

function sentinelQuery({ sentinel }: ConnectionString, showSecret: boolean): string[] {
  if (sentinel === undefined) return []
  const password = showSecret ? encodeURIComponent(sentinel.password) : '****'
  return [`sentinel=${encodeURIComponent(sentinel.user)}:${password}`]
}

type Authority = Pick<ConnectionString, 'user' | 'password' | 'hosts'>

function parseAuthority(text: string, start: number, end: number, port: number): Authority {
  const at = text.indexOf('@', start)
  const hasCredentials = at !== -1 && at < end
  if (hasCredentials && text.indexOf('@', at + 1) !== -1 && text.indexOf('@', at + 1) < end) {
    throw refuse(at, 'only one @ ends the password: write %40 for an @ in it')
  }
  const hostsStart = hasCredentials ? at + 1 : start
  const hosts: Endpoint[] = []
  for (let from = hostsStart; from <= end; ) {
    const to = Math.min(indexOrEnd(text, from, /,/), end)
    hosts.push(parseHost(text, from, to, port))
    from = to + 1
  }
  if (!hasCredentials) return { user: null, password: null, hosts }
  const colon = text.indexOf(':', start)
  const split = colon === -1 || colon > at ? at : colon
  const user = decode(text, start, split)
  const password = decode(text, split + 1, Math.max(at, split + 1))
  return { user: user === '' ? null : user, password: split === at || password === '' ? null : password, hosts }
}

function parseHost(text: string, from: number, to: number, port: number): Endpoint {
  const part = text.slice(from, to)
  const found = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+))(?::(\d+))?$/i.exec(part)
  const address = found?.[1] ?? found?.[2]
  if (found === null || address === undefined) {
    throw refuse(
      from,
      'a host belongs here: name:port, address:port or [IPv6]:port; in a password write %2F for /, %3F for ? and %2C for ,',
    )
  }
  if (found[1] !== undefined && !found[1].includes(':')) throw refuse(from, 'brackets are for IPv6 addresses')
  const number = found[3] === undefined ? port : Number(found[3])
  if (number < 1 || number > 65_535) throw refuse(to, 'a port is a number from 1 to 65535')
  return { address, port: number }
}

function parsePath(text: string, start: number, end: number, topology: ConnectionString['topology']) {
  const parts = text.slice(start, end).split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  const named = topology === 'sentinel'
  if (named && (parts[0] === undefined || parts[0] === '')) {
    throw refuse(end, 'the name that the Sentinels have for the primary belongs here: /mymaster')
  }
  const masterName = named ? decode(text, start + 1, start + 1 + (parts[0]?.length ?? 0)) : null
  const [db, ...more] = named ? parts.slice(1) : parts
  if (more.length > 0 || !/^\d{0,5}$/.test(db ?? '')) {
    throw refuse(
      start,
      named ? 'the path is /master-name or /master-name/db' : 'the path is the number of a database: /0',
    )
  }
  if (topology === 'cluster' && Number(db ?? 0) !== 0) throw refuse(start, 'a cluster has database 0 only')
  return { masterName, db: Number(db ?? 0) }
}

type Query = Pick<ConnectionString, 'zone' | 'feed' | 'sentinel'>

function parseQuery(text: string, start: number, topology: ConnectionString['topology']): Query {
  const found: { zone: string | null; feed: string | null; sentinel?: Query['sentinel'] & object } = {
    zone: null,
    feed: null,
  }
  if (text[start] === '#') throw refuse(start, 'nothing follows a #: in a password write %23')
  if (start >= text.length) return found
  let from = start + 1
  for (const part of text.slice(from).split('&')) {
    const split = part.indexOf('=')
    const [key, value] = split === -1 ? ['', ''] : [part.slice(0, split), part.slice(split + 1)]
    if (key === 'sentinel' && topology === 'sentinel') {
      if (found.sentinel !== undefined) throw refuse(from, 'sentinel= is there twice')
      found.sentinel = parseSentinel(text, from + key.length + 1, from + part.length)
      from += part.length + 1
      continue
    }
    if (key !== 'zone' && key !== 'feed') {
      const known = topology === 'sentinel' ? 'zone=, feed= and sentinel=' : 'zone= and feed='
      throw refuse(from, `unknown query key: known are ${known}`)
    }
    if (found[key] !== null) throw refuse(from, `${key}= is there twice`)
    if (value === '' || value.includes('#')) throw refuse(from, `${key}= needs a value, with %23 for #`)
    found[key] = decode(text, from + key.length + 1, from + part.length)
    from += part.length + 1
  }
  return found
}

function parseSentinel(text: string, from: number, to: number): { user: string; password: string } {
  const colon = text.indexOf(':', from)
  if (colon === -1 || colon >= to || text.slice(from, to).includes('#')) {
    throw refuse(from, 'sentinel= is a user and a password, user:pass, with %3A for a colon in them')
  }
  return { user: decode(text, from, colon), password: decode(text, colon + 1, to) }
}

function decode(text: string, from: number, to: number): string {
  try {
    return decodeURIComponent(text.slice(from, to))
  } catch (error) {
    // The cause holds no text of ours: the platform says only that it is malformed.
    throw refuse(from, 'a % is followed by two hex digits of UTF-8: write %25 for the sign itself', error)
  }
}

function indexOrEnd(text: string, from: number, pattern: RegExp): number {
  const index = text.slice(from).search(pattern)
  return index === -1 ? text.length : from + index
}

function refuse(index: number, sentence: string, cause?: unknown): HoldfastError {
  const position = index + 1
  return new HoldfastError('USAGE', `connection string, character ${position}: ${sentence}`, { position }, cause)
}
