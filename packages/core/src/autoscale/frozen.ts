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
