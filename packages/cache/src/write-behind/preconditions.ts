/**
 * Whether the engine keeps what it is given. A queue in an engine that evicts is a queue that forgets: measured, a full
 * engine under `allkeys-lru` evicted the queue itself, and nobody was told.
 *
 * What was not seen is not good: where the engine does not say, that is a reason to refuse as well.
 */
import type { Clock } from '../clock.ts'
import { type Engine, ReplyError } from '../engine/engine.ts'
import { CacheError } from '../errors.ts'
import type { WriteBehindSettings } from './settings.ts'

/** What one primary says of itself; undefined where it does not say. */
export interface Keeping {
  readonly node: string
  readonly policy: string | undefined
  readonly appendOnly: boolean | undefined
  readonly snapshots: boolean | undefined
  /** Replicas that are connected and in step. */
  readonly replicas: number | undefined
}

export interface Judgement {
  /** Seen, and wrong: what is set, and what to do. */
  readonly wrong: readonly string[]
  /** Not seen. */
  readonly unknown: readonly string[]
  /** Good enough, and could be better. */
  readonly weak: readonly string[]
}

type Terms = Pick<WriteBehindSettings, 'durable'>

export function judge(primaries: readonly Keeping[], { durable }: Terms): Judgement {
  const wrong: string[] = []
  const unknown: string[] = []
  const weak: string[] = []
  for (const { node, policy, appendOnly, snapshots, replicas } of primaries) {
    if (policy === undefined) unknown.push(`maxmemory-policy of ${node}`)
    else if (policy !== 'noeviction' && !policy.startsWith('volatile-')) {
      wrong.push(
        `${node} has maxmemory-policy ${policy}, which evicts the queue itself when memory is full: ` +
          'set it to noeviction (or volatile-lru, volatile-ttl...), or use an engine of its own',
      )
    }
    if (appendOnly === true) {
      // The best there is.
    } else if (snapshots === true) {
      weak.push(
        `${node} keeps snapshots only: when it dies alone, writes since the last one are lost; set appendonly yes`,
      )
    } else if (appendOnly === false && snapshots === false) {
      wrong.push(`${node} keeps nothing on disk (appendonly no, save ""): it would come back empty; set appendonly yes`)
    } else unknown.push(`persistence (appendonly, save) of ${node}`)
    if (durable === null) continue
    if (replicas === undefined) unknown.push(`replicas of ${node}`)
    else if (replicas < durable.copies) {
      wrong.push(
        `${node} has ${replicas} connected replicas, and durable.copies is ${durable.copies}: ` +
          'add replicas, or ask for fewer copies',
      )
    }
  }
  if (primaries.length === 0) unknown.push('everything: no primary is known')
  return { wrong, unknown, weak }
}

/** The reason not to start, if there is one. */
export function refusalOf(
  { wrong, unknown }: Judgement,
  { lossy, unchecked }: Pick<WriteBehindSettings, 'lossy' | 'unchecked'>,
): CacheError | undefined {
  if (lossy) return undefined
  if (wrong.length > 0) {
    const message = `write-behind would lose acknowledged writes: ${wrong.join('; ')}. Or say lossy: true if they may be lost`
    return new CacheError('INVALID', message, { wrong: wrong.length })
  }
  if (unknown.length > 0 && !unchecked) {
    const message =
      `the engine does not let us see ${unknown.join(', ')}: allow CONFIG GET or INFO, ` +
      'or say unchecked: true once you have made sure of it yourself'
    return new CacheError('INVALID', message, { unknown: unknown.length })
  }
  return undefined
}

/** Asks every primary. Throws UNAVAILABLE while one of them does not answer. */
export async function readKeeping(engine: Engine, clock: Clock, withinMs: number): Promise<readonly Keeping[]> {
  const deadlineAt = clock.monotonic() + withinMs
  const settings = ['maxmemory-policy', 'appendonly', 'save'].map((name) => ['CONFIG', 'GET', name])
  const sections = ['memory', 'persistence', 'replication'].map((name) => ['INFO', name])
  // Whoever answers first knows of all of them.
  if (engine.primaryKeys().length === 0) {
    await engine.send({ commands: [['PING']], key: null, deadlineAt, kind: 'read', patient: true })
  }
  return Promise.all(
    engine.primaryKeys().map(async (key) => {
      const commands = [...settings, ...sections]
      const { replies, link } = await engine.send({ commands, key, deadlineAt, kind: 'read', patient: true })
      const [policy, appendOnly, save] = replies.slice(0, settings.length).map(settingOf)
      const info = replies
        .slice(settings.length)
        .map((reply) => (reply instanceof ReplyError ? '' : String(reply)))
        .join('\n')
      return keepingOf(link.node, { policy, appendOnly, save }, info)
    }),
  )
}

export function keepingOf(
  node: string,
  config: {
    readonly policy?: string | undefined
    readonly appendOnly?: string | undefined
    readonly save?: string | undefined
  },
  info: string,
): Keeping {
  const said = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  const appendOnly = config.appendOnly ?? said('aof_enabled')
  const connected = said('connected_slaves')
  // Some that are connected have nothing yet. Proxies and other engines may leave the lines out that tell.
  const listed = /^slave\d+:/m.test(info)
  const inStep = [...info.matchAll(/^slave\d+:.*state=online/gm)].length
  return {
    node,
    policy: config.policy ?? said('maxmemory_policy'),
    appendOnly: appendOnly === undefined ? undefined : appendOnly === 'yes' || appendOnly === '1',
    // INFO does not say whether snapshots are taken at all.
    snapshots: config.save === undefined ? undefined : config.save.trim() !== '',
    replicas: connected === undefined ? undefined : listed ? inStep : Number(connected),
  }
}

/** `CONFIG GET` answers pairs: a list in RESP 2, a map in RESP 3. Undefined where it is forbidden, renamed or empty. */
function settingOf(reply: unknown): string | undefined {
  if (reply instanceof ReplyError || reply === null || typeof reply !== 'object') return undefined
  if (Array.isArray(reply)) return reply.length < 2 ? undefined : String(reply[1])
  const [value] = reply instanceof Map ? reply.values() : Object.values(reply)
  return value === undefined ? undefined : String(value)
}
