import type { Operation } from '../operation.ts'
import { isUnfinished } from '../operation.ts'
import type { Status } from '../status.ts'
import { formatInstant } from '../units.ts'

/** Why the size of a deployment must not be changed now; null: it may. Whoever is healed is not scaled as well. */
export function frozenBecause({ name, wanted, paused, ready, because, operations }: FrozenBy): string | null {
  if (wanted === 'down') return `${name} is to be down`
  if (paused !== null) {
    const until = paused.until === null ? '' : ` until ${formatInstant(paused.until)}`
    return `${name} is paused by ${paused.by}${until}: ${paused.because}`
  }
  if (ready !== 'yes') return `${name} is not ready: ${because}`
  const open = operations.find(isUnfinished)
  return open === undefined ? null : `${open.kind} of ${open.subject} (${open.id}) is not over: ${open.because}`
}

export type FrozenBy = Pick<Status, 'name' | 'wanted' | 'paused' | 'ready' | 'because' | 'operations'>

/**
 * When the size was last changed, or was to be, ms since 1970; null: never. One that failed in the middle has moved load
 * as well.
 */
export function lastScaleEndedAt(
  operations: readonly Pick<Operation, 'kind' | 'beganAt' | 'endedAt'>[],
): number | null {
  const ends = operations.flatMap(({ kind, beganAt, endedAt }) => {
    const isScale = (kind as string) === 'scale'
    return isScale && beganAt !== null && endedAt !== null ? [endedAt] : []
  })
  return ends.length === 0 ? null : Math.max(...ends)
}
