/** What is told of a cache, in base units and with labels that have few values. A key is never one: there is no end of them, and they name people. */
import type { Cache } from '../cache.ts'

export type Labels = Readonly<Record<string, string>>

/** What is looked at when Prometheus asks. */
export type WatchedCache = Pick<Cache, 'counters' | 'status' | 'listen'>

export interface Metric {
  readonly kind: 'counter' | 'gauge'
  /** Behind the prefix. */
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
  readonly read: (cache: WatchedCache) => readonly Sample[]
}

type Sample = readonly [value: number, labels?: Labels]
type Counters = WatchedCache['counters']
type Status = ReturnType<WatchedCache['status']>

const counter = (name: string, help: string, read: (counters: Counters) => number): Metric => ({
  kind: 'counter',
  name,
  help,
  read: ({ counters }) => [[read(counters)]],
})

const gauge = (name: string, help: string, read: (status: Status) => number): Metric => ({
  kind: 'gauge',
  name,
  help,
  read: (cache) => [[read(cache.status())]],
})

const nodeGauge = (
  name: string,
  help: string,
  labelNames: readonly string[],
  read: (node: Status['nodes'][number]) => readonly Sample[],
): Metric => ({ kind: 'gauge', name, help, labelNames, read: (cache) => cache.status().nodes.flatMap(read) })

const breakerStates = ['closed', 'open', 'half-open'] as const

export const metrics: readonly Metric[] = [
  {
    kind: 'counter',
    name: 'hits_total',
    help: 'Reads that were answered, by where the answer was.',
    labelNames: ['source'],
    read: ({ counters }) => [
      [counters.localHits, { source: 'local' }],
      [counters.engineHits, { source: 'primary' }],
      [counters.replicaHits, { source: 'replica' }],
    ],
  },
  counter('stale_hits_total', 'Those of the hits that were past their ttl.', (counters) => counters.staleHits),
  counter('misses_total', 'Reads that found nothing.', (counters) => counters.misses),
  counter('loads_total', 'Loaders that answered.', (counters) => counters.loads),
  counter('load_errors_total', 'Loaders that failed or took too long.', (counters) => counters.loadErrors),
  counter('load_seconds_total', 'How long loaders that answered took, in all.', ({ loadMs }) => loadMs / 1000),
  counter('fallbacks_total', 'Reads that were answered by their fallback.', (counters) => counters.fallbacks),
  counter('writes_total', 'Keys that were set or deleted.', (counters) => counters.writes),
  counter(
    'pending_writes_total',
    'Changes that the engine could not be told at once.',
    (counters) => counters.pendingWrites,
  ),
  counter(
    'invalidations_total',
    'Keys that the engine told to have been changed by others.',
    (counters) => counters.invalidations,
  ),
  counter('unusable_total', 'Entries in the engine that could not be read: misses.', (counters) => counters.unusable),
  counter('engine_errors_total', 'Reads that went on without the engine.', (counters) => counters.engineErrors),
  gauge('local_entries', 'Entries in the local tier.', ({ local }) => local.entries),
  gauge('local_bytes', 'About how large the local tier is.', ({ local }) => local.bytes),
  gauge('loads_running', 'Loaders under way.', ({ loads }) => loads.running),
  gauge('loads_waiting', 'Loads that wait for their turn.', ({ loads }) => loads.waiting),
  gauge('pending', 'Changes that the engine has yet to be told.', ({ pending }) => pending),
  nodeGauge(
    'node_connected',
    'Whether this process has a connection to the node.',
    ['node', 'role'],
    ({ node, role, connected }) => [[connected ? 1 : 0, { node, role }]],
  ),
  nodeGauge('node_pending_commands', 'Commands that wait to be written or answered.', ['node'], ({ node, pending }) => [
    [pending, { node }],
  ]),
  nodeGauge(
    'node_breaker_state',
    'The state of the breaker is 1, the others are 0.',
    ['node', 'state'],
    ({ node, breaker }) => breakerStates.map((state) => [breaker === state ? 1 : 0, { node, state }]),
  ),
]
