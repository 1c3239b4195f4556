/** How fast each client was acknowledged, for a picture of it. */
import type { ClientKind, DrillOperation } from './operation.ts'

export interface Pace {
  /** Wall clock of the beginning of the first interval, ms since 1970. */
  readonly from: number
  readonly everyMs: number
  readonly lines: readonly PaceLine[]
}

export interface PaceLine {
  readonly client: ClientKind
  readonly shard: string
  /** Acknowledgements in each interval. */
  readonly acks: readonly number[]
  /** Of them or instead of them: operations that failed or were left undecided. */
  readonly troubles: readonly number[]
}

const finestMs = 100
/** More points than this, no screen shows. */
const intervalsMax = 1200

export function paceOf(operations: readonly DrillOperation[], from: number, until: number): Pace {
  const everyMs = Math.max(finestMs, Math.ceil((until - from) / intervalsMax / finestMs) * finestMs)
  const length = Math.max(1, Math.ceil((until - from) / everyMs))
  const lines = new Map<string, { client: ClientKind; shard: string; acks: number[]; troubles: number[] }>()
  for (const { client, shard, outcome, endedAt } of operations) {
    if (endedAt < from) continue
    const name = `${client} ${shard}`
    const line = lines.get(name) ?? { client, shard, acks: zeros(length), troubles: zeros(length) }
    lines.set(name, line)
    const index = Math.min(length - 1, Math.floor((endedAt - from) / everyMs))
    const row = outcome === 'ok' ? line.acks : line.troubles
    row[index] = (row[index] ?? 0) + 1
  }
  return { from, everyMs, lines: [...lines.values()] }
}

const zeros = (length: number): number[] => Array.from({ length }, () => 0)
