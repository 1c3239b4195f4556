/**
 * Whether a node is asked or left alone, as values: what happened and when comes in, the next state comes out.
 *
 * It opens at once when the connection is lost or the node is silent, because every caller who still waits for such a
 * node waits in vain. While it is open only probes are sent. Each failed probe doubles the pause before the next one.
 * Anything heard from the node closes it.
 */
export type Breaker =
  | { readonly state: 'closed' }
  | {
      readonly state: 'open' | 'half-open'
      /** Since when it is not closed. */
      readonly since: number
      readonly because: string
      /** How many probes have failed. */
      readonly failed: number
      /** `open`: when to probe. `half-open`: when the probe counts as failed. */
      readonly until: number
    }

const firstProbeMs = 100
const lastProbeMs = 1000

export const closedBreaker: Breaker = { state: 'closed' }

/** Something went wrong: lost, silent, or a probe that failed. */
export function trip(breaker: Breaker, now: number, because: string, random: number): Breaker {
  // A failure that is known already does not put off the probe.
  if (breaker.state === 'open') return breaker
  const failed = breaker.state === 'half-open' ? breaker.failed + 1 : 0
  const since = breaker.state === 'half-open' ? breaker.since : now
  const bound = Math.min(lastProbeMs, firstProbeMs * 2 ** failed)
  // Between half the bound and the bound: soon, and not all processes in the same moment.
  const pause = (bound * (1 + random)) / 2
  return { state: 'open', since, because, failed, until: now + pause }
}

/** Whether a probe should go out now. */
export function isProbeDue(breaker: Breaker, now: number): boolean {
  return breaker.state === 'open' && now >= breaker.until
}

/** A probe goes out, and counts as failed after `withinMs`. */
export function probe(breaker: Breaker, now: number, withinMs: number): Breaker {
  return breaker.state === 'open' ? { ...breaker, state: 'half-open', until: now + withinMs } : breaker
}

export function isProbeFailed(breaker: Breaker, now: number): boolean {
  return breaker.state === 'half-open' && now >= breaker.until
}
