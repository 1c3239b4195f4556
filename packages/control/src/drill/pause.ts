import { setTimeout as delay } from 'node:timers/promises'
import { formatDuration } from '@holdfast/core'
import type { DrillPorts } from './wish.ts'
import { wallNow } from './workload.ts'

/** Waits, and tells how much is left until the end; no longer than the drill goes on. */
export async function pause(
  { say, signal }: Pick<DrillPorts, 'say' | 'signal'>,
  ms: number,
  what: string,
  endsAt = wallNow() + ms,
): Promise<void> {
  if (ms <= 0 || signal.aborted) return
  say(`  ${what}, ${formatDuration(Math.round((endsAt - wallNow()) / 1000) * 1000)} left`)
  await delay(ms, undefined, { signal }).catch(() => {})
}
