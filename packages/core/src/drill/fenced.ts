import type { HoldfastEvent } from '../event.ts'
import { fenceEveryMs } from '../plan/fence.ts'

/** Whether the next frozen engine among these nodes would be left alone, since one was killed lately. */
export function wasFencedLately(events: readonly HoldfastEvent[], nodes: readonly string[], now: number): boolean {
  return events.some(({ kind, subject, because, at }) => {
    const isFence = kind === 'action' && because.startsWith(`kill the frozen engine of ${subject} `)
    return isFence && nodes.includes(subject) && now - at < fenceEveryMs
  })
}
