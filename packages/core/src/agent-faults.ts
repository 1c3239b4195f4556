/** What a controller and the agent of another machine say to each other of faults. */
import { z } from 'zod'
import { agentId, agentPort, parseAsked } from './agent-protocol.ts'
import { faultMsMax } from './drill/aim.ts'
import type { FaultEnvelope, FaultName, FaultSeen } from './drill/fault.ts'
import { faultNames } from './drill/fault.ts'

/** It names a file. */
const faultId = z.string().regex(/^f-[0-9a-f]{1,16}$/, 'the id of a fault')
const node = z.looseObject({ id: agentId, shard: agentId, host: z.string().max(255), port: agentPort })
const target = node.extend({
  shard: agentId.nullable(),
  hostId: agentId,
  role: z.enum(['primary', 'replica', 'unknown', 'sentinel']),
  pid: z.int().min(1),
})
const nodes = z.array(node).max(1000)
const ports = z.array(agentPort).max(2000)

const sent = z.looseObject({
  boot: z.string().max(128),
  envelope: z.looseObject({
    deployment: agentId,
    controllerEpoch: z.int().min(0),
    notAfter: z.number(),
    order: z.looseObject({
      id: faultId,
      deployment: agentId,
      fault: z.enum(faultNames as [FaultName, ...FaultName[]]),
      forMs: z.number().min(0).max(faultMsMax),
      targets: z.array(target).max(1000),
      because: z.string().max(10_000),
    }),
  }),
  nodes,
  network: z.looseObject({ clients: ports, engines: ports, drilledFrom: z.array(z.string().max(255)).max(1000) }),
})

/** What of a network belongs to a deployment, and to a drill. */
export interface FaultNetwork {
  /** Ports where it listens for everybody, and for its own engines alone. */
  readonly clients: readonly number[]
  readonly engines: readonly number[]
  /** Addresses of the machine that the clients of a drill are on: some faults leave them their way. */
  readonly drilledFrom: readonly string[]
}

/** A node as a fault finds it, wherever it is. */
export interface FaultNode {
  readonly id: string
  readonly shard: string
  readonly host: string
  readonly port: number
}

export interface FaultSent {
  /** The boot by whose clock `notAfter` is measured: of an earlier one it says nothing. */
  readonly boot: string
  readonly envelope: FaultEnvelope
  /** Every node of the deployment. */
  readonly nodes: readonly FaultNode[]
  readonly network: FaultNetwork
}

/** Times are of the agent's own wall clock, ms since 1970. */
export interface FaultsAnswered {
  readonly wall: number
  readonly faults: readonly FaultSeen[]
}

/** Throws USAGE, as all of these do, where it is not what it should be. */
export const parseFaultSent = (input: unknown): FaultSent => parseAsked(sent, input) as FaultSent
export const parseFaultNodes = (input: unknown): readonly FaultNode[] => parseAsked(nodes, input)
export const parseFaultId = (input: unknown): string => parseAsked(faultId, input)
