/**
 * An engine over an application's own ioredis connection, `Redis` or `Cluster`, version 5 or 6.
 *
 * What is lost against a connection of the cache's own:
 * - A deadline ends the waiting, not the sending: a command may still be written, or done, when nobody waits any more.
 * - ioredis sends again by itself what was not answered when a connection is lost. Set `autoResendUnfulfilledCommands:
 *   false`, or a write that is not idempotent may be done twice. Set `enableOfflineQueue: false`, or commands pile up.
 * - One breaker for the whole client. A dead node of a Cluster costs its callers their whole deadline.
 * - No tracking: other processes are told of changes by messages (`withMessages`), or the local tier believes its
 *   entries for a moment only.
 * - Replicas are read as `scaleReads` says, for all calls or for none. What may come from one never counts as primary.
 * - Failovers are noticed when ioredis notices them; hints of a controller are not heard.
 * - Lanes and subscriptions are made by `duplicate()`, with the same options.
 */
import { CacheError } from '../../errors.ts'
import type { Argument, Engine } from '../engine.ts'
import {
  engineOverForeign,
  type Foreign,
  type ForeignCall,
  type ForeignPorts,
  type Hear,
  replyErrorOf,
} from './foreign.ts'

/** What is used of ioredis, so that the package itself is not needed. */
export interface Ioredis {
  readonly status: string
  readonly isCluster: boolean
  readonly options: object
  on(...args: never[]): unknown
  call(...args: never[]): Promise<unknown>
  callBuffer(...args: never[]): Promise<unknown>
  pipeline(...args: never[]): object
  duplicate(...args: never[]): unknown
  subscribe(...args: never[]): Promise<unknown>
  disconnect(...args: never[]): unknown
  connect(...args: never[]): Promise<unknown>
}

interface Pipeline {
  call(...command: Argument[]): unknown
  callBuffer(...command: Argument[]): unknown
  exec(): Promise<[error: Error | null, reply: unknown][] | null>
}

interface Calls {
  call(...command: Argument[]): Promise<unknown>
  callBuffer(...command: Argument[]): Promise<unknown>
  subscribe(...channels: string[]): Promise<unknown>
  pipeline(): Pipeline
  duplicate(): Ioredis
  on(event: string, listener: (...args: string[]) => void): unknown
}

export function engineOver(client: Ioredis, ports: ForeignPorts = {}): Engine {
  const { options } = client
  if ('keyPrefix' in options && options.keyPrefix !== undefined && options.keyPrefix !== '') {
    throw new CacheError(
      'INVALID',
      'the ioredis connection has a keyPrefix: leave it out, and use the namespace instead',
    )
  }
  return engineOverForeign(foreignOf(client), ports)
}

/** ioredis sends what has no key to any node. */
const keyless = new Set([
  'PUBLISH',
  'WAIT',
  'WAITAOF',
  'TIME',
  'PING',
  'ECHO',
  'INFO',
  'CONFIG',
  'MULTI',
  'EXEC',
  'SCRIPT',
])

function foreignOf(client: Ioredis): Foreign {
  const calls = client as unknown as Calls
  // With `lazyConnect` it would wait for the first command, and the first command waits for it.
  if (client.status === 'wait') client.connect().catch(() => {})
  return {
    name: client.isCluster ? 'the application’s ioredis Cluster' : 'the application’s ioredis connection',
    get ready() {
      return client.status === 'ready'
    },
    clustered: client.isCluster,
    send: (commands, how) => send(client, commands, how),
    mayReachReplica: ({ isRead }) => readsReplicas(client, isRead),
    owners() {
      if (!client.isCluster) return null
      const { slots } = client as unknown as { slots?: readonly (readonly string[] | undefined)[] }
      return Array.from(slots ?? [], (nodes) => nodes?.[0])
    },
    duplicate() {
      const duplicate = calls.duplicate()
      // Its errors reach whoever waits for it; without a listener they would go to the console.
      const errors = duplicate as unknown as Calls
      errors.on('error', () => {})
      return foreignOf(duplicate)
    },
    subscribe: (channels, hear) => subscribe(calls, channels, hear),
    destroy: () => void client.disconnect(),
  }
}

function readsReplicas({ options, isCluster }: Ioredis, isRead: boolean): boolean {
  if (!isCluster) return 'role' in options && options.role === 'slave'
  return isRead && 'scaleReads' in options && options.scaleReads !== 'master'
}

async function send(
  client: Ioredis,
  commands: readonly (readonly Argument[])[],
  { key, bytes }: ForeignCall,
): Promise<readonly unknown[]> {
  const calls = client as unknown as Calls
  const [only] = commands
  // A key that none of the commands has shows where they belong.
  const lost = client.isCluster && key !== null && commands.every(([word]) => keyless.has(String(word).toUpperCase()))
  if (commands.length === 1 && only !== undefined && !lost) {
    try {
      return [await (bytes ? calls.callBuffer(...only) : calls.call(...only))]
    } catch (error) {
      return [replyErrorOf(error) ?? raise(error)]
    }
  }
  const pipeline = calls.pipeline()
  if (lost) pipeline.call('EXISTS', key)
  for (const command of commands) {
    if (bytes) pipeline.callBuffer(...command)
    else pipeline.call(...command)
  }
  const results = (await pipeline.exec()) ?? []
  const replies = results.map(([error, reply]) => (error === null ? reply : (replyErrorOf(error) ?? raise(error))))
  return lost ? replies.slice(1) : replies
}

async function subscribe(client: Calls, channels: readonly string[], { message, gap }: Hear): Promise<void> {
  client.on('message', (channel = '', text = '') => message({ channel, text }))
  client.on('close', () => gap('the connection was lost'))
  // ioredis subscribes again by itself.
  client.on('ready', () => gap('the connection is back'))
  await client.subscribe(...channels)
}

function raise(error: unknown): never {
  throw error
}
