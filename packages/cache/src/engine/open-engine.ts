import type { ConnectionOptions } from 'node:tls'
import type { Clock } from '../clock.ts'
import { CacheError } from '../errors.ts'
import type { Hints } from '../hints.ts'
import { Askers } from './asking.ts'
import { clusterTopology } from './cluster.ts'
import type { Engine } from './engine.ts'
import { Router, type RouterPorts, type RouterTerms } from './router.ts'
import { sentinelTopology } from './sentinel.ts'
import { standaloneTopology } from './standalone.ts'
import type { Address, Ask, Topology } from './topology.ts'

type Addresses = readonly [Address, ...Address[]]

interface TopologyPorts {
  readonly ask: Ask
  readonly trouble: (error: Error) => void
  readonly clock: Clock
}

/** Where the engine is, and how this process shows itself there. */
export interface Target {
  readonly topology: 'standalone' | 'sentinel' | 'cluster'
  /** The node, the Sentinels, or some nodes of the Cluster. At least one; some may be dead. */
  readonly addresses: readonly Address[]
  readonly tls?: boolean | ConnectionOptions | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** Default 0. A Cluster has no other. */
  readonly db?: number | undefined
  /** What the Sentinels call it. */
  readonly masterName?: string | undefined
  readonly sentinelUser?: string | undefined
  readonly sentinelPassword?: string | undefined
  /** Where this process runs, for reading in its own zone. */
  readonly zone?: string | undefined
  /** Prefixes of keys whose changes by others are told; empty for none. */
  readonly track: readonly string[]
  /** What `CLIENT LIST` calls the connections. Default `holdfast-cache`. */
  readonly name?: string | undefined
  /** Default 300 ms, greeting included; with TLS the network, the handshake and the greeting have as much each. */
  readonly connectTimeoutMs?: number | undefined
  /** How many commands may wait for one node, and how many calls for any. Default 10 000. */
  readonly maxPendingPerNode?: number | undefined
}

interface EnginePorts {
  readonly clock: Clock
  readonly hints?: Hints | undefined
}

export function openEngine(target: Target, { clock, hints }: EnginePorts): Engine {
  const [first, ...others] = target.addresses
  if (first === undefined) throw new CacheError('INVALID', 'an engine needs an address to start from')
  const addresses = [first, ...others] as const
  const topology: RouterPorts['topology'] = (ports) => topologyOf(target, addresses, { ...ports, clock })
  return new Router(termsOf(target), { clock, topology, hints })
}

function topologyOf(target: Target, addresses: Addresses, { ask, clock, trouble }: TopologyPorts): Topology {
  switch (target.topology) {
    case 'standalone':
      return standaloneTopology(addresses)
    case 'cluster':
      return clusterTopology({ seeds: addresses, ask, clock })
    case 'sentinel':
      return overSentinels(target, addresses, { ask, clock, trouble })
    default:
      return target.topology satisfies never
  }
}

function overSentinels(target: Target, sentinels: Addresses, { ask, clock, trouble }: TopologyPorts): Topology {
  const { masterName, sentinelUser: user, sentinelPassword: password } = target
  if (masterName === undefined)
    throw new CacheError('INVALID', 'Sentinels are asked by the name of a primary: masterName')
  const { node } = termsOf(target)
  const askers = new Askers({ ...node, ...nothingSpecial, user, password, db: undefined, zones: false }, clock)
  const topology = sentinelTopology({
    sentinels,
    masterName,
    ask: (address, commands, withinMs) => askers.ask(address, commands, withinMs),
    askNode: ask,
    subscribe: askers.listen,
    clock,
    trouble,
  })
  return {
    get layout() {
      return topology.layout
    },
    suspect: (because) => topology.suspect(because),
    consult: (whom, because) => topology.consult(whom, because),
    onChange: (listener) => topology.onChange(listener),
    close() {
      topology.close()
      askers.close()
    },
  }
}

const nothingSpecial = { cluster: false, checkRole: false, blocking: false }

function termsOf(target: Target): RouterTerms {
  const { tls, user, password, db, zone, track } = target
  return {
    clustered: target.topology === 'cluster',
    checkRole: target.topology === 'sentinel',
    zone,
    node: {
      tls,
      user,
      password,
      db,
      track,
      name: target.name ?? 'holdfast-cache',
      withinMs: target.connectTimeoutMs ?? 300,
      maxPending: target.maxPendingPerNode ?? 10_000,
      zones: zone !== undefined,
    },
  }
}
