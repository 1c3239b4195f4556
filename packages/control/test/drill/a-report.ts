import type { DrillFacts, DrillOperation, DrillReport, HoldfastEvent, KeyRead } from '@holdfast/core'
import { checkOperations, clientKinds, parseSpec, reportOf } from '@holdfast/core'

const faultAt = Date.UTC(2026, 10, 29, 23, 50, 12, 123)

/** A second client writes slower, so that a picture of both is not one picture twice. */
const everyMs = { ioredis: 8, 'ioredis-timeouts': 9, cache: 10, durable: 14 } as const

/** Writes of all clients to three shards, from three seconds before the fault until six after it; shard-1 stands still for a while. */
function writes(standstillMs: number): DrillOperation[] {
  return clientKinds.flatMap((client) =>
    ['shard-1', 'shard-2', 'shard-3'].flatMap((shard) => {
      const times = Array.from(
        { length: Math.floor(9000 / everyMs[client]) },
        (_, index) => index * everyMs[client] - 3000,
      )
      const kept = times.filter((ms) => shard !== 'shard-1' || ms <= 0 || ms >= standstillMs)
      return kept.map((ms, index) => {
        const key = `{${shard}}holdfast:drill:0badcafe:${client}:${index}`
        const [endedAt, value] = [faultAt + ms, `${client} ${shard} ${index}`]
        return { client, shard, key, value, begunAt: endedAt - 1, endedAt, outcome: 'ok', said: null } as const
      })
    }),
  )
}

const event = (
  seq: number,
  ms: number,
  kind: HoldfastEvent['kind'],
  subject: string,
  because: string,
  cause: string | null = null,
) =>
  ({ seq, epoch: 1, at: faultAt + ms, deployment: 'shop', kind, subject, because, cause, actor: 'controller' }) as const

export interface ReportChanges extends Partial<DrillFacts> {
  readonly standstillMs?: number
  /** How many of the writes before the fault are gone. */
  readonly lost?: number
}

/** The report of a killed primary whose replica took over. */
export function aReport({ standstillMs = 240, lost = 0, ...changes }: ReportChanges = {}): DrillReport {
  const operations = writes(standstillMs)
  const last = operations.filter(({ shard, endedAt }) => shard === 'shard-1' && endedAt <= faultAt).slice(-lost)
  const gone = new Set(lost === 0 ? [] : last.map(({ key }) => key))
  const reads = new Map(
    operations.map(({ key, value }): [string, KeyRead] => {
      const copy = gone.has(key) ? ('absent' as const) : { value }
      return [key, { owner: copy, replicas: { 'node-4': copy } }]
    }),
  )
  return reportOf({
    id: '0badcafe',
    deployment: 'shop',
    fault: 'kill-primary',
    what: 'SIGKILL to node-1 (primary of shard-1)',
    targets: [{ node: 'node-1', shard: 'shard-1' }],
    shape: 'redis 7.0.15; 3 shards, 6 nodes; persistence hybrid; allkeys-lru; class cache',
    spec: parseSpec({ name: 'shop' }),
    beganAt: faultAt - 3000,
    faultAt,
    healedAt: faultAt,
    readyAt: faultAt + 640,
    endedAt: faultAt + 6000,
    waitedMs: 90_000,
    fenceSpent: false,
    cutShort: null,
    operations,
    check: checkOperations({ operations, reads, evicted: {} }),
    promotions: [{ shard: 'shard-1', from: 'node-1', to: 'node-4', offsetBefore: 87_524, offsetAfter: 87_524 }],
    events: [
      event(1, 1, 'drill', 'shop', 'SIGKILL to node-1 (primary of shard-1)'),
      event(2, 14, 'turn', 'shop', 'node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it'),
      event(3, 15, 'action', 'node-4', 'promote (force) node-4', '2'),
      event(4, 61, 'shard', 'shard-1', 'node-4 is primary of shard-1, was nobody'),
      event(5, 640, 'ready', 'shop', 'ready: yes, was no (3 shards, 6 of 6 nodes in sync)'),
    ],
    gap: null,
    notes: [],
    ...changes,
  })
}
