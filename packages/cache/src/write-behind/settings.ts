/** What can be said of a write-behind, and what holds where nothing is said. */
import { type Bytes, bytesOf, countOf, type Duration, durationMs, ratioOf } from '../duration.ts'
import { CacheError } from '../errors.ts'

export interface WriteBehindOptions {
  /**
   * How many copies besides the primary must have a write before it is acknowledged, and how long they are waited for.
   * Default `{ copies: 1, within: '1s' }`. More copies survive more deaths at once; each costs the time to the slowest
   * of them. `false` needs `lossy: true`, and is its default.
   */
  readonly durable?: { readonly copies?: number; readonly within?: Duration } | false
  /** Start even if the engine may lose what it is given. Default false. For data that may be lost, and for trying out. */
  readonly lossy?: boolean
  /** Start even if the engine does not let us see how it is set. What is seen to be wrong is refused still. Default false. */
  readonly unchecked?: boolean
  /** Most keys in one `saveMany`. Default 100. More where the store likes large transactions. */
  readonly batch?: number
  /** How often the queue is looked at when it was empty. Default 200 ms. Longer coalesces more and lags more. */
  readonly every?: Duration
  /** Most unsaved keys of a partition; writers of other keys wait for room. Default 10 000. Bounds memory in the engine. */
  readonly maxQueued?: number
  /** Most writes of this process that wait for an answer; more are OVERLOADED. Default 10 000. */
  readonly maxWaiting?: number
  /** How long a write waits for its acknowledgement, and a read for the engine. Default 5 s: longer than a failover. */
  readonly deadline?: Duration
  /** After so many failed saves of a key, while others succeed, it is put aside. Default 8. */
  readonly tries?: number
  /** The first pause after a failed save; it doubles, and is taken by chance from zero up. Default 100 ms. */
  readonly retryFrom?: Duration
  /** The longest such pause. Default 30 s. */
  readonly retryUpTo?: Duration
  /** True for an error that no retry will mend: the key is put aside at once. Default: none is. */
  readonly permanent?: (error: unknown) => boolean
  /** After which a save is given up and counts as failed. Default 10 s. */
  readonly saveDeadline?: Duration
  /** Within which the partitions of a dead process are taken over. Default 3 s. Longer than the pauses of your processes. */
  readonly lease?: Duration
  /** Whether this process saves. Default true. False where others do, such as in short-lived processes. */
  readonly consume?: boolean
  /** For how long a saved value stays in the engine to be read. Default 1 min; 0 for not at all. Costs memory. */
  readonly keep?: Duration
  /** For how long an operation is remembered, so that its retry changes nothing. Default 60 s. */
  readonly rememberFor?: Duration
  /** In how many partitions the keys are. Default 64. The same in all processes, and never changed while keys are unsaved. */
  readonly partitions?: number
  /** Above which a value is TOO_LARGE, encoded. Default 1 MiB. */
  readonly maxValueBytes?: Bytes
}

/** `WriteBehindOptions` with everything said. */
export interface WriteBehindSettings {
  /** Null: acknowledged when the primary has it. */
  readonly durable: { readonly copies: number; readonly withinMs: number } | null
  readonly lossy: boolean
  readonly unchecked: boolean
  readonly batch: number
  readonly everyMs: number
  readonly maxQueued: number
  readonly maxWaiting: number
  readonly deadlineMs: number
  readonly tries: number
  readonly retryFromMs: number
  readonly retryUpToMs: number
  readonly permanent: (error: unknown) => boolean
  readonly saveDeadlineMs: number
  readonly leaseMs: number
  readonly consume: boolean
  readonly keepMs: number
  readonly rememberMs: number
  readonly partitions: number
  readonly maxValueBytes: number
}

/** What a timer of Node can hold; a longer one would end at once. */
const longestMs = 2 ** 31 - 1

/** How long `flush` and `close` may take. */
export function withinMsOf(value: unknown): number {
  return ratioOf(value, 'withinMs', 0, longestMs)
}

/** Every option, so that a misspelt one is refused and not ignored. */
const known: Record<keyof WriteBehindOptions, true> = {
  durable: true,
  lossy: true,
  unchecked: true,
  batch: true,
  every: true,
  maxQueued: true,
  maxWaiting: true,
  deadline: true,
  tries: true,
  retryFrom: true,
  retryUpTo: true,
  permanent: true,
  saveDeadline: true,
  lease: true,
  consume: true,
  keep: true,
  rememberFor: true,
  partitions: true,
  maxValueBytes: true,
}

export function writeBehindSettings(options: WriteBehindOptions = {}): WriteBehindSettings {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name))
  if (unknown !== undefined) throw invalid(`there is no option ${JSON.stringify(unknown)}`, unknown)
  const { lossy = false, permanent = () => false } = options
  const { durable = lossy ? false : {} } = options
  const ms = (value: Duration | undefined, otherwise: Duration, what: string, least = 1): number =>
    ratioOf(durationMs(value ?? otherwise, what), `${what} in ms`, least, longestMs)
  if (durable === false && !lossy) {
    throw invalid('durable: false loses writes when a node dies: set durable.copies, or say lossy: true', 'durable')
  }
  if (typeof permanent !== 'function') throw invalid('permanent is a function of an error', 'permanent')
  return {
    durable:
      durable === false
        ? null
        : {
            copies: countOf(durable.copies ?? 1, 'durable.copies', 1, 16),
            withinMs: ms(durable.within, '1s', 'durable.within'),
          },
    lossy: flagOf(lossy, 'lossy'),
    unchecked: flagOf(options.unchecked ?? false, 'unchecked'),
    batch: countOf(options.batch ?? 100, 'batch', 1, 10_000),
    everyMs: ms(options.every, '200ms', 'every'),
    maxQueued: countOf(options.maxQueued ?? 10_000, 'maxQueued', 1),
    maxWaiting: countOf(options.maxWaiting ?? 10_000, 'maxWaiting', 1),
    deadlineMs: ms(options.deadline, '5s', 'deadline'),
    tries: countOf(options.tries ?? 8, 'tries', 1),
    retryFromMs: ms(options.retryFrom, '100ms', 'retryFrom'),
    retryUpToMs: ms(options.retryUpTo, '30s', 'retryUpTo'),
    permanent,
    saveDeadlineMs: ms(options.saveDeadline, '10s', 'saveDeadline'),
    leaseMs: ms(options.lease, '3s', 'lease', 300),
    consume: flagOf(options.consume ?? true, 'consume'),
    keepMs: ms(options.keep, '1m', 'keep', 0),
    rememberMs: ms(options.rememberFor, '60s', 'rememberFor'),
    partitions: countOf(options.partitions ?? 64, 'partitions', 1, 1024),
    maxValueBytes: bytesOf(options.maxValueBytes ?? '1mb', 'maxValueBytes'),
  }
}

function flagOf(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw invalid(`${what} is true or false`, what)
  return value
}

const invalid = (message: string, what: string): CacheError => new CacheError('INVALID', message, { what })
