/**
 * What a controller and the agent of another machine say to each other: version 1. Fields are added and never changed, so
 * that neighbours of one version's distance work together; what is not known is passed over.
 *
 * An agent believes whom its certificate names, and checks all the same what becomes a path or a port of its machine.
 */
import { z } from 'zod'
import type { Envelope } from './action.ts'
import type { Peer } from './agent-fence.ts'
import type { NodePlace, SentinelPlace } from './document.ts'
import { HoldfastError } from './error.ts'
import type { HostFacts } from './host-facts.ts'
import type { AgentNodeSeen, AgentProxySeen, AgentSentinelSeen } from './observed.ts'

export const agentApiVersion = 1

/** A piece of a file is a body of its own, and the order to write it is told in this header. */
export const orderHeader = 'holdfast-order'

/** It names a directory. */
const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens')
const port = z.int().min(1).max(65_535)
const place = z.looseObject({ id, host: id, address: z.string().max(255), port })
const nodePlace = place.extend({ shard: id.or(z.literal('')) })

/** What an agent has to know of a deployment to look after its engines. It keeps it in memory alone. */
const terms = z.looseObject({
  engine: z.record(z.string(), z.unknown()),
  admin: z.looseObject({ username: z.string().max(128), password: z.string().max(512) }),
  /** The names of the directives to read back. */
  owned: z.array(z.string().regex(/^[a-z0-9-]{1,64}$/)).max(200),
  /** The hosts of the deployment. */
  hosts: z
    .array(z.looseObject({ name: id, address: z.string().max(255), port }))
    .max(500)
    .default([]),
  leaseAfterMs: z.number().min(100).max(600_000).default(1500),
})

/** What a controller says a few times a second, and what it holds. */
const hold = z.looseObject({
  boot: z.string().max(128),
  /** The latest time that the agent has told it, of the agent's own clock: up to then it was heard. */
  heard: z.number(),
  /** The deployments that it holds the lease of, and in which epoch. */
  epochs: z.record(id, z.int().min(0)),
})

const look = z.looseObject({
  deployment: id,
  /** A digest of the terms that the controller believes this agent to have. */
  terms: z.string().max(128),
  nodes: z.array(nodePlace).max(1000).default([]),
  sentinels: z.array(place).max(100).default([]),
  /** Whether one is wanted here. Null: nobody asks. */
  proxy: z.boolean().nullable().default(null),
})

const order = z.looseObject({
  /** The boot by whose clock `notAfter` is measured: of an earlier one it says nothing. */
  boot: z.string().max(128),
  envelope: z.looseObject({
    deployment: id,
    controllerEpoch: z.int().min(0),
    notAfter: z.number(),
    action: z.looseObject({ kind: z.string().max(64), node: id }),
  }),
})

const part = z.looseObject({
  deployment: id,
  node: id,
  backup: z.string().max(80),
  shard: id,
  what: z.enum(['record', 'data']),
  at: z.int().min(0),
})

/** Of the whole deployment: the same for every agent that has a part of it. */
export interface AgentTerms {
  /** As the spec has it: which engine to find on this machine. */
  readonly engine: Readonly<Record<string, unknown>>
  /** The agent's own user on the engines. */
  readonly admin: { readonly username: string; readonly password: string }
  readonly owned: readonly string[]
  /** The hosts that have a part of it, the agent's own among them; where it is the only one, it never fences itself. Absent: an earlier
   * controller, for which nobody does. */
  readonly hosts?: readonly Peer[]
  /** After so long without the controller and the majority of its peers an agent fences itself. Default: 1500. */
  readonly leaseAfterMs?: number
}

/** A controller's word that it has heard an agent, and for which deployments that counts. */
export interface Hold {
  readonly boot: string
  readonly heard: number
  readonly epochs: Readonly<Record<string, number>>
}

/** What an agent answers to whoever asks whether it is there: its own monotonic time, suspended or not. */
export interface AliveAnswered {
  readonly boot: string
  readonly now: number
}

/** How an agent hears the other hosts. Ages and not times: nobody has to know its clock. */
export interface Hearing {
  /** How long it has listened: before that it knows of nobody. */
  readonly listensForMs: number
  /** Since it last reached a host, or was asked by its agent, by the name of the host. Absent: not since it listens. */
  readonly heardAgoMs: Readonly<Record<string, number>>
  /** It thinks itself alone now, and would fence again what is lifted. */
  readonly isAlone: boolean
}

export interface LookAsked {
  readonly deployment: string
  readonly terms: string
  readonly nodes: readonly NodePlace[]
  readonly sentinels: readonly SentinelPlace[]
  readonly proxy: boolean | null
}

/** All times are of the agent's own clock. */
export interface LookAnswered {
  readonly now: number
  readonly boot: string
  readonly nodes: Readonly<Record<string, AgentNodeSeen>>
  readonly sentinels: Readonly<Record<string, AgentSentinelSeen>>
  readonly proxy: AgentProxySeen | null
  /** Absent: an earlier version, which knows nothing of others. */
  readonly hearing?: Hearing
}

export interface OrderSent {
  readonly boot: string
  readonly envelope: Envelope
}

/** A piece of a snapshot that lies beside a node, or of what is known of it. */
export interface PartAsked {
  readonly deployment: string
  readonly node: string
  readonly backup: string
  readonly shard: string
  readonly what: 'record' | 'data'
  /** Where it begins in the file, in bytes. */
  readonly at: number
}

/** Who an agent is, before anything is asked of it. */
export interface AgentGreeting {
  readonly apiVersion: number
  /** The name of its host. */
  readonly host: string
  readonly now: number
  readonly boot: string
  /** Where it keeps the directories of its engines: files that name them are written for it. */
  readonly deployments: string
  /** What its machine is. Absent: it does not tell. */
  readonly facts?: HostFacts
}

/** What an agent tells by itself, a line each. */
export type AgentNews =
  | { readonly kind: 'exit'; readonly deployment: string; readonly node: string; readonly pid: number }
  | { readonly kind: 'job-end'; readonly deployment: string }
  /** Nothing: only that it is still there. */
  | { readonly kind: 'alive' }

/** Throws USAGE, as all of these do, where it is not what it should be. */
export const parseLookAsked = (input: unknown): LookAsked => parse(look, input)
export const parseAgentTerms = (input: unknown): AgentTerms => parse(terms, input)
export const parseHold = (input: unknown): Hold => parse(hold, input)
export const parseOrderSent = (input: unknown): OrderSent => parse(order, input) as unknown as OrderSent
export const parsePartAsked = (input: unknown): PartAsked => parse(part, input)
export const parseAgentId = (input: unknown): string => parse(id, input)

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new HoldfastError('USAGE', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not understood'}`)
}

export { id as agentId, parse as parseAsked, port as agentPort }
