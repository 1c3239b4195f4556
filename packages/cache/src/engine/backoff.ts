/** How many tries there were, and between which bounds the pause grows. */
export interface Backoff {
  readonly fromMs: number
  readonly toMs: number
}

/**
 * The pause before the next try: a random part of a bound that doubles. Full jitter, because a thousand clients that
 * lost the same node must not come back together.
 */
export function pauseMs(tries: number, { fromMs, toMs }: Backoff, random: number): number {
  return random * Math.min(toMs, fromMs * 2 ** Math.min(tries, 30))
}
