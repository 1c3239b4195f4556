/* A drill's record as the checker and the judge see it; a test changes what matters to it. */
import type { DrillOperation, KeyRead, Outcome, PromiseInput } from '../../src/index.ts'
import { checkOperations, outagesOf, parseSpec } from '../../src/index.ts'

/** When the fault of these tests falls, wall clock. */
export const faultAt = 1_000_000

/** A write that was acknowledged a second before the fault. */
export function aWrite(changes: Partial<DrillOperation> = {}): DrillOperation {
  const { key = 'k', endedAt = faultAt - 1000 } = changes
  const usual = { client: 'cache', shard: 'shard-1', value: `value of ${key}`, outcome: 'ok', said: null } as const
  return { ...usual, key, begunAt: endedAt - 1, endedAt, ...changes }
}

/** What is read of a write that is where it should be: at the primary and at its replica. */
export const asWritten = ({ value }: DrillOperation): KeyRead => ({
  owner: { value },
  replicas: { 'node-4': { value } },
})

export const absent: KeyRead = { owner: 'absent', replicas: { 'node-4': 'absent' } }

/** One acknowledgement each 10 ms from a second before the fault until two after it, but not in between these times. */
export function writing(changes: Partial<DrillOperation> = {}, gap?: { from: number; to: number }): DrillOperation[] {
  const times = Array.from({ length: 300 }, (_, index) => faultAt - 1000 + index * 10)
  const kept = times.filter((at) => gap === undefined || at <= faultAt + gap.from || at >= faultAt + gap.to)
  return kept.map((endedAt, index) => {
    const { client = 'cache', shard = 'shard-1' } = changes
    return aWrite({ key: `${client} ${shard} ${index}`, endedAt, ...changes })
  })
}

export interface JudgedWorld extends Partial<Omit<PromiseInput, 'check' | 'outages' | 'spec'>> {
  readonly operations: readonly DrillOperation[]
  /** What is there instead of what was written, by key. */
  readonly instead?: Readonly<Record<string, KeyRead>>
  readonly evicted?: Readonly<Record<string, number>>
  readonly spec?: Readonly<Record<string, unknown>>
}

/** A drill in which all is as it was written, but for what is said. */
export function judged({ operations, instead = {}, evicted = {}, spec = {}, ...changes }: JudgedWorld): PromiseInput {
  const reads = new Map(operations.map((one) => [one.key, instead[one.key] ?? asWritten(one)]))
  return {
    fault: 'kill-primary',
    spec: parseSpec({ name: 'it', ...spec }),
    faultAt,
    lastedMs: 0,
    fenceSpent: false,
    readyAfterMs: 900,
    waitedMs: 90_000,
    gap: null,
    ...changes,
    check: checkOperations({ operations, reads, evicted }),
    outages: outagesOf(operations, { faultAt, until: faultAt + 2000 }),
  }
}

export const outcomes: readonly Outcome[] = ['ok', 'failed', 'indeterminate']
