/**
 * An engine over an application's own node-redis connection (`redis` or `@redis/client`, version 5 or 6): a client, a
 * cluster or a sentinel.
 *
 * What is lost against a connection of the cache's own:
 * - A deadline ends the waiting, not the sending: a command may still be written, or done, when nobody waits any more.
 *   Set `commandOptions: { timeout: 0 }`, which makes each command several times cheaper, and `disableOfflineQueue:
 *   true`, or commands pile up while the connection is away.
 * - One breaker for the whole client. A dead node of a cluster costs its callers their whole deadline.
 * - No tracking: other processes are told of changes by messages (`withMessages`), or the local tier believes its
 *   entries for a moment only.
 * - Replicas are read only where the cluster has `useReplicas` or the sentinel a `replicaPoolSize`, whichever is free:
 *   there is no nearest one and no zone.
 * - Failovers are noticed when node-redis notices them; hints of a controller are not heard.
 * - Lanes and subscriptions are made by `duplicate()`, with the same options.
 */
import { CacheError } from '../../errors.ts'
import type { Argument, Engine } from '../engine.ts'
import { ReplyError } from '../engine.ts'
import { slotOf } from '../slots.ts'
import {
  engineOverForeign,
  type Foreign,
  type ForeignCall,
  type ForeignPorts,
  type Hear,
  replyErrorOf,
} from './foreign.ts'

/** What is used of node-redis, so that the package itself is not needed. */
export interface NodeRedis {
  readonly isOpen: boolean
  readonly isReady?: boolean
  on(...args: never[]): unknown
  sendCommand(...args: never[]): Promise<unknown>
  duplicate(...args: never[]): unknown
  connect(): Promise<unknown>
  subscribe(...args: never[]): Promise<unknown>
  destroy(): unknown
}

type Command = readonly Argument[]
interface Calls {
  sendCommand(...args: unknown[]): Promise<unknown>
  on(event: string, listener: () => void): unknown
  duplicate(): NodeRedis
  subscribe(channels: readonly string[], listener: (text: string, channel: string) => void): Promise<unknown>
}
interface Shard {
  readonly master?: { readonly address: string }
}
interface Shape {
  /** Of a cluster. */
  readonly slots?: readonly (Shard | undefined)[]
  nodeClient?(node: object): Promise<Calls>
  /** Of a sentinel: one connection for as long as the work takes. */
  use?<T>(work: (lease: Calls) => Promise<T>): Promise<T>
  readonly options?: { readonly keyPrefix?: string }
}

type Kind = 'client' | 'cluster' | 'sentinel'

/** Strings of replies (`$` in the protocol) as bytes. */
const asBytes = { 36: Buffer }

export interface NodeRedisPorts extends ForeignPorts {
  /** Say `true` where the cluster has `useReplicas` or the sentinel a `replicaPoolSize`: it cannot be seen from outside. Default false. */
  readonly readsReplicas?: boolean
}

export function engineOver(client: NodeRedis, { clock, readsReplicas = false }: NodeRedisPorts): Engine {
  if ((shapeOf(client).options?.keyPrefix ?? '') !== '') {
    throw new CacheError(
      'INVALID',
      'the node-redis connection has a keyPrefix: leave it out, and use the namespace instead',
    )
  }
  return engineOverForeign(foreignOf(client, readsReplicas), { clock })
}

function foreignOf(client: NodeRedis, readsReplicas: boolean): Foreign {
  const kind = kindOf(client)
  return {
    name: `the application’s node-redis ${kind}`,
    get ready() {
      return client.isReady ?? client.isOpen
    },
    clustered: kind === 'cluster',
    send: (commands, how) => send(client, kind, commands, { ...how, nearby: how.nearby && readsReplicas }),
    mayReachReplica: ({ isRead, nearby }) => isRead && nearby && readsReplicas && kind !== 'client',
    owners() {
      if (kind !== 'cluster') return null
      return Array.from(shapeOf(client).slots ?? [], (shard) => shard?.master?.address)
    },
    duplicate() {
      const duplicate = (client as unknown as Calls).duplicate()
      const errors = duplicate as unknown as Calls
      errors.on('error', () => {})
      // Whether it came up is seen by `ready`; the client goes on trying.
      duplicate.connect().catch(() => {})
      return foreignOf(duplicate, readsReplicas)
    },
    subscribe: (channels, hear) => subscribe(client, kind, channels, hear),
    destroy() {
      if (client.isOpen) client.destroy()
    },
  }
}

const shapeOf = (client: NodeRedis): Shape => client as unknown as Shape

function kindOf(client: NodeRedis): Kind {
  if (shapeOf(client).nodeClient !== undefined) return 'cluster'
  return shapeOf(client).use === undefined ? 'client' : 'sentinel'
}

async function send(
  client: NodeRedis,
  kind: Kind,
  commands: readonly Command[],
  { key, bytes, isRead, nearby }: ForeignCall,
): Promise<readonly unknown[]> {
  const calls = client as unknown as Calls
  const options = bytes ? { typeMapping: asBytes } : {}
  const fromReplica = isRead && nearby
  const [only] = commands
  if (commands.length === 1 && only !== undefined) {
    const routing = kind === 'cluster' ? [key ?? undefined, fromReplica] : kind === 'sentinel' ? [fromReplica] : []
    return [await orError(calls.sendCommand(...routing, [...only], options))]
  }
  // Written in one turn of the loop they stay together. Its own pipelines would tell of the first error only, and not
  // what became of the other commands.
  const together = (connection: Calls, ...routing: unknown[]): Promise<readonly unknown[]> =>
    Promise.all(commands.map((command) => orError(connection.sendCommand(...routing, [...command], options))))
  if (kind === 'client') return together(calls)
  const shape = shapeOf(client)
  if (shape.use !== undefined) return shape.use((lease) => together(lease, fromReplica))
  const { slots = [] } = shape
  const shard = key === null ? slots.find((one) => one !== undefined) : slots[slotOf(key)]
  const node = shard?.master && (await shape.nodeClient?.(shard.master))
  const replies = node === undefined ? undefined : await together(node)
  const isMoved = replies?.some((reply) => reply instanceof ReplyError && /^(?:MOVED|ASK)$/.test(reply.word)) ?? true
  // Over one node's connection nothing is redirected; a command of the cluster's own makes it look where the slot is.
  if (isMoved && key !== null) await calls.sendCommand(key, false, ['EXISTS', key]).catch(() => {})
  return replies ?? raise(new Error('the client is offline: nobody has this slot'))
}

/** The reply, an error reply as a value; rejects when the connection failed. */
function orError(reply: Promise<unknown>): Promise<unknown> {
  return reply.catch((error: unknown) => replyErrorOf(error) ?? raise(error))
}

async function subscribe(client: NodeRedis, kind: Kind, channels: readonly string[], hear: Hear): Promise<void> {
  const lost = (): void => hear.gap('the connection was lost')
  const back = (): void => hear.gap('the connection is back')
  // node-redis subscribes again by itself.
  const calls = client as unknown as Calls
  const losing = { client: ['error'], cluster: ['node-error', 'node-disconnect'], sentinel: ['client-error'] }[kind]
  const returning = { client: 'ready', cluster: 'node-ready', sentinel: 'topology-change' }[kind]
  for (const event of losing) calls.on(event, lost)
  calls.on(returning, back)
  await calls.subscribe(channels, (text, channel) => hear.message({ channel, text }))
}

function raise(error: unknown): never {
  throw error
}
