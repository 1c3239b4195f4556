/**
 * Where the engine is, in one line:
 * `holdfast+(cluster|sentinel|standalone)[s]://user:pass@h1:p1,h2:p2/[master-name][/db]?zone=&feed=&sentinel=user:pass`, or what every
 * other client reads for one node: `redis://`, `rediss://`, `valkey://`, `valkeys://`. A trailing `s` is TLS.
 *
 * The platform's URL class refuses several hosts, so this is a parser of its own. An error tells the position and what
 * belongs there, and never repeats what it found: a misplaced `@` or `/` would make that a piece of the password.
 */
import type { Address } from './engine/topology.ts'
import { CacheError } from './errors.ts'

export interface EngineUrl {
  readonly topology: 'cluster' | 'sentinel' | 'standalone'
  readonly tls: boolean
  readonly user: string | null
  readonly password: string | null
  /** Where to start asking: nodes, or with `sentinel` the Sentinels. At least one. */
  readonly addresses: readonly Address[]
  /** What the Sentinels call the primary; null for other topologies. */
  readonly masterName: string | null
  readonly db: number
  /** Where the application runs, so that it can read nearby. */
  readonly zone: string | null
  /** Where a controller tells of changes at once. */
  readonly feed: string | null
  /** Who we are to the Sentinels, where they want to know. */
  readonly sentinel?: { readonly user: string; readonly password: string }
}

interface Scheme {
  readonly topology: EngineUrl['topology']
  readonly tls: boolean
  readonly port: number
  /** What every other client reads, too: one node. */
  readonly plain: boolean
}

const schemes: ReadonlyMap<string, Scheme> = new Map(
  [false, true].flatMap((tls) => {
    const scheme = (name: string, topology: Scheme['topology'], plain: boolean): [string, Scheme] => [
      tls ? `${name}s` : name,
      { topology, tls, port: topology === 'sentinel' ? 26_379 : 6379, plain },
    ]
    return [
      scheme('redis', 'standalone', true),
      scheme('valkey', 'standalone', true),
      scheme('holdfast+cluster', 'cluster', false),
      scheme('holdfast+sentinel', 'sentinel', false),
      scheme('holdfast+standalone', 'standalone', false),
    ]
  }),
)

