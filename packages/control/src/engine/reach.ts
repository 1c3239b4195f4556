/**
 * Where a connection may go that somebody asked for who is not on this machine. Without this, whoever may name an
 * address could have the controller knock at doors that are closed to himself: the engines of others on loopback, the
 * services of the network inside, the metadata service of a cloud.
 *
 * A name is resolved once, by the connection itself, and what it was resolved to is what is judged and connected to:
 * a name that leads elsewhere the second time gains nothing.
 */
import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { networkInterfaces } from 'node:os'
import { HoldfastError } from '@holdfast/core'

/** Says no by throwing REFUSED_TARGET. */
export interface Reach {
  /** For an address that is one already. */
  refuse(address: string): void
  /** For a name: resolves it, and refuses if any of its addresses is inside. */
  readonly lookup: LookupFunction
}

export interface ReachOptions {
  /** What an administrator allows, as `10.0.0.0/8`; asked at each connection. */
  readonly allowed: () => readonly string[]
  /** Default: the resolver of this system. */
  readonly resolve?: Resolve
  /** Default: those of this machine. */
  readonly ownAddresses?: () => readonly string[]
}

type Resolve = (
  name: string,
  done: (error: Error | null, found: readonly { readonly address: string; readonly family: number }[]) => void,
) => void

/** Of IPv4, all that is not one host of the public network: RFC 6890, and multicast. */
const inside4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]
/** Of IPv6 only 2000::/3 is public, and these in it are not, or lead to an IPv4 address by another name. */
const inside6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']
const public6 = listOf(['2000::/3'])
const inside = listOf([...inside4, ...inside6])

export function reachFor({ allowed, resolve = resolveAll, ownAddresses = addressesHere }: ReachOptions): Reach {
  const refuse = (address: string, said = address): void => {
    const plain = withoutMapping(address)
    if (isInList(listOf(allowed()), plain)) return
    if (isPublic(plain) && !ownAddresses().includes(plain)) return
    throw new HoldfastError(
      'REFUSED_TARGET',
      `${said.slice(0, 200)} is an address inside, or of this machine, and is not asked for callers of the API: "holdfast allow-target ADDRESS" allows it, on the machine of the controller`,
      { target: said.slice(0, 200) },
    )
  }
  return {
    refuse,
    lookup: (name, options, done) => {
      resolve(name, (error, found) => {
        try {
          if (error !== null) throw error
          for (const { address } of found) refuse(address, name)
          const [first] = found
          if (first === undefined) throw new Error(`${name} has no address`)
          if (options.all === true) done(null, [...found])
          else done(null, first.address, first.family)
        } catch (refused) {
          done(refused as Error, '')
        }
      })
    },
  }
}

/** Names, and numbers that are no address as they stand: `2130706433`, `0177.0.0.1` and `127.1` are for the resolver. */
export const isAddress = (text: string): boolean => isIP(text) !== 0

function isPublic(address: string): boolean {
  if (isInList(inside, address)) return false
  return isIP(address) === 4 || isInList(public6, address)
}

/** `::ffff:10.0.0.1` is an IPv4 address, however it is written. */
function withoutMapping(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase()
  if (isIP(plain) !== 6) return plain
  const spelled = new URL(`http://[${plain}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(spelled) ?? []
  if (high === undefined || low === undefined) return spelled
  const bits = (Number.parseInt(high, 16) << 16) | Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

const isInList = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')

const resolveAll: Resolve = (name, done) => {
  lookup(name, { all: true }, (error, found) => done(error, found ?? []))
}

const addressesHere = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => withoutMapping(address)) ?? [])
