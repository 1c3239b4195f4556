import { countOf, type Duration, durationMs } from '../duration.ts'
import { CacheError } from '../errors.ts'

/** When a write counts as done. */
export interface DurableOptions {
  /**
   * How many replicas must have it before the call succeeds. Default 1. More than there are replicas can never be had,
   * and every call is then INDETERMINATE.
   */
  readonly copies?: number
  /** How long these are waited for. Default 1 s; it is part of the call's deadline. Longer where replicas are far away. */
  readonly within?: Duration
}

/** What can be said of all calls without a source of one cache. */
export interface DirectOptions {
  /** How long a call waits in all: queued, in flight and tried again. Default 5 s; a failover should fit in. */
  readonly within?: Duration
  /** Calls at once; more are OVERLOADED at once. Default 1000. Raise it for more calls a second times longer failovers. */
  readonly maxWaiting?: number
  /**
   * How long an operation id is remembered in the engine. Default 60 s. Longer than a caller tries again; each write that
   * must not be done twice costs about 180 bytes for that long.
   */
  readonly rememberFor?: Duration
  /** Whether a call waits for a node that is away instead of failing at once. Default true. */
  readonly patient?: boolean
  /** Whether writes wait for copies. Default false. */
  readonly durable?: DurableOptions | boolean
}

export interface DirectSettings {
  readonly withinMs: number
  readonly maxWaiting: number
  readonly rememberMs: number
  readonly patient: boolean
  readonly durable: DurableSettings | null
}

export interface DurableSettings {
  readonly copies: number
  readonly withinMs: number
}

export function directSettings(options: DirectOptions = {}): DirectSettings {
  const withinMs = deadlineMs(options.within ?? '5s')
  const rememberMs = durationMs(options.rememberFor ?? '60s', 'rememberFor')
  if (rememberMs < 2 * withinMs) {
    throw new CacheError(
      'INVALID',
      `rememberFor is at least twice within (${2 * withinMs} ms): a late try must still find its operation`,
      { what: 'rememberFor' },
    )
  }
  return {
    withinMs,
    rememberMs,
    maxWaiting: countOf(options.maxWaiting ?? 1000, 'maxWaiting', 1),
    patient: options.patient ?? true,
    durable: durableSettings(options.durable ?? false),
  }
}

export function durableSettings(durable: DurableOptions | boolean): DurableSettings | null {
  if (durable === false) return null
  const { copies = 1, within = '1s' } = durable === true ? {} : durable
  const withinMs = durationMs(within, 'durable.within')
  // To WAIT, 0 is for ever.
  return { copies: countOf(copies, 'durable.copies', 1, 100), withinMs: Math.max(1, withinMs) }
}

export function deadlineMs(within: Duration): number {
  const ms = durationMs(within, 'within')
  if (ms < 1) throw new CacheError('INVALID', 'within is at least a millisecond', { what: 'within' })
  return ms
}
