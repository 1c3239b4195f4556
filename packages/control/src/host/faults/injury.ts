import type { FaultName } from '@holdfast/core'
import type { FaultCase } from './fault-file.ts'

/** One way to hurt, and how it is undone. */
export interface Injury {
  /** It is over as soon as it is done: nothing has to outlive anybody, so it needs no keeper, and comes at once. */
  readonly isOverAtOnce?: boolean
  /**
   * It takes whoever tells of it, or the way to whoever asked. So it is told first, and done a moment later, when the
   * answer is on its way.
   */
  readonly tellsFirst?: boolean
  /** Does it. What it holds open for as long as it lasts, it lets go when `over` fires. */
  inject(fault: FaultCase, over: AbortSignal): Promise<void>
  /** Undoes what is left of it, from what is written down alone; throws while anything is left. Harmless when done twice. */
  heal(fault: FaultCase): Promise<void>
}

/** Loaded when it is needed: a kill must not wait for what only a slow disk needs. */
export async function injuryOf(fault: FaultName): Promise<Injury> {
  switch (fault) {
    case 'kill-primary':
    case 'kill-replica':
    case 'kill-two':
    case 'kill-all':
    case 'kill-sentinel':
      return (await import('./kill.ts')).kill
    case 'freeze':
      return (await import('./freeze.ts')).freeze
    case 'busy':
      return (await import('./busy.ts')).busy
    case 'bounce':
      return (await import('./bounce.ts')).bounce
    case 'memory-full':
      return (await import('./memory-full.ts')).memoryFull
    case 'disk-full':
      return (await import('./disk-full.ts')).diskFull
    case 'slow-disk':
      return (await import('./slow-disk.ts')).slowDisk
    case 'kill-controller':
    case 'unattended':
      return (await import('./kill-controller.ts')).killController
    case 'kill-agent':
    case 'kill-host':
      return (await import('./kill-agent.ts')).killAgent
    case 'freeze-agent':
      return (await import('./freeze-agent.ts')).freezeAgent
    case 'cut-host':
    case 'cut-peers':
    case 'deafen-host':
    case 'mute-host':
    case 'slow-link':
      return (await import('./cut.ts')).cut
    case 'flap':
      return (await import('./cut.ts')).flap
    case 'storm':
      return (await import('./storm.ts')).storm
    default:
      return fault satisfies never
  }
}
