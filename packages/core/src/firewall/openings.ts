/**
 * Who has to reach what, so that a deployment works, and nobody else: its clients, its hosts among themselves, and its
 * controllers. All else that asks for the same ports is turned away. What is not Holdfast's is not spoken of: a firewall
 * that closes a machine to the one who looks after it is taken down again, and then protects nothing.
 */
import { z } from 'zod'
import { busPortOf } from '../document.ts'
import { HoldfastError } from '../error.ts'
import type { Status } from '../status.ts'

/** A machine that something of Holdfast runs on. */
interface Machine {
  readonly address: string
}

export interface FirewallInput {
  readonly status: Pick<Status, 'name' | 'topology' | 'nodes' | 'aside' | 'sentinels' | 'proxy'>
  /** Networks of the applications, such as 10.20.0.0/16. */
  readonly clients: readonly string[]
  /** Enrolled hosts, by the name that nodes call them. */
  readonly agents: readonly (Machine & { readonly name: string; readonly port: number })[]
  readonly controllers: readonly (Machine & { readonly joinPort: number })[]
  /** Where the wanted state is kept by several controllers. */
  readonly etcd: readonly (Machine & { readonly clientPort: number; readonly peerPort: number })[]
  /** Addresses of machines that are hosts soon: they have to reach the join door before they are known. */
  readonly joining: readonly string[]
}

/** Who is let in: each is a list of networks. */
export type Party = 'clients' | 'hosts' | 'controllers' | 'etcd'

/** These may reach those ports of that address. */
export interface Opening {
  readonly to: string
  readonly ports: readonly number[]
  readonly from: Party
  readonly why: string
}

export interface Firewall {
  readonly deployment: string
  readonly parties: Readonly<Record<Party, readonly string[]>>
  readonly openings: readonly Opening[]
}

/** Throws USAGE for what is no network, or an address that no rule can name. */
export function firewallOf(input: FirewallInput): Firewall {
  const { status, agents, controllers } = input
  const listening = [...engineOpenings(status), ...agentOpenings(input), ...controllerOpenings(input)]
  // What listens on loopback is reached from its own machine alone, with or without a firewall.
  const openings = listening.filter(({ to, ports }) => !isLoopback(to) && ports.length > 0)
  const hosts = [...engineAddresses(status), ...agents.map(({ address }) => address), ...input.joining]
  const parties = {
    clients: input.clients.map(networkOf),
    hosts: addressesOf(hosts),
    controllers: addressesOf(controllers.map(({ address }) => address)),
    etcd: addressesOf(input.etcd.map(({ address }) => address)),
  }
  for (const { to } of openings) networkOf(to)
  return {
    deployment: status.name,
    parties,
    openings: openings.filter(({ from }) => parties[from].length > 0),
  }
}

/** The ports of each address that are opened to anybody: to all others they are closed. */
export function guardedPorts({ openings }: Firewall): ReadonlyMap<string, readonly number[]> {
  const guarded = new Map<string, readonly number[]>()
  for (const { to, ports } of openings) guarded.set(to, inOrder([...(guarded.get(to) ?? []), ...ports]))
  return guarded
}

/** `7001, 7002, 7003, 7010` are 7001-7003 and 7010. */
export function rangesOf(ports: readonly number[]): { readonly first: number; readonly last: number }[] {
  const ranges: { first: number; last: number }[] = []
  for (const port of inOrder(ports)) {
    const open = ranges.at(-1)
    if (open?.last === port - 1) open.last = port
    else ranges.push({ first: port, last: port })
  }
  return ranges
}

export const isIpv6 = (network: string): boolean => network.includes(':')

function engineOpenings({ topology, nodes, aside = [], sentinels, proxy }: FirewallInput['status']): Opening[] {
  const engines = [...nodes, ...aside]
  return engineAddresses({ nodes, aside, sentinels, proxy }).flatMap((to): Opening[] => {
    const at = ({ host }: { readonly host: string }): boolean => host === to
    const ports = engines.filter(at).map(({ port }) => port)
    const watching = sentinels.filter(at).map(({ port }) => port)
    const balanced =
      proxy !== null && at(proxy) ? [proxy.port, ...(proxy.replicaPort === null ? [] : [proxy.replicaPort])] : []
    const bus = topology === 'cluster' ? ports.map(busPortOf) : []
    return [
      { to, ports: [...ports, ...watching, ...balanced], from: 'clients', why: 'applications' },
      {
        to,
        ports: [...ports, ...watching, ...bus],
        from: 'hosts',
        why: saysPeers(bus.length > 0, watching.length > 0),
      },
      { to, ports: [...ports, ...watching], from: 'controllers', why: 'the controller looks at engines' },
    ]
  })
}

const saysPeers = (hasBus: boolean, hasSentinels: boolean): string =>
  ['replication', hasBus ? 'cluster bus' : '', hasSentinels ? 'Sentinels' : ''].filter((word) => word !== '').join(', ')

function agentOpenings({ agents }: FirewallInput): Opening[] {
  return agents.flatMap(({ address: to, port }): Opening[] => [
    { to, ports: [port], from: 'controllers', why: 'the agent' },
    { to, ports: [port], from: 'hosts', why: 'agents ask each other who is still there' },
  ])
}

function controllerOpenings({ controllers, etcd }: FirewallInput): Opening[] {
  return [
    ...controllers.map(
      ({ address: to, joinPort }): Opening => ({ to, ports: [joinPort], from: 'hosts', why: 'hosts join and renew' }),
    ),
    ...etcd.flatMap(({ address: to, clientPort, peerPort }): Opening[] => [
      { to, ports: [clientPort], from: 'controllers', why: 'the controllers share their state' },
      { to, ports: [peerPort], from: 'etcd', why: 'etcd among itself' },
    ]),
  ]
}

function engineAddresses({ nodes, aside = [], sentinels, proxy }: Omit<FirewallInput['status'], 'name' | 'topology'>) {
  return [...new Set([...nodes, ...aside, ...sentinels, ...(proxy === null ? [] : [proxy])].map(({ host }) => host))]
}

const addressesOf = (addresses: readonly string[]): string[] =>
  [...new Set(addresses.filter((address) => !isLoopback(address)))].map(networkOf)

const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])

function networkOf(text: string): string {
  if (network.safeParse(text).success) return text
  throw new HoldfastError(
    'USAGE',
    `"${text.slice(0, 80)}" is neither an address nor a network: write 10.20.0.7 or 10.20.0.0/16. A firewall knows no names.`,
    { text: text.slice(0, 80) },
  )
}

const isLoopback = (address: string): boolean => /^127\.|^::1$|^localhost$/.test(address)

const inOrder = (ports: readonly number[]): number[] => [...new Set(ports)].sort((one, other) => one - other)