export function parseUrl(text: string): EngineUrl {
  if (typeof text !== 'string') throw refuse(0, 'it is text, such as redis://127.0.0.1:6379')
  const name = /^([a-z+]+):\/\//.exec(text)?.[1] ?? ''
  const scheme = schemes.get(name)
  if (scheme === undefined) throw refuse(0, whatWasMeant(text))
  const start = name.length + '://'.length
  const end = indexOrEnd(text, start, /[/?#]/)
  const authority = parseAuthority(text, start, end, scheme)
  const queryStart = indexOrEnd(text, end, /[?#]/)
  const { topology, tls } = scheme
  return {
    topology,
    tls,
    ...authority,
    ...parsePath(text, end, queryStart, topology),
    ...parseQuery(text, queryStart, topology),
  }
}

function parseAuthority(
  text: string,
  start: number,
  end: number,
  { port, plain }: Scheme,
): Pick<EngineUrl, 'user' | 'password' | 'addresses'> {
  const [at, ...more] = positions(text, '@', start, end)
  if (at !== undefined && more.length > 0) {
    throw refuse(at, 'only one @ ends the password: write %40 for an @ in it')
  }
  const hostsStart = at === undefined ? start : at + 1
  const commas = positions(text, ',', hostsStart, end)
  if (plain && commas[0] !== undefined) {
    throw refuse(commas[0], 'one host only: for several write holdfast+cluster:// or holdfast+sentinel://')
  }
  const addresses = [...commas, end].map((to, index) =>
    parseHost(text, index === 0 ? hostsStart : (commas[index - 1] ?? 0) + 1, to, port),
  )
  if (at === undefined) return { user: null, password: null, addresses }
  const [colon = at] = positions(text, ':', start, at)
  const user = decode(text, start, colon)
  const password = decode(text, Math.min(colon + 1, at), at)
  return { user: user === '' ? null : user, password: password === '' ? null : password, addresses }
}

function parseHost(text: string, from: number, to: number, otherwise: number): Address {
  const found = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+))(?::(\d+))?$/i.exec(text.slice(from, to))
  const host = found?.[1] ?? found?.[2]
  if (found === null || host === undefined) {
    throw refuse(
      from,
      'a host belongs here: name:port, address:port or [IPv6]:port; in a password write %2F for /, %3F for ? and %2C for ,',
    )
  }
  if (found[1] !== undefined && !host.includes(':')) throw refuse(from, 'brackets are for IPv6 addresses')
  const port = found[3] === undefined ? otherwise : Number(found[3])
  if (port < 1 || port > 65_535) throw refuse(to, 'a port is a number from 1 to 65535')
  return { host, port }
}

function parsePath(
  text: string,
  start: number,
  end: number,
  topology: EngineUrl['topology'],
): Pick<EngineUrl, 'masterName' | 'db'> {
  const parts = text.slice(start, end).split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  const named = topology === 'sentinel'
  const [name = '', ...rest] = named ? parts : ['', ...parts]
  if (named && name === '') {
    throw refuse(end, 'the name that the Sentinels have for the primary belongs here: /mymaster')
  }
  const masterName = named ? decode(text, start + 1, start + 1 + name.length) : null
  const [db = '', ...more] = rest
  if (more.length > 0 || !/^\d{0,5}$/.test(db)) {
    const path = named ? 'the path is /master-name or /master-name/db' : 'the path is the number of a database: /0'
    throw refuse(start, path)
  }
  if (topology === 'cluster' && Number(db) !== 0) throw refuse(start, 'a Cluster has database 0 only')
  return { masterName, db: Number(db) }
}

type Query = Pick<EngineUrl, 'zone' | 'feed' | 'sentinel'>

function parseQuery(text: string, start: number, topology: EngineUrl['topology']): Query {
  const found: { zone: string | null; feed: string | null; sentinel?: Query['sentinel'] & object } = {
    zone: null,
    feed: null,
  }
  if (text[start] === '#') throw refuse(start, 'nothing follows a #: in a password write %23')
  if (start >= text.length) return found
  let from = start + 1
  for (const part of text.slice(from).split('&')) {
    if (part.startsWith('sentinel=') && topology === 'sentinel') {
      if (found.sentinel !== undefined) throw refuse(from, 'sentinel= is there twice')
      found.sentinel = parseSentinel(text, from + 'sentinel='.length, from + part.length)
      from += part.length + 1
      continue
    }
    const key = /^(?:zone|feed)(?==)/.exec(part)?.[0]
    if (key !== 'zone' && key !== 'feed') {
      const known = topology === 'sentinel' ? 'zone=, feed= and sentinel=' : 'zone= and feed='
      throw refuse(from, `unknown query key: known are ${known}`)
    }
    if (found[key] !== null) throw refuse(from, `${key}= is there twice`)
    const valueStart = from + key.length + 1
    if (valueStart === from + part.length || part.includes('#')) {
      throw refuse(from, `${key}= needs a value, with %23 for #`)
    }
    found[key] = decode(text, valueStart, from + part.length)
    from += part.length + 1
  }
  return found
}

function parseSentinel(text: string, from: number, to: number): { user: string; password: string } {
  const [colon] = positions(text, ':', from, to)
  if (colon === undefined || text.slice(from, to).includes('#')) {
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

/** The beginning is nothing that is known: what comes close to it, without repeating it. */
function whatWasMeant(text: string): string {
  const known = 'start with redis://, valkey://, holdfast+cluster://, holdfast+sentinel:// or holdfast+standalone://'
  const typed = /^[^:/@]{1,24}(?=:)/.exec(text)?.[0].toLowerCase() ?? ''
  if (/^(?:\w+\+)?(?:unix|socket)$/.test(typed) || /^[./]/.test(text)) {
    return 'a socket file cannot be used: let the engine listen on an address, and write redis://127.0.0.1:6379'
  }
  const kind = /^redis[+-](cluster|sentinel)(s?)$/.exec(typed)
  const candidates = [...schemes.keys()].map((name) => ({ name, distance: editDistance(typed, name) }))
  const nearest = candidates.sort((a, b) => a.distance - b.distance)[0]
  const close = nearest !== undefined && nearest.distance <= nearest.name.length / 4
  const meant = kind === null ? (close ? nearest.name : undefined) : `holdfast+${kind[1]}${kind[2]}`
  return meant === undefined ? known : `did you mean ${meant}://? ${known}`
}

/** How many letters are wrong, missing, too many, or swapped with their neighbour. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + same,
        swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    before = above
    above = current
  }
  return above[b.length] ?? 0
}

function positions(text: string, sign: string, from: number, to: number): readonly number[] {
  const found: number[] = []
  for (let at = text.indexOf(sign, from); at !== -1 && at < to; at = text.indexOf(sign, at + 1)) found.push(at)
  return found
}

function indexOrEnd(text: string, from: number, pattern: RegExp): number {
  const index = text.slice(from).search(pattern)
  return index === -1 ? text.length : from + index
}

function refuse(index: number, sentence: string, cause?: unknown): CacheError {
  const position = index + 1
  return new CacheError('INVALID', `url, character ${position}: ${sentence}`, { what: 'url', position }, cause)
}
